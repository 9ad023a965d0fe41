package store

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
	"golang.org/x/text/unicode/norm"
)

// There is no password hash. A password opens an age passphrase file that holds X25519 identities, newest first,
// and proves itself by that; new history is sealed to the newest. An attacker has one thing to guess at.

const (
	defaultWorkFactor = 16      // log2 N: 64 MiB, 0.1 s
	maxWorkFactor     = 20      // of files made elsewhere: 1 GiB, 2 s
	maxPassword       = 1024    // bytes
	maxIdentities     = 1000    // of one account: how often a password can be changed
	maxSealed         = 1 << 20 // bytes of a sealed file
)

// ErrPolicy is wrapped by every refusal of a new password. The words are for the person who chose it.
var ErrPolicy = errors.New("password not accepted")

var errWrongPhrase = errors.New("the password does not open it")

// passphrase is the password as scrypt gets it: NFC, so that every keyboard gives the same bytes. It is a copy, for
// the caller to clear. It refuses what no account's password can be, whoever's it is.
func passphrase(password []byte) ([]byte, error) {
	switch {
	case len(password) == 0:
		return nil, errors.New("it is empty")
	case len(password) > maxPassword:
		return nil, fmt.Errorf("it is longer than %d bytes", maxPassword)
	case !utf8.Valid(password):
		return nil, errors.New("it is not UTF-8")
	}
	// Room for the longest expansion (x3), or growing would leave copies behind. Bytes(…) would alias the caller's.
	return norm.NFC.Append(make([]byte, 0, 3*len(password)), password...), nil
}

// newPassphrase is passphrase for a password that is to be set, which must be at least shortest code points long.
func newPassphrase(password []byte, shortest int) ([]byte, error) {
	phrase, err := passphrase(password)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	if n := utf8.RuneCount(phrase); n < shortest {
		clear(phrase)
		return nil, fmt.Errorf("%w: it must be at least %d characters long, and has %d", ErrPolicy, shortest, n)
	}
	if bytes.ContainsFunc(phrase, unicode.IsControl) {
		clear(phrase)
		return nil, fmt.Errorf("%w: it holds a control character, which age could not ask you for", ErrPolicy)
	}
	return phrase, nil
}

// newIdentity draws an identity, puts it before the older ones and seals them all. The caller holds the gate.
func (u *Users) newIdentity(older, phrase []byte) (*password, error) {
	if bytes.Count(older, []byte("\n")) >= maxIdentities {
		return nil, fmt.Errorf("%w: it was changed %d times, which is as often as can be", ErrPolicy, maxIdentities)
	}
	plain, recipient, err := drawIdentity(older)
	if err != nil {
		return nil, fmt.Errorf("draw an identity: %w", err)
	}
	defer clear(plain)
	sealed, err := u.seal(plain, phrase, u.opt.WorkFactor)
	if err != nil {
		return nil, fmt.Errorf("seal the identity: %w", err)
	}
	return &password{Recipient: recipient.String(), Sealed: sealed, recipient: recipient}, nil
}

// drawIdentity puts a new identity before older ones.
func drawIdentity(older []byte) (plain []byte, recipient *age.X25519Recipient, err error) {
	inSecret(func() {
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

// sealIdentities makes a stock age passphrase file, armored, of plain. It costs one scrypt.
func sealIdentities(plain, phrase []byte, workFactor int) (sealed string, err error) {
	inSecret(func() { sealed, err = sealPhrase(plain, phrase, workFactor) })
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

// openSealed opens such a file. The plain text is for the caller to clear. It costs one scrypt, whatever comes of it.
// Errors: errWrongPhrase, or one that tells of damage.
func openSealed(sealed string, phrase []byte) (plain []byte, err error) {
	inSecret(func() { plain, err = openPhrase(sealed, phrase) })
	return plain, err
}

func openPhrase(sealed string, phrase []byte) ([]byte, error) {
	by, err := age.NewScryptIdentity(string(phrase))
	if err != nil {
		return nil, err
	}
	by.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), by)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return nil, errWrongPhrase
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

// newest reads whose the first identity of an opened file is.
func newest(plain []byte) (recipient string, err error) {
	inSecret(func() {
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

// everyIdentity reads all of an opened file. A line that is none is passed over: the others still open something.
func everyIdentity(plain []byte) (ids []age.Identity) {
	inSecret(func() {
		for line := range bytes.Lines(plain) {
			if id, err := age.ParseX25519Identity(string(bytes.TrimRight(line, "\r\n"))); err == nil {
				ids = append(ids, id)
			}
		}
	})
	return ids
}

// checkSealed refuses what is not a passphrase file that can be opened here, without opening it.
func checkSealed(sealed string) error {
	if len(sealed) > maxSealed {
		return fmt.Errorf("a sealed identity is longer than %d bytes", maxSealed)
	}
	look := &scryptStanza{}
	_, err := age.Decrypt(armor.NewReader(strings.NewReader(sealed)), look)
	switch {
	case !look.found:
		return errors.New("a sealed identity is not an age passphrase file")
	case look.workFactor < 1 || look.workFactor > maxWorkFactor:
		return fmt.Errorf("a sealed identity has the work factor %d; it must be 1 to %d", look.workFactor, maxWorkFactor)
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

// dummySealed makes a passphrase file of random bytes: opening it costs what any costs, and fails as for a wrong
// password. C2SP age.md: a scrypt stanza has a salt of 16 bytes and a wrapped file key of 32, the header a MAC of 32,
// the payload a nonce of 16 and at least a tag of 16.
func dummySealed(workFactor int) (string, error) {
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
	return out.String(), checkSealed(out.String())
}
