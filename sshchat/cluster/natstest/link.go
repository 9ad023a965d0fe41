package natstest

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Link is a way to a server that a test can cut or slow down, in either direction. Like a network, a cut link loses
// nothing that was sent: it arrives when the link is healed, unless the connection was given up meanwhile. Connections that
// are made while it is cut wait. A Link may be used from any goroutine.
type Link struct {
	listener net.Listener
	target   string
	scheme   string
	done     chan struct{} // closed by close
	running  sync.WaitGroup

	mu      sync.Mutex
	to      state         // guarded by mu: what clients send to the server
	from    state         // guarded by mu: what the server sends to clients
	changed chan struct{} // guarded by mu; closed and replaced when to or from change
	conns   map[net.Conn]bool
}

// state is what happens to what is sent in one direction.
type state struct {
	cut   bool
	delay time.Duration
}

// NewLink makes a link from a client to server i, which is closed when the test ends.
func (c *Cluster) NewLink(t testing.TB, i int) *Link {
	t.Helper()
	l := newLink(t, c.servers[i].client)
	l.scheme, _, _ = strings.Cut(c.URLs()[i], "//")
	return l
}

// NewLinks makes a link from a client to each server: what a node needs to be cut off from all of them.
func (c *Cluster) NewLinks(t testing.TB) []*Link {
	t.Helper()
	var all []*Link
	for i := range c.servers {
		all = append(all, c.NewLink(t, i))
	}
	return all
}

func newLink(t testing.TB, target string) *Link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Link{listener: listener, target: target, done: make(chan struct{}), changed: make(chan struct{}), conns: make(map[net.Conn]bool)}
	l.running.Go(l.accept)
	t.Cleanup(l.close)
	return l
}

func (l *Link) address() string { return l.listener.Addr().String() }

// URL is where a client connects instead of to the server itself.
func (l *Link) URL() string { return l.scheme + "//" + l.address() }

// Cut holds back everything in both directions.
func (l *Link) Cut() {
	l.change(func() { l.to.cut, l.from.cut = true, true })
}

// CutTo holds back what clients send to the server.
func (l *Link) CutTo() { l.change(func() { l.to.cut = true }) }

// CutFrom holds back what the server sends to clients.
func (l *Link) CutFrom() { l.change(func() { l.from.cut = true }) }

// Delay lets everything arrive later by this time: what clients send to the server, and what the server sends.
func (l *Link) Delay(to, from time.Duration) {
	l.change(func() { l.to.delay, l.from.delay = to, from })
}

// Heal undoes all cuts and delays.
func (l *Link) Heal() { l.change(func() { l.to, l.from = state{}, state{} }) }

// Reset ends all connections at once. New ones can be made.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.conns {
		conn.Close()
	}
}

func (l *Link) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) close() {
	close(l.done)
	l.listener.Close()
	l.Reset()
	l.running.Wait()
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.running.Go(func() { l.serve(client) })
	}
}

// serve carries one connection. Its handshake needs both directions.
func (l *Link) serve(client net.Conn) {
	if !l.track(client) {
		return
	}
	defer l.forget(client)
	arrived := time.Now()
	if !l.wait(&l.to, arrived) || !l.wait(&l.from, arrived) {
		return
	}
	server, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	if !l.track(server) {
		return
	}
	defer l.forget(server)
	var both sync.WaitGroup
	both.Go(func() { l.carry(client, server, &l.to) })
	both.Go(func() { l.carry(server, client, &l.from) })
	both.Wait()
}

// track keeps a connection for Reset and close; false, and it is closed, if the link is.
func (l *Link) track(conn net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if closed(l.done) {
		conn.Close()
		return false
	}
	l.conns[conn] = true
	return true
}

func (l *Link) forget(conn net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	conn.Close()
	delete(l.conns, conn)
}

// piece is bytes under way, or the end of a connection if there are none.
type piece struct {
	bytes []byte
	sent  time.Time
}

// carry carries one direction of a connection until its source ends; the end, too, arrives only if the link is not cut.
func (l *Link) carry(source, destination net.Conn, s *state) {
	under := make(chan piece, 64)
	go func() {
		defer close(under)
		for {
			buffer := make([]byte, 32<<10)
			n, err := source.Read(buffer)
			if n > 0 {
				under <- piece{buffer[:n], time.Now()}
			}
			if err != nil {
				source.Close()
				return
			}
		}
	}()
	for p := range under {
		if l.wait(s, p.sent) {
			destination.Write(p.bytes) // the destination may have ended; its own end travels the other way
		}
	}
	l.wait(s, time.Now())
	destination.Close()
}

// wait waits until what was sent at a time arrives; false if the link is closed before.
func (l *Link) wait(s *state, sent time.Time) bool {
	for {
		l.mu.Lock()
		now, changed := *s, l.changed
		l.mu.Unlock()
		var arrival <-chan time.Time // never, if the link is cut
		if !now.cut {
			left := time.Until(sent.Add(now.delay))
			if left <= 0 {
				return !closed(l.done)
			}
			timer := time.NewTimer(left)
			defer timer.Stop()
			arrival = timer.C
		}
		select {
		case <-arrival:
		case <-changed:
		case <-l.done:
			return false
		}
	}
}

// linkRoutes makes a link from each server to each other. NATS makes several connections between two servers, and either
// may be the one that connects.
func (c *Cluster) linkRoutes() {
	c.t.Helper()
	for i := range c.servers {
		c.routes = append(c.routes, make([]*Link, len(c.servers)))
		for j, other := range c.servers {
			if i != j {
				c.routes[i][j] = newLink(c.t, other.route)
			}
		}
	}
}

// CutRoute holds back what server i sends to server j. It needs the option Routes.
func (c *Cluster) CutRoute(i, j int) {
	c.routes[i][j].CutTo()
	c.routes[j][i].CutFrom()
}

// Isolate holds back everything between server i and the other servers. It needs the option Routes.
func (c *Cluster) Isolate(i int) {
	for j := range c.servers {
		if j != i {
			c.routes[i][j].Cut()
			c.routes[j][i].Cut()
		}
	}
}

// DelayRoutes lets everything between servers arrive later by this time. It needs the option Routes.
func (c *Cluster) DelayRoutes(by time.Duration) {
	for _, l := range slices.Concat(c.routes...) {
		if l != nil { // not from a server to itself
			l.Delay(by, by)
		}
	}
}

// HealRoutes undoes all cuts and delays between servers.
func (c *Cluster) HealRoutes() {
	for _, l := range slices.Concat(c.routes...) {
		if l != nil {
			l.Heal()
		}
	}
}
