package limit

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sshchat/sshchat/attack"
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

func testSource(t testing.TB, s string) Source {
	t.Helper()
	return SourceOf(&net.TCPAddr{IP: net.ParseIP(s), Port: 4711})
}

// tries has a server that is alone count a password, and returns whether it may be checked.
func tries(g *LoginAttempts, name chat.Name, from Source) bool {
	check, err := g.Try(context.Background(), name, from)
	return check && err == nil
}

func triesPrompt(g *LoginAttempts, name chat.Name) bool {
	check, err := g.TryPrompt(context.Background(), name)
	return check && err == nil
}

func unlocks(t testing.TB, g *LoginAttempts, name chat.Name) int {
	t.Helper()
	wrong, err := g.Unlock(context.Background(), name)
	if err != nil {
		t.Error(err)
	}
	return wrong
}

// hydra guesses as fast as the server takes it, from one source, and returns how many guesses were looked at.
// The source is turned away while it has a penalty, and comes back as soon as it may.
func hydra(g *LoginAttempts, p *Penalties, c *clock, name chat.Name, from Source, d time.Duration) int {
	looked := 0
	for end := c.at.Add(d); c.at.Before(end); {
		if p != nil && p.Wait(from) > 0 {
			c.passes(time.Second)
			continue
		}
		if tries(g, name, from) {
			looked++
		}
		if p != nil {
			p.Add(from, AuthFail)
		}
		c.passes(300 * time.Millisecond) // no failure is answered before
	}
	return looked
}

func TestAttackHydraFromOneSource(t *testing.T) {
	row := attack.On(t, attack.Guessing, "one source guesses one name")
	c := newClock()
	g, p := NewLoginAttempts(c.now, 5, 100), NewPenalties(c.now)
	alice, from := testName(t, "alice"), testSource(t, "192.0.2.1")
	held := hydra(g, p, c, alice, from, 10*time.Minute)
	if held == 0 || held > 15 {
		t.Errorf("%d guesses are looked at in 10 minutes", held)
	}
	// The controls: each layer alone lets more through, and without both everything is looked at.
	c = newClock()
	unpunished := hydra(NewLoginAttempts(c.now, 5, 100), nil, c, alice, from, 10*time.Minute)
	if unpunished > 30 || unpunished < held {
		t.Errorf("without penalties %d", unpunished)
	}
	c = newClock()
	off := hydra(NewLoginAttempts(c.now, 1<<30, 1<<30), nil, c, alice, from, 10*time.Minute)
	if off != 2000 {
		t.Errorf("without limits %d of 2000", off)
	}
	row.Tried("ten minutes, as fast as answers arrive")
	row.Held("delays for the name and penalties for the source: %d passwords are checked", held)
	row.Control("%d without penalties, %d without limits", unpunished, off)
}

// A botnet guesses for a year; then its owner, who has never been away, comes in from where they always did.
func TestAttackHydraFromManySources(t *testing.T) {
	row := attack.On(t, attack.Guessing, "64 sources guess one name")
	c := newClock()
	g, off := NewLoginAttempts(c.now, 5, 100), NewLoginAttempts(c.now, 1<<30, 1<<30)
	alice, home := testName(t, "alice"), testSource(t, "198.51.100.7")
	g.Succeeded(alice, home)
	looked, tried, control := 0, 0, 0
	for day := range 365 {
		for i := range 64 {
			for range 3 {
				tried++
				if tries(off, alice, testSource(t, fmt.Sprintf("203.0.113.%d", i))) {
					control++
				}
				if tries(g, alice, testSource(t, fmt.Sprintf("203.0.113.%d", i))) {
					looked++
				}
				g.Failed(alice, "203.0.113.1")
			}
			c.passes(20 * time.Minute)
		}
		if day == 20 && !tries(g, alice, home) {
			t.Error("the owner is locked out at home")
		}
	}
	if control != tried {
		t.Errorf("control: %d of %d are looked at without limits", control, tried)
	}
	if looked > 100 {
		t.Errorf("%d guesses are looked at in a year", looked)
	}
	if tries(g, alice, home) {
		t.Error("a source is known a year after its last login")
	}
	if m := g.Succeeded(alice, home); m.Count != 365*64*3 || m.From != "203.0.113.1" { // by key, say
		t.Errorf("the owner is told of %v", m)
	}
	if !tries(g, alice, testSource(t, "203.0.113.9")) {
		t.Error("a login does not end the count")
	}
	row.Tried("%d passwords in a year", tried)
	row.Held("%d are checked in all; the owner gets in by key, and from known sources", looked)
	row.Control("all %d without limits", control)
}

// I sit behind the same address as alice, who logs in from there, and guess her password. I am looked at as seldom as from
// elsewhere, and she waits for nothing that comes from elsewhere. The control: she logs in, and my count ends, once.
func TestAttackHydraBesideItsVictim(t *testing.T) {
	row := attack.On(t, attack.Guessing, "guess from the address that the owner logs in from")
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "192.0.2.1")
	g.Succeeded(alice, home)
	soon := hydra(g, nil, c, alice, home, 10*time.Minute)
	if soon > 30 {
		t.Errorf("%d guesses are looked at in ten minutes", soon)
	}
	looked := 0
	for range 29 * 24 * 60 {
		if tries(g, alice, home) {
			looked++
		}
		c.passes(time.Minute)
	}
	if looked > 200 { // a hundred as known, and as many as anybody
		t.Errorf("%d guesses are looked at in a month", looked)
	}
	g.Succeeded(alice, home) // by her key
	if !tries(g, alice, home) {
		t.Error("the control: her login does not end it")
	}

	month := looked
	looked = 0
	for i := range 24 * 60 * 60 { // and of a bot that logs in from there every minute
		if i%60 == 0 {
			g.Succeeded(alice, home)
		}
		if tries(g, alice, home) {
			looked++
		}
		c.passes(time.Second)
	}
	if looked > 220 {
		t.Errorf("%d guesses are looked at in a day, beside a bot", looked)
	}
	row.Tried("ten minutes; then a month; then a day beside a bot that logs in every minute")
	row.Held("the address has its own count, as strict: %d, %d and %d are checked", soon, month, looked)
	row.Control("the owner's login resets the count once")
}

// I guess the password of a bot that logs in by its key every minute: its logins must not give me five more each time.
// The control: where nobody guesses for a day, a login ends the count.
func TestAttackBotThatLogsInAgainAndAgain(t *testing.T) {
	row := attack.On(t, attack.Guessing, "guess at a bot, whose logins reset the count")
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	bot, home, from := testName(t, "bot"), testSource(t, "192.0.2.2"), testSource(t, "198.51.100.7")
	looked := 0
	for i := range 24 * 60 * 60 {
		if i%60 == 0 {
			g.Succeeded(bot, home)
		}
		if tries(g, bot, from) {
			looked++
		}
		c.passes(time.Second)
	}
	if looked > 120 {
		t.Errorf("%d guesses are looked at in a day", looked)
	}
	c.passes(resetEvery)
	g.Succeeded(bot, home)
	if !tries(g, bot, from) {
		t.Error("the control: a login does not end the count")
	}
	row.Tried("a day at one guess a second, a login a minute")
	row.Held("a login resets a long count once a day: %d are checked", looked)
	row.Control("a login after a day without guesses resets it")
}

// Many guesses at once are no way around the count.
func TestAttackGuessesAtOnce(t *testing.T) {
	row := attack.On(t, attack.Guessing, "many guesses at once")
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	alice, from := testName(t, "alice"), testSource(t, "192.0.2.1")
	const tried = 200
	atOnce := func(g *LoginAttempts) int {
		var looked atomic.Int64
		var wait sync.WaitGroup
		for range tried {
			wait.Go(func() {
				if tries(g, alice, from) {
					looked.Add(1)
				}
			})
		}
		wait.Wait()
		return int(looked.Load())
	}
	n, off := atOnce(g), atOnce(NewLoginAttempts(c.now, 1<<30, 1<<30))
	if n != 5 || off != tried {
		t.Errorf("%d of %d at once are looked at, %d without limits", n, tried, off)
	}
	row.Tried("%d passwords", tried)
	row.Held("an attempt counts before it is checked: %d", n)
	row.Control("all %d without limits", off)
	g.Withdraw(alice, from) // one of them was told that the server is busy
	c.passes(time.Second)
	if !tries(g, alice, from) {
		t.Error("a second later none is looked at")
	}
}

func TestNamesInMindAreBounded(t *testing.T) {
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "198.51.100.7")
	g.Succeeded(alice, home)
	for i := range maxNames + 1000 {
		tries(g, testName(t, fmt.Sprintf("spray%d", i)), testSource(t, "192.0.2.1"))
	}
	if len(g.names) > maxNames {
		t.Errorf("%d names are kept", len(g.names))
	}
	if !g.Knows(alice, home) {
		t.Error("a spray over names has made the server forget where alice logs in")
	}
}

// I try one common password for each of five hundred names, from one address, or from as many of one customer's IPv6
// network. Without penalties (the control) all are looked at.
func TestAttackSprayOverManyNames(t *testing.T) {
	row := attack.On(t, attack.Guessing, "one password for each of 500 names")
	row.Tried("ten minutes, from an address and from an IPv6 /64")
	most := map[bool]int{}
	for name, from := range map[string]func(i int) Source{
		"one address":      func(int) Source { return testSource(t, "192.0.2.1") },
		"one IPv6 network": func(i int) Source { return testSource(t, fmt.Sprintf("2001:db8::%x", i+1)) },
	} {
		for _, penalized := range []bool{true, false} {
			c := newClock()
			g, p := NewLoginAttempts(c.now, 5, 100), NewPenalties(c.now)
			looked, i := 0, 0
			for end := c.at.Add(10 * time.Minute); c.at.Before(end) && i < 500; c.passes(300 * time.Millisecond) {
				if penalized && p.Wait(from(i)) > 0 {
					continue
				}
				if tries(g, testName(t, fmt.Sprintf("name%c%c%c", 'a'+i/100, 'a'+i/10%10, 'a'+i%10)), from(i)) {
					looked++
				}
				p.Add(from(i), AuthFail)
				i++
			}
			if penalized && looked > 15 || !penalized && looked != 500 {
				t.Errorf("%s, penalties %v: %d passwords looked at in ten minutes", name, penalized, looked)
			}
			most[penalized] = max(most[penalized], looked)
		}
	}
	row.Held("penalties for the source: %d are checked", most[true])
	row.Control("%d without penalties", most[false])
}
