package limit

import (
	"testing"
	"time"
)

// A bucket that nobody has used is a moment so far back that the difference overflows.
func TestBucketThatIsNew(t *testing.T) {
	var b TokenBucket
	if w := b.Delay(Allowance{5, 2}, 1, time.Now()); w != 0 {
		t.Errorf("a new bucket waits %v", w)
	}
	if w := b.Take(Allowance{5, 2}, 5, time.Now()); w != 0 {
		t.Errorf("all of it: %v", w)
	}
	if w := b.Take(Allowance{5, 2}, 1, time.Now()); w <= 0 || w > time.Second {
		t.Errorf("one more: %v", w)
	}
}

// What is spent beyond the allowance is waited for, and what is given back is not.
func TestRateLimiterSpends(t *testing.T) {
	f := NewRateLimiter[string](Allowance{Burst: 5, Rate: 2})
	now := newClock().at
	for range 5 {
		if w := f.Spend("ann", now); w != 0 {
			t.Fatalf("within the allowance: %v", w)
		}
	}
	if w := f.Spend("ann", now); w != time.Second/2 {
		t.Errorf("one too many waits %v", w)
	}
	if w := f.Spend("ann", now); w != time.Second {
		t.Errorf("two too many wait %v", w)
	}
	if w := f.Spend("bob", now); w != 0 {
		t.Errorf("somebody else waits %v", w)
	}
	f.Refund("ann", 6)
	if w := f.Take("ann", now); w != 0 {
		t.Errorf("after a refund: %v", w)
	}
	f.Refund("carl", 3)
	if !f.Forget("ann", now) || f.Forget("ann", now) || f.Delay("ann", now) != 0 {
		t.Error("not forgotten")
	}
}
