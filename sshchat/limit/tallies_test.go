package limit

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
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
		tries(g, alice, from)
		g.Failed(alice, "192.0.2.1")
		c.passes(20 * time.Second)
	}
	tries(g, alice, from) // the tenth: 32 s
	g = kept(c, l)
	if tries(g, alice, from) {
		t.Error("the wait is forgotten")
	}
	if !tries(g, alice, home) || !g.Known(home) || g.Known(from) {
		t.Error("who is known is forgotten")
	}
	c.passes(2 * time.Minute)
	if !tries(g, alice, from) {
		t.Error("the wait does not end")
	}
	if m := g.Succeeded(alice, home); m.Count != 9 || m.From != "192.0.2.1" {
		t.Errorf("the owner is told of %+v", m)
	}
	if g = kept(c, memoryTallies{}); !tries(g, alice, from) {
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
	if !tries(g, alice, from) {
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
		tries(g, alice, testSource(t, "198.51.100.7"))
		c.passes(LongestWait)
	}
	looked := 0
	for range 3600 {
		if triesPrompt(g, alice) {
			looked++
		}
		c.passes(time.Second)
	}
	if looked != 5 {
		t.Errorf("%d guesses at prompts are looked at", looked)
	}
	if !tries(g, alice, home) {
		t.Error("the owner's login from a known source waits")
	}
	g.Answered(alice)
	if !triesPrompt(g, alice) {
		t.Error("a right answer does not end it")
	}
	if unlocks(t, g, alice) == 0 || !tries(g, alice, testSource(t, "198.51.100.7")) {
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

// servers share a log, whose leader changes with each attempt.
type servers struct {
	all    []*LoginAttempts
	c      *clock
	r      *rand.Rand
	counts int // lines of the log
}

func newServers(c *clock, r *rand.Rand, n int, saved map[chat.Name]chat.Tally) *servers {
	s := &servers{c: c, r: r}
	for range n {
		g := NewLoginAttempts(c.now, 5, 20)
		g.Share(saved, s.order)
		s.all = append(s.all, g)
	}
	return s
}

func (s *servers) order(_ context.Context, a chat.Attempt) error {
	leader := s.all[s.r.IntN(len(s.all))]
	t, err := leader.Count(a, leader.Tally(a.Name), s.c.at)
	if err != nil {
		return err
	}
	s.counts++
	for _, g := range s.all {
		g.Take([]chat.Count{{Name: a.Name, Tally: t}}, s.c.at)
	}
	return nil
}

// What several servers count together is what one counts alone, whichever is asked and whichever leads; and a login that changes
// nothing is not in the log.
func TestServersCountAsOne(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 21))
		c := newClock()
		alone, together := NewLoginAttempts(c.now, 5, 20), newServers(c, r, 3, nil)
		names := []chat.Name{testName(t, "alice"), testName(t, "bob")}
		sources := []Source{testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2"), testSource(t, "2001:db8::1")}
		checked := 0
		for i := range 1000 {
			name, from, g := names[r.IntN(2)], sources[r.IntN(3)], together.all[r.IntN(3)]
			var one, many any
			each := func(do func(g *LoginAttempts) any) { one, many = do(alone), do(g) }
			switch r.IntN(20) {
			case 0:
				each(func(g *LoginAttempts) any { return g.Succeeded(name, from) })
			case 1:
				each(func(g *LoginAttempts) any { return triesPrompt(g, name) })
			case 2:
				each(func(g *LoginAttempts) any { g.Answered(name); return nil })
			case 3:
				each(func(g *LoginAttempts) any { g.Withdraw(name, from); return nil })
			case 4:
				each(func(g *LoginAttempts) any { g.WithdrawPrompt(name); return nil })
			case 5:
				if r.IntN(10) == 0 {
					each(func(g *LoginAttempts) any { return unlocks(t, g, name) })
				}
			default:
				each(func(g *LoginAttempts) any { return tries(g, name, from) })
				if one == true {
					checked++
				}
				each(func(g *LoginAttempts) any { g.Failed(name, from.String()); return one })
			}
			if one != many || alone.Delayed(name) != g.Delayed(name) || alone.Known(from) != g.Known(from) {
				t.Fatalf("seed %d, step %d: %v alone, %v together", seed, i, one, many)
			}
			c.passes(time.Duration(r.IntN(1<<r.IntN(21))) * time.Millisecond)
		}
		for _, name := range names {
			for _, g := range together.all {
				if is := g.Tally(name); !reflect.DeepEqual(is, alone.Tally(name)) {
					t.Fatalf("seed %d: %+v alone, %+v together", seed, alone.Tally(name), is)
				}
			}
		}
		if checked < 50 || checked > 800 {
			t.Errorf("seed %d: %d passwords are checked", seed, checked)
		}
		lines := together.counts
		together.all[0].Unlock(t.Context(), names[0])
		together.all[0].Succeeded(names[0], sources[0])
		for range 5 {
			together.all[1].Succeeded(names[0], sources[0])
			c.passes(time.Minute)
		}
		if n := together.counts - lines; n > 2 {
			t.Errorf("seed %d: logins that change nothing are %d lines", seed, n)
		}
	}
}

// What was tried while a login is on its way is shown at the next: nothing is forgotten unseen.
func TestMissedMeanwhile(t *testing.T) {
	t.Parallel()
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	alice, home := testName(t, "alice"), testSource(t, "192.0.2.1")
	fail := func(n int) {
		for range n {
			g.Failed(alice, "192.0.2.9")
			c.passes(time.Second)
		}
	}
	fail(3)
	seen := g.Tally(alice)
	fail(2)
	g.follow(chat.Attempt{Kind: chat.Success, Name: alice, Source: netip.Prefix(home), Seen: seen.Missed, Latest: seen.At})
	if m := g.Succeeded(alice, home); m.Count != 2 {
		t.Errorf("%d are shown", m.Count)
	}
	if m := g.Succeeded(alice, home); m.Count != 0 {
		t.Errorf("%d are shown twice", m.Count)
	}
}

// The own count of a known source outlives the server as the name's does.
func TestCountOfAKnownSourceIsKept(t *testing.T) {
	t.Parallel()
	c, l := newClock(), memoryTallies{}
	alice, home := testName(t, "alice"), testSource(t, "192.0.2.1")
	open := func() *LoginAttempts {
		g := NewLoginAttempts(c.now, 5, 5)
		g.KeepIn(tallies{l}, func(chat.Name) bool { return true })
		return g
	}
	g := open()
	g.Succeeded(alice, home)
	for range 10 {
		tries(g, alice, home)
		c.passes(LongestWait)
	}
	if tries(open(), alice, home) {
		t.Error("a restart ends it")
	}
	for i := range l[alice].Known {
		l[alice].Known[i].Wrong = 0
	}
	if !tries(open(), alice, home) {
		t.Error("the control: it is not checked without a count")
	}
}

// tallies are memoryTallies as a store has them.
type tallies struct{ memoryTallies }

func (t tallies) Tally(name chat.Name, is chat.Tally) { t.memoryTallies[name] = is }
func (t tallies) Tallies() map[chat.Name]chat.Tally   { return t.memoryTallies }

// While no server leads, a password waits as long as its caller does and is then not checked, and a login by key hardly waits: what it
// counts comes later.
func TestAttemptsWithoutALeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leads := make(chan struct{})
		var together *LoginAttempts
		counted := 0
		order := func(ctx context.Context, a chat.Attempt) error {
			select {
			case <-leads:
			case <-ctx.Done():
				return ctx.Err()
			}
			is, err := together.Count(a, together.Tally(a.Name), time.Now())
			if err == nil {
				counted++
				together.Take([]chat.Count{{Name: a.Name, Tally: is}}, time.Now())
			}
			return err
		}
		together = NewLoginAttempts(time.Now, 5, 20)
		together.Share(nil, order)
		alice, home := testName(t, "alice"), testSource(t, "192.0.2.1")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if check, err := together.Try(ctx, alice, home); check || !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("a password: %v, %v after %v", check, err, time.Since(began))
		}
		began = time.Now()
		together.Succeeded(alice, home)
		if d := time.Since(began); d > followWait || together.Knows(alice, home) {
			t.Errorf("a login by key waits for %v", d)
		}
		close(leads)
		synctest.Wait()
		if check, err := together.Try(t.Context(), alice, home); !check || err != nil || !together.Knows(alice, home) || counted != 2 {
			t.Errorf("with a leader: %v, %v, %d counted", check, err, counted)
		}
	})
}
