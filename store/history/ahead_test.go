package history

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// heldUp is a place of many readers, and what lets heads be made: while it is held, none is.
func heldUp(t *testing.T, others ...reader) (p *place, alice reader, hold *sync.RWMutex) {
	t.Helper()
	p, alice = crowded(t, spareReaders)
	p.cheapen()
	for _, r := range others {
		p.keys[r.name] = []age.Recipient{r.to}
		p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
	}
	hold = new(sync.RWMutex)
	keys := p.opt.Recipients
	p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		hold.RLock()
		defer hold.RUnlock()
		return keys(s, room, name)
	}
	return p, alice, hold
}

// made waits until all that is to be made ahead is made.
func (p *place) made() {
	p.t.Helper()
	ahead := p.h.rooms[chat.General].ahead
	if len(ahead) != 1+spareWindows {
		p.t.Fatalf("%d windows are made ahead", len(ahead))
	}
	for _, w := range ahead {
		closes(p.t, "a window", w.made)
	}
}

// In a large room the first message after a change of readers has its window made ahead, and so have those after two changes
// that follow at once: nobody's head is made then. The fourth has not: the control.
func TestWindowsAreMadeAhead(t *testing.T) {
	t.Parallel()
	bob := ageReader(t, "bob")
	p, alice, hold := heldUp(t, bob)
	p.open()
	p.say(alice, "for both")
	p.made()
	hold.Lock() // no head is made from here on
	for i, name := range []chat.Name{bob.name, mustName(t, "extra1"), mustName(t, "extra2")} {
		p.commit(change(chat.General, chat.Leave, name))
		p.say(alice, fmt.Sprintf("not for bob %d", i))
	}
	p.commit(change(chat.General, chat.Leave, mustName(t, "extra3")))
	fourth := p.h.Prepared(chat.General, chat.NoChange)
	select {
	case <-fourth:
		t.Error("a fourth window is made though no head can be")
	default:
	}
	hold.Unlock()
	closes(t, "the fourth", fourth)
	p.say(alice, "nor this")
	if got := p.texts(bob); !slices.Equal(got, []string{"for both"}) {
		t.Errorf("bob reads %q", got)
	}
	if got := p.texts(alice); len(got) != 5 {
		t.Errorf("alice reads %q", got)
	}
}

// A batch that is not stored costs no window that was made ahead and is still good; one that has begun with readers who
// are not its readers any more is made anew.
func TestWindowsMadeAheadOutliveAFailure(t *testing.T) {
	t.Parallel()
	for _, changes := range []bool{false, true} {
		for _, drops := range []bool{false, true} {
			bob := ageReader(t, "bob")
			p, alice, hold := heldUp(t, bob)
			disk := powercut.New()
			h, err := open(disk, "data", p.opt)
			if err != nil {
				t.Fatal(err)
			}
			p.h = h
			p.say(alice, "one")
			p.made()
			before := h.rooms[chat.General].ahead
			p.commit(change(chat.General, chat.Leave, mustName(t, "extra1")))
			batch := []chat.Event{p.message(chat.General, alice.name, "never stored")}
			if changes {
				batch = append(batch, change(chat.General, chat.Leave, bob.name), p.message(chat.General, alice.name, "never stored"))
			}
			tx := p.transaction(batch...)
			if drops {
				tx.Rollback()
			} else {
				disk.FailFrom(1, syscall.ENOSPC)
				if tx.Store() == nil {
					t.Fatal("stored on a full disk")
				}
				disk.Heal()
			}
			p.seqs = h.Last()
			after := h.rooms[chat.General].ahead
			if kept := slices.Equal(after, before); kept == changes {
				t.Errorf("with a change in the batch %v, dropped %v: the windows are the same: %v", changes, drops, kept)
			}
			for _, w := range before {
				if w.dropped.Load() == slices.Contains(after, w) {
					t.Error("a window that is used no more is kept, or one that is used was dropped")
				}
			}
			if !changes {
				hold.Lock()
			}
			p.say(alice, "two")
			if !changes {
				hold.Unlock()
			}
			if reads, want := h.Sealed(bob.name, chat.General), 2; (reads == want) != (!changes || drops) {
				t.Errorf("with a change in the batch %v, dropped %v: %d messages are sealed to bob", changes, drops, reads)
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// What the first message after a ban takes to be durable in a room of many readers, when nothing was banned for a while, and
// when the ban follows another at once, and that a third.
func BenchmarkAfterABan(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			p, alice := crowded(b, n)
			p.open()
			p.say(alice, "the first")
			bans := make([]time.Duration, 2+spareWindows) // the last finds nothing made ahead
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				for _, ahead := range p.h.rooms[chat.General].ahead {
					closes(b, "a window", ahead.made)
				}
				for j := range bans {
					p.commit(change(chat.General, chat.Leave, mustName(b, fmt.Sprintf("extra%d", (len(bans)*i+j)%(n/2)))))
					begun := time.Now()
					p.say(alice, "hello")
					bans[j] += time.Since(begun)
				}
				b.StartTimer()
			}
			for j, took := range bans {
				b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), fmt.Sprintf("ms/%d.", j+1))
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// What the first message after a start takes to be durable in a room of many readers: heads are made of all of them.
func BenchmarkAfterAStart(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			p, alice := crowded(b, n)
			for b.Loop() {
				p.open()
				p.say(alice, "hello")
				b.StopTimer()
				if err := p.h.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// How many heads a message costs in a flood.
func BenchmarkHeadsInAFlood(b *testing.B) {
	for _, n := range []int{10, 100, 1_000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			p, alice := crowded(b, n)
			p.cheapen()
			p.opt.NoSync = true
			p.open()
			batch := make([]chat.Event, 100)
			for b.Loop() {
				for i := range batch {
					batch[i] = p.message(chat.General, alice.name, "hello")
				}
				p.commit(batch...)
			}
			head, err := p.h.Head(chat.General)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(head.W)*float64(n)/float64(head.Seq), "heads/message")
			b.ReportMetric(0, "ns/op")
		})
	}
}
