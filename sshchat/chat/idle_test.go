package chat

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/text"
)

// visit has somebody come, read everything in the room, and go.
func visit(t *testing.T, h *Hub, who Name, where RoomName) {
	t.Helper()
	h.SessionOpened(who)
	h.Mark(who, where, h.rooms[where].Log.Last())
	h.SessionClosed(who)
}

// passes has time pass for a hub whose Run is not under way, a minute at a time.
func passes(h *Hub, now *time.Time, d time.Duration) {
	for end := now.Add(d); now.Before(end); *now = now.Add(time.Minute) {
		h.releaseIdle(*now)
	}
}

func held(h *Hub, where RoomName) int { return len(h.rooms[where].Log.Tail(LogLines)) }

func TestIdleDirectRoomIsLetGo(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	pair, now := text.Direct(alice, bob), time.Now()
	for i := range 5 {
		say(t, h, "alice", pair, fmt.Sprint(i))
	}
	say(t, h, "bob", pair, "an answer")
	say(t, h, "alice", General, "in the room")
	visit(t, h, alice, pair)
	h.SessionOpened(bob)
	h.Mark(bob, pair, 6)
	passes(h, &now, 3*directIdle)
	if n := held(h, pair); n != 6 {
		t.Fatalf("%d of 6 messages are kept while bob is there", n)
	}
	reader := h.Reader(bob, From{}) // as one that is still open when the last session has gone
	h.SessionClosed(bob)
	passes(h, &now, directIdle-time.Minute)
	if n := held(h, pair); n != 6 {
		t.Fatalf("%d of 6 messages are kept before the time", n)
	}
	passes(h, &now, 2*time.Minute)
	if n := held(h, pair); n != 0 {
		t.Fatalf("%d messages are kept", n)
	}
	if n := held(h, General); n != 1 {
		t.Errorf("#general keeps %d messages", n)
	}
	if h.Kept(bob, pair) != 0 || len(h.Before(bob, pair, 0, 9)) != 0 || h.rooms[pair].Log.Last() != 6 {
		t.Errorf("%d kept, %v, last %d", h.Kept(bob, pair), h.Before(bob, pair, 0, 9), h.rooms[pair].Log.Last())
	}
	wantInbox(t, NewInbox(bob, h), "general 1/0 @0", "@alice+bob 0/0 @6")
	wantInbox(t, NewInbox(alice, h), "general 0/0 @0", "@alice+bob 0/0 @6")
	if _, err := h.Amend(t.Context(), h.caller(alice), pair, Edit, 5, words("new")); err == nil {
		t.Error("edited what is not in memory")
	}

	if m := say(t, h, "alice", pair, "the next"); m.Seq != 7 {
		t.Errorf("the next message has Seq %d", m.Seq)
	}
	for _, r := range []*Reader{reader, h.Reader(bob, From{ClearAway: 20, Unread: 200})} {
		var said []string
		for _, d := range r.Next(99) {
			if d.Gap.Count() > 0 {
				t.Errorf("a gap: %v", d.Gap)
			}
			if d.Room == pair {
				said = append(said, d.Text.String())
			}
		}
		if len(said) != 1 || said[0] != "the next" {
			t.Errorf("a reader is shown %q", said)
		}
	}
	wantInbox(t, NewInbox(bob, h), "general 1/0 @0", "@alice+bob 1/1 @6")
}

// What somebody has not read stays in memory, however long they do not come: they would need their password for it.
func TestIdleDirectRoomKeepsTheUnread(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	pair, now := text.Direct(alice, bob), time.Now()
	say(t, h, "alice", pair, "by a script: alice has no session and reads nothing")
	say(t, h, "bob", pair, "so does bob")
	h.Mark(alice, pair, 1)
	h.Mark(bob, pair, 1)
	for i := range 3 {
		say(t, h, "bob", pair, fmt.Sprint(i))
	}
	passes(h, &now, 5*directIdle)
	if n := held(h, pair); n != 4 {
		t.Errorf("%d messages are kept, not what alice has not read", n)
	}
	wantInbox(t, NewInbox(alice, h), "general 0/0 @0", "@alice+bob 4/4 @1")
	wantInbox(t, NewInbox(bob, h), "general 0/0 @0", "@alice+bob 0/0 @1")
	visit(t, h, alice, pair)
	passes(h, &now, 2*directIdle+time.Minute)
	if n := held(h, pair); n != 0 {
		t.Errorf("%d messages are kept when alice has read them", n)
	}
	// Of bob's own messages none is unread now that they are gone.
	wantInbox(t, NewInbox(bob, h), "general 0/0 @0", "@alice+bob 0/0 @5")

	for range IdleLog + 50 {
		say(t, h, "bob", pair, "a flood by a script")
	}
	passes(h, &now, 2*directIdle)
	if n := held(h, pair); n != IdleLog {
		t.Errorf("%d messages are kept of a flood", n)
	}
	wantInbox(t, NewInbox(alice, h), "general 0/0 @0", fmt.Sprintf("@alice+bob %d/%d @5", IdleLog+50, IdleLog+50))
}

// A direct room costs 6.6 KB after twenty messages, and a fifth of that when it is let go. Not parallel: it counts what the
// process has on its heap.
func TestIdleDirectRoomsCostLittle(t *testing.T) {
	const rooms, messages = 500, 20
	h := hubOver(&fakeJournal{}, nil, nil, quiet)
	alice := name(t, "alice")
	names := make([]Name, rooms)
	for i := range names {
		names[i] = name(t, fmt.Sprintf("u%d", i))
		p := h.person(names[i])
		p.log.Append(Message{}) // the array of a person's own log is not the room's
	}
	said := words(strings.Repeat("x", 60))
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	empty := heap()
	for _, n := range names {
		pair := text.Direct(alice, n)
		h.addDirect(pair)
		for seq := uint64(1); seq <= messages; seq++ {
			h.rooms[pair].Log.Append(Message{Room: pair, Seq: seq, From: alice, Kind: Say, Text: words(said.String() + fmt.Sprint(seq))})
		}
		h.Mark(n, pair, messages)
	}
	full := heap()
	now := time.Now()
	passes(h, &now, directIdle+2*time.Minute)
	idle := heap()
	before, after := int(full-empty)/rooms, int(idle-empty)/rooms
	t.Logf("%d bytes a direct room of %d messages, %d when it is let go", before, messages, after)
	if before < 4<<10 || after > 2<<10 {
		t.Errorf("%d bytes a direct room, %d when it is let go", before, after)
	}
	runtime.KeepAlive(h)
}
