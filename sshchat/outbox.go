package sshchat

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// writeChunk is the most that one packet carries. It is small because x/crypto keeps two buffers as large as the largest
	// packet for as long as the session lasts: so each is of 2 KiB. And it divides no usual window, so that the last
	// packet before a window is full is mostly a short one.
	writeChunk = 2000
	// outboxSize is how much is gathered for one system call: eight packets.
	outboxSize = 16 << 10
	// outboxTime is how long packets may be held back where the write that follows them blocks.
	outboxTime = 10 * time.Millisecond
)

// outbox writes to one connection's socket. x/crypto writes each packet by itself. While the outbox is corked, full
// packets are gathered, and written in one system call. A short packet is written at once, after the ones held back. This
// includes the rest of a large write, key exchanges, keepalives, replies and the data of other channels.
type outbox struct {
	moved  atomic.Uint32 // counts what the client took of a large write that took long
	large  atomic.Bool   // a large write is under way
	nudged atomic.Bool   // and is to return with what it has written: the socket's deadline is in the past

	mu     sync.Mutex        // held while it writes to the socket, so in this order: x/crypto's locks, mu
	corked bool              // guarded by mu
	held   *[outboxSize]byte // guarded by mu; from outboxes; nil while nothing is held back
	n      int               // guarded by mu; how much is
	err    error             // guarded by mu; why nothing can be written any more
	timer  *time.Timer       // guarded by mu; nil until the first cork; fires when what is held back must leave
}

// outboxes are the buffers: an outbox has one from the first packet it holds back until that has left.
var outboxes = sync.Pool{New: func() any { return new([outboxSize]byte) }}

// Write writes to the client, at once or with what follows.
func (c *conn) Write(p []byte) (int, error) {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.corked {
		return o.send(c.Conn, p)
	}
	full := len(p) >= writeChunk
	if o.n+len(p) > outboxSize {
		if err := o.flush(c.Conn); err != nil {
			return 0, err
		}
	}
	if len(p) > outboxSize || o.n == 0 && !full {
		return o.send(c.Conn, p)
	}
	if o.held == nil {
		o.held = outboxes.Get().(*[outboxSize]byte)
	}
	o.n += copy(o.held[o.n:], p)
	if full && o.n+len(p) <= outboxSize { // there is room for another
		return len(p), nil
	}
	if err := o.flush(c.Conn); err != nil {
		return 0, err
	}
	return len(p), nil
}

// cork gathers full packets until uncork, or for outboxTime.
func (c *conn) cork() {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.corked = true
	if o.timer == nil {
		o.timer = time.AfterFunc(outboxTime, func() { c.uncork() }) // the next write sees an error
		return
	}
	o.timer.Reset(outboxTime)
}

// uncork writes what is held back, and gathers no more.
func (c *conn) uncork() error {
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.corked {
		o.corked = false
		o.timer.Stop()
	}
	return o.flush(c.Conn)
}

// nudge ends a large write that takes long, so that what the client took of it is seen as progress. It never blocks.
func (c *conn) nudge() {
	o := &c.out
	if o.large.Load() && o.nudged.CompareAndSwap(false, true) {
		c.Conn.SetWriteDeadline(time.Unix(1, 0)) // fails only with the connection
	}
}

// flush writes what is held back. It is called with mu held.
func (o *outbox) flush(to net.Conn) error {
	if o.held == nil {
		return o.err
	}
	_, err := o.send(to, o.held[:o.n])
	outboxes.Put(o.held)
	o.held, o.n = nil, 0
	return err
}

// send writes to the socket. It is called with mu held.
func (o *outbox) send(to net.Conn, p []byte) (sent int, err error) {
	if o.err != nil {
		return 0, o.err
	}
	large := len(p) > outboxSize/4
	if large {
		o.large.Store(true)
	}
	sent, err = to.Write(p)
	if large {
		o.large.Store(false)
	}
	for o.nudged.Load() && errors.Is(err, os.ErrDeadlineExceeded) { // also if the nudge came after the write it was for
		to.SetWriteDeadline(time.Time{}) // fails only with the connection
		if sent > 0 {
			o.moved.Add(1)
		}
		o.nudged.Store(false)
		for err = nil; sent < len(p) && err == nil; o.moved.Add(1) {
			var n int
			n, err = to.Write(p[sent:min(len(p), sent+writeChunk)])
			sent += n
		}
	}
	o.err = err
	return sent, err
}
