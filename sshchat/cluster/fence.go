package cluster

import (
	"context"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// ErrReadOnly is why nothing is said or decided on a node that cannot follow the log.
var ErrReadOnly = &chat.Refusal{Code: chat.Failed, Text: "read-only: this server cannot reach the chat's log at the moment; please try again"}

// ErrRemoved is why nothing is said or decided on a node that an admin has removed.
var ErrRemoved = &chat.Refusal{Code: chat.Failed, Text: "read-only: this server was removed from the cluster; please use another"}

// watch is how long ago the log was known to be followed to its end.
type watch struct {
	limit time.Duration // of a silence after which what is known may be old

	mu    sync.Mutex
	heard time.Time // guarded by mu
	stale bool      // guarded by mu; there was a silence, and it is not known yet what came after it
}

// followed notes that the log is followed to its end, unless there was a silence: then it is not known what came meanwhile.
func (w *watch) followed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	if !w.heard.IsZero() && now.Sub(w.heard) > w.limit {
		w.stale = true
	}
	if !w.stale {
		w.heard = now
	}
}

// silence is for how long the log has not been followed to its end.
func (w *watch) silence() (d time.Duration, stale bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d = time.Since(w.heard)
	return d, w.stale || d > w.limit
}

// refresh ends a silence: what the stream holds now is taken. A process that was frozen must not act on what it knew before.
func (n *Node) refresh(ctx context.Context) error {
	began := time.Now()
	if err := n.catchUp(ctx); err != nil || !applied(ctx, n) {
		return err
	}
	n.watch.ends(began)
	return nil
}

// applyTime is how long the end of a silence waits for the hub.
const applyTime = time.Second

// applied waits until the hub has applied what the folder has: sessions go by what it knows. It is false if that takes long.
func applied(ctx context.Context, n *Node) bool {
	hub, batch := n.hub.Load(), n.position().Batch
	if hub == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, applyTime)
	defer cancel()
	return hub.AwaitApplied(ctx, batch) == nil
}

// ends notes that the log was followed to its end as it was then.
func (w *watch) ends(then time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard, w.stale = then, false
}

// Fenced returns why nothing may be decided on this node now, and nobody let in: it has not followed the log for 5 s, so that others
// may have decided otherwise. nil: it follows.
func (n *Node) Fenced() error {
	switch _, stale := n.watch.silence(); {
	case stale || n.broken.Load() != nil:
		return ErrReadOnly
	case !n.c.listed():
		return ErrRemoved
	}
	return nil
}

// CatchesUp reports whether there was a silence, and the log is followed again but not to its end yet.
func (o *Others) CatchesUp() bool {
	w := &o.n.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stale
}

// FencedFor is for how long the node has been fenced.
func (n *Node) FencedFor() time.Duration {
	d, stale := n.watch.silence()
	switch {
	case stale:
		return max(time.Nanosecond, d-n.c.pace.fence)
	case !n.c.listed():
		return time.Hour // for good: its sessions end
	}
	return 0
}
