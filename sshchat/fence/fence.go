// Package fence keeps a server from acting on what it knows while that may be out of date: while it does not follow the log that it
// shares with others, these may have decided otherwise. It knows nothing of how the log is followed.
package fence

import (
	"context"
	"time"
)

// For so long after a server is fenced:
const (
	Login    = 10 * time.Second // a login or a change waits before it is refused
	Message  = 2 * End          // a message that is typed in a session waits: for as long as the session goes on
	Reading  = 2 * time.Second  // a command that only reads waits before it shows what was true before
	TurnAway = 10 * time.Second // connections are accepted: later clients, and load balancers, try another server
	End      = 30 * time.Second // sessions go on, with what they can read
)

// Log is what a server follows. Its methods are cheap, and go by how old that may be which is known of it: a process that was stopped and
// goes on is fenced before it does anything.
type Log interface {
	// Fenced returns why nothing may be decided now, and nobody let in; nil: the log is followed.
	Fenced() error
	// Cause is why, if it is another reason than that the log is out of reach; nil: that, or it is followed.
	Cause() error
	// FencedFor is for how long that has been so; 0: it is followed.
	FencedFor() time.Duration
	// CatchesUp reports whether messages of the log come, but tell of what is too old: what is known changes, and is still out of date.
	CatchesUp() bool
}

// Fence is that of one server. A nil Fence is that of a server which shares no log: it is never fenced.
type Fence struct {
	log  Log
	look time.Duration
}

// LookEvery is how often Watch looks, in a server.
const LookEvery = time.Second

// New is the fence of a server that follows a log, which Watch looks at so often.
func New(l Log, look time.Duration) *Fence { return &Fence{l, look} }

// lookAgain is how often a wait looks whether it is over.
const lookAgain = 50 * time.Millisecond

// Wait returns once the log is followed, at once as a rule. Errors: the reason, if it takes longer than most; ctx's.
func (f *Fence) Wait(ctx context.Context, most time.Duration) error {
	if f == nil || f.log.Fenced() == nil {
		return nil
	}
	late, again := time.NewTimer(most), time.NewTicker(lookAgain)
	defer late.Stop()
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if f.log.Fenced() == nil {
				return nil
			}
		case <-late.C:
			return f.log.Fenced()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Holds reports whether messages are held back from those who read: what is known may be out of date, and a session may be of somebody
// who was banned.
func (f *Fence) Holds() bool { return f != nil && f.log.Fenced() != nil }

// CatchesUp is that of the log.
func (f *Fence) CatchesUp() bool { return f != nil && f.log.CatchesUp() }

// Cause is that of the log.
func (f *Fence) Cause() error {
	if f == nil {
		return nil
	}
	return f.log.Cause()
}

// TurnsAway reports whether the server has been fenced for so long that clients are to try another.
func (f *Fence) TurnsAway() bool { return f != nil && f.log.FencedFor() > TurnAway }

// Sessions are those of the server.
type Sessions interface {
	Begins()                    // the fence, about which they are told
	Ends()                      // the same
	Lasts(fenced time.Duration) // so long that they are ended; called each time that Watch looks
}

// Watch has sessions notice the fence, until ctx ends.
func (f *Fence) Watch(ctx context.Context, all Sessions) {
	if f == nil {
		return
	}
	tick := time.NewTicker(f.look)
	defer tick.Stop()
	said := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		fenced := f.log.FencedFor()
		switch is := fenced > 0; {
		case is && !said: // also if it is long already: the process was frozen, or it is so for good
			all.Begins()
		case !is && said:
			all.Ends()
		}
		if said = fenced > 0; fenced > End {
			all.Lasts(fenced)
		}
	}
}
