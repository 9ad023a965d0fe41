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
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/edwards25519"
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
func rsaLine(t testing.TB, bits int) string { return rsaLineOf(t, bits, 12345) }

// rsaLineOf is one whose modulus is so much more than the smallest of so many bits.
func rsaLineOf(t testing.TB, bits int, more int64) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return sshLine(t, &rsa.PublicKey{N: n.Add(n, big.NewInt(more)), E: 65537})
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
		{"even RSA", rsaLineOf(t, 2048, 12344), "sealed"},
		{"RSA with an even exponent", wire("ssh-rsa", []byte{2}, make([]byte, 256)), "incomplete"},
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

// TestTheyLookLikeAnyKey is the control of TestKeysThatAreRefused.
func TestTheyLookLikeAnyKey(t *testing.T) {
	t.Parallel()
	for _, line := range []string{wire("ssh-ed25519", make([]byte, 32)), lowOrderAge, rsaLineOf(t, 2048, 12344)} {
		if k, err := ParseCheckedKey(line); err != nil || k.Recipient == nil {
			t.Errorf("%+v, %v", k, err)
		}
	}
}

// lowOrderAge is the X25519 point 0 as an age recipient.
const lowOrderAge = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"

// lowOrderPoints are all encodings of the eight points of low order that are taken for points, RFC 8032 or not: y may be more than the
// prime, and the sign of x = 0 be set.
func lowOrderPoints(t testing.TB) (all [][]byte) {
	t.Helper()
	prime := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	// y of order 8; the other is its negative.
	eight, ok := new(big.Int).SetString("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
	if !ok {
		t.Fatal("no number")
	}
	for _, y := range []*big.Int{big.NewInt(1), new(big.Int).Sub(prime, big.NewInt(1)), big.NewInt(0), eight, new(big.Int).Sub(prime, eight)} {
		for range 2 {
			if y.BitLen() <= 255 {
				b := y.FillBytes(make([]byte, 32))
				slices.Reverse(b)
				signed := bytes.Clone(b)
				signed[31] |= 0x80
				all = append(all, b, signed)
			}
			y = new(big.Int).Add(y, prime)
		}
	}
	return all
}

// Nobody can seal to points of low order; this is so for all of them, and for no others.
func TestPointsOfLowOrder(t *testing.T) {
	t.Parallel()
	points := lowOrderPoints(t)
	if len(points) != 14 {
		t.Fatalf("there are %d", len(points))
	}
	for _, low := range points {
		if !lowOrder(low) || trial(t, low) {
			t.Errorf("%x: of low order is %v, and it can be sealed to is %v", low, lowOrder(low), trial(t, low))
		}
		for _, line := range []string{wire("ssh-ed25519", low), wire(ssh.KeyAlgoSKED25519, low, []byte("ssh:"))} {
			if k, err := ParseKey(line); !errors.Is(err, ErrKey) {
				t.Errorf("%s: %+v, %v", line, k, err)
			}
		}
		for range 4 { // controls: others, and the sums of both, whose order is a large multiple
			public, _, err := ed25519.GenerateKey(nil)
			if err != nil {
				t.Fatal(err)
			}
			sum := new(edwards25519.Point).Add(point(t, public), point(t, low)).Bytes()
			for _, high := range [][]byte{public, sum} {
				if lowOrder(high) || !trial(t, high) {
					t.Errorf("%x: of low order is %v, and it can be sealed to is %v", high, lowOrder(high), trial(t, high))
				}
			}
		}
	}
}

func point(t testing.TB, b []byte) *edwards25519.Point {
	t.Helper()
	p, err := new(edwards25519.Point).SetBytes(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trial reports whether age can seal to a point.
func trial(t testing.TB, public ed25519.PublicKey) bool {
	t.Helper()
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := agessh.NewEd25519Recipient(key)
	return err == nil && canSeal(recipient)
}

// FuzzLowOrder compares the check with a trial.
func FuzzLowOrder(f *testing.F) {
	for _, low := range lowOrderPoints(f) {
		f.Add(low)
	}
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) != ed25519.PublicKeySize {
			return
		}
		if lowOrder(b) == trial(t, b) {
			t.Fatalf("%x: of low order, or no point, is %v", b, lowOrder(b))
		}
	})
}

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
