package sshchat

import (
	"crypto/ed25519"
	"net"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
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

func testSource(t testing.TB, s string) limit.Source {
	t.Helper()
	return limit.SourceOf(&net.TCPAddr{IP: net.ParseIP(s), Port: 4711})
}

func newTestSigner(t testing.TB) gossh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
