package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/text"
)

// read takes what comes until n stored messages were shown, and fails on a gap: what is in it will never come.
func read(t testing.TB, r *Reader, n int) []Message {
	var got []Message
	for len(got) < n {
		for _, d := range r.Next(7) {
			if d.Gap != (Gap{}) {
				t.Errorf("gap %v", d.Gap)
				return got
			}
			if d.Kind.Stored() {
				got = append(got, d.Message)
			}
		}
		if len(got) < n {
			if err := r.Wait(t.Context()); err != nil {
				return got
			}
		}
	}
	return got
}

func TestOneOrderForEverybody(t *testing.T) {
	const posters, each, readers = 8, 100, 16
	h := start(t, &fakeJournal{}, "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "eve")
	got := make([][]Message, readers)
	var wg sync.WaitGroup
	for i := range readers {
		r := h.Reader(name(t, "eve"), From{})
		wg.Go(func() { got[i] = read(t, r, posters*each) })
	}
	for i := range posters {
		wg.Go(func() {
			for k := range each {
				say(t, h, fmt.Sprintf("p%d", i), General, fmt.Sprint(k))
			}
		})
	}
	wg.Wait()
	next := make(map[Name]int)
	for k, m := range got[0] {
		if m.Seq != uint64(k+1) || m.Text.String() != fmt.Sprint(next[m.From]) {
			t.Fatalf("at %d: %+v", k, m)
		}
		next[m.From]++
	}
	for i := range got {
		for k := range got[i] {
			if got[i][k] != got[0][k] {
				t.Fatalf("reader %d has %+v at %d, not %+v", i, got[i][k], k, got[0][k])
			}
		}
	}
}

// shown-before-stored: while a batch is being committed nobody has it.
func TestNothingIsShownBeforeItIsStored(t *testing.T) {
	journal := &fakeJournal{}
	h := start(t, journal, "alice")
	eyes := h.Reader(name(t, "alice"), From{})
	looks := 0
	journal.looking = func(batch []Event) {
		looks++
		for _, d := range eyes.Next(99) {
			if d.Seq > uint64(len(journal.events)) {
				t.Errorf("%v was shown with %d stored", d.Seq, len(journal.events))
			}
		}
	}
	for range 50 {
		say(t, h, "alice", General, "x")
	}
	if looks == 0 {
		t.Error("nobody looked")
	}
}

func TestFailedCommit(t *testing.T) {
	journal := &fakeJournal{}
	h := start(t, journal, "alice", "bob")
	bob := h.Reader(name(t, "bob"), From{})
	say(t, h, "alice", General, "one")
	journal.fail(errors.New("disk full"))
	for range 3 {
		if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("lost")); !errors.Is(err, ErrNotStored) {
			t.Fatalf("poster got %v", err)
		}
	}
	journal.fail(nil)
	if m := say(t, h, "alice", General, "two"); m.Seq != 2 {
		t.Errorf("Seq %d after a failure", m.Seq)
	}
	got := bob.Next(99)
	if len(got) != 2 || got[0].Text.String() != "one" || got[1].Text.String() != "two" || got[1].Seq != 2 {
		t.Errorf("bob was shown %+v", got)
	}
}

// left-while-disk-full: who cannot leave is told so, and is in the room as before.
func TestNothingIsDecidedThatCannotBeStored(t *testing.T) {
	journal := &fakeJournal{}
	h := start(t, journal, "alice", "bob")
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	before := h.View().State
	journal.fail(errors.New("disk full"))
	if err := h.Part(t.Context(), name(t, "bob"), room(t, "ci")); !errors.Is(err, ErrNotDecided) {
		t.Errorf("bob leaves: %v", err)
	}
	if h.View().State != before || !h.In(name(t, "bob"), room(t, "ci")) {
		t.Error("something was decided all the same")
	}
	journal.fail(nil)
	part(t, h, "bob", "ci")
	say(t, h, "alice", room(t, "ci"), "without bob")
}

// What is decided may be stored where the messages beside it are not: then it holds, and they were not said.
func TestDecidedThoughTheMessagesAreNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{broken: ErrOnlyDecided}
		alice, bob, ci := name(t, "alice"), name(t, "bob"), room(t, "ci")
		h := hubOver(journal, nil, []RoomState{{Name: ci, Members: []Member{{alice, 1}, {bob, 1}}}}, quiet)
		carol := accountOf(name(t, "carol"))
		said := make(chan error, 3)
		for i, do := range []func() error{
			func() error {
				_, err := h.Post(context.Background(), h.caller(alice), ci, Say, words("lost"))
				return err
			},
			func() error { return h.Part(context.Background(), bob, ci) },
			func() error { return h.submit(context.Background(), newRequest(TheServer, enrol{carol})) },
		} {
			go func() { said <- fmt.Errorf("%d: %w", i, do()) }()
			synctest.Wait() // it is queued
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		for range 3 {
			if err := <-said; strings.HasPrefix(err.Error(), "0") != errors.Is(err, ErrNotStored) {
				t.Error(err)
			}
		}
		if h.In(bob, ci) || !h.View().Taken(carol.Name) || len(h.Before(alice, ci, 0, 9)) > 0 {
			t.Errorf("bob is in: %v; in the room: %v", h.In(bob, ci), h.Before(alice, ci, 0, 9))
		}
	})
}

func TestDeadJournalEndsRun(t *testing.T) {
	journal := &fakeJournal{broken: fmt.Errorf("fsync: %w", ErrJournalDead)}
	h := hubOver(journal, nil, []RoomState{{Name: General, Members: []Member{{name(t, "alice"), 1}}}}, quiet)
	h.SessionOpened(name(t, "alice"))
	r := h.Reader(name(t, "alice"), From{})
	ended := make(chan error, 1)
	go func() { ended <- h.Run(t.Context()) }()
	if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("x")); !errors.Is(err, ErrNotStored) {
		t.Errorf("poster got %v", err)
	}
	if err := <-ended; !errors.Is(err, ErrJournalDead) {
		t.Errorf("Run returned %v", err)
	}
	for range 2 * maxBatch { // more than the queue holds
		if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("x")); !errors.Is(err, ErrStopping) {
			t.Fatalf("a later poster got %v", err)
		}
	}
	if got := r.Next(9); len(got) != 1 || got[0].Kind != Notice {
		t.Errorf("the room was told %+v", got)
	}
}

func TestRunCommitsWhatWasQueuedWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		h := hubOver(journal, nil, []RoomState{{Name: General, Members: []Member{{name(t, "alice"), 1}}}}, quiet)
		for range 9 {
			go func() {
				if _, err := h.Post(context.Background(), h.caller(name(t, "alice")), General, Say, words("x")); err != nil {
					t.Error(err)
				}
			}()
		}
		synctest.Wait() // all are queued
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := len(journal.stored()); n != 9 {
			t.Errorf("%d of 9 stored", n)
		}
	})
}

func TestJournalIsCalledEveryMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		h := hubOver(journal, nil, nil, quiet)
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
		defer stop()
		if err := h.Run(ctx); err != nil {
			t.Error(err)
		}
		if journal.calls != 10 {
			t.Errorf("%d calls in 10 minutes", journal.calls)
		}
	})
}

// stranger-posts-in-direct-room, and other places where one is not.
func TestPostWhereOneIsNot(t *testing.T) {
	journal := &fakeJournal{}
	h := start(t, journal, "alice", "bob")
	pair := text.Direct(name(t, "alice"), name(t, "bob"))
	for _, where := range []RoomName{pair, General, room(t, "nowhere")} {
		if _, err := h.Post(t.Context(), h.caller(name(t, "carol")), where, Say, words("x")); !errors.Is(err, ErrNotIn) {
			t.Errorf("carol in %s: %v", where, err)
		}
	}
	say(t, h, "alice", pair, "just us")
	if _, err := h.Post(t.Context(), h.caller(name(t, "carol")), pair, Say, words("x")); !errors.Is(err, ErrNotIn) {
		t.Errorf("carol in %s: %v", pair, err)
	}
	carol := h.Reader(name(t, "carol"), From{ClearAway: 99, Only: []RoomName{pair, General}, After: map[RoomName]uint64{pair: 0}})
	if got := carol.Next(99); len(got) > 0 || len(carol.Rooms()) > 0 {
		t.Errorf("carol reads %+v in %v", got, carol.Rooms())
	}
	if said := len(journal.stored()); said != 1 {
		t.Errorf("%d events were stored for one message", said)
	}
	if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Notice, words("forged")); err == nil {
		t.Error("a notice was posted")
	}
}

func BenchmarkPost(b *testing.B) {
	for _, posters := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(posters), func(b *testing.B) {
			h := start(b, make(instant, 1), "alice")
			alice, text := name(b, "alice"), words("hello, world")
			var wg sync.WaitGroup
			b.ResetTimer()
			for p := range posters {
				wg.Go(func() {
					for i := p; i < b.N; i += posters {
						if _, err := h.Post(context.Background(), h.caller(alice), General, Say, text); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// instant is a Journal that costs nothing.
type instant chan Batch

func (i instant) Append(b Batch) error                     { i <- b; return nil }
func (i instant) Events() <-chan Batch                     { return i }
func (i instant) Rehearse(_, after *State) (*State, error) { return after, nil }

// Whoever is no moderator or admin any more at a report's place in the order does not get it, and a person's reports are limited.
func TestReportsReachModerators(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob", "mo", "eve")
	decide := func(n string, role Role) {
		t.Helper()
		if err := h.Decide(t.Context(), TheServer, forceRole{name(t, n), role}, nil); err != nil {
			t.Fatal(err)
		}
	}
	said, err := text.ParseText("look at this")
	if err != nil {
		t.Fatal(err)
	}
	eve := h.caller(name(t, "eve"))
	report := func(about string) (int, error) { return h.Report(t.Context(), eve, name(t, about), said) }
	if n, err := report("bob"); n != 0 || !errors.Is(err, ErrNoModerator) {
		t.Errorf("without moderators: %d, %v", n, err)
	}
	decide("alice", Admin)
	decide("mo", Mod)
	for about, want := range map[string]int{"bob": 2, "mo": 1} {
		if n, err := report(about); n != want || err != nil {
			t.Errorf("of %s: %d, %v; want %d", about, n, err, want)
		}
	}
	decide("mo", User)
	direct := text.Direct(eve.Name, name(t, "mo"))
	if _, err := h.storeMessage(t.Context(), eve, Post{Room: direct, Kind: Say, Text: said, Report: true}); !errors.Is(err, ErrNoModerator) {
		t.Errorf("sent to somebody who has just ceased to be a moderator: %v", err)
	}
	if _, err := h.storeMessage(t.Context(), eve, Post{Room: direct, Kind: Say, Text: said}); err != nil {
		t.Errorf("control: %v", err)
	}
	for range reportsAtOnce - 3 {
		if _, err := report("bob"); err != nil {
			t.Error(err)
		}
	}
	if _, err := report("bob"); !errors.Is(err, ErrReports) {
		t.Errorf("once more: %v", err)
	}
}
