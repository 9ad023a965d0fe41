// Package wake wakes one goroutine for one or more reasons.
package wake

import "sync/atomic"

// Reason is a set of reasons to wake up. What each bit means is up to who waits.
type Reason uint32

// Waker wakes the one goroutine that owns it. Reasons add up until the owner waits: waking up a hundred times for the same
// reason costs one wake-up. Any goroutine may call Wake; all else is the owner's.
type Waker struct {
	token chan struct{} // holds a token if there may be a new reason; never closed
	why   atomic.Uint32 // reasons that the owner does not know of, and those that it has masked
}

// New returns a Waker without a reason.
func New() *Waker { return &Waker{token: make(chan struct{}, 1)} }

// Wake adds reasons. It never blocks, and costs one load if the owner knows them, or does not want to.
func (w *Waker) Wake(r Reason) {
	if Reason(w.why.Load())&r == r || Reason(w.why.Or(uint32(r)))&r == r {
		return
	}
	select {
	case w.token <- struct{}{}:
	default:
	}
}

// Wait blocks until there is a reason that is not masked, and returns all such reasons. Masked ones do not wake the owner
// until it unmasks them: what they are about it must look at by itself.
func (w *Waker) Wait(masked Reason) Reason {
	for {
		if got := w.take(masked); got != 0 {
			return got
		}
		<-w.token
	}
}

// take returns the reasons that are not masked, and masks those that are.
func (w *Waker) take(masked Reason) Reason {
	return Reason(w.why.Swap(uint32(masked))) &^ masked
}

// Unmask has reasons wake the owner again. To lose none, it is called before looking at what they are about.
func (w *Waker) Unmask(r Reason) { w.why.And(^uint32(r)) }
