package history

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

func TestKeysOfAWindowDiffer(t *testing.T) {
	t.Parallel()
	ring := newKeyring(agesplit.NewFileKey(), 300)
	seen := make(map[string]bool)
	all := slices.Concat(ring.msgs, ring.closes) // copies: sealing with one spends the copy
	for i := range all {
		seen[string(all[i].Seal(nil))] = true
	}
	if len(seen) != len(all) {
		t.Error("two one-time keys are the same")
	}
	msgs := ring.msgs
	ring.wipe()
	defer func() {
		if recover() == nil {
			t.Error("a wiped key is still there")
		}
	}()
	msgs[0].Seal(nil)
}

// There are always as many keys as the closes of a full window can take.
func TestClosingKeysSuffice(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 9, 10, 200, 201, 1000} {
		ring := newKeyring(agesplit.NewFileKey(), n)
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

func BenchmarkOpenWindow(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			alice := ed25519Reader(b, "alice")
			for b.Loop() {
				key := agesplit.NewFileKey()
				for range n {
					if _, refused := key.Head([]age.Recipient{alice.to}); refused != nil {
						b.Fatal(refused)
					}
				}
				newKeyring(key, max(leastWindow, n))
			}
		})
	}
}

// A batch of messages is sealed, written and synced once: what a poster waits for.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			h, err := Open(b.TempDir(), Options{})
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
