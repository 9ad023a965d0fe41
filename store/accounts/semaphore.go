package accounts

import (
	"context"
	"time"

	"sshchat/sshchat/chat"
)

// What scrypt may cost the server: one at the usual work factor takes 64 MiB and 0.1 s of a core.
const (
	scryptsAtOnce = 2
	scryptQueue   = 64
	scryptWait    = 5 * time.Second
)

// ErrBusy says that too many passwords are being checked. It is the same for every name.
var ErrBusy = &chat.Refusal{Code: chat.Failed, Text: "too many passwords are being checked; try again in a moment"}

// semaphore lets two in at once and has at most 64 wait, for 5 s. Logins with a key never come here.
type semaphore struct {
	slots chan struct{} // one token for each inside; never closed
	queue chan struct{} // one token for each waiting; never closed
}

func newSemaphore() *semaphore {
	return &semaphore{slots: make(chan struct{}, scryptsAtOnce), queue: make(chan struct{}, scryptQueue)}
}

// acquire waits for a place. Each nil needs one release. Errors: ErrBusy, or ctx's.
func (g *semaphore) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case g.queue <- struct{}{}:
	default:
		return ErrBusy
	}
	defer func() { <-g.queue }()
	timer := time.NewTimer(scryptWait)
	defer timer.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return ErrBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *semaphore) release() { <-g.slots }
