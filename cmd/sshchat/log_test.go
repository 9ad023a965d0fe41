//go:build linux

package main

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The setting decides what is logged, and takes effect on reload.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	set := func(level string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(data, configFile), []byte("log-level = \""+level+"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("warn")
	s := startServer(t, data)
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	if log := s.log.String(); strings.Contains(log, " INFO ") || !strings.Contains(log, "listening on") {
		t.Errorf("at warn:\n%s", log)
	}
	if s.passwordFrom("127.0.0.3", "boss", "wrong but long enough") == nil {
		t.Fatal("in")
	}
	waitFor(t, "a warning", func() bool { return strings.Contains(s.log.String(), "WARN  login failed") })
	set("info")
	boss.must("reload")
	waitFor(t, "information after reload", func() bool { return strings.Contains(s.log.String(), " INFO ") })
	set("error")
	boss.must("reload")
	before := s.log.String()
	if s.passwordFrom("127.0.0.3", "boss", "wrong but long enough") == nil {
		t.Fatal("in")
	}
	s.register("alice")
	if more := strings.TrimPrefix(s.log.String(), before); strings.Contains(more, "WARN") || strings.Contains(more, "login") {
		t.Errorf("at error:\n%s", more)
	}
	if _, errs, code := runHere(t, "config", "check", "--log-level", "loud"); code != 2 || !strings.Contains(errs, "error, warn, info or debug") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// Under systemd the log has fields in the journal, by which a line is found; what it says is what it says elsewhere, so that the filter
// of fail2ban finds it, too.
func TestLogInTheJournal(t *testing.T) {
	t.Parallel()
	socket := socketPath(t)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var mu sync.Mutex
	var lines []string
	go func() { // ends when the socket is closed
		b := make([]byte, 64<<10)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			lines = append(lines, string(b[:n]))
			mu.Unlock()
		}
	}()
	line := func(with ...string) string {
		mu.Lock()
		defer mu.Unlock()
	next:
		for _, l := range lines {
			for _, w := range with {
				if !strings.Contains("\n"+l, "\n"+w) {
					continue next
				}
			}
			return l
		}
		return ""
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, "")
	cmd := exec.Command("sh", append([]string{"-c", `JOURNAL_STREAM=$(stat -Lc %d:%i /proc/self/fd/2) exec "$0" "$@"`, self}, s.args(nil)...)...)
	cmd.Env = append(os.Environ(), "SSHCHAT_TEST_JOURNAL="+socket)
	s.start(cmd)
	alice := s.register("alice")
	alice.must("whoami")
	if s.passwordFrom("127.0.0.9", "alice", "wrong but long enough") == nil {
		t.Fatal("in")
	}
	waitFor(t, "a failed login in the journal", func() bool {
		return line("PRIORITY=4\n", "SYSLOG_IDENTIFIER=sshchat\n", "MESSAGE=WARN  login failed source=127.0.0.9 method=password name=alice\n",
			"SSHCHAT_SOURCE=127.0.0.9\n", "SSHCHAT_METHOD=password\n", "SSHCHAT_NAME=alice\n") != ""
	})
	waitFor(t, "a login in the journal", func() bool { return line("PRIORITY=6\n", "SSHCHAT_METHOD=publickey\n", "SSHCHAT_NAME=alice\n") != "" })
	if log := s.log.String(); strings.Contains(log, "login") || !strings.Contains(log, "listening on") {
		t.Errorf("what the journal has is on standard error, too:\n%s", log)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, l := range lines {
		if _, rest, multi := strings.Cut(l, "\nMESSAGE\n"); multi && binary.LittleEndian.Uint64([]byte(rest)) > uint64(len(rest)) {
			t.Errorf("%q has a wrong length", l)
		}
	}
}
