package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/cluster/logtest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/text"
	"sshchat/store"

	"github.com/nats-io/nats.go"
)

// said is one thing that was said, or was to be.
type said struct {
	what       string
	node       string // where
	seq        uint64 // 0: it is not known to be stored
	asked, got time.Time
	err        error
}

// crowd is people who talk at all nodes, all the time.
type crowd struct {
	*rig
	t      testing.TB
	who    journaltest.Person
	stop   context.CancelFunc
	ends   sync.WaitGroup
	people int
	rounds int
	acks   atomic.Int64
	paused time.Duration // between two messages of one of them

	mu  sync.Mutex
	all []said // guarded by mu
}

// alice makes an account, an admin's, whose key reads all that is said in #general.
func (r *rig) alice(t testing.TB) journaltest.Person {
	t.Helper()
	p := journaltest.NewPerson(t, "alice")
	if err := r.sites[0].hub.Load().Decide(t.Context(), chat.TheServer, chat.CreateAccount{Account: p.Account(chat.Admin)}, nil); err != nil {
		t.Fatal(err)
	}
	return *p
}

// talk has so many people talk at the nodes.
func (r *rig) talk(t testing.TB, people int, pause time.Duration) *crowd {
	t.Helper()
	c := &crowd{rig: r, t: t, who: r.alice(t), people: people, paused: pause}
	c.goOn()
	return c
}

// pause has all stop talking.
func (c *crowd) pause() {
	c.stop()
	c.ends.Wait()
}

// goOn has all talk, others than before.
func (c *crowd) goOn() {
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for i := range c.people {
		s := c.sites[i%len(c.sites)]
		who := c.rounds*c.people + i
		c.ends.Go(func() { c.talkAt(ctx, s, who) })
	}
	c.rounds++
}

// talkAt is one of them. When the node is gone it waits until that is back.
func (c *crowd) talkAt(ctx context.Context, s *site, i int) {
	for k := 0; ctx.Err() == nil; k++ {
		hub := s.hub.Load()
		if hub == nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		one := said{what: fmt.Sprintf("%d says %d", i, k), node: s.name, asked: time.Now()}
		words, err := text.ParseText(one.what)
		if err != nil {
			panic(err)
		}
		m, err := hub.Post(ctx, c.who.Caller, chat.General, chat.Say, words)
		if errors.Is(err, chat.ErrStale) { // this node has not heard of the account
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if one.seq, one.got, one.err = m.Seq, time.Now(), err; err == nil {
			c.acks.Add(1)
		}
		c.mu.Lock()
		c.all = append(c.all, one)
		c.mu.Unlock()
		select { // people think
		case <-time.After(c.paused):
		case <-ctx.Done():
		}
	}
}

// more waits until so many more messages were acknowledged, and returns how long that took.
func (c *crowd) more(n int64) time.Duration {
	c.t.Helper()
	began, from := time.Now(), c.acks.Load()
	for c.acks.Load() < from+n {
		if time.Since(began) > 2*time.Minute {
			c.t.Fatalf("only %d of %d messages in two minutes: %+v", c.acks.Load()-from, n, c.status())
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func (r *rig) status() (all []Status) {
	for _, s := range r.sites {
		if s.node != nil {
			all = append(all, s.node.Status())
		}
	}
	return all
}

// end has them stop talking, and checks what the nodes have.
func (c *crowd) end() {
	c.t.Helper()
	c.pause()
	c.check()
}

// check checks what the nodes have while nobody talks: all that was acknowledged, each once, in an order that agrees with the time, and the
// same on all nodes.
func (c *crowd) check() {
	c.t.Helper()
	for _, s := range c.sites { // each has what all have acknowledged
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := s.hub.Load().Decide(ctx, chat.TheServer, chat.Expire{}, nil); err != nil {
			c.t.Fatalf("node %s: %v", s.name, err)
		}
		cancel()
	}
	var first []string
	places := make(map[string]uint64)
	for i, s := range c.sites {
		stored, err := c.Stored(i, c.who, chat.General)
		if err != nil {
			c.t.Fatalf("node %s: %v", s.name, err)
		}
		lines := make([]string, len(stored))
		times := make(map[string]int)
		for k, m := range stored {
			lines[k] = fmt.Sprintf("%d %s", m.Seq, m.Text)
			times[m.Text.String()]++
			places[m.Text.String()] = m.Seq
			if m.Seq != stored[0].Seq+uint64(k) {
				c.t.Fatalf("node %s: message %d stands after message %d", s.name, m.Seq, stored[k-1].Seq)
			}
		}
		if first == nil {
			first = lines
		} else if !slices.Equal(first, lines) {
			c.t.Errorf("node %s has %d messages, and node %s %d, which differ", s.name, len(lines), c.sites[0].name, len(first))
		}
		for what, n := range times {
			if n > 1 {
				c.t.Errorf("node %s has stored %q %d times", s.name, what, n)
			}
		}
		for _, one := range c.all {
			if one.err == nil && (one.seq == 0 || one.seq != places[one.what] || times[one.what] != 1) {
				c.t.Errorf("node %s: %q was acknowledged as message %d, and is stored %d times", s.name, one.what, one.seq, times[one.what])
			}
		}
	}
	c.linear(places)
}

// linear checks that the log is linearizable, with what was stored without an answer.
func (c *crowd) linear(places map[string]uint64) {
	c.t.Helper()
	var all []logtest.Append
	for _, s := range c.all {
		a := logtest.Append{What: s.what, Asked: s.asked, Place: places[s.what]}
		if s.err == nil {
			a.Answered = s.got
		}
		all = append(all, a)
	}
	if err := logtest.Check(all); err != nil {
		c.t.Error(err)
	}
}

// latencies are how long the acknowledged took, sorted.
func (c *crowd) latencies() (all []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all {
		if s.err == nil {
			all = append(all, s.got.Sub(s.asked))
		}
	}
	slices.Sort(all)
	return all
}

// leader is the site that leads.
func (c *crowd) leader() *site {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		for _, s := range c.sites {
			if s.node != nil && s.node.Here() {
				return s
			}
		}
	}
	c.t.Fatalf("nobody leads: %+v", c.status())
	return nil
}

// leaderAndOther is that site, and one that does not lead.
func (c *crowd) leaderAndOther() (leads, other *site) {
	leads = c.leader()
	if leads == c.sites[0] {
		return leads, c.sites[1]
	}
	return leads, c.sites[0]
}

// longest is the longest time in which nothing was acknowledged.
func (c *crowd) longest() (gap time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var got []time.Time
	for _, s := range c.all {
		if s.err == nil {
			got = append(got, s.got)
		}
	}
	slices.SortFunc(got, time.Time.Compare)
	for i := 1; i < len(got); i++ {
		gap = max(gap, got[i].Sub(got[i-1]))
	}
	return gap
}

// faults are what happens to a cluster while people talk.
var faults = map[string]struct {
	often   int  // for a long proof
	servers bool // it happens to them
	do      func(c *crowd)
}{
	"the leader is killed": {10, false, func(c *crowd) {
		s := c.leader()
		s.crash()
		c.t.Logf("node %s was killed; the next message came after %v", s.name, c.more(1).Round(time.Millisecond))
		if err := s.start(); err != nil {
			c.t.Fatal(err)
		}
	}},
	"a follower is killed": {10, false, func(c *crowd) {
		leads := c.leader()
		for _, s := range c.sites {
			if s != leads {
				s.crash()
				c.more(20)
				if err := s.start(); err != nil {
					c.t.Fatal(err)
				}
				return
			}
		}
	}},
	"all nodes are killed": {20, false, func(c *crowd) {
		for _, s := range c.sites {
			s.crash()
		}
		if err := c.startAll(c.sites); err != nil {
			c.t.Fatal(err)
		}
	}},
	"nodes are restarted in turn": {3, false, func(c *crowd) {
		for _, s := range c.sites {
			if err := s.stop(); err != nil {
				c.t.Fatal(err)
			}
			c.more(20)
			if err := s.start(); err != nil {
				c.t.Fatal(err)
			}
			c.more(20)
		}
	}},
	"the leader of the stream is killed": {10, true, func(c *crowd) {
		i := c.servers.WaitLeader(c.t, streamName)
		c.servers.Kill(i)
		c.t.Logf("server %d was killed; the next messages came after %v", i, c.more(int64(len(c.sites))).Round(time.Millisecond))
		c.servers.Restart(i)
		c.servers.WaitReady(c.t, i)
	}},
	"all servers are killed": {10, true, func(c *crowd) {
		for i := range c.servers.Len() {
			c.servers.Kill(i)
		}
		for i := range c.servers.Len() {
			c.servers.Restart(i)
		}
		for i := range c.servers.Len() {
			c.servers.WaitReady(c.t, i)
		}
	}},
}

// Whatever is killed or restarted while people talk on three nodes over three servers: nothing that was acknowledged is lost, nothing is
// stored twice, all nodes have the same in the same order, and that order agrees with the time.
func TestFaults(t *testing.T) {
	t.Parallel()
	if journaltest.Long() {
		for name, fault := range faults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				goThrough(t, natstest.Start(t), fault.often, name)
			})
		}
		return
	}
	together := make(map[bool][]string) // one after the other in one cluster
	for name, fault := range faults {
		together[fault.servers] = append(together[fault.servers], name)
	}
	t.Run("nodes", func(t *testing.T) {
		t.Parallel()
		goThrough(t, natstest.StartOne(t), 1, together[false]...) // which is a third of the work
	})
	t.Run("servers", func(t *testing.T) {
		t.Parallel()
		goThrough(t, natstest.Start(t), 1, together[true]...)
	})
}

// goThrough has these faults happen to three nodes, each so often.
func goThrough(t *testing.T, servers *natstest.Cluster, often int, names ...string) {
	t.Helper()
	r := newRig(t, servers, 3, journaltest.Options{})
	c := r.talk(t, 24, 20*time.Millisecond)
	c.more(100)
	for _, name := range names {
		for range often {
			t.Log(name)
			faults[name].do(c)
			c.more(100)
		}
	}
	c.end()
	t.Logf("figure: %d messages; the longest pause was %v; %d texts were missed", c.acks.Load(), c.longest().Round(time.Millisecond), c.gaps())
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Nodes that start where nobody leads, in a new log or after one that has resigned, do not wait for anybody before they lead.
func TestNobodyIsAwaitedWhoHasResigned(t *testing.T) {
	t.Parallel()
	patient := fast
	patient.campaign = time.Hour // they would not lead while this test lasts
	r := newRigAt(t, natstest.StartOne(t), 2, journaltest.Options{}, &patient)
	decides := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := r.sites[0].hub.Load().Decide(ctx, chat.TheServer, chat.Expire{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		decides()
		last := slices.IndexFunc(r.sites, func(s *site) bool { return s.node.Here() })
		for i := range r.sites { // the one that leads is the last: another would begin to lead as it is stopped
			if err := r.sites[(last+1+i)%len(r.sites)].stop(); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.startAll(r.sites); err != nil {
			t.Fatal(err)
		}
	}
	decides()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that leads and is removed leads no longer, and decides nothing; the others go on.
func TestRemovedNode(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	c := r.talk(t, 6, 5*time.Millisecond)
	c.more(20)
	leads := c.leader()
	if err := leads.node.Fenced(); err != nil {
		t.Errorf("before: %v", err)
	}
	if err := r.sites[0].hub.Load().Decide(t.Context(), chat.TheServer, chat.RemoveNode{Name: leads.name}, nil); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); leads.node.Here() || c.leader() == leads; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it leads on")
		}
	}
	c.more(40)
	if err := leads.node.Fenced(); !errors.Is(err, ErrRemoved) {
		t.Errorf("it is not fenced: %v", err)
	}
	leads.node.watch.mu.Lock()
	leads.node.watch.known = time.Now().Add(-leads.node.c.pace.fence - time.Second) // it is told nothing any more
	leads.node.watch.mu.Unlock()
	if err, d := leads.node.Fenced(), leads.node.FencedFor(); !errors.Is(err, ErrRemoved) || d < time.Minute || !errors.Is(Cause(leads.node), ErrRemoved) {
		t.Errorf("later it is fenced because of %v, for %v", err, d)
	}
	if err := Cause(r.sites[0].node); r.sites[0] != leads && err != nil {
		t.Errorf("the others: %v", err)
	}
	c.stop()
	c.ends.Wait()
	if err := leads.hub.Load().Decide(t.Context(), chat.TheServer, chat.Expire{}, nil); !errors.Is(err, ErrRemoved) {
		t.Errorf("it decides: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that leads, and whose clock then is wrong, has another lead, whose clock is right; it does so once, as it may be that no other can.
func TestLeaderWithAWrongClock(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 3, journaltest.Options{})
	c := r.talk(t, 6, 5*time.Millisecond)
	c.more(20)
	leads := c.leader()
	if leads.node.nodes.yields(leads.node) {
		t.Error("its clock is right, and it is to resign")
	}
	for deadline := time.Now().Add(time.Minute); leads.node.Here() || c.leader() == leads; time.Sleep(time.Millisecond) {
		for _, s := range r.sites {
			if s != leads { // by its own clock, which is an hour behind
				leads.node.nodes.hear(alive{Node: s.name, At: time.Now().Add(time.Hour)}, time.Now())
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("it leads on")
		}
	}
	c.more(40)
	if leads.node.nodes.yields(leads.node) {
		t.Error("it would resign again at once")
	}
	c.end()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func (c *crowd) gaps() (n int64) {
	for _, s := range c.status() {
		n += s.TextGaps
	}
	return n
}

// Messages are posted on three nodes over three servers. The metrics are the median and the 99th percentile of a post, and how many a
// second.
func BenchmarkPost(b *testing.B) {
	for _, load := range []struct { // of which the first is 50 messages a second
		people int
		pause  time.Duration
	}{{3, 53 * time.Millisecond}, {24, 0}, {256, 0}} {
		b.Run(fmt.Sprintf("people=%d", load.people), func(b *testing.B) {
			r := newRig(b, natstest.Start(b), 3, journaltest.Options{})
			c := r.talk(b, load.people, load.pause)
			c.more(int64(2 * load.people))
			c.mu.Lock()
			c.all = nil
			c.mu.Unlock()
			b.ResetTimer()
			c.more(int64(b.N))
			b.StopTimer()
			took := c.latencies()
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "posts/s")
			c.end()
			if err := r.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// How long after a message is shown on the leader it is shown on another node.
func BenchmarkShownElsewhere(b *testing.B) {
	r := newRig(b, natstest.Start(b), 3, journaltest.Options{})
	c := &crowd{rig: r, t: b, who: r.alice(b)}
	leads, other := c.leaderAndOther()
	words, err := text.ParseText("a message of usual length, as people write them")
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		m, err := leads.hub.Load().Post(b.Context(), c.who.Caller, chat.General, chat.Say, words)
		if err != nil {
			b.Fatal(err)
		}
		shown := time.Now()
		for {
			room, err := other.hub.Load().Room(c.who.Name, chat.General)
			if err == nil && room.Last >= m.Seq {
				break
			}
			runtime.Gosched()
		}
		took = append(took, time.Since(shown))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms-later")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms-later")
	if err := r.Close(); err != nil {
		b.Error(err)
	}
}

// opensNoPackets takes the key of the leader's texts from a node, which gets it once.
func (s *site) opensNoPackets(t testing.TB) {
	t.Helper()
	texts := &s.node.texts
	locked := func(f func()) {
		texts.mu.Lock()
		defer texts.mu.Unlock()
		f()
	}
	if !s.deaf {
		eventually(t, "key of the leader's texts", func() (has bool) {
			locked(func() { has = texts.reader != nil })
			return has
		})
	}
	s.deaf = true
	locked(texts.end)
}

// withoutPacket has something said on one node, which leads, that another has to ask the texts of, and waits until it has applied that.
func (c *crowd) withoutPacket(leads, other *site) {
	c.t.Helper()
	other.opensNoPackets(c.t)
	c.awaitOn(other, c.sayOn(leads))
}

// sayOn has something said on a node, and returns its number.
func (c *crowd) sayOn(s *site) uint64 {
	c.t.Helper()
	words, err := text.ParseText("said on one node")
	if err != nil {
		c.t.Fatal(err)
	}
	m, err := s.hub.Load().Post(c.t.Context(), c.who.Caller, chat.General, chat.Say, words)
	if err != nil {
		c.t.Fatal(err)
	}
	return m.Seq
}

// awaitOn waits until a node has applied all messages up to that number.
func (c *crowd) awaitOn(s *site, seq uint64) {
	c.t.Helper()
	eventually(c.t, "message on "+s.name, func() bool {
		room, err := s.hub.Load().Room(c.who.Name, chat.General)
		return err == nil && room.Last >= seq
	})
}

// A node that does not get the texts of the leader asks for them also if it has not heard of the leader lately: who was cut off and is back has
// not been heard yet.
func TestTextsOfALeaderThatWasNotHeard(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 2, journaltest.Options{})
	c := &crowd{rig: r, t: t, who: r.alice(t)}
	leads, other := c.leaderAndOther()
	n := other.node
	for range 3 {
		n.nodes.mu.Lock()
		clear(n.nodes.heard)
		n.nodes.mu.Unlock()
		c.withoutPacket(leads, other)
	}
	if gaps := n.figures.gaps.Load(); gaps > 0 {
		t.Errorf("%d texts of 3 are missed", gaps)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that has missed many texts, as after it was cut off, asks for many at a time: one by one it would fall behind those that come.
func TestManyTextsAreAskedForAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 2, journaltest.Options{})
	c := &crowd{rig: r, t: t, who: r.alice(t)}
	leads, other := c.leaderAndOther()
	var asked atomic.Int32
	leads.node.peers.Handle(callTexts, func(_ context.Context, _ string, request []byte) ([]byte, error) {
		asked.Add(1)
		return leads.node.texts.give(&leads.node.requests, request)
	})
	const batches = 60
	last := uint64(0)
	other.opensNoPackets(t)
	other.node.writing.Lock() // it follows again once all is said
	for range batches {
		last = c.sayOn(leads)
	}
	other.node.writing.Unlock()
	c.awaitOn(other, last)
	if n, gaps := asked.Load(), other.node.figures.gaps.Load(); n == 0 || n > batches/10 || gaps > 0 {
		t.Errorf("the texts of %d batches were asked for %d times, and %d are missed", batches, n, gaps)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node whose nearest server stores less than the others, as for a while after it has started again, takes what it lacks from the stream's
// leader: while it follows, and when it starts.
func TestNearestServerIsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.Start(t), 2, journaltest.Options{})
	c := &crowd{rig: r, t: t, who: r.alice(t)}
	leads, other := c.leaderAndOther()
	n := other.node
	n.writing.Lock()
	at := n.at.Seq
	n.stream.behind.Store(at)
	const batches = 5
	for range batches {
		c.sayOn(leads)
	}
	for lost := 0; lost < batches-1; lost++ { // the first may be in the node's hands
		<-n.tail
	}
	n.writing.Unlock()
	c.awaitOn(other, c.sayOn(leads))

	n.writing.Lock()
	defer n.writing.Unlock()
	if err := recall(t.Context(), n); err != nil {
		t.Errorf("a start: %v", err)
	}
	n.stream.silent.Store(1 << 62)
	if err := recall(t.Context(), n); !errors.Is(err, errDoubt) {
		t.Errorf("a start, if the leader is not asked, as the control: %v", err)
	}
}

// A node whose NATS server is cut off from the others, and not from the node, goes to another.
func TestNodeLeavesAServerThatIsCutOff(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, natstest.Routes())
	hasty := fast
	hasty.fence = time.Second
	r := newRigAt(t, servers, 2, journaltest.Options{}, &hasty)
	c := &crowd{rig: r, t: t, who: r.alice(t)}
	_, other := c.leaderAndOther()
	nc := other.node.nc
	elects := servers.ServerName(servers.WaitLeader(t, streamName)) // which takes long
	for nc.ConnectedServerName() == elects {
		if err := nc.ForceReconnect(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "connection", nc.IsConnected)
	}
	left := nc.ConnectedServerName()
	for i := range servers.Len() {
		if servers.ServerName(i) == left {
			servers.Isolate(i)
		}
	}
	eventually(t, "node that follows through another server", func() bool {
		return nc.IsConnected() && nc.ConnectedServerName() != left && other.node.Fenced() == nil
	})
	r.say(t, c.who, "said while a server is cut off")
	servers.HealRoutes()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that is behind for another reason than its NATS server stays there.
func TestNodeStaysAtAServerThatIsNotTheReason(t *testing.T) {
	t.Parallel()
	hasty := fast
	hasty.fence = time.Second
	r := newRigAt(t, natstest.Start(t), 2, journaltest.Options{}, &hasty)
	n := r.sites[0].node
	n.watch.mu.Lock()
	n.watch.limit = time.Nanosecond // whatever it knows is too old
	n.watch.mu.Unlock()
	for _, unstored := range []bool{true, false} {
		n.figures.unstored.Store(unstored)
		var m mover
		for range 5 * time.Second / hasty.alive {
			m.tick(n)
		}
		if moves := m.moves > 0; moves == unstored {
			t.Errorf("its disk is full: %v, and it goes to another server: %v", unstored, moves)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A node that has the texts and does not answer for some seconds, as it is cut off, is asked again; and not without end.
func TestTextsOfANodeThatIsSilentForAWhile(t *testing.T) {
	t.Parallel()
	steady := fast
	steady.campaign = time.Minute // a leader that is not heard for a moment keeps its term: the next would give its key
	r := newRigAt(t, natstest.StartOne(t), 2, journaltest.Options{}, &steady)
	c := &crowd{rig: r, t: t, who: r.alice(t)}
	leads, other := c.leaderAndOther()
	n := other.node
	var asked, silent atomic.Int32
	leads.node.peers.Handle(callTexts, func(ctx context.Context, _ string, request []byte) ([]byte, error) {
		if asked.Add(1) <= silent.Load() {
			<-ctx.Done() // and its answer comes too late
			return nil, ctx.Err()
		}
		return leads.node.texts.give(&leads.node.requests, request)
	})
	for _, often := range []int32{2, 1000} {
		asked.Store(0)
		silent.Store(often)
		c.withoutPacket(leads, other)
		if gaps := n.figures.gaps.Load(); gaps > 0 != (often > 100) {
			t.Errorf("%d times without an answer: %d texts are missed", often, gaps)
		}
	}
	before := asked.Load()
	const more = 8 // once there is no patience left, not each batch waits: it would fall behind without end
	for range more {
		c.withoutPacket(leads, other)
	}
	if n := asked.Load() - before; n > more/2 {
		t.Errorf("a node that does not answer was asked %d times more for %d batches", n, more)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// cluster.json is written also while the leader publishes, which it does always if there is much to say: a start after a crash reads what
// came since.
func TestPositionIsSavedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 2, journaltest.Options{})
	c := r.talk(t, 12, 0)
	c.more(100)
	leads := c.leader()
	c.end()
	leads.stopNode() // what follows saves it
	if err := leads.drained(); err != nil {
		t.Fatal(err)
	}
	leads.ended <- nil
	n := leads.node
	n.writing.Lock()
	want := n.at.Seq
	n.figures.saved, n.figures.savedSeq = time.Time{}, 0
	if err := os.Remove(n.c.path(store.PositionFile)); err != nil {
		t.Fatal(err)
	}
	saveSometimes(n)
	n.writing.Unlock()
	if at, err := ReadPosition(leads.dir); err != nil || at.Seq != want {
		t.Errorf("while the leader publishes, %d is saved, not %d: %v", at.Seq, want, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Texts that were lost while a node was cut off are not waited for: many batches may have come meanwhile, and each would cost the time that a
// packet may take.
func TestLostTextsAreNotAwaited(t *testing.T) {
	t.Parallel()
	one := texts{early: make(map[uint64]packet), arrived: make(chan struct{}), epoch: 3}
	one.receive(&nats.Msg{Data: append(headOf(3, 7), make([]byte, 100)...)})
	for batch, lost := range map[uint64]bool{6: true, 7: false, 8: false} {
		if _, more := one.open(3, batch); (more == nil) != lost {
			t.Errorf("batch %d after the packet of batch 7: it is waited for: %v", batch, more != nil)
		}
	}
	one.receive(&nats.Msg{Data: append(headOf(2, 99), make([]byte, 100)...)}) // of a leader that is deposed
	if _, more := one.open(3, 8); more == nil {
		t.Error("the packet of another epoch is taken for a later one")
	}
	if _, more := one.open(2, 100); more != nil {
		t.Error("what the leader before has sent is waited for")
	}
}

// What is kept for nodes that ask is bounded.
func TestKeptTextsAreBounded(t *testing.T) {
	t.Parallel()
	one := texts{early: make(map[uint64]packet), arrived: make(chan struct{})}
	const size = 8 << 20
	for batch := range uint64(20) {
		one.remember(batch, make([]byte, size))
	}
	if most := mostKept / size; len(one.recent) != most || one.kept != most*size || one.recent[0].batch != uint64(20-most) {
		t.Errorf("%d texts of %d bytes are kept, from batch %d", len(one.recent), one.kept, one.recent[0].batch)
	}
}

// A node whose nkey is refused for some time, as by a mistake in the servers' configuration, comes back by itself once it is taken.
func TestNKeyIsRefusedForAWhile(t *testing.T) {
	t.Parallel()
	servers := natstest.StartOne(t)
	r := newRig(t, servers, 2, journaltest.Options{})
	for _, s := range r.sites {
		s.node.watch.mu.Lock()
		s.node.watch.limit = time.Second
		s.node.watch.mu.Unlock()
	}
	wait := func(what string, is func(*site) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !is(r.sites[0]) || !is(r.sites[1]); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not %s", what)
			}
		}
	}
	wait("open", func(s *site) bool { return s.node.Fenced() == nil })
	servers.Refuse(t, 0, true)
	wait("fenced", func(s *site) bool { return s.node.Fenced() != nil })
	servers.Refuse(t, 0, false)
	wait("open again", func(s *site) bool { return s.node.Fenced() == nil })
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A copy of a node's folder does not start while the node runs, which goes on and logs it. Once the node has stopped, the copy is the node.
func TestTwinOfANode(t *testing.T) {
	t.Parallel()
	r := newRig(t, natstest.StartOne(t), 2, journaltest.Options{})
	c := r.talk(t, 4, 5*time.Millisecond)
	c.more(10)
	c.stop()
	c.ends.Wait()
	one := r.sites[1]
	patient := fast
	patient.greet = time.Second // in which the node that runs has to answer
	copied := &site{name: one.name, dir: filepath.Join(t.TempDir(), "copy"), servers: one.servers, log: one.log, o: one.o, pace: &patient}
	if err := os.CopyFS(copied.dir, os.DirFS(one.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(copied.dir, store.NodeKeyFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := copied.start(); !errors.Is(err, ErrTwin) {
		t.Errorf("a copy starts while the node runs: %v", err)
	}
	eventually(t, "line in the log of the node that runs", func() bool {
		one.node.nodes.mu.Lock()
		defer one.node.nodes.mu.Unlock()
		return !one.node.nodes.twinNoted.IsZero()
	})
	last, late := alive{Node: one.name, Instance: one.node.instance, At: time.Now()}, make(chan error, 1)
	if err := one.stop(); err != nil {
		t.Error(err)
	}
	// Words of the one that has ended may still be on their way.
	stop := background(func(ctx context.Context) error {
		leads := r.sites[0].node
		b, err := json.Marshal(last)
		for ; err == nil && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			err = leads.nc.Publish(aliveSubject, leads.sealer.seal("alive", 0, b))
		}
		return err
	}, late)
	if err := copied.start(); err != nil { // the control
		t.Errorf("a copy of a node that has stopped: %v", err)
	}
	stop()
	if err := <-late; err != nil {
		t.Error(err)
	}
	r.sites[1] = copied
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A process that was frozen reads what nodes sent meanwhile: its clock does not seem wrong because of that, and does if it is.
func TestSkewOfAFrozenNode(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := &nodes{heard: make(map[string]heardOf)}
	hear := func(at time.Time, sent time.Duration) {
		for _, node := range []string{"n2", "n3"} {
			l.hear(alive{Node: node, At: at.Add(sent)}, at)
		}
	}
	for i := range 20 {
		hear(now.Add(time.Duration(i-100)*500*time.Millisecond), 0)
	}
	for i := range 40 { // frozen for 40 s, it reads what was sent then
		hear(now, time.Duration(i-40)*time.Second)
		if got := l.skew(); got != 0 {
			t.Fatalf("word %d: this clock seems %v ahead of the others", i, got)
		}
	}
	for i := range keptSkews + 2 { // the control: its clock was set ahead meanwhile
		hear(now.Add(time.Duration(i+1)*500*time.Millisecond), -time.Minute)
	}
	if got := l.skew(); got != time.Minute {
		t.Errorf("this clock seems %v ahead of the others", got)
	}
}

// Words that come late, as after a connection was cut, do not make the clocks of others seem wrong. One that is wrong is noticed.
func TestSkewOfWordsThatComeLate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for what, c := range map[string]struct {
		ahead []time.Duration // of the others' clocks, as each word of theirs comes
		want  time.Duration
	}{
		"in time":            {[]time.Duration{0, 0, 0}, 0},
		"the last ones late": {[]time.Duration{0, -3 * time.Second, -7 * time.Second}, 0},
		"all late":           {[]time.Duration{-7 * time.Second, -6 * time.Second}, 6 * time.Second},
		"set ahead":          {[]time.Duration{0, time.Hour}, -time.Hour},
		"set back":           {append([]time.Duration{0}, slices.Repeat([]time.Duration{-time.Hour}, keptSkews)...), time.Hour},
	} {
		l := &nodes{heard: make(map[string]heardOf)}
		for _, ahead := range c.ahead {
			for _, node := range []string{"n2", "n3"} {
				l.hear(alive{Node: node, At: now.Add(ahead)}, now)
			}
		}
		if got := l.skew(); got != c.want {
			t.Errorf("%s: this clock seems %v ahead of the others, not %v", what, got, c.want)
		}
	}
}
