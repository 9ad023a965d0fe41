package limit

import (
	"maps"
	"sync"
	"time"
)

// NewcomerLimits bound how accounts are made.
type NewcomerLimits struct {
	Registrations       int // logins without an account at once
	RegistrationsSource int // of these, from one source
	NewAccounts         int // accounts made in ten minutes
	NewAccountsSource   int // accounts made from one source in an hour
}

// DefaultNewcomers are what a server with open registration stands.
var DefaultNewcomers = NewcomerLimits{Registrations: 64, RegistrationsSource: 8, NewAccounts: 30, NewAccountsSource: 3}

// Newcomers bounds how many accounts are made, in all and from one source. Its methods may be called from any goroutine.
type Newcomers struct {
	now func() time.Time

	mu       sync.Mutex
	limits   NewcomerLimits         // guarded by mu
	reserved map[Source]int         // guarded by mu; logins without an account, by source
	all      int                    // guarded by mu; their sum
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

// SetLimits changes the limits. What is counted stays.
func (n *Newcomers) SetLimits(l NewcomerLimits) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.limits = l
}

// Reserve takes one of the places for registering, if there is one. It is given back by Release.
func (n *Newcomers) Reserve(from Source, exempt bool) Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case !exempt && n.reserved[from] >= n.limits.RegistrationsSource:
		return SourceFull
	case n.all >= n.limits.Registrations:
		return AllFull
	}
	n.reserved[from]++
	n.all++
	return Room
}

// Release gives back what Reserve took.
func (n *Newcomers) Release(from Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	decrement(n.reserved, from)
	n.all--
}

// Wait returns how long it is until an account may be made from the source; 0 if one may be. bySource reports whether
// that is for the accounts which the source has made, and not for those of all.
func (n *Newcomers) Wait(from Source, exempt bool) (wait time.Duration, bySource bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wait(from, exempt, n.now())
}

// wait is called with mu held.
func (n *Newcomers) wait(from Source, exempt bool, now time.Time) (wait time.Duration, bySource bool) {
	n.made = since(n.made, now.Add(-newcomersAll))
	wait = until(n.made, n.limits.NewAccounts, newcomersAll, now)
	if exempt {
		return wait, false
	}
	own := until(since(n.by[from], now.Add(-newcomersSource)), n.limits.NewAccountsSource, newcomersSource, now)
	return max(wait, own), own > wait
}

// until returns how long it takes until fewer than most of the times are within the span.
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

// Take counts an account that is about to be made, or returns how long it is until one may be, as Wait does. An account
// that is not made after all is given back by GiveBack. Sources that made none lately are forgotten: there are as many as
// accounts made in an hour, at most.
func (n *Newcomers) Take(from Source, exempt bool) (wait time.Duration, bySource bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if wait, bySource = n.wait(from, exempt, now); wait > 0 {
		return wait, bySource
	}
	n.add(from, now)
	return 0, false
}

// Add counts an account that another server lets be made.
func (n *Newcomers) Add(from Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.add(from, n.now())
}

// add is called with mu held.
func (n *Newcomers) add(from Source, now time.Time) {
	n.made = append(n.made, now)
	for s, times := range n.by {
		if n.by[s] = since(times, now.Add(-newcomersSource)); len(n.by[s]) == 0 {
			delete(n.by, s)
		}
	}
	n.by[from] = append(n.by[from], now)
}

// GiveBack is called for an account that Take counted and that was not made.
func (n *Newcomers) GiveBack(from Source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made = n.made[:max(len(n.made)-1, 0)]
	if times := n.by[from]; len(times) > 0 {
		n.by[from] = times[:len(times)-1]
	}
}

// Forgive forgets the accounts that were made from the source, and returns how many they were within the last hour.
func (n *Newcomers) Forgive(from Source) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	made := len(since(n.by[from], n.now().Add(-newcomersSource)))
	delete(n.by, from)
	return made
}

// Made returns how many accounts each source made within the last hour, and how many logins without one it has.
func (n *Newcomers) Made() (accounts, logins map[Source]int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	accounts = make(map[Source]int)
	for s, times := range n.by {
		if made := len(since(times, n.now().Add(-newcomersSource))); made > 0 {
			accounts[s] = made
		}
	}
	return accounts, maps.Clone(n.reserved)
}
