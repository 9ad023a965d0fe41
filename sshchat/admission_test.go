package sshchat

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// stranger is the nth address nobody has logged in from.
func testStranger(t *testing.T, n int) source {
	return testSource(t, fmt.Sprintf("198.51.%d.%d", 100+n/250, 1+n%250))
}

// As connections that have not logged in gather, strangers are turned away more and more, and the last places are only
// for who has been here. With the limits off (the control) all are taken.
func TestAttackAdmissionDropsStrangersEarly(t *testing.T) {
	home := testSource(t, "192.0.2.1")
	familiar := func(s source) bool { return s == home }
	l := DefaultLimits
	a := newAdmission(l, familiar)
	a.chance = func() float64 { return 0.5 }
	taken := 0
	for n := range 200 {
		if a.knock(testStranger(t, n), false) {
			taken++
		}
	}
	// 0.3 at 10, 1 at 100: the chance is above one half from the 36th on.
	if taken != 36 {
		t.Errorf("%d strangers taken", taken)
	}
	a.chance = func() float64 { return 0.999 } // all but the certain ones
	for n := range 200 {
		a.knock(testStranger(t, 200+n), false)
	}
	if a.starting != l.Starting-l.Reserved {
		t.Errorf("%d strangers hold places, not %d", a.starting, l.Starting-l.Reserved)
	}
	for range l.StartingSource {
		if !a.knock(home, false) {
			t.Error("who has been here is turned away for strangers")
		}
	}
	if a.knock(home, false) {
		t.Error("a source has more connections than one may")
	}
	if !a.knock(home, true) {
		t.Error("an exempt address is counted by its source")
	}
	for range l.StartingSource + 1 {
		a.leave(home)
	}
	for n := range 400 {
		if s := testStranger(t, n); a.waiting[s] > 0 {
			a.leave(s)
		}
	}
	if a.starting != 0 || len(a.waiting) != 0 {
		t.Errorf("%d and %v left", a.starting, a.waiting)
	}

	l.Starting, l.DropFrom = 1000, 1000
	a = newAdmission(l, familiar)
	a.chance = func() float64 { return 0 }
	for n := range 400 {
		if !a.knock(testStranger(t, n), false) {
			t.Fatal("turned away with the limits off")
		}
	}
}

func TestAdmissionCountsConnectionsInside(t *testing.T) {
	l := DefaultLimits
	a := newAdmission(l, func(source) bool { return false })
	school := testSource(t, "192.0.2.1")
	for range l.AccountConns {
		if !a.enter(school, false, "alice") {
			t.Fatal("refused")
		}
	}
	if a.enter(school, false, "alice") {
		t.Errorf("more than %d connections of an account", l.AccountConns)
	}
	for n := l.AccountConns; n < l.SourceConns; n++ {
		if !a.enter(school, false, fmt.Sprint("pupil", n)) {
			t.Fatalf("a classroom of %d is refused", n)
		}
	}
	if a.enter(school, false, "late") {
		t.Errorf("more than %d connections of a source", l.SourceConns)
	}
	if !a.enter(school, true, "late") || !a.enter(testSource(t, "192.0.2.2"), false, "later") {
		t.Error("an exempt address, or another, is counted with it")
	}
	a.exit(school, "alice")
	a.exit(school, "late")
	if !a.enter(school, false, "alice") {
		t.Error("a place that was given back is gone")
	}
}

func TestNewcomersAreBounded(t *testing.T) {
	c := newClock()
	l := DefaultLimits
	n := newNewcomers(l, c.now)
	home := testSource(t, "192.0.2.1")
	for range l.NewAccountsSource {
		if w := n.wait(home, false); w != 0 {
			t.Fatalf("wait %v", w)
		}
		n.add(home)
	}
	if w := n.wait(home, false); w != newcomersSource {
		t.Errorf("after %d accounts the source waits %v", l.NewAccountsSource, w)
	}
	if n.wait(home, true) != 0 {
		t.Error("an exempt source waits")
	}
	for i := l.NewAccountsSource; i < l.NewAccounts; i++ {
		n.add(testStranger(t, i))
	}
	if w := n.wait(testStranger(t, 300), false); w != newcomersAll {
		t.Errorf("after %d accounts everybody waits %v", l.NewAccounts, w)
	}
	c.passes(newcomersAll + time.Second)
	if n.wait(testStranger(t, 300), false) != 0 || n.wait(home, false) == 0 {
		t.Error("the two waits do not end each in its time")
	}
	c.passes(newcomersSource)
	if n.wait(home, false) != 0 {
		t.Error("the source waits for ever")
	}
	n.add(home)
	if len(n.by) != 1 {
		t.Errorf("%d sources kept in mind", len(n.by))
	}

	for range l.RegistrationsSource {
		if !n.sit(home, false) {
			t.Fatal("refused")
		}
	}
	if n.sit(home, false) || !n.sit(home, true) {
		t.Error("places for registering are not the source's")
	}
	n.rise(home)
	n.rise(home)
	if !n.sit(home, false) {
		t.Error("a place that was given back is gone")
	}
}

func TestExempt(t *testing.T) {
	l := Limits{Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	for addr, want := range map[string]bool{"192.0.2.7": true, "192.0.3.7": false, "2001:db8::1": true, "::1": false} {
		if got := l.exempt(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}

// What nobody may rely on for long: 30 days after its last login a source is a stranger's.
func TestFamiliarSources(t *testing.T) {
	c := newClock()
	g := newGuesses(c.now, 5, 100)
	home := testSource(t, "192.0.2.1")
	if g.familiar(home) {
		t.Error("familiar before any login")
	}
	g.succeeded(testName(t, "alice"), home)
	if !g.familiar(home) || g.familiar(testSource(t, "192.0.2.2")) {
		t.Error("not the source that logged in")
	}
	c.passes(knownFor)
	if g.familiar(home) {
		t.Error("familiar for ever")
	}
}
