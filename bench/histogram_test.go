package main

import (
	"math"
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	var h histogram
	if h.percentile(99) != 0 {
		t.Error("something in nothing")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	for _, c := range []struct {
		p    float64
		want time.Duration
	}{{0, time.Millisecond}, {50, 500 * time.Millisecond}, {99, 990 * time.Millisecond}, {100, time.Second}} {
		got := h.percentile(c.p)
		if off := math.Abs(float64(got-c.want)) / float64(c.want); off > 1.0/50 {
			t.Errorf("p%v is %v, not about %v", c.p, got, c.want)
		}
	}
}

func TestEveryValueHasItsBucket(t *testing.T) {
	last := -1
	for v := uint64(0); v < 1<<14; v++ {
		i := bucket(v)
		if i != last && i != last+1 {
			t.Fatalf("from bucket %d to %d at %d", last, i, v)
		}
		last = i
	}
	for _, v := range []uint64{0, 1, 127, 128, 129, 1 << 20, 1<<40 + 12345, math.MaxInt64, math.MaxUint64} {
		if m := middle(bucket(v)); math.Abs(float64(m)-float64(v)) > float64(v)/64 {
			t.Errorf("%d is counted as %d", v, m)
		}
	}
	var h histogram
	h.add(-time.Second) // a clock that went back
	h.add(math.MaxInt64)
	if h.percentile(0) != 0 || h.percentile(100) < math.MaxInt64/100*98 {
		t.Errorf("%v, %v", h.percentile(0), h.percentile(100))
	}
}
