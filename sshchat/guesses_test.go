package sshchat

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// clock is a time that passes when it is told to.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time         { return c.at }
func (c *clock) passes(d time.Duration) { c.at = c.at.Add(d) }

func testName(t testing.TB, s string) chat.Name {
	t.Helper()
	n, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testSource(t testing.TB, s string) source {
	t.Helper()
	return sourceOf(&net.TCPAddr{IP: net.ParseIP(s), Port: 4711})
}

// hydra guesses as fast as the server takes it, from one source, and returns how many guesses were looked at.
// The source is turned away while it has a penalty, and comes back as soon as it may.
func hydra(g *guesses, p *penalties, c *clock, name chat.Name, from source, d time.Duration) int {
	looked := 0
	for end := c.at.Add(d); c.at.Before(end); {
		if p != nil && p.refused(from) {
			c.passes(time.Second)
			continue
		}
		if g.try(name, from) {
			looked++
		}
		if p != nil {
			p.charge(from, chargeGuess)
		}
		c.passes(300 * time.Millisecond) // no failure is answered before
	}
	return looked
}

func TestAttackHydraFromOneSource(t *testing.T) {
	c := newClock()
	g, p := newGuesses(c.now, 5, 100), newPenalties(c.now)
	alice, from := testName(t, "alice"), testSource(t, "192.0.2.1")
	if n := hydra(g, p, c, alice, from, 10*time.Minute); n == 0 || n > 15 {
		t.Errorf("%d guesses are looked at in 10 minutes", n)
	}
	// The controls: each layer alone lets more through, and without both everything is looked at.
	c = newClock()
	if n := hydra(newGuesses(c.now, 5, 100), nil, c, alice, from, 10*time.Minute); n > 30 {
		t.Errorf("without penalties %d", n)
	}
	c = newClock()
	if n := hydra(newGuesses(c.now, 1<<30, 1<<30), nil, c, alice, from, 10*time.Minute); n != 2000 {
		t.Errorf("without limits %d of 2000", n)
	}
}

// A botnet guesses for a year; then its owner, who has never been away, comes in from where they always did.
func TestAttackHydraFromManySources(t *testing.T) {
	c := newClock()
	g := newGuesses(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "198.51.100.7")
	g.succeeded(alice, home)
	looked := 0
	for day := range 365 {
		for i := range 64 {
			for range 3 {
				if g.try(alice, testSource(t, fmt.Sprintf("203.0.113.%d", i))) {
					looked++
				}
				g.failed(alice, "203.0.113.1")
			}
			c.passes(20 * time.Minute)
		}
		if day == 20 && !g.try(alice, home) {
			t.Error("the owner is locked out at home")
		}
	}
	if looked > 100 {
		t.Errorf("%d guesses are looked at in a year", looked)
	}
	if g.try(alice, home) {
		t.Error("a source is known a year after its last login")
	}
	if m := g.succeeded(alice, home); m.count != 365*64*3 || m.from != "203.0.113.1" { // by key, say
		t.Errorf("the owner is told of %v", m)
	}
	if !g.try(alice, testSource(t, "203.0.113.9")) {
		t.Error("a login does not end the count")
	}
}

// I guess the password of a bot that logs in by its key every minute: its logins must not give me five more each time.
// The control: where nobody guesses for a day, a login ends the count.
func TestAttackBotThatLogsInAgainAndAgain(t *testing.T) {
	c := newClock()
	g := newGuesses(c.now, 5, 100)
	bot, home, from := testName(t, "bot"), testSource(t, "192.0.2.2"), testSource(t, "198.51.100.7")
	looked := 0
	for i := range 24 * 60 * 60 {
		if i%60 == 0 {
			g.succeeded(bot, home)
		}
		if g.try(bot, from) {
			looked++
		}
		c.passes(time.Second)
	}
	if looked > 120 {
		t.Errorf("%d guesses are looked at in a day", looked)
	}
	c.passes(forgiveEvery)
	g.succeeded(bot, home)
	if !g.try(bot, from) {
		t.Error("the control: a login does not end the count")
	}
}

// Many guesses at once are no way around the count.
func TestAttackGuessesAtOnce(t *testing.T) {
	c := newClock()
	g := newGuesses(c.now, 5, 100)
	alice, from := testName(t, "alice"), testSource(t, "192.0.2.1")
	var looked sync.Map
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			if g.try(alice, from) {
				looked.Store(i, true)
			}
		})
	}
	wait.Wait()
	n := 0
	looked.Range(func(any, any) bool { n++; return true })
	if n != 5 {
		t.Errorf("%d of 200 at once are looked at", n)
	}
	g.takeBack(alice) // one of them was told that the server is busy
	c.passes(time.Second)
	if !g.try(alice, from) {
		t.Error("a second later none is looked at")
	}
}

func TestNamesInMindAreBounded(t *testing.T) {
	c := newClock()
	g := newGuesses(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "198.51.100.7")
	g.succeeded(alice, home)
	for i := range maxGuessed + 1000 {
		g.try(testName(t, fmt.Sprintf("spray%d", i)), testSource(t, "192.0.2.1"))
	}
	if len(g.names) > maxGuessed {
		t.Errorf("%d names are kept", len(g.names))
	}
	if !g.names[alice].knows(home, c.at) {
		t.Error("a spray over names has made the server forget where alice logs in")
	}
}

func TestSources(t *testing.T) {
	for a, b := range map[string]string{
		"192.0.2.1": "::ffff:192.0.2.1", "2001:db8::1": "2001:db8::ffff:1:2:3",
	} {
		if testSource(t, a) != testSource(t, b) {
			t.Errorf("%s and %s are two sources", a, b)
		}
	}
	for a, b := range map[string]string{"192.0.2.1": "192.0.2.2", "2001:db8::1": "2001:db8:0:1::1"} {
		if testSource(t, a) == testSource(t, b) {
			t.Errorf("%s and %s are one source", a, b)
		}
	}
	if sourceOf(&net.UnixAddr{Name: "/tmp/x"}) != (source(netip.Prefix{})) {
		t.Error("a path has a source")
	}
}

func TestPenalties(t *testing.T) {
	c := newClock()
	p := newPenalties(c.now)
	from, other := testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2")
	for i := range 3 {
		if p.refused(from) {
			t.Fatalf("refused after %d guesses", i)
		}
		p.charge(from, chargeGuess)
	}
	if !p.refused(from) || p.refused(other) || p.active != 1 {
		t.Fatalf("after three guesses: refused %v, the neighbour %v, %d active", p.refused(from), p.refused(other), p.active)
	}
	c.passes(15 * time.Second)
	if p.refused(from) || p.active != 0 {
		t.Error("the debt is paid, and the source refused")
	}
	for range 2 {
		p.charge(from, chargeGuess) // each counts double now
	}
	if !p.refused(from) {
		t.Error("the second time two guesses are not enough")
	}
	for range 100 {
		p.charge(from, chargeLate)
	}
	c.passes(mostPenalty)
	if p.refused(from) {
		t.Error("a penalty is longer than the longest")
	}
	c.passes(2 * penaltyDay)
	p.charge(from, chargeNothing)
	if p.refused(from) || len(p.sources) != 1 {
		t.Errorf("days later it is remembered: %d sources", len(p.sources))
	}
	for range 10 {
		c.passes(2 * time.Second)
		p.charge(other, chargeNothing) // somebody who looks in now and then
	}
	if p.refused(other) {
		t.Error("looking in now and then is punished")
	}
}

func TestPenalizedSourcesAreBounded(t *testing.T) {
	c := newClock()
	p := newPenalties(c.now)
	worst := testSource(t, "192.0.2.1")
	for range 10 {
		p.charge(worst, chargeLate)
	}
	for i := range maxPenalized + 5000 {
		p.charge(testSource(t, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)), chargeNothing)
	}
	if len(p.sources) > maxPenalized || len(p.order) != len(p.sources) {
		t.Errorf("%d sources, %d in the heap", len(p.sources), len(p.order))
	}
	if !p.refused(worst) {
		t.Error("a crowd of sources has made the server forget the worst")
	}
	c.passes(3 * penaltyDay)
	p.charge(worst, chargeNothing)
	if len(p.sources) != 1 || p.active != 0 {
		t.Errorf("days later %d sources are kept, %d active", len(p.sources), p.active)
	}
}

// I try one common password for each of five hundred names, from one address, or from as many of one customer's IPv6
// network. Without penalties (the control) all are looked at.
func TestAttackSprayOverManyNames(t *testing.T) {
	for name, from := range map[string]func(i int) source{
		"one address":      func(int) source { return testSource(t, "192.0.2.1") },
		"one IPv6 network": func(i int) source { return testSource(t, fmt.Sprintf("2001:db8::%x", i+1)) },
	} {
		for _, penalized := range []bool{true, false} {
			c := newClock()
			g, p := newGuesses(c.now, 5, 100), newPenalties(c.now)
			looked, i := 0, 0
			for end := c.at.Add(10 * time.Minute); c.at.Before(end) && i < 500; c.passes(300 * time.Millisecond) {
				if penalized && p.refused(from(i)) {
					continue
				}
				if g.try(testName(t, fmt.Sprintf("name%c%c%c", 'a'+i/100, 'a'+i/10%10, 'a'+i%10)), from(i)) {
					looked++
				}
				p.charge(from(i), chargeGuess)
				i++
			}
			if penalized && looked > 15 || !penalized && looked != 500 {
				t.Errorf("%s, penalties %v: %d passwords looked at in ten minutes", name, penalized, looked)
			}
		}
	}
}
