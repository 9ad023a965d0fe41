package main

import (
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

// I call my commands by names of my own: what I may not do, I may not do by those either, what it was is in the audit log under its
// true name, and nobody else's line becomes mine. The control is an admin, whose alias does what they may.
func TestAttackAliasGrantsNothing(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "run commands under names of my own")
	s := startServer(t, "")
	alice, mallory := s.register("alice"), s.register("mallory")
	alice.must("claim " + s.claimCode())
	alice = s.login("alice", alice.signer)
	s.register("bob")
	lines := []string{"/ban bob", "/user set-role mallory admin", "/reload", "/op mallory", "/announce hello", "/room delete general", "/key add --only say KEY"}
	bad := mallory.pipe()
	for i, line := range lines {
		name := "a" + string(rune('a'+i))
		mallory.must("alias " + name + " " + line)
		bad.typeln("/" + name)
	}
	mallory.must("alias loop /loop $* $*")
	bad.typeln("/loop " + strings.Repeat("x", 1000))
	bad.sees("unknown command /loop")
	for _, taken := range []string{"say", "help", "quit", "key", "user", "reload", "HELP"} { // also those that are only exec's, or begin one
		mallory.refused(1, "alias "+taken+" /quit")
	}
	for _, name := range []string{"../x", "a;b", "a=b", "-x", "a\\"} {
		if _, _, code := mallory.exec("alias -- '"+name+"' x", ""); code == 0 {
			t.Errorf("an alias is named %s", name)
		}
	}
	for i := range 60 {
		mallory.exec("alias n"+strings.Repeat("x", i)+" y", "")
	}
	if n := strings.Count(mallory.must("alias"), "\n"); n > 50 {
		t.Errorf("%d aliases are kept", n)
	}
	if got := alice.must("user info bob"); strings.Contains(got, "banned") {
		t.Errorf("bob was banned: %s", got)
	}
	if got := alice.must("user info mallory"); strings.Contains(got, "admin") {
		t.Errorf("mallory is %s", got)
	}
	if got := alice.must("audit 100"); !strings.Contains(got, "ban") || strings.Contains(got, " aa ") {
		t.Errorf("the audit log has\n%s", got)
	}
	good := alice.pipe()
	alice.must("alias aa /ban bob")
	good.typeln("/aa")
	good.sees("bob")
	waitFor(t, "bob's ban", func() bool { return strings.Contains(alice.must("banned"), "bob") })
	row.Tried("%d commands that one may not use, 7 names of commands, 5 names with signs, 60 aliases", len(lines))
	row.Held("what an alias stands for goes the way of every typed line; no alias replaces a command; 50 at most")
	row.Control("an admin's alias bans")
}
