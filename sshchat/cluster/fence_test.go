package cluster

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/natstest"
)

// short is a fence of half a second: what a test delays by a second is as what a network delays by ten. Nobody looks or campaigns meanwhile.
var short = pace{
	heartbeat: 50 * time.Millisecond, look: time.Second, campaign: 5 * time.Second, spread: time.Second,
	alive: 50 * time.Millisecond, fence: 500 * time.Millisecond, greet: 50 * time.Millisecond, doubt: 12 * time.Second, texts: 5 * time.Second,
}

// serves reports whether a node lets people in and takes what they say.
func (s *site) serves() bool { return s.node.Fenced() == nil }

// knowsOfABan reports whether the node knows that somebody is banned.
func (s *site) knowsOfABan() bool { return len(s.accounts.View().AllBans()) > 0 }

// decides has the node decide something all the time, until the test ends or stop is called.
func (s *site) decides(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var ends sync.WaitGroup
	ends.Go(func() {
		for ctx.Err() == nil && s.hub.Load().Decide(ctx, chat.TheServer, chat.Expire{}, nil) == nil {
			<-time.After(10 * time.Millisecond)
		}
	})
	return func() { cancel(); ends.Wait() }
}

// bans has somebody be banned on a node.
func (s *site) bans(t testing.TB, name string) {
	t.Helper()
	p := journaltest.NewPerson(t, name)
	for _, in := range []chat.Intent{chat.CreateAccount{Account: p.Account(chat.User)}, chat.Ban{Sanction: chat.Sanction{User: p.Name}}} {
		if err := s.hub.Load().Decide(t.Context(), chat.TheServer, in, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// servesBanned counts how often the node is open after so long since the ban, until it knows of that.
func (s *site) servesBanned(since time.Time, after time.Duration) (times int) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		late := time.Since(since) > after
		switch open := s.serves(); {
		case s.knowsOfABan(): // after it was open
			return times
		case open && late:
			times++
		}
	}
	return times
}

// delayed is what a node does whose link gets slower bit by bit, and loses nothing, as somebody is banned: how often it is open later than the
// fence allows, before it knows. With mute the leader repeats no nonces.
func delayed(t *testing.T, mute bool) (served int) {
	servers := natstest.StartOne(t)
	r := &rig{servers: servers, log: quiet(t)}
	r.sites = found(t, servers, 2, journaltest.Options{}, r.log)
	link := servers.NewLink(t, 0)
	for _, s := range r.sites {
		s.pace, s.mute = &short, mute
	}
	r.sites[1].via = []string{link.URL()}
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	if err := r.Move(0); err != nil {
		t.Fatal(err)
	}
	far := r.sites[1]
	eventually(t, "node that is open", far.serves)
	stop := r.sites[0].decides(t)
	for by := time.Duration(0); by <= 3*short.fence; <-time.After(30 * time.Millisecond) {
		if silence, _ := far.node.watch.silence(); silence < short.fence/5 { // there is always something that comes
			by += 15 * time.Millisecond
			link.Delay(0, by)
		}
	}
	r.sites[0].bans(t, "mallory")
	served = far.servesBanned(time.Now(), short.fence)
	if !far.knowsOfABan() {
		t.Error("the node never hears of the ban")
	}
	if r.sites[0].node.Status().Epoch > far.node.Status().Epoch || !r.sites[0].node.Here() {
		t.Errorf("who hears the leader late takes the lead: %+v", r.status())
	}
	stop()
	link.Heal()
	eventually(t, "node that is open again", far.serves)
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return served
}

// I am banned, and make the link of a node slow that I am connected to: slower than the fence, bit by bit, so that it hears of something old all
// the time. The control: a leader of an older version repeats no nonces, so that what comes counts as new, and I am let in.
func TestAttackDelayedNode(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "slow down the link of a node, bit by bit, so that it does not hear in time that I am banned")
	var both sync.WaitGroup
	var served, control int
	both.Go(func() { served = delayed(t, false) })
	both.Go(func() {
		for range 5 { // a machine that stands still for half a second is a silence, after which a node looks first
			if control = delayed(t, true); control > 0 {
				return
			}
		}
	})
	both.Wait()
	if served > 0 {
		t.Errorf("the node is open %d times later than the fence after the ban, and does not know of it", served)
	}
	if control == 0 {
		t.Error("the control: a node that goes by when messages come is not open either: the test finds nothing")
	}
	row.Tried("a ban on one node, while the link of another delays all that comes by three times the time of the fence, and loses nothing")
	row.Held("a node is fenced unless the log has repeated a number that it has said itself less than the time of the fence ago: it is not open once before it knows")
	row.Control("with a leader of an older version, which repeats none, it is open")
}

// A node that follows is never fenced, whether there is much to say or nothing: what it knows is much younger than the fence allows.
func TestHealthyNodesAreNeverFenced(t *testing.T) {
	t.Parallel()
	r := newRigAt(t, natstest.StartOne(t), 3, journaltest.Options{}, &usual)
	if err := r.Move(0); err != nil { // at once
		t.Fatal(err)
	}
	took := eventually(t, "three nodes that are open", func() bool { return r.sites[0].serves() && r.sites[1].serves() && r.sites[2].serves() })
	idle := r.oldest(t, time.Duration(journaltest.Times(2500, 30000))*time.Millisecond)
	c := r.talk(t, 24, 5*time.Millisecond)
	c.more(100)
	load := r.oldest(t, time.Duration(journaltest.Times(1000, 10000))*time.Millisecond)
	c.end()
	t.Logf("figure: open %v after somebody leads; what a node knows is %v old at most while nothing is said, and %v under load", took.Round(time.Millisecond), idle.Round(time.Millisecond), load.Round(time.Millisecond))
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// oldest watches all nodes for a while, and returns how old what one of them knew was at most.
func (r *rig) oldest(t *testing.T, d time.Duration) (age time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		for _, s := range r.sites {
			if err := s.node.Fenced(); err != nil {
				t.Fatalf("node %s: %v; %+v", s.name, err, s.node.Status())
			}
			w := &s.node.watch
			w.mu.Lock()
			age = max(age, time.Since(w.known))
			w.mu.Unlock()
		}
	}
	return age
}

// step is what happens to a watch, so long after what was before.
type step struct {
	after time.Duration
	do    func(*watched)
	open  bool // then
}

// watched is a watch, and what is known of the others.
type watched struct {
	watch
	nonces  []uint64 // in the order in which they were said
	batch   uint64   // that was taken last
	applied uint64
}

const ms = time.Millisecond

func says(w *watched) { w.nonces = append(w.nonces, w.nonce()) }

// repeats has a message come that repeats the last nonce but n.
func repeats(n int) func(*watched) {
	return func(w *watched) {
		w.takes(&entry{Nonces: map[string]uint64{"me": w.nonces[len(w.nonces)-1-n]}}, "me", w.batch)
	}
}

func silent(w *watched) { w.takes(&entry{Nonces: map[string]uint64{"other": 1}}, "me", w.batch) }
func older(w *watched)  { w.takes(&entry{}, "me", w.batch) }
func nothing(*watched)  {}

// What a node knows is as old as the newest of its nonces that the log has repeated, and whatever comes before does not count.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string][]step{
		"a start":                              {{0, nothing, false}, {ms, silent, false}, {0, says, false}, {ms, repeats(0), true}},
		"a nonce that is repeated":             {{0, says, false}, {4000 * ms, repeats(0), true}, {1000 * ms, nothing, true}, {ms, nothing, false}},
		"a nonce that is repeated late":        {{0, says, false}, {5001 * ms, repeats(0), false}},
		"a nonce of another process":           {{0, says, false}, {0, func(w *watched) { w.nonces[0]++ }, false}, {0, repeats(0), false}},
		"an older nonce after a newer one":     {{0, says, false}, {4000 * ms, says, false}, {0, repeats(0), true}, {0, repeats(1), true}, {5000 * ms, nothing, true}, {ms, nothing, false}},
		"a nonce that is repeated again":       {{0, says, false}, {0, repeats(0), true}, {4000 * ms, repeats(0), true}, {1001 * ms, nothing, false}},
		"nonces that the leader does not hear": {{0, says, false}, {0, repeats(0), true}, {3000 * ms, silent, true}, {3000 * ms, silent, false}, {0, says, false}, {0, repeats(0), true}},
		"a process that was frozen":            {{0, says, false}, {0, repeats(0), true}, {9000 * ms, silent, false}, {0, repeats(0), false}, {0, says, false}, {0, repeats(0), true}},
		"a look at a server that is cut off":   {{0, says, false}, {0, repeats(0), true}, {9000 * ms, silent, false}, {0, func(w *watched) { w.looked(time.Now(), 0) }, false}},
		"a leader of an older version":         {{0, older, true}, {4000 * ms, older, true}, {4000 * ms, older, true}},
		"a silence of one":                     {{0, older, true}, {5001 * ms, older, false}, {0, older, false}, {0, func(w *watched) { w.looked(time.Now(), 0) }, true}},
		"one after a leader of this version":   {{0, says, false}, {0, repeats(0), true}, {4000 * ms, silent, true}, {4000 * ms, older, true}},
		"one before a leader of this version":  {{0, older, true}, {4000 * ms, silent, true}, {2000 * ms, silent, false}},
		"a leader that has published":          {{0, nothing, false}, {0, func(w *watched) { w.stores(time.Now(), 0) }, true}, {5001 * ms, nothing, false}},
		"an answer that comes late":            {{0, nothing, false}, {0, func(w *watched) { w.stores(time.Now().Add(-5001*ms), 0) }, false}},
		"an answer that does not say when":     {{0, nothing, false}, {0, func(w *watched) { w.stores(time.Time{}, 0) }, false}},
		"a hub that is behind": {{0, says, false}, {0, func(w *watched) { w.batch = 7 }, false}, {0, repeats(0), false}, {0, func(w *watched) { w.applied = 6 }, false},
			{0, func(w *watched) { w.applied = 7 }, true}},
		"a hub that stands still": {{0, says, false}, {0, repeats(0), true}, {0, func(w *watched) {
			for w.batch = range uint64(1000) {
				says(w)
				time.Sleep(ms)
				repeats(0)(w)
			}
		}, true}, {4500 * ms, nothing, false}, {0, func(w *watched) { w.applied = 1000 }, false}, {0, says, false}, {0, repeats(0), true}},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := &watched{watch: watch{limit: usual.fence}}
			w.begin()
			for i, s := range steps {
				time.Sleep(s.after)
				s.do(w)
				if _, is := w.fenced(w.applied); is == s.open {
					t.Errorf("%s: after step %d, fenced: %v", name, i+1, is)
				}
			}
			if len(w.watch.nonces) > 1001 || len(w.proofs) > maxProofs {
				t.Errorf("%s: %d nonces and %d proofs are kept", name, len(w.watch.nonces), len(w.proofs))
			}
		})
	}
}

// A node that is fenced catches up while messages come, and not because a server has no more: one that is cut off from the
// others has none either.
func TestCatchesUpByMessages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{watch: watch{limit: usual.fence}}
		w.begin()
		silent(w)
		if !w.comes() {
			t.Error("a message has come")
		}
		for range 10 {
			time.Sleep(time.Second)
			w.looked(time.Now(), 0)
		}
		if silence, _ := w.silence(); silence > 0 || w.comes() {
			t.Errorf("after %v without a message: messages come: %v", silence, w.comes())
		}
	})
}

// For how long a node is fenced counts from when it was open last; one that starts is given the time of the fence.
func TestFencedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &watched{watch: watch{limit: usual.fence}}
		w.begin()
		for _, at := range []struct{ after, want time.Duration }{{0, 0}, {usual.fence, 0}, {time.Second, time.Second}} {
			time.Sleep(at.after)
			if d, is := w.fenced(0); !is || d != at.want {
				t.Errorf("a node that starts: %v, for %v, not %v", is, d, at.want)
			}
		}
		says(w)
		repeats(0)(w)
		if d, is := w.fenced(0); is || d != 0 {
			t.Errorf("an open node is fenced for %v", d)
		}
		for i := range 9 { // everything comes, 30 s late
			time.Sleep(time.Second)
			says(w)
			silent(w)
			if d, is := w.fenced(0); is != (i >= 5) || d != max(0, time.Duration(i-4)*time.Second) {
				t.Errorf("%d s later: %v, for %v", i+1, is, d)
			}
		}
	})
}

// The first line of a message has room for the nonces of all nodes that a chat can have, and an older version reads it.
func TestNoncesOfAllNodesFit(t *testing.T) {
	t.Parallel()
	e := &entry{Kind: batch, Epoch: 1 << 63, By: strings.Repeat("n", 32), Instance: 1 << 63, At: time.Now(), Prev: sumOf(nil), N: 1 << 63, Part: 100, Parts: 256, body: make([]byte, maxPart)}
	e.Nonces = make(map[string]uint64)
	for i := range chat.MaxNodes {
		e.Nonces[fmt.Sprintf("%032d", i)] = 1<<64 - 1
	}
	s, err := newSealer(make([]byte, 32), "genesis")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.encode(e, 1)
	if err != nil || len(b) > maxPayload {
		t.Errorf("%d bytes of at most %d: %v", len(b), maxPayload, err)
	}
	for what, nonces := range map[string]map[string]uint64{"nonces": e.Nonces, "no nonces": {}, "an older version": nil} {
		e.Nonces = nonces
		b, err := s.encode(e, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.decode(b, 1); err != nil || (got.Nonces == nil) != (nonces == nil) || len(got.Nonces) != len(nonces) {
			t.Errorf("%s: %v, %v", what, got.Nonces, err)
		}
	}
}

// A node is on a NATS server that is cut off from the others, and believes for some seconds that it leads the stream. What that says does not
// end the fence: others decide meanwhile. A node that starts there is not open either.
func TestCutOffServerEndsNoFence(t *testing.T) {
	t.Parallel()
	if !journaltest.Long() {
		t.Skip("it waits for two elections of NATS; TestWatch has what it is about. Run with SSHCHAT_LONG=1")
	}
	servers := natstest.Start(t, natstest.Routes())
	r := &rig{servers: servers, log: quiet(t)}
	r.sites = found(t, servers, 3, journaltest.Options{}, r.log)
	cut := servers.WaitLeader(t, streamName)
	for i, s := range r.sites {
		s.pace = &short
		s.via = []string{servers.URLs()[(cut+cmp.Compare(i, 0)+i/2)%3]} // of the first on the one that is cut off
	}
	if err := r.startAll(r.sites); err != nil {
		t.Fatal(err)
	}
	if err := r.Move(1); err != nil {
		t.Fatal(err)
	}
	far := r.sites[0]
	eventually(t, "node that is open", far.serves)
	if at := servers.WaitLeader(t, streamName); at != cut {
		t.Skipf("server %d leads now, not %d", at, cut)
	}
	servers.Isolate(cut)
	eventually(t, "node that is fenced", func() bool { return !far.serves() })
	done := make(chan time.Time, 1)
	go func() {
		r.sites[1].bans(t, "mallory")
		done <- time.Now()
	}()
	decided := false
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if far.serves() && !far.knowsOfABan() {
			t.Fatalf("it is open, decided elsewhere: %v", decided)
		}
		select {
		case <-done:
			decided = true
		default:
		}
	}
	if !decided {
		t.Error("nothing is decided on the other side")
	}
	servers.HealRoutes()
	eventually(t, "node that is open again, and knows", func() bool { return far.knowsOfABan() && far.serves() })
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
