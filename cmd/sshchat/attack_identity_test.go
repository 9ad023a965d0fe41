package main

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

const goodPassword = "a sufficiently long one"

// registerByPassword makes an account that has only a password.
func (s *testServer) registerByPassword(name string) {
	s.t.Helper()
	client, err := s.dialAs(name, ssh.Password("anything at all"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	(&user{client, s.t, s, name, nil}).createsAccount()
}

// createsAccount has somebody who logged in by password, and has no account, create one with the good password.
func (u *user) createsAccount() {
	u.t.Helper()
	o := u.plain(80, 24)
	for _, step := range [][2]string{{"Create it? [y/N]", "y"}, {"New password:", goodPassword}, {"Repeat the password:", goodPassword}} {
		o.sees(step[0])
		o.typeln(step[1])
	}
	o.sees("Welcome to sshchat")
}

// byPassword logs in.
func (s *testServer) byPassword(name, password string) *user {
	s.t.Helper()
	client, err := s.dialAs(name, ssh.Password(password))
	if err != nil {
		s.t.Fatalf("%s by password: %v", name, err)
	}
	s.t.Cleanup(func() { client.Close() })
	s.clients.add(client, 0)
	return &user{client, s.t, s, name, nil}
}

// I have seen alice's public key. I ask about it, get told that it would do, and come in by what I do have (CVE-2024-45337).
// I must be who I am by that, and never alice.
func TestAttackAskedKeyIsNotProven(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "offer a victim's key, then log in another way (CVE-2024-45337)")
	s := startServer(t, "")
	alice := s.register("alice")
	s.registerByPassword("bob")
	victim := alice.signer.PublicKey()

	r := s.raw()
	if answer := r.about("alice", victim); answer != msgKeyIsOK {
		t.Fatalf("alice's key for alice: %d; there is nothing to attack", answer)
	}
	if answer := r.password("bob", goodPassword); answer != msgAuthSuccess {
		t.Fatalf("bob's password for bob: %d", answer)
	}
	if out, code := r.exec("whoami"); code != 0 || !strings.HasPrefix(out, "bob ") {
		t.Errorf("asked about alice's key, then bob by password: exit %d, %q", code, out)
	}

	// The same as a stranger, whose account would be made with the key of the login.
	r = s.raw()
	if answer := r.about("mallory", victim); answer != msgKeyIsOK {
		t.Fatalf("a key for a stranger: %d; there is nothing to attack", answer)
	}
	if answer := r.password("mallory", "anything at all"); answer != msgAuthSuccess {
		t.Fatalf("a stranger's password: %d", answer)
	}
	if out, code := r.exec("register"); code == 0 {
		t.Errorf("registered with a key that was never proven: %q", out)
	}

	// The control: who proves the key is alice, also after asking about it as somebody else.
	r = s.raw()
	r.about("mallory", victim)
	if answer := r.prove("alice", alice.signer); answer != msgAuthSuccess {
		t.Fatalf("alice's proof: %d", answer)
	}
	if out, _ := r.exec("whoami"); !strings.HasPrefix(out, "alice ") {
		t.Errorf("alice is %q", out)
	}
	row.Tried("then as somebody else by password, and as a stranger with none")
	row.Held("only what was proven counts: never the victim, and no account with their key")
	row.Control("proving the key logs in its owner, also after asking as somebody else")
}

// I fail as one name and go on as another. Each attempt must stand for its own name alone.
func TestAttackChangeOfNameInsideAConnection(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "fail under one name, continue under another")
	s := startServer(t, "")
	alice, bob := s.register("alice"), s.register("bob")
	ways := map[string]func(*raw) byte{
		"bob by none, then alice with bob's key":       func(r *raw) byte { r.none("bob"); return r.prove("alice", bob.signer) },
		"bob by password, then alice with bob's key":   func(r *raw) byte { r.password("bob", "wrong"); return r.prove("alice", bob.signer) },
		"bob's key asked for bob, proven for alice":    func(r *raw) byte { r.about("bob", bob.signer.PublicKey()); return r.prove("alice", bob.signer) },
		"bob's key asked for a stranger, then alice":   func(r *raw) byte { r.about("eve", bob.signer.PublicKey()); return r.prove("alice", bob.signer) },
		"alice's key asked, then a password as a name": func(r *raw) byte { r.about("alice", alice.signer.PublicKey()); return r.password("alice", "") },
		"alice by none":      func(r *raw) byte { return r.none("alice") },
		"a stranger by none": func(r *raw) byte { return r.none("eve") },
		"nobody by none":     func(r *raw) byte { return r.none("") },
		"nobody with a key":  func(r *raw) byte { return r.prove("", bob.signer) },
		"a name with a NUL":  func(r *raw) byte { return r.prove("alice\x00", bob.signer) },
	}
	for attack, as := range ways {
		if answer := as(s.raw()); answer != msgAuthFailure {
			t.Errorf("%s: answered %d", attack, answer)
		}
	}
	r := s.raw()
	if r.prove("alice", bob.signer) != msgAuthFailure || r.prove("bob", bob.signer) != msgAuthSuccess {
		t.Fatal("bob does not get in after all; nothing was tested")
	}
	if out, _ := r.exec("whoami"); !strings.HasPrefix(out, "bob ") {
		t.Errorf("refused as alice, then bob: %q", out)
	}
	row.Tried("%d ways", len(ways))
	row.Held("each attempt counts only for its own name")
	row.Control("bob, refused as alice, gets in as bob by his own key")
}

// I ask about keys for names without an account, from many connections, so that all places for registering are held before
// anybody has proven anything. A stranger still gets one, and whoever asked and then logs in as a member is treated as one.
// The control: strangers who have proven their keys do hold them.
func TestAttackQueriesHoldNoPlaces(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "take all registration slots by asking about keys, or as a member")
	s := startServer(t, "", "--max-registrations", "2")
	alice := s.register("alice")
	for i := range 8 {
		r := s.raw()
		if answer := r.about(fmt.Sprintf("eve%d", i), alice.signer.PublicKey()); answer != msgKeyIsOK {
			t.Fatalf("a key for a stranger: %d; nothing was tested", answer)
		}
	}
	s.login("bob", newSigner(t)).must("register")
	s = s.again("--max-registrations", "2", "--registration-grace-time", "1s")
	r := s.raw()
	r.about("eve", alice.signer.PublicKey())
	if answer := r.prove("alice", alice.signer); answer != msgAuthSuccess {
		t.Fatalf("alice: %d", answer)
	}
	r.exec("whoami")
	closes(t, "does not register", s.login("eve", newSigner(t)).Wait)
	if out, _ := r.exec("whoami"); !strings.HasPrefix(out, "alice ") {
		t.Errorf("alice has a stranger's deadline: %q", out)
	}

	s = s.again("--max-registrations", "2")
	held := []*user{s.login("eve", newSigner(t)), s.login("eva", newSigner(t))}
	if _, errs, code := s.login("carl", newSigner(t)).exec("register", ""); code != 3 || !strings.Contains(errs, "try again") {
		t.Errorf("the control: a third of two places: exit %d, %q", code, errs)
	}
	held[0].must("register")
	row.Tried("8 questions, 2 slots")
	row.Held("only a proven key takes a slot; a member has no registration deadline")
	row.Control("two clients that proved their keys hold both: the third is refused and may try again")
}

// We both come in on a name that is free, and both make it ours at once, again and again. One must win;
// the other, and any channel that came in before, must never act as the account.
func TestAttackRaceForAName(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "two register a name at once")
	s := startServer(t, "", "--max-registrations", "4")
	races := 20
	if many {
		races = 50
	}
	for i := range races {
		name := fmt.Sprintf("racer%c%c", 'a'+i/7, 'a'+i%7*3)
		rivals := [2]*user{s.slot(name), s.slot(name)}
		codes := make(chan [2]int, 2)
		for n, u := range rivals {
			go func() { _, _, code := u.exec("register", ""); codes <- [2]int{n, code} }()
		}
		won := -1
		for range rivals {
			if c := <-codes; c[1] == 0 && won >= 0 {
				t.Fatalf("%s: both won", name)
			} else if c[1] == 0 {
				won = c[0]
			}
		}
		if won < 0 {
			t.Fatalf("%s: nobody won", name)
		}
		if _, errs, code := rivals[1-won].exec("say general it is me", ""); code != 3 || !strings.Contains(errs, "reconnect") {
			t.Fatalf("%s: the loser speaks: exit %d, %q", name, code, errs)
		}
		if _, _, code := rivals[1-won].exec("register", ""); code != 3 {
			t.Fatalf("%s: the loser registers: exit %d", name, code)
		}
		if i == 0 {
			s.login(name, rivals[won].signer).must("say general the winner")
			if c, err := s.dialAs(name, ssh.PublicKeys(rivals[1-won].signer)); err == nil {
				c.Close()
				t.Fatal("the loser's key logs in")
			}
		}
		rivals[0].Close()
		rivals[1].Close()
	}
	row.Tried("%d names", races)
	row.Held("one wins; the other can neither post nor register, and has to reconnect")
	row.Control("the winner logs in and posts")
}

// slot logs a stranger in, once there is a slot: the last ones' come free a moment after they close.
func (s *testServer) slot(name string) *user {
	s.t.Helper()
	signer := newSigner(s.t)
	var client *ssh.Client
	waitFor(s.t, "a slot for "+name, func() bool {
		var err error
		client, err = s.dialAs(name, ssh.PublicKeys(signer))
		return err == nil
	})
	s.t.Cleanup(func() { client.Close() })
	return &user{client, s.t, s, name, signer}
}

// I keep the question "Create it?" open while the name is made by its owner, and then say yes.
func TestAttackLateYesIsNobody(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "answer \"Create it?\" when the name is taken")
	s := startServer(t, "")
	late := s.login("carol", newSigner(t))
	o, second := late.plain(80, 24), late.plain(80, 24)
	o.sees("Create it?")
	second.sees("Create it?")
	carol := s.login("carol", newSigner(t))
	carol.must("register")
	o.typeln("y")
	o.sees("no longer valid")
	err := <-o.ended
	if exit, ok := err.(*ssh.ExitError); !ok || exit.ExitStatus() != 3 {
		t.Errorf("the session ends with %v, not 3", err)
	}
	for _, line := range []string{"say general it is me", "register", "key list", "history general", "follow general"} {
		if out, errs, code := late.exec(line, ""); code != 3 || out != "" {
			t.Errorf("%s, on the name's old connection: exit %d, %q%q", line, code, out, errs)
		}
	}
	s.login("carol", carol.signer).must("say general it is me")

	inTime := s.login("dora", newSigner(t)).plain(80, 24)
	inTime.sees("Create it?")
	inTime.typeln("y")
	inTime.sees("Welcome")
	row.Tried("yes, and 5 commands over the same connection")
	row.Held("refused with exit status 3")
	row.Control("yes in time creates the account")
}

// I have the old password and a session with it, in which I only read. After passwd both must be worth nothing, and the one
// who changed it goes on.
func TestAttackChangedPasswordEndsOtherLogins(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "keep reading in a session of the old password")
	s := startServer(t, "")
	s.registerByPassword("paula")
	thief, paula := s.byPassword("paula", goodPassword), s.byPassword("paula", goodPassword)
	stolen, own := s.byPassword("paula", goodPassword).plain(80, 24), paula.plain(80, 24)
	stolen.sees("Welcome")
	thief.must("whoami")
	const fresh = "another that is long enough"
	for _, step := range [][2]string{{"Welcome", "/passwd"}, {"Current password:", goodPassword}, {"New password:", fresh}, {"Repeat the password:", fresh}} {
		own.sees(step[0])
		own.typeln(step[1])
	}
	own.sees("Password changed")
	stolen.sees("The password of this account has been changed")
	if exit, ok := (<-stolen.ended).(*ssh.ExitError); !ok || exit.ExitStatus() != 3 {
		t.Errorf("the stolen session ends with %v, not 3", exit)
	}
	if _, _, code := thief.exec("say general is this still me?", ""); code != 3 {
		t.Errorf("the old login speaks: exit %d", code)
	}
	if c, err := s.dialAs("paula", ssh.Password(goodPassword)); err == nil {
		c.Close()
		t.Error("the old password gets in")
	}
	own.typeln("it is me")
	own.sees("paula: it is me")
	s.byPassword("paula", fresh).must("whoami")
	row.Tried("a session that only reads, a command, a login")
	row.Held("the session ends at once; the command and the login are refused")
	row.Control("the session that changed it continues")
}

// I log in as the account by a key, and it is deleted from the account under my connection's feet while I wait to begin.
func TestAttackRemovedKeyBeginsNoSession(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "start a session with a key that was just removed")
	s := startServer(t, "")
	alice := s.register("alice")
	other := newSigner(t)
	alice.must("key add " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(other.PublicKey()))))
	thief := s.login("alice", other)
	asked := s.raw()
	if answer := asked.about("alice", other.PublicKey()); answer != msgKeyIsOK {
		t.Fatalf("the key before it is removed: %d", answer)
	}
	thief.must("whoami")
	alice.must("key remove " + ssh.FingerprintSHA256(other.PublicKey()))
	if _, _, code := thief.exec("whoami", ""); code != 3 {
		t.Errorf("a session begun after the key was removed: exit %d", code)
	}
	if answer := asked.prove("alice", other); answer == msgAuthSuccess { // the library remembers its answer to the question
		if out, code := asked.exec("whoami"); code != 3 {
			t.Errorf("asked before, proven after the key was removed: exit %d, %q", code, out)
		}
	}
	row.Tried("over a connection it opened, and offered before and proven after the removal")
	row.Held("refused with exit status 3")
	row.Control("whoami runs before it is removed")
}

// I send passwords that are no passwords, and names that are no names. Each must be refused like any other,
// cost no crash, and leave one short quoted line that I cannot have written.
func TestAttackMonstrousLogins(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "malformed passwords and names")
	s := startServer(t, "", "--max-password-tries", "10")
	alice := s.register("alice")
	s.registerByPassword("paula")
	r := s.raw()
	passwords := map[string]string{
		"empty": "", "250 KB": strings.Repeat("p", 250_000), "not text": "\xff\xfe\x00\x01", "combining": strings.Repeat("e\u0301", 400),
	}
	for name, password := range passwords {
		if answer := r.password("alice", password); answer != msgAuthFailure {
			t.Errorf("a password that is %s: answered %d", name, answer)
		}
	}
	evil := []string{
		"alice\nlogin source=6.6.6.6 name=root", "\x1b]0;owned\x07", "\u202eecila", "alice\r\nFAKE", `a" name="root`, strings.Repeat("a", 200_000),
		strings.Repeat("\n", 1000), "\u2028FAKE", "%s%n{{.}}", "\x9b31m",
	}
	for _, name := range evil {
		if answer := s.raw().password(name, "a long enough password"); answer != msgAuthFailure {
			t.Errorf("as %.40q: answered %d", name, answer)
		}
	}
	failures := func() int { return strings.Count(s.log.String(), "login failed") }
	waitFor(t, "a line of the log for each failure", func() bool { return failures() >= 4+len(evil) })
	if n := failures(); n != 4+len(evil) {
		t.Errorf("%d lines for %d failures", n, 4+len(evil))
	}
	for line := range strings.Lines(s.log.String()) {
		line = strings.TrimSuffix(line, "\n")
		forged := strings.Contains(line, "FAKE") && !strings.Contains(line, "login failed") || strings.Contains(line, "owned\a")
		if forged || len(line) > 300 || strings.ContainsFunc(line, notPrintable) {
			t.Errorf("in the log: %q", line)
		}
		source := strings.Index(line, "source=")
		if strings.Contains(line, "login failed") && (source < 0 || !strings.HasPrefix(line[source:], "source=127.0.0.1 ")) {
			t.Errorf("the source comes first, and is not forged: %q", line)
		}
	}

	// A packet that is larger than SSH allows ends its connection, and only that.
	huge := s.raw()
	huge.write(append(attempt(strings.Repeat("a", 1<<20), "password"), 0)) // the server may close meanwhile
	huge.gone("a name of 1 MB")
	healthy(t, s, alice)
	s.byPassword("paula", goodPassword).must("whoami")
	row.Tried("%d passwords and %d names: empty, 250 KB, escapes, not UTF-8", len(passwords), len(evil)+1)
	row.Held("refused like any other, with one short line in the log")
	row.Control("a valid password gets in")
}

func notPrintable(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202f
}

// I guess in one connection, by both methods in turn. The fourth guess must find the connection closed;
// where ten are allowed, as many are evaluated.
func TestAttackGuessesInOneConnection(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Guessing, "guesses in one connection")
	counts := make(map[string]int)
	for limit, want := range map[string]int{"3": 3, "10": 10} {
		s := startServer(t, "", "--max-password-tries", limit)
		s.register("alice")
		r := s.raw()
		evaluated := 0
		for range 11 {
			if r.write(append(append(attempt("alice", "password"), 0), wireString("wrong but long enough")...)) != nil {
				break
			}
			packet, err := r.read()
			if err != nil {
				break
			}
			if packet[0] == msgAuthFailure {
				evaluated++
			}
		}
		if evaluated != want {
			t.Errorf("--max-password-tries %s: %d evaluated", limit, evaluated)
		}
		counts[limit] = evaluated
	}
	row.Tried("11")
	row.Held("%d are checked, then the connection is closed", counts["3"])
	row.Control("%d if ten are allowed", counts["10"])
}
