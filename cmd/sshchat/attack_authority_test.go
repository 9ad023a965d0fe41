package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"

	"golang.org/x/crypto/ssh"
)

// keyFrom logs in by a key from another address of the loopback network.
func (s *testServer) keyFrom(ip, name string, key ssh.Signer) *user {
	s.t.Helper()
	conn, err := s.dialFrom(ip)
	if err != nil {
		s.t.Fatal(err)
	}
	c, channels, requests, err := ssh.NewClientConn(conn, s.addr, &ssh.ClientConfig{
		User: name, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
	})
	if err != nil {
		s.t.Fatalf("%s from %s: %v", name, ip, err)
	}
	conn.SetReadDeadline(time.Time{})
	s.t.Cleanup(func() { c.Close() })
	return &user{ssh.NewClient(c, channels, requests), s.t, s, name, key}
}

// refused runs a command that has to be refused with this exit code.
func (u *user) refused(code int, line string) {
	u.t.Helper()
	if out, errs, got := u.exec(line, ""); got != code || out != "" {
		u.t.Errorf("%s: %s: exit %d, not %d, %s%s", u.name, line, got, code, out, errs)
	}
}

// I am a moderator, and would like to be rid of the admin: I ban where they are or were, by address or by net, and their
// key; and I lift or shorten what they have decided, also about me. The controls are an admin who does the same, and my own
// decisions about members.
func TestAttackModeratorAgainstAdmins(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "a moderator bans an admin's address, network or key, or lifts or shortens an admin's ban")
	s := startServer(t, "")
	first := s.register("boss")
	first.must("claim " + s.claimCode())
	boss := s.keyFrom("127.0.0.2", "boss", first.signer)
	second := s.register("second")
	boss.must("user set-role second admin")
	mo, carol := s.register("mo"), s.register("carol")
	boss.must("user set-role mo mod")
	s.keyFrom("127.0.0.7", "second", second.signer).Close() // where second has been
	first.Close()

	follow := boss.run("follow")
	mo = s.keyFrom("127.1.0.3", "mo", mo.signer)
	acts := []string{
		"ban --force ip=127.0.0.2", "ban --force ip=127.0.0.0/16", "ban --force ip=127.0.0.0/24 1h spam", "ban --force ip=127.0.0.7",
		"ban ip=9.0.0.0/8", "ban ip=2001::/16", "ban ip=2001:db00::/24", "ban key=" + ssh.FingerprintSHA256(boss.signer.PublicKey()),
		"ban boss", "mute boss", "kick boss general", "kick boss", "mute mo", "ban mo",
	}
	for _, line := range acts {
		if _, errs, code := mo.exec(line, ""); code != 3 && !(line == "kick boss" && code == 2) {
			t.Errorf("a moderator: %s: exit %d, %s", line, code, errs)
		}
	}
	follow.typed.Close()
	select {
	case err := <-follow.ended:
		t.Errorf("the admin's session has ended: %v", err)
	default:
	}
	for _, line := range []string{"ban ip=9.9.0.0/16", "unban ip=9.9.0.0/16", "mute carol 1h", "mute carol 2h", "unmute carol", "ban carol 1h", "unban carol"} {
		mo.must(line)
	}

	boss.must("mute carol 1h")
	boss.must("ban ip=203.0.113.9")
	boss.must("mute mo 1h")
	lifts := []string{"unmute carol", "mute carol 1s", "unban ip=203.0.113.9", "ban ip=203.0.113.9 1s", "unmute mo"}
	for _, line := range lifts {
		mo.refused(3, line)
	}
	row.Tried("%d commands", len(acts)+len(lifts))
	row.Held("one rule for ranks, checked when the change is made; addresses that admins use or used lately are protected; a /16 at most")
	carol = s.login("carol", carol.signer)
	carol.refused(3, "say general am I heard")
	if out := boss.must("banned"); strings.Count(out, "by boss") != 3 {
		t.Errorf("what the admin decided: %s", out)
	}
	other := s.login("second", second.signer) // the control: an admin may
	for _, line := range []string{"unmute carol", "unban ip=203.0.113.9", "unmute mo", "ban --force ip=127.0.0.2", "unban ip=127.0.0.2", "ban boss", "unban boss"} {
		other.must(line)
	}
	row.Control("an admin may do it, and a moderator to members")
}

// I moderate a room that somebody else made, and put them out of it, take their and other moderators' office away and
// delete what they said. The controls are the one who made it, and I with a member.
func TestAttackRoomModeratorAgainstItsMaker(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "a room's moderator acts on its creator, its other moderators, and the server's moderators")
	s := startServer(t, "")
	root := s.register("root")
	root.must("claim " + s.claimCode())
	alice, bob, carl, eve := s.register("alice"), s.register("bob"), s.register("carl"), s.register("eve")
	for _, u := range []*user{alice, bob, carl, eve, root} {
		u.must("join lab")
	}
	alice.must("mod bob lab")
	alice.must("mod carl lab")
	of := func(u *user) string { return strings.TrimSpace(u.must("say lab from " + u.name)) }
	acts := []string{
		"kick alice lab", "kick alice lab bye", "kick carl lab", "kick root lab", "unmod carl lab", "unmod alice lab", "kick bob lab",
		"delete " + of(alice), "delete " + of(carl), "delete " + of(root),
	}
	for _, line := range acts {
		bob.refused(3, line)
	}
	row.Tried("%d commands", len(acts))
	row.Held("the same rule, with the ranks in the room")
	bob.must("delete " + of(eve))
	bob.must("kick eve lab")
	alice.must("delete " + of(bob))
	alice.must("unmod bob lab")
	bob.refused(3, "kick carl lab")
	carl.must("unmod carl lab") // stepping down is anybody's right
	alice.must("kick carl lab")
	root.must("kick alice lab")
	if out := root.must("room info lab --json"); !strings.Contains(out, `"members":2`) {
		t.Errorf("bob and root are left: %s", out)
	}
	row.Control("the creator may do it, and a moderator to members")
}

// I am muted, and speak all the same: by a topic, an invitation, a reason, a room's name. The control is that I could before.
func TestAttackMutedSpeaks(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "post while muted: in a topic, an invitation, a reason, a room's name or an edit")
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	mallory, bob, eve := s.register("mallory"), s.register("bob"), s.register("eve")
	mallory.must("join lab")
	bob.must("join lab")
	eve.must("join lab")
	screen := bob.plain(80, 24)
	screen.sees("Welcome")
	said := strings.TrimSpace(mallory.must("say general hello"))
	mine := mallory.plain(80, 24)
	mine.sees("Welcome")
	lines := []string{
		"topic lab WORD", "invite boss lab", "away WORD", "edit " + said + " WORD", "join WORD", "kick eve lab WORD", "msg bob WORD", "say general WORD",
	}
	typed := []string{"/topic WORD", "/away WORD", "/me WORD", "WORD", "/edit WORD", "/shrug WORD", "/query bob\rWORD", "/join #WORD"}
	for _, line := range lines {
		mallory.must(strings.ReplaceAll(line, "WORD", "before"))
	}
	mallory.must("back")
	eve.must("join lab")
	boss.must("mute mallory 1h")
	for _, line := range lines {
		if line == "invite boss lab" {
			line = "invite boss before"
		}
		mallory.refused(3, strings.ReplaceAll(line, "WORD", "evil"))
	}
	for i, line := range typed {
		mine.typeln(strings.ReplaceAll(line, "WORD", "evil"))
		waitFor(t, "a refusal of "+line, func() bool { return strings.Count(mine.seen.String(), "ou are muted") >= i+2 }) // and the notice
	}
	bob.must("say lab a last word")
	screen.sees("a last word")
	for what, shown := range map[string]string{
		"bob's screen": screen.seen.String(), "the rooms": bob.must("rooms"), "who mallory is": bob.must("whois mallory"), "what is found": bob.must("search evil"),
	} {
		if strings.Contains(shown, "evil") {
			t.Errorf("%s: %s", what, shown)
		}
	}
	row.Tried("%d commands, %d typed lines", len(lines), len(typed))
	row.Held("one check for everything that others see")
	row.Control("the same commands before the mute")
	mallory.must("delete " + said) // it says nothing
	mallory.must("part lab")
}

// I am ignored, and make myself seen all the same. The control is somebody who does not ignore me.
func TestAttackIgnoredReachesOne(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "reach a person who ignores me, by topics, invitations and reasons")
	s := startServer(t, "")
	mallory, bob, carol, eve := s.register("mallory"), s.register("bob"), s.register("carol"), s.register("eve")
	for _, u := range []*user{mallory, carol, eve} {
		u.must("join lab")
	}
	bob.must("ignore mallory")
	at, control := bob.plain(120, 24), carol.plain(120, 24)
	at.sees("Welcome")
	control.sees("Welcome")
	mallory.must("join den")
	mallory.must("invite bob lab")
	mallory.must("invite carol den")
	bob.must("join lab")
	mallory.must("topic lab a topic against bob")
	mallory.must("kick eve lab against bob")
	mallory.must("say lab words against bob")
	mallory.must("msg bob words against bob")
	carol.must("say lab a last word")
	control.sees("invites you to #den")
	control.sees("a topic against bob")
	control.sees("removed eve: against bob")
	at.sees("a last word")
	if seen := at.seen.String(); strings.Contains(seen, "against bob") || strings.Contains(seen, "invites you") {
		t.Errorf("bob sees\n%s", seen)
	}
	row.Tried("5 ways")
	row.Held("notices have authors, and are hidden with their author's messages")
	row.Control("a person who does not ignore me sees them")
}

// readersOf returns the heads of the newest window of a room: whom it is sealed to, and to how many keys of each.
func (s *testServer) readersOf(room string) map[string]int {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.data, "message_history.json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var history struct {
		Records []struct {
			T, Room string
			Heads   map[string]string
		}
	}
	if err := json.Unmarshal(b, &history); err != nil {
		s.t.Fatal(err)
	}
	readers := map[string]int{}
	for _, r := range slices.Backward(history.Records) {
		if r.T == "window" && r.Room == room {
			for name, head := range r.Heads {
				readers[name] = strings.Count(head, "\n-> ")
			}
			return readers
		}
	}
	s.t.Fatalf("no window of %s", room)
	return nil
}

// I have found a key of alice's that was banned, and one that is for other things: what is said afterwards must not be
// sealed to them. The control is the key before it was banned, the room that the key is for, and the ban's end.
func TestAttackKeysThatReadNoMore(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "read with a key that is banned, or restricted to other commands")
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	alice := s.register("alice")
	s.register("bob")
	alice.must("join ci")
	lost, forCI, forSaying, forBob := newSigner(t), newSigner(t), newSigner(t), newSigner(t)
	said := func(want map[string]int) {
		t.Helper()
		alice.must("say general hello")
		alice.must("say ci hello")
		alice.must("msg bob hello")
		alice.must("msg boss hello")
		for room, n := range want {
			if got := s.readersOf(room)["alice"]; got != n {
				t.Errorf("%s is sealed to %d keys of alice, not %d", room, got, n)
			}
		}
	}
	said(map[string]int{"general": 1, "ci": 1, "@alice+bob": 1, "@alice+boss": 1})
	alice.must("key add --only history:#ci " + line(forCI))
	alice.must("key add --only say:#ci,follow:#ci,say:#general " + line(forSaying))
	alice.must("key add --only history:@bob,whoami " + line(forBob))
	said(map[string]int{"general": 1, "ci": 2, "@alice+bob": 2, "@alice+boss": 1})
	alice.must("key add " + line(lost))
	said(map[string]int{"general": 2, "ci": 3, "@alice+bob": 3, "@alice+boss": 2})
	boss.must("ban key=" + ssh.FingerprintSHA256(lost.PublicKey()))
	said(map[string]int{"general": 1, "ci": 2, "@alice+bob": 2, "@alice+boss": 1})
	boss.must("unban key=" + ssh.FingerprintSHA256(lost.PublicKey()))
	said(map[string]int{"general": 2, "ci": 3, "@alice+bob": 3, "@alice+boss": 2})

	boss.must("ban bob 2s") // and is sealed to again when it has ended, by itself
	alice.must("say general nobody tells bob")
	if s.readersOf("general")["bob"] != 0 {
		t.Error("sealed to the banned")
	}
	waitFor(t, "bob to be sealed to again", func() bool {
		alice.must("say general hello")
		return s.readersOf("general")["bob"] == 1
	})
	row.Tried("4 keys in 4 rooms")
	row.Held("nothing is sealed to them from then on")
	row.Control("the key reads before and after the ban, and in the room it is restricted to")
}
