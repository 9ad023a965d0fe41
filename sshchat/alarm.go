package sshchat

import "time"

// alarm is a timer that chat.Wait can wait for. It belongs to the session's goroutine, and is free until it is set.
type alarm struct {
	timer *time.Timer   // nil until the first time
	rang  chan struct{} // holds a token when the time has come; never closed
	set   bool
}

func newAlarm() *alarm { return &alarm{rang: make(chan struct{}, 1)} }

// in has the alarm ring once after d, and not for anything before.
func (a *alarm) in(d time.Duration) {
	a.stop()
	a.set = true
	if a.timer == nil {
		a.timer = time.AfterFunc(d, a.ring)
	} else {
		a.timer.Reset(d)
	}
}

func (a *alarm) ring() {
	select {
	case a.rang <- struct{}{}:
	default:
	}
}

// signal is what to wait for. It is nil while the alarm is not set: each channel waited for costs at each wait.
func (a *alarm) signal() <-chan struct{} {
	if !a.set {
		return nil
	}
	return a.rang
}

// stop has it not ring. One that is ringing just now may still do so, when it is set again; that must do no harm.
func (a *alarm) stop() {
	a.set = false
	if a.timer == nil {
		return
	}
	a.timer.Stop()
	select {
	case <-a.rang:
	default:
	}
}
