package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"sshchat/sshchat/lists"
)

// The calls between nodes.
const (
	callOrder  = "order"  // a request, to the leader
	callChain  = "chain"  // what opens the leader's texts
	callTexts  = "texts"  // the texts of a batch
	callMemory = "memory" // what rooms have in memory
	callMarks  = "marks"  // how far people have read
)

// handle has the node answer them.
func handle(n *Node) {
	n.peers.Handle(callOrder, n.ordered)
	n.peers.HandleSecret(callChain, n.texts.giveChain)
	n.peers.Handle(callTexts, func(_ context.Context, _ string, request []byte) ([]byte, error) {
		return n.texts.give(&n.requests, request)
	})
	n.peers.Handle(callMemory, n.giveMemory)
}

// figures are for the operator.
type figures struct {
	seq, batch atomic.Uint64
	gaps       atomic.Int64              // messages whose text no node had
	putting    atomic.Pointer[time.Time] // since when the NATS servers are asked to store the leader's next message; nil: they are not
	whole      atomic.Pointer[Position]  // up to which the folder has all; nil: nothing was taken yet
	unstored   atomic.Bool               // the disk refuses what came
	saved      time.Time                 // when cluster.json was written last; only of the goroutine that follows
	savedSeq   uint64                    // the same; its Seq
}

// Status is how a node and the cluster are.
type Status struct {
	Node     string
	Seq      uint64        // of the stream, as far as this node has it
	Batch    uint64        // the last it has
	Lag      uint64        // messages of the stream that another node has and this one not
	Epoch    uint64        // how often a leader was chosen
	Leader   string        // empty: nobody leads at the moment
	Leads    bool          // this node does
	Fenced   time.Duration // for how long nothing can be decided here; 0: it can
	Storing  time.Duration // for how long the NATS servers have been asked to store what this node has ordered; 0: they are not asked
	TextGaps int64         // messages whose text no node had, since the start
	Skew     time.Duration // of this machine's clock, from the median of all
	Broken   error         // why nothing more is taken from the log; nil
	Halted   bool          // it is broken, and no other node leads that could be heard here
	Nodes    []NodeStatus  // all nodes of the chat, by name
}

// NodeStatus is what is known of a node.
type NodeStatus struct {
	Name    string    `json:"name"`
	Heard   time.Time `json:"-"` // when last; zero: not since this node has started
	Alive   bool      `json:"alive"`
	Leads   bool      `json:"leads"`
	Seq     uint64    `json:"seq,omitempty"`
	Version string    `json:"version,omitempty"`
}

// Status is cheap.
func (n *Node) Status() Status {
	t := n.terms.leader()
	s := Status{
		Node: n.c.Node, Seq: n.figures.seq.Load(), Batch: n.figures.batch.Load(), Epoch: t.epoch, Leader: t.node, Leads: n.leads.Load(), Fenced: n.FencedFor(),
		TextGaps: n.figures.gaps.Load(), Skew: n.nodes.skew(),
	}
	if broken := n.broken.Load(); broken != nil {
		s.Broken = broken
	}
	if since := n.figures.putting.Load(); since != nil {
		s.Storing = max(1, time.Since(*since))
	}
	n.nodes.mu.Lock()
	defer n.nodes.mu.Unlock()
	for _, node := range n.c.Accounts.View().Nodes() {
		of := NodeStatus{Name: node.Name}
		if node.Name == n.c.Node {
			of = NodeStatus{node.Name, time.Now(), true, s.Leads, s.Seq, n.c.Version}
		} else if h, ok := n.nodes.heard[node.Name]; ok {
			of = NodeStatus{node.Name, h.when, h.lately(), h.Leads, h.Seq, h.Version}
			if of.Alive {
				s.Lag = max(s.Lag, h.Seq-min(h.Seq, s.Seq))
			}
		}
		s.Nodes = append(s.Nodes, of)
	}
	leads := func(o NodeStatus) bool { return o.Alive && o.Leads }
	s.Halted = s.Broken != nil && n.nc.IsConnected() && !slices.ContainsFunc(s.Nodes, leads)
	lists.Sort(s.Nodes, func(a, b NodeStatus) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// noteWhole notes that the folder has all up to the position: it may be saved, also while the next is written. Called with writing held.
func noteWhole(n *Node) {
	if len(n.partial) > 0 { // its beginning is in memory alone
		return
	}
	at := n.at
	n.figures.whole.Store(&at)
}

// saveSometimes writes cluster.json if it is time.
func saveSometimes(n *Node) {
	at := n.figures.whole.Load()
	if time.Since(n.figures.saved) < n.c.pace.save || at == nil {
		return
	}
	n.figures.saved = time.Now()
	if at.Seq == n.figures.savedSeq {
		return
	}
	if err := savePosition(n, *at); err != nil {
		n.log.Warn("cluster: cannot write cluster.json; the next start reads more of the stream", "err", err)
		return
	}
	n.figures.savedSeq = at.Seq
}
