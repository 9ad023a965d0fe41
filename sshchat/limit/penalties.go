package limit

import (
	"container/heap"
	"sync"
	"time"
)

// Offence is what a source is charged for. The idea, the words and the times are those of OpenSSH's PerSourcePenalties.
type Offence int

// The offences.
const (
	AuthFail      Offence = iota // a password that was wrong, for a name that exists or not
	NoAuth                       // a connection that left without trying to log in
	GraceExceeded                // a connection that did not log in in its time
	offences
)

// PenaltyLimits are what sources are charged.
type PenaltyLimits struct {
	Penalties bool                    // sources that guess, or waste connections, are refused for a while
	Charge    [offences]time.Duration // for each offence
	Least     time.Duration           // a source with a smaller penalty is not refused
	Longest   time.Duration           // the longest penalty
}

// DefaultPenalties are OpenSSH's.
var DefaultPenalties = PenaltyLimits{
	Penalties: true, Charge: [offences]time.Duration{AuthFail: 5 * time.Second, NoAuth: time.Second, GraceExceeded: 10 * time.Second},
	Least: 15 * time.Second, Longest: 600 * time.Second,
}

const (
	penaltyDay   = 24 * time.Hour // for so long after a penalty the next charges count double, then fourfold …
	maxPenalized = 65_536         // sources kept in mind; beyond it the soonest to be free is forgotten
)

// Penalties refuses sources that guess passwords or waste connections. Each offence adds to the source's penalty time;
// from PenaltyLimits.Least on it is refused at accept until that time is over. All methods may be called from any
// goroutine.
type Penalties struct {
	now func() time.Time // monotonic

	mu       sync.Mutex
	limits   PenaltyLimits    // guarded by mu
	sources  map[Source]*debt // guarded by mu
	byExpiry debts            // guarded by mu; the soonest to be paid first
	active   int              // guarded by mu; sources that are refused
}

// debt is one source's penalty time.
type debt struct {
	source    Source
	paid      time.Time // when it will be
	forgotten time.Time // when its penalties do not count any more; not before paid
	penalties int       // within penaltyDay of each other
	active    bool
	index     int // in the heap
}

// NewPenalties returns penalties by the clock now, which must be monotonic.
func NewPenalties(now func() time.Time) *Penalties {
	return &Penalties{now: now, limits: DefaultPenalties, sources: make(map[Source]*debt)}
}

// SetLimits changes what is charged from now on. Debts stay.
func (p *Penalties) SetLimits(l PenaltyLimits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = l
}

// Add charges a source for what it did. It returns how long the source is kept away where that begins now, else 0.
func (p *Penalties) Add(s Source, what Offence) (begun time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.forget(now)
	d := p.sources[s]
	if d == nil {
		if len(p.sources) >= maxPenalized {
			p.remove(p.byExpiry[0])
		}
		d = &debt{source: s, paid: now}
		p.sources[s] = d
		heap.Push(&p.byExpiry, d)
	}
	if d.paid.Before(now) {
		d.paid, d.active = now, p.end(d)
	}
	d.paid = d.paid.Add(p.limits.Charge[what] << min(d.penalties, 10))
	if latest := now.Add(p.limits.Longest); d.paid.After(latest) {
		d.paid = latest
	}
	if !d.active && d.paid.Sub(now) >= p.limits.Least {
		d.active = true
		d.penalties++
		p.active++
		begun = d.paid.Sub(now)
	}
	d.forgotten = d.paid
	if d.penalties > 0 {
		d.forgotten = d.paid.Add(penaltyDay)
	}
	heap.Fix(&p.byExpiry, d.index)
	return begun
}

// Active is how many sources are refused, including those whose time is over and that have not connected again.
func (p *Penalties) Active() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.active
}

// end takes a debt out of the active ones. It returns false, for the debt's field.
func (p *Penalties) end(d *debt) bool {
	if d.active {
		p.active--
	}
	return false
}

// Wait returns how long the source is refused yet; 0 if it is not.
func (p *Penalties) Wait(s Source) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.sources[s]
	if d == nil || !d.active {
		return 0
	}
	left := d.paid.Sub(p.now())
	if left <= 0 {
		d.active = p.end(d)
		return 0
	}
	return left
}

// Penalty is a copy of one source's penalty.
type Penalty struct {
	Source    Source
	Until     time.Time // when it is paid
	Refused   bool      // it is kept away until then
	Penalties int       // how often it was kept away, each within a day of the last
}

// List returns the sources that have a penalty, or whose next one is multiplied, in no order.
func (p *Penalties) List() []Penalty {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.forget(now)
	list := make([]Penalty, 0, len(p.sources))
	for s, d := range p.sources {
		list = append(list, Penalty{s, d.paid, d.active && now.Before(d.paid), d.penalties})
	}
	return list
}

// Forgive removes the source's penalty, and reports whether there was one.
func (p *Penalties) Forgive(s Source) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.sources[s]
	if d != nil {
		p.remove(d)
	}
	return d != nil
}

// forget removes debts that no longer matter. Called with mu held.
func (p *Penalties) forget(now time.Time) {
	for len(p.byExpiry) > 0 && !now.Before(p.byExpiry[0].forgotten) {
		p.remove(p.byExpiry[0])
	}
}

// remove is called with mu held.
func (p *Penalties) remove(d *debt) {
	p.end(d)
	delete(p.sources, d.source)
	heap.Remove(&p.byExpiry, d.index)
}

// debts is a heap, the first to be forgotten on top.
type debts []*debt

func (d debts) Len() int           { return len(d) }
func (d debts) Less(i, j int) bool { return d[i].forgotten.Before(d[j].forgotten) }
func (d debts) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *debts) Push(x any) {
	debt := x.(*debt)
	debt.index = len(*d)
	*d = append(*d, debt)
}

func (d *debts) Pop() any {
	old := *d
	debt := old[len(old)-1]
	old[len(old)-1] = nil
	*d = old[:len(old)-1]
	return debt
}
