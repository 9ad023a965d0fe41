package sshchat

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/proxy"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// conn is one client's connection, from accept to close: its deadlines, its channels, its sign of life.
// x/crypto's own Close only sends, and waits for a peer that may never read; closing this closes the socket.
type conn struct {
	net.Conn
	server    *Server
	source    string       // the client's address, for the log
	from      limit.Source // what it is counted as
	addr      netip.Addr   // the client's, in IPv4 form if it has one; used for bans
	exempt    bool         // its source is not counted or charged
	client    string       // what the client calls itself; set at login
	lastRead  atomic.Int64 // Unix nanoseconds
	loginBy   time.Time    // the login must be complete by then
	closing   sync.Once
	refusing  atomic.Int32 // channels whose refusal is being sent
	announced atomic.Bool  // the host keys were announced to it
	proofs    atomic.Int32 // times it had them prove themselves

	preamble preamble // owned by the reader
	out      outbox
	via      *proxy.Header // the load balancer's, with the client's address; nil: there is none in between

	// Set once, before there is a session:

	missed limit.Missed // wrong passwords for the account since it was last logged in to

	mu          sync.Mutex
	deadline    *time.Timer             // guarded by mu; closes the connection unless it gets on: keys, channel, registration
	keepalive   *time.Timer             // guarded by mu; nil until the first channel
	channels    int                     // guarded by mu; session channels open
	provisional bool                    // guarded by mu; it logged in without an account, and has none since
	registering bool                    // guarded by mu; it holds one of the places for registering
	closed      bool                    // guarded by mu
	starts      gossh.ServerPreAuthConn // guarded by mu; nil until keys are agreed on
	registerBy  time.Time               // guarded by mu; when a login without an account ends
	tried       bool                    // guarded by mu; there was a try to log in
	loggedIn    bool                    // guarded by mu; it is logged in
	starting    bool                    // guarded by mu; it holds a place among those that have not
	account     string                  // guarded by mu; the id of the account it holds a place of; empty: of none
	proven      chan struct{}           // guarded by mu; closed when the client has seen the next host key proven; nil: nothing is expected
	refusal     *chat.Refusal           // guarded by mu; why its sessions are refused; nil: they are served
}

// connKey finds the conn in its ssh.Context.
type connKey struct{}

func connOf(ctx ssh.Context) *conn { return ctx.Value(connKey{}).(*conn) }

// serve serves one connection until it ends.
func (s *Server) serve(nc net.Conn) {
	via, ok := s.proxied(nc)
	if !ok {
		nc.Close()
		return
	}
	c := s.accept(nc, via)
	if c == nil {
		nc.Close()
		return
	}
	s.ssh.HandleConn(c)
	c.mu.Lock()
	wasted := !c.tried && !c.loggedIn
	c.mu.Unlock()
	if wasted {
		c.charge(limit.NoAuth)
	}
}

// accept takes a connection, or turns it away and says why. All that is counted and said of it is by its client's address,
// also if it comes via a load balancer.
func (s *Server) accept(nc net.Conn, via *proxy.Header) *conn {
	c := &conn{Conn: nc, server: s, via: via}
	client := c.clientAddr()
	c.source, c.from, c.addr = host(client), limit.SourceOf(client), limit.AddrOf(client)
	c.exempt = s.limits().IsExempt(c.addr)
	if _, banned := s.view().Banned(chat.Name{}, c.addr, ""); banned {
		s.stats.Banned.Add(1)
		s.turnAway(nc, "connections from your address are banned here")
		return nil
	}
	if s.services.Fence.TurnsAway() {
		why := "this server cannot reach the chat's log at the moment; please try another one, or again soon"
		if cause := s.services.Fence.Cause(); cause != nil {
			why = cause.Error()
		}
		s.turnAway(nc, why)
		return nil
	}
	if wait := s.penaltyLeft(c); wait > 0 {
		s.stats.Penalized.Add(1)
		s.turnAway(nc, failedLogins(wait))
		return nil
	}
	if room := s.admission.Acquire(c.from, c.exempt); room != limit.Room {
		s.stats.Crowded.Add(1)
		s.turnAway(nc, crowded[room])
		return nil
	}
	c.starting = true
	c.lastRead.Store(time.Now().UnixNano())
	if socket, ok := nc.(interface{ SetWriteBuffer(bytes int) error }); ok {
		// Kernel buffers would hide megabytes of a client that does not read.
		if err := socket.SetWriteBuffer(s.limits().SendBuffer); err != nil {
			s.log.Debug("set send buffer", "source", c.source, "err", err)
		}
	}
	if !s.track(c) {
		c.releaseStarting()
		s.turnAway(nc, "the server is stopping; please try again in a moment")
		return nil
	}
	limits := s.limits()
	c.loginBy = time.Now().Add(limits.Handshake)
	c.setDeadline(min(limits.KeyExchange, limits.Handshake))
	return c
}

// crowded is why a connection is refused for lack of room.
var crowded = map[limit.Verdict]string{
	limit.SourceFull: "too many connections from your address are logging in; please try again soon",
	limit.AllFull:    "too many connections are logging in; please try again soon",
}

// attach is the ssh server's ConnCallback.
func attach(ctx ssh.Context, nc net.Conn) net.Conn {
	ctx.SetValue(connKey{}, nc.(*conn))
	return nc
}

// host is an address without its port, as the log and the audit log have it.
func host(addr net.Addr) string {
	if from := limit.SourceOf(addr); from == limit.Unix {
		return from.String()
	}
	h, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	return h
}

// Read notes the sign of life.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.lastRead.Store(time.Now().UnixNano())
		if strange := c.checkVersion(p[:n]); strange != nil {
			c.Close()
			return 0, strange
		}
	}
	if err != nil {
		wipe(c.preAuth())
	}
	return n, err
}

// agreed notes that client and server have agreed on keys.
func (c *conn) agreed(p gossh.ServerPreAuthConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts = p
}

// preAuth is the connection as it is before the login; nil until keys are agreed on.
func (c *conn) preAuth() gossh.ServerPreAuthConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.starts
}

// Close closes the socket at once and gives back what the connection held.
func (c *conn) Close() error {
	err := net.ErrClosed
	c.closing.Do(func() {
		c.mu.Lock()
		c.closed = true
		c.stopTimers()
		c.releaseRegistration()
		account := c.account
		c.account = ""
		c.mu.Unlock()
		c.releaseStarting()
		if account != "" {
			c.server.admission.ReleaseAccount(c.from, account)
		}
		c.server.untrack(c)
		err = c.Conn.Close()
	})
	return err
}

// stopTimers is called with mu held.
func (c *conn) stopTimers() {
	if c.deadline != nil {
		c.deadline.Stop()
	}
	if c.keepalive != nil {
		c.keepalive.Stop()
	}
}

// setDeadline closes the connection unless within or clearDeadline is called again before d has passed.
func (c *conn) setDeadline(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	c.deadline = time.AfterFunc(d, func() {
		c.server.stats.Late.Add(1)
		if !c.isLoggedIn() {
			c.charge(limit.GraceExceeded)
		}
		c.Close()
	})
}

// charge adds a penalty to the connection's source, or uses up a known source's attempts.
func (c *conn) charge(what limit.Offence) {
	s := c.server
	switch {
	case !s.limits().Penalties || c.exempt || s.draining.Load():
		return
	case s.attempts.Known(c.from):
		if what != limit.AuthFail {
			return
		}
		s.tell(limit.Spared, c.from)
		if s.spared.Take(c.from, time.Now()) > 0 {
			s.recordEvent(chat.AuditEntry{Source: c.source, Do: "passwords wait", Text: "from there, but for those who have logged in from there"})
		}
		return
	}
	s.others.Tell(limit.Told{Event: limit.Offended, Source: netip.Prefix(c.from), Offence: what})
	if begun := s.penalties.Add(c.from, what); begun > 0 {
		s.log.Warn("source kept away", "source", c.source, "for", begun.Round(time.Second))
		s.recordEvent(chat.AuditEntry{Source: c.source, Do: "kept away", Text: begun.Round(time.Second).String()})
	}
}

// triesLogin notes that the client does what it came for.
func (c *conn) triesLogin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = true
}

func (c *conn) isLoggedIn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loggedIn
}

func (c *conn) clearDeadline() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deadline != nil {
		c.deadline.Stop()
	}
}

// releaseStarting gives back the place among those that have not logged in, once.
func (c *conn) releaseStarting() {
	c.mu.Lock()
	starting := c.starting
	c.starting = false
	c.mu.Unlock()
	if starting {
		c.server.admission.Release(c.from)
	}
}

// acquireAccount takes a place among the connections of an account. If there is none, its sessions are refused.
func (c *conn) acquireAccount(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.account != "":
	case c.server.admission.AcquireAccount(c.from, c.exempt, account):
		c.account = account
	default:
		c.server.stats.Crowding.Add(1)
		c.refusal = &chat.Refusal{Code: chat.Failed, Text: "too many connections by this account or from your address; close one of them"}
	}
}

// setRefusal sets why sessions are refused; nil: they are served.
func (c *conn) setRefusal(why *chat.Refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusal = why
}

// refused is why sessions are refused; nil: they are served.
func (c *conn) refused() *chat.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusal
}

// openChannel counts a session channel; it is refused beyond the limit.
func (c *conn) openChannel(peer gossh.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.channels >= c.server.limits().Sessions {
		return false
	}
	c.channels++
	if c.deadline != nil && !c.provisional { // the clock for registering runs on
		c.deadline.Stop()
	}
	if c.keepalive == nil {
		c.watch(peer)
	}
	return true
}

// refuse turns a channel away. A client that asks for ever more and does not take the answers loses its connection:
// the library holds a goroutine and the packet for each.
func (c *conn) rejectChannel(ch gossh.NewChannel) {
	c.server.stats.Refused.Add(1)
	defer c.refusing.Add(-1)
	if c.refusing.Add(1) > maxRefusing {
		c.Close()
	}
	ch.Reject(gossh.ResourceShortage, "too many sessions in one connection") // fails only with the connection
}

// closeChannel starts the clock of a connection that has no channel left: OpenSSH's ControlMaster keeps such.
func (c *conn) closeChannel() {
	c.mu.Lock()
	c.channels--
	last := c.channels == 0 && !c.provisional
	c.mu.Unlock()
	if last {
		c.setDeadline(c.server.limits().FirstChannel)
	}
}

// watch asks a silent client for a sign of life, and closes the connection when none comes.
// It costs a timer and no goroutine while the client answers. Called with mu held.
func (c *conn) watch(peer gossh.Conn) {
	every := c.server.limits().Keepalive
	var asking atomic.Bool // one ask at a time: each waits for its answer
	c.keepalive = time.AfterFunc(every, func() {
		silent := time.Since(time.Unix(0, c.lastRead.Load()))
		if silent > every*time.Duration(c.server.limits().KeepaliveMax) {
			c.server.stats.Dead.Add(1)
			c.Close()
			return
		}
		c.mu.Lock()
		if !c.closed {
			c.keepalive.Reset(every)
		}
		c.mu.Unlock()
		if silent >= every && asking.CompareAndSwap(false, true) {
			// An error means the connection has ended, which its own goroutines see.
			peer.SendRequest("keepalive@openssh.com", true, nil)
			asking.Store(false)
		}
	})
}
