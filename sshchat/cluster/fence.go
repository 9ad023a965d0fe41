package cluster

import (
	"context"
	"time"

	"sshchat/sshchat/chat"
)

// ErrReadOnly is why nothing is said or decided on a node that cannot follow the log.
var ErrReadOnly = &chat.Refusal{Code: chat.Failed, Text: "read-only: this server cannot reach the chat's log at the moment; please try again"}

// followed notes that the log is followed to its end, unless there was a silence: then it is not known what came meanwhile.
func (n *Node) followed() {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if !n.heard.IsZero() && now.Sub(n.heard) > n.c.pace.fence {
		n.stale = true
	}
	if !n.stale {
		n.heard = now
	}
}

// proved notes that a message of this node has its place in the stream: so it had all before it.
func (n *Node) proved() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard, n.stale = time.Now(), false
}

// silence is for how long the log has not been followed to its end.
func (n *Node) silence() (d time.Duration, stale bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d = time.Since(n.heard)
	return d, n.stale || d > n.c.pace.fence
}

// refresh ends a silence: what the stream holds now is taken. A process that was frozen must not act on what it knew before.
func (n *Node) refresh(ctx context.Context) error {
	began := time.Now()
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard, n.stale = began, false
	return nil
}

// Fenced returns why nothing may be decided on this node now, and nobody let in: it has not followed the log for 5 s, so that others
// may have decided otherwise. nil: it follows.
func (n *Node) Fenced() error {
	if _, stale := n.silence(); stale || n.broken.Load() != nil {
		return ErrReadOnly
	}
	return nil
}

// FencedFor is for how long the node has been fenced.
func (n *Node) FencedFor() time.Duration {
	d, stale := n.silence()
	if !stale {
		return 0
	}
	return max(time.Nanosecond, d-n.c.pace.fence)
}
