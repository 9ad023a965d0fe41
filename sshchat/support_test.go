package sshchat

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
)

// clock is a time that passes when it is told to.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time         { return c.at }
func (c *clock) passes(d time.Duration) { c.at = c.at.Add(d) }

// hubOf is a hub with these accounts, in which nothing is decided.
func hubOf(accounts ...chat.Account) *chat.Hub {
	state := chat.NewState(chat.Parts{Accounts: accounts})
	return chat.NewHub(chat.Config{State: state, Clock: journaltest.Now, Log: slog.New(slog.DiscardHandler)})
}

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
