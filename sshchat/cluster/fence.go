package cluster

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// ErrReadOnly is why nothing is said or decided on a node that cannot follow the log.
var ErrReadOnly = &chat.Refusal{Code: chat.Failed, Text: "read-only: this server cannot reach the chat's log at the moment; please try again"}

// ErrRemoved is why nothing is said or decided on a node that an admin has removed.
var ErrRemoved = &chat.Refusal{Code: chat.Failed, Text: "read-only: this server was removed from the cluster; please use another"}

// errLogBroken is why nothing is said or decided on a node for which the log is broken.
var errLogBroken = &chat.Refusal{Code: chat.Failed, Text: "read-only: the chat's log is broken; an admin needs to repair it"}

// watch is how old that may be which this node knows. A node is fenced unless it has all of the log up to a point that was ordered less
// than limit ago. When a message came says nothing about that: the way here may take longer than limit, and lose nothing. So each node sends
// nonces (alive), and the leader repeats them in the log: a message with one of this node's nonces was ordered after that was sent. For a
// node that leads, and has a message stored, it is the time before it asked for that.
//
// All times are this machine's own, by a clock that goes on while the process is frozen and that nobody sets. In a virtual machine that is
// suspended it may stand still: then what was known counts as that much younger.
type watch struct {
	limit time.Duration

	mu     sync.Mutex
	began  time.Time // guarded by mu; when this node began to follow
	heard  time.Time // guarded by mu; when a message of the log came, or was stored for this node: what campaigns go by
	came   time.Time // guarded by mu; when a message of the log came, other than to who leads; zero: none did
	missed bool      // guarded by mu; there was a silence, and nobody has looked yet what came meanwhile
	plain  bool      // guarded by mu; the last message is by a leader of a version that repeats no nonces: its messages count as new as they come
	known  time.Time // guarded by mu; what was ordered before then is applied here; zero: not known yet
	proofs []proof   // guarded by mu; of later times, in their order
	nonces []nonce   // guarded by mu; that were said limit ago at most and not repeated yet, in their order
}

// proof is that this node has what was ordered before then: all up to that batch. It counts once the hub has applied that.
type proof struct {
	then  time.Time
	batch uint64
}

// nonce is a random number that this node has sent.
type nonce struct {
	value uint64
	said  time.Time
}

// maxProofs is how many wait for the hub. More are not needed: it applies what there is.
const maxProofs = 64

func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began = time.Now()
	w.heard = w.began
}

// nonce returns the next nonce to say.
func (w *watch) nonce() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := nonce{max(1, rand.Uint64()), time.Now()}
	w.nonces = append(slices.DeleteFunc(w.nonces, func(old nonce) bool { return next.said.Sub(old.said) > w.limit }), next)
	return next.value
}

// takes notes that the node has taken a message of the log, and with it all up to a batch.
func (w *watch) takes(e *entry, node string, batch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.missed = w.missed || now.Sub(w.heard) > w.limit
	w.heard, w.came, w.plain = now, now, e.Nonces == nil
	if w.plain {
		if !w.missed {
			w.proves(proof{now, batch})
		}
		return
	}
	repeated, has := e.Nonces[node]
	if i := slices.IndexFunc(w.nonces, func(one nonce) bool { return has && one.value == repeated }); i >= 0 {
		w.proves(proof{w.nonces[i].said, batch})
		w.nonces = w.nonces[i+1:]
	}
}

// stores notes that a message of this node has its place in the log: it had all before that, up to a batch, when it asked. The zero time:
// it asked more than once, and it is not known which time counts.
func (w *watch) stores(asked time.Time, batch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = time.Now()
	w.proves(proof{asked, batch})
}

// looked notes that the node has all that the stream held at that time, as a NATS server said. A server that is cut off from the others does
// not know what was stored since. So this ends a silence, but not the fence, unless the leader repeats no nonces.
func (w *watch) looked(then time.Time, batch uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if then.After(w.heard) {
		w.heard = then
	}
	w.missed = false
	if w.plain {
		w.proves(proof{then, batch})
	}
}

// proves takes a proof, unless it is of an earlier time than the last. Called with mu held.
func (w *watch) proves(p proof) {
	last := w.known
	if n := len(w.proofs); n > 0 {
		last = w.proofs[n-1].then
	}
	if !p.then.After(last) || len(w.proofs) >= maxProofs {
		return
	}
	w.proofs = append(w.proofs, p)
	if time.Since(p.then) <= w.limit {
		w.missed = false
	}
}

// silence is for how long no message of the log came, and whether it is to be looked at for what was missed.
func (w *watch) silence() (d time.Duration, missed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d = time.Since(w.heard)
	return d, w.missed || d > w.limit
}

// comes reports whether messages of the log come. That a server has none is no such message.
func (w *watch) comes() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.came) <= w.limit
}

// fenced reports whether what is known here may be older than limit, and for how long that has been so, where the hub has applied all up to
// a batch. As long as nothing is known, it has not been so for long: a node that starts says nothing of it for limit.
func (w *watch) fenced(applied uint64) (d time.Duration, is bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.proofs) > 0 && w.proofs[0].batch <= applied {
		w.known, w.proofs = w.proofs[0].then, w.proofs[1:]
	}
	if w.known.IsZero() {
		return max(0, time.Since(w.began)-w.limit), true
	}
	d = time.Since(w.known) - w.limit
	return max(0, d), d > 0
}

// fenced is that of the node's watch.
func fenced(n *Node) (d time.Duration, is bool) {
	applied := uint64(0)
	if hub := n.hub.Load(); hub != nil {
		applied = hub.Applied()
	}
	return n.watch.fenced(applied)
}

// refresh ends a silence: what the stream holds now is taken.
func (n *Node) refresh(ctx context.Context) error {
	began := time.Now()
	if err := n.catchUp(ctx); err != nil || !applied(ctx, n) {
		return err
	}
	n.watch.looked(began, n.position().Batch)
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

// Fenced returns why nothing may be decided on this node now, and nobody let in: what it knows may be more than 5 s old, so that others
// may have decided otherwise. nil: it is not.
func (n *Node) Fenced() error {
	switch _, is := fenced(n); {
	case Cause(n) != nil:
		return Cause(n)
	case is:
		return ErrReadOnly
	}
	return nil
}

// Cause is why nothing may be decided on the node, if the reason is another than that it does not follow the log; nil.
func Cause(n *Node) error {
	switch {
	case !n.c.listed():
		return ErrRemoved
	case n.broken.Load() != nil:
		return errLogBroken
	}
	return nil
}

// CatchesUp reports whether messages of the log come, and what they tell may be too old.
func (o *Others) CatchesUp() bool {
	_, is := fenced(o.n)
	return is && o.n.watch.comes()
}

// FencedFor is for how long the node has been fenced.
func (n *Node) FencedFor() time.Duration {
	if !n.c.listed() {
		return time.Hour // for good: its sessions end
	}
	d, is := fenced(n)
	if !is {
		return 0
	}
	return d
}
