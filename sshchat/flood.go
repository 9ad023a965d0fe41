package sshchat

import (
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

// bucket is what is left of an allowance: the moment from which on all of it is there again. A bucket that is full is
// the same as none, whenever that moment was.
type bucket time.Time

// take takes n, or nothing, and then tells how long it is until n are there.
func (b *bucket) take(a Allowance, n int, now time.Time) (wait time.Duration) {
	if wait = b.wait(a, n, now); wait == 0 {
		b.spend(a, n, now)
	}
	return wait
}

// wait tells how long it is until n are there; 0 where they are.
func (b *bucket) wait(a Allowance, n int, now time.Time) time.Duration {
	owed := max(0, time.Time(*b).Sub(now)) // a bucket nobody has used is the least duration away: less than that overflows
	return max(0, owed+a.lasts(n)-a.lasts(a.Burst))
}

// spend takes n even where fewer are left, and tells how long it is until the debt is paid.
func (b *bucket) spend(a Allowance, n int, now time.Time) (wait time.Duration) {
	full := time.Time(*b)
	if full.Before(now) {
		full = now
	}
	*b = bucket(full.Add(a.lasts(n)))
	return b.wait(a, 0, now)
}

// maxPaced is how many people are kept count of at once. Each has an account and said something within seconds.
const maxPaced = 1 << 16

// flood bounds how fast each person (or source) does something, in all their sessions together. Its methods may be called from
// any goroutine.
type flood[K comparable] struct {
	allow Allowance
	most  int // people

	mu     sync.Mutex
	people map[K]bucket // guarded by mu; who has none has all of the allowance
	sweep  int          // guarded by mu; with so many people, those whose buckets are full are dropped
}

func newFlood[K comparable](a Allowance) *flood[K] {
	return &flood[K]{allow: a, most: maxPaced, people: make(map[K]bucket)}
}

// take lets one through, or tells how long it is until one may.
func (f *flood[K]) take(who K, now time.Time) (wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, known := f.people[who]
	if wait = b.take(f.allow, 1, now); wait > 0 {
		return wait
	}
	if !known {
		f.makeRoom(now)
	}
	f.people[who] = b
	return 0
}

// wait tells how long it is until one may come through.
func (f *flood[K]) wait(who K, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	b := f.people[who]
	return b.wait(f.allow, 1, now)
}

// makeRoom drops whose buckets are full, now and then; with nobody such and no room left, whose would be full first:
// they gain the least by it. Called with mu held.
func (f *flood[K]) makeRoom(now time.Time) {
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
