package wake

import (
	"sync"
	"sync/atomic"
	"testing"
)

const (
	first Reason = 1 << iota
	second
)

func TestReasonsAddUp(t *testing.T) {
	w := New()
	w.Wake(first)
	w.Wake(second)
	w.Wake(first)
	if got := w.Wait(0); got != first|second {
		t.Errorf("woken for %b", got)
	}
	if got := w.take(0); got != 0 {
		t.Errorf("once more for %b", got)
	}
}

func TestMaskedReasonsWait(t *testing.T) {
	w := New()
	w.Wake(first)
	if got := w.take(first); got != 0 {
		t.Errorf("a masked reason wakes: %b", got)
	}
	w.Wake(first | second)
	if got := w.Wait(first); got != second {
		t.Errorf("woken for %b", got)
	}
	w.Unmask(first)
	if got := w.take(0); got != 0 {
		t.Errorf("what was masked comes back: %b", got)
	}
	w.Wake(first)
	if got := w.Wait(0); got != first {
		t.Errorf("woken for %b", got)
	}
}

// TestNoWakeUpIsLost: who masks a reason, unmasks it and then looks has seen all that was there before, or is woken.
func TestNoWakeUpIsLost(t *testing.T) {
	const rounds = 20_000
	w := New()
	var there atomic.Int64
	var wakers sync.WaitGroup
	for range 4 {
		wakers.Go(func() {
			for range rounds {
				there.Add(1)
				w.Wake(first)
			}
		})
	}
	for seen, round := int64(0), 0; seen < 4*rounds; round++ { // it hangs if one is lost
		var mask Reason
		if round%3 == 0 {
			mask = first
		}
		if mask != 0 {
			w.take(mask)
			w.Unmask(mask)
			seen = there.Load()
			continue
		}
		if seen = there.Load(); seen < 4*rounds {
			w.Wait(0)
			seen = there.Load()
		}
	}
	wakers.Wait()
}

func BenchmarkWake(b *testing.B) {
	b.Run("masked", func(b *testing.B) {
		w := New()
		w.take(first)
		for b.Loop() {
			w.Wake(first)
		}
	})
	b.Run("alone", func(b *testing.B) {
		w := New()
		for b.Loop() {
			w.Wake(first)
			w.Wait(0)
		}
	})
}
