package limit

import (
	"fmt"
	"testing"
	"time"
)

func TestPenalties(t *testing.T) {
	c := newClock()
	p := NewPenalties(c.now)
	from, other := testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2")
	for i := range 3 {
		if p.Refused(from) {
			t.Fatalf("refused after %d guesses", i)
		}
		p.Add(from, AuthFail)
	}
	if !p.Refused(from) || p.Refused(other) || p.active != 1 {
		t.Fatalf("after three guesses: refused %v, the neighbour %v, %d active", p.Refused(from), p.Refused(other), p.active)
	}
	c.passes(15 * time.Second)
	if p.Refused(from) || p.active != 0 {
		t.Error("the debt is paid, and the source refused")
	}
	for range 2 {
		p.Add(from, AuthFail) // each counts double now
	}
	if !p.Refused(from) {
		t.Error("the second time two guesses are not enough")
	}
	for range 100 {
		p.Add(from, GraceExceeded)
	}
	c.passes(mostPenalty)
	if p.Refused(from) {
		t.Error("a penalty is longer than the longest")
	}
	c.passes(2 * penaltyDay)
	p.Add(from, NoAuth)
	if p.Refused(from) || len(p.sources) != 1 {
		t.Errorf("days later it is remembered: %d sources", len(p.sources))
	}
	for range 10 {
		c.passes(2 * time.Second)
		p.Add(other, NoAuth) // somebody who looks in now and then
	}
	if p.Refused(other) {
		t.Error("looking in now and then is punished")
	}
}

func TestPenalizedSourcesAreBounded(t *testing.T) {
	c := newClock()
	p := NewPenalties(c.now)
	worst := testSource(t, "192.0.2.1")
	for range 10 {
		p.Add(worst, GraceExceeded)
	}
	for i := range maxPenalized + 5000 {
		p.Add(testSource(t, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)), NoAuth)
	}
	if len(p.sources) > maxPenalized || len(p.order) != len(p.sources) {
		t.Errorf("%d sources, %d in the heap", len(p.sources), len(p.order))
	}
	if !p.Refused(worst) {
		t.Error("a crowd of sources has made the server forget the worst")
	}
	c.passes(3 * penaltyDay)
	p.Add(worst, NoAuth)
	if len(p.sources) != 1 || p.active != 0 {
		t.Errorf("days later %d sources are kept, %d active", len(p.sources), p.active)
	}
}
