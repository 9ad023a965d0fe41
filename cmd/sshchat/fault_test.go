package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// faulty starts the server under strace, which has its system calls fail as said.
func faulty(t *testing.T, data, inject string) *testServer {
	t.Helper()
	return startProgram(t, faultyProgram(t, inject), data)
}

// faultyProgram is the server under strace. It is a thread's own n-th call that fails, so that the tests say "from the
// n-th on" and leave open where that is.
func faultyProgram(t *testing.T, inject string) string {
	t.Helper()
	strace := client(t, "strace")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "faulty")
	call, _, _ := strings.Cut(inject, ":")
	text := fmt.Sprintf("#!/bin/sh\nexec %s -D -f -qq -o /dev/null -e trace=%s -e inject=%s %s \"$@\"\n", strace, call, inject, self)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return script
}

// prepared is a data folder with alice in it, and nothing said.
func prepared(t *testing.T) (data, key string) {
	data, key = filepath.Join(t.TempDir(), "data"), writeKey(t)
	s := startServer(t, data)
	s.login("alice", signerOf(t, key)).must("register")
	s.login("alice", signerOf(t, key)).must("say general before")
	s.stop()
	return data, key
}

// sayUntilRefused says one thing after another, and returns what was acknowledged; refused is what was said of the first
// that was not, empty where the connection ended.
func sayUntilRefused(alice *user, most int) (said []string, refused string) {
	for i := range most {
		text := fmt.Sprint("word ", i)
		session, err := alice.NewSession()
		if err != nil {
			return said, ""
		}
		out, err := session.CombinedOutput("say general " + text)
		if err != nil {
			return said, string(out)
		}
		said = append(said, text)
	}
	return said, ""
}

// kept fails the test unless a server over the folder has all that was acknowledged, once and in order.
func kept(t *testing.T, data, key string, said []string) {
	t.Helper()
	s := startServer(t, data)
	s.login("alice", signerOf(t, key)).must("say general after")
	s.stop()
	out := output(t, "verify", "--data", data)
	if strings.Contains(out, "damaged") {
		t.Errorf("verify: %s", out)
	}
	text := output(t, "open", "-i", key, data)
	at := 0
	for _, word := range append([]string{"before"}, append(said, "after")...) {
		found := strings.Index(text[at:], "alice: "+word+"\n")
		if found < 0 {
			t.Fatalf("acknowledged and lost: %q; there is\n%s", word, text)
		}
		at += found
	}
	for _, word := range said {
		if n := strings.Count(text, "alice: "+word+"\n"); n != 1 {
			t.Errorf("%q is there %d times", word, n)
		}
	}
}

// The first sync that fails is the last: nothing is acknowledged after it, who is there is told, and the server ends with
// an error; what was acknowledged is there at the next start.
func TestFailedSyncIsFinal(t *testing.T) {
	for _, from := range []int{3, 9} {
		data, key := prepared(t)
		s := faulty(t, data, fmt.Sprintf("fdatasync:error=EIO:when=%d+", from))
		alice := s.login("alice", signerOf(t, key))
		here := alice.pipe()
		here.typeln("/who")
		here.sees("alice")
		said, refused := sayUntilRefused(alice, 2000)
		if len(said) == 2000 {
			t.Fatal("no sync failed")
		}
		if refused != "" && !strings.Contains(refused, "not sent") {
			t.Errorf("the refusal says %q", refused)
		}
		select {
		case <-here.ended:
		case <-time.After(patience):
			t.Error("the session goes on")
		}
		if err := s.wait(); err == nil {
			t.Error("the server ends as if nothing was")
		}
		kept(t, data, key, said)
		t.Logf("figure: sync that fails from %d on: %d acknowledged, 0 lost", from, len(said))
	}
}

// A kill at the n-th sync, before the disk has it, loses nothing that was acknowledged.
func TestKillAtASync(t *testing.T) {
	tried, acknowledged := 0, 0
	for n := 2; n < 12; n += 3 {
		data, key := prepared(t)
		s := faulty(t, data, fmt.Sprintf("fdatasync:signal=KILL:when=%d", n))
		alice := s.login("alice", signerOf(t, key))
		said, _ := sayUntilRefused(alice, 2000)
		if len(said) == 2000 {
			t.Fatal("it was not killed")
		}
		s.wait() // killed
		kept(t, data, key, said)
		tried, acknowledged = tried+1, acknowledged+len(said)
	}
	t.Logf("figure: kills at a sync: %d, %d acknowledged, 0 lost", tried, acknowledged)
}

// A full disk refuses new messages in plain words, and reading goes on.
func TestFullDiskRefusesAndReadingGoesOn(t *testing.T) {
	data, key := prepared(t)
	s := faulty(t, data, "pwrite64:error=ENOSPC:when=5+")
	alice := s.login("alice", signerOf(t, key))
	said, refused := sayUntilRefused(alice, 2000)
	if len(said) == 2000 || !regexp.MustCompile(`not sent`).MatchString(refused) {
		t.Fatalf("%d said, then %q", len(said), refused)
	}
	if out := alice.must("who general"); !strings.Contains(out, "alice") {
		t.Errorf("who: %q", out)
	}
	alice.must("history general")
	s.kill()
	kept(t, data, key, said)
}
