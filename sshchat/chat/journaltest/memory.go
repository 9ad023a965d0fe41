// Package journaltest has a journal in memory, the cases that every journal of the chat has to pass, and a large State to
// measure with.
package journaltest

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// Memory is a log in memory over which any number of hubs run: each has a Node. What one of them appends comes out of all.
type Memory struct {
	told func(chat.Batch) // called for each batch before it comes out; nil: nobody is told

	mu      sync.Mutex
	n       uint64                   // guarded by mu; of the last batch
	state   *chat.State              // guarded by mu; as of that
	last    map[chat.RoomName]uint64 // guarded by mu; Seq of the last message
	batches []chat.Batch             // guarded by mu
	nodes   []*Node                  // guarded by mu
	leader  *Node                    // guarded by mu; who may append; nil: all
	fails   error                    // guarded by mu; what Append returns, storing nothing; of chat.ErrOnlyDecided, that; nil: it does not fail
}

// NewMemory is an empty log, after which that State holds.
func NewMemory(state *chat.State) *Memory {
	return &Memory{state: state, last: make(map[chat.RoomName]uint64)}
}

// Node is the journal of one hub. It implements chat.Journal.
type Node struct {
	log  *Memory
	out  chan chat.Batch
	dead bool                                     // guarded by the log's mu; its process is gone
	sees func(chat.Batch) (b chat.Batch, ok bool) // what it gets in place of a batch; nil: that. For tests of the suite
}

// backlog is how many batches a hub may be behind before others wait for it.
const backlog = 1 << 10

// Join adds a hub, which begins with that State and after that batch.
func (m *Memory) Join() (n *Node, state *chat.State, applied uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n = &Node{log: m, out: make(chan chat.Batch, backlog)}
	m.nodes = append(m.nodes, n)
	return n, m.state, m.n
}

// Rejoin adds a hub that begins with all that is in the log.
func (m *Memory) Rejoin() (*Node, chat.Config) {
	n, state, applied := m.Join()
	m.mu.Lock()
	defer m.mu.Unlock()
	c := chat.Config{Journal: n, State: state, Applied: applied, Last: maps.Clone(m.last), Clock: Now}
	for _, b := range m.batches {
		c.Answers = append(c.Answers, b.Answers...)
	}
	return n, c
}

// Leave ends the node as if its process were gone: nothing that it appends is stored any more.
func (n *Node) Leave() {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	n.dead = true
	n.log.nodes = slices.DeleteFunc(n.log.nodes, func(o *Node) bool { return o == n })
}

// Lead has that node alone append from now on; nil: all of them.
func (m *Memory) Lead(n *Node) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leader = n
}

// Fail has each Append fail from here on, with nothing stored; if err wraps chat.ErrOnlyDecided, nothing but what was
// decided. nil: they do not fail.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails = err
}

// Append implements chat.Journal.
func (n *Node) Append(b chat.Batch) error {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	for !n.dead && b.N == n.log.n+1 && n.othersFull() { // two that are behind must not wait for each other
		n.log.mu.Unlock()
		runtime.Gosched()
		n.log.mu.Lock()
	}
	switch {
	case n.dead:
		return fmt.Errorf("%w: the process is gone", chat.ErrJournalDead)
	case n.log.leader != nil && n.log.leader != n:
		return chat.ErrNotLeader
	case b.N != n.log.n+1:
		return chat.ErrBehind
	}
	for i, e := range b.Events {
		if e.Stored != nil {
			return &chat.BadEvent{Index: i, Err: fmt.Errorf("store a %T: memory makes none", e.Stored)}
		}
	}
	err := n.log.fails
	switch {
	case err == nil:
		n.log.add(b)
	case errors.Is(err, chat.ErrOnlyDecided) && b.After != b.Before:
		n.log.add(b.Decided())
	case errors.Is(err, chat.ErrJournalDead):
		n.dead = true
	}
	if errors.Is(err, chat.ErrOnlyDecided) && b.After == b.Before {
		return errors.New("messages are not stored")
	}
	return err
}

// othersFull reports whether another hub is behind by all that it may be. Called with the log's mu held.
func (n *Node) othersFull() bool {
	return slices.ContainsFunc(n.log.nodes, func(o *Node) bool { return o != n && len(o.out) == cap(o.out) })
}

// add appends a batch. Called with mu held.
func (m *Memory) add(b chat.Batch) {
	m.n, m.state, m.batches = b.N, b.After, append(m.batches, b)
	for _, e := range b.Events {
		if e.Message.Seq > 0 {
			m.last[e.Room] = e.Message.Seq
		}
	}
	if m.told != nil {
		m.told(b)
	}
	for _, n := range m.nodes {
		if n.sees == nil {
			n.out <- b
		} else if b, ok := n.sees(b); ok {
			n.out <- b
		}
	}
}

// Appended has f called for each batch before it comes out. It is called before the hub runs.
func (n *Node) Appended(f func(chat.Batch)) { n.log.told = f }

// Events implements chat.Journal.
func (n *Node) Events() <-chan chat.Batch { return n.out }

// Rehearse implements chat.Journal.
func (n *Node) Rehearse(before, after *chat.State) (*chat.State, error) {
	return before.With(after.Since(before))
}

// Messages are those of the room from since on, with what edits and deletions made of them.
func (m *Memory) Messages(room chat.RoomName, since uint64) []chat.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := chat.NewLog(0)
	for _, b := range m.batches {
		for _, e := range b.Events {
			if e.Room == room && e.Message.Seq > 0 {
				all.Append(e.Message)
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all.Tail(chat.LogLines)), func(m chat.Message) bool { return m.Seq < since })
}

// Put has another State from now on, as if another hub had decided so. No rule is asked.
func (m *Memory) Put(change func(*chat.Parts)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	parts := m.state.Parts()
	change(&parts)
	m.add(chat.Batch{N: m.n + 1, At: Now(), Before: m.state, After: chat.NewState(parts)})
}

// Now is the time, by a clock that is right.
func Now() chat.Moment {
	now := time.Now().UTC()
	return chat.Moment{Wall: now, Trusted: now, Latest: now, Stamp: now}
}
