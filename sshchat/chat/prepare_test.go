package chat

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// busy is a journal that is never prepared for joins until it is closed.
type busy struct {
	fakeJournal
	done chan struct{}
}

func (b *busy) Prepared(room RoomName, change Change) <-chan struct{} {
	if change == NoChange || change == Revoke || room == General {
		return nil
	}
	return b.done
}

// Who joins waits until the journal is prepared; who speaks there, or is banned, does not. Nothing is decided before.
func TestJoinsWaitForTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &busy{done: make(chan struct{})}
		h := start(t, j, "alice", "bob")
		dev := room(t, "dev")
		ctx, give := context.WithTimeout(t.Context(), time.Second)
		defer give()
		if _, err := h.Join(ctx, name(t, "alice"), dev); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("joined: %v", err)
		}
		if h.In(name(t, "alice"), dev) {
			t.Error("who did not wait is in")
		}
		joined := make(chan error, 1)
		go func() {
			_, err := h.Join(t.Context(), name(t, "alice"), dev)
			joined <- err
		}()
		synctest.Wait()
		say(t, h, "bob", General, "meanwhile")
		if err := h.Revoke(t.Context(), name(t, "bob")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-joined:
			t.Fatalf("joined while it is not prepared: %v", err)
		default:
		}
		close(j.done)
		if err := <-joined; err != nil || !h.In(name(t, "alice"), dev) {
			t.Errorf("%v; she is not in", err)
		}
		say(t, h, "alice", dev, "hello")
		if err := h.Part(t.Context(), name(t, "alice"), dev); err != nil {
			t.Error(err)
		}
	})
}

// A hub that stops lets nobody wait.
func TestNobodyWaitsForAStoppedHub(t *testing.T) {
	j := &busy{done: make(chan struct{})}
	h := hubOver(j, nil, []RoomState{{Name: General, Members: []Member{{name(t, "alice"), 1}}}}, quiet)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	joined := make(chan error, 1)
	go func() {
		_, err := h.Join(t.Context(), name(t, "alice"), room(t, "dev"))
		joined <- err
	}()
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := <-joined; !errors.Is(err, ErrStopping) {
		t.Errorf("joined: %v", err)
	}
}

// Who takes a key away and hangs up has taken it away in all rooms.
func TestRevokedThoughHungUp(t *testing.T) {
	j := &fakeJournal{}
	h := start(t, j, "alice")
	for _, r := range []string{"dev", "ops", "war"} {
		if _, err := h.Join(t.Context(), name(t, "alice"), room(t, r)); err != nil {
			t.Fatal(err)
		}
	}
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	for range 20 { // a select between two that are ready takes either
		before := len(j.stored())
		if err := h.Revoke(gone, name(t, "alice")); err != nil {
			t.Fatal(err)
		}
		revoked := 0
		for _, e := range j.stored()[before:] {
			if e.Change == Revoke {
				revoked++
			}
		}
		if revoked != 4 {
			t.Fatalf("revoked in %d rooms of 4", revoked)
		}
	}
}

// A decision returns when it holds: what is said after it is sealed to whoever reads again, though the decision is not about
// their account, as that a ban is lifted, or has ended.
func TestReadersAgainBeforeTheAnswer(t *testing.T) {
	bob, dev := name(t, "bob"), room(t, "dev")
	for what, c := range map[string]struct {
		ban Sanction
		end Intent
	}{
		"lifted":          {Sanction{User: bob}, Unban{Target: "bob"}},
		"a key's, lifted": {Sanction{Key: keyOf(bob).Fingerprint}, Unban{Target: "key=" + keyOf(bob).Fingerprint}},
		"ended":           {Sanction{User: bob, Until: time.Date(2000, 1, 1, 0, 0, 10, 0, time.UTC)}, Expire{}}, // a bubble begins at 2000
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := &busy{done: make(chan struct{})}
				h := hubOver(j, nil, []RoomState{{Name: dev, Members: []Member{{bob, 1}}}}, quiet)
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- h.Run(ctx) }()
				if err := h.Decide(t.Context(), TheServer, Ban{Sanction: c.ban}, nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				answered := make(chan error, 1)
				go func() { answered <- h.Decide(t.Context(), TheServer, c.end, nil) }()
				synctest.Wait()
				if len(answered) > 0 {
					t.Error("answered before the room is ready")
				}
				close(j.done)
				if err := <-answered; err != nil {
					t.Error(err)
				}
				if last := j.stored()[len(j.stored())-1]; last.Change != Rekey || last.Name != bob || last.Room != dev {
					t.Errorf("the last event is %+v", last)
				}
				stop()
				<-ended
			})
		})
	}
}

// unready is a journal that takes no message of a room until it is ready for it.
type unready struct {
	fakeJournal
	busy          chan bool // full while it stores nothing; not a mutex, on which nobody is seen to wait
	room          RoomName
	awaitPrepared chan struct{}
	asked         chan bool // sent to when a message is put off
}

func (u *unready) Append(b Batch) error {
	u.busy <- true
	defer func() { <-u.busy }()
	select {
	case <-u.awaitPrepared:
		return u.fakeJournal.Append(b)
	default:
	}
	for i, e := range b.Events {
		if e.Room == u.room && e.Change == NoChange {
			select {
			case u.asked <- true:
			default:
			}
			return &Unprepared{Index: i, Done: u.awaitPrepared}
		}
	}
	return u.fakeJournal.Append(b)
}

// A message that the journal is not ready for holds up nothing in other rooms, nor what is decided in its own; those behind it
// in its room stay behind it, whether they came in one batch or later, and each is stored once. Who is banned meanwhile
// has said nothing.
func TestAMessageThatWaitsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := room(t, "dev")
		j := &unready{room: dev, busy: make(chan bool, 1), awaitPrepared: make(chan struct{})}
		h := start(t, j, "alice", "bob", "carol")
		for _, who := range []string{"alice", "bob", "carol"} {
			if _, err := h.Join(t.Context(), name(t, who), dev); err != nil {
				t.Fatal(err)
			}
		}
		answers := make(map[string]chan error)
		post := func(who, what string) {
			answers[what] = make(chan error, 1)
			go func() {
				_, err := h.Post(t.Context(), h.caller(name(t, who)), dev, Say, words(what))
				answers[what] <- err
			}()
		}
		post("carol", "zero")
		synctest.Wait()
		j.busy <- true // what comes now comes as one batch, after the first
		go h.Decide(t.Context(), TheServer, SetTopic{Room: General, Topic: "being stored"}, nil)
		synctest.Wait()
		for i, who := range []string{"alice", "bob", "carol"} {
			post(who, []string{"one", "two", "never"}[i])
			synctest.Wait()
		}
		<-j.busy
		synctest.Wait()
		if m := say(t, h, "bob", General, "meanwhile"); m.Seq != 1 {
			t.Errorf("it is message %d", m.Seq)
		}
		if err := h.Decide(t.Context(), TheServer, Ban{Sanction: Sanction{User: name(t, "carol")}}, nil); err != nil {
			t.Fatal(err)
		}
		post("bob", "three")
		synctest.Wait()
		for what, answer := range answers {
			if len(answer) > 0 {
				t.Errorf("%q: answered while the journal is not ready", what)
			}
		}
		close(j.awaitPrepared)
		var said []string
		synctest.Wait()
		for _, e := range j.stored() {
			if e.Room == dev && e.Change == NoChange {
				said = append(said, e.Message.Text.String())
			}
		}
		if want := []string{"one", "two", "three"}; !slices.Equal(said, want) {
			t.Errorf("stored %q, want %q", said, want)
		}
		for what, answer := range answers {
			if err := <-answer; (err != nil) != (what == "never" || what == "zero") {
				t.Errorf("%q: %v", what, err)
			}
		}
	})
}

// A hub that stops answers those whose message waits for the journal, and leaves no goroutine.
func TestAMessageThatWaitsWhenTheHubStops(t *testing.T) {
	j := &unready{room: General, busy: make(chan bool, 1), awaitPrepared: make(chan struct{}), asked: make(chan bool, 1)}
	h := hubOver(j, nil, []RoomState{{Name: General, Members: []Member{{name(t, "alice"), 1}}}}, quiet)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	said := make(chan error, 1)
	alice := h.caller(name(t, "alice"))
	go func() {
		_, err := h.Post(t.Context(), alice, General, Say, words("hello"))
		said <- err
	}()
	<-j.asked
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := <-said; !errors.Is(err, ErrStopping) {
		t.Errorf("said: %v", err)
	}
	if len(j.stored()) > 0 {
		t.Error("it is stored")
	}
}
