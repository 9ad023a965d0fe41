// Package agesplit writes an age file (https://c2sp.org/age) in two halves: a head for each reader, and bodies that the
// readers share. Around that it has what else is pure cryptography: the public keys that can be sealed to, identities
// sealed with a password, and erasing what is done with from memory.
//
// It knows nothing of files, rooms or accounts. Only the writing side of age is here, since age exports none for a given
// file key. Wrapping a key for a recipient and opening anything is age's own code.
package agesplit

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

const (
	FileKeySize   = 16                                    // bytes
	BodyOverhead  = nonceSize + chacha20poly1305.Overhead // bytes of a body that holds nothing
	MaxRecipients = 16                                    // one person's keys in a head; age refuses more than 1024 stanzas

	nonceSize = 16
	chunkSize = 64 << 10 // plain text in one STREAM chunk
	intro     = "age-encryption.org/v1\n"
)

// FileKey opens every body whose one-time key was derived from it. It is drawn, used to make heads and one-time keys,
// and wiped.
type FileKey [FileKeySize]byte

// NewFileKey draws a key.
func NewFileKey() *FileKey {
	k := new(FileKey)
	InSecret(func() { rand.Read(k[:]) }) // never fails
	return k
}

// Wipe forgets the key.
func (k *FileKey) Wipe() { clear(k[:]) }

// Head returns an age header that wraps k for the recipients, at most MaxRecipients of them. One that cannot be wrapped
// for is left out and named in refused, so that no single key keeps the others from reading; with none left the head is
// empty.
func (k *FileKey) Head(to []age.Recipient) (head string, refused []error) {
	var made []byte
	InSecret(func() { made, refused = k.header(to) })
	return string(made), refused
}

func (k *FileKey) header(to []age.Recipient) (head []byte, refused []error) {
	b := []byte(intro)
	var labels []string // what all recipients of one age file must agree on
	taken := 0
	for i, r := range to {
		if taken == MaxRecipients {
			refused = append(refused, fmt.Errorf("%d keys beyond the first %d", len(to)-i, MaxRecipients))
			break
		}
		stanzas, l, err := k.wrap(r)
		if err == nil && taken > 0 && !slices.Equal(l, labels) {
			err = errors.New("age cannot combine it with the keys before it")
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		labels = l
		taken++
		for _, s := range stanzas {
			b = appendStanza(b, s)
		}
	}
	if taken == 0 {
		return nil, refused
	}
	b = append(b, "---"...)
	mac := hmac.New(sha256.New, k.derive(nil, "header"))
	mac.Write(b)
	b = append(b, ' ')
	b = base64.RawStdEncoding.AppendEncode(b, mac.Sum(nil))
	return append(b, '\n'), refused
}

func (k *FileKey) wrap(r age.Recipient) (stanzas []*age.Stanza, labels []string, err error) {
	if l, ok := r.(age.RecipientWithLabels); ok {
		stanzas, labels, err = l.WrapWithLabels(k[:])
		slices.Sort(labels)
	} else {
		stanzas, err = r.Wrap(k[:])
	}
	for _, s := range stanzas {
		for _, word := range append([]string{s.Type}, s.Args...) {
			if word == "" || slices.ContainsFunc([]byte(word), func(c byte) bool { return c < 33 || c > 126 }) {
				return nil, nil, fmt.Errorf("stanza word %q is not printable ASCII", word)
			}
		}
	}
	return stanzas, labels, err
}

// appendStanza appends s as age's header has it. The last line of its body is always shorter than the others,
// and so at times empty: that is how a reader knows where the body ends.
func appendStanza(b []byte, s *age.Stanza) []byte {
	const column = 64
	b = append(b, "-> "+s.Type...)
	for _, a := range s.Args {
		b = append(b, " "+a...)
	}
	b = append(b, '\n')
	text := base64.RawStdEncoding.EncodeToString(s.Body)
	for len(text) >= column {
		b = append(b, text[:column]...)
		b = append(b, '\n')
		text = text[column:]
	}
	b = append(b, text...)
	return append(b, '\n')
}

// derive is HKDF-SHA-256 (RFC 5869) with the two labels age has, "header" and "payload".
func (k *FileKey) derive(salt []byte, label string) []byte {
	out, err := hkdf.Key(sha256.New, k[:], salt, label, chacha20poly1305.KeySize)
	if err != nil {
		panic("internal error: hkdf: " + err.Error()) // only for lengths that are not ours
	}
	return out
}

// OnceKey seals one body and is gone. STREAM counts its nonces from zero under each key, so a second body under the same
// one would give both away.
type OnceKey struct {
	nonce [nonceSize]byte
	key   [chacha20poly1305.KeySize]byte
	spent bool
}

// OnceKeys derives n keys, for one body each. The caller wipes those it does not use.
func (k *FileKey) OnceKeys(n int) []OnceKey {
	keys := make([]OnceKey, n)
	k.Derive(keys)
	return keys
}

// Derive is OnceKeys into keys that have not been used.
func (k *FileKey) Derive(keys []OnceKey) {
	InSecret(func() {
		for i := range keys {
			o := &keys[i]
			rand.Read(o.nonce[:])
			key := k.derive(o.nonce[:], "payload")
			copy(o.key[:], key)
			clear(key)
		}
	})
}

// Seal returns plain as an age payload: the nonce, then STREAM. It panics when called twice, or after Wipe.
func (o *OnceKey) Seal(plain []byte) []byte { return o.AppendSeal(nil, plain) }

// AppendSeal is Seal at the end of body.
func (o *OnceKey) AppendSeal(body, plain []byte) []byte {
	if o.spent {
		panic("internal error: a one-time key was used twice")
	}
	o.spent = true
	defer o.Wipe()
	chunks := max(1, (len(plain)+chunkSize-1)/chunkSize)
	body = slices.Grow(body, nonceSize+len(plain)+chunks*chacha20poly1305.Overhead)
	InSecret(func() { body = o.appendPayload(body, plain) })
	return body
}

func (o *OnceKey) appendPayload(body, plain []byte) []byte {
	aead, err := chacha20poly1305.New(o.key[:])
	if err != nil {
		panic("internal error: chacha20poly1305: " + err.Error()) // only for a key of another size
	}
	body = append(body, o.nonce[:]...)
	for i, last := uint64(0), false; !last; i++ {
		n := min(chunkSize, len(plain))
		last = n == len(plain)
		var nonce [chacha20poly1305.NonceSize]byte // 11 bytes of counter, then whether it is the last
		binary.BigEndian.PutUint64(nonce[3:11], i)
		if last {
			nonce[11] = 1
		}
		body = aead.Seal(body, nonce[:], plain[:n], nil)
		plain = plain[n:]
	}
	return body
}

// Wipe forgets the key; it seals nothing any more.
func (o *OnceKey) Wipe() {
	clear(o.key[:])
	o.spent = true
}

// ErrWrongKeys is all that is said of something sealed that does not open.
var ErrWrongKeys = errors.New("it cannot be opened with these keys")

// OpenHead returns the file key that head wraps for one of ids. The caller wipes it. Errors: ErrWrongKeys.
func OpenHead(head string, ids []age.Identity) (*FileKey, error) {
	k := new(FileKey)
	var opened bool
	InSecret(func() {
		raw, err := age.DecryptHeader([]byte(head), ids...)
		opened = err == nil && copy(k[:], raw) == len(raw) && len(raw) == FileKeySize
		clear(raw)
	})
	if !opened {
		return nil, ErrWrongKeys
	}
	return k, nil
}

// OpenBody returns what body holds. Age checks head once more on the way. Errors: ErrWrongKeys.
func (k *FileKey) OpenBody(head string, body []byte) (plain []byte, err error) {
	InSecret(func() {
		var r io.Reader
		if r, err = age.Decrypt(Join(head, body), age.NewInjectedFileKeyIdentity(k[:])); err == nil {
			plain, err = io.ReadAll(r)
		}
	})
	if err != nil {
		return nil, ErrWrongKeys
	}
	return plain, nil
}

// File is the two halves as the stock tools know them.
func Join(head string, body []byte) io.Reader {
	return io.MultiReader(strings.NewReader(head), bytes.NewReader(body))
}

// Split divides an age file into its halves.
func Split(file []byte) (head string, body []byte, err error) {
	h, err := age.ExtractHeader(bytes.NewReader(file))
	if err != nil || !bytes.HasPrefix(file, h) {
		return "", nil, errors.New("it is not an age file")
	}
	return string(h), file[len(h):], nil
}
