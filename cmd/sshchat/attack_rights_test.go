package main

import (
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

// I was an admin, and have a session open from that time, in which I go on as if I were one. I am refused at the next
// command, in the chat and by exec over the same connection, and it is in the audit log. So is it for who never was one.
// The control is that the same lines work before.
func TestAttackFormerAdminInAnOpenSession(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "keep using a session from before losing the admin role")
	s := startServer(t, "")
	alice := s.register("alice")
	alice.must("claim " + s.claimCode())
	bob, carol := s.register("bob"), s.register("carol")
	if _, _, code := bob.exec("mute carol 1h", ""); code != 3 {
		t.Errorf("a member mutes: exit %d", code)
	}
	alice.must("user set-role bob admin")
	screen, pipe := bob.plain(80, 24), bob.pipe()
	screen.typeln("/mute carol 1h")
	screen.sees("carol is muted")
	pipe.typeln("/unmute carol")
	pipe.sees("carol")
	bob.must("stats")

	alice.must("user set-role bob user")
	for _, session := range []*openSession{screen, pipe} {
		session.typeln("/mute carol 2h")
		session.sees("only moderators and admins can use /mute")
	}
	if out, errs, code := bob.exec("stats", ""); code != 3 || out != "" {
		t.Errorf("by exec: exit %d, %s%s", code, out, errs)
	}
	if out, errs, code := carol.exec("say general I can speak", ""); code != 0 {
		t.Errorf("carol is muted: %s%s", out, errs)
	}
	denied := 0
	for line := range strings.Lines(alice.must("audit --json")) {
		if strings.Contains(line, `"by":"bob"`) && strings.Contains(line, `"result":"denied"`) {
			denied++
		}
	}
	if denied != 4 { // one as a member, two in sessions, one by exec
		t.Errorf("%d refusals in the audit log, want 4", denied)
	}
	row.Tried("on a terminal, without one, and by a command over the same connection")
	row.Held("each command checks the account's present rights: %d refusals in the audit log", denied)
	row.Control("the same commands work before")
}
