package history

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// gated is a place of many readers, and what lets heads be made: while it is held, none is.
func gated(t *testing.T, others ...reader) (p *place, alice reader, gate *sync.RWMutex) {
	t.Helper()
	p, alice = crowded(t, spareReaders)
	p.cheapen()
	for _, r := range others {
		p.keys[r.name] = []age.Recipient{r.to}
		p.opt.Rooms[0].Members = append(p.opt.Rooms[0].Members, chat.Member{Name: r.name, Since: 1})
	}
	gate = new(sync.RWMutex)
	keys := p.opt.Recipients
	p.opt.Recipients = func(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient {
		gate.RLock()
		defer gate.RUnlock()
		return keys(s, room, name)
	}
	return p, alice, gate
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
	p, alice, gate := gated(t, bob)
	p.open()
	p.say(alice, "for both")
	p.made()
	gate.Lock() // no head is made from here on
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
	gate.Unlock()
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
			p, alice, gate := gated(t, bob)
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
			d := p.draft(batch...)
			if drops {
				d.Drop()
			} else {
				disk.FailFrom(1, unix.ENOSPC)
				if d.Store() == nil {
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
				gate.Lock()
			}
			p.say(alice, "two")
			if !changes {
				gate.Unlock()
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
// when the ban follows another at once.
func BenchmarkAfterABan(b *testing.B) {
	for _, n := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("readers=%d", n), func(b *testing.B) {
			p, alice := crowded(b, n)
			p.open()
			var first, second time.Duration
			ban := func(i int) time.Duration {
				p.commit(change(chat.General, chat.Leave, mustName(b, fmt.Sprintf("extra%d", i))))
				begun := time.Now()
				p.say(alice, "hello")
				return time.Since(begun)
			}
			for i := 0; b.Loop(); i += 2 {
				b.StopTimer()
				for _, ahead := range p.h.rooms[chat.General].ahead {
					closes(b, "a window", ahead.made)
				}
				b.StartTimer()
				first += ban(i % (n / 2))
				second += ban(i%(n/2) + 1)
			}
			b.ReportMetric(float64(first.Microseconds())/1000/float64(b.N), "ms/first")
			b.ReportMetric(float64(second.Microseconds())/1000/float64(b.N), "ms/second")
			b.ReportMetric(0, "ns/op")
		})
	}
}
