package cluster

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"
	"sshchat/sshchat/cluster/wire"
)

// MarkStore keeps how far people have read in a node's folder.
type MarkStore interface {
	chat.Marks
	// All is the marks of everybody, in no order.
	All() []chat.ReadMark
}

const (
	gatherMarks = 30 * time.Millisecond // what is read meanwhile goes in one call
	marksInCall = 16 << 10              // at most: some 200 KiB
	marksIn     = 5 * time.Second       // for a node to take them
	marksAgain  = time.Second           // after which a node that did not take them gets all; twice as long after each time more
	marksSlow   = 30 * time.Second      // and never longer than that
	marksLast   = time.Second           // for the other nodes to take what was read last on a node that stops
)

// marks is how far people have read, on whichever node. It is the hub's chat.Marks: what the folder keeps, and what is read here goes to
// the nodes that are there. A mark only rises, so it does not matter how often and in which order they come: two nodes that have exchanged
// all have the same. They do that when one hears the other for the first time, or again, and after a call that failed.
type marks struct {
	MarkStore
	n *Node

	mu       sync.Mutex
	gathered map[placeRead]uint64  // guarded by mu; read here since marks were sent last. Nil: nothing
	to       map[string]*markQueue // guarded by mu; by node
}

// placeRead is whose mark it is, and in which room.
type placeRead struct {
	name chat.Name
	room chat.RoomName
}

// markQueue is what a node has still to be sent. Its fields are guarded by marks.mu.
type markQueue struct {
	sending bool                 // a goroutine does that
	all     bool                 // it is to have all, which includes what waits
	wait    map[placeRead]uint64 // nil: nothing
}

func newMarks(n *Node, kept MarkStore) *marks {
	return &marks{MarkStore: kept, n: n, to: make(map[string]*markQueue)}
}

// begin has the marks of other nodes come to the hub, and all that there are go to them.
func (m *marks) begin(hub *chat.Hub) {
	m.n.peers.Handle(callMarks, func(_ context.Context, _ string, request []byte) ([]byte, error) {
		all, err := wire.DecodeMarks(request)
		for _, at := range all {
			m.MarkStore.Mark(at.Name, at.Room, at.Seq) // first: the hub asks it about people who come to be just now
			hub.MarkedElsewhere(at.Name, at.Room, at.Seq)
		}
		return nil, err
	})
	m.n.Others.Watch(func(node string, alive bool) {
		if alive {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.queue(node).all = true
			m.serve(node)
		}
	})
}

// Mark implements chat.Marks for what is read here.
func (m *marks) Mark(name chat.Name, room chat.RoomName, seq uint64) {
	m.MarkStore.Mark(name, room, seq)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gathered == nil {
		m.gathered = make(map[placeRead]uint64)
		time.AfterFunc(gatherMarks, m.send)
	}
	at := placeRead{name, room}
	m.gathered[at] = max(seq, m.gathered[at])
}

// send sends what has been gathered to the nodes that are there.
func (m *marks) send() {
	nodes := m.n.nodes.alive("")
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, node := range nodes {
		q := m.queue(node)
		switch {
		case q.all: // and with them these
		case q.wait == nil:
			q.wait = m.gathered // which nobody changes
		default:
			q.wait = merged(q.wait, m.gathered)
		}
		m.serve(node)
	}
	m.gathered = nil
}

// merged is the newer marks of two, in a map of its own.
func merged(a, b map[placeRead]uint64) map[placeRead]uint64 {
	both := make(map[placeRead]uint64, len(a)+len(b))
	for _, marks := range []map[placeRead]uint64{a, b} {
		for at, seq := range marks {
			both[at] = max(seq, both[at])
		}
	}
	return both
}

// queue is that of a node. Called with mu held.
func (m *marks) queue(node string) *markQueue {
	q := m.to[node]
	if q == nil {
		q = &markQueue{}
		m.to[node] = q
	}
	return q
}

// serve has what waits for a node be sent: one call after the other, however slow the node is. Called with mu held.
func (m *marks) serve(node string) {
	if q := m.queue(node); !q.sending && (q.all || q.wait != nil) {
		q.sending = true
		go m.deliver(node, q)
	}
}

// deliver sends a node what it has still to be sent, until that is nothing, or the node is gone: then it gets all when it is heard again.
// It ends with the node's life, too.
func (m *marks) deliver(node string, q *markQueue) {
	for again := marksAgain; ; {
		m.mu.Lock()
		all, wait := q.all, q.wait
		q.all, q.wait = false, nil
		more := all || wait != nil
		q.sending = more
		m.mu.Unlock()
		if !more {
			return
		}
		err := m.call(node, all, wait)
		if err == nil {
			again = marksAgain
			continue
		}
		m.mu.Lock()
		q.all, q.wait = true, nil
		more = !errors.Is(err, peer.ErrClosed) && !m.n.nodes.gone(node) // else who watches is called when it is heard again
		q.sending = more
		m.mu.Unlock()
		if !more {
			return
		}
		select {
		case <-m.n.life.Done():
			return
		case <-time.After(again): // it is starting, of another version, or slow
			again = min(2*again, marksSlow)
		}
	}
}

// end sends what was read last, when a node stops: people whose sessions end here go on elsewhere.
func (m *marks) end() {
	m.send()
	sending := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, q := range m.to {
			if q.sending {
				return true
			}
		}
		return false
	}
	for began := time.Now(); sending() && time.Since(began) < marksLast; {
		time.Sleep(time.Millisecond)
	}
}

// call sends a node marks: all that there are, or those.
func (m *marks) call(node string, all bool, those map[placeRead]uint64) error {
	list := make([]chat.ReadMark, 0, len(those))
	if all {
		list = m.All()
	}
	for at, seq := range those {
		list = append(list, chat.ReadMark{Name: at.name, Room: at.room, Seq: seq})
	}
	for part := range slices.Chunk(list, marksInCall) {
		ctx, cancel := context.WithTimeout(m.n.life, marksIn)
		_, err := m.n.peers.Call(ctx, node, callMarks, wire.EncodeMarks(part))
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
