package fence

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// log is followed while followed is set.
type log struct {
	followed atomic.Bool
	long     atomic.Bool // that it is not
}

var errFenced = errors.New("fenced")

func (l *log) Fenced() error {
	if l.followed.Load() {
		return nil
	}
	return errFenced
}

func (l *log) CatchesUp() bool { return false }

func (l *log) Cause() error { return nil }

func (l *log) FencedFor() time.Duration {
	if l.followed.Load() {
		return 0
	}
	if l.long.Load() {
		return 2 * End
	}
	return time.Second
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var none *Fence
		if err := none.Wait(t.Context(), 0); err != nil {
			t.Errorf("a server that shares no log: %v", err)
		}
		l := &log{}
		f := New(l, LookEvery)
		began := time.Now()
		if err := f.Wait(t.Context(), Login); !errors.Is(err, errFenced) || time.Since(began) != Login {
			t.Errorf("fenced: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Wait(ctx, Login); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after its caller has left: %v", err)
		}
		time.AfterFunc(time.Second, func() { l.followed.Store(true) })
		began = time.Now()
		if err := f.Wait(t.Context(), Login); err != nil || time.Since(began) > time.Second+lookAgain {
			t.Errorf("followed again: %v after %v", err, time.Since(began))
		}
		if err := f.Wait(t.Context(), 0); err != nil {
			t.Errorf("followed: %v", err)
		}
	})
}

// noticed is what sessions noticed, a letter each.
type noticed struct{ string }

func (n *noticed) Begins()             { n.string += "b" }
func (n *noticed) Ends()               { n.string += "e" }
func (n *noticed) Lasts(time.Duration) { n.string += "l" }

// Sessions notice once that a fence begins and ends, also if it has lasted long when it is first seen, as on a node that was frozen.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := &log{}, &noticed{}
		ctx, cancel := context.WithCancel(t.Context())
		go New(l, LookEvery).Watch(ctx, all)
		look := func(followed, long bool) {
			l.followed.Store(followed)
			l.long.Store(long)
			time.Sleep(LookEvery)
			synctest.Wait()
		}
		for _, at := range []struct{ followed, long bool }{{true, false}, {false, true}, {false, true}, {true, false}, {false, false}, {false, false}, {false, true}, {true, false}} {
			look(at.followed, at.long)
		}
		cancel()
		synctest.Wait()
		if all.string != "bllebl"+"e" {
			t.Errorf("sessions noticed %q", all.string)
		}
	})
}
