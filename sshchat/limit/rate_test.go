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
