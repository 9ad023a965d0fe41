package main

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets no wider than 1/64 of what they hold. Any goroutine may add.
type histogram struct {
	counts [(64 - subBits + 1) << subBits]atomic.Int64
	n      atomic.Int64
}

const subBits = 6

func (h *histogram) add(d time.Duration) {
	h.counts[bucket(uint64(max(d, 0)))].Add(1)
	h.n.Add(1)
}

// bucket is the index of v's counter. Below 2<<subBits each value has its own.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// middle is the value in the middle of a bucket.
func middle(i int) uint64 {
	shift := max(0, i>>subBits-1)
	low := uint64(i-shift<<subBits) << shift
	return low + (1<<shift)/2
}

// percentile is the duration that p of a hundred do not exceed; 0 if nothing was added.
func (h *histogram) percentile(p float64) time.Duration {
	n := h.n.Load()
	rank := int64(p / 100 * float64(n))
	for i := range h.counts {
		if rank -= h.counts[i].Load(); rank < 0 {
			return time.Duration(middle(i))
		}
	}
	return h.largest()
}

func (h *histogram) largest() time.Duration {
	for i := len(h.counts) - 1; i >= 0; i-- {
		if h.counts[i].Load() > 0 {
			return time.Duration(middle(i))
		}
	}
	return 0
}
