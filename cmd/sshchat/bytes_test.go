package main

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// Bytes that are not UTF-8 get in nowhere: not by a command's words, not by its standard input, not by a session without
// a terminal. Each is refused with its reason and a code, and nothing of it is kept. The control is the same in UTF-8.
func TestAttackBytesGetInNowhere(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	s.register("bob")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice = alice.again(t)
	key := func(label string) string {
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(newSigner(t).PublicKey()))) + " " + label
	}
	count := alice.last()
	for _, c := range []struct {
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
	} {
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
}

// A file that is no text, sent by mistake: it is refused at its first line that is none, and not posted in pieces.
func TestAttackNoiseIsNoMessages(t *testing.T) {
	t.Parallel()
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
}
