package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/cluster/natstest"
	"sshchat/sshchat/text"
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

// I try each password at another node, and go on while the node that leads is killed. It is one count: the same number is checked as on
// one server, and every node keeps the same of it. The owner gets in by key, and from where she always does. With the limits off the
// right password is right everywhere.
func TestAttackGuessesOnSeveralNodes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "each password at another node of a cluster, while its leader is killed")
	kills, every := 1, time.Duration(0)
	if long {
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
				row.Control("the right one gets in at all three with the limits off")
				return
			}
			if in > 0 {
				t.Errorf("%d of 3 are in after %d wrong ones", in, wrong)
			}
			row.Tried("%d wrong passwords at 3 nodes, the leader killed %s; then the right one at each", wrong, text.Count(kills, "time"))
			paula := c.nodes[wrong%3].login("paula", key).plain(100, 24)
			paula.sees(fmt.Sprintf("! %d wrong passwords were tried on your account", wrong+3))
			row.Held("counted once, in the log, before it is checked: the right one is not; all %d are shown to the owner, who gets in by key", wrong+3)
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
