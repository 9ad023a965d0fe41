package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sshchat/store/doctor"
)

// findings runs the doctor, and checks the form of each line and that its exit code follows from them.
func findings(t *testing.T, words ...string) string {
	t.Helper()
	out, errs, code := runHere(t, append([]string{"doctor"}, words...)...)
	fails := false
	for line := range strings.Lines(out) {
		if !regexp.MustCompile(`^(ok|warn|fail) +\S`).MatchString(line) {
			t.Errorf("a line of another form: %s", line)
		}
		fails = fails || strings.HasPrefix(line, "fail")
	}
	if (code == 1) != fails || code > 1 {
		t.Errorf("%s: exit %d, %s%s", words, code, out, errs)
	}
	return out
}

// The doctor finds nothing in what is in order, while the server runs and after it, and changes nothing.
func TestDoctorOfTheHealthy(t *testing.T) {
	t.Parallel()
	s := startProcess(t, "", "--listen", ownPort(t))
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice.must("say general hello")
	alice.must("backup")
	for _, running := range []bool{true, false} {
		waitFor(t, "accounts that are written", func() bool { return strings.Contains(readText(t, filepath.Join(s.data, "users.json")), `"admin"`) })
		before := filesOf(t, s.data)
		out := findings(t, "--data", s.data, "--listen", s.addr)
		if strings.Contains(out, "fail ") || strings.Contains(out, "chmod") {
			t.Errorf("running %v:\n%s", running, out)
		}
		for _, want := range []string{"there is an admin", "host key SHA256:", "accounts are intact", "history is intact: ", "last backup on "} {
			if !strings.Contains(out, "ok    "+want) {
				t.Errorf("running %v: it does not say %q:\n%s", running, want, out)
			}
		}
		want := "the server listens on " + s.addr
		if !running {
			want = s.addr + " is free"
		}
		if !strings.Contains(out, "ok    "+want) || strings.Contains(out, "no server is running") == running {
			t.Errorf("running %v, and it does not say %q:\n%s", running, want, out)
		}
		if after := filesOf(t, s.data); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("running %v: it changed the folder: %v, and before %v", running, after, before)
		}
		if running {
			s.stop()
		}
	}
	out, _, code := runHere(t, "doctor", "--data", s.data, "--listen", s.addr, "--json")
	for line := range strings.Lines(out) {
		var f doctor.Finding
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.What == "" || f.Level == doctor.Fail {
			t.Errorf("%s: %v", line, err)
		}
	}
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	missing := filepath.Join(t.TempDir(), "none")
	if got := findings(t, "--data", missing, "--listen", s.addr); !strings.Contains(got, "does not exist") {
		t.Errorf("a folder that does not exist:\n%s", got)
	}
	if _, err := os.Lstat(missing); err == nil {
		t.Error("it was made")
	}
}

// Each thing that is wrong is found, with what to do about it, which then mends it.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	replace := func(name, from, to string) func(string) error {
		return func(data string) error {
			path := filepath.Join(data, name)
			content := readText(t, path)
			changed := strings.ReplaceAll(content, from, to)
			if changed == content {
				return fmt.Errorf("%s has no %s", name, from)
			}
			return os.WriteFile(path, []byte(changed), 0o600)
		}
	}
	chmod := func(name string, mode os.FileMode) func(string) error {
		return func(data string) error { return os.Chmod(filepath.Join(data, name), mode) }
	}
	config := func(content string, mode os.FileMode) func(string) error {
		return func(data string) error {
			path := filepath.Join(data, "sshchat.toml")
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				return err
			}
			return os.Chmod(path, mode)
		}
	}
	for name, c := range map[string]struct {
		wrong func(data string) error
		finds string
	}{
		"nothing":              {func(string) error { return nil }, ""},
		"an open folder":       {chmod("", 0o755), `fail  data folder .* is open to other users \(mode 0755\)  → chmod 700 `},
		"open accounts":        {chmod("users.json", 0o640), `fail  .*users.json is open to other users \(mode 0640\)  → chmod go-rwx `},
		"an open host key":     {chmod("ssh_host_ed25519_key", 0o644), `fail  .*host key .* can be read or written by other users`},
		"no host key":          {func(data string) error { return os.Remove(filepath.Join(data, "ssh_host_ed25519_key")) }, `fail  the host key is missing: .*  → put the old key back`},
		"another kind of file": {func(data string) error { return os.Mkdir(filepath.Join(data, "state.json.bad"), 0o700) }, `fail  .*state.json.bad is not a regular file`},
		"a damaged history":    {replace("message_history.json", `"seq":`, `"seq":1`), `fail  history: message_history.json.*  → restore a backup`},
		"newer accounts":       {replace("users.json", "sshchat-users/2", "sshchat-users/9"), `fail  accounts: .*newer`},
		"no admin": {func(data string) error {
			return errorsOf(os.Remove(filepath.Join(data, "changes.jsonl")), replace("users.json", `"role":"admin"`, `"role":"user"`)(data))
		}, `warn  there is no admin  → claim it|fail  history: `},
		"a clock that is behind": {func(data string) error {
			return os.WriteFile(filepath.Join(data, "clock"), []byte("2099-01-01T00:00:00Z\n"), 0o600)
		}, `fail  clock shows .* before what the server has seen  → set the clock`},
		"a clock that is ahead": {func(data string) error {
			return os.WriteFile(filepath.Join(data, "clock"), []byte("2020-01-01T00:00:00Z\n"), 0o600)
		}, `warn  clock shows .* days after the server last ran`},
		"a setting":                   {config("nme = 3\n", 0o600), `fail  settings: .*line 1: unknown setting "nme"`},
		"an open configuration":       {config("name = \"x\"\n", 0o666), `fail  .*sshchat.toml can be changed by other users  → chmod go-w `},
		"a port that is taken":        {config(fmt.Sprintf("listen = %q\n", taken.Addr()), 0o600), `fail  127\.0\.0\.1:\d+ is taken by process ` + fmt.Sprint(os.Getpid()) + ` \(`},
		"a port of another machine":   {config("listen = \"192.0.2.1:2222\"\n", 0o600), `fail  192\.0\.2\.1:2222: .*  → name an address of this machine`},
		"not enough files to be open": {config("max-startups = 1000000000\n", 0o600), `fail  limit of open files here is \d+: .*  → raise it to \d+`},
		"everybody is a balancer":     {config("proxy-from = \"0.0.0.0/0\"\n", 0o600), `warn  .*everybody in 0\.0\.0\.0/0 can choose the address`},
	} {
		data, _, _ := keptFolder(t, "format-2")
		if err := c.wrong(data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		words := []string{"--data", data}
		if !strings.HasPrefix(name, "a port") {
			words = append(words, "--listen", "127.0.0.1:0")
		}
		out := findings(t, words...)
		if c.finds == "" {
			if strings.Contains(out, "fail ") {
				t.Errorf("%s:\n%s", name, out)
			}
		} else if !regexp.MustCompile(`(?m)^(` + c.finds + `)`).MatchString(out) {
			t.Errorf("%s is not found as %s:\n%s", name, c.finds, out)
		}
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
