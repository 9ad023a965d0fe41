// Package agetest makes keys for tests: as age's library takes them, and in a file as the age command does.
// It knows nothing of our own code.
package agetest

import (
	"crypto/ed25519"
	"crypto/rand"
	_ "embed"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// Key is one key of somebody.
type Key struct {
	Recipient age.Recipient
	Identity  age.Identity
	File      string // the private key, for age -i
}

// Ed25519 makes an OpenSSH key.
func Ed25519(t testing.TB) Key {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return openSSH(t, pem.EncodeToMemory(block))
}

// rsa4096 is a key that ssh-keygen made for these tests: making one takes seconds.
//
//go:embed rsa4096
var rsa4096 []byte

// RSA is an OpenSSH key of 4 096 bits, always the same.
func RSA(t testing.TB) Key {
	t.Helper()
	return openSSH(t, rsa4096)
}

func openSSH(t testing.TB, private []byte) Key {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	to, err := agessh.ParseRecipient(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
	if err != nil {
		t.Fatal(err)
	}
	id, err := agessh.ParseIdentity(private)
	if err != nil {
		t.Fatal(err)
	}
	return Key{to, id, file(t, private)}
}

// X25519 makes a key of age's own kind.
func X25519(t testing.TB) Key {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return Key{id.Recipient(), id, file(t, []byte(id.String()+"\n"))}
}

func file(t testing.TB, b []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(f, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// Refusing is a recipient that nothing can be sealed to, as a point of low order is.
type Refusing struct{}

// Wrap refuses.
func (Refusing) Wrap([]byte) ([]*age.Stanza, error) { return nil, errors.New("low order point") }
