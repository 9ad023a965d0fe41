package sshchat

import (
	"bytes"
	"crypto/ed25519"
	"net"
	"reflect"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// A login goes through a connection's permissions as it is. What we did not write there is nobody's login, whatever the
// strings beside it say.
func TestLoginInPermissions(t *testing.T) {
	t.Parallel()
	for _, l := range []login{
		{}, {newKey: "ssh-ed25519 AAAA"}, {id: "1", key: "SHA256:x"}, {id: "1", proof: "g"}, {id: "1", proof: "g", second: true},
	} {
		if got, err := loginOf(l.permissions()); err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("%+v: %+v, %v", l, got, err)
		}
		if p := l.permissions(); len(p.Extensions)+len(p.CriticalOptions) > 0 {
			t.Errorf("%+v is also told in strings: %v", l, p)
		}
	}
	for _, p := range []*gossh.Permissions{
		nil, {}, {Extensions: map[string]string{"sshchat-login": "key:1:SHA256:x"}},
		{ExtraData: map[any]any{"login": login{id: "1", key: "SHA256:x"}}}, {ExtraData: map[any]any{loginKey{}: "key:1:SHA256:x"}},
	} {
		if l, err := loginOf(p); err == nil {
			t.Errorf("%+v is %+v", p, l)
		}
	}
}

// Of a connection that fails with a password, is refused a key and then proves another, the library keeps the login of
// that key alone. (TestAttackAskedKeyIsNotProven is about keys that are never proven.)
func TestLoginOfWhatSucceeded(t *testing.T) {
	t.Parallel()
	signer := func() gossh.Signer {
		_, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := gossh.NewSignerFromKey(private)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	refused, proven := signer(), signer()
	config := &gossh.ServerConfig{
		PublicKeyCallback: func(_ gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			p := login{id: "1", key: gossh.FingerprintSHA256(key)}.permissions()
			if bytes.Equal(key.Marshal(), refused.PublicKey().Marshal()) {
				return p, errLogin
			}
			return p, nil
		},
		PasswordCallback: func(gossh.ConnMetadata, []byte) (*gossh.Permissions, error) {
			return login{id: "2", proof: "wrong"}.permissions(), errLogin
		},
	}
	config.AddHostKey(signer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		client, err := gossh.Dial("tcp", l.Addr().String(), &gossh.ClientConfig{
			User: "alice", HostKeyCallback: gossh.InsecureIgnoreHostKey(), Timeout: time.Minute,
			Auth: []gossh.AuthMethod{gossh.Password("wrong"), gossh.PublicKeys(refused, proven)},
		})
		if err == nil {
			client.Wait() // ends with the server's side
		}
	}()
	nc, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, _, _, err := gossh.NewServerConn(nc, config)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := login{id: "1", key: gossh.FingerprintSHA256(proven.PublicKey())}
	if got, err := loginOf(conn.Permissions); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("logged in as %+v, %v, not %+v", got, err, want)
	}
}
