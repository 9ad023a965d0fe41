package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/store/accounts"

	"github.com/nats-io/nats.go"
)

// Each node is heard twice a second (pace.alive); one of an older version once.
const (
	aliveSubject = "sshchat.alive"
	aliveFor     = 4 * time.Second // without a word
	listenFor    = 2 * time.Second // to hear all that run
	maxSkew      = 2 * time.Second
	yieldEvery   = 10 * time.Minute // a leader whose clock stays wrong: it may be that no other can lead
)

// alive is what a node says of itself.
type alive struct {
	Node     string    `json:"node"`
	Instance uint64    `json:"instance"`
	Seq      uint64    `json:"seq"`
	Batch    uint64    `json:"batch"`
	Epoch    uint64    `json:"epoch"`
	Leads    bool      `json:"leads"`
	Version  string    `json:"version"`
	Format   int       `json:"format,omitempty"` // of the log: the newest that it knows; 0: 1
	At       time.Time `json:"at"`               // by its clock
	Nonce    uint64    `json:"nonce,omitempty"`  // to be repeated in the log: see watch. 0: its version says none
	Fenced   bool      `json:"fenced,omitempty"` // until it finds a nonce of its own in the log
	Twin     uint64    `json:"twin,omitempty"`   // the last instance of another process that it heard to run as this node; 0: none
	Reach
}

// heardOf is the last that was heard of a node.
type heardOf struct {
	alive
	when time.Time
	seem []time.Duration // how far its clock seemed ahead of this one's, in the last few messages
	gone bool            // nothing was heard of it for aliveFor, and who watches knows
	owed bool            // this node has not repeated its nonce
}

// skew is how far the node's clock is ahead. A message that came late makes it seem behind, and none makes it seem ahead: so the largest of
// the last few counts.
func (h heardOf) skew() time.Duration { return slices.Max(h.seem) }

// keptSkews is how many of them: a clock that was set back is noticed after so many words, which are 5 s.
const keptSkews = 10

// hear takes a word of a node, and returns what was known of it before.
func (l *nodes) hear(a alive, now time.Time) (before heardOf, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before, known = l.heard[a.Node]
	seem := before.seem
	if late := l.comesLate(now); !known || !late {
		seem = append(slices.Clone(seem[len(seem)-min(len(seem), keptSkews-1):]), a.At.Sub(now))
	}
	l.heard[a.Node] = heardOf{a, now, seem, false, a.Nonce != 0}
	return before, known
}

// After so long without a word of any node, words are read that were sent meanwhile: this process was frozen, or its connection was cut. For
// staleFor they show nothing of the clocks.
const (
	silentFor = 2 * time.Second
	staleFor  = time.Second
)

// comesLate reports whether a word that comes now may have been sent long ago. Called with mu held.
func (l *nodes) comesLate(now time.Time) bool {
	if !l.lastWord.IsZero() && now.Sub(l.lastWord) > silentFor {
		l.resumed = now
	}
	l.lastWord = now
	return now.Sub(l.resumed) < staleFor
}

// lately reports whether the node is there, as far as is known.
func (h heardOf) lately() bool { return time.Since(h.when) < aliveFor }

// nodes are those that were heard.
type nodes struct {
	began time.Time // when this node began to listen

	mute atomic.Bool // no nonces are repeated, as by older versions: the control of tests

	mu        sync.Mutex
	heard     map[string]heardOf // guarded by mu; but for this node
	twins     map[uint64]bool    // guarded by mu; the instances of other processes that ran as this node, and were answered
	lastTwin  uint64             // guarded by mu; of them
	twinRuns  bool               // guarded by mu; one of them has answered this process
	twinNoted time.Time          // guarded by mu; when a twin was logged last
	skewed    bool               // guarded by mu; it was logged that this node's clock is wrong
	lastWord  time.Time          // guarded by mu; when a word of any node came; zero: none did
	resumed   time.Time          // guarded by mu; when one came after a silence; zero: there was none
	yielded   time.Time          // guarded by mu; when it resigned because of yields; zero: not since its clock was right
}

func (l *nodes) begin(n *Node) error {
	l.heard, l.twins, l.began = make(map[string]heardOf), make(map[uint64]bool), time.Now()
	_, err := n.nc.Subscribe(aliveSubject, func(m *nats.Msg) {
		b, err := n.sealer.open("alive", 0, m.Data)
		var a alive
		if err != nil || json.Unmarshal(b, &a) != nil {
			return
		}
		if a.Node == n.c.Node {
			l.hearTwin(n, a)
			return
		}
		before, known := l.hear(a, time.Now())
		if !known || before.Instance != a.Instance { // it has started, and wants to know who is there
			l.say(n)
		}
		if !known || before.Instance != a.Instance || before.gone {
			n.Others.changed(a.Node, true)
		}
		l.checkClock(n)
	})
	if err == nil {
		l.say(n)
	}
	return err
}

// ErrTwin is wrapped by Open's error while another process runs as the same node, such as on a copy of its folder: what the log says to one
// of them, both would take for theirs, and would be read-only by turns.
var ErrTwin = errors.New("another process runs as this node")

const (
	twinAgain = time.Minute // between two lines of the log about twins
	maxTwins  = 16          // that are answered
)

// hearTwin notes a word of a process with this node's name, and answers it. Only an answer shows that it runs: other words may have been on
// their way since before it ended, as when this process is its successor.
func (l *nodes) hearTwin(n *Node, a alive) {
	if a.Instance == n.instance {
		return
	}
	l.mu.Lock()
	answers := !l.twins[a.Instance] && len(l.twins) < maxTwins
	if answers {
		l.twins[a.Instance] = true
	}
	l.lastTwin = a.Instance
	l.twinRuns = l.twinRuns || a.Twin == n.instance
	due := a.Twin == n.instance && time.Since(l.twinNoted) > twinAgain
	if due {
		l.twinNoted = time.Now()
	}
	l.mu.Unlock()
	if due {
		n.log.Error("cluster: another process runs as this node, with a copy of its folder; stop it, and make a folder of its own for it: docs/cluster.md has the steps")
	}
	if answers {
		l.say(n)
	}
}

// twin returns ErrTwin if another process runs as this node, and has heard this one.
func (l *nodes) twin(n *Node) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.twinRuns {
		return nil
	}
	return fmt.Errorf("%w, %s, on another machine or folder. Stop that one; or, if this folder is a copy, make a folder of its own for this node: docs/cluster.md has the steps", ErrTwin, n.c.Node)
}

// say says that this node is there.
func (l *nodes) say(n *Node) {
	epoch := n.terms.leader().epoch
	_, waits := fenced(n)
	l.mu.Lock()
	twin := l.lastTwin
	l.mu.Unlock()
	a := alive{Twin: twin, Nonce: n.watch.nonce(), Fenced: waits, Node: n.c.Node, Instance: n.instance, Seq: n.figures.seq.Load(), Batch: n.figures.batch.Load(), Epoch: epoch, Leads: n.leads.Load(), Version: n.c.Version, Format: n.c.knows(), At: time.Now().UTC(), Reach: reach(n)}
	b, err := json.Marshal(a)
	if err == nil {
		n.nc.Publish(aliveSubject, n.sealer.seal("alive", 0, b)) // the next is sent soon
	}
}

// tell says so until ctx ends.
func (l *nodes) tell(ctx context.Context, n *Node) {
	tick := time.NewTicker(n.c.pace.alive)
	defer tick.Stop()
	var m mover
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.say(n)
			m.tick(n)
			for _, node := range l.lost() {
				n.Others.changed(node, false)
			}
		}
	}
}

// repeat returns the nonces of listed nodes that were heard since it was called last, and not nil.
func (l *nodes) repeat(c *Config) map[string]uint64 {
	if l.mute.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	nonces := make(map[string]uint64)
	for name, h := range l.heard {
		if !h.owed {
			continue
		}
		if _, is := c.Accounts.View().Node(name); is && h.lately() {
			nonces[name] = h.Nonce
		}
		h.owed = false
		l.heard[name] = h
	}
	return nonces
}

// asks reports whether a node is fenced until its nonce is repeated.
func (l *nodes) asks() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.heard {
		if h.owed && h.Fenced && h.lately() {
			return true
		}
	}
	return false
}

// lastHeard is when a node was last heard, or else when this one began to listen.
func (l *nodes) lastHeard(name string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h, heard := l.heard[name]; heard {
		return h.when
	}
	return l.began
}

// lost returns the nodes that are not heard any more, each of them once.
func (l *nodes) lost() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, h := range l.heard {
		if !h.lately() && !h.gone {
			h.gone = true
			l.heard[name] = h
			names = append(names, name)
		}
	}
	return names
}

// gone reports whether nothing is heard of the node any more, and those who watch know.
func (l *nodes) gone(node string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard[node].gone
}

// alive lists the nodes that were heard lately, the first of them first if it is among them.
func (l *nodes) alive(first string) (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, h := range l.heard {
		if h.lately() {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		switch first {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(a, b)
	})
	return names
}

// reaches is how far the nodes are that were heard.
func (l *nodes) reaches() map[string]Reach {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make(map[string]Reach, len(l.heard))
	for name, h := range l.heard {
		all[name] = h.Reach
	}
	return all
}

// most is which other node said that it had most of the log, and how much.
func (l *nodes) most() (node string, seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, h := range l.heard {
		if h.Seq > seq {
			node, seq = name, h.Seq
		}
	}
	return node, seq
}

// skew is how far this node's clock is from the median of all.
func (l *nodes) skew() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := []time.Duration{0}
	for _, h := range l.heard {
		if h.lately() {
			all = append(all, h.skew())
		}
	}
	slices.Sort(all)
	return -all[(len(all)-1)/2]
}

// checkClock warns once when the clock is off.
func (l *nodes) checkClock(n *Node) {
	ahead := l.skew()
	skew := ahead.Abs()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case skew > maxSkew && !l.skewed:
		n.log.Warn("cluster: this machine's clock is not that of the other nodes, so it leads only if no other can; set the clock", "ahead", ahead.Round(time.Millisecond))
		l.skewed = true
	case skew < maxSkew/2:
		if l.skewed {
			n.log.Info("cluster: this machine's clock is that of the other nodes again")
		}
		l.skewed, l.yielded = false, time.Time{}
	}
}

// yields reports whether this node is to resign if it leads: its clock is wrong, or all nodes know a newer format of the log, in which the
// next epoch goes on.
func (l *nodes) yields(n *Node) bool {
	format := n.terms.leader().format
	due := l.skew().Abs() > maxSkew || writes(n, format) > format
	l.mu.Lock()
	defer l.mu.Unlock()
	return due && time.Since(l.yielded) > yieldEvery
}

// hasYielded notes that it has.
func (l *nodes) hasYielded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.yielded = time.Now()
}

// members are the nodes that the chat has.
type members struct{ accounts *accounts.Store }

// publicKey is the key of the node of that name.
func (m members) publicKey(name string) (string, bool) {
	node, is := m.accounts.View().Node(name)
	return node.Key, is
}

// have returns an error that says how a node becomes one of them, unless it is.
func (m members) have(name, key string) error {
	switch known, ok := m.publicKey(name); {
	case !ok:
		return fmt.Errorf("%w; on a node that runs, as an admin: node add %s %s", ErrNotListed, name, key)
	case known != key:
		return fmt.Errorf("%w: %s has another key there. If this is its successor, as an admin: node remove %s; then: node add %s %s", ErrNotListed, name, name, name, key)
	}
	return nil
}

// listed reports whether the node is one of the chat's: one that was removed neither leads nor decides.
func (c *Config) listed() bool {
	_, is := c.Accounts.View().Node(c.Node)
	return is
}
