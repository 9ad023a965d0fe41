package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sshchat/sshchat/attack"

	"golang.org/x/crypto/ssh"
)

// I read my whole history in 32 commands at once, again and again, so that others wait for theirs. What I may read a second
// is bounded for all of them together; and a client that takes nothing keeps nobody from reading. The control is a server
// without the limit, which gives me all of it at once.
func TestAttackReadsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "read one's history in 32 commands at once")
	for what, c := range map[string]struct {
		flags []string
		free  bool
	}{"limits": {[]string{"--command-burst", "20", "--command-rate", "0.01"}, false}, "no limits": {nil, true}} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			mallory, alice := s.register("mallory"), s.register("alice")
			var text strings.Builder
			for range 300 {
				fmt.Fprintf(&text, "%s\n", strings.Repeat("x", 4000))
			}
			if _, errs, code := mallory.exec("say general -", text.String()); code != 0 {
				t.Fatalf("%d %s", code, errs)
			}
			whole := len(mallory.must("history --tar general")) // 1 MB and more
			times := 32
			if c.free && !long {
				times = 16 // more than the limit below lets through, and enough to show it
			}
			got, ended := s.readMany(mallory, times)
			if c.free {
				closes(t, "all of it", func() error { <-ended; return nil })
				if n := got(); n < times*whole {
					t.Errorf("%d bytes of %d", n, times*whole)
				}
				return
			}
			waitFor(t, "some of it", func() bool { return got() > whole })
			alice.must("history --tar general") // mallory's wait is not hers
			waitFor(t, "mallory to have used up what there is", func() bool { before := got(); time.Sleep(100 * time.Millisecond); return got() == before })
			if n := got(); n > 14*whole { // each costs two commands
				t.Errorf("%d bytes at once, %d in all", n, 32*whole)
			}
		})
	}
	row.Tried("a history of 1.3 MB, 32 times")
	row.Held("a megabyte counts as a command; few people read at once, and nobody waits for a client that reads nothing")
	row.Control("without limits all of it is sent at once")
}

// readMany has so many commands read the history, and returns what counts the bytes so far, and the end of all.
func (s *testServer) readMany(u *user, n int) (got func() int, ended <-chan struct{}) {
	var mu sync.Mutex
	total := 0
	var all sync.WaitGroup
	for range n / 4 {
		client := s.login(u.name, u.signer)
		for range 4 {
			sess, err := client.NewSession()
			if err != nil {
				s.t.Fatal(err)
			}
			out, err := sess.StdoutPipe()
			if err != nil {
				s.t.Fatal(err)
			}
			if err := sess.Start("history --tar general"); err != nil {
				s.t.Fatal(err)
			}
			all.Go(func() {
				buf := make([]byte, 32<<10)
				for {
					n, err := out.Read(buf)
					mu.Lock()
					total += n
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	return func() int { mu.Lock(); defer mu.Unlock(); return total }, done
}

// I have no rights, and fill the audit log by trying what I may not do, and by adding and removing a key: 536 MiB a day at
// the pace of commands. The log must not take it, and what others did must stay in sight. The control is an admin, all of
// whose acts are told.
func TestAttackFillsTheAuditLogByTrying(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "fill the audit log with refused and with allowed commands")
	s := startServer(t, "", "--command-burst", "20", "--command-rate", "240")
	boss, mallory := s.register("boss"), s.register("mallory")
	boss.must("claim " + s.claimCode())
	boss.must("motd set in sight")
	const tries = 200
	begun := time.Now()
	for range tries {
		mallory.refused(3, "user list")
	}
	lines := strings.Count(boss.must("audit 10000 --json"), `"by":"mallory"`)
	if most := 21 + int(time.Since(begun).Seconds()); lines < 20 || lines > most { // one a second with these limits
		t.Errorf("%d lines of %d refusals", lines, tries)
	}
	if out := boss.must("audit"); !strings.Contains(out, "motd set in sight") && !strings.Contains(out, "motd set") || !strings.Contains(out, "more in a row; to see them: audit --by mallory") {
		t.Errorf("out of sight:\n%s", out)
	}
	if out := boss.must("audit --by mallory"); strings.Count(out, "mallory") < 20 {
		t.Errorf("by mallory:\n%s", out)
	}
	waitFor(t, "a line that counts the others", func() bool {
		mallory.refused(3, "user list")
		return strings.Contains(boss.must("audit 10000 --json"), "more before it, not recorded")
	})
	keys := slices.Repeat([]ssh.Signer{newSigner(t)}, 1)
	begun = time.Now()
	for range 20 { // 20 changes at once, then 10 a second with these limits
		mallory.must("key add " + line(keys[0]))
		mallory.must("key remove " + ssh.FingerprintSHA256(keys[0].PublicKey()))
	}
	if took := time.Since(begun); took < time.Second {
		t.Errorf("40 changes in %v", took)
	}
	for range 40 {
		boss.must("motd set again")
	}
	if n := strings.Count(boss.must("audit 10000 --json"), "again"); n != 40 {
		t.Errorf("%d lines of 40 acts of an admin", n)
	}
	row.Tried("%d refusals, 40 changes", tries)
	row.Held("20 lines for refusals, then 1 a minute and a count; changes are delayed; a long run of lines is shown shortened")
	row.Control("all of an admin's 40 changes are recorded")
}

// I have unlocked a room's past, and am removed from it: nothing more of that is shown to me, by scrolling, by /history or by
// /search, whatever I had open. The control is what I see before.
func TestAttackUnlockedPastEndsWithMembership(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "read on in an unlocked past after being removed from the room")
	s := startServer(t, "")
	s.registerByPassword("mallory")
	alice := s.register("alice")
	alice.must("join dev")
	mallory := s.byPassword("mallory", goodPassword)
	mallory.must("join dev")
	alice.must("say dev the secret of otters")
	s = s.again()
	alice, mallory = s.login("alice", alice.signer), s.byPassword("mallory", goodPassword)
	o := mallory.plain(100, 40)
	sees := func(line, want string) string {
		t.Helper()
		before := len(o.seen.String())
		o.typeln(line)
		waitFor(t, fmt.Sprintf("%q after %q", want, line), func() bool { return strings.Contains(o.seen.String()[before:], want) })
		return o.seen.String()[before:]
	}
	sees("/join dev", "#dev>")
	sees("/unlock", "Password:")
	sees(goodPassword, "unlocked")
	sees("/history", "the secret of otters")
	sees("/search otters", "the secret of otters")
	row.Control("before it, both show the old lines")
	alice.must("kick mallory dev")
	o.sees("#general>")
	shown := sees("/search otters", "nothing found") + sees("/history 9 dev/9", "not in this room") + sees("/lock", "nothing is unlocked") + sees("/join dev", "#dev>") + sees("/search otters", "nothing found")
	if strings.Contains(shown, "secret") {
		t.Errorf("mallory sees %q", shown)
	}
	row.Tried("/history and /search, and again after joining the room anew")
	row.Held("leaving a room locks its past, and what was sent before the new membership is not shown")
}
