package main

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The example bot answers each ping once, whether it was there when the ping came, or away, or the server was.
func TestBotAnswersOnce(t *testing.T) {
	for _, needed := range []string{"ssh", "jq", "age", "tar"} {
		client(t, needed)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that the server comes back to
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	s := startServer(t, "", "--listen", at)
	alice, key := s.register("alice"), keyFile(t, "-t", "ed25519")
	s.registerWith(t, "bot", key)
	state := filepath.Join(t.TempDir(), "state")
	pings := 0
	ping := func() {
		pings++
		alice.must("say general !ping")
		alice.must(fmt.Sprint("say general between ", pings))
	}
	answered := func() {
		t.Helper()
		waitFor(t, fmt.Sprint("answer to ping ", pings), func() bool { return strings.Count(s.said(t, key), "alice: pong") >= pings })
	}

	ping() // before the bot ever came
	bot := startBot(t, "../../examples/pingbot.sh", key, state, "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-p", s.port(), "bot@127.0.0.1")
	answered()
	ping() // while it is there
	answered()
	endBot(t, bot)
	ping()
	s.stop() // memory is gone, and so is the bot
	s = startServer(t, s.data, "--listen", at)
	alice = s.login("alice", alice.signer)
	ping()
	bot = startBot(t, bot.Args...)
	answered()
	s.stop() // now the server goes away under the bot
	s = startServer(t, s.data, "--listen", at)
	alice = s.login("alice", alice.signer)
	ping()
	answered()
	endBot(t, bot)
	if got := strings.Count(s.said(t, key), "alice: pong"); got != pings {
		t.Errorf("%d answers to %d pings", got, pings)
	}
}

// said is everything sealed to the bot in #general, opened.
func (s *testServer) said(t *testing.T, key string) string {
	t.Helper()
	archive := s.login("bot", signerOf(t, key)).must("history --tar general")
	out, _, _ := runClient(t, archive, "tar", "x", "--to-command=age -d -i "+key)
	return out
}

// startBot runs a bot in a process group of its own.
func startBot(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	bot := exec.Command(args[0], args[1:]...)
	bot.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-bot.Process.Pid, syscall.SIGKILL); bot.Wait() })
	return bot
}

func endBot(t *testing.T, bot *exec.Cmd) {
	t.Helper()
	if err := syscall.Kill(-bot.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	bot.Wait() // ended by a signal
}
