package sshchat

import "time"

// alarm is a timer that chat.Wait can wait for. It belongs to the session's goroutine.
type alarm struct {
	timer *time.Timer
	rang  chan struct{} // holds a token when the time has come; never closed
}

func newAlarm() *alarm {
	a := &alarm{rang: make(chan struct{}, 1)}
	a.timer = time.AfterFunc(time.Hour, func() {
		select {
		case a.rang <- struct{}{}:
		default:
		}
	})
	a.timer.Stop()
	return a
}

// in has the alarm ring once after d, and not for anything before.
func (a *alarm) in(d time.Duration) {
	a.stop()
	a.timer.Reset(d)
}

// stop has it not ring. One that is ringing just now may still do so, which must do no harm.
func (a *alarm) stop() {
	a.timer.Stop()
	select {
	case <-a.rang:
	default:
	}
}
