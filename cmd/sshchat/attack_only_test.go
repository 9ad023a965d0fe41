package main

import (
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// I have found a bot's key, which is for saying things in #ci. It must do that and nothing else: not in another room, not
// another command, not a session, not what would make it more. The control is the account's other key.
func TestAttackRestrictedKey(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "a stolen bot key, restricted to one room")
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	alice.must("join #ci")
	found := newSigner(t)
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(found.PublicKey())))
	if _, errs, code := alice.exec("key add --only everything:at:once "+line, ""); code != 2 || !strings.Contains(errs, "say:#ci") {
		t.Errorf("a restriction that is none: exit %d, %s", code, errs)
	}
	alice.must("key add --only say:#ci,follow:#ci " + line)
	if out := alice.must("key list"); !strings.Contains(out, "for say:#ci,follow:#ci only") {
		t.Errorf("key list: %s", out)
	}
	bot := s.login("alice", found)
	if out := bot.must("say #ci the build is green"); !strings.HasPrefix(out, "ci/") {
		t.Errorf("say: %q", out)
	}
	bot.must("say ci again")
	commands := []string{
		"say general hello", "say '#general' hello", `say "general" #ci`, "say #general #ci", "msg alice hello", "key list", "key add " + line, "user list", "history ci", "history --tar",
		"follow", "follow ci general", "passwd", "identity", "ban bob", "inbox", "set bell all", "join ops", "account delete", "totp enable", "SAY general x",
	}
	for _, command := range commands {
		out, errs, code := bot.exec(command, "")
		if code == 0 || out != "" {
			t.Errorf("%s: exit %d, %s%s", command, code, out, errs)
		}
		if _, _, code := alice.exec("say general hello", ""); code != 0 {
			t.Error("the control: the other key may not either")
		}
	}
	for _, open := range []func() *openSession{bot.startPipe, func() *openSession { return bot.plain(80, 24) }} {
		o := open()
		o.sees("this key may only be used for say:#ci,follow:#ci")
		closes(t, "a session with a restricted key", func() error { return <-o.ended })
	}
	if out := alice.must("audit"); !strings.Contains(out, "user list") || !strings.Contains(out, "denied") {
		t.Errorf("the audit log: %s", out)
	}
	row.Tried("%d commands, 2 sessions", len(commands))
	row.Held("it runs only the commands it is restricted to")
	row.Control("it posts in its room; the account's other key posts everywhere")
}
