package chat

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"sshchat/sshchat/text"
)

// lossy has the texts of some messages not arrive.
type lossy struct {
	*spot
	lost map[string]bool
	out  chan Batch
}

func (l *lossy) Events() <-chan Batch { return l.out }

func (l *lossy) relay() {
	for b := range l.spot.out {
		b.Events = slices.Clone(b.Events)
		for i := range b.Events {
			if m := &b.Events[i].Message; l.lost[m.Text.String()] {
				*m = Message{Room: m.Room, Seq: m.Seq, At: m.At, Kind: Missing}
			}
		}
		l.out <- b
	}
}

// missingAt is a realm at whose second hub those texts do not arrive.
func missingAt(t *testing.T, lost ...string) *realm {
	t.Helper()
	l := &lossy{lost: make(map[string]bool), out: make(chan Batch)}
	for _, s := range lost {
		l.lost[s] = true
	}
	r := newRealm(t, func(i int, s *spot) Journal {
		if i == 0 {
			return s
		}
		l.spot = s
		return l
	}).run(t)
	go l.relay()
	t.Cleanup(func() { close(l.spot.out) })
	return r
}

// deliveries is what a reader is handed, in short.
func deliveries(r *Reader) (all []string) {
	for ds := r.Next(99); len(ds) > 0; ds = r.Next(99) {
		for _, d := range ds {
			switch {
			case d.Gap.Count() > 0:
				all = append(all, fmt.Sprintf("%d-%d missed", d.Gap.From, d.Gap.To))
			case d.Seq > 0 && !d.Room.IsZero() && d.Kind.Stored():
				all = append(all, d.Text.String())
			case d.Kind == Missing:
				all = append(all, "what is missing is shown")
			}
		}
	}
	return all
}

// Of messages whose texts did not arrive readers see gaps, of exactly those; each is there before the next, and at the end.
func TestMissingTextsAreGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := missingAt(t, "b", "c", "f", "bob: lost")
		leader, h := r.hubs[0], r.hubs[1]
		bob := name(t, "bob")
		pair := text.Direct(name(t, "alice"), bob)
		readers := []*Reader{h.Reader(bob, From{Only: []RoomName{General}})}
		for _, s := range []string{"a", "b", "c", "d", "e", "f"} {
			say(t, leader, "alice", General, s)
			synctest.Wait()
			readers = append(readers, h.Reader(bob, From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 1}}))
		}
		readers = append(readers, h.Reader(bob, From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 0}}))
		for i, reader := range readers {
			want := []string{"a", "2-3 missed", "d", "e", "6-6 missed"}
			if i > 0 && i < len(readers)-1 {
				want = want[1:]
			}
			if got := deliveries(reader); !slices.Equal(got, want) {
				t.Errorf("reader %d: %q, not %q", i, got, want)
			}
		}
		wantInbox(t, NewInbox(bob, h), "general 6/0 @0")
		wantInbox(t, NewInbox(name(t, "alice"), h), "general 3/0 @0") // whose they are is not known
		var said []string
		for _, m := range h.Before(bob, General, 0, 99) {
			said = append(said, m.Text.String())
		}
		if !slices.Equal(said, []string{"a", "d", "e"}) || h.rooms[General].Log.Last() != 6 {
			t.Errorf("in memory: %q", said)
		}
		all := h.Reader(bob, From{})
		say(t, leader, "alice", pair, "bob: lost") // their first
		synctest.Wait()
		if got := deliveries(all); !slices.Equal(got, []string{"1-1 missed"}) || !h.In(bob, pair) {
			t.Errorf("in a room of two that is new: %q", got)
		}
		m := say(t, leader, "alice", pair, "found")
		synctest.Wait()
		if got := deliveries(all); !slices.Equal(got, []string{"found"}) || m.Seq != 2 {
			t.Errorf("after it: %q", got)
		}
	})
}

// What is missing cannot be found, edited or reacted to at a hub that lacks it and leads, and can be replied to, as what memory no
// longer has. What happens to it at another hub harms nobody.
func TestMissingMessageIsAsOneThatMemoryHasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := missingAt(t, "lost", "edited")
		leader, h := r.hubs[0], r.hubs[1]
		alice := leader.caller(name(t, "alice"))
		for _, s := range []string{"before", "lost", "edited", "after"} {
			say(t, leader, "alice", General, s)
		}
		for _, do := range []func() (Message, error){
			func() (Message, error) { return leader.Amend(t.Context(), alice, General, Edit, 3, words("new")) },
			func() (Message, error) { return leader.React(t.Context(), alice, General, React, 3, words("👍")) },
			func() (Message, error) { return leader.Amend(t.Context(), alice, General, Delete, 3, Text{}) },
		} {
			if _, err := do(); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		reader := h.Reader(name(t, "bob"), From{Only: []RoomName{General}, After: map[RoomName]uint64{General: 0}})
		if got := deliveries(reader); !slices.Equal(got, []string{"before", "2-3 missed", "after", "", "", ""}) {
			t.Errorf("shown: %q", got)
		}
		r.leads.Store(h)
		if _, found := h.Find(name(t, "bob"), General, 2); found {
			t.Error("it is found")
		}
		for i, do := range []func() (Message, error){
			func() (Message, error) { return h.Amend(t.Context(), alice, General, Edit, 2, words("new")) },
			func() (Message, error) { return h.Amend(t.Context(), alice, General, Delete, 2, Text{}) },
			func() (Message, error) { return h.React(t.Context(), alice, General, React, 2, words("👍")) },
		} {
			if _, err := do(); !errors.Is(err, ErrNoMessage) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		if _, err := h.Reply(t.Context(), alice, General, 2, words("yes")); err != nil {
			t.Error(err)
		}
		if got := h.Before(name(t, "bob"), General, 0, 1); got[0].Of != 2 {
			t.Errorf("the reply: %+v", got)
		}
	})
}
