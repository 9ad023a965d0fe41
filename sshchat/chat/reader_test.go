package chat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"sshchat/sshchat/text"
	"sshchat/sshchat/wake"
)

// texts are the deliveries as words: "room:text", gaps as "room:!from-to", the rest by kind.
func texts(ds []Delivery) []string {
	var out []string
	for _, d := range ds {
		switch {
		case d.Gap.Count() > 0:
			out = append(out, fmt.Sprintf("%s:!%d-%d", d.Room, d.Gap.From, d.Gap.To))
		case d.Kind == Joined, d.Kind == Parted:
			out = append(out, fmt.Sprintf("%s:%s", d.Room, d.Kind))
		default:
			out = append(out, fmt.Sprintf("%s:%s", d.Room, d.Text))
		}
	}
	return out
}

func expect(t *testing.T, r *Reader, want ...string) {
	t.Helper()
	if got := texts(r.Next(LogLines)); !slices.Equal(got, want) {
		t.Errorf("%s was shown %q, want %q", r.me, got, want)
	}
}

func TestStalledReaderIsToldExactlyWhatItMissed(t *testing.T) {
	const sent, atOnce = LogLines + 1024, 1024
	h := start(t, &fakeJournal{}, "alice", "bob", "eve")
	stalled, awake := h.Reader(name(t, "eve"), From{}), h.Reader(name(t, "bob"), From{})
	for said := 0; said < sent; said += atOnce { // which the log keeps, for a reader that is slow only as the machine is
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				for range atOnce / 64 {
					say(t, h, "alice", General, "x")
				}
			})
		}
		if got := read(t, awake, atOnce); len(got) != atOnce || got[atOnce-1].Seq != uint64(said+atOnce) {
			t.Errorf("who kept reading has %d of %d after %d", len(got), atOnce, said)
		}
		wg.Wait()
	}
	got := stalled.Next(LogLines)
	if want := (Gap{1, sent - LogLines}); got[0].Gap != want || got[0].Room != General {
		t.Errorf("gap %v in %s, want %v", got[0].Gap, got[0].Room, want)
	}
	if len(got) != LogLines+1 || got[1].Seq != sent-LogLines+1 || got[LogLines].Seq != sent {
		t.Errorf("then %d messages from %d", len(got)-1, got[1].Seq)
	}
	expect(t, stalled)
}

func TestJoinerSeesNothingBeforeLeaverNothingAfter(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	alice, ci := name(t, "alice"), room(t, "ci")
	join(t, h, "alice", "ci")
	say(t, h, "alice", ci, "before")
	if err := h.SetTopic(t.Context(), alice, ci, words("old")); err != nil {
		t.Fatal(err)
	}
	h.caller(name(t, "bob")) // he has an account
	bob := h.Reader(name(t, "bob"), From{})
	expect(t, bob)
	join(t, h, "bob", "ci")
	say(t, h, "alice", ci, "for bob")
	expect(t, bob, "ci:joined", "ci:for bob")
	say(t, h, "alice", ci, "unread when bob left")
	part(t, h, "bob", "ci")
	say(t, h, "alice", ci, "after")
	if err := h.SetTopic(t.Context(), alice, ci, words("new")); err != nil {
		t.Fatal(err)
	}
	expect(t, bob, "ci:parted")
	if since := h.Since(name(t, "bob"), ci); since != ^uint64(0) {
		t.Errorf("bob may read from %d", since)
	}
	join(t, h, "bob", "ci")
	say(t, h, "alice", ci, "again")
	expect(t, bob, "ci:joined", "ci:again")
	expect(t, h.Reader(name(t, "bob"), From{ClearAway: 99}), "ci:again")
	expect(t, h.Reader(name(t, "bob"), From{After: map[RoomName]uint64{ci: 0}}), "ci:again")
	expect(t, h.Reader(alice, From{ClearAway: 99}), "ci:before", "ci:alice set the topic: old", "ci:for bob",
		"ci:unread when bob left", "ci:after", "ci:alice set the topic: new", "ci:again")
}

// comes puts somebody into #general.
type comes struct {
	name  Name
	since uint64
}

func (in comes) decide(tx *transaction) error {
	tx.setMember(tx.general(), Member{in.name, in.since})
	return nil
}

// One batch holds a message, a joining and another message: the joiner is shown the second alone.
func TestJoinerInTheMiddleOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := name(t, "alice"), name(t, "bob")
		h := hubOver(&fakeJournal{}, nil, []RoomState{{Name: General, Members: []Member{{alice, 1}}}}, quiet)
		r := h.Reader(bob, From{})
		who := h.caller(alice)
		for _, in := range []Intent{
			Post{Room: General, Kind: Say, Text: words("before")},
			comes{bob, 2},
			Post{Room: General, Kind: Say, Text: words("after")},
		} {
			go func() {
				req := newRequest(who, in)
				if _, ok := in.(comes); ok {
					req.Who = TheServer
				}
				if err := h.submit(context.Background(), req); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait() // it is queued
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		expect(t, r, "general:joined", "general:after")
		expect(t, h.Reader(bob, From{ClearAway: 9}), "general:after")
	})
}

// left-between-reads: the reader has not heard yet that it left, and is shown nothing all the same.
func TestReaderThatHasNotHeardOfLeaving(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	bob := h.Reader(name(t, "bob"), From{})
	part(t, h, "bob", "ci")
	bob.own.Next(LogLines) // the news is lost
	say(t, h, "alice", room(t, "ci"), "after")
	expect(t, bob)
}

func TestDirectMessagesWhileAway(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	pair := text.Direct(name(t, "alice"), name(t, "bob"))
	say(t, h, "alice", pair, "one")
	say(t, h, "alice", pair, "two")
	pipe := h.Reader(name(t, "bob"), From{})
	expect(t, pipe)
	pipe.Close() // it has shown nothing, so all is still unread
	bob := h.Reader(name(t, "bob"), From{ClearAway: 1})
	expect(t, bob, "@alice+bob:one", "@alice+bob:two")
	bob.Close()
	say(t, h, "alice", pair, "three")
	again := h.Reader(name(t, "bob"), From{ClearAway: 50})
	expect(t, again, "@alice+bob:three")
	again.Close()
	expect(t, h.Reader(name(t, "bob"), From{ClearAway: 50}))
}

func TestKnockOpensADirectRoom(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob", "carol")
	bob, carol := h.Reader(name(t, "bob"), From{}), h.Reader(name(t, "carol"), From{})
	only := h.Reader(name(t, "bob"), From{Only: []RoomName{General}})
	pair := text.Direct(name(t, "alice"), name(t, "bob"))
	w := wake.New()
	bob.Listen(w, 1)
	say(t, h, "alice", pair, "psst")
	w.Wait(0)
	expect(t, bob, "@alice+bob:psst")
	h.mu.RLock()
	direct := h.rooms[pair].Log
	h.mu.RUnlock()
	if n := len(direct.listeners); n != 0 {
		t.Errorf("%d listen to a direct room: the person's own log wakes them", n)
	}
	say(t, h, "alice", pair, "psst again")
	expect(t, bob, "@alice+bob:psst again")
	expect(t, carol)
	expect(t, only)
}

// A person's own log overflowed: the rooms are right all the same.
func TestReaderThatMissedItsOwnLog(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	join(t, h, "bob", "old")
	bob := h.Reader(name(t, "bob"), From{})
	join(t, h, "bob", "ci")
	part(t, h, "bob", "old")
	say(t, h, "alice", text.Direct(name(t, "alice"), name(t, "bob")), "psst")
	h.Mark(name(t, "bob"), text.Direct(name(t, "alice"), name(t, "bob")), 1)
	for range LogLines {
		h.NotifyUser(name(t, "bob"), "x")
	}
	var shown []string
	told := make(map[Kind]int)
	for _, d := range bob.Next(LogLines) {
		if d.Kind == Say {
			shown = append(shown, texts([]Delivery{d})...)
		}
		told[d.Kind]++
	}
	if told[Changed] != 1 || told[Marked] != 1 || told[Notice] != ownLines {
		t.Errorf("told of %v", told)
	}
	rooms := bob.Rooms()
	slices.SortFunc(rooms, RoomName.Compare)
	if want := []string{"@alice+bob:psst"}; !slices.Equal(shown, want) || fmt.Sprint(rooms) != "[@alice+bob ci general]" {
		t.Errorf("shown %q, in %v", shown, rooms)
	}
}

func TestResume(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	for i := range 5 {
		say(t, h, "alice", General, fmt.Sprint(i+1))
	}
	after := func(seq uint64) From { return From{After: map[RoomName]uint64{General: seq}} }
	expect(t, h.Reader(name(t, "alice"), after(3)), "general:4", "general:5")
	expect(t, h.Reader(name(t, "alice"), after(99)))
	restarted := hubOver(&fakeJournal{}, nil, []RoomState{
		{Name: General, Last: 5, Members: []Member{{name(t, "alice"), 3}}},
	}, quiet)
	expect(t, restarted.Reader(name(t, "alice"), after(0)), "general:!3-5")
	expect(t, restarted.Reader(name(t, "alice"), after(4)), "general:!5-5")
	expect(t, restarted.Reader(name(t, "alice"), From{ClearAway: 9}))
}

// Each reader waits to be woken: were one wake-up lost, the test would hang.
func TestNoWakeUpIsLost(t *testing.T) {
	const messages = 500
	h := start(t, &fakeJournal{}, "alice", "bob")
	pair := text.Direct(name(t, "alice"), name(t, "bob"))
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	var wg sync.WaitGroup
	for range 4 {
		r := h.Reader(name(t, "bob"), From{})
		wg.Go(func() { read(t, r, 3*messages) })
	}
	for _, where := range []RoomName{General, pair, room(t, "ci")} {
		wg.Go(func() {
			for range messages {
				say(t, h, "alice", where, "x")
			}
		})
	}
	wg.Wait()
}
