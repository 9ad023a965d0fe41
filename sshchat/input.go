package sshchat

import (
	"context"
	"errors"
	"io"
	"time"

	"sshchat/sshchat/limit"
	"sshchat/sshchat/view"
)

// inputChunk is the most that is read at once: enough for a line, small enough to keep for each session.
const inputChunk = 1 << 10

// input hands what a client sends to its session, a chunk at a time: the next is read when the last was taken,
// so that a client which floods is slowed by its own channel's window.
type input struct {
	ready chan struct{} // holds a token while chunk and err are the session's; never closed
	taken chan struct{} // holds a token when they are the reader's again; never closed
	chunk []byte
	err   error // io.EOF at the end of input
}

func newInput() *input {
	return &input{ready: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
}

// throttled reads what a client sends at the pace it may come.
func (s *session) throttled(ctx context.Context, r io.Reader) io.Reader {
	s.pacing = limit.NewReader(ctx, r, s.server.limits().Input, inputChunk)
	return s.pacing
}

// read runs in a goroutine of its own until r ends or, between chunks, ctx does.
func (in *input) read(ctx context.Context, r io.Reader) {
	buf := make([]byte, inputChunk)
	for in.err == nil {
		var n int
		n, in.err = r.Read(buf)
		in.chunk = buf[:n]
		in.ready <- struct{}{}
		select {
		case <-in.taken:
			clear(in.chunk) // it may have been a password
		case <-ctx.Done():
			return
		}
	}
}

// take returns what came, after ready was received. The chunk is valid until next.
func (in *input) take() ([]byte, error) { return in.chunk, in.err }

// next lets the reader go on.
func (in *input) next() { in.taken <- struct{}{} }

// typing is what a client sends, as what its person did. The session's goroutine owns it.
type typing struct {
	in      *input
	pacing  *limit.Reader // how fast that comes; the reading goroutine's but between in.take and in.next
	escape  *timer        // fires when no more bytes followed an Esc
	pace    *timer        // fires when the next action may be done
	holding bool          // until it does
	actions []view.Action // typed, and not acted on yet
	ended   bool          // input has come to its end
}

// expire tells the UI that no more bytes followed those that may be the beginning of more.
func (t *typing) expire(ui view.Keyboard) {
	t.actions = append(t.actions, ui.Expire()...)
	t.awaitMore(ui)
}

// awaitMore sets the alarm for what the UI makes of it that no more follows.
func (t *typing) awaitMore(ui view.Keyboard) {
	t.escape.stop()
	if wait := ui.Waiting(); wait > 0 && !t.ended {
		t.escape.in(wait)
	}
}

// takeInput has the UI make actions of what was typed.
func (t *typing) takeInput(ui view.Keyboard) {
	chunk, err := t.in.take()
	t.actions = append(t.actions, ui.Input(chunk)...)
	switch {
	case errors.Is(err, io.EOF):
		t.ended = true
		t.actions = append(t.actions, ui.End()...)
	case err != nil: // the client is gone: what it had not ended is no line
		t.ended = true
		t.actions = append(t.actions, view.Action{Kind: view.Quit})
	}
	t.awaitMore(ui)
	t.pacing.Forgive(ui.Dropped())
	t.in.next()
}

// unsaid counts the lines that were sent to the session and not acted on yet.
func (t *typing) unsaid() int {
	n := 0
	for _, a := range t.actions {
		if a.Kind == view.Line {
			n++
		}
	}
	return n
}

// timer is one that chat.Wait can wait for. It belongs to the session's goroutine, and is free until it is set.
type timer struct {
	timer *time.Timer   // nil until the first time
	fired chan struct{} // holds a token when the time has come; never closed
	set   bool
}

func newTimer() *timer { return &timer{fired: make(chan struct{}, 1)} }

// in makes the timer fire once after d, and not for anything before.
func (t *timer) in(d time.Duration) {
	t.stop()
	t.set = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, t.fire)
	} else {
		t.timer.Reset(d)
	}
}

func (t *timer) fire() {
	select {
	case t.fired <- struct{}{}:
	default:
	}
}

// signal is what to wait for. It is nil while the timer is not set: each channel waited for costs at each wait.
func (t *timer) signal() <-chan struct{} {
	if !t.set {
		return nil
	}
	return t.fired
}

// stop keeps it from firing. One that fires just now may still do so, when it is set again; that must do no harm.
func (t *timer) stop() {
	t.set = false
	if t.timer == nil {
		return
	}
	t.timer.Stop()
	select {
	case <-t.fired:
	default:
	}
}
