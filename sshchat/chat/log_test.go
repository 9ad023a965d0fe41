package chat

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"sshchat/sshchat/wake"
)

// naive is a log that keeps everything, and what of it the real one must still have.
type naive struct {
	all   []Message
	first int // index of the first entry kept
	last  uint64
}

func (n *naive) append(m Message) {
	n.all = append(n.all, m)
	n.last = max(n.last, m.Seq)
	n.evict(LogLines)
}

func (n *naive) evict(lines int) {
	for len(n.all)-n.first > 1 && (len(n.all)-n.first > lines || n.bytes() > LogBytes) {
		n.first++
	}
}

func (n *naive) bytes() (sum int) {
	for _, m := range n.all[n.first:] {
		sum += m.size()
	}
	return sum
}

// tail is what is kept and known.
func (n *naive) tail() []Message {
	return slices.DeleteFunc(slices.Clone(n.all[n.first:]), func(m Message) bool { return m.Kind == Missing })
}

// place is a naive cursor: the index of the next entry and the last Seq passed.
type place struct {
	next int
	seq  uint64
}

func (n *naive) read(p *place, max int) (entries []Message, gap Gap) {
	for ; p.next < n.first; p.next++ {
		if seq := n.all[p.next].Seq; seq > p.seq {
			gap = Gap{min(seq, firstOf(gap, seq)), seq}
			p.seq = seq
		}
	}
	max = min(len(n.all), p.next+max)
	for ; p.next < max && n.all[p.next].Kind == Missing; p.next++ {
		p.seq = n.all[p.next].Seq
		gap = Gap{firstOf(gap, p.seq), p.seq}
	}
	for ; p.next < max && n.all[p.next].Kind != Missing; p.next++ {
		if seq := n.all[p.next].Seq; seq > 0 {
			p.seq = seq
		}
		entries = append(entries, n.all[p.next])
	}
	return entries, gap
}

func firstOf(g Gap, otherwise uint64) uint64 {
	if g.Count() > 0 {
		return g.From
	}
	return otherwise
}

// The log does what a log that keeps everything would, whatever is appended, trimmed and read when.
func TestLogAgainstANaiveOne(t *testing.T) {
	large := words(strings.Repeat("x", LogBytes/4)) // made once: it takes longer than all else
	rapid.Check(t, func(r *rapid.T) {
		log, model := NewLog(0), &naive{}
		var cursors []*Cursor
		var places []*place
		begin := func() {
			cursors = append(cursors, log.Cursor())
			places = append(places, &place{len(model.all), model.last})
		}
		add := func(n int, said Text, kind Kind) {
			for range n {
				m := Message{Kind: kind, Text: said}
				if kind != Notice {
					m.Seq = model.last + 1
				}
				log.Append(m)
				model.append(m)
			}
		}
		begin()
		r.Repeat(map[string]func(*rapid.T){
			"cursor": func(*rapid.T) { begin() },
			"append": func(r *rapid.T) {
				add(rapid.IntRange(1, 5).Draw(r, "n"), words(strings.Repeat("x", rapid.IntRange(0, 9).Draw(r, "size"))), rapid.SampledFrom([]Kind{Say, Notice, Missing}).Draw(r, "kind"))
			},
			"append large": func(r *rapid.T) { add(rapid.IntRange(1, 3).Draw(r, "n"), large, Say) },
			"trim": func(*rapid.T) {
				log.Trim()
				model.evict(IdleLog)
			},
			"release": func(r *rapid.T) {
				seq := rapid.Uint64Range(0, model.last).Draw(r, "seq")
				if left := log.release(seq); left != len(log.entries) {
					r.Fatalf("%d are left, and it is said %d", len(log.entries), left)
				}
				for rest := model.all[model.first:]; len(rest) > 0 && (rest[0].Seq <= seq || len(rest) > IdleLog); rest = rest[1:] {
					model.first++
				}
			},
			"read": func(r *rapid.T) {
				i := rapid.IntRange(0, len(cursors)-1).Draw(r, "cursor")
				max := rapid.IntRange(1, 20).Draw(r, "max")
				got, gap := cursors[i].Next(max)
				want, wantGap := model.read(places[i], max)
				if gap != wantGap || !same(got, want) || cursors[i].Seq() != places[i].seq {
					r.Fatalf("read %d entries, %v, at %d; want %d, %v, at %d",
						len(got), gap, cursors[i].Seq(), len(want), wantGap, places[i].seq)
				}
			},
			"": func(r *rapid.T) {
				if log.Last() != model.last || !same(log.Tail(LogLines), model.tail()) || log.bytes != model.bytes() {
					r.Fatalf("the log has %d entries of %d bytes", len(log.entries), log.bytes)
				}
				for i, c := range cursors {
					if c.Behind() != (places[i].next < len(model.all)) {
						r.Fatalf("behind: %v", c.Behind())
					}
				}
			},
		})
	})
}

func same(a, b []Message) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestCursorAfter(t *testing.T) {
	log := NewLog(10) // ten messages of before the start, none in memory
	for seq := uint64(11); seq <= 13; seq++ {
		log.Append(Message{Kind: Say, Seq: seq}, Message{Kind: Notice})
	}
	for _, c := range []struct {
		after   uint64
		gap     Gap
		entries int
	}{
		{0, Gap{1, 10}, 6}, {7, Gap{8, 10}, 6}, {10, Gap{}, 6}, {12, Gap{}, 3}, {13, Gap{}, 1}, {99, Gap{}, 1},
	} {
		entries, gap := log.CursorAfter(c.after).Next(99)
		if gap != c.gap || len(entries) != c.entries {
			t.Errorf("after %d: %v, %d entries", c.after, gap, len(entries))
		}
	}
	if n := log.Kept(); n != 3 {
		t.Errorf("%d kept", n)
	}
}

// What a reader holds does not change under it, however much is appended meanwhile.
func TestEntriesAreNotOverwritten(t *testing.T) {
	log := NewLog(0)
	c := log.Cursor()
	log.Append(Message{Seq: 1}, Message{Seq: 2}, Message{Seq: 3})
	held, _ := c.Next(2)
	_ = append(held, Message{Seq: 99}) // and what is done with it does not change the log
	for seq := uint64(4); seq < 3*LogLines; seq++ {
		log.Append(Message{Seq: seq})
	}
	if held[0].Seq != 1 || held[1].Seq != 2 {
		t.Errorf("held %d and %d", held[0].Seq, held[1].Seq)
	}
	if tail := log.Tail(LogLines); tail[0].Seq != 2*LogLines || tail[LogLines-1].Seq != 3*LogLines-1 {
		t.Errorf("kept %d to %d", tail[0].Seq, tail[LogLines-1].Seq)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, readers := range []int{0, 100, 1000} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			const said, done wake.Reason = 1, 2
			log := NewLog(0)
			var wg sync.WaitGroup
			var wakers []*wake.Waker
			for range readers {
				c, w := log.Cursor(), wake.New()
				c.Listen(w, said)
				wakers = append(wakers, w)
				wg.Go(func() {
					for w.Wait(0)&done == 0 {
						c.Next(100)
					}
				})
			}
			seq := uint64(0)
			for b.Loop() {
				seq++
				log.Append(Message{Kind: Say, Seq: seq, Text: words("hello, world")})
			}
			for _, w := range wakers {
				w.Wake(done)
			}
			wg.Wait()
		})
	}
}

// TestListeners: those that listen are woken, each for its reason, and those that stopped are forgotten.
func TestListeners(t *testing.T) {
	log := NewLog(0)
	cursors, wakers := make([]*Cursor, 5), make([]*wake.Waker, 5)
	for i := range cursors {
		cursors[i], wakers[i] = log.Cursor(), wake.New()
		cursors[i].Listen(wakers[i], wake.Reason(1<<i))
	}
	listens := []bool{true, true, true, true, true}
	const asked wake.Reason = 1 << 20
	check := func() {
		t.Helper()
		log.Append(Message{Kind: Notice})
		for i, w := range wakers {
			want := wake.Reason(0)
			if listens[i] {
				want = 1 << i
			}
			w.Wake(asked) // so that it waits for nothing
			if got := w.Wait(0) &^ asked; got != want {
				t.Errorf("%d was woken for %b, want %b", i, got, want)
			}
		}
	}
	check()
	for _, i := range []int{1, 4, 0, 3, 2} {
		cursors[i].Unlisten()
		cursors[i].Unlisten() // once more changes nothing
		listens[i] = false
		check()
	}
	if all := log.listeners[:cap(log.listeners)]; slices.ContainsFunc(all, func(c *Cursor) bool { return c != nil }) {
		t.Error("the log refers to cursors that do not listen")
	}
}
