package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"

	"golang.org/x/crypto/ssh"
)

// Admins see the sessions of all nodes, and end them, on whichever node they are; what was decided has ended sessions on all nodes when
// the command returns. A node that does not answer is named.
func TestClusterSessions(t *testing.T) {
	t.Parallel()
	c := startCluster(t, natstest.StartOne(t), 2)
	n1, n2 := c.nodes[0], c.nodes[1]
	alice := n1.register("alice")
	alice.must("claim " + n1.claimCode())
	alice = n1.login("alice", alice.signer)
	bob := n2.register("bob")
	open := func() *openSession {
		s := bob.at(n2).login().plain(80, 24)
		s.sees("Welcome")
		return s
	}
	first := open()
	list := alice.must("sessions")
	if !lineHas(list, "bob", "plain", "n2") || !lineHas(list, "alice", "exec", "n1") {
		t.Errorf("the sessions:\n%s", list)
	}
	if list := alice.must("sessions --json"); !lineHas(list, `"name":"bob"`, `"node":"n2"`, `"key":"SHA256:`) {
		t.Errorf("as JSON:\n%s", list)
	}
	if _, errs, code := alice.exec("kick bob general loud", ""); code != 0 || !strings.Contains(errs, "Ended 1 session of bob.") {
		t.Errorf("kick: exit %d, %s", code, errs)
	}
	first.sees("alice ended your session: loud")
	if _, errs, code := alice.exec("kick bob general", ""); code != 4 || !strings.Contains(errs, "not connected") {
		t.Errorf("kick again: exit %d, %s", code, errs)
	}
	open()
	open()
	if _, errs, code := alice.exec("ban bob", ""); code != 0 || !strings.Contains(errs, "2 sessions ended") {
		t.Errorf("ban: exit %d, %s", code, errs)
	}
	if list := alice.must("sessions"); strings.Contains(list, "bob") {
		t.Errorf("after the ban:\n%s", list)
	}
	n2.stop()
	if _, errs, code := alice.exec("sessions", ""); code != 0 || !strings.Contains(errs, "No answer from node n2: sessions there are not listed.") {
		t.Errorf("without n2: exit %d, %s", code, errs)
	}
}

// lineHas reports whether a line has all of those words.
func lineHas(lines string, words ...string) bool {
	for line := range strings.Lines(lines) {
		has := true
		for _, word := range words {
			has = has && strings.Contains(line, word)
		}
		if has {
			return true
		}
	}
	return false
}

// persistent is somebody who is everywhere at once: on each node they type on and on, and log in again and again.
type persistent struct {
	*user
	nodes  []*testServer
	open   []*openSession
	stop   chan struct{}
	active sync.WaitGroup

	mu     sync.Mutex
	logins []loginTry // guarded by mu; those that succeeded
}

// loginTry is a login after which a command ran.
type loginTry struct {
	node      *testServer
	began, in time.Time
}

// persists has a new account begin.
func persists(name string, nodes ...*testServer) *persistent {
	p := &persistent{user: nodes[0].register(name), nodes: nodes, stop: make(chan struct{})}
	for i, n := range nodes {
		s := p.at(n).soon("whoami").pipe() // once the node knows of the account
		p.open = append(p.open, s)
		p.active.Go(func() {
			defer s.typed.Close()
			for count := 0; p.goesOn(); count++ {
				if _, err := fmt.Fprintf(s.typed, "%s types on n%d: %d\n", name, i+1, count); err != nil {
					return
				}
			}
		})
		p.active.Go(func() {
			for p.goesOn() {
				p.tries(n)
			}
		})
	}
	return p
}

// goesOn waits a moment, and reports whether it is not over.
func (p *persistent) goesOn() bool {
	select {
	case <-p.stop:
		return false
	case <-time.After(150 * time.Millisecond):
		return true
	}
}

// tries logs in once, and notes it if a command succeeds.
func (p *persistent) tries(n *testServer) {
	began := time.Now()
	client, err := n.dialAs(p.name, ssh.PublicKeys(p.signer))
	if err != nil {
		return
	}
	defer client.Close()
	in := time.Now()
	sess, err := client.NewSession()
	if err != nil {
		return
	}
	if _, _, code := runIn(sess, "whoami", ""); code == 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.logins = append(p.logins, loginTry{n, began, in})
	}
}

// served waits until each node has taken a message and a login.
func (p *persistent) served(follower *openSession) {
	p.t.Helper()
	missing := ""
	p.t.Cleanup(func() {
		if p.t.Failed() && missing != "" {
			p.t.Logf("%s was not served: %s", p.name, missing)
		}
	})
	waitFor(p.t, p.name+" to type and log in everywhere", func() bool {
		said := follower.seen.String()
		p.mu.Lock()
		defer p.mu.Unlock()
		for i, n := range p.nodes {
			in := false
			for _, l := range p.logins {
				in = in || l.node == n
			}
			if !in || !strings.Contains(said, fmt.Sprintf("%s types on n%d", p.name, i+1)) {
				missing = fmt.Sprint("n", i+1, ", logged in: ", in)
				return false
			}
		}
		missing = ""
		return true
	})
}

// ends has them give up, and returns what they were served: a login that began after the ban had returned, or that was let in after
// then; a message after the marker; the marker on one of their screens.
func (p *persistent) ends(follower *openSession, marker string, banned, then time.Time) (served []string) {
	p.t.Helper()
	close(p.stop)
	for i, s := range p.open {
		select {
		case <-s.ended:
		case <-time.After(patience):
			served = append(served, fmt.Sprintf("the session on n%d goes on", i+1))
		}
		if strings.Contains(s.seen.String(), marker) {
			served = append(served, fmt.Sprintf("the session on n%d was shown what was said after the ban", i+1))
		}
	}
	p.active.Wait()
	for _, l := range p.logins {
		if l.began.After(banned) || l.in.After(then) {
			served = append(served, fmt.Sprintf("a login at %s, begun %v after the ban", l.node.addr, l.began.Sub(banned)))
		}
	}
	follower.u.must("say general the end of " + p.name)
	follower.sees("the end of " + p.name)
	_, after, found := strings.Cut(follower.seen.String(), marker)
	if !found || strings.Contains(follower.seen.String(), "missed") {
		p.t.Fatalf("the follower did not see all:\n%s", follower.seen)
	}
	if n := strings.Count(after, p.name+" types on"); n > 0 {
		served = append(served, fmt.Sprintf("%d messages", n))
	}
	if heads := p.nodes[0].readersOf("general"); heads[p.name] > 0 || heads[follower.u.name] == 0 {
		served = append(served, fmt.Sprintf("heads: %v", heads))
	}
	return served
}

// bans bans them by a command on n1, and returns what it says, and whether they were let in on another node while it had been decided and
// not returned yet.
func (p *persistent) bans(by *user, elsewhere *testServer) (said string, served bool) {
	p.t.Helper()
	client := p.at(elsewhere).login()
	done := make(chan struct{})
	go func() {
		defer close(done)
		var code int
		if _, said, code = by.at(p.nodes[0]).login().exec("ban "+p.name, ""); code != 0 {
			said = fmt.Sprintf("exit %d, %s", code, said)
		}
	}()
	waitFor(p.t, "the ban to be decided", func() bool { return strings.Contains(by.must("banned"), p.name) })
	if sess, err := client.NewSession(); err == nil {
		_, _, code := runIn(sess, "whoami", "")
		select {
		case <-done:
		default:
			served = code == 0
		}
	}
	<-done
	return said, served
}

// I am banned on one node, while I type on all of them and log in again and again. When the command has returned, not one message, login
// or head of mine comes any more: on nodes that are slow to hear of it, on one that is cut off, and on one that was frozen and goes on later. The
// controls: as it is decided, I still get in on a node that is slow, or cut off; and people who are not banned are served by all nodes afterwards.
func TestAttackBannedOnAnotherNode(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "go on typing and logging in on other nodes after I was banned on one")
	servers := natstest.StartOne(t)
	folders := []string{filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "data")}
	c := makeCluster(t, servers, servers.MonitorURLs(), folders)
	link := servers.NewLink(t, 0)
	c.nodes = []*testServer{c.start(folders[0], 1), nil, nil} // which leads
	starts := []func() *testServer{
		func() *testServer { return c.startAt(folders[1], 2, link.URL()) },
		func() *testServer {
			return startProcess(t, folders[2], append([]string{"--node", "n3"}, c.flags...)...)
		},
	}
	atOnce(t, len(starts), func(i int) { c.nodes[i+1] = starts[i]() })
	n1, n2, n3 := c.nodes[0], c.nodes[1], c.nodes[2]
	alice, bob := n1.register("alice"), n3.register("bob")
	alice.must("claim " + n1.claimCode())
	alice = n1.login("alice", alice.signer)
	follower := alice.run("follow general")

	link.Delay(0, 500*time.Millisecond) // n2 hears everything later
	mallory := persists("mallory", n1, n2, n3)
	mallory.served(follower)
	said, slow := mallory.bans(alice, n2)
	banned := time.Now()
	alice.must("say general the first is banned")
	if !strings.Contains(said, "mallory is banned forever; ") || strings.Contains(said, "answer") {
		t.Errorf("the ban: %s", said)
	}
	if served := mallory.ends(follower, "the first is banned", banned, time.Now().Add(patience)); len(served) > 0 {
		t.Errorf("mallory was served: %s", strings.Join(served, "; "))
	}
	if !slow {
		t.Error("the control: a node that hears of a ban later does not let the banned in meanwhile: the test finds nothing")
	}
	link.Heal()

	mallet := persists("mallet", n1, n2, n3)
	mallet.served(follower)
	freezeNode(t, n3)
	t.Cleanup(func() { n3.cmd.Process.Signal(thawSignal) })
	link.Cut()
	said, cutOff := mallet.bans(alice, n2)
	banned = time.Now()
	if !strings.Contains(said, "mallet is banned forever; ") || !strings.Contains(said, "No answer from nodes n2 and n3.") {
		t.Errorf("the ban: %s", said)
	}
	alice.must("say general the second is banned")
	then := time.Now()
	link.Heal()
	thawNode(t, n3)
	for _, n := range c.nodes { // the control
		waitFor(t, "a login of somebody who is not banned", func() bool {
			client, err := n.dialAs("bob", ssh.PublicKeys(bob.signer))
			if err != nil {
				return false
			}
			defer client.Close()
			sess, err := client.NewSession()
			if err != nil {
				return false
			}
			_, _, code := runIn(sess, "say general served again", "")
			return code == 0
		})
	}
	if served := mallet.ends(follower, "the second is banned", banned, then); len(served) > 0 {
		t.Errorf("mallet was served: %s", strings.Join(served, "; "))
	}
	if !cutOff {
		t.Error("the control: a node that is cut off does not let the banned in as the ban is decided: the test finds nothing")
	}
	row.Tried("type and log in on 3 nodes: all hear of it, one of them 0.5 s later; then one cut off, and one frozen and thawed afterwards")
	row.Held("the command returns when all nodes have ended my sessions; one that does not answer is named, and lets nobody in until it knows: no message, login or head of mine")
	row.Control("as the ban is decided the node that is slow, or cut off, lets me in; afterwards all serve those who are not banned")
}
