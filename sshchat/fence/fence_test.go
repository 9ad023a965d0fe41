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
type log struct{ followed atomic.Bool }

var errFenced = errors.New("fenced")

func (l *log) Fenced() error {
	if l.followed.Load() {
		return nil
	}
	return errFenced
}

func (l *log) CatchesUp() bool { return false }

func (l *log) FencedFor() time.Duration {
	if l.followed.Load() {
		return 0
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
