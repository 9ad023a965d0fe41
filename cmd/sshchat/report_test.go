package main

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

// A report reaches those who are moderators or admins when it is made, and nobody else; least of all the person it is about. What
// somebody cannot read, they cannot report, nor learn whether it is there.
func TestAttackReadingReports(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "learn who has reported whom")
	adminKey := newSigner(t)
	s := startServer(t, "", "--admin", "alice="+writePublic(t, adminKey))
	alice := s.login("alice", adminKey)
	people := make(map[string]*user)
	for _, name := range []string{"mo", "pat", "bob", "carol", "dave"} {
		people[name] = s.register(name)
	}
	mo, pat, bob, carol, dave := people["mo"], people["pat"], people["bob"], people["carol"], people["dave"]
	alice.must("user set-role mo mod")
	alice.must("user set-role pat mod")
	bob.must("say general you are all fools")
	carol.must("msg bob please stop")
	bob.must("msg carol never")
	bob.must("join secret")
	bob.must("room set-private secret on")
	bob.must("say secret our plans")

	others := []*user{pat, bob, dave}
	looks := []string{"inbox --json", "rooms --json", "names general", "whois carol", "who general", "search Report", "mentions", "rooms"}
	look := func(u *user) (seen string) {
		for _, line := range looks {
			out, errs, code := u.exec(line, "")
			seen += fmt.Sprintln(line, code, out, errs)
		}
		return seen
	}
	alice.must("user set-role pat user")
	before := make(map[string]string)
	screens := make(map[string]*openSession)
	for _, u := range append(others, mo) {
		screens[u.name] = u.pipe()
		screens[u.name].typeln("/who")
		screens[u.name].sees(u.name)
		before[u.name] = look(u)
	}
	carol.must("report general/1 he insults us")
	carol.must("report @bob/2")
	carol.must("report bob")
	screens["mo"].sees("Report of general/1 by bob: he insults us")
	screens["mo"].sees("> you are all fools")
	screens["mo"].sees("Report of a direct message from bob")
	screens["mo"].sees("> never")
	if out := alice.must("inbox --json"); !strings.Contains(out, "@carol") {
		t.Error(out)
	}
	alice.must("say general the end")
	for _, u := range others {
		screens[u.name].sees("the end")
		if seen := screens[u.name].seen.String(); strings.Contains(seen, "eport") || strings.Contains(seen, "he insults us") {
			t.Errorf("%s sees\n%s", u.name, seen)
		}
		if now := strings.ReplaceAll(look(u), `"the end"`, ""); strings.Contains(now, "eport of") || strings.Count(now, "@") != strings.Count(before[u.name], "@") {
			t.Errorf("%s sees before\n%s\nand after\n%s", u.name, before[u.name], now)
		}
	}
	// A moderator is not told of a report about them.
	carol.must("report mo he looks away")
	if last := alice.must("follow @carol --since @carol/3 --count 1"); !strings.Contains(last, "Report of mo: he looks away") {
		t.Error(last)
	}
	if out, _, _ := mo.exec("inbox --json", ""); strings.Contains(screens["mo"].seen.String(), "looks away") || strings.Contains(out, "looks away") {
		t.Error("mo learns what is reported of mo")
	}

	// There and not there are one.
	refusals := make(map[string]bool)
	for _, id := range []string{"secret/1", "secret/2", "nowhere/1", "general/999", "@bob/1", "@mo/1"} {
		_, errs, code := dave.exec("report "+id, "")
		if code != 4 {
			t.Errorf("report %s: exit %d, %q", id, code, errs)
		}
		refusals[strings.ReplaceAll(errs, id, "ID")] = true
	}
	if len(refusals) != 1 {
		t.Errorf("%d refusals: %v", len(refusals), refusals)
	}
	row.Tried("as the person it is about, an ordinary user and a former moderator, with %d commands and an open session; as a moderator who is reported; and by reporting 6 messages that are not there or in rooms of others", len(looks))
	row.Held("reports are direct messages to each moderator and admin but the reported; what cannot be read and what is not there are refused in the same words")

	carol.must("report dave")
	if _, errs, code := carol.exec("report dave", ""); code != 1 || !strings.Contains(errs, "you have reported often; try again in") {
		t.Errorf("the sixth report: exit %d, %q", code, errs)
	}
	row.Control("moderators and the admin get them at once, with the text that is quoted, and the sixth is refused for a while")
}
