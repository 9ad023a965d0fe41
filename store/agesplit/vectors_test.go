package agesplit

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"strings"
	"testing"

	cctv "c2sp.org/CCTV/age"
	"filippo.io/age"
)

// vector is one of C2SP's test vectors for age: https://c2sp.org/CCTV/age.
type vector struct {
	fields map[string]string
	file   []byte
}

func vectors(t *testing.T) map[string]vector {
	t.Helper()
	all := make(map[string]vector)
	err := fs.WalkDir(cctv.Vectors, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(cctv.Vectors, name)
		if err != nil {
			return err
		}
		header, file, _ := bytes.Cut(b, []byte("\n\n"))
		v := vector{make(map[string]string), file}
		for line := range strings.Lines(string(header)) {
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			v.fields[key] = value
		}
		if v.fields["compressed"] == "zlib" {
			r, err := zlib.NewReader(bytes.NewReader(file))
			if err != nil {
				return err
			}
			if v.file, err = io.ReadAll(r); err != nil {
				return err
			}
		}
		all[name] = v
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// stanzasOf is an age.Identity that opens nothing and notes a header's stanzas.
type stanzasOf []*age.Stanza

func (s *stanzasOf) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	*s = stanzas
	return nil, age.ErrIncorrectIdentity
}

// What is written here is byte for byte what the vectors have: heads from their stanzas and file key, bodies from their
// nonce and file key. What they say must not open does not.
func TestVectors(t *testing.T) {
	t.Parallel()
	wrote, refused := 0, 0
	for name, v := range vectors(t) {
		if v.fields["armored"] == "yes" || v.fields["identity"] == "" {
			continue // what is split is never armored, and has no passphrase
		}
		id, err := age.ParseIdentities(strings.NewReader(v.fields["identity"]))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := opened(v.file, id)
		if v.fields["expect"] != "success" {
			if refused++; err == nil {
				t.Errorf("%s: it opens, and ought to be a %s", name, v.fields["expect"])
			}
			continue
		}
		if sum := sha256.Sum256(plain); err != nil || hex.EncodeToString(sum[:]) != v.fields["payload"] {
			t.Errorf("%s: it does not open as it ought to: %v", name, err)
			continue
		}
		wrote++
		write(t, name, v, plain)
	}
	t.Logf("%d vectors written, %d refused", wrote, refused)
	if wrote < 10 || refused < 30 {
		t.Error("the vectors are not those they were")
	}
}

func opened(file []byte, ids []age.Identity) ([]byte, error) {
	head, body, err := Split(file)
	if err != nil {
		return nil, err
	}
	key, err := OpenHead(head, ids)
	if err != nil {
		return nil, err
	}
	return key.OpenBody(head, body)
}

// write makes the vector's file anew.
func write(t *testing.T, name string, v vector, plain []byte) {
	head, body, err := Split(v.file)
	if err != nil {
		t.Fatal(err)
	}
	var key FileKey
	if n, err := hex.Decode(key[:], []byte(v.fields["file key"])); err != nil || n != FileKeySize {
		t.Fatalf("%s: its file key: %v", name, err)
	}
	var stanzas stanzasOf
	age.DecryptHeader([]byte(head), &stanzas)
	if made, refused := key.Head([]age.Recipient{stanzaRecipient(stanzas)}); made != head || refused != nil {
		t.Errorf("%s: the head is\n%s%v, and ought to be\n%s", name, made, refused, head)
	}
	once := OnceKey{nonce: [nonceSize]byte(body)}
	copy(once.key[:], key.derive(once.nonce[:], "payload"))
	if !bytes.Equal(once.Seal(plain), body) {
		t.Errorf("%s: the body is another", name)
	}
}
