// Package journaltest has a journal in memory, and the cases that every journal of the chat has to pass.
package journaltest

import (
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// Memory is a log in memory over which any number of hubs run: each has a Node. What one of them appends comes out of all.
type Memory struct {
	told func(chat.Batch) // called for each batch before it comes out; nil: nobody is told

	mu    sync.Mutex
	n     uint64      // guarded by mu; of the last batch
	state *chat.State // guarded by mu; as of that
	nodes []*Node     // guarded by mu
}

// NewMemory is an empty log, after which that State holds.
func NewMemory(state *chat.State) *Memory { return &Memory{state: state} }

// Node is the journal of one hub. It implements chat.Journal.
type Node struct {
	log *Memory
	out chan chat.Batch
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

// Append implements chat.Journal.
func (n *Node) Append(b chat.Batch) error {
	n.log.mu.Lock()
	defer n.log.mu.Unlock()
	if b.N != n.log.n+1 {
		return chat.ErrBehind
	}
	n.log.add(b)
	return nil
}

// add appends a batch. Called with mu held.
func (m *Memory) add(b chat.Batch) {
	m.n, m.state = b.N, b.After
	if m.told != nil {
		m.told(b)
	}
	for _, n := range m.nodes {
		n.out <- b
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
	return chat.Moment{Shown: now, Believed: now, Latest: now, Stamp: now}
}
