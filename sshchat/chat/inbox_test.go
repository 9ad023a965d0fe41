package chat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"sshchat/sshchat/text"
)

// inbox is the inbox as words, a room each: "general 3/1 @2", which is unread, mentions and mark.
func inbox(b *Inbox) []string {
	var out []string
	for _, r := range b.Rooms() {
		out = append(out, fmt.Sprintf("%s %d/%d @%d", r.Name, r.Unread, r.Mentions, r.Mark))
	}
	return out
}

func wantInbox(t *testing.T, b *Inbox, want ...string) {
	t.Helper()
	if got := inbox(b); !slices.Equal(got, want) {
		t.Errorf("%s's inbox is %q, want %q", b.me, got, want)
	}
}

func TestInboxCountsWhatComes(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob", "carol")
	alice, bob := name(t, "alice"), name(t, "bob")
	pair := text.Direct(alice, bob)
	say(t, h, "alice", General, "before")
	h.SessionOpened(bob)
	r := h.Reader(bob, From{ClearAway: 9, Peek: true}) // hands out again what is counted already
	b := NewInbox(bob, h)
	wantInbox(t, b, "general 1/0 @0")
	if b.Dirty() {
		t.Error("dirty after it was asked")
	}
	say(t, h, "alice", General, "hello @Bob")
	say(t, h, "bob", General, "hello bob")
	say(t, h, "alice", pair, "psst")
	join(t, h, "bob", "ci")
	say(t, h, "bob", room(t, "ci"), "mine alone")
	b.Deliver(r.Spans(99))
	if !b.Dirty() {
		t.Error("not dirty after messages")
	}
	wantInbox(t, b, "general 2/1 @0", "ci 0/0 @0", "@alice+bob 1/1 @0")
	b.Deliver(r.Spans(99))
	if b.Dirty() {
		t.Error("dirty of nothing")
	}
	b.Read(General, 2)
	b.Read(General, 1)
	wantInbox(t, b, "general 0/0 @2", "ci 0/0 @0", "@alice+bob 1/1 @0")
	say(t, h, "alice", General, "four")
	say(t, h, "alice", General, "five, bob")
	b.Deliver(r.Spans(99))
	b.Read(General, 4)
	b.Read(pair, 99)
	wantInbox(t, b, "general 1/1 @4", "ci 0/0 @0", "@alice+bob 0/0 @1")
	part(t, h, "bob", "ci")
	if err := h.SetTopic(t.Context(), alice, General, words("a topic")); err != nil {
		t.Fatal(err)
	}
	b.Deliver(r.Spans(99))
	if rooms := b.Rooms(); len(rooms) != 2 || rooms[0].Topic != "a topic" || rooms[0].Members != 3 || rooms[0].Online != 1 {
		t.Errorf("rooms %+v", rooms)
	}
	if got, want := inbox(NewInbox(bob, h)), inbox(b); !slices.Equal(got, want) {
		t.Errorf("a new session has %q, this one %q", got, want)
	}
}

func TestInboxesOfOnePersonAgree(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	open := func() (*Reader, *Inbox) {
		h.SessionOpened(bob)
		return h.Reader(bob, From{Peek: true}), NewInbox(bob, h)
	}
	r1, b1 := open()
	r2, b2 := open()
	for i := range 5 {
		say(t, h, "alice", General, fmt.Sprint(i))
	}
	b1.Deliver(r1.Spans(99))
	b1.Read(General, 3)
	b1.Flush()
	b2.Deliver(r2.Spans(2)) // the news of the mark comes before the messages it is of
	b2.Deliver(r2.Spans(99))
	wantInbox(t, b1, "general 2/0 @3")
	wantInbox(t, b2, "general 2/0 @3")
	b2.Read(General, 5)
	b2.Flush()
	b1.Deliver(r1.Spans(99))
	wantInbox(t, b1, "general 0/0 @5")
}

func TestInboxAfterARestart(t *testing.T) {
	bob := name(t, "bob")
	kept := &notebook{}
	kept.Mark(bob, General, 40)
	pair := text.Direct(name(t, "alice"), bob)
	h := hubOver(&fakeJournal{}, kept, []RoomState{
		{Name: General, Last: 50, Members: []Member{{bob, 1}}},
		{Name: room(t, "ci"), Last: 50, Members: []Member{{bob, 48}}},
		{Name: pair, Last: 4},
	}, quiet)
	wantInbox(t, NewInbox(bob, h), "general 10/0 @40", "ci 3/0 @47", "@alice+bob 4/4 @0")
}

// The reader lagged: what it skipped is unread all the same.
func TestInboxOfAReaderThatLagged(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	r, b := h.Reader(bob, From{Peek: true}), NewInbox(bob, h)
	log := h.rooms[General].Log
	for i := range LogLines + 100 {
		log.Append(Message{Room: General, Seq: uint64(i) + 1, From: name(t, "alice"), Kind: Say, DisplaySeq: uint64(i) + 1})
	}
	h.Mark(bob, General, 30)
	b.Deliver(r.Spans(LogLines))
	wantInbox(t, b, fmt.Sprintf("general %d/0 @0", LogLines+100))
	b.Read(General, 50)
	wantInbox(t, b, fmt.Sprintf("general %d/0 @50", LogLines+50))
}

// What is missing in the room in view is read as it comes, as what is shown there; elsewhere it is unread.
func TestInboxOfAGapInView(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	bob := name(t, "bob")
	r, b := h.Reader(bob, From{Peek: true}), NewInbox(bob, h)
	log := h.rooms[General].Log
	for i, want := range []string{"general 0/0 @2", "general 2/0 @2"} {
		if b.At(General); i > 0 {
			b.At(RoomName{})
		}
		log.Append(Message{Room: General, Seq: log.Last() + 1, Kind: Missing, DisplaySeq: 1}, Message{Room: General, Seq: log.Last() + 2, From: name(t, "alice"), Kind: Say, DisplaySeq: 2})
		b.Deliver(r.Spans(LogLines))
		wantInbox(t, b, want)
	}
}

func TestInboxCountsWhatIsShown(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob", "mallory")
	bob, mallory := name(t, "bob"), name(t, "mallory")
	r, b := h.Reader(bob, From{Peek: true}), NewInbox(bob, h)
	say(t, h, "mallory", General, "bob bob bob")
	say(t, h, "mallory", text.Direct(bob, mallory), "bob!")
	say(t, h, "alice", General, "hello")
	b.Deliver(r.Spans(99))
	wantInbox(t, b, "general 2/1 @0", "@bob+mallory 1/1 @0")
	b.Filter(Filter{Ignore: map[Name]bool{mallory: true}})
	if !b.Dirty() {
		t.Error("not dirty after another filter")
	}
	wantInbox(t, b, "general 1/0 @0", "@bob+mallory 0/0 @0")
	say(t, h, "mallory", General, "bob bob bob")
	b.Deliver(r.Spans(99))
	wantInbox(t, b, "general 1/0 @0", "@bob+mallory 0/0 @0")
	b.Filter(Filter{})
	wantInbox(t, b, "general 3/2 @0", "@bob+mallory 1/1 @0")
}

func TestEditsAreNotUnread(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	r, b := h.Reader(name(t, "bob"), From{Peek: true}), NewInbox(name(t, "bob"), h)
	say(t, h, "alice", General, "one")
	say(t, h, "alice", General, "bob, two")
	amend(t, h, "alice", Edit, 1, "bob, one")
	b.Deliver(r.Spans(99))
	wantInbox(t, b, "general 2/2 @0") // delivered after the edit, "one" came as "bob, one"
	amend(t, h, "alice", Delete, 1, "")
	b.Deliver(r.Spans(99))
	wantInbox(t, NewInbox(name(t, "bob"), h), "general 1/1 @0")
}

// Whatever happens, in whatever pieces it is delivered, the inbox is as one made anew.
func TestInboxAgainstARecount(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := start(t, &fakeJournal{}, "alice", "bob")
		bob := name(t, "bob")
		h.SessionOpened(bob)
		h.SessionOpened(bob)
		r, b := h.Reader(bob, From{Peek: true}), NewInbox(bob, h)
		rooms := []RoomName{General, room(t, "ci"), text.Direct(name(t, "alice"), bob)}
		join(t, h, "alice", "ci")
		for range 200 {
			where := rooms[rng.IntN(3)]
			switch rng.IntN(8) {
			case 0, 1:
				say(t, h, "alice", where, []string{"hello", "hello bob"}[rng.IntN(2)])
			case 2:
				if h.In(bob, where) {
					say(t, h, "bob", where, "mine")
				}
			case 3:
				h.Mark(bob, where, rng.Uint64N(40)) // another session
			case 4:
				b.Read(where, rng.Uint64N(40))
			case 5:
				b.Deliver(r.Spans(1 + rng.IntN(3)))
			case 6:
				b.Flush()
			case 7:
				if h.In(bob, rooms[1]) {
					part(t, h, "bob", "ci")
				} else {
					join(t, h, "bob", "ci")
				}
			}
		}
		for ds := r.Spans(9); len(ds) > 0; ds = r.Spans(9) {
			b.Deliver(ds)
		}
		b.Flush()
		if got, want := inbox(b), inbox(NewInbox(bob, h)); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %q, counted anew %q", seed, got, want)
		}
	}
}

func TestFilter(t *testing.T) {
	me, ann, eve := name(t, "bob"), name(t, "ann"), name(t, "eve")
	pair := func(n Name) RoomName { return text.Direct(me, n) }
	ignore, focus := Filter{Ignore: map[Name]bool{eve: true}}, Filter{Focus: map[Name]bool{ann: true}}
	for _, c := range []struct {
		what string
		f    Filter
		m    Message
		want bool
	}{
		{"no filter", Filter{}, Message{Room: General, From: eve, Kind: Say}, true},
		{"the ignored, in a room", ignore, Message{Room: General, From: eve, Kind: Say}, false},
		{"the ignored, in their words' edits", ignore, Message{Room: General, From: eve, Kind: Edit}, false},
		{"the ignored, in private", ignore, Message{Room: pair(eve), From: eve, Kind: Me}, false},
		{"others", ignore, Message{Room: General, From: ann, Kind: Say}, true},
		{"the focused", focus, Message{Room: General, From: ann, Kind: Say}, true},
		{"beside the focused", focus, Message{Room: General, From: eve, Kind: Say}, false},
		{"beside the focused, in private", focus, Message{Room: pair(eve), From: eve, Kind: Say}, true},
		{"oneself", Filter{Ignore: map[Name]bool{me: true}, Focus: map[Name]bool{ann: true}}, Message{Room: General, From: me, Kind: Say}, true},
		{"comings", focus, Message{Room: General, Kind: PresenceChange}, true},
		{"comings in quiet", Filter{Quiet: true}, Message{Room: General, Kind: PresenceChange}, false},
		{"a topic in quiet", Filter{Quiet: true}, Message{Room: General, Kind: Notice}, true},
		{"ignored and focused", Filter{Ignore: map[Name]bool{eve: true}, Focus: map[Name]bool{eve: true}}, Message{Room: General, From: eve}, false},
	} {
		if got := c.f.Shows(&c.m, me); got != c.want {
			t.Errorf("%s: shown %v", c.what, got)
		}
	}
}

func BenchmarkInboxDeliver(b *testing.B) {
	h := start(b, &fakeJournal{}, "alice", "bob")
	box := NewInbox(name(b, "bob"), h)
	m := []Message{{Room: General, From: name(b, "alice"), Kind: Say, Text: words("a line as people write them, of some eighty bytes or so, all of it about nothing")}}
	spans := Spans{{Room: General, Entries: m}}
	b.ReportAllocs()
	for b.Loop() {
		m[0].Seq++
		box.Deliver(spans)
	}
}

func BenchmarkInboxOfALongAbsence(b *testing.B) {
	h := start(b, &fakeJournal{}, "alice", "bob")
	log := h.rooms[General].Log
	for i := range LogLines {
		log.Append(Message{Room: General, Seq: uint64(i) + 1, From: name(b, "alice"), Kind: Say, Text: words("a line as people write them, of some eighty bytes or so")})
	}
	for b.Loop() {
		NewInbox(name(b, "bob"), h)
	}
}

// A word of the person's counts as their name does, and a hushed room's messages are no news unless they mention them.
func TestInboxOfHighlightsAndHushedRooms(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	pair := text.Direct(alice, bob)
	join(t, h, "bob", "ci")
	join(t, h, "alice", "ci")
	h.SessionOpened(bob)
	r := h.Reader(bob, From{Peek: true})
	b := NewInbox(bob, h)
	b.Filter(Filter{Highlight: text.NewWords([]string{"deploy"}), Hushed: map[RoomName]bool{room(t, "ci"): true, pair: true}})
	for _, said := range []string{"Deploy now", "deployed", "bob?"} {
		say(t, h, "alice", General, said)
		say(t, h, "alice", room(t, "ci"), said)
		say(t, h, "alice", pair, said)
	}
	say(t, h, "bob", General, "I deploy")
	news := func() (out []string) {
		for _, r := range b.Rooms() {
			out = append(out, fmt.Sprintf("%s %d/%d %d", r.Name, r.Unread, r.Mentions, r.News()))
		}
		return out
	}
	b.Deliver(r.Spans(99))
	want := []string{"general 3/2 3", "ci 3/2 2", "@alice+bob 3/0 0"}
	if got := news(); !slices.Equal(got, want) {
		t.Errorf("as it came: %q, not %q", got, want)
	}
	b.recount()
	if got := news(); !slices.Equal(got, want) {
		t.Errorf("counted again: %q, not %q", got, want)
	}
	b.Filter(Filter{})
	if got, want := news(), []string{"general 3/1 3", "ci 3/1 3", "@alice+bob 3/3 3"}; !slices.Equal(got, want) {
		t.Errorf("without them: %q, not %q", got, want)
	}
	if n := len(h.Mentions(bob, &Filter{Highlight: text.NewWords([]string{"deploy"})}, 99)); n != 7 {
		t.Errorf("%d mentions", n)
	}
}
