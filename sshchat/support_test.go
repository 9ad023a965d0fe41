package sshchat

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
)

// clock is a time that passes when it is told to.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time         { return c.at }
func (c *clock) passes(d time.Duration) { c.at = c.at.Add(d) }

// decided is chat.Decisions in memory, in which nothing is decided.
type decided struct{ state *chat.State }

// hubOf is a hub with these accounts.
func hubOf(accounts ...chat.Account) *chat.Hub {
	d := decided{chat.NewState(chat.Parts{Accounts: accounts})}
	return chat.NewHub(nil, d, nil, nil, slog.New(slog.DiscardHandler))
}

func (d decided) View() chat.View {
	now := time.Now().UTC()
	return chat.View{State: d.state, At: chat.Moment{Shown: now, Believed: now, Latest: now, Stamp: now}}
}
func (d decided) Decide(chat.Caller, chat.Intent) (*chat.State, error) { panic("nothing is decided") }
func (d decided) Follow(func(before, after chat.View))                 {}

func testName(t testing.TB, s string) chat.Name {
	t.Helper()
	n, err := text.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func testSource(t testing.TB, s string) limit.Source {
	t.Helper()
	return limit.SourceOf(&net.TCPAddr{IP: net.ParseIP(s), Port: 4711})
}
