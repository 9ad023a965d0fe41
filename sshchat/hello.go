package sshchat

import (
	"bytes"
	"errors"
	"log/slog"
	"net"

	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// This file is how a connection begins: with a version line of SSH, or not at all. The library would skip what comes
// before that line. A load balancer's PROXY header, skipped, makes all clients count as one address.

// errNotSSH ends the reading of a connection that does not begin as SSH does.
var errNotSSH = errors.New("not SSH")

var (
	beginning = []byte("SSH-")
	proxyV1   = []byte("PROXY ")
	proxyV2   = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// hello is the first bytes of a connection, as far as they are needed to tell what it is. It belongs to the reader.
type hello struct {
	seen [12]byte
	n    int
	done bool
}

// take looks at more bytes. It fails where the client does not speak SSH, and then reports whether it sent a PROXY header.
func (h *hello) take(p []byte) (proxy bool, err error) {
	if h.done {
		return false, nil
	}
	h.n += copy(h.seen[h.n:], p)
	seen := h.seen[:h.n]
	for _, what := range [][]byte{beginning, proxyV1, proxyV2} {
		n := min(len(seen), len(what))
		if !bytes.Equal(seen[:n], what[:n]) {
			continue
		}
		if n < len(what) {
			return false, nil // it may become that
		}
		h.done = true
		if &what[0] == &beginning[0] {
			return false, nil
		}
		return true, errNotSSH
	}
	h.done = true
	return false, errNotSSH
}

// begins looks at what the client has sent, until it is known to speak SSH.
func (c *conn) begins(p []byte) error {
	proxy, err := c.hello.take(p)
	if proxy {
		c.server.strange.write(slog.LevelWarn, c.from, "closed: a PROXY header came before SSH", "source", c.source,
			"do", "switch the PROXY protocol off in the load balancer: with it all clients would count as one address")
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

// misfit notes that client and server have no algorithm in common, which is nobody's fault that an address should be kept
// out for, and tells the operator what the client offered. The list is the client's: cleaned and cut.
func (s *Server) misfit(nc net.Conn, err error) {
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
	s.strange.write(slog.LevelWarn, c.from, "key exchange failed", "source", c.source, "for", none.What,
		"offered", text.Clean(offered, 512))
}
