package agesplit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/edwards25519"
	"golang.org/x/crypto/ssh"
)

// Limits of a public key.
const (
	MinRSABits = 2048     // NIST SP 800-131A; age asks for as many
	MaxRSABits = 8192     // beyond, each login costs more than it protects
	MaxKeyLine = 16 << 10 // bytes; an RSA key of 8 192 bits is about 1.4 KiB
)

// ErrKey is wrapped by every refusal of a public key. Its text is for the person who offers the key.
var ErrKey = errors.New("key not accepted")

// loginTypes are the SSH keys that can log in; true where age can seal to them as well.
var loginTypes = map[string]bool{
	ssh.KeyAlgoED25519:    true,
	ssh.KeyAlgoRSA:        true,
	ssh.KeyAlgoSKED25519:  false,
	ssh.KeyAlgoECDSA256:   false,
	ssh.KeyAlgoECDSA384:   false,
	ssh.KeyAlgoECDSA521:   false,
	ssh.KeyAlgoSKECDSA256: false,
}

// Key is a public key of a person.
type Key struct {
	Line        string        // its one spelling: type and base64, or "age1…"
	Fingerprint string        // SHA256:… as ssh-keygen prints it; of an age recipient the Line
	Comment     string        // what followed on the line, as it was written: not fit to be shown
	Recipient   age.Recipient // nil if age cannot seal to keys of this type; its String is the Line
}

// ParseKey reads a public key: a line of an authorized_keys file without options (sshd(8)), or an age recipient
// "age1…", either with a comment after it. Some well-formed keys cannot be sealed to (ed25519 and X25519 points of low order, RSA keys
// with an even modulus) and are refused. Errors wrap ErrKey.
func ParseKey(line string) (Key, error) {
	k, err := parseKey(line, false)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return k, nil
}

// ParseCheckedKey is ParseKey for the line of a key that was accepted before: whether it can be sealed to is not looked at again.
func ParseCheckedKey(line string) (Key, error) { return parseKey(line, true) }

func parseKey(line string, checked bool) (Key, error) {
	line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff")) // the byte-order mark of some editors
	switch {
	case line == "":
		return Key{}, errors.New("it is empty")
	case len(line) > MaxKeyLine:
		return Key{}, fmt.Errorf("it is longer than %d bytes", MaxKeyLine)
	case strings.Contains(line, "PRIVATE KEY") || strings.HasPrefix(strings.ToUpper(line), "AGE-SECRET-KEY-"):
		return Key{}, errors.New("that is a private key: keep it secret, and send the public key (.pub) instead")
	case strings.ContainsAny(line, "\r\n"):
		return Key{}, errors.New("it must be one line")
	case strings.HasPrefix(line, "age1"):
		return parseAgeKey(line, checked)
	}
	return parseSSHKey(line, checked)
}

func parseAgeKey(line string, checked bool) (Key, error) {
	word, comment := cutWord(line)
	if strings.HasPrefix(word, "age1pq1") {
		return Key{}, errors.New("age's post-quantum recipients cannot be combined with others: use a plain age1… recipient")
	}
	recipient, err := age.ParseX25519Recipient(word)
	if err != nil {
		return Key{}, errors.New("it is not a valid age recipient (recipients of plugins are not supported)")
	}
	if !checked && !canSeal(recipient) {
		return Key{}, errNotSealed
	}
	word = recipient.String()
	return Key{Line: word, Fingerprint: word, Comment: comment, Recipient: recipient}, nil
}

func parseSSHKey(line string, checked bool) (Key, error) {
	kind, rest := cutWord(line)
	if _, known := loginTypes[kind]; !known {
		return Key{}, unknownType(kind)
	}
	text, comment := cutWord(rest)
	blob, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Key{}, errors.New("it is incomplete or damaged: send the whole line of the .pub file")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil {
		return Key{}, errors.New("it is incomplete or damaged: send the whole line of the .pub file")
	}
	// One key must have one spelling, or it could be added twice and removed once.
	if key.Type() != kind || !bytes.Equal(key.Marshal(), blob) {
		return Key{}, errors.New("its type does not match its first word")
	}
	recipient, err := sshRecipient(key, checked)
	if err != nil {
		return Key{}, err
	}
	line = kind + " " + base64.StdEncoding.EncodeToString(blob)
	if recipient != nil {
		recipient = sshKey{recipient, line}
	}
	return Key{
		Line:        line,
		Fingerprint: ssh.FingerprintSHA256(key),
		Comment:     comment,
		Recipient:   recipient,
	}, nil
}

// sshKey is a recipient that says which key it is, as age's own recipients do.
type sshKey struct {
	age.Recipient
	line string
}

func (k sshKey) String() string { return k.line }

// sshRecipient returns what age can seal to, nil for the types it cannot, and refuses keys that are too weak.
func sshRecipient(key ssh.PublicKey, checked bool) (age.Recipient, error) {
	switch public := key.(ssh.CryptoPublicKey).CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
			return nil, fmt.Errorf("an RSA key must have %d to %d bits; this one has %d", MinRSABits, MaxRSABits, bits)
		}
		recipient, err := agessh.NewRSARecipient(key)
		if err == nil && !checked && !canSeal(recipient) {
			err = errNotSealed
		}
		return recipient, err
	case ed25519.PublicKey:
		plain, err := ssh.NewPublicKey(public)
		if err != nil {
			return nil, err
		}
		recipient, err := agessh.NewEd25519Recipient(plain)
		if err != nil {
			return nil, errors.New("it is not a point of the curve")
		}
		switch sealed := key.Type() == ssh.KeyAlgoED25519; {
		case sealed && !checked && lowOrder(public):
			return nil, errNotSealed
		case sealed:
			return recipient, nil
		case lowOrder(public): // a security key is never sealed to, but anyone could sign for this one
			return nil, errors.New("it is a point of low order")
		}
	}
	return nil, nil
}

// lowOrder reports whether a point of the curve has an order that divides the cofactor, 8. These are the points that age cannot seal to: it
// multiplies by secrets that are multiples of 8 (X25519, RFC 7748), and refuses a product of zero. This takes a hundredth of sealing.
func lowOrder(public ed25519.PublicKey) bool {
	p, err := new(edwards25519.Point).SetBytes(public)
	return err != nil || p.MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}

// errNotSealed refuses a key that looks like any other.
var errNotSealed = errors.New("nothing can be sealed to it")

// unknownType says why a line that begins with such a word is not taken.
func unknownType(word string) error {
	switch {
	case strings.Contains(word, "-cert-v0"):
		return errors.New("certificates are not accepted: send the key itself")
	case word == "ssh-dss":
		return errors.New("DSA keys are too weak")
	case strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-"):
		return errors.New("keys of this type are not accepted: use ssh-ed25519, ecdsa, ssh-rsa, a security key or age1…")
	case strings.ContainsAny(word, `=,"`) || word == "restrict" || word == "cert-authority" || strings.HasPrefix(word, "no-"):
		return errors.New("options before the key are not accepted: start with the key's type")
	}
	return errors.New("it does not start like a public key: ssh-ed25519, ecdsa-…, ssh-rsa, sk-… or age1…")
}

// canSeal seals a few bytes to the recipient, and forgets them.
func canSeal(r age.Recipient) bool {
	w, err := age.Encrypt(io.Discard, r)
	return err == nil && w.Close() == nil
}

// cutWord splits at the first run of blanks.
func cutWord(s string) (word, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}
