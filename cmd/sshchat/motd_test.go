package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The message of the day is decided as all else is: by the command, by an edit of the file motd or of users.json, while the server
// runs or is stopped. It outlives a crash, and the file and users.json agree about it.
func TestMessageOfTheDayIsDecided(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	path := filepath.Join(s.data, "motd")
	shows := func(want string) {
		t.Helper()
		if got := strings.TrimSuffix(boss.must("motd"), "\n"); got != want {
			t.Errorf("the message is %q, not %q", got, want)
		}
		b, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(string(b)); got != want {
			t.Errorf("in the file is %q, not %q", got, want)
		}
		upToDate(s.data)
		users, err := os.ReadFile(filepath.Join(s.data, "users.json"))
		if err != nil {
			t.Fatal(err)
		}
		entry := `"motd":"` + strings.ReplaceAll(want, "\n", `\n`) + `"`
		if has := strings.Contains(string(users), entry); has != (want != "") || strings.Contains(string(users), `"motd"`) != has {
			t.Errorf("users.json has no %s:\n%s", entry, users)
		}
	}
	write := func(said string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(said+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again := func(data string) {
		t.Helper()
		s = startServer(t, data)
		path = filepath.Join(data, "motd")
		boss = s.login("boss", boss.signer)
	}
	shows("")
	boss.must("motd set by command")
	shows("by command")
	boss.plain(80, 24).sees("by command")
	crashed := t.TempDir()
	err := errors.Join(os.CopyFS(crashed, os.DirFS(s.data)), os.Chmod(filepath.Join(crashed, "ssh_host_ed25519_key"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	again(crashed)
	shows("by command")
	write("by hand\nin two lines")
	boss.must("reload")
	shows("by hand\nin two lines")
	s.edit(func(users map[string]any) { users["motd"] = "in users.json" })
	boss.must("reload")
	shows("in users.json")
	s.stop()
	write("while it was down")
	again(s.data)
	shows("while it was down")
	write(strings.Repeat("x", 5000))
	if _, errs, code := boss.exec("reload", ""); code != 1 || !strings.Contains(errs, "motd: ") {
		t.Errorf("a message that is too long: exit %d, %s", code, errs)
	}
	boss.must("motd set")
	shows("")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	boss.must("reload")
	shows("")
	if !strings.Contains(boss.must("audit --json"), `"do":"motd set","on":"by command"`) {
		t.Errorf("the audit log: %s", boss.must("audit --json"))
	}
}
