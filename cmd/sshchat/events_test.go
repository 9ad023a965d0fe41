package main

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// The audit log tells of logins with rights, of guesses and of sources kept away, and its chain holds.
func TestSecurityEventsAreAudited(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", guarded...)
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = s.login("alice", alice.signer)
	for range 8 {
		if s.passwordFrom("127.0.0.3", "alice", "a wrong one, again and again") == nil { // nobody has logged in from there
			t.Fatal("got in")
		}
	}
	log := alice.must("audit --json")
	for _, want := range []string{`"by":"alice","source":"127.0.0.1","do":"login","text":"admin by publickey"`, `"do":"kept away"`} {
		if strings.Count(log, want) != 1 {
			t.Errorf("not once %s in\n%s", want, log)
		}
	}
	alice.must("audit --verify")
}

func TestPasswordsThatWaitAreAudited(t *testing.T) {
	t.Parallel()
	s := startServer(t, "", append(slices.Clone(guarded), "--per-source-penalties=false")...)
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	for range 8 {
		if conn, err := s.dialAs("alice", ssh.Password("a wrong one, again and again")); err == nil {
			conn.Close()
		}
	}
	if log := alice.must("audit --json"); strings.Count(log, `"do":"passwords wait","on":"alice"`) != 1 {
		t.Errorf("not once in\n%s", log)
	}
}
