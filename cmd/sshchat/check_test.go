package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// start runs the program with settings that it must refuse: where it does not, it ends at once, and what it made shows.
func start(t *testing.T, data string, args ...string) (stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs bytes.Buffer
	code = run(ctx, append([]string{"--data", data}, args...), strings.NewReader(""), io.Discard, &errs)
	return errs.String(), code
}

// A setting that cannot be is named, with code 2 if that shows without trying, and nothing has been made.
func TestBadSettingsLeaveNothingBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	empty, damaged := filepath.Join(dir, "empty.pub"), filepath.Join(dir, "damaged.pub")
	for path, text := range map[string]string{empty: "# nothing\n", damaged: "ssh-ed25519 AAAA alice\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--listen", "2222"}, 2}, {[]string{"--listen", ""}, 2}, {[]string{"--listen", "127.0.0.1:x"}, 2},
		{[]string{"--listen", "127.0.0.1:70000"}, 2}, {[]string{"--listen", "127.0.0.1:"}, 2},
		{[]string{"--listen", taken.Addr().String()}, 1}, {[]string{"--listen", "192.0.2.1:2222"}, 1},
		{[]string{"--metrics", "9222"}, 2}, {[]string{"--metrics", "0.0.0.0:9222"}, 2}, {[]string{"--metrics", "localhost.invalid:9222"}, 2},
		{[]string{"--metrics", taken.Addr().String()}, 1},
		{[]string{"--admin", "alice"}, 2}, {[]string{"--admin", "jane.doe=" + empty}, 2}, {[]string{"--admin", "alice=" + dir + "/none"}, 2},
		{[]string{"--admin", "alice=" + empty}, 2}, {[]string{"--admin", "alice=" + damaged}, 2},
		{[]string{"--registration", "maybe"}, 2}, {[]string{"--log-format", "xml"}, 2}, {[]string{"--data", ""}, 2},
		{[]string{"--name", ""}, 2}, {[]string{"--name", "two\nlines"}, 2}, {[]string{"--name", strings.Repeat("x", 65)}, 2},
		{[]string{"--address", "\x1b[2J"}, 2}, {[]string{"--name", "caf\xe9"}, 2},
		{[]string{"--min-password-length", "7"}, 2}, {[]string{"--min-password-length", "2000"}, 2}, {[]string{"--work-factor", "99"}, 2},
		{[]string{"--window", "-1"}, 2}, {[]string{"--window", "many"}, 2}, {[]string{"--history-rotate", "big"}, 2},
		{[]string{"--history-keep", "0d"}, 2}, {[]string{"--dormant", "-1h"}, 2}, {[]string{"--per-source-penalty-exempt-list", "everybody"}, 2},
		{[]string{"--max-sessions", "0"}, 2}, {[]string{"--max-password-tries", "-3"}, 2}, {[]string{"--max-startups-reserved", "100"}, 2},
		{[]string{"--max-startups", "10:101:100"}, 2}, {[]string{"--max-startups", "10:NaN:100"}, 2}, {[]string{"--max-startups", "10:0:100"}, 2},
		{[]string{"--max-startups", "0:30:100"}, 2}, {[]string{"--max-startups", "101:30:100"}, 2}, {[]string{"--max-startups", "10:30"}, 2},
		{[]string{"--per-source-penalties", "maybe"}, 2}, {[]string{"--per-source-penalties", "authfail:soon"}, 2}, {[]string{"--per-source-penalties", "crash:90s"}, 2},
		{[]string{"--per-source-penalties", "min:2m max:1m"}, 2}, {[]string{"--client-alive-count-max", "0"}, 2}, {[]string{"--config", "/nowhere/sshchat.toml"}, 2},
		{[]string{"--message-burst", "0"}, 2}, {[]string{"--message-rate", "0"}, 2}, {[]string{"--input-rate", "NaN"}, 2}, {[]string{"--command-rate", "+Inf"}, 2},
		{[]string{"--login-grace-time", "0s"}, 2}, {[]string{"--client-alive-interval", "-1s"}, 2}, {[]string{"--fail-delay", "-1s"}, 2},
		{[]string{"--nonsense", "x"}, 2},
	} {
		data := filepath.Join(t.TempDir(), "data")
		errs, code := start(t, data, append([]string{"--listen", "127.0.0.1:0"}, c.args...)...)
		if flag := c.args[0]; code != c.code || !strings.Contains(errs, flag) {
			t.Errorf("%q: exit %d, want %d: %s", c.args, code, c.code, errs)
		}
		if _, err := os.Lstat(data); err == nil {
			t.Errorf("%q: it made the folder", c.args)
		}
	}
}

// A number that nobody has thought about has bounds: the check goes through the settings there are.
func TestEveryNumberHasBounds(t *testing.T) {
	t.Parallel()
	if _, err := settingsOf(t); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	numbers := 0
	for _, row := range newSettings().table() {
		bad := "-1"
		switch row.value.(type) {
		case *number, *rate:
		case *span:
			bad = "-1s"
		default:
			continue
		}
		numbers++
		if _, err := settingsOf(t, "--"+row.name, bad); err == nil || !strings.Contains(err.Error(), "--"+row.name+": ") {
			t.Errorf("--%s %s: %v", row.name, bad, err)
		}
	}
	if numbers < 30 {
		t.Errorf("%d numbers", numbers)
	}
}

// settingsOf loads settings from flags alone.
func settingsOf(t *testing.T, args ...string) (*settings, error) {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	addFlags(flags)
	if err := flags.Parse(append([]string{"--data", filepath.Join(t.TempDir(), "data")}, args...)); err != nil {
		t.Fatal(err)
	}
	return sources{flags: flags}.load()
}

// What the environment sets is named as it was set.
func TestBadSettingOfTheEnvironment(t *testing.T) {
	for name, value := range map[string]string{"SSHCHAT_LISTEN": "2222", "SSHCHAT_MAX_SESSIONS": "0", "SSHCHAT_SESSIONS": "0", "SSHCHAT_WINDOW": "many", "SSHCHAT_REGISTRATION": "maybe"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			data := filepath.Join(t.TempDir(), "data")
			if errs, code := start(t, data); code != 2 || !strings.Contains(errs, name+": ") {
				t.Errorf("exit %d: %s", code, errs)
			}
			if _, err := os.Lstat(data); err == nil {
				t.Error("it made the folder")
			}
		})
	}
}

// A restore without host keys: the operator reads it before the users do. The first start of a new folder is no such thing,
// nor is a start that fails before, which makes no key that would hide it the next time.
func TestRestoreWithoutHostKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	if log := s.log.String(); strings.Contains(log, "WARN") {
		t.Errorf("control: a new folder: %s", log)
	}
	s.stop()
	for _, suffix := range []string{"", ".pub"} {
		if err := os.Remove(filepath.Join(s.data, "ssh_host_ed25519_key"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(s.data, "users.json")
	good, err := os.ReadFile(users)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(users, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	damaged := exec.Command(self, "--listen", "127.0.0.1:0", "--data", s.data)
	damaged.Env = append(os.Environ(), "SSHCHAT_TEST_MAIN=1")
	if out, err := damaged.CombinedOutput(); err == nil || strings.Contains(string(out), "WARN") {
		t.Fatalf("damaged: %v: %s", err, out)
	}
	if err := os.WriteFile(users, good, 0o600); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, s.data)
	for _, words := range []string{"WARN", "\nWARNING: ", "backup --with-host-keys"} {
		if log := s.log.String(); !strings.Contains(log, words) {
			t.Errorf("no %q in:\n%s", words, log)
		}
	}
	if s = s.again(); strings.Contains(s.log.String(), "WARN") {
		t.Errorf("again: %s", s.log)
	}
}
