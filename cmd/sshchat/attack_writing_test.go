package main

import (
	"io"
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

// My link dropped while I was typing, or so I say: I want to read what others were typing when theirs did, under their name made anew,
// with my own account, by a command, or after I was put out. The control is the person who comes back.
func TestAttackDraftsOfOthers(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "read what others were typing when their connection was lost")
	s := startServer(t, "")
	root := s.register("root1")
	root.must("claim " + s.claimCode())
	root = s.login("root1", root.signer)
	mallory := s.register("mallory")
	const secret = "a half-finished secret"
	// typing has a person lose their connection while they type, with another one there for the rest of it.
	typing := func(name string) *user {
		u := s.register(name)
		o := u.plain(80, 24)
		o.sees("Welcome")
		io.WriteString(o.typed, secret)
		o.sees(secret)
		u.drops()
		return s.login(name, u.signer)
	}
	// reads opens a session, and returns all that it shows.
	reads := func(u *user) string {
		o := u.plain(80, 24)
		o.sees("Welcome")
		o.typeln("/version")
		o.sees("sshchat")
		defer o.Close()
		return o.seen.String()
	}
	alice := typing("alice")
	if seen := reads(mallory); strings.Contains(seen, secret) || strings.Contains(seen, "draft") {
		t.Errorf("mallory sees %q", seen)
	}
	for _, line := range []string{"history general", "search secret", "inbox", "set", "whois alice"} {
		if out, errs, _ := mallory.exec(line, ""); strings.Contains(out+errs, secret) {
			t.Errorf("%s: %s%s", line, out, errs)
		}
	}
	pipe := alice.pipe() // a script's session takes nothing of it
	pipe.typeln("hello")
	pipe.sees("alice: hello")
	if strings.Contains(pipe.seen.String(), secret) {
		t.Error("a script is given the draft")
	}
	if seen := reads(alice); !strings.Contains(seen, "Your draft is back.") || !strings.Contains(seen, secret) {
		t.Errorf("the control: alice sees %q", seen)
	}
	ways := map[string][2]string{
		"banned":   {"ban bob", "unban bob"},
		"disabled": {"user disable carol", "user enable carol"},
	}
	for _, name := range []string{"bob", "carol"} {
		u := typing(name)
		for how, lines := range ways {
			if !strings.HasSuffix(lines[0], name) {
				continue
			}
			root.must(lines[0])
			root.must(lines[1])
			if seen := reads(s.login(name, u.signer)); strings.Contains(seen, secret) {
				t.Errorf("after having been %s, %s sees %q", how, name, seen)
			}
		}
	}
	typing("dave")
	root.must("user delete --yes dave")
	if _, _, code := s.login("dave", newSigner(t)).exec("register", ""); code == 0 {
		if seen := reads(s.login("dave", newSigner(t))); strings.Contains(seen, secret) {
			t.Errorf("the next dave sees %q", seen)
		}
	}
	row.Tried("another account, 5 commands, a script, a name after its account was deleted, and a ban and a disabled account meanwhile")
	row.Held("drafts are kept by the account's random id, given once to a session of a terminal, and wiped when the account may not log in")
	row.Control("the person who comes back has it")
}
