package sshchat

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
)

// admission is which connections are taken: before they have logged in, when each holds memory and a goroutine for nobody
// in particular, and after, when they are somebody's. OpenSSH's MaxStartups and PerSourceMaxStartups are its models;
// beyond those some places are kept for sources that have logged in before, so that nobody can fill the door.
// Its methods may be called from any goroutine.
type admission struct {
	limits   Limits
	familiar func(source) bool // it has logged in to an account lately
	chance   func() float64    // in [0, 1)

	mu       sync.Mutex
	waiting  map[source]int // guarded by mu; connections that have not logged in, by source
	starting int            // guarded by mu; their sum
	inside   map[source]int // guarded by mu; connections that have
	accounts map[string]int // guarded by mu; the same by account id
}

func newAdmission(l Limits, familiar func(source) bool) *admission {
	return &admission{
		limits: l, familiar: familiar, chance: rand.Float64,
		waiting: make(map[source]int), inside: make(map[source]int), accounts: make(map[string]int),
	}
}

// exempt reports whether no limit of its source concerns the address.
func (l Limits) exempt(addr netip.Addr) bool {
	return slices.ContainsFunc(l.Exempt, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// knock takes a connection that has just been accepted, or turns it away. One that is taken is given back by leave.
func (a *admission) knock(from source, exempt bool) bool {
	known := exempt || a.familiar(from)
	a.mu.Lock()
	defer a.mu.Unlock()
	most := a.limits.Starting
	if !known {
		most -= a.limits.Reserved
	}
	switch {
	case a.starting >= most:
		return false
	case !exempt && a.waiting[from] >= a.limits.StartingSource:
		return false
	case !known && a.chance() < a.drop():
		return false
	}
	a.waiting[from]++
	a.starting++
	return true
}

// drop is the chance that a stranger is turned away: nothing below DropFrom, then from DropRate on more with each
// connection, until it is certain where all places are taken. Called with mu held.
func (a *admission) drop() float64 {
	from, all := a.limits.DropFrom, a.limits.Starting
	if a.starting < from || from >= all {
		return 0
	}
	return a.limits.DropRate + (1-a.limits.DropRate)*float64(a.starting-from)/float64(all-from)
}

// leave gives back the place of a connection that knock took and that has logged in or ended.
func (a *admission) leave(from source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.starting--
	less(a.waiting, from)
}

// started is how many connections there are that have not logged in.
func (a *admission) started() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starting
}

// enter takes a connection that logged in to an account, or turns it away. One that is taken is given back by exit.
func (a *admission) enter(from source, exempt bool, account string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.accounts[account] >= a.limits.AccountConns || !exempt && a.inside[from] >= a.limits.SourceConns {
		return false
	}
	a.accounts[account]++
	a.inside[from]++
	return true
}

func (a *admission) exit(from source, account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	less(a.accounts, account)
	less(a.inside, from)
}

// less counts one less; what is at nothing is forgotten.
func less[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}
