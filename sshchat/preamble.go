package sshchat

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"sshchat/sshchat/limit"
	"sshchat/sshchat/proxy"
	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// This file is how a connection begins: with a version line of SSH, or not at all, unless it comes from a load balancer
// (Limits.ProxyFrom): then with a PROXY protocol header before that line. The library would skip what comes before it: then
// all clients of a balancer would count as one address. If every header were believed, anybody could choose an address.

// errNotSSH ends the reading of a connection that does not begin as SSH does.
var errNotSSH = errors.New("not SSH")

const sshPrefix = "SSH-"

// preamble is the first bytes of a connection, as far as they are needed to tell what it is. It belongs to the reader.
type preamble struct {
	seen [12]byte
	n    int
	done bool
}

// take looks at more bytes. It fails if the client does not speak SSH, and then reports whether it sent a PROXY header.
func (h *preamble) take(p []byte) (header bool, err error) {
	if h.done {
		return false, nil
	}
	h.n += copy(h.seen[h.n:], p)
	seen := h.seen[:h.n]
	for _, what := range [...]string{sshPrefix, proxy.Signature1, proxy.Signature} {
		if proxy.Begins(seen, what) && len(seen) < len(what) {
			return false, nil // it may become that
		}
	}
	h.done = true
	if proxy.Begins(seen, sshPrefix) {
		return false, nil
	}
	return proxy.Begins(seen, proxy.Signature1) || proxy.Begins(seen, proxy.Signature), errNotSSH
}

// checkVersion looks at what the client has sent, until it is known to speak SSH.
func (c *conn) checkVersion(p []byte) error {
	header, err := c.preamble.take(p)
	switch {
	case !header:
	case c.via != nil && c.server.limits().isProxy(c.addr):
		c.server.strangerLog.write(slog.LevelWarn, c.from, "closed: second PROXY header", "source", c.source,
			"do", "let only the last of several load balancers send one")
	default:
		c.server.strangerLog.write(slog.LevelWarn, c.from, "closed: PROXY header from "+c.source+", which is not in proxy-from", "source", c.source,
			"do", "if it is your load balancer, add its address to proxy-from")
	}
	return err
}

// proxied takes the header of a connection from a load balancer; nil if it comes from elsewhere. Without a valid header the
// connection is refused, since its client would count as the balancer. None of this counts against the balancer, since a
// penalty would shut out everybody behind it. Headers that are awaited have a bound of their own, which only balancers can fill.
func (s *Server) proxied(nc net.Conn) (via *proxy.Header, ok bool) {
	limits, from := s.limits(), nc.RemoteAddr()
	if !limits.isProxy(limit.AddrOf(from)) {
		return nil, true
	}
	if !s.headers.begin(limits.Starting) {
		s.refuseHeader(from, fmt.Errorf("%d connections have not sent their PROXY protocol header yet", limits.Starting))
		return nil, false
	}
	defer s.headers.end()
	defer context.AfterFunc(s.stop, func() { nc.Close() })()
	nc.SetReadDeadline(time.Now().Add(min(limits.KeyExchange, limits.Handshake))) // if it fails, so does reading
	h, err := proxy.Read(nc)
	switch {
	case errors.Is(err, proxy.ErrMissing):
		s.refuseHeader(from, err)
		s.turnAway(nc, "connections from your address must come with a PROXY protocol header, from a load balancer")
		return nil, false
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, proxy.ErrInvalid), s.draining.Load():
		return nil, false // a check of whether the port is open
	case err != nil:
		s.refuseHeader(from, err)
		return nil, false
	case h.Local:
		answerCheck(nc)
		return nil, false
	}
	nc.SetReadDeadline(time.Time{})
	return &h, true
}

// awaited counts the connections whose header is awaited. Its methods may be called from any goroutine.
type awaited struct{ n atomic.Int64 }

// begin counts one more, unless there are as many as may be. Those that are refused do not count.
func (a *awaited) begin(most int) bool {
	for {
		n := a.n.Load()
		if n >= int64(most) {
			return false
		}
		if a.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (a *awaited) end() { a.n.Add(-1) }

// refuseHeader logs that a connection from a load balancer was refused.
func (s *Server) refuseHeader(from net.Addr, why error) {
	s.stats.Unproxied.Add(1)
	if errors.Is(why, os.ErrDeadlineExceeded) {
		why = errors.New("it did not come in time")
	}
	s.strangerLog.write(slog.LevelWarn, limit.SourceOf(from), "closed: no valid PROXY header from "+host(from)+", which is in proxy-from", "source", host(from),
		"why", why, "do", "if it is your load balancer, let it send version 2 of the PROXY protocol (send-proxy-v2); if not, remove it from proxy-from")
}

// answerCheck answers a load balancer's health check with the version line. A full server answers too: otherwise a flood of strangers
// could make the balancer take the server for dead.
func answerCheck(nc net.Conn) {
	sayLast(nc, []byte(versionLine))
}

// clientAddr is the client's address.
func (c *conn) clientAddr() net.Addr {
	if c.via != nil {
		return net.TCPAddrFromAddrPort(c.via.Client)
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr implements net.Conn: it is where the client has connected to.
func (c *conn) LocalAddr() net.Addr {
	if c.via != nil {
		return net.TCPAddrFromAddrPort(c.via.Server)
	}
	return c.Conn.LocalAddr()
}

// remoteAddr is the client's address, and leads back to the connection where the library only has an address to give.
type remoteAddr struct {
	net.Addr
	conn *conn
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return remoteAddr{c.clientAddr(), c} }

// logNoCommonAlgorithm logs that client and server have no algorithm in common, with what the client offered, cleaned and
// shortened. There is no penalty for it.
func (s *Server) logNoCommonAlgorithm(nc net.Conn, err error) {
	var none *gossh.AlgorithmNegotiationError
	remote, ok := nc.RemoteAddr().(remoteAddr)
	if !ok || !errors.As(err, &none) {
		return
	}
	c := remote.conn
	c.triesLogin()
	var offered string
	for _, name := range none.RequestedAlgorithms {
		offered += " " + name
	}
	s.strangerLog.write(slog.LevelInfo, c.from, "key exchange failed", "source", c.source, "for", none.What,
		"offered", text.Clean(offered, 512))
}

// versionLine is how the server introduces itself (RFC 4253, 4.2).
const versionLine = "SSH-2.0-" + version + "\r\n"

const (
	// turnAwayTime is how long a connection that is turned away has to read why.
	turnAwayTime = 2 * time.Second
	// maxTurningAway is how many of them are kept for that at once; more are closed without a word.
	maxTurningAway = 64
)

// turnAway sends a refused connection the reason, in a way that every SSH client shows: a disconnect message, which may
// come before key exchange (RFC 4253, 11.1). It costs a write and no cryptography. The caller closes.
func (s *Server) turnAway(nc net.Conn, why string) {
	select {
	case s.turningAway <- struct{}{}:
	default:
		return
	}
	defer func() { <-s.turningAway }()
	words := disconnect(why)
	if s.services.Fence.TurnsAway() {
		// Load balancers look for a server that begins with its version, and are to find another: the reason comes before it as well
		// (RFC 4253, 4.2).
		words = append([]byte(why+"\r\n"), words...)
	}
	sayLast(nc, words)
}

// sayLast sends the last that a client gets, and reads what the client still sends: closed with unread bytes, the connection would
// be reset, and the last words lost with it. It takes turnAwayTime at most. The caller closes.
func sayLast(nc net.Conn, words []byte) {
	nc.SetDeadline(time.Now().Add(turnAwayTime)) // if it fails, so does the write
	if _, err := nc.Write(words); err != nil {
		return
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		io.Copy(io.Discard, io.LimitReader(nc, 64<<10))
	}
}

// disconnect is a version line and the message.
func disconnect(why string) []byte {
	const tooManyConnections = 12 // SSH_DISCONNECT_TOO_MANY_CONNECTIONS
	payload := gossh.Marshal(struct {
		Reason         uint32 `sshtype:"1"`
		Text, Language string
	}{tooManyConnections, why, ""})
	padding := 8 - (5+len(payload))%8
	if padding < 4 {
		padding += 8
	}
	packet := append([]byte(versionLine), binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))...)
	packet = append(packet, byte(padding))
	packet = append(packet, payload...)
	return append(packet, make([]byte, padding)...)
}

// approx is a time as people say it, rounded up.
func approx(d time.Duration) string {
	for _, unit := range []struct {
		is, until time.Duration
		name      string
	}{{time.Second, 100 * time.Second, "second"}, {time.Minute, 100 * time.Minute, "minute"}, {time.Hour, 1 << 62, "hour"}} {
		if d > unit.until {
			continue
		}
		n := max((d+unit.is-1)/unit.is, 1)
		if n == 1 {
			return "1 " + unit.name
		}
		return fmt.Sprintf("%d %ss", n, unit.name)
	}
	return "a long time"
}
