package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// forgeries are names that would be lines of the log, or would have fail2ban see another address.
var forgeries = []string{
	"x\n2026-11-24T07:30:00Z WARN login failed source=192.0.2.66 method=password name=root",
	"x source=192.0.2.66 method=password name=root",
	"\r\x1b[2K2026-11-24T07:30:00Z WARN login failed source=192.0.2.66 method=password name=root",
	`x" source=192.0.2.66 method=password name="root`,
	"WARN login failed source=192.0.2.66 method=password name=",
	"x\u2028WARN login failed source=192.0.2.66 method=password name=",
}

// I send names, and everything else a client may say, that would be lines of the log. fail2ban must see my failures, with
// my address, and no other.
func TestAttackLogLinesAreNotForged(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "forge a log line")
	filter := client(t, "fail2ban-regex")
	alice := newSigner(t)
	s := startServer(t, "", "--registration", "closed", "--admin", "root="+writePublic(t, alice))
	for _, name := range forgeries {
		if s.passwordFrom("127.0.0.9", name, "wrong but long enough") == nil {
			t.Fatal("in")
		}
	}
	for i := range 3 {
		if s.passwordFrom("127.0.0.7", fmt.Sprintf("user%d", i), "wrong but long enough") == nil {
			t.Fatal("in")
		}
	}
	waitFor(t, "nine lines", func() bool { return strings.Count(s.log.String(), "login failed source=127.0.0.") >= 9 })
	open := startServer(t, "") // and a server where I can have an account
	u := open.login("mallory", alice)
	if _, _, code := u.exec("register", ""); code != 0 {
		t.Fatal("register")
	}
	mallory := open.login("mallory", alice)
	for _, text := range forgeries {
		mallory.exec("say general "+text, "")
		mallory.exec("topic "+text, "")
		mallory.exec(text, "")
		mallory.exec("key add "+text, "")
	}
	if _, err := ssh.Dial("tcp", open.addr, &ssh.ClientConfig{
		User: "mallory", Auth: []ssh.AuthMethod{ssh.PublicKeys(alice)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
		ClientVersion: "SSH-2.0-WARN login failed source=192.0.2.66 method=password name=",
	}); err != nil {
		t.Fatal(err)
	}
	inJournal := strings.ReplaceAll("\n"+strings.TrimSuffix(s.log.String(), "\n"), "\n", "\nchat sshchat[4711]: ")[1:] + "\n"
	inFields := regexp.MustCompile(`(?m)^(chat sshchat\[4711\]:) \S+ +`).ReplaceAllString(inJournal, "$1 ")
	type kept struct {
		log   string
		lines int
	}
	logs := map[string]kept{"failures": {s.log.String(), 9}, "the same from the journal": {inJournal, 9}, "the same with fields": {inFields, 9}, "no failures": {open.log.String(), 0}}
	if !long { // fail2ban-regex takes half a second to start: all in one
		logs = map[string]kept{"failures in three forms, and none": {s.log.String() + inJournal + inFields + open.log.String(), 27}}
	}
	for name, c := range logs {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, []byte(c.log), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, _ := runClient(t, "", filter, "-v", path, "../../deploy/fail2ban/filter.d/sshchat.conf")
		if strings.Contains(out, "|      192.0.2.66") {
			t.Errorf("%s: an address that I chose:\n%s", name, out)
		}
		if n := strings.Count(out, "|      127.0.0."); n != c.lines || !strings.Contains(out, "Results") {
			t.Errorf("%s: %d matches, want %d:\n%s%s\n%s", name, n, c.lines, out, errs, c.log)
		}
	}
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(s.log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _, _ := runClient(t, "", filter, "-v", path, "^.*source=<HOST> method=pass"); !strings.Contains(out, "192.0.2.66") {
		t.Errorf("control: a careless filter finds no address that I chose:\n%s", out)
	}
	for line := range strings.Lines(s.log.String() + open.log.String()) {
		if strings.Contains(line, "login failed") && !regexp.MustCompile(`^\S+ WARN +login failed source=127\.0\.0\.[79] method=`).MatchString(line) {
			t.Errorf("a line that is not the server's: %q", line)
		}
	}
	row.Tried("%d texts, as names and in every field that a client sends", len(forgeries))
	row.Held("fail2ban sees only the real address")
	row.Control("a careless filter is deceived")
}

// The jail starts beside the unit, whose log is in the journal: fail2ban does not where a file that is named is not there.
func TestJailGoesWithTheUnit(t *testing.T) {
	t.Parallel()
	fail2ban := client(t, "fail2ban-client")
	const installed = "/etc/fail2ban"
	config := filepath.Join(t.TempDir(), "fail2ban")
	if err := os.CopyFS(config, os.DirFS(installed)); err != nil {
		t.Skipf("%s: %v", installed, err)
	}
	if err := os.RemoveAll(filepath.Join(config, "jail.d")); err != nil { // others' jails
		t.Fatal(err)
	}
	if err := os.CopyFS(config, os.DirFS("../../deploy/fail2ban")); err != nil {
		t.Fatal(err)
	}
	out, errs, code := runClient(t, "", fail2ban, "-c", config, "-d")
	if code != 0 || !strings.Contains(out, "['add', 'sshchat', 'systemd']") || strings.Contains(errs, "ERROR") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
}

// writePublic writes the public key to a file and returns its path.
func writePublic(t testing.TB, signer ssh.Signer) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The control: a filter that trusts what comes after the name believes me.
func TestCarelessFilterIsForged(t *testing.T) {
	t.Parallel()
	line := `2026-11-24T07:30:00Z WARN login failed source=127.0.0.9 method=password name="x source=192.0.2.66 method=password name=root"`
	if m := regexp.MustCompile(`source=(\S+) method=\S+ name=root`).FindStringSubmatch(line); m == nil || m[1] != "192.0.2.66" {
		t.Errorf("matched %v", m)
	}
}
