package limit

import (
	"context"
	"sync"
	"time"
)

// Allowance is how many may come at once, and how many a second when those are used up.
type Allowance struct {
	Burst int
	Rate  float64
}

// lasts is how long n of them take to come back.
func (a Allowance) lasts(n int) time.Duration {
	return time.Duration(float64(n) / a.Rate * float64(time.Second))
}

// TokenBucket is what is left of an allowance: the moment from which on all of it is there again. A bucket that is full is
// the same as none, whenever that moment was.
type TokenBucket time.Time

// Take takes n if they are available. If not it takes nothing, and returns how long until they are.
func (b *TokenBucket) Take(a Allowance, n int, now time.Time) (wait time.Duration) {
	if wait = b.Delay(a, n, now); wait == 0 {
		b.Spend(a, n, now)
	}
	return wait
}

// Delay returns how long it is until n are there; 0 where they are.
func (b *TokenBucket) Delay(a Allowance, n int, now time.Time) time.Duration {
	debt := max(0, time.Time(*b).Sub(now)) // a bucket nobody has used is the least duration away: less than that overflows
	return max(0, debt+a.lasts(n)-a.lasts(a.Burst))
}

// Spend takes n even if fewer are available, and returns how long until the bucket is no longer overdrawn.
func (b *TokenBucket) Spend(a Allowance, n int, now time.Time) (wait time.Duration) {
	full := time.Time(*b)
	if full.Before(now) {
		full = now
	}
	*b = TokenBucket(full.Add(a.lasts(n)))
	return b.Delay(a, 0, now)
}

// maxPaced is how many people are kept count of at once. Each has an account and said something within seconds.
const maxPaced = 1 << 16

// RateLimiter bounds how fast each person (or Source) does something, in all their sessions together. Its methods may be called from
// any goroutine.
type RateLimiter[K comparable] struct {
	most int // people

	mu      sync.Mutex
	allowed Allowance         // guarded by mu
	people  map[K]TokenBucket // guarded by mu; a missing bucket is a full one
	sweep   int               // guarded by mu; at this size, full buckets are dropped
}

// NewRateLimiter returns one that allows each the same.
func NewRateLimiter[K comparable](a Allowance) *RateLimiter[K] {
	return &RateLimiter[K]{allowed: a, most: maxPaced, people: make(map[K]TokenBucket)}
}

// Allowance is what each is allowed.
func (f *RateLimiter[K]) Allowance() Allowance {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.allowed
}

// SetAllowance changes what each is allowed. Waits that have begun keep their length.
func (f *RateLimiter[K]) SetAllowance(a Allowance) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed = a
}

// Take lets one through, or returns how long until it would.
func (f *RateLimiter[K]) Take(who K, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, known := f.people[who]
	if wait = b.Take(f.allowed, 1, now); wait > 0 {
		return wait
	}
	if !known {
		f.makeRoom(now)
	}
	f.people[who] = b
	return 0
}

// Spend lets one through in any case, and returns how long it should wait.
func (f *RateLimiter[K]) Spend(who K, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, known := f.people[who]
	if !known {
		f.makeRoom(now)
	}
	wait = b.Spend(f.allowed, 1, now)
	f.people[who] = b
	return wait
}

// Refund gives back n that were taken or spent.
func (f *RateLimiter[K]) Refund(who K, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b, known := f.people[who]; known {
		f.people[who] = TokenBucket(time.Time(b).Add(-f.allowed.lasts(n)))
	}
}

// Forget gives somebody all of the allowance, and reports whether they lacked any of it.
func (f *RateLimiter[K]) Forget(who K, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, known := f.people[who]
	delete(f.people, who)
	return known && time.Time(b).After(now)
}

// Delay returns how long it is until one may come through.
func (f *RateLimiter[K]) Delay(who K, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.people[who]
	return b.Delay(f.allowed, 1, now)
}

// Delayed returns everyone with a Delay above 0, and that delay.
func (f *RateLimiter[K]) Delayed(now time.Time) map[K]time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	delayed := make(map[K]time.Duration)
	for who, b := range f.people {
		if wait := b.Delay(f.allowed, 1, now); wait > 0 {
			delayed[who] = wait
		}
	}
	return delayed
}

// makeRoom drops whose buckets are full, now and then; with nobody such and no room left, whose would be full first:
// they gain the least by it. Called with mu held.
func (f *RateLimiter[K]) makeRoom(now time.Time) {
	if len(f.people) < f.sweep {
		return
	}
	var first K
	for who, b := range f.people {
		full := time.Time(b)
		if !full.After(now) {
			delete(f.people, who)
			continue
		}
		if other, known := f.people[first]; !known || full.Before(time.Time(other)) {
			first = who
		}
	}
	if len(f.people) >= f.most {
		delete(f.people, first)
	}
	f.sweep = min(max(2*len(f.people), 64), f.most)
}

// Wait takes one as soon as it is there, after wait at the earliest.
func (f *RateLimiter[K]) Wait(ctx context.Context, who K, wait time.Duration) error {
	for wait > 0 {
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = f.Take(who, time.Now()) // another session of theirs may have been faster
	}
	return nil
}

// pause waits, but not beyond the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
