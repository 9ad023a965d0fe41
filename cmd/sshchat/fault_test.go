package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// faulty starts the server under strace, which has its system calls fail as said; those on the given files alone, if any
// are named.
func faulty(t *testing.T, data, inject string, files ...string) *testServer {
	t.Helper()
	return startProgram(t, faultyProgram(t, inject, files...), data)
}

// faultyProgram is the server under strace. strace counts the calls of each thread by themselves, and which thread does
// what differs each time: "when=3" is the third call of some thread, and after "when=3+" one thread fails while another
// still succeeds. What is to fail in all threads has no "when".
func faultyProgram(t *testing.T, inject string, files ...string) string {
	t.Helper()
	strace := client(t, "strace")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "faulty")
	call, _, _ := strings.Cut(inject, ":")
	only := ""
	for _, file := range files {
		only += " -P " + file
	}
	text := fmt.Sprintf("#!/bin/sh\nexec %s -D -f -qq -o /dev/null%s -e trace=%s -e inject=%s %s \"$@\"\n", strace, only, call, inject, self)
	writeProgram(t, script, text)
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
		text := fmt.Sprint("word ", i, strings.Repeat(" long", 100)) // so that a history grows, or a disk is full, soon
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

// The first sync that fails is the last: nothing is acknowledged after it, the rooms are told, and the server ends with
// an error; what was acknowledged is there at the next start.
func TestFailedSyncIsFinal(t *testing.T) {
	t.Parallel()
	for _, from := range []int{3, 9} {
		t.Run(fmt.Sprint("from ", from), func(t *testing.T) { syncsFailFrom(t, from) })
	}
}

func syncsFailFrom(t *testing.T, from int) {
	t.Parallel()
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
	if seen := here.seen.String(); !strings.Contains(seen, "The server can no longer store messages and is stopping") {
		t.Errorf("who was there saw %q", seen)
	}
	if err := s.wait(); err == nil {
		t.Error("the server ends as if nothing was")
	}
	kept(t, data, key, said)
	t.Logf("figure: sync that fails from %d on: %d acknowledged, 0 lost", from, len(said))
}

// So is the first sync of changes.jsonl that fails: what was decided is not, the rooms are told, and the server ends.
func TestFailedSyncOfAChangeIsFinal(t *testing.T) {
	t.Parallel()
	data, key := prepared(t)
	s := faulty(t, data, "fdatasync:error=EIO", filepath.Join(data, "changes.jsonl"))
	alice := s.login("alice", signerOf(t, key))
	here := alice.pipe()
	here.typeln("/who")
	here.sees("alice")
	alice.must("say general said")
	if out, errs, code := alice.exec("topic general lost", ""); code == 0 {
		t.Errorf("a topic that is not durable is set: %s%s", out, errs)
	}
	select {
	case <-here.ended:
	case <-time.After(patience):
		t.Error("the session goes on")
	}
	if seen := here.seen.String(); !strings.Contains(seen, "The server can no longer store messages and is stopping") || strings.Contains(seen, "lost") {
		t.Errorf("who was there saw %q", seen)
	}
	if err := s.wait(); err == nil {
		t.Error("the server ends as if nothing was")
	}
	kept(t, data, key, []string{"said"})
}

// A kill at the n-th sync, before the disk has it, loses nothing that was acknowledged.
func TestKillAtASync(t *testing.T) {
	t.Parallel()
	var tried, acknowledged atomic.Int64
	t.Run("kills", func(t *testing.T) {
		for n := 2; n < 12; n += 3 {
			t.Run(fmt.Sprint("at ", n), func(t *testing.T) {
				t.Parallel()
				data, key := prepared(t)
				s := faulty(t, data, fmt.Sprintf("fdatasync:signal=KILL:when=%d", n))
				alice := s.login("alice", signerOf(t, key))
				said, _ := sayUntilRefused(alice, 2000)
				if len(said) == 2000 {
					t.Fatal("it was not killed")
				}
				s.wait() // killed
				kept(t, data, key, said)
				tried.Add(1)
				acknowledged.Add(int64(len(said)))
			})
		}
	})
	t.Logf("figure: kills at a sync: %d, %d acknowledged, 0 lost", tried.Load(), acknowledged.Load())
}

// A full disk refuses new messages in plain words, and reading goes on.
func TestFullDiskRefusesAndReadingGoesOn(t *testing.T) {
	t.Parallel()
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

// mounted is a file system in memory of the given size.
func mounted(t *testing.T, size string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("nothing can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	return dir
}

// A file system fills up. Messages are refused in plain words, reading goes on; a new account is refused, or is kept in what
// changes.jsonl has reserved. Once there is room again everything goes on, without a restart, and nothing that was acknowledged
// is lost.
func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	dir := mounted(t, "1m")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	data, key := filepath.Join(dir, "data"), writeKey(t)
	s := startServer(t, data)
	s.login("alice", signerOf(t, key)).must("register")
	alice := s.login("alice", signerOf(t, key))
	alice.must("say general before")
	bob := s.login("bob", newSigner(t))
	said, refused := sayUntilRefused(alice, 2000)
	if len(said) == 2000 || !strings.Contains(refused, "not sent") {
		t.Fatalf("%d said, then %q", len(said), refused)
	}
	filler := filepath.Join(dir, "filler") // what is left of it, which is not enough for the history to grow
	os.WriteFile(filler, make([]byte, 1<<20), 0o600)
	_, errs, code := bob.exec("register", "")
	if code != 0 && errs == "" {
		t.Errorf("an account is refused on a full disk without a word: exit %d", code)
	}
	for _, line := range []string{"who general", "history general", "stats"} {
		if _, errs, code := alice.exec(line, ""); code != 0 && code != 3 {
			t.Errorf("%s: exit %d, %s", line, code, errs)
		}
	}
	for _, file := range []string{ballast, filler} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	alice.must("say general word again")
	if code != 0 {
		bob.must("register")
	}
	alice.must("whois bob")
	s.stop()
	if !strings.Contains(readText(t, filepath.Join(data, "users.json")), `"name":"bob"`) {
		t.Error("bob is not in users.json, now that there is room")
	}
	kept(t, data, key, append(said, "word again"))
}

// A rename for which there is no room, of a file that grows or of users.json, leaves the old one. What is not in users.json is
// in changes.jsonl.
func TestNoRoomToRename(t *testing.T) {
	t.Parallel()
	data, key := prepared(t)
	s := faulty(t, data, "renameat:error=ENOSPC", filepath.Join(data, "users.json"), filepath.Join(data, "message_history.json"))
	alice := s.login("alice", signerOf(t, key))
	said, refused := sayUntilRefused(alice, 2000)
	if len(said) == 0 || len(said) == 2000 || !strings.Contains(refused, "not sent") {
		t.Fatalf("%d said, then %q", len(said), refused)
	}
	s.login("bob", newSigner(t)).must("register")
	alice.must("history general")
	s.kill()
	if users := filepath.Join(data, "users.json"); strings.Contains(readText(t, users), `"name":"bob"`) {
		t.Errorf("%s was replaced", users)
	}
	kept(t, data, key, said)
	if !strings.Contains(readText(t, filepath.Join(data, "users.json")), `"name":"bob"`) {
		t.Error("bob is lost")
	}
}

// A folder that cannot be written to is refused at the start, with the reason.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	data, _ := prepared(t)
	dir := mounted(t, "1m")
	if out, err := exec.Command("cp", "-a", data, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(self, "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"))
	server.Env = append(os.Environ(), "SSHCHAT_TEST_MAIN=1")
	if out, err := server.CombinedOutput(); err == nil || !strings.Contains(string(out), "read-only file system") {
		t.Errorf("%v: %s", err, out)
	}
}
