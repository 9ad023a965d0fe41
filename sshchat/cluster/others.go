package cluster

import (
	"context"
	"sync"
	"time"

	"sshchat/sshchat/cluster/peer"
)

// Others are the other nodes, for what is not in the log: who is there, how far people have read, what sessions there are.
// All calls are sealed from node to node (package peer).
type Others struct {
	n *Node

	mu      sync.Mutex
	watches []func(node string, alive bool) // guarded by mu
}

// Answer is what a node replied, or why it did not.
type Answer struct {
	Node  string
	Reply []byte
	Err   error // the context's, or one of package peer
}

// Handle has calls of a kind be answered by f. Kinds that a node does not know yet are answered with peer.ErrUnknownKind.
func (o *Others) Handle(kind string, f peer.Handler) { o.n.peers.Handle(kind, f) }

// HandleSecret is Handle for replies that hold a key: what f returns is erased when it was sent, and must be its only copy. So
// does who called, with what Call returned.
func (o *Others) HandleSecret(kind string, f peer.Handler) { o.n.peers.HandleSecret(kind, f) }

// Watch has f be called when another node is heard for the first time or has been started again (alive), and when nothing was heard
// of it for aliveFor (not alive). Nodes that are there already are told at once. f must not block.
func (o *Others) Watch(f func(node string, alive bool)) {
	o.mu.Lock()
	o.watches = append(o.watches, f)
	o.mu.Unlock()
	for _, node := range o.Alive() {
		f(node, true)
	}
}

// changed tells those who watch.
func (o *Others) changed(node string, alive bool) {
	o.mu.Lock()
	watches := o.watches
	o.mu.Unlock()
	for _, f := range watches {
		f(node, alive)
	}
}

// Alive lists the other nodes that were heard lately, by name.
func (o *Others) Alive() []string { return o.n.nodes.alive("") }

// Silence is how long nothing was heard of a node; at most since this one was opened.
func (o *Others) Silence(node string) time.Duration { return time.Since(o.n.nodes.lastHeard(node)) }

// Listed lists the other nodes that the chat has, whether they run or not, by name.
func (o *Others) Listed() (names []string) {
	for _, node := range o.n.c.Accounts.View().Nodes() {
		if node.Name != o.n.c.Node {
			names = append(names, node.Name)
		}
	}
	return names
}

// Call asks one node. Errors: those of peer.Peers.Call.
func (o *Others) Call(ctx context.Context, node, kind string, request []byte) ([]byte, error) {
	return o.n.peers.Call(ctx, node, kind, request)
}

// Ask asks all those nodes at once, and returns their answers in the same order once each has answered or ctx has ended.
func (o *Others) Ask(ctx context.Context, nodes []string, kind string, request []byte) []Answer {
	answers := make([]Answer, len(nodes))
	var all sync.WaitGroup
	for i, node := range nodes {
		all.Go(func() {
			reply, err := o.Call(ctx, node, kind, request)
			answers[i] = Answer{node, reply, err}
		})
	}
	all.Wait()
	return answers
}
