package sshchat

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// until waits for something to be so.
func until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// bareServer is as much of a server as writing needs. Nothing stalls in it before the clock that it returns has passed.
func bareServer() (*Server, *atomic.Int64) {
	log, clock := slog.New(slog.DiscardHandler), new(atomic.Int64)
	s := &Server{log: log, conns: make(map[*conn]struct{}), sourceCounts: newSourceCounts(DefaultLimits), sessionLog: newPacedLog(log, time.Now)}
	s.sweeper = newSweeper(func() time.Duration { return s.limits().WriteStall })
	s.sweeper.now = func() time.Duration { return time.Duration(clock.Load()) }
	clock.Store(1)
	return s, clock
}

// newFilter is a filter on a channel of c.
func newFilter(c *conn, ch gossh.Channel) *channelFilter {
	g := &channelFilter{Channel: ch, conn: c, writes: writeClock{conn: c}}
	g.stderr = filteredErr{ch.Stderr(), g}
	return g
}

// socket is a net.Conn that takes as much as it is allowed to.
type socket struct {
	net.Conn
	mu       sync.Mutex
	change   *sync.Cond
	left     int      // guarded by mu; bytes it takes yet
	writes   [][]byte // guarded by mu; what each call has written
	waiting  int      // guarded by mu; bytes of the call that waits
	past     bool     // guarded by mu; the deadline is
	deadline int      // guarded by mu; how often it was set into the past
	closed   bool     // guarded by mu
}

func newSocket(left int) *socket {
	s := &socket{left: left}
	s.change = sync.NewCond(&s.mu)
	return s
}

func (s *socket) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.writes)
	s.writes = append(s.writes, nil)
	for n < len(p) {
		switch took := min(s.left, len(p)-n); {
		case s.closed:
			return n, net.ErrClosed
		case s.past:
			return n, os.ErrDeadlineExceeded
		case took > 0:
			s.writes[i] = append(s.writes[i], p[n:n+took]...)
			s.left -= took
			n += took
		default:
			s.waiting = len(p) - n
			s.change.Broadcast()
			s.change.Wait()
			s.waiting = 0
		}
	}
	return n, nil
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past = !t.IsZero()
	if s.past {
		s.deadline++
	}
	s.change.Broadcast()
	return nil
}

func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.change.Broadcast()
	return nil
}

// take allows n bytes more.
func (s *socket) take(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += n
	s.change.Broadcast()
}

// is looks at it with the lock held.
func (s *socket) is(so func() bool) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return so()
	}
}

func (s *socket) isClosed() bool { return s.is(func() bool { return s.closed })() }

// sizes are how much each call has written.
func (s *socket) sizes() (n []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.writes {
		n = append(n, len(p))
	}
	return n
}

// channel writes packets as x/crypto's does: as much in each as the client's window has room for, and none while that is full.
type channel struct {
	gossh.Channel
	conn *conn

	mu     sync.Mutex
	change *sync.Cond
	window int  // guarded by mu
	closed bool // guarded by mu
}

func newChannel(c *conn, window int) *channel {
	ch := &channel{conn: c, window: window}
	ch.change = sync.NewCond(&ch.mu)
	return ch
}

func (ch *channel) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		ch.mu.Lock()
		for ch.window == 0 && !ch.closed {
			ch.change.Wait()
		}
		took := min(ch.window, len(p))
		ch.window -= took
		closed := ch.closed
		ch.mu.Unlock()
		if closed {
			return n, errors.New("closed")
		}
		if _, err := ch.conn.Write(p[:took]); err != nil {
			return n, err
		}
		n += took
		p = p[took:]
	}
	return n, nil
}

func (ch *channel) Stderr() io.ReadWriter { return ch }

// adjust gives the client's window more room.
func (ch *channel) adjust(n int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.window += n
	ch.change.Broadcast()
}

// close ends it, as x/crypto does when the connection ends.
func (ch *channel) close() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.closed = true
	ch.change.Broadcast()
}

// tap counts what goes through a connection.
type tap struct {
	net.Conn
	writes, read atomic.Int64
}

func (c *tap) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

// wire is a client and a server's connection to it, over x/crypto and a socket.
type wire struct {
	t              testing.TB
	conn           *conn
	server, client *tap
	out            gossh.Conn // the server's
	in             gossh.Conn // the client's
	channels       <-chan gossh.NewChannel
}

// newWire connects the two; both change their keys after so many bytes.
func newWire(t testing.TB, cipher string, rekey uint64) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	there, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	here, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	w := &wire{t: t, server: &tap{Conn: here}, client: &tap{Conn: there}}
	s, _ := bareServer()
	w.conn = &conn{Conn: w.server, server: s}
	ended := make(chan error, 1)
	go func() {
		config := &gossh.ServerConfig{NoClientAuth: true, Config: gossh.Config{RekeyThreshold: rekey}}
		config.AddHostKey(signer)
		out, channels, requests, err := gossh.NewServerConn(w.conn, config)
		w.out, w.channels = out, channels
		go gossh.DiscardRequests(requests)
		ended <- err
	}()
	in, _, requests, err := gossh.NewClientConn(w.client, "", &gossh.ClientConfig{
		HostKeyCallback: gossh.FixedHostKey(signer.PublicKey()), Config: gossh.Config{Ciphers: []string{cipher}, RekeyThreshold: rekey},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.in = in
	go gossh.DiscardRequests(requests)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return w
}

// open is a channel, from both ends.
func (w *wire) open() (*channelFilter, gossh.Channel) {
	w.t.Helper()
	accepted := make(chan *channelFilter, 1)
	go func() {
		n, more := <-w.channels
		if !more {
			return
		}
		if ch, requests, err := n.Accept(); err == nil {
			go gossh.DiscardRequests(requests)
			accepted <- newFilter(w.conn, ch)
		}
	}()
	ch, requests, err := w.in.OpenChannel("session", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	go gossh.DiscardRequests(requests)
	return <-accepted, ch
}
