package sshchat

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"
)

// awake reports whether there is a clock to look at.
func (s *sweeper) awake() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clocks) > 0
}

// passes lets time pass, and looks at the writes of c as often as the server would.
func passes(t *testing.T, c *conn, clock *atomic.Int64, d time.Duration) {
	t.Helper()
	for range 16 {
		clock.Add(int64(d / 16))
		c.server.sweeper.sweep()
		until(t, "the large write to return", func() bool { return !c.out.nudged.Load() || !c.out.large.Load() })
	}
}

// A client that takes nothing of a write is cut off when the limit has passed, whatever the write waits for. One that takes
// a chunk at a time, each within the limit, is not, however long the whole takes.
func TestStalledWrites(t *testing.T) {
	t.Parallel()
	large := bytes.Repeat([]byte("x"), 40<<10)
	for name, c := range map[string]struct {
		data   []byte
		window bool // the client's window is what the write waits for, not the socket
	}{
		"one packet, socket": {large[:1000], false}, "one packet, window": {large[:1000], true},
		"large, socket": {large, false}, "large, window": {large, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock := bareServer()
			sock := newSocket(0)
			conn := &conn{Conn: sock, server: s}
			ch := newChannel(conn, 0)
			if c.window {
				sock.take(1 << 20)
			} else {
				ch.adjust(1 << 20)
			}
			g := newFilter(conn, ch)
			ended := make(chan error, 1)
			go func() {
				_, err := g.Write(c.data)
				ended <- err
			}()
			until(t, "the write to begin", g.writes.listed.Load)
			limit := s.limits().WriteStall
			passes(t, conn, clock, limit*9/10)
			for taken := 0; taken+writeChunk < len(c.data); taken += writeChunk {
				if c.window {
					before := g.writes.state.Load()
					ch.adjust(writeChunk)
					until(t, "progress", func() bool { return g.writes.state.Load() != before })
				} else {
					sock.take(writeChunk)
					until(t, "the chunk to be taken", sock.is(func() bool { return sock.left == 0 && sock.waiting > 0 }))
				}
				passes(t, conn, clock, limit*9/10)
				if sock.isClosed() {
					t.Fatalf("cut off after %d of %d bytes", taken, len(c.data))
				}
			}
			passes(t, conn, clock, limit*9/100)
			if sock.isClosed() {
				t.Fatal("cut off before its time")
			}
			passes(t, conn, clock, limit/4)
			if !sock.isClosed() {
				t.Fatal("not cut off")
			}
			ch.close()
			if err := <-ended; err == nil {
				t.Error("the write ended without an error")
			}
			if n := s.stats.Stalled.Load(); n != 1 {
				t.Errorf("%d counted", n)
			}
		})
	}
}

// Once the server stops, a write gets no more than lastWords: one that has waited for long, and those that begin then.
func TestHurriedWrites(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"waits already": true, "begins then": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, clock := bareServer()
			sock := newSocket(0)
			conn := &conn{Conn: sock, server: s}
			g := newFilter(conn, newChannel(conn, 1<<20))
			if early {
				go g.Write([]byte("hello"))
				until(t, "the write to begin", g.writes.listed.Load)
				passes(t, conn, clock, s.limits().WriteStall/2)
				g.shortenDeadline()
			} else {
				g.shortenDeadline()
				passes(t, conn, clock, s.limits().WriteStall/2)
				go g.Write([]byte("hello"))
				until(t, "the write to begin", g.writes.listed.Load)
			}
			passes(t, conn, clock, lastWords*9/10)
			if sock.isClosed() {
				t.Fatal("cut off before its time")
			}
			passes(t, conn, clock, lastWords/4)
			if !sock.isClosed() {
				t.Fatal("not cut off")
			}
		})
	}
}

// The sweeper's timer is set while somebody writes, also if the client takes nothing; not when nobody has written lately, and
// not once the server has stopped.
func TestSweeperSleeps(t *testing.T) {
	t.Parallel()
	s, _ := bareServer()
	limits := DefaultLimits
	limits.WriteStall = 20 * time.Millisecond // it looks often, but the clock stands still
	s.setLimits(limits)
	conn := &conn{Conn: newSocket(1 << 30), server: s}
	g, stuck := newFilter(conn, newChannel(conn, 1<<30)), newFilter(conn, newChannel(conn, 0))
	for range 2 {
		if s.sweeper.awake() {
			t.Fatal("it is awake though nobody writes")
		}
		if _, err := g.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if !s.sweeper.awake() {
			t.Fatal("it sleeps though somebody has just written")
		}
		until(t, "it to sleep", func() bool { return !s.sweeper.awake() })
		if s.sweeper.timer.Stop() {
			t.Fatal("its timer is set though there is nothing to look at")
		}
	}
	go stuck.Write([]byte("hello"))
	until(t, "the write to begin", stuck.writes.listed.Load)
	for range 3 {
		s.sweeper.sweep()
	}
	if !s.sweeper.awake() || !s.sweeper.timer.Stop() {
		t.Fatal("it sleeps while a write is under way")
	}
	s.sweeper.stop()
	s.sweeper.sweep()
	if g.writes.begin(); g.writes.listed.Load() || s.sweeper.timer.Stop() {
		t.Error("its timer is set though the server has stopped")
	}
}

// A write that begins just when the sweeper forgets its clock is looked at all the same.
func TestSweeperMissesNoWrite(t *testing.T) {
	t.Parallel()
	s, _ := bareServer()
	w := &writeClock{conn: &conn{Conn: newSocket(0), server: s}}
	for name, begins := range map[string]func() (dropped bool){
		"before": func() bool {
			w.begin()
			return s.sweeper.drop(w, s.sweeper.now())
		},
		"after": func() bool {
			s.sweeper.sweep() // forgets it
			w.begin()
			return !s.sweeper.awake()
		},
	} {
		w.begin()
		w.end()
		s.sweeper.sweep() // sees that there was a write
		if begins() || !w.listed.Load() {
			t.Errorf("the write that began %s is not looked at", name)
		}
		w.end()
	}
}
