package sshchat

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// This file is how a connection begins: with a version line of SSH, or not at all. The library would skip what comes
// before that line. A load balancer's PROXY header, skipped, makes all clients count as one address.

// errNotSSH ends the reading of a connection that does not begin as SSH does.
var errNotSSH = errors.New("not SSH")

var (
	sshPrefix = []byte("SSH-")
	proxyV1   = []byte("PROXY ")
	proxyV2   = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// preamble is the first bytes of a connection, as far as they are needed to tell what it is. It belongs to the reader.
type preamble struct {
	seen [12]byte
	n    int
	done bool
}

// take looks at more bytes. It fails where the client does not speak SSH, and then reports whether it sent a PROXY header.
func (h *preamble) take(p []byte) (proxy bool, err error) {
	if h.done {
		return false, nil
	}
	h.n += copy(h.seen[h.n:], p)
	seen := h.seen[:h.n]
	for _, what := range [][]byte{sshPrefix, proxyV1, proxyV2} {
		n := min(len(seen), len(what))
		if !bytes.Equal(seen[:n], what[:n]) {
			continue
		}
		if n < len(what) {
			return false, nil // it may become that
		}
		h.done = true
		if &what[0] == &sshPrefix[0] {
			return false, nil
		}
		return true, errNotSSH
	}
	h.done = true
	return false, errNotSSH
}

// checkVersion looks at what the client has sent, until it is known to speak SSH.
func (c *conn) checkVersion(p []byte) error {
	proxy, err := c.preamble.take(p)
	if proxy {
		c.server.strangerLog.write(slog.LevelWarn, c.from, "closed: got a PROXY header instead of SSH", "source", c.source,
			"do", "switch off the PROXY protocol in the load balancer; it is not supported")
	}
	return err
}

// remoteAddr is the client's address, and leads back to the connection where the library only has an address to give.
type remoteAddr struct {
	net.Addr
	conn *conn
}

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return remoteAddr{c.Conn.RemoteAddr(), c} }

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
	s.strangerLog.write(slog.LevelWarn, c.from, "key exchange failed", "source", c.source, "for", none.What,
		"offered", text.Clean(offered, 512))
}

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
	nc.SetDeadline(time.Now().Add(turnAwayTime)) // if it fails, so does the write
	if _, err := nc.Write(disconnect(why)); err != nil {
		return
	}
	// Closed with unread bytes of the client, the connection would be reset, and the words lost with it.
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
	packet := append([]byte("SSH-2.0-"+version+"\r\n"), binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))...)
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
