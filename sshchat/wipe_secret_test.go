//go:build goexperiment.runtimesecret

package sshchat

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"net"
	"reflect"
	"testing"
	"unsafe"

	gossh "golang.org/x/crypto/ssh"
)

// The packet with a wrong password is there until it is wiped, whatever cipher it came by.
func TestWipeReachesThePacket(t *testing.T) {
	const wrong = "a wrong but long enough one"
	for _, cipher := range []string{gossh.CipherChaCha20Poly1305, gossh.CipherAES256GCM, gossh.CipherAES128CTR} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		signer := newTestSigner(t)
		var p gossh.ServerPreAuthConn
		before, after := -1, -1
		config := &gossh.ServerConfig{
			PreAuthConnCallback: func(c gossh.ServerPreAuthConn) { p = c },
			PasswordCallback: func(gossh.ConnMetadata, []byte) (*gossh.Permissions, error) {
				before = bytes.Count(packet(p), []byte(wrong))
				if !wipe(p) { // nothing is being read: the client waits for the answer
					t.Errorf("%s: the packet is not reached", cipher)
				}
				after = bytes.Count(packet(p), []byte(wrong))
				return nil, errors.New("wrong")
			},
		}
		algorithms(config)
		config.AddHostKey(signer)
		go gossh.Dial("tcp", l.Addr().String(), &gossh.ClientConfig{
			Config: gossh.Config{Ciphers: []string{cipher}}, User: "paula", Auth: []gossh.AuthMethod{gossh.Password(wrong)},
			HostKeyCallback: gossh.InsecureIgnoreHostKey(),
		})
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		gossh.NewServerConn(conn, config) // fails, as the password is wrong
		conn.Close()
		if before != 1 || after != 0 {
			t.Errorf("%s: %d copies before, %d after", cipher, before, after)
		}
	}
}

// packet is the buffer that wipe overwrites.
func packet(p gossh.ServerPreAuthConn) (b []byte) {
	v := reflect.ValueOf(p)
	for _, name := range []string{"transport", "conn", "reader", "packetCipher"} {
		v = target(v).FieldByName(name)
	}
	for _, name := range []string{"buf", "packetData"} {
		if f := target(v).FieldByName(name); f.IsValid() {
			b = *(*[]byte)(unsafe.Pointer(f.UnsafeAddr()))
		}
	}
	return b[:cap(b)]
}

func newTestSigner(t testing.TB) gossh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
