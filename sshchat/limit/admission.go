package limit

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

// AdmissionLimits bound the connections.
type AdmissionLimits struct {
	Starting       int            // connections that have not logged in
	Reserved       int            // places among them for sources that have logged in within 30 days
	StartingSource int            // such connections of one source
	DropFrom       int            // below this many, no stranger is refused at random
	DropRate       float64        // the chance of it then; it grows to 1 where all places are taken
	AccountConns   int            // connections of one account
	SourceConns    int            // connections of one source that have logged in
	Exempt         []netip.Prefix // addresses whose source is not counted or charged; names are all the same
}

// DefaultAdmission is OpenSSH's 10:30:100, with places for known sources.
var DefaultAdmission = AdmissionLimits{
	Starting: 100, Reserved: 20, StartingSource: 10, DropFrom: 10, DropRate: 0.3, AccountConns: 16, SourceConns: 256,
}

// Admission is which connections are taken: before they have logged in, when each holds memory and a goroutine for nobody
// in particular, and after, when they are somebody's. OpenSSH's MaxStartups and PerSourceMaxStartups are its models;
// beyond those some places are kept for sources that have logged in before, so that nobody can fill the door.
// Its methods may be called from any goroutine.
type Admission struct {
	known  func(Source) bool // it has logged in to an account lately
	chance func() float64    // in [0, 1)

	mu       sync.Mutex
	limits   AdmissionLimits // guarded by mu
	waiting  map[Source]int  // guarded by mu; connections that have not logged in, by source
	starting int             // guarded by mu; their sum
	inside   map[Source]int  // guarded by mu; connections that have
	accounts map[string]int  // guarded by mu; the same by account id
}

// NewAdmission returns an admission; known reports whether somebody logged in from a source lately.
func NewAdmission(l AdmissionLimits, known func(Source) bool) *Admission {
	return &Admission{
		limits: l, known: known, chance: rand.Float64,
		waiting: make(map[Source]int), inside: make(map[Source]int), accounts: make(map[string]int),
	}
}

// SetLimits changes the limits. Connections that were taken stay.
func (a *Admission) SetLimits(l AdmissionLimits) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits = l
}

// IsExempt reports whether no limit of its source concerns the address.
func (l AdmissionLimits) IsExempt(addr netip.Addr) bool { return Includes(l.Exempt, addr) }

// Verdict is whether there is room for one more, and if not, whose share is used up.
type Verdict int

const (
	Room       Verdict = iota // it was taken
	SourceFull                // there are as many of its source as may be
	AllFull                   // there are as many as may be, or it was left to chance
)

// Acquire takes a place for a connection that has just been accepted, or refuses it. Release gives the place back.
func (a *Admission) Acquire(from Source, exempt bool) Verdict {
	known := exempt || a.known(from)
	a.mu.Lock()
	defer a.mu.Unlock()
	most := a.limits.Starting
	if !known {
		most -= a.limits.Reserved
	}
	switch {
	case !exempt && a.waiting[from] >= a.limits.StartingSource:
		return SourceFull
	case a.starting >= most, !known && a.chance() < a.drop():
		return AllFull
	}
	a.waiting[from]++
	a.starting++
	return Room
}

// drop is the chance that a stranger is turned away: nothing below DropFrom, then from DropRate on more with each
// connection, until it is certain where all places are taken. Called with mu held.
func (a *Admission) drop() float64 {
	from, all := a.limits.DropFrom, a.limits.Starting
	if a.starting < from || from >= all {
		return 0
	}
	return a.limits.DropRate + (1-a.limits.DropRate)*float64(a.starting-from)/float64(all-from)
}

// Release gives back a place taken by Acquire, when the connection has logged in or ended.
func (a *Admission) Release(from Source) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.starting--
	decrement(a.waiting, from)
}

// Starting is how many connections there are that have not logged in.
func (a *Admission) Starting() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.starting
}

// AcquireAccount takes a connection that logged in to an account, or turns it away. One that is taken is given back by ReleaseAccount.
func (a *Admission) AcquireAccount(from Source, exempt bool, account string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.accounts[account] >= a.limits.AccountConns || !exempt && a.inside[from] >= a.limits.SourceConns {
		return false
	}
	a.accounts[account]++
	a.inside[from]++
	return true
}

// ReleaseAccount gives back what AcquireAccount took.
func (a *Admission) ReleaseAccount(from Source, account string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	decrement(a.accounts, account)
	decrement(a.inside, from)
}

// decrement counts one less; what is at nothing is forgotten.
func decrement[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] <= 0 {
		delete(counts, k)
	}
}
