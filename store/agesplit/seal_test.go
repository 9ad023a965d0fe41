package agesplit

import (
	"bytes"
	"crypto/rand"
	"io"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/store/agesplit/agetest"
)

// What seal.go writes is an age file for age itself, at every size where STREAM turns.
func TestHeadAndBodyAreAnAgeFile(t *testing.T) {
	t.Parallel()
	readers := []agetest.Key{agetest.Ed25519(t), agetest.RSA(t), agetest.X25519(t)}
	var to []age.Recipient
	for _, r := range readers {
		to = append(to, r.Recipient)
	}
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 5 * chunkSize} {
		plain := make([]byte, size)
		rand.Read(plain)
		key := NewFileKey()
		head, refused := key.Head(to)
		if refused != nil {
			t.Fatal(refused)
		}
		once := &key.OnceKeys(1)[0]
		body := once.Seal(plain)
		for i, r := range readers {
			out, err := age.Decrypt(Join(head, body), r.Identity)
			if err != nil {
				t.Fatalf("%d bytes for key %d: %v", size, i, err)
			}
			if got, err := io.ReadAll(out); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes for key %d do not come back: %v", size, i, err)
			}
		}
		body[len(body)-1] ^= 1
		if _, err := key.OpenBody(head, body); err == nil {
			t.Errorf("%d bytes: a changed body opens", size)
		}
	}
}

// An age file that age wrote is opened by what opens ours.
func TestAgeFileOpensHere(t *testing.T) {
	t.Parallel()
	alice := agetest.Ed25519(t)
	var file bytes.Buffer
	w, err := age.Encrypt(&file, alice.Recipient)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head, body, err := Split(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key, err := OpenHead(head, []age.Identity{alice.Identity})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := key.OpenBody(head, body); err != nil || string(plain) != "hello" {
		t.Errorf("%q, %v", plain, err)
	}
}

func TestOnceKeysDiffer(t *testing.T) {
	t.Parallel()
	keys := NewFileKey().OnceKeys(300)
	seen := make(map[[32]byte]bool)
	for _, k := range keys {
		seen[k.key] = true
	}
	if len(seen) != len(keys) {
		t.Error("two one-time keys are the same")
	}
	keys[0].Wipe()
	if keys[0].key != [32]byte{} || !keys[0].spent {
		t.Error("a wiped key is still there")
	}
}

func TestOnceKeyIsForOnce(t *testing.T) {
	t.Parallel()
	key := NewFileKey()
	once := &key.OnceKeys(1)[0]
	once.Seal([]byte("first"))
	if once.key != [32]byte{} {
		t.Error("the key is still there after its use")
	}
	defer func() {
		if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "internal error: ") {
			t.Errorf("a second use says %v", s)
		}
	}()
	once.Seal([]byte("second"))
}

type stanzaRecipient []*age.Stanza

func (r stanzaRecipient) Wrap([]byte) ([]*age.Stanza, error) { return r, nil }

// Stanza bodies that fill their last line end in an empty one; age reads each back as it was.
func TestStanzasOfEveryLength(t *testing.T) {
	t.Parallel()
	alice := agetest.X25519(t)
	for size := range 200 {
		body := bytes.Repeat([]byte{byte(size)}, size)
		key := NewFileKey()
		head, refused := key.Head([]age.Recipient{stanzaRecipient{{Type: "odd", Args: []string{"a", "b"}, Body: body}}, alice.Recipient})
		if refused != nil {
			t.Fatal(refused)
		}
		got, err := OpenHead(head, []age.Identity{alice.Identity})
		if err != nil || *got != *key {
			t.Fatalf("a stanza of %d bytes: %v", size, err)
		}
	}
}

func TestHeadLeavesOut(t *testing.T) {
	t.Parallel()
	alice := agetest.X25519(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat([]age.Recipient{alice.Recipient}, MaxRecipients+3)
	for _, c := range []struct {
		name    string
		to      []age.Recipient
		refused int
	}{
		{"a key that does not wrap", []age.Recipient{agetest.Refusing{}, alice.Recipient}, 1},
		{"a key beyond the sixteenth", many, 1},
		{"a post-quantum key after one that is not", []age.Recipient{alice.Recipient, hybrid.Recipient()}, 1},
		{"a stanza that would forge another", []age.Recipient{stanzaRecipient{{Type: "a\n-> b"}}, alice.Recipient}, 1},
		{"a stanza without a type", []age.Recipient{stanzaRecipient{{}}, alice.Recipient}, 1},
	} {
		key := NewFileKey()
		head, refused := key.Head(c.to)
		if len(refused) != c.refused {
			t.Errorf("%s: refused %v", c.name, refused)
		}
		if _, err := OpenHead(head, []age.Identity{alice.Identity}); err != nil {
			t.Errorf("%s: the rest does not open: %v", c.name, err)
		}
		if n := strings.Count(head, "\n-> "); n > MaxRecipients {
			t.Errorf("%s: %d stanzas", c.name, n)
		}
	}
	key := NewFileKey()
	if head, _ := key.Head([]age.Recipient{agetest.Refusing{}}); head != "" {
		t.Errorf("a head for nobody: %q", head)
	}
}

func FuzzSplitFile(f *testing.F) {
	key := NewFileKey()
	head, _ := key.Head([]age.Recipient{stanzaRecipient{{Type: "x", Body: []byte("y")}}})
	once := &key.OnceKeys(1)[0]
	f.Add(append([]byte(head), once.Seal([]byte("hello"))...))
	f.Add([]byte("age-encryption.org/v1\n--- \n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if head, body, err := Split(file); err == nil && head+string(body) != string(file) {
			t.Errorf("the halves are not the whole")
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	key := NewFileKey()
	line := bytes.Repeat([]byte("x"), 192)
	made := key.OnceKeys(1)[0]
	for b.Loop() {
		once := made // its derivation is the window's cost
		once.Seal(line)
	}
}

// A person opens 10 000 messages, each stored by itself under one head: the costliest way there is.
func BenchmarkOpenMessages(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	key := NewFileKey()
	head, _ := key.Head([]age.Recipient{id.Recipient()})
	bodies := make([][]byte, 10_000)
	for i := range bodies {
		once := &key.OnceKeys(1)[0]
		bodies[i] = once.Seal(make([]byte, 192))
	}
	for b.Loop() {
		opened, err := OpenHead(head, []age.Identity{id})
		if err != nil {
			b.Fatal(err)
		}
		for _, body := range bodies {
			if _, err := opened.OpenBody(head, body); err != nil {
				b.Fatal(err)
			}
		}
	}
}
