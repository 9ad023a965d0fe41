//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"
	"sshchat/store/durable/powercut"
)

// The same finds what is shown first and stored then: a leader that is frozen while it is about to publish, and is the leader no longer when it
// goes on, has shown what another has stored elsewhere.
func TestKillOfAClusterFindsWhatIsShownFirst(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("it is built: SSHCHAT_LONG=1")
	}
	program := filepath.Join(t.TempDir(), "showfirst")
	if out, err := exec.Command("go", "build", "-overlay", showFirst(t), "-o", program, ".").CombinedOutput(); err != nil {
		t.Skipf("cannot build the server that shows first: %v\n%s", err, out)
	}
	servers := natstest.Start(t)
	p := newProcesses(t, servers, servers.MonitorURLs(), newFolders(t, 3), slices.Repeat([]string{program}, 3))
	c := newCrowd(t, p.listen, p.key, 24, time.Millisecond)
	c.more(100)
	for range 10 {
		i := p.leader()
		freezeNode(t, p.nodes[i])
		waitFor(t, "another leader", func() bool { return p.leader() != i })
		thawNode(t, p.nodes[i])
		<-time.After(3 * time.Second) // nothing is waited for: such a program may answer nobody any more
		c.mu.Lock()
		found := slices.Clone(c.faults)
		c.mu.Unlock()
		for _, fault := range found {
			if strings.Contains(fault, "shows message") {
				t.Logf("after %s: %s", c.figures(), fault)
				return
			}
		}
	}
	t.Errorf("programs that show first have shown nothing wrong in 10 changes of the leader (%s): this test cannot see it", c.figures())
}

// nemesis is what happens to a cluster, one thing after the other, by chance.
type nemesis struct {
	*processes
	c      *crowd
	random *rand.Rand
	steps  []step
	clocks []wallClock // by node

	hitNodes, hitServers map[int]bool // in this step
	ended                []int        // nodes to be started again
	slowest              time.Duration
}

// step is a thing that happens. It returns what undoes it.
type step struct {
	name string
	do   func(n *nemesis) (what string, undo func())
}

// mostPatience is how long it may take after everything is healed until people on all nodes are answered: the NATS servers elect a leader for
// 10 s, and who waits for an answer that was lost tries again after clientPatience, perhaps twice.
const mostPatience = 45 * time.Second

// nobody is what a fault hits if that is not there at the moment.
const nobody = -1

// someNode is any node to which nothing has happened yet in this step, or in half of the cases the one that leads.
func (n *nemesis) someNode() int {
	return n.some(len(n.nodes), n.hitNodes, n.leader)
}

// someServer is any server to which nothing has happened yet, or in half of the cases the one that leads the log.
func (n *nemesis) someServer() int {
	return n.some(n.servers.Len(), n.hitServers, func() int { return n.servers.Leader("SSHCHAT") })
}

func (n *nemesis) some(of int, hit map[int]bool, leader func() int) int {
	i := n.random.IntN(of)
	if leads := leader(); n.random.IntN(2) == 0 && leads != nobody {
		i = leads
	}
	for hit[i] { // there are more than a step hits
		i = (i + 1) % of
	}
	hit[i] = true
	return i
}

// within is a random time.
func (n *nemesis) within(least, most time.Duration) time.Duration {
	return (least + time.Duration(n.random.Int64N(int64(most-least)))).Round(time.Millisecond)
}

// steps are what may happen anywhere.
var steps = []step{
	{"kill a node", func(n *nemesis) (string, func()) {
		i := n.someNode()
		n.nodes[i].kill()
		n.c.died(i)
		n.ended = append(n.ended, i)
		return fmt.Sprint("n", i+1), func() {}
	}},
	{"freeze a node", func(n *nemesis) (string, func()) {
		i := n.someNode()
		freezeNode(n.t, n.nodes[i])
		return fmt.Sprint("n", i+1), func() { thawNode(n.t, n.nodes[i]) }
	}},
	{"restart a node", func(n *nemesis) (string, func()) {
		i := n.someNode()
		n.nodes[i].stop()
		n.ended = append(n.ended, i)
		return fmt.Sprint("n", i+1), func() {}
	}},
	{"kill a server", func(n *nemesis) (string, func()) {
		i := n.someServer()
		n.servers.Kill(i)
		return n.servers.ServerName(i), func() { n.servers.Restart(i) }
	}},
	{"freeze a server", func(n *nemesis) (string, func()) {
		i := n.someServer()
		n.servers.Freeze(i)
		return n.servers.ServerName(i), func() { n.servers.Thaw(i) }
	}},
	{"kill everything", func(n *nemesis) (string, func()) {
		n.killAll(n.c)
		n.ended, n.hitNodes, n.hitServers = []int{0, 1, 2}, nil, nil
		return "", func() {
			for i := range n.servers.Len() {
				n.servers.Restart(i)
			}
		}
	}},
	{"cut a node off", func(n *nemesis) (string, func()) {
		i, way := n.someNode(), n.random.IntN(3)
		for _, l := range n.links[i] {
			[]func(){l.Cut, l.CutTo, l.CutFrom}[way]()
		}
		return fmt.Sprint("n", i+1, ", ", []string{"both ways", "what it sends", "what it is sent"}[way]), func() { heal(n.links[i]) }
	}},
	{"cut a node off from a server", func(n *nemesis) (string, func()) {
		i, j := n.someNode(), n.someServer()
		n.links[i][j].Cut()
		return fmt.Sprint("n", i+1, ", ", n.servers.ServerName(j)), func() { n.links[i][j].Heal() }
	}},
	{"reset a node's connections", func(n *nemesis) (string, func()) {
		i := n.someNode()
		for _, l := range n.links[i] {
			l.Reset()
		}
		return fmt.Sprint("n", i+1), func() {}
	}},
	{"slow the way of a node", func(n *nemesis) (string, func()) {
		i, to, from := n.someNode(), n.within(0, 500*time.Millisecond), n.within(0, 500*time.Millisecond)
		for _, l := range n.links[i] {
			l.Delay(to, from)
		}
		return fmt.Sprint("n", i+1, ", ", to, " and ", from), func() { heal(n.links[i]) }
	}},
	{"cut a server off from the others", func(n *nemesis) (string, func()) {
		i := n.someServer()
		n.servers.Isolate(i)
		return n.servers.ServerName(i), n.servers.HealRoutes
	}},
	{"cut one way between two servers", func(n *nemesis) (string, func()) {
		i := n.someServer()
		j := (i + 1 + n.random.IntN(n.servers.Len()-1)) % n.servers.Len()
		n.servers.CutRoute(i, j)
		return n.servers.ServerName(i) + " to " + n.servers.ServerName(j), n.servers.HealRoutes
	}},
	{"slow the ways between servers", func(n *nemesis) (string, func()) {
		by := n.within(0, 300*time.Millisecond)
		n.servers.DelayRoutes(by)
		return by.String(), n.servers.HealRoutes
	}},
	{"slow the disk of a node", func(n *nemesis) (string, func()) {
		i, by := n.someNode(), n.within(20*time.Millisecond, 500*time.Millisecond)
		return fmt.Sprint("n", i+1, ", ", by, " each sync"), slowSyncs(n.t, n.nodes[i].cmd.Process.Pid, by)
	}},
	{"slow the disk of a server", func(n *nemesis) (string, func()) {
		i, by := n.someServer(), n.within(20*time.Millisecond, 500*time.Millisecond)
		return fmt.Sprint(n.servers.ServerName(i), ", ", by, " each sync"), slowSyncs(n.t, n.servers.Pid(i), by)
	}},
}

func heal(links []*natstest.Link) {
	for _, l := range links {
		l.Heal()
	}
}

// slowSyncs makes each sync of a process take longer: strace holds it up.
func slowSyncs(t testing.TB, pid int, by time.Duration) (undo func()) {
	t.Helper()
	cmd := exec.Command(client(t, "strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_exit=%d", by.Microseconds()), "-p", fmt.Sprint(pid))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		cmd.Process.Signal(os.Interrupt) // and the process goes on without it
		cmd.Wait()
	}
}

// A nemesis breaks what a cluster of real programs is made of, for SSHCHAT_NEMESIS, such as 60m: nothing that was acknowledged is lost or stored
// twice, all nodes have the same within 30 s of the last fault, the order agrees with the time, and a message is missed on a screen only if
// its author's node has ended. SSHCHAT_SEED repeats what happens, as far as that is by chance alone. SSHCHAT_STEPS, a regular expression such as
// 'disk|clock', names what may happen.
func TestNemesis(t *testing.T) {
	t.Parallel()
	lasts := nemesisTime(t)
	n := newNemesis(t)
	seed := powercut.Seed(t)
	n.random = rand.New(rand.NewPCG(seed, seed))
	t.Logf("SSHCHAT_SEED=%d", seed)
	wanted := regexp.MustCompile(os.Getenv("SSHCHAT_STEPS"))
	if n.steps = slices.DeleteFunc(n.steps, func(s step) bool { return !wanted.MatchString(s.name) }); len(n.steps) == 0 {
		t.Fatal("SSHCHAT_STEPS names nothing that can happen here")
	}
	count, began := make(map[string]int), time.Now()
	for time.Since(began) < lasts {
		n.strike(began, count)
	}
	faults := n.settled(n.c)
	n.c.must(faults)
	n.same(n.nodes...)
	t.Logf("figure: nemesis of %v, seed %d: %v: %s; on each node the next message came after %v at most; %d faults found",
		lasts, seed, count, n.c.figures(), n.slowest.Round(10*time.Millisecond), len(faults))
}

// nemesisTime is how long it lasts.
func nemesisTime(t *testing.T) time.Duration {
	t.Helper()
	noRaces(t)
	words := cmp.Or(os.Getenv("SSHCHAT_NEMESIS"), map[bool]string{true: "30s"}[long])
	if words == "" {
		t.Skip("SSHCHAT_NEMESIS=2m breaks a cluster for two minutes")
	}
	d, err := time.ParseDuration(words)
	if err != nil {
		t.Fatalf("SSHCHAT_NEMESIS: %v", err)
	}
	return d
}

// strike has one thing happen, or two at once, for a while, and waits until people are answered again on all nodes.
func (n *nemesis) strike(began time.Time, count map[string]int) {
	n.t.Helper()
	n.hitNodes, n.hitServers, n.ended = make(map[int]bool), make(map[int]bool), nil
	var undo []func()
	for range 1 + n.random.IntN(4)/3 {
		s := n.steps[n.random.IntN(len(n.steps))]
		if n.hitNodes == nil || len(undo) > 0 && s.name == "kill everything" {
			break
		}
		what, heals := s.do(n)
		n.t.Logf("%7.1f s: %s: %s", time.Since(began).Seconds(), s.name, what)
		count[s.name]++
		undo = append(undo, heals)
		<-time.After(n.within(0, 2*time.Second)) // another comes in the middle of it
	}
	<-time.After(n.within(500*time.Millisecond, 10*time.Second))
	for _, heals := range slices.Backward(undo) {
		heals()
	}
	for i := range n.servers.Len() {
		n.servers.WaitReady(n.t, i)
	}
	var starts sync.WaitGroup
	for _, i := range n.ended {
		starts.Go(func() { n.startNode(i) })
	}
	starts.Wait()
	healed := time.Now()
	for i, s := range n.nodes {
		select {
		case <-s.ended:
			n.t.Fatalf("node %d has ended by itself: %s", i+1, s.log.tail(20))
		default:
		}
	}
	took := n.c.moreOnEach(nobody)
	n.t.Logf("%7.1f s: healed; on each node the next message came after %v", healed.Sub(began).Seconds(), took.Round(10*time.Millisecond))
	n.slowest = max(n.slowest, took)
	if took > mostPatience/4 {
		for i, node := range n.nodes {
			n.t.Logf("node %d meanwhile: %s", i+1, node.log.tail(40))
		}
	}
	if took > mostPatience {
		n.t.Errorf("a node served nobody for %v after everything was healed", took)
	}
}
