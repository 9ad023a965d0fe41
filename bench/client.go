package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/ssh"
)

// shape is how a client presents itself.
type shape struct {
	term       string // TERM; without one no terminal is asked for
	cols, rows int
	ui         string // SSHCHAT_UI
}

// client is one connection with one session.
type client struct {
	net  *tap
	conn ssh.Conn
	ch   ssh.Channel
}

// dial logs in and opens a session with a shell.
func dial(addr string, who account, s shape) (*client, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &client{net: newTap(nc)}
	if err := c.open(addr, who, s); err != nil {
		c.close()
		return nil, fmt.Errorf("open a session of %s: %w", who.name, err)
	}
	return c, nil
}

func (c *client) open(addr string, who account, s shape) error {
	config := &ssh.ClientConfig{
		User: who.name, Auth: []ssh.AuthMethod{ssh.PublicKeys(who.signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(), // a server of ours, on this machine, started a moment ago
	}
	conn, channels, requests, err := ssh.NewClientConn(c.net, addr, config)
	if err != nil {
		return err
	}
	c.conn = conn
	go ssh.DiscardRequests(requests)
	go refuse(channels)
	ch, requests, err := conn.OpenChannel("session", nil)
	if err != nil {
		return err
	}
	c.ch = ch
	go ssh.DiscardRequests(requests)
	return c.shell(s)
}

// refuse ends with the connection; servers open no channels here.
func refuse(channels <-chan ssh.NewChannel) {
	for ch := range channels {
		ch.Reject(ssh.UnknownChannelType, "") // fails only with the connection
	}
}

func (c *client) shell(s shape) error {
	if s.ui != "" {
		env := ssh.Marshal(struct{ Name, Value string }{"SSHCHAT_UI", s.ui})
		if _, err := c.ch.SendRequest("env", false, env); err != nil {
			return err
		}
	}
	if s.term != "" {
		pty := ssh.Marshal(struct {
			Term             string
			Cols, Rows, X, Y uint32
			Modes            string
		}{s.term, uint32(s.cols), uint32(s.rows), 0, 0, "\x00"})
		if err := c.ask("pty-req", pty); err != nil {
			return err
		}
	}
	return c.ask("shell", nil)
}

func (c *client) ask(request string, payload []byte) error {
	ok, err := c.ch.SendRequest(request, true, payload)
	if err == nil && !ok {
		err = fmt.Errorf("%s was refused", request)
	}
	return err
}

// read calls found for each mark that the session shows, until it ends. screen is set once an escape sequence came.
func (c *client) read(found func(mark), screen *atomic.Bool) {
	buf := make([]byte, 4<<10)
	kept := 0
	for {
		n, err := c.ch.Read(buf[kept:])
		if n > 0 && !screen.Load() && bytes.IndexByte(buf[kept:kept+n], '\x1b') >= 0 {
			screen.Store(true)
		}
		end := kept + n
		kept = scanMarks(buf[:end], found)
		copy(buf, buf[end-kept:end])
		if err != nil {
			return
		}
	}
}

// begun waits for the first that the session shows.
func (c *client) begun() error {
	_, err := io.ReadFull(c.ch, make([]byte, 1))
	return err
}

func (c *client) close() {
	c.net.Close()
	if c.conn != nil {
		c.conn.Close() // the socket is closed already: nothing is sent
	}
}

// tap is a socket that can stop being read.
type tap struct {
	net.Conn
	shut   atomic.Bool
	closed chan struct{} // closed by Close
	once   sync.Once
}

func newTap(nc net.Conn) *tap { return &tap{Conn: nc, closed: make(chan struct{})} }

// Read reads from the socket, or, once it is stalled, waits for Close.
func (t *tap) Read(p []byte) (int, error) {
	if t.shut.Load() {
		<-t.closed
		return 0, net.ErrClosed
	}
	return t.Conn.Read(p)
}

// stall has the socket not be read any more, after the read that is under way. The kernel is to take little of what
// comes, so that the server notices soon.
func (t *tap) stall() error {
	t.shut.Store(true)
	return t.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
}

func (t *tap) Close() error {
	t.once.Do(func() { close(t.closed) })
	return t.Conn.Close()
}

// port is the client's.
func (t *tap) port() int { return t.LocalAddr().(*net.TCPAddr).Port }
