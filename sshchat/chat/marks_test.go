package chat

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"

	"sshchat/sshchat/text"
)

// notebook is a Marks in memory.
type notebook struct {
	mu    sync.Mutex
	marks map[Name]map[RoomName]uint64
}

func (n *notebook) Mark(name Name, room RoomName, seq uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.marks == nil {
		n.marks = make(map[Name]map[RoomName]uint64)
	}
	if n.marks[name] == nil {
		n.marks[name] = make(map[RoomName]uint64)
	}
	n.marks[name][room] = max(n.marks[name][room], seq)
}

func (n *notebook) MarksOf(name Name) map[RoomName]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.marks[name])
}

// kinds are the kinds of what was delivered.
func kinds(ds []Delivery) []Kind {
	var out []Kind
	for _, d := range ds {
		out = append(out, d.Kind)
	}
	return out
}

func TestMarkTellsTheOtherSessionsOnly(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	h.SessionOpened(alice)
	r := h.Reader(alice, From{Peek: true})
	say(t, h, "bob", General, "one")
	say(t, h, "bob", General, "two")
	h.Mark(alice, General, 1)
	if got := kinds(r.Next(9)); len(got) != 2 {
		t.Errorf("the only session was woken to hear what it had said itself: %v", got)
	}
	h.SessionOpened(alice)
	other := h.Reader(alice, From{Peek: true})
	bob := h.Reader(name(t, "bob"), From{})
	h.Mark(alice, General, 2)
	h.Mark(alice, General, 1) // marks only rise
	h.Mark(alice, General, 2)
	if ds := other.Next(9); len(ds) != 1 || ds[0].Kind != Marked || ds[0].Room != General || ds[0].Seq != 2 {
		t.Errorf("the other session hears %v", ds)
	}
	expect(t, bob)
}

// What was read on another server counts here, also before the message and the room are known, and all sessions hear of it.
func TestMarkedElsewhere(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, kept := name(t, "alice"), &notebook{}
	h.marks = kept
	h.SessionOpened(alice)
	r := h.Reader(alice, From{Peek: true})
	say(t, h, "bob", General, "one")
	b := NewInbox(alice, h)
	b.Deliver(r.Spans(9))
	r.Done()
	h.MarkedElsewhere(alice, General, 2)
	h.MarkedElsewhere(alice, General, 1) // marks only rise
	say(t, h, "bob", General, "two")     // which comes here later than that it was read
	spans := r.Spans(9)
	b.Deliver(spans)
	r.Done()
	if got := unreadOf(b, General); got != 0 {
		t.Errorf("%d unread", got)
	}
	if got := unreadOf(NewInbox(alice, h), General); got != 0 {
		t.Errorf("%d unread in a session that begins then", got)
	}
	say(t, h, "bob", General, "three")
	b.Deliver(r.Spans(9))
	r.Done()
	if got := unreadOf(b, General); got != 1 {
		t.Errorf("control: %d unread of what nobody has read", got)
	}
	if len(kept.marks) != 0 {
		t.Errorf("the hub has it sent again: %v", kept.marks)
	}
	ci := room(t, "ci")
	h.MarkedElsewhere(alice, ci, 1)
	h.MarkedElsewhere(name(t, "stranger"), ci, 1)
	join(t, h, "bob", "ci")
	join(t, h, "alice", "ci")
	say(t, h, "bob", ci, "hello")
	say(t, h, "bob", ci, "again")
	if got := unreadOf(NewInbox(alice, h), ci); got != 1 {
		t.Errorf("%d unread in a room that was read before it was known here", got)
	}
}

func unreadOf(b *Inbox, room RoomName) int {
	for _, r := range b.List() {
		if r.Name == room {
			return r.Unread
		}
	}
	return -1
}

// mark-of-another-room: nobody raises a mark where they do not belong, nor beyond what was said.
func TestMarksThatAreNot(t *testing.T) {
	kept := &notebook{}
	h := start(t, &fakeJournal{}, "alice", "mallory")
	h.marks = kept
	join(t, h, "alice", "ci")
	say(t, h, "alice", room(t, "ci"), "secret")
	say(t, h, "alice", General, "hello")
	mallory := name(t, "mallory")
	for _, where := range []RoomName{room(t, "ci"), room(t, "nowhere"), text.Direct(name(t, "alice"), mallory)} {
		h.Mark(mallory, where, 1)
	}
	h.Mark(name(t, "stranger"), General, 1)
	if len(kept.marks) != 0 {
		t.Errorf("kept are %v", kept.marks)
	}
	h.Mark(mallory, General, 1<<63)
	if got := kept.MarksOf(mallory)[General]; got != 1 {
		t.Errorf("the mark is %d, of one message", got)
	}
	say(t, h, "alice", General, "again")
	if got := h.Marks(mallory)[General]; got != 1 {
		t.Errorf("a message was read before it was said: the mark is %d", got)
	}
}

func TestMarksOutliveTheHub(t *testing.T) {
	alice := name(t, "alice")
	kept := &notebook{}
	kept.Mark(alice, General, 7)
	kept.Mark(alice, room(t, "old"), 9) // its history was put back to an older copy
	kept.Mark(alice, room(t, "gone"), 3)
	h := hubOver(&fakeJournal{}, kept, []RoomState{
		{Name: General, Last: 10, Members: []Member{{alice, 1}}},
		{Name: room(t, "old"), Last: 5, Members: []Member{{alice, 1}}},
		{Name: room(t, "new"), Last: 5, Members: []Member{{alice, 4}}},
	}, quiet)
	want := map[RoomName]uint64{General: 7, room(t, "old"): 5, room(t, "new"): 3}
	if got := h.Marks(alice); !maps.Equal(got, want) {
		t.Errorf("marks are %v, want %v", got, want)
	}
}

func TestReaderBeginsAtTheMark(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	ci, pair := room(t, "ci"), text.Direct(alice, bob)
	for i := range 6 {
		for _, where := range []RoomName{General, ci, pair} {
			say(t, h, "alice", where, fmt.Sprint(i+1))
		}
	}
	h.Mark(bob, General, 5)
	h.Mark(bob, ci, 5)
	h.Mark(bob, pair, 5)
	expect(t, h.Reader(bob, From{Unread: 9, ClearAway: 3}), "general:4", "general:5", "general:6", "ci:6", "@alice+bob:6")
	expect(t, h.Reader(bob, From{Unread: 9}), "general:6", "ci:6", "@alice+bob:6")
	expect(t, h.Reader(name(t, "alice"), From{Unread: 2, ClearAway: 1}),
		"general:5", "ci:5", "@alice+bob:5", "general:6", "ci:6", "@alice+bob:6")
	expect(t, h.Reader(bob, From{Peek: true}))
}

func TestWhatAReaderShowsIsRead(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	say(t, h, "alice", General, "one")
	say(t, h, "alice", General, "two")
	mark := func(want uint64, how string) {
		t.Helper()
		if got := h.Marks(bob)[General]; got != want {
			t.Errorf("%s: the mark is %d, want %d", how, got, want)
		}
	}
	r := h.Reader(bob, From{})
	say(t, h, "alice", General, "three")
	r.Next(9)
	r.Close()
	mark(0, "who began after unread messages")
	r = h.Reader(bob, From{Unread: 9, Peek: true})
	r.Next(9)
	r.Close()
	mark(0, "who peeked")
	r = h.Reader(bob, From{Unread: 9})
	r.Next(2)
	r.Close()
	mark(2, "who was handed two")
	r = h.Reader(bob, From{ClearAway: 1})
	r.Next(9)
	r.Close()
	mark(3, "who was handed the rest")
}

// A session marks as often as it draws: it must cost little, and not stand in the way of others.
func BenchmarkMark(b *testing.B) {
	h := start(b, &fakeJournal{}, "alice")
	h.rooms[General].Log.Append(Message{Seq: 1 << 62})
	h.marks = &notebook{}
	alice := name(b, "alice")
	h.SessionOpened(alice)
	var seq atomic.Uint64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			h.Mark(alice, General, seq.Add(1))
		}
	})
}

func TestChangedReachesEverySession(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	readers := []*Reader{h.Reader(alice, From{}), h.Reader(alice, From{Only: []RoomName{General}})}
	bob := h.Reader(name(t, "bob"), From{})
	h.changed(alice)
	h.changed(name(t, "nobody"))
	for _, r := range readers {
		if got := kinds(r.Next(9)); len(got) != 1 || got[0] != Changed {
			t.Errorf("a session hears %v", got)
		}
	}
	expect(t, bob)
}
