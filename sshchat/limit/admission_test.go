package limit

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sshchat/sshchat/attack"
)

// stranger is the nth address nobody has logged in from.
func testStranger(t *testing.T, n int) Source {
	return testSource(t, fmt.Sprintf("198.51.%d.%d", 100+n/250, 1+n%250))
}

// As connections that have not logged in gather, strangers are turned away more and more, and the last places are only
// for who has been here. With the limits off (the control) all are taken.
func TestAttackAdmissionDropsStrangersEarly(t *testing.T) {
	row := attack.On(t, attack.Connections, "half-open connections, with a known random source")
	home := testSource(t, "192.0.2.1")
	known := func(s Source) bool { return s == home }
	l := DefaultAdmission
	a := NewAdmission(l, known)
	a.chance = func() float64 { return 0.5 }
	taken := 0
	for n := range 200 {
		if a.Acquire(testStranger(t, n), false) == Room {
			taken++
		}
	}
	// 0.3 at 10, 1 at 100: the chance is above one half from the 36th on.
	if taken != 36 {
		t.Errorf("%d strangers taken", taken)
	}
	a.chance = func() float64 { return 0.999 } // all but the certain ones
	for n := range 200 {
		a.Acquire(testStranger(t, 200+n), false)
	}
	if a.starting != l.Starting-l.Reserved {
		t.Errorf("%d strangers hold places, not %d", a.starting, l.Starting-l.Reserved)
	}
	for range l.StartingSource {
		if a.Acquire(home, false) != Room {
			t.Error("who has been here is turned away for strangers")
		}
	}
	if a.Acquire(home, false) == Room {
		t.Error("a source has more connections than one may")
	}
	if a.Acquire(home, true) != Room {
		t.Error("an exempt address is counted by its source")
	}
	for range l.StartingSource + 1 {
		a.Release(home)
	}
	for n := range 400 {
		if s := testStranger(t, n); a.waiting[s] > 0 {
			a.Release(s)
		}
	}
	if a.starting != 0 || len(a.waiting) != 0 {
		t.Errorf("%d and %v left", a.starting, a.waiting)
	}

	held := l.Starting - l.Reserved
	l.Starting, l.DropFrom = 1000, 1000
	a = NewAdmission(l, known)
	a.chance = func() float64 { return 0 }
	off := 0
	for n := range 400 {
		if a.Acquire(testStranger(t, n), false) != Room {
			t.Fatal("turned away with the limits off")
		}
		off++
	}
	row.Tried("400 strangers")
	row.Held("refused at random from the 10th on, with rising probability: %d with a probability of one half, never more than %d; %d places are for known sources", taken, held, DefaultAdmission.Reserved)
	row.Control("all %d with the limits off", off)
}

func TestAdmissionCountsConnectionsInside(t *testing.T) {
	l := DefaultAdmission
	a := NewAdmission(l, func(Source) bool { return false })
	school := testSource(t, "192.0.2.1")
	for range l.AccountConns {
		if !a.AcquireAccount(school, false, "alice") {
			t.Fatal("refused")
		}
	}
	if a.AcquireAccount(school, false, "alice") {
		t.Errorf("more than %d connections of an account", l.AccountConns)
	}
	for n := l.AccountConns; n < l.SourceConns; n++ {
		if !a.AcquireAccount(school, false, fmt.Sprint("pupil", n)) {
			t.Fatalf("a classroom of %d is refused", n)
		}
	}
	if a.AcquireAccount(school, false, "late") {
		t.Errorf("more than %d connections of a source", l.SourceConns)
	}
	if !a.AcquireAccount(school, true, "late") || !a.AcquireAccount(testSource(t, "192.0.2.2"), false, "later") {
		t.Error("an exempt address, or another, is counted with it")
	}
	a.ReleaseAccount(school, "alice")
	a.ReleaseAccount(school, "late")
	if !a.AcquireAccount(school, false, "alice") {
		t.Error("a place that was given back is gone")
	}
}

func TestExempt(t *testing.T) {
	l := AdmissionLimits{Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	for addr, want := range map[string]bool{"192.0.2.7": true, "192.0.3.7": false, "2001:db8::1": true, "::1": false} {
		if got := l.IsExempt(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// What nobody may rely on for long: 30 days after its last login a source is a stranger's.
func TestKnownSources(t *testing.T) {
	c := newClock()
	g := NewLoginAttempts(c.now, 5, 100)
	home := testSource(t, "192.0.2.1")
	if g.Known(home) {
		t.Error("known before any login")
	}
	g.Succeeded(testName(t, "alice"), home)
	if !g.Known(home) || g.Known(testSource(t, "192.0.2.2")) {
		t.Error("not the source that logged in")
	}
	c.passes(knownFor)
	if g.Known(home) {
		t.Error("known for ever")
	}
}

// The chance that a connection is dropped is sshd's, in percent: nothing below start, rate from there on, and 100 at full
// (should_drop_connection in sshd.c).
func TestEarlyDropIsThatOfOpenSSH(t *testing.T) {
	for _, c := range []struct{ start, rate, full, now, want int }{
		{10, 30, 100, 9, 0}, {10, 30, 100, 10, 30}, {10, 30, 100, 55, 65}, {10, 30, 100, 99, 99}, {10, 30, 100, 100, 100},
		{5, 100, 10, 4, 0}, {5, 100, 10, 5, 100}, {10, 100, 10, 9, 0}, {10, 100, 10, 10, 100}, {1, 1, 101, 51, 50},
	} {
		l := AdmissionLimits{Starting: c.full, StartingSource: 1000, DropFrom: c.start, DropRate: float64(c.rate) / 100}
		dropped := 0
		for percent := range 100 {
			a := NewAdmission(l, func(Source) bool { return false })
			a.starting = c.now
			a.chance = func() float64 { return float64(percent)/100 + 0.005 }
			if a.Acquire(testStranger(t, 0), false) != Room {
				dropped++
			}
		}
		if dropped != c.want {
			t.Errorf("%d:%d:%d with %d connections: %d %% dropped, want %d", c.start, c.rate, c.full, c.now, dropped, c.want)
		}
	}
}

// Limits change while connections, counts and debts stay as they are.
func TestLimitsChange(t *testing.T) {
	c := newClock()
	home := testSource(t, "192.0.2.1")
	a := NewAdmission(AdmissionLimits{Starting: 10, StartingSource: 1, DropFrom: 10}, func(Source) bool { return true })
	a.Acquire(home, false)
	if a.Acquire(home, false) == Room {
		t.Error("control: a second connection of a source is taken")
	}
	a.SetLimits(AdmissionLimits{Starting: 10, StartingSource: 2, DropFrom: 10})
	if a.Acquire(home, false) != Room || a.Acquire(home, false) == Room {
		t.Error("not 2 connections of a source, the first included")
	}

	p := NewPenalties(c.now)
	l := DefaultPenalties
	l.Charge[AuthFail], l.Least, l.Longest = time.Minute, time.Minute, time.Minute
	if p.Add(home, AuthFail) > 0 {
		t.Error("control: refused for one wrong password")
	}
	p.SetLimits(l)
	if got := p.Add(home, AuthFail); got != time.Minute {
		t.Errorf("refused for %v", got)
	}

	f := NewRateLimiter[string](Allowance{Burst: 1, Rate: 1})
	f.Take("ana", c.now())
	if f.Take("ana", c.now()) == 0 {
		t.Error("control: a second at once")
	}
	f.SetAllowance(Allowance{Burst: 2, Rate: 1})
	if f.Take("ana", c.now()) > 0 || f.Take("ana", c.now()) == 0 || f.Allowance().Burst != 2 {
		t.Error("not 2 at once, the first included")
	}

	g := NewLoginAttempts(c.now, 5, 100)
	alice := testName(t, "alice")
	tries(g, alice, home)
	g.SetLimits(2, 2)
	if !tries(g, alice, home) || tries(g, alice, home) {
		t.Error("not 2 wrong passwords, the first included")
	}

	n := NewNewcomers(NewcomerLimits{Registrations: 1, RegistrationsSource: 1, NewAccounts: 1, NewAccountsSource: 1}, c.now)
	n.Take(home, false)
	n.SetLimits(NewcomerLimits{Registrations: 1, RegistrationsSource: 1, NewAccounts: 2, NewAccountsSource: 2})
	if wait, _ := n.Take(home, false); wait > 0 {
		t.Error("a second account has to wait")
	}
	if wait, _ := n.Take(home, false); wait == 0 {
		t.Error("a third account need not wait")
	}
}
