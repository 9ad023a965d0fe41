package store

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

// This file is all the cryptography of the history: an age file (https://c2sp.org/age) written in two halves,
// a head for each reader and bodies they share. Only the writing side is here, because age exports none for a given
// file key. Wrapping a key for a recipient and opening anything is age's own code.

const (
	fileKeySize   = 16
	nonceSize     = 16
	chunkSize     = 64 << 10 // plain text in one STREAM chunk
	bodyOverhead  = nonceSize + chacha20poly1305.Overhead
	maxRecipients = 16 // a person's keys in one head; with more than 1024 stanzas age would refuse it
	ageIntro      = "age-encryption.org/v1\n"
)

// fileKey opens everything of one window. It is drawn, used to make heads and one-time keys, and wiped.
type fileKey [fileKeySize]byte

func newFileKey() *fileKey {
	k := new(fileKey)
	inSecret(func() { rand.Read(k[:]) }) // never fails
	return k
}

func (k *fileKey) wipe() { clear(k[:]) }

// head is an age header that wraps k for the given recipients. One that cannot be wrapped for is left out and told
// in refused, so that no single key keeps a window from opening; with none left the head is empty.
func (k *fileKey) head(to []age.Recipient) (head string, refused []error) {
	var made []byte
	inSecret(func() { made, refused = k.header(to) })
	return string(made), refused
}

func (k *fileKey) header(to []age.Recipient) (head []byte, refused []error) {
	b := []byte(ageIntro)
	var labels []string // what all recipients of one age file must agree on
	taken := 0
	for i, r := range to {
		if taken == maxRecipients {
			refused = append(refused, fmt.Errorf("%d keys beyond the first %d", len(to)-i, maxRecipients))
			break
		}
		stanzas, l, err := k.wrap(r)
		if err == nil && taken > 0 && !slices.Equal(l, labels) {
			err = errors.New("age does not mix it with the keys before it")
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

func (k *fileKey) wrap(r age.Recipient) (stanzas []*age.Stanza, labels []string, err error) {
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
func (k *fileKey) derive(salt []byte, label string) []byte {
	out, err := hkdf.Key(sha256.New, k[:], salt, label, chacha20poly1305.KeySize)
	if err != nil {
		panic("internal error: hkdf: " + err.Error()) // only for lengths that are not ours
	}
	return out
}

// onceKey seals one body and is gone. STREAM counts its nonces from zero under each key,
// so a second body under the same one would give both away.
type onceKey struct {
	nonce [nonceSize]byte
	key   [chacha20poly1305.KeySize]byte
	spent bool
}

// once derives n keys, for one body each.
func (k *fileKey) once(n int) []onceKey {
	keys := make([]onceKey, n)
	inSecret(func() {
		for i := range keys {
			o := &keys[i]
			rand.Read(o.nonce[:])
			key := k.derive(o.nonce[:], "payload")
			copy(o.key[:], key)
			clear(key)
		}
	})
	return keys
}

// seal returns plain as an age payload: the nonce, then STREAM. It panics when called twice.
func (o *onceKey) seal(plain []byte) []byte {
	if o.spent {
		panic("internal error: a one-time key was used twice")
	}
	o.spent = true
	defer o.wipe()
	chunks := max(1, (len(plain)+chunkSize-1)/chunkSize)
	body := make([]byte, 0, nonceSize+len(plain)+chunks*chacha20poly1305.Overhead)
	inSecret(func() { body = o.appendPayload(body, plain) })
	return body
}

func (o *onceKey) appendPayload(body, plain []byte) []byte {
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

func (o *onceKey) wipe() {
	clear(o.key[:])
	o.spent = true
}

// errClosed is all that is said where something sealed does not open.
var errClosed = errors.New("it does not open with these keys")

// openHead returns the file key that head wraps for one of ids.
func openHead(head string, ids []age.Identity) (*fileKey, error) {
	k := new(fileKey)
	var opened bool
	inSecret(func() {
		raw, err := age.DecryptHeader([]byte(head), ids...)
		opened = err == nil && copy(k[:], raw) == len(raw) && len(raw) == fileKeySize
		clear(raw)
	})
	if !opened {
		return nil, errClosed
	}
	return k, nil
}

// openBody returns what body holds. Age checks head once more on the way.
func (k *fileKey) openBody(head string, body []byte) (plain []byte, err error) {
	inSecret(func() {
		var r io.Reader
		if r, err = age.Decrypt(ageFile(head, body), age.NewInjectedFileKeyIdentity(k[:])); err == nil {
			plain, err = io.ReadAll(r)
		}
	})
	if err != nil {
		return nil, errClosed
	}
	return plain, nil
}

// ageFile is the two halves as the stock tools know them.
func ageFile(head string, body []byte) io.Reader {
	return io.MultiReader(strings.NewReader(head), bytes.NewReader(body))
}

// splitFile divides an age file.
func splitFile(file []byte) (head string, body []byte, err error) {
	h, err := age.ExtractHeader(bytes.NewReader(file))
	if err != nil || !bytes.HasPrefix(file, h) {
		return "", nil, errors.New("it is not an age file")
	}
	return string(h), file[len(h):], nil
}
