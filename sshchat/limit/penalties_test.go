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
		if p.Wait(from) > 0 {
			t.Fatalf("refused after %d guesses", i)
		}
		p.Add(from, AuthFail)
	}
	if p.Wait(from) == 0 || p.Wait(other) > 0 || p.active != 1 {
		t.Fatalf("after three guesses: refused %v, the neighbour %v, %d active", p.Wait(from) > 0, p.Wait(other) > 0, p.active)
	}
	c.passes(15 * time.Second)
	if p.Wait(from) > 0 || p.active != 0 {
		t.Error("the debt is paid, and the source refused")
	}
	for range 2 {
		p.Add(from, AuthFail) // each counts double now
	}
	if p.Wait(from) == 0 {
		t.Error("the second time two guesses are not enough")
	}
	for range 100 {
		p.Add(from, GraceExceeded)
	}
	c.passes(DefaultPenalties.Longest)
	if p.Wait(from) > 0 {
		t.Error("a penalty is longer than the longest")
	}
	c.passes(2 * penaltyDay)
	p.Add(from, NoAuth)
	if p.Wait(from) > 0 || len(p.sources) != 1 {
		t.Errorf("days later it is remembered: %d sources", len(p.sources))
	}
	for range 10 {
		c.passes(2 * time.Second)
		p.Add(other, NoAuth) // somebody who looks in now and then
	}
	if p.Wait(other) > 0 {
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
	if len(p.sources) > maxPenalized || len(p.byExpiry) != len(p.sources) {
		t.Errorf("%d sources, %d in the heap", len(p.sources), len(p.byExpiry))
	}
	if p.Wait(worst) == 0 {
		t.Error("a crowd of sources has made the server forget the worst")
	}
	c.passes(3 * penaltyDay)
	p.Add(worst, NoAuth)
	if len(p.sources) != 1 || p.active != 0 {
		t.Errorf("days later %d sources are kept, %d active", len(p.sources), p.active)
	}
}

func TestPenaltiesAreListedAndForgiven(t *testing.T) {
	c := newClock()
	p := NewPenalties(c.now)
	guesser, clumsy := testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2")
	for range 3 {
		p.Add(guesser, AuthFail)
	}
	p.Add(clumsy, AuthFail)
	if w := p.Wait(guesser); w != 15*time.Second {
		t.Errorf("refused for %v", w)
	}
	for _, o := range p.List() {
		want := Penalty{guesser, c.at.Add(15 * time.Second), true, 1}
		if o.Source == clumsy {
			want = Penalty{clumsy, c.at.Add(5 * time.Second), false, 0}
		}
		if o != want {
			t.Errorf("listed %+v, not %+v", o, want)
		}
	}
	if !p.Forgive(guesser) || p.Forgive(guesser) || p.Wait(guesser) != 0 || p.Active() != 0 || len(p.List()) != 1 {
		t.Error("not forgiven")
	}
	for range 3 {
		p.Add(guesser, AuthFail)
	}
	if w := p.Wait(guesser); w != 15*time.Second {
		t.Errorf("after that it counts double: %v", w)
	}
}
