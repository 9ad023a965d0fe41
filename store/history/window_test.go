package history

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// derived is a keyring as a window has it.
func derived(key *agesplit.FileKey, n int) *keyring {
	ring := newKeyring(n)
	for some := range ring.some() {
		key.Derive(some)
	}
	return ring
}

func TestKeysOfAWindowDiffer(t *testing.T) {
	t.Parallel()
	ring := derived(agesplit.NewFileKey(), 300)
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
		ring := newKeyring(n)
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
				derived(key, max(leastWindow, n))
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

// A window holds as many messages as the room has members, and where they come fast more; so a head is made for fewer of them.
// What a window that is longer than usual holds was said within a minute.
func TestWindowsOfBusyRooms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		readers int
		between time.Duration // messages
		window  int           // messages in each
	}{
		{2, 0, 200}, {40, 0, 200}, {100, 0, 400}, {300, 0, 1200},
		{2, time.Second, 200}, {100, 400 * time.Millisecond, 200}, {300, time.Second, 300},
		{100, 200 * time.Millisecond, 300}, // a minute
	} {
		p, alice := crowded(t, c.readers)
		p.cheapen()
		p.opt.NoSync = true
		h := p.open()
		const windows = 2
		for range windows * c.window {
			p.say(alice, "hello")
			p.now = p.now.Add(c.between)
		}
		head, err := h.Head(chat.General)
		if err != nil {
			t.Fatal(err)
		}
		if head.W != windows {
			t.Errorf("%d readers, a message each %v: %d messages are in %d windows", c.readers, c.between, head.Seq, head.W)
		}
		p.say(alice, "one more")
		if head, err = h.Head(chat.General); err != nil || head.W != windows+1 {
			t.Errorf("%d readers, a message each %v: a window holds more than %d messages: %v", c.readers, c.between, c.window, err)
		}
	}
	for readers, want := range map[int]windowSize{0: {200, 200}, 1000: {1000, 4000}, 3000: {3000, 4000}, 10_000: {10_000, 10_000}} {
		if got := sizeOf(0, readers); got != want {
			t.Errorf("a window of %d readers: %+v", readers, got)
		}
	}
}
