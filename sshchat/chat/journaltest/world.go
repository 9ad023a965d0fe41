package journaltest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// world is a rig and its people: alice, an admin, with bob in #dev; carol and dave are in #general alone.
type world struct {
	testing.TB
	rig                     Rig
	ctx                     context.Context
	alice, bob, carol, dave *Person
	dev                     chat.RoomName
}

// patience is how long a case takes at most, so that one that hangs says where.
const patience = 2 * time.Minute

func newWorld(t testing.TB, maker Maker, o Options) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w := &world{
		TB: t, rig: maker(t, o), ctx: ctx,
		alice: NewPerson(t, "alice"), bob: NewPerson(t, "bob"), carol: NewPerson(t, "carol"), dave: NewPerson(t, "dave"),
	}
	t.Cleanup(func() {
		cancel()
		if err := w.rig.Close(); err != nil {
			t.Errorf("the rig does not end: %v", err)
		}
	})
	w.dev = w.room("dev")
	for i, p := range []*Person{w.alice, w.bob, w.carol, w.dave} {
		role := chat.User
		if i == 0 {
			role = chat.Admin
		}
		w.must(w.decide(i, chat.TheServer, chat.CreateAccount{Account: p.Account(role)}))
		w.settle()
	}
	w.must(w.decide(0, w.alice.Caller, chat.JoinRoom{Room: w.dev}))
	w.settle()
	w.must(w.decide(0, w.bob.Caller, chat.JoinRoom{Room: w.dev}))
	w.settle()
	return w
}

// must ends the case after an error.
func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) room(name string) chat.RoomName {
	w.Helper()
	room, err := text.ParseRoomName(name)
	w.must(err)
	return room
}

// hub is the i-th, counted round.
func (w *world) hub(i int) *chat.Hub { hubs := w.rig.Hubs(); return hubs[i%len(hubs)] }

func (w *world) decide(i int, who chat.Caller, in chat.Intent) error {
	return w.hub(i).Decide(w.ctx, who, in, nil)
}

// post says something, and returns the message's Seq.
func (w *world) post(h *chat.Hub, who *Person, room chat.RoomName, said string) (uint64, error) {
	m, err := h.Post(w.ctx, who.Caller, room, chat.Say, words(said))
	return m.Seq, err
}

func words(said string) chat.Text {
	t, err := text.ParseText(said)
	if err != nil {
		panic(err)
	}
	return t
}

// settle returns when each hub has what all of them have acknowledged so far: it asks each for something that changes nothing,
// and has its place after all that.
func (w *world) settle() {
	w.Helper()
	for i, h := range w.rig.Hubs() {
		if err := h.Decide(w.ctx, chat.TheServer, chat.Expire{}, nil); err != nil {
			w.Fatalf("hub %d: %v", i, err)
		}
	}
}

// line is what matters of a message.
type line struct {
	seq     uint64
	from    string
	kind    chat.Kind
	text    string
	of      uint64
	deleted bool
}

// lines are the stored ones among the messages.
func lines(messages []chat.Message) (all []line) {
	for _, m := range messages {
		if m.Seq > 0 {
			all = append(all, line{m.Seq, m.From.String(), m.Kind, m.Text.String(), m.Of, m.Deleted})
		}
	}
	return all
}

// shown is what a hub shows somebody of a room.
func shown(h *chat.Hub, who *Person, room chat.RoomName) []line {
	return lines(h.Before(who.Name, room, 0, chat.LogLines))
}

// stored is what somebody reads of a room out of what hub i has stored, since they are in it.
func (w *world) stored(i int, who *Person, room chat.RoomName) []line {
	w.Helper()
	all, err := w.rig.Stored(i, *who, room)
	if err != nil {
		w.Fatalf("hub %d: %s reads %s: %v", i, who.Name, room, err)
	}
	since := w.rig.Hubs()[i].Since(who.Name, room)
	return slices.DeleteFunc(lines(all), func(l line) bool { return l.seq < since })
}

// agree says how the hubs differ: their States, and what they show of the rooms. A hub that has started again shows less, but
// nothing else.
func (w *world) agree(rooms ...chat.RoomName) {
	w.Helper()
	w.settle()
	first := w.rig.Hubs()[0]
	for i, h := range w.rig.Hubs() {
		if d := h.View().Since(first.View().State); !d.IsZero() {
			w.Errorf("hub %d has another State than hub 0: %+v", i, d)
		}
		for _, room := range rooms {
			of, err := h.Room(w.alice.Name, room)
			other, err2 := first.Room(w.alice.Name, room)
			if err != nil || err2 != nil || of.Last != other.Last {
				w.Errorf("hub %d: %s ends with message %d, and hub 0 with %d; %v, %v", i, room, of.Last, other.Last, err, err2)
			}
			if err := alike(shown(first, w.alice, room), shown(h, w.alice, room)); err != nil {
				w.Errorf("hub %d and hub 0, %s: %v", i, room, err)
			}
		}
	}
}

// alike says how what was said differs where both have it.
func alike(a, b []line) error {
	if len(a) > 0 && len(b) > 0 && a[len(a)-1].seq != b[len(b)-1].seq {
		return fmt.Errorf("one ends with message %d, the other with %d", a[len(a)-1].seq, b[len(b)-1].seq)
	}
	for len(a) > 0 && len(b) > 0 {
		one, two := a[len(a)-1], b[len(b)-1]
		if one != two {
			return fmt.Errorf("%+v is not %+v", one, two)
		}
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return nil
}

// gapless says where the messages do not count from first up.
func gapless(all []line, first uint64) error {
	for i, l := range all {
		if l.seq != first+uint64(i) {
			return fmt.Errorf("message %d stands in the place of %d", l.seq, first+uint64(i))
		}
	}
	return nil
}

// count is how many say that.
func count(all []line, said string) (n int) {
	for _, l := range all {
		if l.text == said {
			n++
		}
	}
	return n
}
