package main

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/cluster/natstest"
)

// newFolders are those of nodes.
func newFolders(t *testing.T, nodes int) (all []string) {
	t.Helper()
	for range nodes {
		all = append(all, filepath.Join(t.TempDir(), "data"))
	}
	return all
}

// leader is the node that was the last to say that it leads.
func (p *processes) leader() int {
	p.t.Helper()
	leads := -1
	waitFor(p.t, "node that leads", func() bool {
		highest := 0
		for i, s := range p.nodes {
			log := s.log.String()
			at := strings.LastIndex(log, "cluster: this node leads epoch=")
			if at < 0 {
				continue
			}
			word, _, _ := strings.Cut(log[at+len("cluster: this node leads epoch="):], " ")
			if epoch, err := strconv.Atoi(word); err == nil && epoch > highest {
				leads, highest = i, epoch
			}
		}
		return leads >= 0
	})
	return leads
}

// kills are what is killed, and started again, while people talk. They return how long it took until people on each node that runs
// were answered again.
var kills = map[string]func(p *processes, c *crowd) time.Duration{
	"the leader": func(p *processes, c *crowd) time.Duration {
		i := p.leader()
		p.nodes[i].kill()
		c.died(i)
		took := c.moreOnEach(i)
		p.startNode(i)
		return took
	},
	"the leader of the log": func(p *processes, c *crowd) time.Duration {
		i := p.servers.WaitLeader(p.t, "SSHCHAT")
		p.servers.Kill(i)
		took := c.moreOnEach(-1)
		p.servers.Restart(i)
		p.servers.WaitReady(p.t, i)
		return took
	},
	"everything": func(p *processes, c *crowd) time.Duration {
		p.killAll(c)
		p.startServers()
		p.startAll()
		return c.moreOnEach(-1)
	},
}

// moreOnEach waits until somebody on each node but one was answered, and returns how long that took.
func (c *crowd) moreOnEach(but int) time.Duration {
	c.t.Helper()
	began := time.Now()
	c.mu.Lock()
	from := len(c.all)
	c.mu.Unlock()
	waitFor(c.t, "message on each node", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		answered := make([]bool, len(c.nodes))
		for _, one := range c.all[from:] {
			answered[one.node] = answered[one.node] || one.stored && one.asked.After(began)
		}
		for i := range answered {
			if !answered[i] && i != but {
				return false
			}
		}
		return true
	})
	return time.Since(began)
}

// Programs of a cluster are killed while people talk, SSHCHAT_CLUSTER_KILLS times: nothing that was acknowledged is lost or stored twice, and
// all nodes have the same.
func TestKillOfACluster(t *testing.T) {
	t.Parallel()
	noRaces(t)
	if !long {
		t.Skip("TestFaults in package cluster has it in short: SSHCHAT_LONG=1")
	}
	often := rounds(t, "SSHCHAT_CLUSTER_KILLS", 1, 3)
	for what, kill := range kills {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			servers := natstest.Start(t)
			p := newProcesses(t, servers, servers.MonitorURLs(), newFolders(t, 3), self(t, 3))
			c := newCrowd(t, p.listen, p.key, 24, 20*time.Millisecond)
			var took []time.Duration
			for range often {
				c.more(100)
				took = append(took, kill(p, c).Round(10*time.Millisecond))
			}
			c.more(100)
			c.must(p.settled(c))
			p.same(p.nodes...)
			slices.Sort(took)
			t.Logf("figure: %s killed %d times: %s; on each node the next message came after %v at most; 0 lost, 0 twice, one order", what, often, c.figures(), took[len(took)-1])
		})
	}
}
