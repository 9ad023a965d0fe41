package agesplit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

const (
	keyA          = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhEUAI3oVnBMeUTR6qkU5dPzs1mTxuyUh3XIHqz5yz"
	someRecipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
)

// wire is an authorized_keys line for a key of that type and these fields (RFC 4251, section 5).
func wire(kind string, fields ...[]byte) string {
	var blob []byte
	for _, f := range append([][]byte{[]byte(kind)}, fields...) {
		blob = append(blob, byte(len(f)>>24), byte(len(f)>>16), byte(len(f)>>8), byte(len(f)))
		blob = append(blob, f...)
	}
	return kind + " " + base64.StdEncoding.EncodeToString(blob)
}

func ecdsaLine(t testing.TB, c elliptic.Curve) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return sshLine(t, &k.PublicKey)
}

func sshLine(t testing.TB, public crypto.PublicKey) string {
	t.Helper()
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// rsaLine is a key of so many bits that nobody has the private part of.
func rsaLine(t testing.TB, bits int) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return sshLine(t, &rsa.PublicKey{N: n.Add(n, big.NewInt(12345)), E: 65537})
}

func skLines(t testing.TB) (sked, skec string) {
	t.Helper()
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return wire(ssh.KeyAlgoSKED25519, public, []byte("ssh:")),
		wire(ssh.KeyAlgoSKECDSA256, []byte("nistp256"), point, []byte("ssh:"))
}

func TestKeysThatAreTaken(t *testing.T) {
	t.Parallel()
	sked, skec := skLines(t)
	for _, c := range []struct {
		line  string
		reads bool
	}{
		{keyA, true},
		{rsaLine(t, 2048), true},
		{rsaLine(t, 8192), true},
		{someRecipient, true},
		{ecdsaLine(t, elliptic.P256()), false},
		{ecdsaLine(t, elliptic.P384()), false},
		{ecdsaLine(t, elliptic.P521()), false},
		{sked, false},
		{skec, false},
	} {
		k, err := ParseKey("  " + c.line + " \t alice@laptop \r\n")
		if err != nil {
			t.Errorf("%.40s: %v", c.line, err)
			continue
		}
		if k.Line != c.line || (k.Recipient != nil) != c.reads || k.Comment != "alice@laptop" {
			t.Errorf("%.40s: %+v", c.line, k)
		}
		if want := "SHA256:"; c.line != someRecipient && !strings.HasPrefix(k.Fingerprint, want) {
			t.Errorf("fingerprint %q", k.Fingerprint)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	// The eight points of low order begin with these: what is sealed to them, anyone opens.
	identity, order2 := make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)
	identity[0] = 1
	order2[0], order2[31] = 0xec, 0x7f
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	cert := &ssh.Certificate{Key: key, SignatureKey: key, Signature: &ssh.Signature{Format: "ssh-ed25519", Blob: make([]byte, 64)}}
	for _, c := range []struct{ name, line, word string }{
		{"nothing", " \n", "empty"},
		{"low-order ed25519", wire("ssh-ed25519", identity), "sealed"},
		{"low-order ed25519 2", wire("ssh-ed25519", order2), "sealed"},
		{"low-order ed25519 4", wire("ssh-ed25519", make([]byte, 32)), "sealed"},
		{"low-order security key", wire(ssh.KeyAlgoSKED25519, identity, []byte("ssh:")), "low order"},
		{"no point", wire("ssh-ed25519", append([]byte{2}, make([]byte, 31)...)), "point"},
		{"low-order age", lowOrderAge, "sealed"},
		{"post-quantum age", pq.Recipient().String(), "post-quantum"},
		{"age plugin", "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "plugins"},
		{"age cut short", someRecipient[:40], "not a valid age recipient"},
		{"short RSA", rsaLine(t, 2047), "2047"},
		{"long RSA", rsaLine(t, 8193), "8193"},
		{"DSA", "ssh-dss AAAAB3NzaC1kc3MAAACB", "DSA"},
		{"certificate", string(ssh.MarshalAuthorizedKey(cert)), "certificates"},
		{"options", `command="/bin/sh" ` + keyA, "options"},
		{"one option", "restrict " + keyA, "options"},
		{"the key of an authority", "cert-authority " + keyA, "options"},
		{"private SSH key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "private"},
		{"private age key", "AGE-SECRET-KEY-1QQQ", "private"},
		{"two lines", keyA + "\n" + keyA, "one line"},
		{"two types", "ssh-rsa " + strings.Fields(keyA)[1], "first word"},
		{"cut short", keyA[:60], "incomplete"},
		{"more in it", wire("ssh-ed25519", make([]byte, 32), []byte("more")), "incomplete"},
		{"a new type", "ssh-mldsa-65 AAAA", "type"},
		{"only a type", "ssh-ed25519", "incomplete"},
		{"a word", "hello", "does not start like"},
		{"huge", keyA + " " + strings.Repeat("x", 20_000), "longer"},
	} {
		k, err := ParseKey(c.line)
		if !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), c.word) || k.Line != "" {
			t.Errorf("%s: %+v, %v", c.name, k, err)
		}
		if err != nil && strings.Contains(c.word, "private") && strings.Contains(err.Error(), "QQQ") {
			t.Errorf("%s: the error repeats the secret", c.name)
		}
	}
}

// TestTheTrialFindsThem is the control of TestKeysThatAreRefused: without the trial, they look like any key.
func TestTheTrialFindsThem(t *testing.T) {
	t.Parallel()
	for _, line := range []string{wire("ssh-ed25519", make([]byte, 32)), lowOrderAge} {
		if k, err := ParseCheckedKey(line); err != nil || k.Recipient == nil {
			t.Errorf("%+v, %v", k, err)
		}
	}
}

// lowOrderAge is the X25519 point 0 as an age recipient.
const lowOrderAge = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"

func FuzzParseKey(f *testing.F) {
	sked, skec := skLines(f)
	for _, s := range []string{
		keyA, keyA + " label", rsaLine(f, 2048), rsaLine(f, 1024), someRecipient, someRecipient + "\tx", lowOrderAge, sked, skec,
		ecdsaLine(f, elliptic.P256()), "restrict " + keyA, wire("ssh-ed25519", make([]byte, 32)), "ssh-rsa AAAA", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line)
		if err != nil {
			if !errors.Is(err, ErrKey) || k.Line != "" {
				t.Fatalf("%+v, %v", k, err)
			}
			return
		}
		again, err := ParseKey(k.Line + " comment")
		if err != nil || again.Line != k.Line || again.Fingerprint != k.Fingerprint || (again.Recipient == nil) != (k.Recipient == nil) {
			t.Fatalf("%q gave %+v, which gives %+v, %v", line, k, again, err)
		}
	})
}
