package limit

import (
	"testing"
	"time"
)

func TestNewcomersAreBounded(t *testing.T) {
	c := newClock()
	l := DefaultNewcomers
	n := NewNewcomers(l, c.now)
	home := testSource(t, "192.0.2.1")
	for range l.NewAccountsSource {
		if w, _ := n.Take(home, false); w != 0 {
			t.Fatalf("wait %v", w)
		}
	}
	if w, own := n.Wait(home, false); w != newcomersSource || !own {
		t.Errorf("after %d accounts the source waits %v", l.NewAccountsSource, w)
	}
	if w, own := n.Take(home, false); w != newcomersSource || !own {
		t.Errorf("one more is taken: %v", w)
	}
	if w, _ := n.Wait(home, true); w != 0 {
		t.Error("an exempt source waits")
	}
	for i := l.NewAccountsSource; i < l.NewAccounts; i++ {
		n.Take(testStranger(t, i), false)
	}
	if w, own := n.Wait(testStranger(t, 300), false); w != newcomersAll || own {
		t.Errorf("after %d accounts everybody waits %v", l.NewAccounts, w)
	}
	if accounts, _ := n.Made(); accounts[home] != l.NewAccountsSource || len(accounts) != 1+l.NewAccounts-l.NewAccountsSource {
		t.Errorf("listed: %v", accounts)
	}
	c.passes(newcomersAll + time.Second)
	own, _ := n.Wait(home, false)
	if w, _ := n.Wait(testStranger(t, 300), false); w != 0 || own == 0 {
		t.Error("the two waits do not end each in its time")
	}
	c.passes(newcomersSource)
	if w, _ := n.Wait(home, false); w != 0 {
		t.Error("the source waits for ever")
	}
	n.Take(home, false)
	if len(n.by) != 1 {
		t.Errorf("%d sources kept in mind", len(n.by))
	}
}

func TestAccountsThatAreNotMadeDoNotCount(t *testing.T) {
	c := newClock()
	n := NewNewcomers(DefaultNewcomers, c.now)
	home := testSource(t, "192.0.2.1")
	for range 2 * DefaultNewcomers.NewAccounts {
		if w, _ := n.Take(home, false); w != 0 {
			t.Fatalf("wait %v", w)
		}
		n.GiveBack(home)
	}
	n.GiveBack(home) // one too many does no harm
	for range DefaultNewcomers.NewAccountsSource {
		n.Take(home, false)
	}
	if made := n.Forgive(home); made != DefaultNewcomers.NewAccountsSource {
		t.Errorf("%d forgiven", made)
	}
	if w, _ := n.Take(home, false); w != 0 {
		t.Error("a source that was forgiven waits")
	}
}

func TestPlacesForRegistering(t *testing.T) {
	l := NewcomerLimits{Registrations: 5, RegistrationsSource: 2}
	n := NewNewcomers(l, newClock().now)
	home, other, third := testSource(t, "192.0.2.1"), testSource(t, "192.0.2.2"), testSource(t, "192.0.2.3")
	for _, from := range []Source{home, home, other, other} {
		if n.Reserve(from, false) != Room {
			t.Fatal("refused")
		}
	}
	if n.Reserve(home, false) != SourceFull || n.Reserve(home, true) != Room {
		t.Error("places for registering are not the source's")
	}
	if n.Reserve(third, false) != AllFull || n.Reserve(third, true) != AllFull {
		t.Error("more places than there are")
	}
	n.Release(other)
	if n.Reserve(third, false) != Room {
		t.Error("a place that was given back is gone")
	}
	if _, logins := n.Made(); logins[home] != 3 || logins[other] != 1 || logins[third] != 1 {
		t.Errorf("listed: %v", logins)
	}
}
