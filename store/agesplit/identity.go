package agesplit

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/text/unicode/norm"
)

// There is no password hash. A password opens an age passphrase file that holds X25519 identities, newest first,
// and proves itself by that; new history is sealed to the newest. An attacker has one thing to guess at.

const (
	DefaultWorkFactor = 16   // log2 N: 64 MiB, 0.1 s
	MaxWorkFactor     = 20   // of files made elsewhere: 1 GiB, 2 s
	MaxPassword       = 1024 // bytes
	MaxIdentities     = 1000 // in one file: how often a password can be changed

	maxSealed = 1 << 20 // bytes of a sealed file
)

// ErrWrongPassphrase says that the file is whole and the password is another.
var ErrWrongPassphrase = errors.New("wrong password")

// Passphrase returns the password as scrypt gets it: NFC, so that every keyboard gives the same bytes. It is a copy, for
// the caller to clear. It refuses what nobody's password can be.
func Passphrase(password []byte) ([]byte, error) {
	switch {
	case len(password) == 0:
		return nil, errors.New("it is empty")
	case len(password) > MaxPassword:
		return nil, fmt.Errorf("it is longer than %d bytes", MaxPassword)
	case !utf8.Valid(password):
		return nil, errors.New("it is not UTF-8")
	}
	// Room for the longest expansion (x3), or growing would leave copies behind. Bytes(…) would alias the caller's.
	return norm.NFC.Append(make([]byte, 0, 3*len(password)), password...), nil
}

// DrawIdentity returns the identities with a new one before the older ones, for the caller to clear.
func DrawIdentity(older []byte) (plain []byte, recipient *age.X25519Recipient, err error) {
	InSecret(func() {
		var identity *age.X25519Identity
		if identity, err = age.GenerateX25519Identity(); err != nil {
			return
		}
		line := identity.String() + "\n" // a string of age's making: it cannot be wiped
		plain = append(make([]byte, 0, len(line)+len(older)), line...)
		plain = append(plain, older...)
		recipient = identity.Recipient()
	})
	return plain, recipient, err
}

// SealIdentities makes a stock age passphrase file, armored, of plain. It costs one scrypt of 2^workFactor.
func SealIdentities(plain, phrase []byte, workFactor int) (sealed string, err error) {
	InSecret(func() { sealed, err = sealPhrase(plain, phrase, workFactor) })
	return strings.Clone(sealed), err
}

func sealPhrase(plain, phrase []byte, workFactor int) (string, error) {
	to, err := age.NewScryptRecipient(string(phrase))
	if err != nil {
		return "", err
	}
	to.SetWorkFactor(workFactor)
	var out strings.Builder
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(plain); err != nil {
		return "", err
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return "", err
	}
	return out.String(), nil
}

// OpenIdentities opens what SealIdentities made. The plain text is for the caller to clear. It costs one scrypt, also if
// the password is wrong. Errors: ErrWrongPassphrase, or one that reports damage.
func OpenIdentities(sealed string, phrase []byte) (plain []byte, err error) {
	InSecret(func() { plain, err = openPhrase(sealed, phrase) })
	return plain, err
}

func openPhrase(sealed string, phrase []byte) ([]byte, error) {
	by, err := age.NewScryptIdentity(string(phrase))
	if err != nil {
		return nil, err
	}
	by.SetMaxWorkFactor(MaxWorkFactor)
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), by)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, ErrWrongPassphrase
	}
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(sealed)) // the file is longer than what it holds; growing would leave copies
	n, err := io.ReadFull(r, plain)
	if err != io.ErrUnexpectedEOF && err != io.EOF {
		clear(plain)
		return nil, errors.Join(errors.New("it is damaged"), err)
	}
	return plain[:n], nil
}

// NewestRecipient returns the recipient of the first identity in an opened file.
func NewestRecipient(plain []byte) (recipient string, err error) {
	InSecret(func() {
		line, _, _ := bytes.Cut(plain, []byte("\n"))
		var identity *age.X25519Identity
		if identity, err = age.ParseX25519Identity(string(line)); err == nil {
			recipient = identity.Recipient().String()
		}
	})
	if err != nil {
		return "", errors.New("it does not begin with an age identity") // age's words might quote it
	}
	return recipient, nil
}

// ParseIdentities reads all of an opened file. A line that is no identity is skipped: the others still open something.
func ParseIdentities(plain []byte) (ids []age.Identity) {
	InSecret(func() {
		for line := range bytes.Lines(plain) {
			if id, err := age.ParseX25519Identity(string(bytes.TrimRight(line, "\r\n"))); err == nil {
				ids = append(ids, id)
			}
		}
	})
	return ids
}

// CheckSealed refuses what OpenIdentities cannot open with any password, without the cost of opening it.
func CheckSealed(sealed string) error {
	if len(sealed) > maxSealed {
		return fmt.Errorf("a sealed identity is longer than %d bytes", maxSealed)
	}
	header := &scryptStanza{}
	_, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), header)
	switch {
	case !header.found:
		return errors.New("a sealed identity is not an age passphrase file")
	case header.workFactor < 1 || header.workFactor > MaxWorkFactor:
		return fmt.Errorf("a sealed identity has the work factor %d; it must be 1 to %d", header.workFactor, MaxWorkFactor)
	case !errors.Is(err, age.ErrIncorrectIdentity):
		return errors.New("a sealed identity is damaged")
	}
	return nil
}

// scryptStanza is an age.Identity that opens nothing and notes what a passphrase file asks for.
type scryptStanza struct {
	found      bool
	workFactor int
}

func (s *scryptStanza) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) == 1 && stanzas[0].Type == "scrypt" && len(stanzas[0].Args) == 2 {
		if n, err := strconv.Atoi(stanzas[0].Args[1]); err == nil {
			s.found, s.workFactor = true, n
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// DummySealed makes a passphrase file of random bytes: opening it costs what any file costs, and fails as a wrong
// password does. C2SP age.md: a scrypt stanza has a salt of 16 bytes and a wrapped file key of 32, the header a MAC of 32,
// the payload a nonce of 16 and at least a tag of 16.
func DummySealed(workFactor int) (string, error) {
	random := make([]byte, 16+32+32+32)
	rand.Read(random) // never fails
	b64 := base64.RawStdEncoding.EncodeToString
	var out strings.Builder
	armored := armor.NewWriter(&out)
	_, err := fmt.Fprintf(armored, "age-encryption.org/v1\n-> scrypt %s %d\n%s\n--- %s\n%s",
		b64(random[:16]), workFactor, b64(random[16:48]), b64(random[48:80]), random[80:])
	if err := errors.Join(err, armored.Close()); err != nil {
		return "", err
	}
	return out.String(), CheckSealed(out.String())
}
