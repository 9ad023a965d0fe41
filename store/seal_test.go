package store

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"

	"filippo.io/age"
)

// What seal.go writes is an age file for age itself, at every size where STREAM turns.
func TestHeadAndBodyAreAnAgeFile(t *testing.T) {
	readers := []reader{ed25519Reader(t, "alice"), rsaReader(t, "bob"), ageReader(t, "carol")}
	var to []age.Recipient
	for _, r := range readers {
		to = append(to, r.to)
	}
	for _, size := range []int{0, 1, chunkSize - 1, chunkSize, chunkSize + 1, 2 * chunkSize, 5 * chunkSize} {
		plain := make([]byte, size)
		rand.Read(plain)
		key := newFileKey()
		head, refused := key.head(to)
		if refused != nil {
			t.Fatal(refused)
		}
		once := &key.once(1)[0]
		body := once.seal(plain)
		for _, r := range readers {
			out, err := age.Decrypt(ageFile(head, body), r.id)
			if err != nil {
				t.Fatalf("%d bytes for %s: %v", size, r.name, err)
			}
			if got, err := io.ReadAll(out); err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("%d bytes for %s do not come back: %v", size, r.name, err)
			}
		}
		body[len(body)-1] ^= 1
		if _, err := key.openBody(head, body); err == nil {
			t.Errorf("%d bytes: a changed body opens", size)
		}
	}
}

// An age file that age wrote is opened by what opens ours.
func TestAgeFileOpensHere(t *testing.T) {
	alice := ed25519Reader(t, "alice")
	var file bytes.Buffer
	w, err := age.Encrypt(&file, alice.to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	head, body, err := splitFile(file.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key, err := openHead(head, []age.Identity{alice.id})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := key.openBody(head, body); err != nil || string(plain) != "hello" {
		t.Errorf("%q, %v", plain, err)
	}
}

func TestOnceKeyIsForOnce(t *testing.T) {
	key := newFileKey()
	once := &key.once(1)[0]
	once.seal([]byte("first"))
	if once.key != [32]byte{} {
		t.Error("the key is still there after its use")
	}
	defer func() {
		if s, ok := recover().(string); !ok || !strings.HasPrefix(s, "internal error: ") {
			t.Errorf("a second use says %v", s)
		}
	}()
	once.seal([]byte("second"))
}

func TestKeysOfAWindowDiffer(t *testing.T) {
	ring := newKeyring(newFileKey(), 300)
	seen := make(map[[32]byte]bool)
	for _, k := range slices.Concat(ring.msgs, ring.closes) {
		seen[k.key] = true
	}
	if len(seen) != len(ring.msgs)+len(ring.closes) {
		t.Error("two one-time keys are the same")
	}
	msgs := ring.msgs
	ring.wipe()
	if msgs[0].key != [32]byte{} || !msgs[0].spent {
		t.Error("a wiped key is still there")
	}
}

// There are always as many keys as the closes of a full window can take.
func TestClosingKeysSuffice(t *testing.T) {
	for _, n := range []int{1, 9, 10, 200, 201, 1000} {
		ring := newKeyring(newFileKey(), n)
		longest, shortest := window{}, window{}
		for range n {
			longest.lines = append(longest.lines, make([]byte, maxLine))
			shortest.lines = append(shortest.lines, make([]byte, lineStep))
		}
		for _, w := range []window{longest, shortest} {
			chunks := w.chunks()
			if len(chunks) > len(ring.closes) {
				t.Errorf("%d messages: %d closes, %d keys", n, len(chunks), len(ring.closes))
			}
			total := 0
			for _, c := range chunks {
				total += len(c)
				if size := len(bytes.Join(c, nil)); len(c) == 0 || len(c) > chunkLines || size > chunkBytes {
					t.Errorf("%d messages: a close of %d lines and %d bytes", n, len(c), size)
				}
			}
			if total != n {
				t.Errorf("%d of %d messages are in closes", total, n)
			}
		}
	}
}

type stanzaRecipient []*age.Stanza

func (r stanzaRecipient) Wrap([]byte) ([]*age.Stanza, error) { return r, nil }

// Stanza bodies that fill their last line end in an empty one; age reads each back as it was.
func TestStanzasOfEveryLength(t *testing.T) {
	alice := ageReader(t, "alice")
	for size := range 200 {
		body := bytes.Repeat([]byte{byte(size)}, size)
		key := newFileKey()
		head, refused := key.head([]age.Recipient{stanzaRecipient{{Type: "odd", Args: []string{"a", "b"}, Body: body}}, alice.to})
		if refused != nil {
			t.Fatal(refused)
		}
		got, err := openHead(head, []age.Identity{alice.id})
		if err != nil || *got != *key {
			t.Fatalf("a stanza of %d bytes: %v", size, err)
		}
	}
}

func TestHeadLeavesOut(t *testing.T) {
	alice := ageReader(t, "alice")
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat([]age.Recipient{alice.to}, maxRecipients+3)
	for _, c := range []struct {
		name    string
		to      []age.Recipient
		refused int
	}{
		{"a key that does not wrap", []age.Recipient{badRecipient{}, alice.to}, 1},
		{"a key beyond the sixteenth", many, 1},
		{"a post-quantum key after one that is not", []age.Recipient{alice.to, hybrid.Recipient()}, 1},
		{"a stanza that would forge another", []age.Recipient{stanzaRecipient{{Type: "a\n-> b"}}, alice.to}, 1},
		{"a stanza without a type", []age.Recipient{stanzaRecipient{{}}, alice.to}, 1},
	} {
		key := newFileKey()
		head, refused := key.head(c.to)
		if len(refused) != c.refused {
			t.Errorf("%s: refused %v", c.name, refused)
		}
		if _, err := openHead(head, []age.Identity{alice.id}); err != nil {
			t.Errorf("%s: the rest does not open: %v", c.name, err)
		}
		if n := strings.Count(head, "\n-> "); n > maxRecipients {
			t.Errorf("%s: %d stanzas", c.name, n)
		}
	}
	key := newFileKey()
	if head, _ := key.head([]age.Recipient{badRecipient{}}); head != "" {
		t.Errorf("a head for nobody: %q", head)
	}
}

func FuzzSplitFile(f *testing.F) {
	key := newFileKey()
	head, _ := key.head([]age.Recipient{stanzaRecipient{{Type: "x", Body: []byte("y")}}})
	once := &key.once(1)[0]
	f.Add(append([]byte(head), once.seal([]byte("hello"))...))
	f.Add([]byte("age-encryption.org/v1\n--- \n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if head, body, err := splitFile(file); err == nil && head+string(body) != string(file) {
			t.Errorf("the halves are not the whole")
		}
	})
}

func BenchmarkOpenWindow(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			alice := ed25519Reader(b, "alice")
			for b.Loop() {
				key := newFileKey()
				for range n {
					if _, refused := key.head([]age.Recipient{alice.to}); refused != nil {
						b.Fatal(refused)
					}
				}
				newKeyring(key, max(leastWindow, n))
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	key := newFileKey()
	line := bytes.Repeat([]byte("x"), 192)
	made := key.once(1)[0]
	for b.Loop() {
		once := made // its derivation is the window's cost
		once.seal(line)
	}
}

// A person opens 10 000 messages, each stored by itself under one head: the costliest way there is.
func BenchmarkOpenMessages(b *testing.B) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		b.Fatal(err)
	}
	key := newFileKey()
	head, _ := key.head([]age.Recipient{id.Recipient()})
	bodies := make([][]byte, 10_000)
	for i := range bodies {
		once := &key.once(1)[0]
		bodies[i] = once.seal(make([]byte, 192))
	}
	for b.Loop() {
		opened, err := openHead(head, []age.Identity{id})
		if err != nil {
			b.Fatal(err)
		}
		for _, body := range bodies {
			if _, err := opened.openBody(head, body); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// A batch of messages is sealed, written and synced once: what a poster waits for.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h, err := OpenHistory(b.TempDir(), HistoryOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer h.Close()
			batch := make([]chat.Event, size)
			seq := uint64(0)
			for b.Loop() {
				for i := range batch {
					seq++
					batch[i] = chat.Event{Room: chat.General, Message: chat.Message{Room: chat.General, Seq: seq, Kind: chat.Say}}
				}
				if err := h.Commit(batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
