package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/cluster/logtest"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/store/history"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// processes are the nodes of a cluster as programs that can be killed, each on an address that it keeps.
type processes struct {
	*testCluster
	folders, programs, listen []string           // by node
	key                       string             // of alice, in a file
	links                     [][]*natstest.Link // by node and server; nil: nodes connect to the servers themselves
	environments              [][]string         // what each node has beside this test's; nil: nothing
}

// newProcesses makes a cluster in those folders, starts its nodes as those programs, and makes alice's account.
func newProcesses(t *testing.T, servers *natstest.Cluster, monitors, folders, programs []string) *processes {
	t.Helper()
	p := &processes{testCluster: makeCluster(t, servers, monitors, folders), folders: folders, programs: programs, key: writeKey(t)}
	p.nodes = make([]*testServer, len(folders))
	for range folders {
		p.listen = append(p.listen, ownPort(t))
	}
	p.startAll()
	alice := p.nodes[0].login("alice", signerOf(t, p.key))
	alice.must("register")
	alice.Close()
	return p
}

// startNode starts a node that has ended.
func (p *processes) startNode(i int) {
	p.t.Helper()
	s := newTestServer(p.t, p.folders[i])
	cmd := exec.Command(p.programs[i], s.args(p.nodeFlags(i))...)
	if p.environments != nil {
		cmd.Env = append(os.Environ(), p.environments[i]...)
	}
	s.start(cmd)
	p.nodes[i] = s
}

func (p *processes) nodeFlags(i int) []string {
	flags := append([]string{"--node", fmt.Sprint("n", i+1), "--listen", p.listen[i], "--history-rotate", "0"}, p.flags...)
	if p.links == nil {
		return flags
	}
	var urls []string
	for _, l := range p.links[i] {
		urls = append(urls, l.URL())
	}
	flags[slices.Index(flags, "--cluster")+1] = strings.Join(urls, ",")
	return flags
}

// refuses starts a node, and returns what it says if it ends; nothing if it listens.
func (p *processes) refuses(i int) string {
	p.t.Helper()
	s := newTestServer(p.t, p.folders[i])
	cmd := exec.Command(p.programs[i], s.args(p.nodeFlags(i))...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(cmd.Environ(), "SSHCHAT_TEST_MAIN=1"), s.log, s.log
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	says := ""
	waitFor(p.t, "node that listens or ends", func() bool {
		select {
		case <-ended:
			says = s.log.String()
			return true
		default:
			return strings.Contains(s.log.String(), "listening on ")
		}
	})
	if says == "" {
		cmd.Process.Kill()
		<-ended
	}
	return says
}

// startAll starts all nodes at the same time.
func (p *processes) startAll() {
	p.t.Helper()
	var starts sync.WaitGroup
	for i := range p.nodes {
		starts.Go(func() { p.startNode(i) })
	}
	starts.Wait()
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// killAll kills all nodes and all servers at once.
func (p *processes) killAll(c *crowd) {
	var kills sync.WaitGroup
	for i, s := range p.nodes {
		kills.Go(func() { s.kill(); c.died(i) })
	}
	for i := range p.servers.Len() {
		kills.Go(func() { p.servers.Kill(i) })
	}
	kills.Wait()
}

// startServers starts all NATS servers, which have ended, and waits until they are ready.
func (p *processes) startServers() {
	p.t.Helper()
	for i := range p.servers.Len() {
		p.servers.Restart(i)
	}
	for i := range p.servers.Len() {
		p.servers.WaitReady(p.t, i)
	}
}

// self is this test's program, once for each node.
func self(t testing.TB, nodes int) []string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Repeat([]string{path}, nodes)
}

// posted is a message that somebody said, or wanted to say.
type posted struct {
	text       string
	node       int // where
	asked, got time.Time
	stored     bool // the command exited with 0
}

// lossOfNode is when a node ended without having been asked to.
type lossOfNode struct {
	node int
	when time.Time
}

// crowd is people who talk on all nodes of a cluster, and who read there, whatever happens to it. It knows what was acknowledged, and what
// was shown.
type crowd struct {
	t      *testing.T
	nodes  []string // addresses
	key    string   // alice's, whose messages all are
	signer ssh.Signer
	pause  time.Duration // between two messages of one person
	stop   context.CancelFunc
	ends   sync.WaitGroup
	acks   atomic.Int64
	failed atomic.Int64

	mu     sync.Mutex
	all    []posted          // guarded by mu
	shown  map[uint64]string // guarded by mu; by the message's number, what was on any screen
	missed map[uint64]seen   // guarded by mu; what was reported as missed
	lost   []lossOfNode      // guarded by mu
	faults []string          // guarded by mu; what readers found
	last   time.Time         // guarded by mu; of the latest acknowledgement
	still  time.Duration     // guarded by mu; the longest time without one
}

// seen is where and when something was reported.
type seen struct {
	node int
	when time.Time
}

// newCrowd has so many people talk, and one read on each node. alice has an account with that key.
func newCrowd(t *testing.T, nodes []string, key string, people int, pause time.Duration) *crowd {
	t.Helper()
	c := &crowd{
		t: t, nodes: nodes, key: key, signer: signerOf(t, key), pause: pause,
		shown: make(map[uint64]string), missed: make(map[uint64]seen), last: time.Now(),
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for i := range people {
		c.ends.Go(func() { c.talk(ctx, i) })
	}
	for i := range nodes {
		c.ends.Go(func() { c.read(ctx, i) })
	}
	t.Cleanup(func() { stop(); c.ends.Wait() })
	return c
}

// clientPatience is how long people wait for a node before they try again.
const clientPatience = 15 * time.Second

// connect connects to a node; whoever is not let in within clientPatience gives up.
func (c *crowd) connect(ctx context.Context, node int) (*ssh.Client, error) {
	conn, err := (&net.Dialer{Timeout: clientPatience}).DialContext(ctx, "tcp", c.nodes[node])
	if err != nil {
		return nil, err
	}
	defer time.AfterFunc(clientPatience, func() { conn.Close() }).Stop()
	config := &ssh.ClientConfig{User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(c.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}
	client, channels, requests, err := ssh.NewClientConn(conn, c.nodes[node], config)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(client, channels, requests), nil
}

// talk is one person at a node, who says one message after the other, each once.
func (c *crowd) talk(ctx context.Context, person int) {
	node := person % len(c.nodes)
	var client *ssh.Client
	for k := 0; ctx.Err() == nil; {
		if client == nil {
			var err error
			if client, err = c.connect(ctx, node); err != nil {
				client = nil
				pauseFor(ctx, 50*time.Millisecond)
				continue
			}
		}
		one := posted{text: fmt.Sprintf("%d says %d", person, k), node: node, asked: time.Now()}
		code := execWithin(client, "say general "+one.text)
		one.got, one.stored = time.Now(), code == 0
		c.note(one)
		if code < 0 {
			client.Close()
			client = nil
		}
		k++
		pauseFor(ctx, c.pause)
	}
	if client != nil {
		client.Close()
	}
}

// pauseFor waits, but not longer than ctx lasts.
func pauseFor(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// execWithin runs a command, and returns its exit code; -1 if there is none within clientPatience.
func execWithin(client *ssh.Client, line string) int {
	defer time.AfterFunc(clientPatience, func() { client.Close() }).Stop()
	sess, err := client.NewSession()
	if err != nil {
		return -1
	}
	_, _, code := runIn(sess, line, "")
	return code
}

// note notes what somebody said.
func (c *crowd) note(one posted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, one)
	if !one.stored {
		c.failed.Add(1)
		return
	}
	c.acks.Add(1)
	c.still = max(c.still, one.got.Sub(c.last))
	c.last = one.got
}

// read is one reader, who begins on a node, and goes on on the next whenever a connection ends, after the last message that was shown.
func (c *crowd) read(ctx context.Context, node int) {
	for last := uint64(0); ctx.Err() == nil; node = (node + 1) % len(c.nodes) {
		last = c.follow(ctx, node, last)
		pauseFor(ctx, 50*time.Millisecond)
	}
}

// follow reads on one connection, and returns the last message that came. A connection on which nothing has come for clientPatience is
// given up: its node may be frozen.
func (c *crowd) follow(ctx context.Context, node int, last uint64) uint64 {
	client, err := c.connect(ctx, node)
	if err != nil {
		return last
	}
	defer client.Close()
	defer context.AfterFunc(ctx, func() { client.Close() })()
	quiet := time.AfterFunc(clientPatience, func() { client.Close() })
	defer quiet.Stop()
	sess, err := client.NewSession()
	if err != nil {
		return last
	}
	out, err := sess.StdoutPipe()
	if err != nil || sess.Start(fmt.Sprintf("follow general --json --since general/%d", last)) != nil {
		return last
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		quiet.Reset(clientPatience)
		last = c.see(node, last, lines.Bytes())
	}
	return last
}

// see takes a line of "follow --json", after a message, and returns the last that it is about. Each message comes once, in order.
func (c *crowd) see(node int, last uint64, line []byte) uint64 {
	var m struct {
		Seq    uint64
		Text   string
		Missed int
	}
	var gap struct{ From, To uint64 }                                                         // a message has a name in From
	if json.Unmarshal(line, &m) != nil || m.Missed > 0 && json.Unmarshal(line, &gap) != nil { // cut by a kill
		return last
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Missed > 0 {
		if gap.From <= last {
			c.wrong("node %d: messages %d to %d are missed, after message %d", node+1, gap.From, gap.To, last)
		}
		for seq := gap.From; seq <= gap.To; seq++ {
			c.missed[seq] = seen{node, time.Now()}
		}
		return max(last, gap.To)
	}
	if m.Seq != last+1 {
		c.wrong("node %d shows message %d after message %d", node+1, m.Seq, last)
	}
	if before, is := c.shown[m.Seq]; is && before != m.Text {
		c.wrong("node %d shows message %d as %q, and another reader saw %q", node+1, m.Seq, m.Text, before)
	}
	c.shown[m.Seq] = m.Text
	return m.Seq
}

// wrong notes what a reader found. Called with mu held.
func (c *crowd) wrong(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// died notes that a node has ended without having been asked to.
func (c *crowd) died(node int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = append(c.lost, lossOfNode{node, time.Now()})
}

// more waits until so many more messages were acknowledged, and returns how long that took.
func (c *crowd) more(n int64) time.Duration {
	c.t.Helper()
	began, from := time.Now(), c.acks.Load()
	waitFor(c.t, fmt.Sprintf("%d more messages", n), func() bool { return c.acks.Load() >= from+n })
	return time.Since(began)
}

// quiet has them stop.
func (c *crowd) quiet() {
	c.stop()
	c.ends.Wait()
}

// stored is what a folder has of #general, in its order.
func (c *crowd) stored(data string) (all []history.Line, err error) {
	c.t.Helper()
	ids, err := readIdentities(c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(data, "message_history.json"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	o := &history.Opener{Identities: []age.Identity(ids)}
	for line, err := range o.Lines(f) {
		if err != nil {
			return all, err
		}
		all = append(all, line)
	}
	return all, nil
}

// check returns what is wrong with what the folders have, after quiet: an acknowledged message that is not there, or twice; a number that is
// missing; an order that differs between nodes, or does not agree with the time; something shown that is not there; a message that was
// missed though the node of its author had not ended.
func (c *crowd) check(folders []string) []string {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	wrong := c.wrong
	var first []string
	numbers := make(map[string]uint64)
	for i, data := range folders {
		lines, err := c.stored(data)
		if err != nil {
			wrong("node %d: %v", i+1, err)
		}
		have := make([]string, len(lines))
		times := make(map[string]int)
		for k, line := range lines {
			have[k] = fmt.Sprintf("%d %s", line.Seq, line.Text)
			times[line.Text]++
			numbers[line.Text] = line.Seq
			if line.Seq != uint64(k)+1 {
				wrong("node %d: message %d stands in place %d", i+1, line.Seq, k+1)
			}
			if shown, is := c.shown[line.Seq]; is && shown != line.Text {
				wrong("message %d was shown as %q, and node %d has stored %q", line.Seq, shown, i+1, line.Text)
			}
		}
		for seq := range c.shown {
			if seq > uint64(len(lines)) {
				wrong("message %d was shown, and node %d has %d", seq, i+1, len(lines))
			}
		}
		for text, n := range times {
			if n > 1 {
				wrong("node %d has stored %q %d times", i+1, text, n)
			}
		}
		for _, one := range c.all {
			if one.stored && times[one.text] != 1 {
				wrong("%q was acknowledged, and node %d has stored it %d times", one.text, i+1, times[one.text])
			}
		}
		if i == 0 {
			first = have
		} else if !slices.Equal(first, have) {
			wrong("node %d has %d messages, and node 1 %d, which differ", i+1, len(have), len(first))
		}
	}
	return append(c.faults, c.misorders(numbers)...)
}

// misorders returns what does not agree with the time, and what was missed and is not to be. Called with mu held.
func (c *crowd) misorders(numbers map[string]uint64) (faults []string) {
	var appends []logtest.Append
	for _, s := range c.all {
		a := logtest.Append{What: s.text, Asked: s.asked, Place: numbers[s.text]}
		if s.stored {
			a.Answered = s.got
		}
		appends = append(appends, a)
	}
	if err := logtest.Check(appends); err != nil {
		faults = append(faults, err.Error())
	}
	byNumber := make(map[uint64]posted)
	for _, s := range c.all {
		byNumber[numbers[s.text]] = s
	}
	for _, seq := range slices.Sorted(maps.Keys(c.missed)) {
		at, author := c.missed[seq], byNumber[seq]
		dead := slices.ContainsFunc(c.lost, func(l lossOfNode) bool {
			return l.node == author.node && l.when.After(author.asked) && l.when.Before(at.when)
		})
		if !dead {
			faults = append(faults, fmt.Sprintf("message %d, %q, was missed on node %d, and its author's node %d had not ended", seq, author.text, at.node+1, author.node+1))
		}
	}
	return faults
}

// figures says what happened.
func (c *crowd) figures() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%d messages acknowledged, %d refused or unknown, %d shown, %d missed; the longest pause was %v",
		c.acks.Load(), c.failed.Load(), len(c.shown), len(c.missed), c.still.Round(10*time.Millisecond))
}

// must reports faults, the first of them.
func (c *crowd) must(faults []string) {
	c.t.Helper()
	for _, fault := range faults[:min(len(faults), 10)] {
		c.t.Error(fault)
	}
	if len(faults) > 10 {
		c.t.Errorf("and %d more", len(faults)-10)
	}
}

// settled has the people stop, waits until all nodes have the same, which must be within 30 s, and checks what they have.
func (p *processes) settled(c *crowd) (faults []string) {
	p.t.Helper()
	c.quiet()
	began := time.Now()
	for said := ""; ; {
		all := make([]string, len(p.folders))
		for i, data := range p.folders {
			out, errs, code := runHere(p.t, "verify", data)
			all[i] = fmt.Sprint(code, out, errs)
		}
		if same := slices.Compact(slices.Clone(all)); len(same) == 1 && strings.HasPrefix(same[0], "0") {
			break
		} else {
			said = strings.Join(same, "\n")
		}
		if time.Since(began) > 30*time.Second {
			for i, data := range p.folders {
				out, errs, _ := p.run("cluster", "status", "--node", fmt.Sprint("n", i+1), "--data", data)
				p.t.Logf("node %d: %s%s", i+1, out, errs)
			}
			return slices.Concat([]string{"30 s after the last fault the nodes differ:\n" + said}, c.check(p.folders))
		}
		time.Sleep(100 * time.Millisecond)
	}
	return c.check(p.folders)
}
