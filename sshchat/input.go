package sshchat

import (
	"context"
	"errors"
	"io"
	"time"

	"sshchat/sshchat/limit"
	"sshchat/sshchat/view"
	"sshchat/sshchat/wake"
)

// inputChunk is the most that is read at once: enough for a line, small enough to keep for each session.
const inputChunk = 1 << 10

// input hands what a client sends to its session, a chunk at a time: the next is read when the last was taken,
// so that a client which floods is slowed by its own channel's window.
type input struct {
	waker *wake.Waker   // the session's, woken when there is something to take
	ready chan struct{} // holds a token while chunk and err are the session's; never closed
	taken chan struct{} // holds a token when they are the reader's again; never closed
	chunk []byte
	err   error // io.EOF at the end of input
}

func newInput(w *wake.Waker) *input {
	return &input{waker: w, ready: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
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
		in.waker.Wake(inputReady)
		select {
		case <-in.taken:
			clear(in.chunk) // it may have been a password
		case <-ctx.Done():
			return
		}
	}
}

// has reports whether there is something to take. It is asked once for each.
func (in *input) has() bool {
	select {
	case <-in.ready:
		return true
	default:
		return false
	}
}

// take returns what came, after has, or after ready was received. The chunk is valid until next.
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
	typed   time.Time     // when something was last sent; zero: nothing was
}

// expire tells the UI that no more bytes followed an incomplete sequence.
func (t *typing) expire(ui view.Keyboard) {
	t.actions = append(t.actions, ui.Expire()...)
	t.awaitMore(ui)
}

// awaitMore sets the timer for what the UI makes of it that no more follows.
func (t *typing) awaitMore(ui view.Keyboard) {
	t.escape.stop()
	if wait := ui.Waiting(); wait > 0 && !t.ended {
		t.escape.in(wait)
	}
}

// takeInput has the UI make actions of what was typed, if anything was.
func (t *typing) takeInput(ui view.Keyboard) {
	if !t.in.has() {
		return
	}
	chunk, err := t.in.take()
	if len(chunk) > 0 {
		t.typed = time.Now()
	}
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

// pending counts the lines that were sent to the session and not acted on yet.
func (t *typing) pending() int {
	n := 0
	for _, a := range t.actions {
		if a.Kind == view.Line {
			n++
		}
	}
	return n
}

// held reports whether the next action has to wait, and sets the timer that ends the wait. Until then nothing more is
// read of the program, but what others say is shown to it.
func (s *session) held() bool {
	s.holding = false
	if s.patient && s.actions[0].Kind == view.Line {
		if wait := s.server.messages.Delay(s.name, time.Now()); wait > 0 {
			s.holding = true
			s.pace.in(wait)
		}
	}
	return s.holding
}

// timer is one that wakes a session. It belongs to the session's goroutine, and is free until it is set.
type timer struct {
	waker  *wake.Waker
	reason wake.Reason
	timer  *time.Timer // nil until the first time
	set    bool
}

func newTimer(w *wake.Waker, r wake.Reason) *timer { return &timer{waker: w, reason: r} }

// in makes the timer fire once after d, and not for anything before. One that is just firing for what came before may still
// do so: that must do no harm.
func (t *timer) in(d time.Duration) {
	t.stop()
	t.set = true
	if t.timer == nil {
		t.timer = time.AfterFunc(d, func() { t.waker.Wake(t.reason) })
	} else {
		t.timer.Reset(d)
	}
}

// fired reports whether the timer was set, when its session woke for it. It is not set any more.
func (t *timer) fired() (was bool) {
	was, t.set = t.set, false
	return was
}

// stop keeps it from firing.
func (t *timer) stop() {
	t.set = false
	if t.timer != nil {
		t.timer.Stop()
	}
}
