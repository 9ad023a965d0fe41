package chat

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// busy is a journal that is never prepared for joins until it is closed.
type busy struct {
	tape
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
	j := &tape{}
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
