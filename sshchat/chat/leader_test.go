package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// seat is the Leader of a hub that may lead.
type seat struct {
	leads *atomic.Pointer[Hub]
	hub   *Hub
}

func (s *seat) Here() bool { return s.leads.Load() == s.hub }

func (s *seat) Order(ctx context.Context, r Request) error {
	answer, unknown := make(chan error, 1), ErrNoAnswer
	switch h := s.leads.Load(); h {
	case nil:
		unknown = ErrNoLeader
	case s.hub:
		return h.Order(ctx, r)
	default: // it is asked over a network
		go func() { answer <- h.Order(context.WithoutCancel(ctx), r) }()
	}
	select {
	case err := <-answer:
		return err
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return unknown
}

// realm is two hubs over one log, each of which may lead.
type realm struct {
	log   sharedLog
	leads atomic.Pointer[Hub]
	spots [2]*spot
	hubs  [2]*Hub
}

// newRealm is one whose hubs run once run is called for them; the first leads. over may put another journal over a spot.
func newRealm(t *testing.T, over func(i int, s *spot) Journal, rooms ...RoomState) *realm {
	t.Helper()
	r := &realm{}
	parts := Parts{Rooms: append(rooms, RoomState{Name: General, Members: []Member{{name(t, "alice"), 1}, {name(t, "bob"), 1}}})}
	for _, n := range []string{"alice", "bob"} {
		parts.Accounts = append(parts.Accounts, accountOf(name(t, n)))
	}
	state := NewState(parts)
	for i := range r.hubs {
		s, at := r.log.join(), &seat{leads: &r.leads}
		journal := Journal(s)
		if over != nil {
			journal = over(i, s)
		}
		r.spots[i], r.hubs[i] = s, NewHub(Config{Journal: journal, State: state, Clock: moment, Leader: at, Log: quiet})
		at.hub = r.hubs[i]
	}
	r.leads.Store(r.hubs[0])
	return r
}

func (r *realm) run(t *testing.T) *realm {
	for _, h := range r.hubs {
		running(t, h)
	}
	return r
}

// shows is what each hub shows of the room, which is the same.
func (r *realm) shows(t *testing.T, where RoomName) (texts []string) {
	t.Helper()
	synctest.Wait()
	for i, h := range r.hubs {
		var here []string
		for k, m := range h.Before(name(t, "alice"), where, 0, LogLines) {
			here = append(here, m.Text.String())
			if m.Seq != uint64(k+1) {
				t.Errorf("hub %d: message %d is the %d-th", i, m.Seq, k+1)
			}
		}
		if i > 0 && !slices.Equal(here, texts) {
			t.Errorf("one hub shows %q, the other %q", texts, here)
		}
		texts = here
	}
	return texts
}

// What the hub that led had staged is ordered by the hub that leads: its own requests and others', messages, decisions and events.
func TestStagedRequestsMoveWithTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil)
		moved := 0
		r.spots[0].refuse = func(Batch) error {
			moved++
			r.leads.Store(r.hubs[1])
			return fmt.Errorf("another epoch: %w", ErrNotLeader)
		}
		r.run(t)
		dev := room(t, "dev")
		errs := make(chan error, 8)
		for i, h := range r.hubs {
			who := h.caller(name(t, []string{"alice", "bob"}[i]))
			go func() { _, err := h.Post(t.Context(), who, General, Say, words("hello")); errs <- err }()
			go func() { errs <- h.Decide(t.Context(), who, JoinRoom{Room: dev}, nil) }()
			go func() { errs <- h.Store(Event{Room: General, Stored: "heads"}) }()
			go func() { errs <- h.Reseal(t.Context(), who.Name) }()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if got := r.shows(t, General); len(got) != 2 || moved != 1 {
			t.Errorf("shown: %q; the lead moved %d times", got, moved)
		}
		for i, h := range r.hubs {
			if !h.In(name(t, "alice"), dev) || !h.In(name(t, "bob"), dev) {
				t.Errorf("hub %d: not both are in the room", i)
			}
			if failed, _ := h.Failures(); failed > 0 || len(h.requests.waiting) > 0 {
				t.Errorf("hub %d: %d batches have failed; %d requests are not answered", i, failed, len(h.requests.waiting))
			}
		}
	})
}

// A hub that lost the lead, and does not know what became of its last batch, sends it again: it is done once, whether it is part of
// the log or not.
func TestBatchInDoubtAsTheLeadMoves(t *testing.T) {
	for _, stored := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRealm(t, nil)
			r.spots[0].refuse = func(b Batch) error {
				if stored {
					r.log.n++
					for _, s := range r.log.nodes {
						s.out <- b
					}
				}
				r.leads.Store(r.hubs[1])
				return ErrNotLeader
			}
			r.run(t)
			for i, h := range r.hubs {
				m, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("hello"))
				if err != nil || m.Seq != uint64(i+1) {
					t.Errorf("stored: %v: message %d, %v", stored, m.Seq, err)
				}
			}
			if got := r.shows(t, General); len(got) != 2 {
				t.Errorf("stored: %v: shown: %q", stored, got)
			}
		})
	}
}

// A request of a hub's own that comes through Order twice is done once: in one batch, and in a later one. The control is one of
// another hub that nobody has heard of.
func TestOwnRequestTwiceThroughOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil)
		h := r.hubs[0]
		who := h.caller(name(t, "alice"))
		req := newRequest(who, Post{Room: General, Kind: Say, Text: words("hello")})
		h.requests.open(req)
		answers := make(chan error, 2)
		for range 2 {
			go func() { answers <- h.Order(t.Context(), req.Request) }()
			synctest.Wait() // it is queued
		}
		r.run(t)
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		<-req.done
		if err := h.Order(t.Context(), req.Request); err != nil || req.message.Seq != 1 {
			t.Errorf("the third time: %v; message %d", err, req.message.Seq)
		}
		if got := r.shows(t, General); len(got) != 1 {
			t.Errorf("shown: %q", got)
		}
		again := req.Request
		again.ID = RequestID{^req.ID.Origin, 1}
		if err := h.Order(t.Context(), again); err != nil {
			t.Error(err)
		}
		if got := r.shows(t, General); len(got) != 2 {
			t.Errorf("with the control, shown: %q", got)
		}
	})
}

// workingOn is a journal that has work to do for each message, which ends with done.
type workingOn struct {
	*spot
	done chan struct{}
}

func (u *workingOn) Append(b Batch) error {
	select {
	case <-u.done:
		return u.spot.Append(b)
	default:
	}
	for i, e := range b.Events {
		if e.Message.Kind == Say {
			return &Unprepared{i, u.done}
		}
	}
	return u.spot.Append(b)
}

// Messages that wait for the journal of a hub that led are ordered by the next one, as soon as the first applies what that ordered;
// nobody waits for the work to end.
func TestMessagesThatWaitMoveWithTheLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := make(chan struct{})
		r := newRealm(t, func(i int, s *spot) Journal {
			if i == 0 {
				return &workingOn{s, never}
			}
			return s
		}).run(t)
		answers := make(chan error, 2)
		for _, h := range r.hubs {
			go func() {
				_, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("waits"))
				answers <- err
			}()
		}
		synctest.Wait()
		if len(r.shows(t, General)) > 0 {
			t.Fatal("they do not wait")
		}
		r.leads.Store(r.hubs[1])
		if _, err := r.hubs[1].Post(t.Context(), r.hubs[1].caller(name(t, "bob")), General, Say, words("first")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if got := r.shows(t, General); len(got) != 3 || got[0] != "first" {
			t.Errorf("shown: %q", got)
		}
	})
}

// Once an hour nothing happens: only the hub that leads calls its journal.
func TestOnlyTheLeaderKeepsHouse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil)
		var calls [2]atomic.Int64
		for i, s := range r.spots {
			s.refuse = func(Batch) error { calls[i].Add(1); return nil }
		}
		r.run(t)
		time.Sleep(10*housekeeping + time.Second)
		r.leads.Store(r.hubs[1])
		time.Sleep(10 * housekeeping)
		synctest.Wait()
		if one, two := calls[0].Load(), calls[1].Load(); one != 10 || two != 10 {
			t.Errorf("%d and %d calls of 10", one, two)
		}
	})
}

// A change of one's keys holds when it is answered, wherever it is asked for: what is said next is sealed to them. The control is a
// hub whose leader is not prepared for it.
func TestNewKeyIsSealedToBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rekeys []string
		done := make(chan struct{})
		r := newRealm(t, func(i int, s *spot) Journal {
			s.refuse = func(b Batch) error {
				for _, e := range b.Events {
					if e.Change == Rekey {
						rekeys = append(rekeys, e.Name.String())
					}
				}
				return nil
			}
			return &busyNode{s, done}
		}, RoomState{Name: room(t, "dev"), Members: []Member{{name(t, "bob"), 1}}}).run(t)
		follower := r.hubs[1]
		bob := follower.caller(name(t, "bob"))
		added := make(chan error, 1)
		key := Key{Line: "ssh-ed25519 another", Fingerprint: "SHA256:another", Reads: true}
		go func() {
			added <- follower.Decide(t.Context(), bob, AddKeys{bob.Login.Account, []Key{key}}, nil)
		}()
		synctest.Wait()
		select {
		case err := <-added:
			t.Errorf("it is answered before the leader is prepared: %v", err)
		default:
		}
		close(done)
		if err := <-added; err != nil || !slices.Equal(rekeys, []string{"bob", "bob"}) { // in both rooms
			t.Errorf("%v; rekeyed: %q", err, rekeys)
		}
	})
}

// busyNode is a journal that is not prepared for joins and new keys until done.
type busyNode struct {
	*spot
	done chan struct{}
}

func (b *busyNode) Prepared(_ RoomName, change Change) <-chan struct{} {
	if change == Rekey || change == Join {
		return b.done
	}
	return nil
}

// Who joins at another hub waits until the leader's journal is prepared, and others do not.
func TestJoinAtAnotherHubWaitsForTheLeadersJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := make(chan struct{})
		dev := room(t, "dev")
		r := newRealm(t, func(i int, s *spot) Journal {
			if i == 0 {
				return &busyNode{s, done}
			}
			return s
		}, RoomState{Name: dev, Members: []Member{{name(t, "bob"), 1}}}).run(t)
		follower := r.hubs[1]
		joined := make(chan error, 1)
		go func() {
			joined <- follower.Decide(t.Context(), follower.caller(name(t, "alice")), JoinRoom{Room: dev}, nil)
		}()
		synctest.Wait()
		say(t, follower, "bob", dev, "meanwhile")
		if follower.In(name(t, "alice"), dev) {
			t.Error("she is in before the journal is prepared")
		}
		close(done)
		if err := <-joined; err != nil || follower.Since(name(t, "alice"), dev) != 2 {
			t.Errorf("%v; she reads from message %d", err, follower.Since(name(t, "alice"), dev))
		}
	})
}

// After a change of the leader a slow room takes one message more of each person, and no second.
func TestSlowRoomAsTheLeadMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := room(t, "dev")
		r := newRealm(t, nil, RoomState{Name: dev, Rules: Rules{Slow: time.Hour}, Members: []Member{{name(t, "alice"), 1}}}).run(t)
		h := r.hubs[0]
		for i, want := range []error{nil, ErrSlow, nil, ErrSlow, ErrSlow} {
			if i == 2 {
				r.leads.Store(r.hubs[1])
			}
			if _, err := h.Post(t.Context(), h.caller(name(t, "alice")), dev, Say, words("x")); !errors.Is(err, want) {
				t.Errorf("message %d: %v, not %v", i, err, want)
			}
		}
	})
}

// Who hangs up while the answer is on its way to another hub learns it all the same, as with one process: they do not say again what
// was said. Nobody waits for a leader that does not come, once they have hung up or their hub stops.
func TestAnswerOnItsWayAsTheCallerHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil)
		appends := make(chan struct{})
		r.spots[0].refuse = func(Batch) error { <-appends; return nil }
		running(t, r.hubs[0])
		h := r.hubs[1]
		life, stop := context.WithCancel(t.Context())
		go h.Run(life)
		type result struct {
			seq uint64
			err error
		}
		post := func(ctx context.Context) <-chan result {
			got := make(chan result, 1)
			go func() {
				m, err := h.Post(ctx, h.caller(name(t, "alice")), General, Say, words("hello"))
				got <- result{m.Seq, err}
			}()
			synctest.Wait()
			return got
		}
		ctx, hangUp := context.WithCancel(t.Context())
		got := post(ctx)
		hangUp()
		close(appends)
		if is := <-got; is.err != nil || is.seq != 1 {
			t.Errorf("hung up: message %d, %v", is.seq, is.err)
		}
		r.leads.Store(nil)
		ctx, hangUp = context.WithCancel(t.Context())
		got, left := post(ctx), post(t.Context())
		hangUp()
		if is := <-got; !errors.Is(is.err, context.Canceled) {
			t.Errorf("hung up without a leader: %v", is.err)
		}
		stop()
		if is := <-left; !errors.Is(is.err, ErrStopping) {
			t.Errorf("their hub stops: %v", is.err)
		}
		if n := len(h.requests.waiting); n > 1 {
			t.Errorf("%d requests wait", n)
		}
	})
}

// A hub whose journal fails for good while it leads does not say of what others asked for that nobody has it: the log may.
func TestLeaderWhoseJournalFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRealm(t, nil)
		ended := make(chan error, 1)
		go func() { ended <- r.hubs[0].Run(t.Context()) }()
		running(t, r.hubs[1])
		r.spots[0].refuse = func(b Batch) error { // it is published, and cannot be stored here
			r.log.n++
			r.spots[1].out <- b
			return ErrJournalDead
		}
		go func() {
			if err := <-ended; !errors.Is(err, ErrJournalDead) {
				t.Errorf("Run returns %v", err)
			}
			r.leads.Store(r.hubs[1])
		}()
		h := r.hubs[1]
		if m, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("hello")); err != nil || m.Seq != 1 || r.log.n != 1 {
			t.Errorf("message %d, %v; %d batches", m.Seq, err, r.log.n)
		}
	})
}

// silent is a Leader elsewhere, whose answers are given, and whose log does not come here.
type silent struct{ answers chan error }

func (s silent) Here() bool { return false }

func (s silent) Order(ctx context.Context, _ Request) error {
	select {
	case err := <-s.answers:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A hub that does not get the log any more says of what was ordered elsewhere that it does not know what became of that, and keeps nobody
// waiting. What is refused before it was sent is refused as ever.
func TestHubThatHasLostTheLog(t *testing.T) {
	refused := &Refusal{Code: Failed, Text: "read-only"}
	for what, c := range map[string]struct {
		answers []error // before the log is lost, and then
		want    error
	}{
		"it was ordered":                {[]error{nil, refused}, ErrNotKnown},
		"there was no answer":           {[]error{ErrNoAnswer, refused}, ErrNotKnown},
		"it was refused from the start": {[]error{refused}, refused},
	} {
		synctest.Test(t, func(t *testing.T) {
			at := silent{make(chan error)}
			r := newRealm(t, nil)
			h := NewHub(Config{Journal: r.spots[0], State: r.hubs[0].View().State, Clock: moment, Leader: at, Log: quiet})
			running(t, h)
			done := make(chan error, 1)
			go func() {
				_, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("hello"))
				done <- err
			}()
			at.answers <- c.answers[0]
			synctest.Wait()
			h.LoseLog()
			for _, err := range c.answers[1:] {
				select {
				case at.answers <- err:
				case <-time.After(time.Second):
				}
			}
			synctest.Wait()
			select {
			case err := <-done:
				if !errors.Is(err, c.want) {
					t.Errorf("%s: %v", what, err)
				}
			default:
				t.Errorf("%s: it waits", what)
			}
		})
	}
}

// A hub that stops says that something was not sent only if no leader was asked for it: else that may be part of the log.
func TestHubThatStopsBeforeTheAnswer(t *testing.T) {
	for what, c := range map[string]struct {
		answers []error
		want    error
	}{
		"nobody leads":                    {[]error{ErrNoLeader}, ErrStopping},
		"it was ordered":                  {[]error{nil}, ErrNotKnown},
		"there was no answer":             {[]error{ErrNoAnswer}, ErrNotKnown},
		"nor from anybody later":          {[]error{ErrNoAnswer, ErrNoLeader}, ErrNotKnown},
		"it is on its way":                {nil, ErrNotKnown},
		"it stops once there is an error": {[]error{ErrStopping}, ErrStopping},
	} {
		synctest.Test(t, func(t *testing.T) {
			at := silent{make(chan error)}
			r := newRealm(t, nil)
			h := NewHub(Config{Journal: r.spots[0], State: r.hubs[0].View().State, Clock: moment, Leader: at, Log: quiet})
			life, stop := context.WithCancel(t.Context())
			go h.Run(life)
			done := make(chan error, 1)
			go func() {
				_, err := h.Post(t.Context(), h.caller(name(t, "alice")), General, Say, words("hello"))
				done <- err
			}()
			for _, err := range c.answers {
				at.answers <- err
			}
			synctest.Wait()
			stop()
			if n := len(c.answers); n > 0 && errors.Is(c.answers[n-1], ErrNoAnswer) { // it is asked once more meanwhile
				select {
				case at.answers <- c.answers[n-1]:
				case <-time.After(time.Second):
				}
			}
			if err := <-done; !errors.Is(err, c.want) {
				t.Errorf("%s: %v", what, err)
			}
			if n := len(h.requests.waiting); n > 1 {
				t.Errorf("%s: %d requests wait", what, n)
			}
		})
	}
}
