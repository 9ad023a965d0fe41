package main

import (
	"crypto/rand"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/command"

	"golang.org/x/crypto/ssh"
)

// Bytes that are not UTF-8 get in nowhere: not by a command's words, not by its standard input, not by a session without
// a terminal. Each is refused with its reason and a code, and nothing of it is kept. The control is the same in UTF-8.
func TestAttackBytesGetInNowhere(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "bytes that are not UTF-8 in arguments, on standard input and with ssh -T")
	s := startServer(t, "")
	s.register("bob")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = alice.again(t)
	key := func(label string) string {
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))) + " " + label
	}
	count := alice.last()
	ways := []struct {
		line, stdin string
		code        int
	}{
		{"say general caf%", "", 2},
		{"say general -", "caf%\n", 1},
		{"say general -", "caf%", 1},
		{"say general -", "caf%\nafter it\n", 1},
		{"msg bob caf%", "", 2},
		{"msg bob -", "caf%\n", 1},
		{"edit general/1 caf%", "", 2},
		{"topic #general caf%", "", 2},
		{"motd set caf%", "", 2},
		{"motd set -", "one\ncaf%\n", 1},
		{"announce caf%", "", 2},
		{"away caf%", "", 2},
		{"set tz caf%", "", 2},
		{"join caf%", "", 2},
		{"key add " + key("caf%"), "", 2},
		{"key add -", key("caf%") + "\n", 1},
		{"user create carl " + key("caf%"), "", 2},
		{"user create carl -", key("caf%") + "\n", 1},
		{"user add-key bob -", key("caf%") + "\n", 1},
		{"", "caf%\n", 1},
		{"", "/topic caf%\n", 1},
		{"", "/msg bob caf%", 1},
	}
	for _, c := range ways {
		try := func(what string) (out string, code int) {
			line, stdin := strings.ReplaceAll(c.line, "%", what), strings.ReplaceAll(c.stdin, "%", what)
			if line == "" {
				return alice.again(t).script(stdin)
			}
			out, errs, code := alice.exec(line, stdin)
			return out + errs, code
		}
		for _, bytes := range []string{"\xe9", "\xff\xfe", "\xc3"} {
			if out, code := try(bytes); code != c.code || !strings.Contains(out, "not UTF-8") || strings.Contains(out, "caf\n") {
				t.Errorf("%.40q with %q: exit %d, want %d\n%s", c.line, bytes, code, c.code, out)
			}
		}
	}
	if n := alice.last(); n != count+1 {
		t.Errorf("%d messages were said", n-count-1)
	}
	for _, command := range []string{"topic #general", "motd", "inbox", "key list", "user list", "rooms", "whois alice", "set"} {
		if out, errs, _ := alice.exec(command, ""); strings.Contains(out+errs, "caf") || strings.Contains(out, "carl") {
			t.Errorf("%s: %s", command, out)
		}
	}
	if out, code := alice.again(t).script("/topic café\n/msg bob café\ncafé\n"); code != 0 || !strings.Contains(out, "alice: café") {
		t.Errorf("control: exit %d, %s", code, out)
	}
	row.Tried("%d ways, 3 kinds of bytes", len(ways))
	row.Held("refused with an error, and nothing is stored")
	row.Control("the same in UTF-8 is accepted")
}

// A file that is no text, sent by mistake: it is refused at its first line that is none, and not posted in pieces.
func TestAttackNoiseIsNoMessages(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "a binary file sent by mistake")
	s := startServer(t, "")
	alice := s.register("alice")
	before := alice.last()
	noise := make([]byte, 3000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	for i := range 13 { // as many lines, and none of them is text
		noise[i*230], noise[i*230+1] = 0xFF, '\n'
	}
	noise = append(noise, 0xFF)
	if _, errs, code := alice.exec("say general -", string(noise)); code != 1 || !strings.Contains(errs, "Nothing was sent.") {
		t.Errorf("say -: exit %d, %s", code, errs)
	}
	out, code := alice.again(t).script(strings.ReplaceAll(string(noise), "\n", "\xfe\n"))
	if code != 1 || strings.Contains(out, "alice: ") {
		t.Errorf("a script: exit %d, %s", code, out)
	}
	if n := alice.last(); n != before+1 {
		t.Errorf("%d messages were said", n-before-1)
	}
	lines := strings.Repeat("text\n", 13)
	if out, _, code := alice.exec("say general -", lines); code != 0 || strings.Count(out, "\n") != 13 {
		t.Errorf("control: exit %d, %s", code, out)
	}
	row.Tried("%d bytes of noise", len(noise))
	row.Held("refused at its first line; 0 messages")
	row.Control("%d lines of text become as many messages", strings.Count(lines, "\n"))
}

// onTerminal runs a command as ssh -tt does.
func (u *user) onTerminal(line string) (stdout, stderr string, code int) {
	u.t.Helper()
	sess, err := u.NewSession()
	if err != nil {
		u.t.Fatal(err)
	}
	if err := sess.RequestPty("xterm", 24, 80, ssh.TerminalModes{}); err != nil {
		u.t.Fatal(err)
	}
	return runIn(sess, line, "")
}

// onlyTerminalLines reports whether a terminal has changed the line ends of out. Sealed bytes hold any two by chance.
func onlyTerminalLines(out string) bool {
	n := strings.Count(out, "\r\n")
	return n > 0 && n == strings.Count(out, "\n")
}

// ssh -tt h backup >t.tar, or RequestTTY in somebody's configuration: what a terminal would change is refused there, with
// a code, and comes whole without one.
func TestAttackTerminalChangesNoBytes(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "a terminal that changes the bytes of a backup")
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = alice.again(t)
	alice.must("say general 'one\ntwo'")
	lines := map[string][]string{
		"backup": {"backup", "backup --with-host-keys"}, "head": {"head general"}, "hostkey records": {"hostkey records"},
		"history": {"history general", "history --tar", "history --tar general --since general/0"},
	}
	registry, tried := command.NewRegistry(), 0
	for _, e := range registry.Manual() {
		cmd, _, err := registry.Find(e.UIs&-e.UIs, e.Name)
		if err != nil || cmd.Bytes == nil {
			continue
		}
		for _, line := range lines[cmd.Name] {
			tried++
			out, errs, code := alice.onTerminal(line)
			if out != "" || code != 2 || !strings.Contains(errs, "Run ssh without -t") {
				t.Errorf("%s on a terminal: exit %d, %d bytes, %s", line, code, len(out), errs)
			}
			if out, errs, code := alice.exec(line, ""); code != 0 || out == "" && cmd.Name != "hostkey records" || onlyTerminalLines(out) {
				t.Errorf("%s without one: exit %d, %d bytes, %s", line, code, len(out), errs)
			}
		}
		if len(lines[cmd.Name]) == 0 {
			t.Errorf("%s prints bytes and is not tried", cmd.Name)
		}
	}
	if out, errs, code := alice.onTerminal("history --list general"); code != 0 || !strings.HasSuffix(out, "\r\n") {
		t.Errorf("control: exit %d, %q, %s", code, out, errs)
	}
	row.Tried("%d commands: all that print binary data", tried)
	row.Held("refused with an error")
	row.Control("text is printed there, with changed line ends")
}
