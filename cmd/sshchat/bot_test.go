package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// The example bots answer each ping once, whether they were there when the ping came, or away, or the server was.
func TestBotAnswersOnce(t *testing.T) {
	t.Parallel()
	for _, needed := range []string{"ssh", "jq", "age", "tar"} {
		client(t, needed)
	}
	t.Run("shell", func(t *testing.T) {
		t.Parallel()
		answersOnce(t, func(s *testServer, key, state string) []string {
			return []string{"../../examples/pingbot.sh", key, state, "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
				"-o", "LogLevel=ERROR", "-p", s.port(), "bot@127.0.0.1"}
		})
	})
	program := exampleProgram(t, "pingbot")
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		answersOnce(t, func(s *testServer, key, state string) []string {
			known := state + ".known"
			line := "[127.0.0.1]:" + s.port() + " " + readText(t, filepath.Join(s.data, "ssh_host_ed25519_key.pub"))
			if err := os.WriteFile(known, []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{program, "-key", key, "-state", state, "-known", known, "bot@127.0.0.1:" + s.port()}
		})
	})
}

// exampleProgram returns a program of the examples in Go. They are built together, once.
func exampleProgram(t *testing.T, name string) string {
	t.Helper()
	folder, err := builtExamples()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(folder, name)
}

// builtExamples makes a folder that TestMain removes.
var builtExamples = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "sshchat-examples-")
	if err != nil {
		return "", err
	}
	removeAtEnd = append(removeAtEnd, folder)
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", folder, "../../examples/pingbot", "../../examples/hook").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the examples: %w\n%s", err, out)
	}
	return folder, nil
})

// answersOnce puts the bot of that command line through all it must stand.
func answersOnce(t *testing.T, command func(s *testServer, key, state string) []string) {
	at := ownPort(t)
	s := startServer(t, "", "--listen", at)
	alice, key := s.register("alice"), keyFile(t, "-t", "ed25519")
	s.registerWith(t, "bot", key)
	state := filepath.Join(t.TempDir(), "state")
	pings, before := 0, 0 // in all, and those that were answered before alice came in
	last := ""            // the message after the last of them
	var room *openSession
	enters := func(answered int) {
		before = answered
		room = alice.pipe()
		room.typeln("/who")
		room.sees("alice")
	}
	ping := func() {
		pings++
		alice.must("say general !ping")
		last = strings.TrimSpace(alice.must(fmt.Sprint("say general between ", pings)))
	}
	answered := func() {
		t.Helper()
		waitFor(t, fmt.Sprint("answer to ping ", pings), func() bool {
			noted, err := os.ReadFile(state) // what it has not noted it answers again
			return err == nil && before+strings.Count(room.seen.String(), "bot: alice: pong") >= pings &&
				seqOf(t, string(noted)) >= seqOf(t, last)
		})
	}

	enters(0)
	ping() // before the bot ever came
	bot := startBot(t, command(s, key, state)...)
	answered()
	ping() // while it is there
	answered()
	endBot(t, bot)
	ping()
	s = s.again("--listen", at) // memory is gone, and so is the bot
	alice = s.login("alice", alice.signer)
	enters(pings - 1)
	ping()
	bot = startBot(t, bot.Args...)
	answered()
	s = s.again("--listen", at) // now the server goes away under the bot
	alice = s.login("alice", alice.signer)
	enters(pings)
	ping()
	answered()
	endBot(t, bot)
	if got := strings.Count(s.said(t, key), "alice: pong"); got != pings {
		t.Errorf("%d answers to %d pings", got, pings)
	}
}

// seqOf is the number of a message, as 12 or general/12.
func seqOf(t *testing.T, id string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimPrefix(strings.TrimSpace(id), "general/"))
	if err != nil {
		t.Fatal(err)
	}
	return n
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
	bot.Stderr = t.Output()
	bot.SysProcAttr = ownGroup()
	if err := bot.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { signalGroup(bot.Process.Pid, syscall.SIGKILL); bot.Wait() })
	return bot
}

func endBot(t *testing.T, bot *exec.Cmd) {
	t.Helper()
	if err := signalGroup(bot.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	bot.Wait() // ended by a signal
}
