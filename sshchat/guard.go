package sshchat

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/wake"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// guard stands between the SSH library and a session channel. The library forwards what a client sends as it comes:
// a terminal of 65535x65535, window changes nobody drains (they then hang the connection for good), environment
// without end. The guard lets through what a chat needs, in sizes a chat needs, and keeps the rest out.
type guard struct {
	gossh.Channel
	conn *conn

	end    context.CancelFunc // ends the session's context; the connection's is another
	waker  *wake.Waker        // the session's, woken when the size has changed
	writes writeClock
	stderr guardedErr
	used   atomic.Int64 // Unix nanoseconds of the last input or output, if idle sessions end

	mu            sync.Mutex
	pty           bool              // guarded by mu; a terminal was asked for
	term          string            // guarded by mu
	width, height int               // guarded by mu; clamped, in cells
	env           map[string]string // guarded by mu; the few variables that mean something here
	envs, bytes   int               // guarded by mu; variables sent, and their size
	started       bool              // guarded by mu; a shell or command was asked for
	exited, gone  bool              // guarded by mu; we have closed our side; the client has closed its
	lingering     *time.Timer       // guarded by mu; set by exit, ends a client that does not close in turn
}

// guardKey finds the guard in its session's context.
type guardKey struct{}

// guardSession is the handler of "session" channels: the library's own, behind a guard.
func (s *Server) guardSession(srv *ssh.Server, peer *gossh.ServerConn, ch gossh.NewChannel, ctx ssh.Context) {
	c := connOf(ctx)
	if !c.openChannel(peer) {
		c.refuse(ch)
		return
	}
	defer c.closeChannel()
	announcer{s.hostKeys}.announce(c, peer)
	inner, end := context.WithCancel(ctx)
	defer end()
	g := &guard{conn: c, end: end, waker: wake.New(), env: make(map[string]string), writes: writeClock{conn: c}}
	own := &sessionContext{Context: ctx, inner: inner, values: map[any]any{guardKey{}: g}}
	ssh.DefaultSessionHandler(srv, peer, &guardedChannel{ch, g}, own)
}

// guardedChannel accepts a channel into its guard.
type guardedChannel struct {
	gossh.NewChannel
	guard *guard
}

func (n *guardedChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, requests, err := n.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	g := n.guard
	g.Channel = ch
	g.stderr = guardedErr{ch.Stderr(), g}
	passed := make(chan *gossh.Request) // closed by filter
	go g.filter(requests, passed)
	return g, passed, nil
}

// filter passes on what the session may see. It ends when the channel is closed, and the session's context with it.
func (g *guard) filter(requests <-chan *gossh.Request, passed chan<- *gossh.Request) {
	defer g.conn.server.contain("channel requests", g.conn.source)
	defer close(passed)
	defer g.end()
	late := time.AfterFunc(g.conn.server.limits().FirstCommand, func() {
		g.conn.server.stats.Late.Add(1)
		g.conn.Close()
	})
	defer late.Stop()
	defer g.leave()
	for req := range requests {
		ok, pass := g.judge(req)
		if pass {
			passed <- req // the library's loop takes each: what could block it is not passed on
		} else if req.WantReply {
			req.Reply(ok, nil) // fails only with the connection
		}
		if g.hasStarted() {
			late.Stop()
		}
		if req.Type == "subsystem" && ok {
			g.refuseSubsystem()
		}
	}
}

// judge decides on a request: whether the library sees it, and if not, what it is answered.
func (g *guard) judge(req *gossh.Request) (ok, pass bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch req.Type {
	case "shell", "exec":
		if g.started || len(req.Payload) > maxExec+4 {
			return false, false
		}
		g.started = true
		return true, true
	case "subsystem":
		if g.started {
			return false, false
		}
		g.started = true
		return true, false
	}
	if len(req.Payload) > maxRequest {
		return false, false
	}
	switch req.Type {
	case "pty-req":
		pass = !g.started && g.takePty(req)
		return pass, pass
	case "window-change":
		return g.takeSize(req.Payload), false
	case "env":
		return g.takeEnv(req.Payload), false
	}
	return false, false // signal, break, x11-req, agent forwarding and what nobody knows
}

// takePty reads a terminal's name and size, and rewrites the request to what the server will have of it.
// Called with mu held.
func (g *guard) takePty(req *gossh.Request) bool {
	var pty struct {
		Term                         string
		Width, Height, PxWide, PxTal uint32
		Modes                        string
	}
	if g.pty || gossh.Unmarshal(req.Payload, &pty) != nil || len(pty.Term) > maxTerm {
		return false
	}
	g.pty, g.term = true, pty.Term
	g.width, g.height = clamp(pty.Width, pty.Height)
	pty.Width, pty.Height = uint32(g.width), uint32(g.height)
	pty.PxWide, pty.PxTal, pty.Modes = 0, 0, ""
	req.Payload = gossh.Marshal(&pty)
	return true
}

// takeSize keeps the newest size. It is never passed on: the library hands window changes to whoever drains them,
// and hangs the connection when nobody does. Called with mu held.
func (g *guard) takeSize(payload []byte) bool {
	var size struct{ Width, Height, PxWide, PxTal uint32 }
	if !g.pty || gossh.Unmarshal(payload, &size) != nil {
		return false
	}
	g.width, g.height = clamp(size.Width, size.Height)
	g.waker.Wake(resized)
	return true
}

// clamp makes any size one that can be drawn on; clients that do not know theirs send 0x0.
func clamp(width, height uint32) (int, int) {
	if width == 0 || height == 0 {
		return 80, 24
	}
	return int(min(width, maxWidth)), int(min(height, maxHeight))
}

// takeEnv keeps the variables that mean something to the chat. Called with mu held.
func (g *guard) takeEnv(payload []byte) bool {
	var env struct{ Name, Value string }
	if gossh.Unmarshal(payload, &env) != nil {
		return false
	}
	g.envs++
	g.bytes += len(env.Name) + len(env.Value)
	if limits := g.conn.server.limits(); g.envs > limits.Env || g.bytes > limits.EnvBytes {
		return false
	}
	switch env.Name {
	case "SSHCHAT_UI", "NO_COLOR", "COLORTERM", "TZ":
		g.env[env.Name] = env.Value
		return true
	}
	return false
}

func (g *guard) hasStarted() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// refuseSubsystem ends a channel that asked for sftp or the like, with words that the client shows.
func (g *guard) refuseSubsystem() {
	io.WriteString(g.Stderr(), "this is a chat server: it has no file transfer or other subsystems\n")
	g.exit(1)
}

// size is the terminal's, in cells; ok is false without one.
func (g *guard) size() (width, height int, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.width, g.height, g.pty
}

// terminal is its name, as the client tells it.
func (g *guard) terminal() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.term
}

func (g *guard) getenv(name string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.env[name]
}

// Write writes to the client. p is the caller's again when it returns. A client that takes nothing for too long loses its
// connection. Only the session's goroutine writes.
func (g *guard) Write(p []byte) (int, error) { return g.write(g.Channel, p) }

func (g *guard) write(w io.Writer, p []byte) (written int, err error) {
	g.writes.begin()
	defer g.writes.end()
	defer g.markUsed()
	if len(p) <= writeChunk {
		return w.Write(p)
	}
	g.conn.cork()
	for len(p) > 0 && err == nil {
		var n int
		n, err = w.Write(p[:min(len(p), writeChunk)])
		g.writes.progress()
		written += n
		p = p[n:]
		g.markUsed()
	}
	if failed := g.conn.uncork(); err == nil {
		err = failed
	}
	return written, err
}

func (g *guard) markUsed() {
	if g.used.Load() != 0 {
		g.used.Store(time.Now().UnixNano())
	}
}

// whenIdle calls then once nothing came or went for so long, unless stop is called before. 0: never.
func (g *guard) whenIdle(after time.Duration, then func()) (stop func()) {
	if after <= 0 {
		return func() {}
	}
	g.used.Store(time.Now().UnixNano())
	return every(after, func() (again time.Duration) {
		if left := after - time.Since(time.Unix(0, g.used.Load())); left > 0 {
			return left
		}
		then()
		return 0
	})
}

// every calls f after so long, and again after what it returns, until that is 0 or stop is called.
func every(after time.Duration, f func() (again time.Duration)) (stop func()) {
	var mu sync.Mutex // held while the timer is changed
	var timer *time.Timer
	stopped := false
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(after, func() {
		again := f()
		mu.Lock()
		defer mu.Unlock()
		if again > 0 && !stopped {
			timer.Reset(again)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// Stderr is the channel's second stream, under the same clock.
func (g *guard) Stderr() io.ReadWriter { return &g.stderr }

// hurry gives the write that is under way, and those that follow, no more than lastWords.
func (g *guard) hurry() { g.writes.hurry() }

type guardedErr struct {
	io.ReadWriter
	guard *guard
}

func (e *guardedErr) Write(p []byte) (int, error) { return e.guard.write(e.ReadWriter, p) }

// exit ends the channel with a code, once. A client that does not close its side in turn loses its connection.
func (g *guard) exit(code int) {
	g.mu.Lock()
	exited := g.exited
	g.exited = true
	if !exited && !g.gone {
		g.lingering = time.AfterFunc(g.conn.server.limits().FirstCommand, func() { g.conn.Close() })
	}
	g.mu.Unlock()
	if exited {
		return
	}
	g.conn.awaitProof()
	g.writes.begin()
	defer g.writes.end()
	// Errors mean that the channel is gone already.
	g.Channel.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{uint32(code)}))
	g.Channel.CloseWrite()
	g.Channel.Close()
}

// leave notes that the client has closed its side.
func (g *guard) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = true
	if g.lingering != nil {
		g.lingering.Stop()
	}
}

// sessionContext is a session's context: what the library keeps for its connection, but with an end
// and values of its own, since sessions of one connection must not see each other's.
type sessionContext struct {
	ssh.Context
	inner context.Context
	mu    sync.Mutex
	// values is guarded by mu.
	values map[any]any
}

func (c *sessionContext) Done() <-chan struct{} { return c.inner.Done() }
func (c *sessionContext) Err() error            { return c.inner.Err() }

func (c *sessionContext) Value(key any) any {
	c.mu.Lock()
	v, ok := c.values[key]
	c.mu.Unlock()
	if ok {
		return v
	}
	// Asked through inner, package context finds what Done is of; else it would start a goroutine for each session.
	return c.inner.Value(key)
}

func (c *sessionContext) SetValue(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = value
}
