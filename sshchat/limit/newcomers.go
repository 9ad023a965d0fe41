package limit

import (
	"sync"
	"time"
)

// NewcomerLimits bound how accounts are made.
type NewcomerLimits struct {
	RegistrationsSource int // logins without an account from one source at once
	NewAccounts         int // accounts made in ten minutes
	NewAccountsSource   int // accounts made from one source in an hour
}

// DefaultNewcomers are what a server with open registration stands.
var DefaultNewcomers = NewcomerLimits{RegistrationsSource: 2, NewAccounts: 30, NewAccountsSource: 3}

// Newcomers bounds how many accounts are made, in all and from one source. Its methods may be called from any goroutine.
type Newcomers struct {
	limits NewcomerLimits
	now    func() time.Time

	mu       sync.Mutex
	reserved map[Source]int         // guarded by mu; logins without an account, by source
	made     []time.Time            // guarded by mu; within the last newcomersAll
	by       map[Source][]time.Time // guarded by mu; within the last newcomersSource
}

const (
	newcomersAll    = 10 * time.Minute
	newcomersSource = time.Hour
)

// NewNewcomers returns a bound by the clock now.
func NewNewcomers(l NewcomerLimits, now func() time.Time) *Newcomers {
	return &Newcomers{limits: l, now: now, reserved: make(map[Source]int), by: make(map[Source][]time.Time)}
}

// Reserve takes one of the source's places for registering. It is given back by Release.
func (n *Newcomers) Reserve(from Source, exempt bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !exempt && n.reserved[from] >= n.limits.RegistrationsSource {
		return false
	}
	n.reserved[from]++
	return true
}

// Release gives back what Reserve took.
func (n *Newcomers) Release(from Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	less(n.reserved, from)
}

// Wait returns how long it is until an account may be made from the source; 0 where one may be.
func (n *Newcomers) Wait(from Source, exempt bool) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	n.made = since(n.made, now.Add(-newcomersAll))
	wait := until(n.made, n.limits.NewAccounts, newcomersAll, now)
	if exempt {
		return wait
	}
	return max(wait, until(since(n.by[from], now.Add(-newcomersSource)), n.limits.NewAccountsSource, newcomersSource, now))
}

// until tells how long it is until fewer than most of the times are within the span.
func until(times []time.Time, most int, span time.Duration, now time.Time) time.Duration {
	if len(times) < most {
		return 0
	}
	return times[len(times)-most].Add(span).Sub(now)
}

// since leaves out what was before then.
func since(times []time.Time, then time.Time) []time.Time {
	for len(times) > 0 && !times[0].After(then) {
		times = times[1:]
	}
	return times
}

// Add notes that an account was made. Sources that made none lately are forgotten: there are as many as accounts made in
// an hour, at most.
func (n *Newcomers) Add(from Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	n.made = append(n.made, now)
	for s, times := range n.by {
		if n.by[s] = since(times, now.Add(-newcomersSource)); len(n.by[s]) == 0 {
			delete(n.by, s)
		}
	}
	n.by[from] = append(n.by[from], now)
}
