package limit

import (
	"net/netip"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
)

// memoryTallies is chat.Tallies in memory.
type memoryTallies map[chat.Name]chat.Tally

// kept returns guesses that are kept in l.
func kept(c *clock, l memoryTallies) *LoginAttempts {
	g := NewLoginAttempts(c.now, 5, 100)
	g.restore(l)
	g.keep = func(n chat.Name, t chat.Tally) { l[n] = t }
	return g
}

// I guess until the server restarts, and go on as if nothing had been: the count goes on as well. Without the ledger (the
// control) it starts anew.
func TestAttackGuessesOutliveTheServer(t *testing.T) {
	row := attack.On(t, attack.Guessing, "guess until the server restarts, and go on")
	c, l := newClock(), memoryTallies{}
	alice, from, home := testName(t, "alice"), testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2")
	g := kept(c, l)
	g.Succeeded(alice, home)
	for range 9 {
		g.Try(alice, from)
		g.Failed(alice, "192.0.2.1")
		c.passes(20 * time.Second)
	}
	g.Try(alice, from) // the tenth: 32 s
	g = kept(c, l)
	if g.Try(alice, from) {
		t.Error("the wait is forgotten")
	}
	if !g.Try(alice, home) || !g.Known(home) || g.Known(from) {
		t.Error("who is known is forgotten")
	}
	c.passes(2 * time.Minute)
	if !g.Try(alice, from) {
		t.Error("the wait does not end")
	}
	if m := g.Succeeded(alice, home); m.Count != 9 || m.From != "192.0.2.1" {
		t.Errorf("the owner is told of %+v", m)
	}
	if g = kept(c, memoryTallies{}); !g.Try(alice, from) {
		t.Error("the control waits")
	}
	row.Tried("10 passwords, a restart, one more")
	row.Held("counts and known sources are stored: it is delayed, and the owner sees 9")
	row.Control("checked if the counts are lost")
}

// The clock was wrong, or somebody edited the file: nobody waits longer than the longest wait, and nobody is known longer
// than who logs in now.
func TestTalliesFromTheFuture(t *testing.T) {
	c := newClock()
	alice, from := testName(t, "alice"), testSource(t, "192.0.2.1")
	years := c.at.AddDate(50, 0, 0)
	g := kept(c, memoryTallies{alice: {Wrong: 20, Next: years, Missed: 1, At: years,
		Known: []chat.KnownSource{{Source: netip.MustParsePrefix("192.0.2.9/32"), At: years}}}})
	c.passes(LongestWait)
	if !g.Try(alice, from) {
		t.Error("a wait of 50 years")
	}
	c.passes(knownFor)
	if g.Known(testSource(t, "192.0.2.9")) {
		t.Error("known for 50 years")
	}
}

// I have found a session open, and guess the password at its prompts, from a source that is known. I get as many as
// elsewhere; the owner's own prompts are not kept from them by what strangers tried.
func TestPromptsAreCounted(t *testing.T) {
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "192.0.2.2")
	g.Succeeded(alice, home)
	for range 200 { // strangers
		g.Try(alice, testSource(t, "198.51.100.7"))
		c.passes(LongestWait)
	}
	looked := 0
	for range 3600 {
		if g.TryPrompt(alice) {
			looked++
		}
		c.passes(time.Second)
	}
	if looked != 5 {
		t.Errorf("%d guesses at prompts are looked at", looked)
	}
	if !g.Try(alice, home) {
		t.Error("the owner's login from a known source waits")
	}
	g.Answered(alice)
	if !g.TryPrompt(alice) {
		t.Error("a right answer does not end it")
	}
	if g.Unlock(alice) == 0 || !g.Try(alice, testSource(t, "198.51.100.7")) {
		t.Error("an unlock changes nothing")
	}
}

func TestNoticesAreCoalesced(t *testing.T) {
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	told := 0
	for range 120 {
		if g.NotifyDue(testName(t, "alice")) {
			told++
		}
		c.passes(time.Second)
	}
	if told != 2 {
		t.Errorf("told %d times in two minutes", told)
	}
}
