package sshchat

import (
	"sync"
	"time"
)

// newcomers bounds how many accounts are made, in all and from one source. Its methods may be called from any goroutine.
type newcomers struct {
	limits Limits
	now    func() time.Time

	mu      sync.Mutex
	sitting map[source]int         // guarded by mu; logins without an account, by source
	made    []time.Time            // guarded by mu; within the last newcomersAll
	by      map[source][]time.Time // guarded by mu; within the last newcomersSource
}

const (
	newcomersAll    = 10 * time.Minute
	newcomersSource = time.Hour
)

func newNewcomers(l Limits, now func() time.Time) *newcomers {
	return &newcomers{limits: l, now: now, sitting: make(map[source]int), by: make(map[source][]time.Time)}
}

// sit takes one of the source's places for registering. It is given back by rise.
func (n *newcomers) sit(from source, exempt bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !exempt && n.sitting[from] >= n.limits.RegistrationsSource {
		return false
	}
	n.sitting[from]++
	return true
}

func (n *newcomers) rise(from source) {
	n.mu.Lock()
	defer n.mu.Unlock()
	less(n.sitting, from)
}

// wait tells how long it is until an account may be made from the source; 0 where one may be.
func (n *newcomers) wait(from source, exempt bool) time.Duration {
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

// add notes that an account was made. Sources that made none lately are forgotten: there are as many as accounts made in
// an hour, at most.
func (n *newcomers) add(from source) {
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
