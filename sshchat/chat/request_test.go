package chat

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/text"
)

// sharedLog is a log in memory over which several hubs run.
type sharedLog struct {
	mu    sync.Mutex
	n     uint64
	nodes []*spot
}

type spot struct {
	*sharedLog
	out    chan Batch
	refuse func(Batch) error // asked before the place is taken; nil: nobody
}

func (s *sharedLog) join() *spot {
	n := &spot{sharedLog: s, out: make(chan Batch, 1<<10)}
	s.nodes = append(s.nodes, n)
	return n
}

func (n *spot) Append(b Batch) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil {
		if err := n.refuse(b); err != nil {
			return err
		}
	}
	if b.N != n.n+1 {
		return ErrBehind
	}
	n.n++
	for _, other := range n.nodes {
		other.out <- b
	}
	return nil
}

func (n *spot) Events() <-chan Batch                     { return n.out }
func (n *spot) Rehearse(_, after *State) (*State, error) { return after, nil }

// forgetting is a leader that is asked over a line on which answers get lost.
type forgetting struct {
	Leader
	lost int // this many more
}

func (f *forgetting) Here() bool { return false }

func (f *forgetting) Order(ctx context.Context, r Request) error {
	err := f.Leader.Order(ctx, r)
	if f.lost > 0 {
		f.lost--
		return ErrNoAnswer
	}
	return err
}

// hubsOver runs a leader and a follower over one log, in which the people are in #general.
func hubsOver(t *testing.T, s *sharedLog, people ...string) (leader, follower *Hub, line *forgetting) {
	general := RoomState{Name: General}
	var accounts []Account
	for _, p := range people {
		general.Members = append(general.Members, Member{name(t, p), 1})
		accounts = append(accounts, accountOf(name(t, p)))
	}
	state := NewState(Parts{Accounts: accounts, Rooms: []RoomState{general}})
	leader = running(t, NewHub(Config{Journal: s.join(), State: state, Clock: moment, Log: quiet}))
	line = &forgetting{Leader: leader}
	follower = running(t, NewHub(Config{Journal: s.join(), State: state, Clock: moment, Leader: line, Log: quiet}))
	return leader, follower, line
}

// A request whose answer is lost is sent again, and done once: a message, a decision, and what is refused.
func TestRequestSentTwiceIsDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader, follower, line := hubsOver(t, &sharedLog{}, "alice", "bob")
		alice := follower.caller(name(t, "alice"))
		for lost := range 4 {
			line.lost = lost
			m, err := follower.Post(t.Context(), alice, General, Say, words("hello"))
			if err != nil || m.Seq != uint64(lost+1) {
				t.Fatalf("with %d answers lost: message %d, %v", lost, m.Seq, err)
			}
		}
		line.lost = 2
		if err := follower.Decide(t.Context(), alice, JoinRoom{Room: room(t, "dev")}, nil); err != nil {
			t.Error(err)
		}
		line.lost = 0
		if err := follower.submit(t.Context(), newRequest(alice, LeaveRoom{General})); !errors.Is(err, ErrGeneral) {
			t.Error(err)
		}
		synctest.Wait()
		for who, h := range map[string]*Hub{"leader": leader, "follower": follower} {
			if got := h.Before(name(t, "alice"), General, 0, 99); len(got) != 4 || !h.In(name(t, "alice"), room(t, "dev")) {
				t.Errorf("the %s has %d messages of 4", who, len(got))
			}
		}
		if left := len(leader.requests.done[follower.requests.origin].ids); left > 1 {
			t.Errorf("%d requests are remembered that never come again", left)
		}
	})
}

// A request that comes again while it waits is not put into the batch twice; both times it is answered.
func TestRequestThatComesTwiceInABatchIsDoneOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		alice := name(t, "alice")
		h := hubOver(journal, nil, []RoomState{{Name: General, Members: []Member{{alice, 1}}}}, quiet)
		answers := make(chan error, 3)
		for _, n := range []uint64{1, 1, 2} {
			r := Request{ID: RequestID{7, n}, Settled: 1, Who: h.caller(alice), Intent: Post{Room: General, Kind: Say, Text: words("hello")}}
			go func() { answers <- h.Order(context.Background(), r) }()
			synctest.Wait() // it is queued
		}
		running(t, h)
		for range 3 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		if got := len(journal.stored()); got != 2 {
			t.Errorf("%d messages of 2", got)
		}
	})
}

// doubtful is a journal that stores batches and says that another hub's has the place: the answer to its first try was lost,
// and the second found the place taken.
type doubtful struct {
	*fakeJournal
	doubts int
}

func (d *doubtful) Append(b Batch) error {
	if err := d.fakeJournal.Append(b); err != nil || d.doubts == 0 {
		return err
	}
	d.doubts--
	return ErrBehind
}

// What was in doubt and comes out of the log is done, and not ordered again.
func TestBatchInDoubtIsNotOrderedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &doubtful{&fakeJournal{}, 1}
		alice := name(t, "alice")
		state := NewState(Parts{Accounts: []Account{accountOf(alice)}, Rooms: []RoomState{{Name: General, Members: []Member{{alice, 1}}}}})
		h := running(t, NewHub(Config{Journal: journal, State: state, Clock: moment, Log: quiet}))
		for seq := range uint64(2) {
			if m := say(t, h, "alice", General, "hello"); m.Seq != seq+1 {
				t.Errorf("message %d, not %d", m.Seq, seq+1)
			}
		}
		if got := len(journal.stored()); got != 2 {
			t.Errorf("%d messages of 2", got)
		}
	})
}

// noting is a leader that keeps what it is asked.
type noting struct {
	Leader
	asked []Request
}

func (n *noting) Order(ctx context.Context, r Request) error {
	n.asked = append(n.asked, r)
	return n.Leader.Order(ctx, r)
}

// A leader that has started again does not do what it did before, if it is given the answers of the log; the control is not.
// What no hub asks another for it refuses.
func TestLeaderThatStartedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &sharedLog{}
		leader, follower, line := hubsOver(t, log, "alice", "bob")
		asked := &noting{Leader: leader}
		line.Leader = asked
		var answers []Answer
		spare := log.join()
		if _, err := follower.Post(t.Context(), follower.caller(name(t, "alice")), General, Say, words("once")); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, (<-spare.out).Answers...)
		for _, known := range [][]Answer{answers, nil} {
			n := log.n
			again := running(t, NewHub(Config{
				Journal: log.join(), State: leader.View().State, Last: map[RoomName]uint64{General: 1}, Applied: n, Answers: known, Clock: moment, Log: quiet,
			}))
			if err := again.Order(t.Context(), asked.asked[0]); err != nil {
				t.Error(err)
			}
			if twice := log.n > n; twice != (known == nil) {
				t.Errorf("with %d answers known: done twice: %v", len(known), twice)
			}
		}
		for i, r := range []Request{
			{}, {Intent: Expire{}, Event: &Event{Change: Rekey}}, {Event: &Event{Room: General, Change: Join, Name: name(t, "eve")}},
			{Event: &Event{Room: General, Change: Join, Stored: "heads"}},
			{Event: &Event{Room: General, Message: Message{Room: General, Seq: 9, Kind: Say, Text: words("not hers"), From: name(t, "bob")}}},
		} {
			if err := leader.Order(t.Context(), r); !errors.Is(err, errNoRequest) {
				t.Errorf("request %d, which no hub makes: %v", i, err)
			}
		}
	})
}

// An edit by hand that is refused is not noted as taken: the next start would write over it.
func TestEditThatCannotBeReadBackIsNotTaken(t *testing.T) {
	alice := name(t, "alice")
	state := NewState(Parts{Accounts: []Account{accountOf(alice)}, Rooms: []RoomState{{Name: General, Members: []Member{{alice, 1}}}}})
	var edits []string
	n := (&sharedLog{}).join()
	n.refuse = func(b Batch) error { edits = append(edits, b.Edit); return nil }
	journal := &unreadable{n, true}
	h := NewHub(Config{Journal: journal, State: state, Clock: moment, Log: quiet})
	edited := state.Parts()
	edited.Mutes = []Sanction{{User: alice}}
	edit := EditByHand{Base: state, Edited: NewState(edited), File: "sum"}
	req := newRequest(h.caller(alice), Post{Room: General, Kind: Say, Text: words("beside it")})
	o := h.makeBatch([]*request{newRequest(TheServer, edit), req})
	if o.batch.Edit != "" || len(o.staged) != 1 {
		t.Errorf("%d requests with edit %q", len(o.staged), o.batch.Edit)
	}
	journal.fails = false
	running(t, h)
	if err := h.Decide(t.Context(), TheServer, edit, nil); err != nil || edits[len(edits)-1] != "sum" {
		t.Errorf("an edit that can be read back: %q, %v", edits, err)
	}
}

// unreadable is a journal whose changes cannot be read back.
type unreadable struct {
	*spot
	fails bool
}

func (u *unreadable) Rehearse(_, after *State) (*State, error) {
	if u.fails {
		return nil, errors.New("it cannot be read back")
	}
	return after, nil
}

// Two hubs that both lead are brought into one order by the log: who is behind orders anew, by what was decided meanwhile.
func TestTwoLeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &sharedLog{}
		a, _, _ := hubsOver(t, log, "alice", "bob")
		b := running(t, NewHub(Config{Journal: log.join(), State: a.View().State, Clock: moment, Log: quiet}))
		alice, bob := a.caller(name(t, "alice")), a.caller(name(t, "bob"))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if _, err := a.Post(t.Context(), alice, General, Say, words("a")); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if _, err := b.Post(t.Context(), bob, General, Say, words("b")); err != nil {
					t.Error(err)
				}
			})
		}
		made := make(chan error, 2)
		for _, h := range []*Hub{a, b} {
			wg.Go(func() { made <- h.Decide(t.Context(), TheServer, CreateRoom{Room: room(t, "dev")}, nil) })
		}
		wg.Wait()
		synctest.Wait()
		if one, two := <-made, <-made; (one == nil) == (two == nil) || !errors.Is(errors.Join(one, two), ErrTaken) {
			t.Errorf("made: %v, %v", one, two)
		}
		as, bs := a.Before(alice.Name, General, 0, 999), b.Before(alice.Name, General, 0, 999)
		if len(as) != 100 || len(bs) != 100 {
			t.Fatalf("%d and %d messages of 100", len(as), len(bs))
		}
		for i := range as {
			if as[i] != bs[i] || as[i].Seq != uint64(i+1) {
				t.Fatalf("message %d: %+v and %+v", i, as[i], bs[i])
			}
		}
	})
}

// One message that cannot be stored is refused alone; those beside it, and decisions, are stored.
func TestMessageThatCannotBeStoredIsRefusedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &sharedLog{}
		n := log.join()
		n.refuse = func(b Batch) error {
			for i, e := range b.Events {
				if e.Message.Text.String() == "poison" {
					return &BadEvent{i, errors.New("it cannot be sealed")}
				}
			}
			return nil
		}
		alice, ci := name(t, "alice"), room(t, "ci")
		state := NewState(Parts{Accounts: []Account{accountOf(alice)}, Rooms: []RoomState{{Name: General, Members: []Member{{alice, 1}}}}})
		h := NewHub(Config{Journal: n, State: state, Clock: moment, Log: quiet})
		who := h.caller(alice)
		type result struct {
			i   int
			err error
		}
		results := make(chan result, 5)
		for i, in := range []Intent{
			Post{Room: General, Kind: Say, Text: words("one")}, Post{Room: General, Kind: Say, Text: words("poison")}, JoinRoom{Room: ci},
			Post{Room: General, Kind: Say, Text: words("poison")}, Post{Room: General, Kind: Say, Text: words("two")},
		} {
			go func() { results <- result{i, h.submit(context.Background(), newRequest(who, in))} }()
			synctest.Wait() // it is queued
		}
		running(t, h)
		for range 5 {
			r := <-results
			if poison := r.i == 1 || r.i == 3; poison != errors.Is(r.err, ErrNotStored) || !poison && r.err != nil {
				t.Errorf("request %d: %v", r.i, r.err)
			}
		}
		got := h.Before(alice, General, 0, 9)
		if len(got) != 2 || got[0].Text.String() != "one" || got[1].Text.String() != "two" || got[1].Seq != 2 || !h.In(alice, ci) {
			t.Errorf("in the room: %+v", got)
		}
	})
}

// The time of messages does not step back with the clock, up to five seconds; a clock that is set back by more is taken, and
// counted. Seqs have the order either way.
func TestClockThatStepsBack(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := at
	state := NewState(Parts{Accounts: []Account{accountOf(name(t, "alice"))}, Rooms: []RoomState{{Name: General, Members: []Member{{name(t, "alice"), 1}}}}})
	clock := func() Moment { return Moment{Wall: now, Trusted: now, Latest: now, Stamp: now} }
	h := running(t, NewHub(Config{Journal: (&sharedLog{}).join(), State: state, Clock: clock, Log: quiet}))
	for i, c := range []struct {
		step, want time.Duration
		counted    int64
	}{
		{0, 0, 0}, {time.Second, time.Second, 0}, {-time.Second, time.Second, 0}, {-4 * time.Second, time.Second, 0}, {10 * time.Second, 6 * time.Second, 0},
		{-6 * time.Second, 0, 1}, {time.Second, time.Second, 1},
	} {
		now = now.Add(c.step)
		m := say(t, h, "alice", General, "x")
		if got := m.At.Sub(at); got != c.want || h.ClockSetBack() != c.counted || m.Seq != uint64(i+1) {
			t.Errorf("step %d, %v: at %v, not %v; set back %d times; message %d", i, c.step, got, c.want, h.ClockSetBack(), m.Seq)
		}
	}
}

// Requests of one batch are checked one after another: what one decides holds for those after it, before any of it is stored.
func TestRequestsOfOneBatchSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		alice, bob, ci := name(t, "alice"), name(t, "bob"), room(t, "ci")
		h := hubOver(journal, nil, []RoomState{{Name: ci, Members: []Member{{alice, 1}, {bob, 1}}}}, quiet)
		a, b := h.caller(alice), h.caller(bob)
		post := func(text string) Post { return Post{Room: ci, Kind: Say, Text: words(text)} }
		for i, c := range []struct {
			who  Caller
			in   Intent
			want error
		}{
			{a, post("one"), nil},
			{TheServer, Mute{Sanction{User: alice}}, nil},
			{a, post("muted"), errMuted},
			{TheServer, Unmute{alice}, nil},
			{b, LeaveRoom{ci}, nil},
			{b, post("gone"), ErrNotIn},
			{a, post("two"), nil},
			{b, JoinRoom{Room: ci, MustExist: true}, nil},
			{b, post("back"), nil},
			{TheServer, Disable{ID: a.Login.Account, Disabled: true}, nil},
			{a, post("disabled"), ErrDisabled},
			{a, AddKeys{a.Login.Account, []Key{{Line: "x", Fingerprint: "SHA256:x"}}}, ErrDisabled},
			{b, Post{Room: ci, Kind: Delete, Of: 1}, ErrNoMessage}, // from before they came
		} {
			go func() {
				err := h.submit(context.Background(), newRequest(c.who, c.in))
				if r, refused := Refused(err); (err == nil) != (c.want == nil) || c.want == errMuted && (!refused || r.Code != Denied) || c.want != errMuted && !errors.Is(err, c.want) {
					t.Errorf("request %d, %T: %v, not %v", i, c.in, err, c.want)
				}
			}()
			synctest.Wait() // it is queued
		}
		running(t, h)
		synctest.Wait()
		if journal.calls != 1 {
			t.Errorf("%d batches", journal.calls)
		}
		var got string
		for _, e := range journal.stored() {
			got += fmt.Sprintf("%d%s%s;", e.Change, e.Name, e.Message.Text)
		}
		if want := fmt.Sprintf("0one;%dbob;0two;%dbob;0back;%dalice;", Leave, Join, Revoke); got != want {
			t.Errorf("stored: %s, not %s", got, want)
		}
		if since := h.Since(bob, ci); since != 3 {
			t.Errorf("bob reads from %d", since)
		}
	})
}

// errMuted stands for the refusal of the muted.
var errMuted = errors.New("muted")

// Two people's room that comes to be in a batch is one of those that a key which is removed after it reads no more.
func TestKeyRemovedRightAfterTheFirstMessageOfTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &fakeJournal{}
		alice, bob := name(t, "alice"), name(t, "bob")
		h := hubOver(journal, nil, []RoomState{{Name: General, Members: []Member{{alice, 1}, {bob, 1}}}}, quiet)
		pair := text.Direct(alice, bob)
		bobs := h.caller(bob).Login.Account
		for _, in := range []Intent{Post{Room: pair, Kind: Say, Text: words("hi")}, Disable{ID: bobs, Disabled: true}} {
			who := TheServer
			if _, ok := in.(Post); ok {
				who = h.caller(alice)
			}
			go h.submit(context.Background(), newRequest(who, in))
			synctest.Wait() // it is queued
		}
		running(t, h)
		synctest.Wait()
		revoked := make(map[RoomName]bool)
		for _, e := range journal.stored() {
			if e.Change == Revoke && e.Name == bob {
				revoked[e.Room] = true
			}
		}
		if journal.calls != 1 || !revoked[pair] || !revoked[General] {
			t.Errorf("%d batches; revoked in %v", journal.calls, revoked)
		}
	})
}

// A key that was added opens what is said next also if the window could not be ended at once, as on a full disk.
func TestNewKeyReadsThoughTheDiskWasFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		journal := &busy{done: make(chan struct{})}
		alice, ci := name(t, "alice"), room(t, "ci")
		h := running(t, hubOver(journal, nil, []RoomState{{Name: ci, Members: []Member{{alice, 1}}}}, quiet))
		who := h.caller(alice)
		added := make(chan error, 1)
		key := Key{Line: "ssh-ed25519 another", Fingerprint: "SHA256:another", Reads: true}
		go func() { added <- h.Decide(context.Background(), who, AddKeys{who.Login.Account, []Key{key}}, nil) }()
		synctest.Wait() // it is decided, and waits for the room
		journal.fail(errors.New("disk full"))
		close(journal.done)
		if err := <-added; err != nil { // it is decided, and is not to wait for the disk
			t.Error(err)
		}
		journal.fail(nil)
		time.Sleep(2 * rekeyAgain)
		synctest.Wait()
		if all := journal.stored(); all[len(all)-1].Change != Rekey || all[len(all)-1].Room != ci {
			t.Errorf("stored: %+v", all)
		}
	})
}
