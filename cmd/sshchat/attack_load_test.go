package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// paced are the limits on how fast people are, as a server has them that was told nothing.
var paced = []string{
	"--message-burst", "5", "--message-rate", "2", "--command-burst", "20", "--command-rate", "4",
	"--input-burst", "65536", "--input-rate", "4096",
}

// memory is what the server holds, and the most it ever held, in MiB.
func (s *testServer) memory(t testing.TB) (now, most int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	read := func(field string) int {
		m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(text)
		if m == nil {
			t.Skipf("no %s here", field)
		}
		n, err := strconv.Atoi(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		return n >> 10
	}
	return read("VmRSS"), read("VmHWM")
}

// raceDetector reports whether the server is built with the race detector, which multiplies its memory.
func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// noRaces skips a test under the race detector that has nothing for it: it is one goroutine, and tries a server that it builds itself.
// .ci/run must run it without.
func noRaces(t *testing.T) {
	t.Helper()
	if !raceDetector() {
		return
	}
	script := readText(t, "../../.ci/run")
	if m := regexp.MustCompile(`without_race='(.*)'`).FindStringSubmatch(script); m == nil || !regexp.MustCompile(m[1]).MatchString(t.Name()) {
		t.Fatalf("without_race in .ci/run does not name %s, which is skipped here", t.Name())
	}
	t.Skip("there is nothing in it for the race detector")
}

// I send 200 passwords at once: each costs 64 MiB and a tenth of a second to look at, or a quarter of both where there is
// little time. Memory stays bounded, those that find no place are refused, and a key logs in meanwhile.
func TestAttackScryptStorm(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "many passwords at once, to exhaust memory")
	workFactor, allowed := "11", 80 // MiB; without the limit 200 would take 400
	if many {
		workFactor, allowed = "16", 400
	}
	s := startProcess(t, "", "--work-factor", workFactor)
	alice := s.register("alice")
	before, _ := s.memory(t)
	var wait sync.WaitGroup
	var answered atomic.Int64
	for i := range 200 {
		wait.Go(func() {
			defer answered.Add(1)
			if s.passwordFrom(fmt.Sprintf("127.0.4.%d", 1+i), "alice", "wrong but long enough") == nil {
				t.Error("in")
			}
		})
	}
	s.login("alice", alice.signer).must("whoami") // by key: it waits for none of them
	if answered.Load() == 200 {
		t.Error("the key waited for all passwords")
	}
	wait.Wait()
	if _, most := s.memory(t); most > before+allowed && !raceDetector() {
		t.Errorf("from %d MiB to %d MiB", before, most)
	}
	row.Tried("200 at the same moment")
	row.Held("two are checked at a time: memory is bounded, and keys do not wait")
	row.NoControl("the number checked at once is not a setting; without the limit, 200 need 200 times 64 MiB, which no test machine has")
}

// I am in a room and say ten thousand lines as fast as the network takes them. The room hears two a second of mine, and
// others at once. With the limits off (the control) it hears them all.
func TestAttackFloodOfOnePerson(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "message flood")
	for name, c := range map[string]struct {
		flags []string
		lines int
		held  bool
	}{"paced": {paced, 10_000, true}, "limits off": {nil, 1_000, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "", c.flags...)
			mallory, bob, carol := s.register("mallory"), s.register("bob"), s.register("carol")
			reads := carol.pipe()
			carol.here("carol")
			flood := mallory.pipe()
			go func() {
				for i := range c.lines {
					if _, err := fmt.Fprintf(flood.typed, "flood %d\n", i); err != nil {
						return
					}
				}
			}()
			reads.sees("mallory: flood 3")
			bob.must("say general can you hear me")
			reads.sees("bob: can you hear me")
			if c.held {
				if n := strings.Count(reads.seen.String(), "mallory: flood"); n > 200 {
					t.Errorf("%d lines of the flood came before bob's", n)
				}
				row.Tried("%d lines", c.lines)
				row.Held("five at once, then two a second; other people's messages arrive")
				return
			}
			reads.sees(fmt.Sprintf("mallory: flood %d", c.lines-1))
			row.Control("all of %d with the limits off", c.lines)
		})
	}

}

// I paste without end, and without a newline, into a screen, a plain terminal and a pipe, also within a paste or a
// control string that never ends. It costs the server no memory and nobody else anything.
func TestAttackPasteWithoutEnd(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "endless paste, also inside control strings")
	s := startProcess(t, "", "--input-burst", "65536", "--input-rate", "1000000000") // as fast as it may: the worst for memory
	mallory, bob := s.register("mallory"), s.register("bob")
	before, _ := s.memory(t)
	block := bytes.Repeat([]byte("A"), 64<<10)
	ways := 0
	for name, begin := range map[string]string{"text": "", "a paste": "\x1b[200~", "OSC": "\x1b]0;", "DCS": "\x1bPq", "newlines of nothing": "\n\n\n"} {
		for _, term := range []string{"xterm", "dumb", ""} {
			ways++
			var o *openSession
			if term == "" {
				o = mallory.pipe()
			} else {
				o = mallory.open("\r", func(s *ssh.Session) error { return s.RequestPty(term, 24, 80, ssh.TerminalModes{}) })
			}
			if _, err := io.WriteString(o.typed, begin); err != nil {
				t.Fatal(err)
			}
			for range 48 { // 3 MiB in each of 15 ways
				if _, err := o.typed.Write(block); err != nil {
					t.Fatalf("%s into %q: %v", name, term, err)
				}
			}
			o.Close()
		}
	}
	if _, most := s.memory(t); most > before+64 && !raceDetector() {
		t.Errorf("from %d MiB to %d MiB", before, most)
	}
	healthy(t, s, bob)
	o := mallory.plain(80, 24)
	o.sees("Welcome") // and what was left in the input, which Ctrl+A Ctrl+K deletes
	o.typeln("\x01\x0b\x1b[200~a paste\nwith an end\x1b[201~")
	o.sees("with an end")
	row.Tried("3 MiB in each of %d ways", ways)
	row.Held("the server's memory does not grow, and other people's messages arrive")
	row.Control("a paste that ends is one message")
}

// I have the keys changed every few kilobytes while I talk and listen: nothing is lost, and nothing hangs.
func TestAttackRekeyUnderLoad(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "rekeying every 4 KiB under load")
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		Config: ssh.Config{RekeyThreshold: 4096}, User: "alice", Auth: []ssh.AuthMethod{ssh.PublicKeys(alice.signer)},
		HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	rekeying := &user{ssh.NewClient(c, channels, requests), t, s, "alice", alice.signer}
	defer rekeying.Close()
	reads := rekeying.pipe()
	bob.here("alice")
	var lines strings.Builder
	for i := range 400 {
		fmt.Fprintf(&lines, "line %d %s\n", i, strings.Repeat("x", 500))
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		if out, errs, code := bob.exec("say general -", lines.String()); code != 0 || strings.Count(out, "\n") != 400 {
			t.Errorf("bob: exit %d, %s", code, errs)
		}
	})
	if out, errs, code := rekeying.exec("say general -", lines.String()); code != 0 || strings.Count(out, "\n") != 400 {
		t.Errorf("alice: exit %d, %s", code, errs)
	}
	wait.Wait()
	reads.sees("bob: line 399")
	row.Tried("400 messages sent and as many received")
	row.Held("none is lost, and nothing hangs")
	row.Control("the same without rekeying")
}

// SIGTERM with a hundred people inside: each is told, what they said is stored, the server exits 0, and nobody gets in.
func TestAttackStopWithAHundredPeople(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "SIGTERM with users connected")
	s := startProcess(t, "")
	alice := s.register("alice")
	var open []*openSession
	for range 100 {
		open = append(open, s.login("alice", alice.signer).plain(80, 24))
	}
	open[99].sees("Welcome")
	open[0].typeln("the last words")
	open[99].sees("the last words")
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for _, o := range open {
		o.sees("The server is stopping")
	}
	if err := s.wait(); err != nil {
		t.Fatalf("%v\n%s", err, s.log)
	}
	if _, err := s.dialAs("alice", ssh.PublicKeys(alice.signer)); err == nil {
		t.Error("in after the end")
	}
	killed := startProcess(t, "")
	untold := killed.register("alice").plain(80, 24)
	untold.sees("Welcome")
	killed.kill()
	if <-untold.ended; strings.Contains(untold.seen.String(), "The server is stopping") {
		t.Error("control: who is connected to a server that is killed is told")
	}
	again := startServer(t, s.data)
	if out := again.login("alice", alice.signer).must("history --list general"); !strings.Contains(out, "1") {
		t.Errorf("the history: %q", out)
	}
	row.Tried("%d sessions", len(open))
	row.Held("each session is notified, all messages are stored, nobody gets in, exit 0")
	row.Control("kill -9 notifies nobody")
}

// The files of the process are used up by connections: those in it go on, and there is room again when some leave.
func TestAttackFilesUsedUp(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "use up the process's file descriptors")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "few-files")
	writeProgram(t, wrapper, "#!/bin/sh\nulimit -n 64\nexec "+self+" \"$@\"\n")
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	s := startServer(t, "")
	alice := s.register("alice")
	s.stop()
	s = startProgram(t, wrapper, s.data, "--key-exchange-timeout", "2s")
	alice = alice.at(s).soon("whoami")
	o := alice.pipe()
	o.typeln("all is well")
	o.sees("alice: all is well")
	const tried = 80
	for range tried {
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	waitFor(t, "want of files", func() bool { return strings.Contains(s.log.String(), "too many open files") })
	o.typeln("still here")
	o.sees("alice: still here")
	alice.soon("say general still well") // when the silent ones are cut off

	plenty, held := startServer(t, ""), 0
	for range tried {
		conn, err := net.Dial("tcp", plenty.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if taken(conn) {
			held++
		}
	}
	if held != tried {
		t.Errorf("control: %d of %d connections", held, tried)
	}
	row.Tried("%d connections, 64 files", tried)
	row.Held("open sessions continue, and there is room once some connections are closed")
	row.Control("%d are kept with enough file descriptors", held)
}

// What stock clients ask for that is no chat: files and tunnels. Each is refused at once and in words, and nothing hangs.
func TestAttackStockClientsGetNoFilesAndNoTunnels(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Connections, "files, tunnels, agents and a shell with stock clients")
	s := startServer(t, "")
	key := keyFile(t, "-t", "ed25519")
	s.registerWith(t, "alice", key)
	options := []string{"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-i", key}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	ssh := func(words ...string) []string {
		return append(append([]string{"ssh", "-p", s.port()}, options...), words...)
	}
	scp := func(words ...string) []string {
		return append(append([]string{"scp", "-P", s.port()}, options...), words...)
	}
	commands := map[string][]string{
		"scp": scp(file, "alice@127.0.0.1:file"), "scp -O": scp("-O", file, "alice@127.0.0.1:file"),
		"scp back":  scp("alice@127.0.0.1:/etc/passwd", file+"2"),
		"subsystem": ssh("-s", "alice@127.0.0.1", "netconf"),
		"-W":        ssh("-W", "127.0.0.1:22", "alice@127.0.0.1"),
		"-R":        ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:22", "alice@127.0.0.1"),
		"a shell":   ssh("alice@127.0.0.1", "cat /etc/passwd; id"),
	}
	for name, command := range commands {
		out, errs, code := runClient(t, "", command[0], command[1:]...)
		if code == 0 || strings.Contains(out, "root:") {
			t.Errorf("%s: exit %d\n%s%s", name, code, out, errs)
		}
	}
	if _, err := os.Stat(file + "2"); err == nil {
		t.Error("scp got a file")
	}
	flags := []string{"-A", "-X", "-Y"}
	for _, flag := range flags { // asked for by many people's settings: refused, and the command runs
		out, errs, code := runClient(t, "", "ssh", ssh(flag, "alice@127.0.0.1", "whoami")[1:]...)
		if code != 0 || !strings.HasPrefix(out, "alice") {
			t.Errorf("%s: exit %d\n%s%s", flag, code, out, errs)
		}
	}
	row.Tried("%d commands of ssh and scp", len(commands)+len(flags))
	row.Held("refused with a message, and nothing hangs")
	row.Control("whoami runs, also with -A, -X and -Y")
}
