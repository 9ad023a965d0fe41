package main

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Message numbers of RFC 4253, 4252 and 4254, as far as an attacker needs them.
const (
	msgServiceRequest = 5
	msgKexInit        = 20
	msgNewKeys        = 21
	msgKexECDH        = 30
	msgKexECDHReply   = 31
	msgUserAuth       = 50
	msgAuthFailure    = 51
	msgGlobalRequest  = 80
	msgAuthSuccess    = 52
	msgKeyIsOK        = 60
	msgOpen           = 90
	msgOpened         = 91
	msgWindowAdjust   = 93
	msgData           = 94
	msgStderr         = 95
	msgClose          = 97
	msgRequest        = 98
)

// raw is a client that follows no rule but its attacker's: x/crypto's own would not ask about keys it does not have,
// change its name, or stop listening. It speaks curve25519-sha256 and aes128-gcm, and trusts any server.
type raw struct {
	net.Conn
	t          testing.TB
	in         *bufio.Reader
	session    []byte // the session id, which proofs of keys sign
	seal, open *gcm   // nil until the keys are agreed on
}

// gcm is one direction of RFC 5647.
type gcm struct {
	cipher.AEAD
	nonce [12]byte
}

func (g *gcm) next() []byte {
	nonce := bytes.Clone(g.nonce[:])
	count := binary.BigEndian.Uint64(g.nonce[4:])
	binary.BigEndian.PutUint64(g.nonce[4:], count+1)
	return nonce
}

// raw connects and agrees on keys; logging in is up to the attack.
func (s *testServer) raw() *raw {
	s.t.Helper()
	return s.rawFrom("127.0.0.1")
}

// rawFrom does it from another address.
func (s *testServer) rawFrom(ip string) *raw {
	s.t.Helper()
	tcp, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { tcp.Close() })
	r := &raw{Conn: tcp, t: s.t, in: bufio.NewReader(tcp)}
	r.agree()
	r.ask(append([]byte{msgServiceRequest}, wireString("ssh-userauth")...))
	return r
}

// agree runs the key exchange of RFC 8731.
func (r *raw) agree() {
	const version = "SSH-2.0-attacker"
	fmt.Fprintf(r, "%s\r\n", version)
	theirs, err := r.in.ReadString('\n')
	r.check(err)
	init := []byte{msgKexInit}
	init = append(init, make([]byte, 16)...)
	const cipher, mac = "aes128-gcm@openssh.com", "hmac-sha2-256-etm@openssh.com"
	for _, list := range []string{"curve25519-sha256", "ssh-ed25519", cipher, cipher, mac, mac, "none", "none", "", ""} {
		init = append(init, wireString(list)...)
	}
	init = append(init, make([]byte, 5)...)
	r.send(init)
	theirInit := r.receive()
	own, err := ecdh.X25519().GenerateKey(rand.Reader)
	r.check(err)
	r.send(append([]byte{msgKexECDH}, wireString(own.PublicKey().Bytes())...))
	var reply struct{ HostKey, Point, Signature []byte }
	r.check(ssh.Unmarshal(r.expect(msgKexECDHReply)[1:], &reply))
	point, err := ecdh.X25519().NewPublicKey(reply.Point)
	r.check(err)
	secret, err := own.ECDH(point)
	r.check(err)
	k := ssh.Marshal(struct{ K *big.Int }{new(big.Int).SetBytes(secret)})
	r.session = digest(wireString(version), wireString(strings.TrimRight(theirs, "\r\n")), wireString(init), wireString(theirInit),
		wireString(reply.HostKey), wireString(own.PublicKey().Bytes()), wireString(reply.Point), k)
	r.send([]byte{msgNewKeys})
	r.expect(msgNewKeys)
	r.seal, r.open = r.direction(k, 'A', 'C'), r.direction(k, 'B', 'D')
}

// direction derives one direction's key and nonce (RFC 4253, 7.2).
func (r *raw) direction(k []byte, iv, key byte) *gcm {
	derive := func(letter byte) []byte { return digest(k, r.session, []byte{letter}, r.session) }
	block, err := aes.NewCipher(derive(key)[:16])
	r.check(err)
	aead, err := cipher.NewGCM(block)
	r.check(err)
	g := &gcm{AEAD: aead}
	copy(g.nonce[:], derive(iv))
	return g
}

func digest(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

// wireString is a string as SSH writes it.
func wireString[T string | []byte](s T) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

func (r *raw) check(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// write sends a packet; it fails when the server has closed the connection.
func (r *raw) write(payload []byte) error {
	block, clear := 8, 4 // what padding rounds up to, and how much of the length counts
	if r.seal != nil {
		block, clear = 16, 0
	}
	padding := block - (clear+1+len(payload))%block
	if padding < 4 {
		padding += block
	}
	body := append([]byte{byte(padding)}, payload...)
	body = append(body, make([]byte, padding)...)
	packet := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	if r.seal == nil {
		packet = append(packet, body...)
	} else {
		packet = r.seal.Seal(packet, r.seal.next(), body, packet)
	}
	_, err := r.Write(packet)
	return err
}

func (r *raw) send(payload []byte) {
	r.t.Helper()
	r.check(r.write(payload))
}

// read receives a packet.
func (r *raw) read() ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(head))
	if r.open != nil {
		size += r.open.Overhead()
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return nil, err
	}
	if r.open != nil {
		var err error
		if body, err = r.open.Open(nil, r.open.next(), body, head); err != nil {
			return nil, err
		}
	}
	return body[1 : len(body)-int(body[0])], nil
}

func (r *raw) receive() []byte {
	r.t.Helper()
	packet, err := r.read()
	r.check(err)
	return packet
}

func (r *raw) expect(message byte) []byte {
	r.t.Helper()
	packet := r.receive()
	for packet[0] == msgGlobalRequest && message != msgGlobalRequest { // it tells of its host keys
		packet = r.receive()
	}
	if packet[0] != message {
		r.t.Fatalf("the server says %d, not %d: %q", packet[0], message, packet)
	}
	return packet
}

// ask sends a packet and returns what kind of message answers it.
func (r *raw) ask(payload []byte) byte {
	r.t.Helper()
	r.send(payload)
	return r.receive()[0]
}

// gone waits until the server has closed the connection.
func (r *raw) gone(what string) {
	r.t.Helper()
	for {
		if _, err := r.read(); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				r.t.Errorf("%s: the connection is kept", what)
			}
			return
		}
	}
}

// attempt is a login attempt, up to what its method adds.
func attempt(name, method string) []byte {
	packet := append([]byte{msgUserAuth}, wireString(name)...)
	return append(append(packet, wireString("ssh-connection")...), wireString(method)...)
}

func (r *raw) none(name string) byte {
	r.t.Helper()
	return r.ask(attempt(name, "none"))
}

func (r *raw) password(name, password string) byte {
	r.t.Helper()
	return r.ask(append(append(attempt(name, "password"), 0), wireString(password)...))
}

// about asks whether a key would do, which anybody can who has seen the public key.
func (r *raw) about(name string, key ssh.PublicKey) byte {
	r.t.Helper()
	return r.ask(key25519(name, 0, key))
}

// prove logs in with a key.
func (r *raw) prove(name string, signer ssh.Signer) byte {
	r.t.Helper()
	packet := key25519(name, 1, signer.PublicKey())
	signature, err := signer.Sign(rand.Reader, append(wireString(r.session), packet...))
	r.check(err)
	return r.ask(append(packet, wireString(ssh.Marshal(signature))...))
}

func key25519(name string, proven byte, key ssh.PublicKey) []byte {
	packet := append(attempt(name, "publickey"), proven)
	return append(append(packet, wireString(key.Type())...), wireString(key.Marshal())...)
}

// exec runs a command in a channel and returns what it printed, on both streams, and its exit code.
func (r *raw) exec(line string) (out string, code int) {
	r.t.Helper()
	channel := r.channel(1 << 20)
	r.request(channel, "exec", wireString(line))
	for code = -1; ; {
		packet := r.receive()
		switch packet[0] {
		case msgData:
			out += string(packet[9:])
		case msgStderr:
			out += string(packet[13:])
		case msgRequest:
			if bytes.Contains(packet, []byte("exit-status")) {
				code = int(binary.BigEndian.Uint32(packet[len(packet)-4:]))
			}
		case msgClose:
			r.send(binary.BigEndian.AppendUint32([]byte{msgClose}, channel))
			return out, code
		}
	}
}

// openSession is the packet that asks for a session channel.
func openSessionPacket(window uint32) []byte {
	packet := append([]byte{msgOpen}, wireString("session")...)
	return append(packet, ssh.Marshal(struct{ Sender, Window, Packet uint32 }{0, window, 32 << 10})...)
}

// channel opens a session channel that takes so many bytes, and returns the server's number of it.
func (r *raw) channel(window uint32) uint32 {
	r.t.Helper()
	r.send(openSessionPacket(window))
	return binary.BigEndian.Uint32(r.expect(msgOpened)[5:])
}

// request sends a channel request that wants no reply.
func (r *raw) request(channel uint32, name string, payload []byte) {
	r.t.Helper()
	packet := binary.BigEndian.AppendUint32([]byte{msgRequest}, channel)
	r.send(append(append(append(packet, wireString(name)...), 0), payload...))
}
