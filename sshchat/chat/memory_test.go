package chat

import (
	"context"
	"fmt"
	"runtime"
	"slices"
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

// conversation is a hub's memory as it is taken along: #general and #dev, with alice, bob and carol in both, alice and bob alone,
// edits, deletions and notices. carol came to #dev late, and dan has left it.
func conversation(t *testing.T) (State *State, last map[RoomName]uint64, memory []RoomMemory) {
	t.Helper()
	members := []Member{{name(t, "alice"), 1}, {name(t, "bob"), 1}, {name(t, "carol"), 1}, {name(t, "dan"), 1}}
	h := hubOver(&fakeJournal{}, nil, []RoomState{{Name: General, Members: members}}, quiet)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	dev, pair := room(t, "dev"), text.Direct(name(t, "alice"), name(t, "bob"))
	for _, who := range []string{"alice", "bob", "dan"} {
		join(t, h, who, "dev")
	}
	say(t, h, "alice", General, "one")
	say(t, h, "bob", General, "deleted later")
	say(t, h, "bob", General, "edited later")
	amend(t, h, "bob", Edit, 3, "edited")
	amend(t, h, "bob", Delete, 2, "")
	if _, err := h.Reply(ctx, h.caller(name(t, "bob")), General, 1, words("a reply")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.React(ctx, h.caller(name(t, "bob")), General, React, 1, words("👍")); err != nil {
		t.Fatal(err)
	}
	say(t, h, "dan", dev, "before carol")
	h.NotifyRoom(name(t, "alice"), dev, "alice did something before carol came")
	join(t, h, "carol", "dev")
	part(t, h, "dan", "dev")
	say(t, h, "bob", dev, "for carol too")
	say(t, h, "alice", pair, "between us")
	h.KeepMemory()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	state := h.View().State
	memory = slices.Collect(h.TakeMemory())
	last = make(map[RoomName]uint64)
	for name, r := range h.rooms {
		last[name] = r.Log.Last()
		if r.Log.holds() {
			t.Errorf("%s is in memory twice", name)
		}
	}
	return state, last, memory
}

// restored is a hub over what was decided and stored, with what rooms had in memory.
func restored(t *testing.T, state *State, last map[RoomName]uint64, memory []RoomMemory) *Hub {
	t.Helper()
	h := NewHub(Config{Journal: &fakeJournal{}, State: state, Clock: moment, Last: last, Log: quiet})
	for _, m := range memory {
		if _, err := h.RestoreMemory(m); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// sees is what somebody can scroll back to.
func sees(t *testing.T, h *Hub, who string, where RoomName) string {
	t.Helper()
	return strings.Join(told(h.Before(name(t, who), where, 0, LogLines)), "; ")
}

func TestMemoryAfterARestart(t *testing.T) {
	state, last, memory := conversation(t)
	dev, pair := room(t, "dev"), text.Direct(name(t, "alice"), name(t, "bob"))
	if len(memory) != 3 || memory[0].Room != pair || memory[1].Room != dev {
		t.Fatalf("the newest come first: %v", memory)
	}
	h := restored(t, state, last, memory)
	general := sees(t, h, "alice", General)
	if strings.Contains(general, "later") || !strings.Contains(general, "one") || !strings.Contains(general, "edited") {
		t.Errorf("#general: %s", general)
	}
	first := h.Before(name(t, "alice"), General, 0, LogLines)[0]
	if !strings.Contains(general, "a reply") || !first.Reactions.Has(name(t, "bob"), words("👍")) {
		t.Errorf("the reply and the reaction: %s, %+v", general, first)
	}
	for who, wants := range map[string][]bool{"alice": {true, true, true}, "carol": {false, false, true}, "dan": {false, false, false}} {
		for i, said := range []string{"before carol", "did something before carol came", "for carol too"} {
			if got := strings.Contains(sees(t, h, who, dev), said); got != wants[i] {
				t.Errorf("%s sees %q: %v", who, said, got)
			}
		}
	}
	if sees(t, h, "bob", pair) == "" || sees(t, h, "carol", pair) != "" {
		t.Errorf("the direct room: bob %q, carol %q", sees(t, h, "bob", pair), sees(t, h, "carol", pair))
	}

	// It goes on as if nothing had happened: numbers, order, edits of what was said before.
	running(t, h)
	if m := say(t, h, "bob", dev, "next"); m.Seq != 3 {
		t.Errorf("the next message is %d", m.Seq)
	}
	amend(t, h, "alice", Edit, 1, "uno")
	if now := sees(t, h, "bob", General); !strings.Contains(now, "uno") {
		t.Errorf("after an edit: %s", now)
	}
	entries := h.Before(name(t, "bob"), dev, 0, LogLines)
	if n := len(entries); entries[n-1].DisplaySeq <= entries[n-2].DisplaySeq {
		t.Error("the order goes back")
	}
}

// What was decided or said between the two processes holds: nobody sees by the memory what they would not see without it.
func TestMemoryIsNotForThoseWhoLeft(t *testing.T) {
	state, last, memory := conversation(t)
	dev := room(t, "dev")
	changed := func(change func(p *Parts)) *State {
		p := state.Parts()
		p.Accounts, p.Rooms = slices.Clone(p.Accounts), slices.Clone(p.Rooms)
		change(&p)
		return NewState(p)
	}
	rooms := func(p *Parts, change func(r *RoomState)) {
		for i := range p.Rooms {
			if p.Rooms[i].Name == dev {
				p.Rooms[i].Members = slices.Clone(p.Rooms[i].Members)
				change(&p.Rooms[i])
			}
		}
	}
	without := func(r *RoomState) {
		r.Members = slices.DeleteFunc(r.Members, func(m Member) bool { return m.Name == name(t, "bob") })
	}
	for what, state := range map[string]*State{
		"left": changed(func(p *Parts) { rooms(p, without) }),
		"left and came back": changed(func(p *Parts) {
			rooms(p, func(r *RoomState) { without(r); r.Members = append(r.Members, Member{name(t, "bob"), 3}) })
		}),
		"came back by hand, with all of the past": changed(func(p *Parts) {
			rooms(p, func(r *RoomState) { without(r); r.Members = append(r.Members, Member{name(t, "bob"), 2}) })
		}),
		"another account": changed(func(p *Parts) {
			for i, a := range p.Accounts {
				if a.Name == name(t, "bob") {
					p.Accounts[i].ID = "another"
				}
			}
		}),
		"the room removed": changed(func(p *Parts) {
			p.Rooms = slices.DeleteFunc(p.Rooms, func(r RoomState) bool { return r.Name == dev })
		}),
	} {
		h := restored(t, state, last, memory)
		if got := sees(t, h, "bob", dev); got != "" {
			t.Errorf("%s: bob sees %s", what, got)
		}
		if got := sees(t, h, "alice", dev); (got == "") != (what == "the room removed") {
			t.Errorf("%s: alice sees %q", what, got)
		}
	}

	// A deletion that is not in the memory: the room begins empty.
	last[dev]++
	h := restored(t, state, last, memory)
	if got := sees(t, h, "alice", dev); got != "" {
		t.Errorf("what may be deleted is shown: %s", got)
	}
	if sees(t, h, "alice", General) == "" {
		t.Error("another room is not restored")
	}
}

// What no log can hold is refused: logs rely on what check looks at.
func TestMemoryThatIsNone(t *testing.T) {
	state, last, memory := conversation(t)
	for what, damage := range map[string]func(m *RoomMemory){
		"empty":                  func(m *RoomMemory) { m.Entries = nil },
		"a gap":                  func(m *RoomMemory) { m.Entries = slices.Delete(m.Entries, 1, 2) },
		"out of order":           func(m *RoomMemory) { m.Entries[1].DisplaySeq = m.Entries[0].DisplaySeq },
		"no order":               func(m *RoomMemory) { m.Entries[0].DisplaySeq = 0 },
		"another room's":         func(m *RoomMemory) { m.Entries[0].Room = room(t, "other") },
		"an edit of nothing":     func(m *RoomMemory) { m.Entries[0].Kind = Edit },
		"said by nobody":         func(m *RoomMemory) { m.Entries[0].From = Name{} },
		"a notice with a number": func(m *RoomMemory) { m.Entries[0].Kind = Notice },
		"a kind of one's own":    func(m *RoomMemory) { m.Entries[0] = Message{Room: m.Room, Kind: Joined, DisplaySeq: 1} },
		"an edit of what comes":  func(m *RoomMemory) { m.Entries[0].Kind, m.Entries[0].Of = Edit, 9 },
	} {
		m := memory[2]
		m.Entries = slices.Clone(m.Entries)
		damage(&m)
		h := restored(t, state, last, nil)
		if ok, err := h.RestoreMemory(m); ok || err == nil || len(h.rooms[m.Room].Log.Tail(1)) != 0 {
			t.Errorf("%s: %v, %v", what, ok, err)
		}
	}
}

// Rooms keep what they have while all leave for a restart, and those to which nobody comes back let go of it in time.
func TestMemoryOfRoomsThatNobodyComesBackTo(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	h.SessionOpened(alice)
	for i := range IdleLog + 50 {
		say(t, h, "alice", General, fmt.Sprint(i))
	}
	h.KeepMemory()
	h.SessionClosed(alice)
	if n := h.rooms[General].Log.Kept(); n != IdleLog+50 {
		t.Fatalf("%d are kept", n)
	}
	m := slices.Collect(h.Memory())[0]
	after := restored(t, h.View().State, map[RoomName]uint64{General: IdleLog + 50}, []RoomMemory{m})
	now := time.Now()
	passes(after, &now, time.Minute)
	visit(t, after, alice, General)
	passes(after, &now, restoredIdle-time.Minute)
	if n := after.rooms[General].Log.Kept(); n != IdleLog+50 {
		t.Errorf("%d are kept before the time", n)
	}
	passes(after, &now, 2*time.Minute)
	if n := after.rooms[General].Log.Kept(); n != IdleLog {
		t.Errorf("%d are kept", n)
	}
}
