package sshchat

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/view/output"
	"sshchat/sshchat/wake"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// channelFilter stands between the SSH library and a session channel. The library forwards what a client sends as it comes:
// a terminal of 65535x65535, window changes nobody drains (they then hang the connection for good), environment
// without end. It lets through what a chat needs, in sizes a chat needs, and keeps the rest out.
type channelFilter struct {
	gossh.Channel
	conn *conn

	end    context.CancelFunc // ends the session's context; the connection's is another
	waker  *wake.Waker        // the session's, woken when the size has changed
	writes writeClock
	stderr filteredErr
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

// filterKey finds the filter in its session's context.
type filterKey struct{}

// filterSession is the handler of "session" channels: the library's own, behind a filter.
func (s *Server) filterSession(srv *ssh.Server, peer *gossh.ServerConn, ch gossh.NewChannel, ctx ssh.Context) {
	c := connOf(ctx)
	if !c.openChannel(peer) {
		c.rejectChannel(ch)
		return
	}
	defer c.closeChannel()
	announcer{s.hostKeys}.announce(c, peer)
	inner, end := context.WithCancel(ctx)
	defer end()
	f := &channelFilter{conn: c, end: end, waker: wake.New(), env: make(map[string]string), writes: writeClock{conn: c}}
	own := &sessionContext{Context: ctx, inner: inner, values: map[any]any{filterKey{}: f}}
	ssh.DefaultSessionHandler(srv, peer, &filteredChannel{ch, f}, own)
}

// filteredChannel accepts a channel into its filter.
type filteredChannel struct {
	gossh.NewChannel
	channel *channelFilter
}

func (n *filteredChannel) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, requests, err := n.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	f := n.channel
	f.Channel = ch
	f.stderr = filteredErr{ch.Stderr(), f}
	passed := make(chan *gossh.Request) // closed by filter
	go f.filter(requests, passed)
	return f, passed, nil
}

// filter passes on what the session may see. It ends when the channel is closed, and the session's context with it.
func (f *channelFilter) filter(requests <-chan *gossh.Request, passed chan<- *gossh.Request) {
	defer f.conn.server.recoverPanic("channel requests", f.conn.source)
	defer close(passed)
	defer f.end()
	late := time.AfterFunc(f.conn.server.limits().FirstCommand, func() {
		f.conn.server.stats.Late.Add(1)
		f.conn.Close()
	})
	defer late.Stop()
	defer f.peerClosed()
	for req := range requests {
		ok, pass := f.judge(req)
		if pass {
			passed <- req // the library's loop takes each: what could block it is not passed on
		} else if req.WantReply {
			req.Reply(ok, nil) // fails only with the connection
		}
		if f.hasStarted() {
			late.Stop()
		}
		if req.Type == "subsystem" && ok {
			f.refuseSubsystem()
		}
	}
}

// judge decides on a request: whether the library sees it, and if not, what it is answered.
func (f *channelFilter) judge(req *gossh.Request) (ok, pass bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch req.Type {
	case "shell", "exec":
		if f.started || len(req.Payload) > maxExec+4 {
			return false, false
		}
		f.started = true
		return true, true
	case "subsystem":
		if f.started {
			return false, false
		}
		f.started = true
		return true, false
	}
	if len(req.Payload) > maxRequest {
		return false, false
	}
	switch req.Type {
	case "pty-req":
		pass = !f.started && f.takePty(req)
		return pass, pass
	case "window-change":
		return f.takeSize(req.Payload), false
	case "env":
		return f.takeEnv(req.Payload), false
	}
	return false, false // signal, break, x11-req, agent forwarding and what nobody knows
}

// takePty reads a terminal's name and size, and rewrites the request to what the server will have of it.
// Called with mu held.
func (f *channelFilter) takePty(req *gossh.Request) bool {
	var pty struct {
		Term                         string
		Width, Height, PxWide, PxTal uint32
		Modes                        string
	}
	if f.pty || gossh.Unmarshal(req.Payload, &pty) != nil || len(pty.Term) > maxTerm {
		return false
	}
	f.pty, f.term = true, pty.Term
	f.width, f.height = clamp(pty.Width, pty.Height)
	pty.Width, pty.Height = uint32(f.width), uint32(f.height)
	pty.PxWide, pty.PxTal, pty.Modes = 0, 0, ""
	req.Payload = gossh.Marshal(&pty)
	return true
}

// takeSize keeps the newest size. It is never passed on: the library passes window changes to a channel, and hangs the
// connection if nobody drains it. Called with mu held.
func (f *channelFilter) takeSize(payload []byte) bool {
	var size struct{ Width, Height, PxWide, PxTal uint32 }
	if !f.pty || gossh.Unmarshal(payload, &size) != nil {
		return false
	}
	f.width, f.height = clamp(size.Width, size.Height)
	f.waker.Wake(resized)
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
func (f *channelFilter) takeEnv(payload []byte) bool {
	var env struct{ Name, Value string }
	if gossh.Unmarshal(payload, &env) != nil {
		return false
	}
	f.envs++
	f.bytes += len(env.Name) + len(env.Value)
	if limits := f.conn.server.limits(); f.envs > limits.Env || f.bytes > limits.EnvBytes {
		return false
	}
	switch env.Name {
	case "SSHCHAT_UI", "NO_COLOR", "COLORTERM", "TZ", "LC_ALL", "LC_CTYPE", "LANG", "SSHCHAT_NOTIFY", "TERM_PROGRAM", "LC_TERMINAL":
		f.env[env.Name] = env.Value
		return true
	}
	return false
}

func (f *channelFilter) hasStarted() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started
}

// refuseSubsystem ends a channel that asked for sftp or the like, with words that the client shows.
func (f *channelFilter) refuseSubsystem() {
	io.WriteString(f.Stderr(), "this is a chat server: it has no file transfer or other subsystems\n")
	f.exit(1)
}

// size is the terminal's, in cells; ok is false without one.
func (f *channelFilter) size() (width, height int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.width, f.height, f.pty
}

// terminal is its name, as sent by the client.
func (f *channelFilter) terminal() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.term
}

// notification is how the terminal shows notifications on the desktop.
func (f *channelFilter) notification() output.Notification {
	program := f.getenv("TERM_PROGRAM") + " " + f.getenv("LC_TERMINAL")
	return output.NotificationFor(f.terminal(), program, f.getenv("SSHCHAT_NOTIFY"))
}

func (f *channelFilter) getenv(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.env[name]
}

// Write writes to the client. p is the caller's again when it returns. A client that takes nothing for too long loses its
// connection. Only the session's goroutine writes.
func (f *channelFilter) Write(p []byte) (int, error) { return f.write(f.Channel, p) }

func (f *channelFilter) write(w io.Writer, p []byte) (written int, err error) {
	f.writes.begin()
	defer f.writes.end()
	defer f.markUsed()
	if len(p) <= writeChunk {
		return w.Write(p)
	}
	f.conn.cork()
	for len(p) > 0 && err == nil {
		var n int
		n, err = w.Write(p[:min(len(p), writeChunk)])
		f.writes.progress()
		written += n
		p = p[n:]
		f.markUsed()
	}
	if failed := f.conn.uncork(); err == nil {
		err = failed
	}
	return written, err
}

func (f *channelFilter) markUsed() {
	if f.used.Load() != 0 {
		f.used.Store(time.Now().UnixNano())
	}
}

// whenIdle calls then once nothing came or went for so long, unless stop is called before. 0: never.
func (f *channelFilter) whenIdle(after time.Duration, then func()) (stop func()) {
	if after <= 0 {
		return func() {}
	}
	f.used.Store(time.Now().UnixNano())
	return every(after, func() (again time.Duration) {
		if left := after - time.Since(time.Unix(0, f.used.Load())); left > 0 {
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
func (f *channelFilter) Stderr() io.ReadWriter { return &f.stderr }

// shortenDeadline gives the write that is under way, and those that follow, no more than lastWords.
func (f *channelFilter) shortenDeadline() { f.writes.hurry() }

type filteredErr struct {
	io.ReadWriter
	channel *channelFilter
}

func (e *filteredErr) Write(p []byte) (int, error) { return e.channel.write(e.ReadWriter, p) }

// exit ends the channel with a code, once. A client that does not close its side in turn loses its connection.
func (f *channelFilter) exit(code int) {
	f.mu.Lock()
	exited := f.exited
	f.exited = true
	if !exited && !f.gone {
		f.lingering = time.AfterFunc(f.conn.server.limits().FirstCommand, func() { f.conn.Close() })
	}
	f.mu.Unlock()
	if exited {
		return
	}
	f.conn.awaitProof()
	f.writes.begin()
	defer f.writes.end()
	// Errors mean that the channel is gone already.
	f.Channel.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{uint32(code)}))
	f.Channel.CloseWrite()
	f.Channel.Close()
}

// peerClosed notes that the client has closed its side.
func (f *channelFilter) peerClosed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	if f.lingering != nil {
		f.lingering.Stop()
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
