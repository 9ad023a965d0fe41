package sshchat

import (
	"bytes"
	"time"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// HostKeys is what the server proves itself with.
type HostKeys interface {
	// Signers are those for a connection that begins now.
	Signers() []gossh.Signer
	// Announced are the keys that clients are to remember: the current one, and the next where there is one.
	Announced() []gossh.Signer
}

// The requests by which a client that knows a host key learns which others there are, and has each of them prove that it
// is the server's (OpenSSH's PROTOCOL, section 2.5). So a key can be known before it is used, and forgotten after.
const (
	announceRequest = "hostkeys-00@openssh.com"
	proveRequest    = "hostkeys-prove-00@openssh.com"
)

// maxProofs is how often a connection may have the keys prove themselves: OpenSSH asks once, and a proof is a signature.
const maxProofs = 4

// announcer announces the host keys to clients, and proves them.
type announcer struct{ hostKeys HostKeys }

// announce sends the client the server's keys, once: OpenSSH takes a second announcement for an attack.
func (a announcer) announce(c *conn, peer gossh.Conn) {
	if !c.announced.CompareAndSwap(false, true) {
		return
	}
	keys := a.hostKeys.Announced()
	if len(keys) > 1 {
		c.expectProof()
	}
	var list []byte
	for _, signer := range keys {
		list = append(list, gossh.Marshal(struct{ Key []byte }{signer.PublicKey().Marshal()})...)
	}
	peer.SendRequest(announceRequest, false, list) // fails only with the connection
}

// proofTime is how long a session's end waits for a proof. It is for the goroutines, not for the network: a client asks
// before it asks for anything else.
const proofTime = 10 * time.Millisecond

// expectProof has the end of sessions wait until the client has seen the next key proven, if it asks for that: a short
// command may be over before.
func (c *conn) expectProof() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proven = make(chan struct{})
}

func (c *conn) awaitProof() {
	c.mu.Lock()
	proven := c.proven
	c.mu.Unlock()
	if proven == nil {
		return
	}
	select {
	case <-proven:
	case <-time.After(proofTime):
	}
}

func (c *conn) wasProven() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.proven != nil {
		close(c.proven)
		c.proven = nil
	}
}

// answerProofs answers by itself, and not by what it returns, to know when the client has the answer.
func (a announcer) answerProofs(ctx ssh.Context, _ *ssh.Server, req *gossh.Request) (bool, []byte) {
	ok, payload := a.prove(ctx, req)
	req.Reply(ok, payload) // fails only with the connection
	req.WantReply = false
	connOf(ctx).wasProven()
	return ok, nil
}

// prove answers a list of keys with a signature by each, over the session so that none serves elsewhere.
func (a announcer) prove(ctx ssh.Context, req *gossh.Request) (ok bool, payload []byte) {
	c := connOf(ctx)
	peer, isServer := ctx.Value(ssh.ContextKeyConn).(*gossh.ServerConn)
	if !isServer || c.proofs.Add(1) > maxProofs {
		return false, nil
	}
	ours := a.hostKeys.Announced()
	rest := req.Payload
	for n := 0; len(rest) > 0; n++ {
		var asked struct {
			Key  []byte
			Rest []byte `ssh:"rest"`
		}
		if n == len(ours) || gossh.Unmarshal(rest, &asked) != nil {
			return false, nil
		}
		rest = asked.Rest
		proof := proofBy(ours, asked.Key, peer.SessionID())
		if proof == nil {
			return false, nil
		}
		payload = append(payload, proof...)
	}
	return len(payload) > 0, payload
}

// proofBy returns the key's signature as the reply contains it, and nil for a key that is not the server's.
func proofBy(ours []gossh.Signer, key, session []byte) []byte {
	for _, signer := range ours {
		if !bytes.Equal(signer.PublicKey().Marshal(), key) {
			continue
		}
		signature, err := signer.Sign(nil, gossh.Marshal(struct {
			Request      string
			Session, Key []byte
		}{proveRequest, session, key}))
		if err != nil {
			return nil
		}
		return gossh.Marshal(struct{ Signature []byte }{gossh.Marshal(signature)})
	}
	return nil
}
