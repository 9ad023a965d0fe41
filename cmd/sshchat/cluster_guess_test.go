package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"
)

// startProcesses is startCluster with nodes that can be killed.
func startProcesses(t *testing.T, servers *natstest.Cluster, nodes int, flags ...string) *testCluster {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startClusterOf(t, self, servers, nodes, flags...)
}

// leader waits for a node that leads, and returns its index.
func (c *testCluster) leader() (at int) {
	c.t.Helper()
	waitFor(c.t, "a leader", func() bool {
		for i, s := range c.nodes {
			lines := s.log.String()
			if at = i; strings.LastIndex(lines, "this node leads") > max(strings.LastIndex(lines, "another node leads"), strings.LastIndex(lines, "does not lead any more")) {
				return true
			}
		}
		return false
	})
	return at
}

// killLeader kills the node that leads, and starts it again.
func (c *testCluster) killLeader() {
	c.t.Helper()
	i := c.leader()
	c.nodes[i].kill()
	c.nodes[i] = c.start(c.nodes[i].data, i+1)
}

// tallyOf is what the folder keeps of a name's passwords.
func tallyOf(t *testing.T, s *testServer, name string) (tally map[string]any) {
	t.Helper()
	var state struct{ Tallies map[string]map[string]any }
	b, err := os.ReadFile(filepath.Join(s.data, "state.json"))
	if err == nil {
		err = json.Unmarshal(b, &state)
	}
	if err != nil {
		t.Fatal(err)
	}
	return state.Tallies[name]
}

// I try each password, and each code of a second factor, at another node, and go on while the node that leads is killed. It is one count: the same number is checked as on
// one server, and every node keeps the same of it. The owner gets in by key, and from where she always does. With the limits off the
// right password is right everywhere.
func TestAttackGuessesOnSeveralNodes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "each password at another node of a cluster, while its leader is killed")
	kills, every := 1, time.Duration(0)
	if long && !raceDetector() {
		kills, every = 12, 5*time.Second
	}
	start := map[bool]func(*testing.T, *natstest.Cluster, int, ...string) *testCluster{true: startProcesses, false: startCluster}
	for name, flags := range map[string][]string{
		"guarded": {"--password-delay-after", "5", "--max-password-failures", "5"}, "limits off": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start[flags != nil](t, natstest.StartOne(t), 3, flags...)
			c.nodes[0].registerByPassword("paula")
			key := newSigner(t)
			c.nodes[1].byPasswordFrom("127.0.0.2", "paula", goodPassword).must("key add " + string(ssh.MarshalAuthorizedKey(key.PublicKey())))
			c.nodes[2].registerByPassword("tina")
			_, recovery := secondFactor(t, c.nodes[2].byPasswordFrom("127.0.0.2", "tina", goodPassword).plain(100, 40))
			for i := range 5 {
				if c.nodes[i%3].loginFrom("127.0.0.3", "tina", interactive(goodPassword, "123456")) == nil {
					t.Error("in by a guessed code")
				}
			}
			if err := c.nodes[1].loginFrom("127.0.0.3", "tina", interactive(goodPassword, recovery[0])); (err == nil) != (flags == nil) {
				t.Errorf("a good code after 5 wrong ones: %v", err)
			}
			tried, in := 0, 0
			guess := func(password string) {
				for { // a node that is killed answers nothing, and has counted it or not
					s := c.nodes[tried%3]
					switch err := s.passwordFrom("127.0.0.3", "paula", password); {
					case err == nil:
						in++
					case !strings.Contains(err.Error(), "unable to authenticate"):
						t.Logf("try %d: %v", tried, err)
						continue
					}
					tried++
					return
				}
			}
			for range 2 {
				guess("wrong but long enough")
			}
			for range kills {
				killed := time.Now()
				if flags != nil {
					c.killLeader()
				}
				for range 3 {
					guess("wrong but long enough")
				}
				waitFor(t, "the time of the next kill", func() bool { return time.Since(killed) > every })
			}
			wrong := tried
			for range 3 {
				guess(goodPassword)
			}
			if flags == nil {
				if in != 3 {
					t.Errorf("the control: %d of 3 are in", in)
				}
				row.Control("the right one gets in at all three with the limits off, and the right code")
				return
			}
			if in > 0 {
				t.Errorf("%d of 3 are in after %d wrong ones", in, wrong)
			}
			row.Tried("5 wrong codes, then the right one; %d wrong passwords at 3 nodes, kills of the leader meanwhile: %d; then the right one at each", wrong, kills)
			paula := c.nodes[wrong%3].login("paula", key).plain(100, 24)
			paula.sees(fmt.Sprintf("! %d wrong passwords were tried on your account", wrong+3))
			row.Held("counted once, in the log, before they are checked: the right ones are not; all %d are shown to the owner, who gets in by key", wrong+3)
			for _, s := range c.nodes {
				if err := s.loginFrom("127.0.0.4", "paula", ssh.PublicKeys(key)); err != nil {
					t.Errorf("by key: %v", err)
				}
			}
			var kept []map[string]any
			for _, s := range c.nodes {
				s.stop()
				kept = append(kept, tallyOf(t, s, "paula"))
			}
			if len(kept[0]) == 0 || !reflect.DeepEqual(kept[0], kept[1]) || !reflect.DeepEqual(kept[0], kept[2]) {
				t.Errorf("the nodes keep\n%v\n%v\n%v", kept[0], kept[1], kept[2])
			}
		})
	}
}

// I do at three nodes what I may do so often at one: try passwords for anybody, make accounts, and talk. All nodes refuse my address after
// as many as one server, and I say no more at all of them than at one. The control is somebody else, and another address.
func TestAttackLimitsOnSeveralNodes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "use up the limits of an address and of a person at each node of a cluster")
	c := startCluster(t, natstest.StartOne(t), 3, "--per-source-penalties=true", "--per-source-max-new-accounts", "3", "--message-burst", "5", "--message-rate", "0.01", "--max-sessions", "10")
	alice := c.nodes[0].register("alice")
	alice.must("claim " + c.nodes[0].claimCode())
	counted := func(what, pattern string, none bool) {
		t.Helper()
		for _, s := range c.nodes {
			admin := alice.at(s).login()
			waitFor(t, what+" at each node", func() bool { return regexp.MustCompile(pattern).MatchString(admin.must("sources list")) != none })
		}
	}
	kid := newSigner(t)
	for i, s := range c.nodes {
		register(t, s, fmt.Sprint("kid", i), kid, "127.0.0.5")
	}
	counted("accounts of an address", `(?m)^127\.0\.0\.5 .*\b3\b`, false)
	for i, s := range c.nodes {
		if _, errs, code := dialHome(t, s, fmt.Sprint("more", i), newSigner(t), "127.0.0.5").exec("register", ""); code != 1 || !strings.Contains(errs, "too many accounts were created from your address") {
			t.Errorf("a fourth account, at node %d: exit %d, %s", i+1, code, errs)
		}
	}
	register(t, c.nodes[1], "other", newSigner(t), "127.0.0.6") // the control

	open := alice.at(c.nodes[2]).login().plain(100, 24)
	open.sees("Welcome")
	for i := range 4 {
		if c.nodes[i%3].passwordFrom("127.0.0.3", "alice", "wrong but long enough") == nil {
			t.Fatal("a wrong password is right")
		}
	}
	open.sees("A wrong password was just tried for your account, from 127.0.0.3.")
	counted("a penalty", `(?m)^127\.0\.0\.3 .*refused`, false)
	for i, s := range c.nodes {
		for ip, refused := range map[string]bool{"127.0.0.3": true, "127.0.0.4": false} {
			err := s.loginFrom(ip, "alice", ssh.PublicKeys(alice.signer))
			if (err != nil) != refused {
				t.Errorf("from %s, at node %d: %v", ip, i+1, err)
			}
		}
	}
	alice.at(c.nodes[1]).login().must("sources forgive 127.0.0.3")
	counted("no penalty", `(?m)^127\.0\.0\.3 .*refused`, true)

	follows := alice.run("follow --json")
	for i, s := range c.nodes {
		kid := dialHome(t, s, "kid0", kid, "127.0.0.5")
		for k := range 5 { // as many as the node takes by itself
			kid.run(fmt.Sprintf("say general at node %d %d", i+1, k))
		}
	}
	said := func() int { return strings.Count(follows.seen.String(), `"text":"at node `) }
	waitFor(t, "five messages", func() bool { return said() >= 5 })
	alice.must("say general so much for that") // the control
	follows.sees("so much for that")
	if n := said(); n != 5 {
		t.Errorf("%d messages of 15 are said", n)
	}
	row.Tried("6 accounts, 4 passwords and 15 messages, at 3 nodes in turn")
	row.Held("nodes tell each other what they count against an address, and the leader has the pace of a person: 3 accounts, then a refusal; refused at each node; 5 messages, and the others wait")
	row.Control("another address and another person are served at each node")
}
