package sshchat

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// This file closes the connections of clients that take nothing of what is written to them: x/crypto's Write has no
// deadline, and waits for the socket, for the channel's window or for new keys for as long as the client likes.

// lastWords is how long a write may make no progress once the server stops.
const lastWords = 2 * time.Second

// writeClock is the time of the writes to one session channel. A write costs it two atomic additions and a load; the
// sweeper looks at what the clocks show, and at the time.
type writeClock struct {
	conn    *conn
	state   atomic.Uint64 // writes under way in the lowest byte, progress in the others
	listed  atomic.Bool   // the sweeper looks at it; set with the sweeper's mu held
	hurried atomic.Int64  // when the server began to stop, on the sweeper's clock; 0: it goes on

	// Guarded by the sweeper's mu:

	seen      uint64        // the last state
	seenMoved uint32        // and what the connection had moved
	since     time.Duration // since when they are the same, on the sweeper's clock
}

const (
	aWrite = 1      // added to writeClock.state by a write that begins
	aStep  = 1 << 8 // added by progress
)

// begin starts the time of a write; end must follow.
func (w *writeClock) begin() {
	w.state.Add(aWrite)
	if !w.listed.Load() {
		w.conn.server.sweeper.add(w)
	}
}

// progress starts the time of the write that is under way again.
func (w *writeClock) progress() { w.state.Add(aStep) }

func (w *writeClock) end() { w.state.Add(aStep - aWrite) }

// hurry gives the write that is under way, and those that follow, no more than lastWords: otherwise one client that reads
// nothing would keep the server from stopping.
func (w *writeClock) hurry() { w.hurried.Store(int64(w.conn.server.sweeper.now())) }

// due is when the write that is under way has stalled. It is called with the sweeper's mu held.
func (w *writeClock) due(limit time.Duration) time.Duration {
	due := w.since + limit
	if from := time.Duration(w.hurried.Load()); from > 0 {
		due = min(due, max(w.since, from)+lastWords)
	}
	return due
}

// look notes what the clock shows now, and reports whether it shows something new.
func (w *writeClock) check(now time.Duration) bool {
	state, moved := w.state.Load(), w.conn.out.moved.Load()
	if state == w.seen && moved == w.seenMoved {
		return false
	}
	w.seen, w.seenMoved, w.since = state, moved, now
	return true
}

func (w *writeClock) idle() bool { return w.seen%aStep == 0 }

// sweeper closes the connections on which a write makes no progress for longer than the limit. It is one timer for all
// connections, which is stopped while nobody writes, and for good when the server stops.
type sweeper struct {
	limit func() time.Duration
	now   func() time.Duration // since some moment

	mu      sync.Mutex
	clocks  []*writeClock // guarded by mu; of those who have written lately
	timer   *time.Timer   // guarded by mu; nil until somebody writes; set while there are clocks
	stopped bool          // guarded by mu
}

func newSweeper(limit func() time.Duration) *sweeper {
	began := time.Now()
	return &sweeper{limit: limit, now: func() time.Duration { return time.Since(began) }}
}

// every is the time from one sweep to the next: how much later than at its limit a write may be found stalled.
func (s *sweeper) every() time.Duration {
	return max(min(s.limit(), lastWords)/16, time.Millisecond)
}

// add makes the sweeper watch a running clock.
func (s *sweeper) add(w *writeClock) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || w.listed.Load() {
		return
	}
	w.listed.Store(true)
	w.check(now)
	w.since = now
	s.clocks = append(s.clocks, w)
	if len(s.clocks) == 1 {
		s.set()
	}
}

// set sets the timer. It is called with mu held.
func (s *sweeper) set() {
	if s.timer == nil {
		s.timer = time.AfterFunc(s.every(), s.sweep)
		return
	}
	s.timer.Reset(s.every())
}

// sweep looks at each clock once. The timer is set again before anything is closed, so that a log that is slow to take the
// reasons delays no other connection.
func (s *sweeper) sweep() {
	limit, now := s.limit(), s.now()
	var stalled []*writeClock
	s.mu.Lock()
	kept := s.clocks[:0]
	for _, w := range s.clocks {
		switch {
		case w.check(now):
		case w.idle():
			if s.drop(w, now) {
				continue
			}
		case now >= w.due(limit):
			stalled = append(stalled, w)
			continue // it stays listed: nothing blocks on a connection that is closed
		default:
			w.conn.nudge()
		}
		kept = append(kept, w)
	}
	clear(s.clocks[len(kept):])
	s.clocks = kept
	if len(kept) > 0 && !s.stopped {
		s.set()
	}
	s.mu.Unlock()
	for _, w := range stalled {
		w.conn.stalled()
	}
}

// drop removes a clock without a pending write, unless one has just begun and relies on still being listed. It is called
// with mu held.
func (s *sweeper) drop(w *writeClock, now time.Duration) bool {
	w.listed.Store(false)
	if !w.check(now) {
		return true
	}
	w.listed.Store(true)
	return false
}

// stop ends the sweeps.
func (s *sweeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

// stalled closes a connection whose client takes nothing.
func (c *conn) stalled() {
	s := c.server
	s.stats.Stalled.Add(1)
	s.sessionLog.write(slog.LevelInfo, c.from, "closed: the client reads nothing", "source", c.source)
	c.Close()
}
