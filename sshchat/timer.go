package sshchat

import "time"

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
