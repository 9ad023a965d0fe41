package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// These tests follow keys and passwords through their lives. What each opens of the files on the disk is found out by a
// reader that has nothing of ours, testdata/read.py, with the stock age.

// life is a server where alice, its admin, counts up in #general.
type life struct {
	t     *testing.T
	s     *testServer
	alice *user
	key   string // alice's
	said  int
}

func newLife(t *testing.T, flags ...string) *life {
	t.Helper()
	client(t, "age")
	l := &life{t: t, s: startServer(t, "", flags...), key: keyFile(t, "-t", "ed25519")}
	l.alice = l.s.login("alice", signerOf(t, l.key))
	l.alice.must("claim " + l.s.claimCode())
	l.alice = l.s.login("alice", signerOf(t, l.key))
	return l
}

// say has alice say the next number.
func (l *life) say() {
	l.t.Helper()
	l.said++
	l.alice.must(fmt.Sprintf("say general %d", l.said))
}

// opens finds out what a key opens of what is stored for name.
func (l *life) opens(name, key, want string) {
	l.t.Helper()
	out, errs, code := otherReader(l.t, filepath.Join(l.s.data, "message_history.json"), name, key)
	if code != 0 {
		l.t.Fatalf("read.py: %s", errs)
	}
	var texts []string
	for line := range strings.Lines(out) {
		var said struct{ Text string }
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			l.t.Fatal(err)
		}
		texts = append(texts, said.Text)
	}
	if got := strings.Join(texts, " "); got != want {
		l.t.Errorf("for %s the key opens %q, want %q", name, got, want)
	}
}

// restart stops the server, has edit change users.json, and starts it again.
func (l *life) restart(edit func(users string) string) {
	l.t.Helper()
	l.s.stop()
	path := filepath.Join(l.s.data, "users.json")
	if err := os.WriteFile(path, []byte(edit(readText(l.t, path))), 0o600); err != nil {
		l.t.Fatal(err)
	}
	l.s = startServer(l.t, l.s.data)
	l.alice = l.s.login("alice", signerOf(l.t, l.key))
}

// asks has u run a command on a terminal and answer what it asks.
func (u *user) asks(line string, steps ...[2]string) *openSession {
	u.t.Helper()
	o := u.plain(80, 24)
	o.sees("Welcome")
	o.typeln("/" + line)
	for _, step := range steps {
		o.sees(step[0])
		o.typeln(step[1])
	}
	return o
}

// identity is the file of what name's password opens history with, opened by the stock age.
func (l *life) identity(u *user, password string) string {
	l.t.Helper()
	sealed := filepath.Join(l.t.TempDir(), "me.age")
	if err := os.WriteFile(sealed, []byte(u.must("identity")), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.identityIn(sealed, password)
}

func (l *life) identityIn(sealed, password string) string {
	l.t.Helper()
	file := filepath.Join(l.t.TempDir(), "me")
	if err := os.WriteFile(file, []byte(ageOnTerminal(l.t, password, sealed)+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return file
}

func publicKey(t *testing.T, key string) string { return strings.TrimSpace(readText(t, key+".pub")) }

// A newcomer gets nothing of the past. A key that is added opens what comes then, a key that is removed what came before,
// and recipients of age are keys like others.
func TestLifeOfKeys(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.say()
	first, second := keyFile(t, "-t", "ed25519"), rsaFile(t)
	bob := l.s.registerWith(t, "bob", first)
	l.say()
	bob.must("key add " + publicKey(t, second))
	l.say()
	third := filepath.Join(t.TempDir(), "age")
	if _, errs, code := runClient(t, "", "age-keygen", "-o", third); code != 0 {
		t.Fatal(errs)
	}
	recipient, _, _ := runClient(t, "", "age-keygen", "-y", third)
	bob.must("key add " + strings.TrimSpace(recipient))
	l.say()
	l.s.login("bob", signerOf(t, second)).must("key remove " + ssh.FingerprintSHA256(signerOf(t, first).PublicKey()))
	l.say()
	l.opens("alice", l.key, "1 2 3 4 5")
	l.opens("bob", first, "2 3 4")
	l.opens("bob", second, "3 4 5")
	l.opens("bob", third, "4 5")
	l.restart(func(users string) string { return users })
	l.say()
	l.opens("bob", first, "2 3 4")
	l.opens("bob", second, "3 4 5 6")
	l.opens("bob", third, "4 5 6")
	if _, errs, code := l.s.login("bob", signerOf(t, second)).exec("key share", ""); code == 0 || !strings.Contains(errs, "no password") {
		t.Errorf("without a password: exit %d, %s", code, errs)
	}
}

// Who has a password shares the past with a new key; the restart changes nothing about that.
func TestLifeOfASharedPast(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.s.registerByPassword("paula")
	paula := l.s.byPassword("paula", goodPassword)
	l.say()
	key := keyFile(t, "-t", "ed25519")
	paula.must("key add " + publicKey(t, key))
	l.say()
	l.opens("paula", key, "2")
	wrong := paula.asks("keys share", [2]string{"Password:", "not the one that it is"})
	wrong.sees("wrong name or password")
	l.opens("paula", key, "2")
	paula.asks("key share", [2]string{"Password:", goodPassword}).sees("can now open 2 messages")
	l.opens("paula", key, "1 2")
	l.restart(func(users string) string { return users })
	l.say()
	l.opens("paula", key, "1 2 3")
	if out := l.s.login("paula", signerOf(t, key)).must("history --tar general"); !strings.Contains(out, "-> ssh-ed25519") {
		t.Error("the tar is not sealed to the new key")
	}
}

// Another password opens all, the one before it the past, with an old copy of what it opens.
func TestLifeOfAPassword(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.s.registerByPassword("paula")
	paula := l.s.byPassword("paula", goodPassword)
	l.say()
	before := l.identity(paula, goodPassword)
	const fresh = "another that is long enough"
	paula.asks("passwd", [2]string{"Current password:", goodPassword}, [2]string{"New password:", fresh}, [2]string{"Repeat the password:", fresh}).sees("Password changed")
	l.say()
	l.opens("paula", before, "1")
	l.opens("paula", l.identity(l.s.byPassword("paula", fresh), fresh), "1 2")
}

// Where an admin gives a password, what the one before opened is lost, until its owner remembers it.
func TestLifeOfAForgottenPassword(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	l.s.registerByPassword("paula")
	l.say()
	if _, errs, code := l.alice.exec("user reset-password paula", ""); code == 0 || !strings.Contains(errs, "--yes") {
		t.Fatalf("it asks nobody: exit %d, %s", code, errs)
	}
	given := strings.TrimSpace(l.alice.must("user reset-password paula --yes"))
	l.say()
	paula := l.s.byPassword("paula", given)
	l.opens("paula", l.identity(paula, given), "2")
	paula.asks("passwd recover", [2]string{"Current password:", given}, [2]string{"Previous password:", "was it this one, then?"}).sees("wrong name or password")
	l.opens("paula", l.identity(paula, given), "2")
	paula.asks("passwd recover", [2]string{"Current password:", given}, [2]string{"Previous password:", goodPassword}).sees("also opens what the previous one did")
	l.opens("paula", l.identity(paula, given), "1 2")
	l.say()
	l.opens("paula", l.identity(paula, given), "1 2 3")
	paula.asks("passwd recover", [2]string{"Current password:", given}, [2]string{"Previous password:", goodPassword}).sees("no admin has reset this account's password")
	waitFor(t, "users.json without what was recovered", func() bool { // it is written some time after a change
		return !strings.Contains(readText(t, filepath.Join(l.s.data, "users.json")), "retired")
	})
}

// From a ban on nothing is sealed to who is banned, and from its end on all is again; the past stays open.
func TestLifeOfABan(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	key := keyFile(t, "-t", "ed25519")
	l.s.registerWith(t, "bob", key)
	l.say()
	l.alice.must("ban bob forever spam")
	l.say()
	l.alice.must("unban bob")
	l.say()
	l.opens("bob", key, "1 3")
	l.opens("alice", l.key, "1 2 3")
}

// Nothing is sealed in rooms for who has not been here for 90 days, but for direct messages; at the return they are told,
// and all is from then on. The control is a server where nobody is dormant.
func TestLifeOfSomebodyWhoWasAway(t *testing.T) {
	t.Parallel()
	l := newLife(t)
	key := keyFile(t, "-t", "ed25519")
	l.s.registerWith(t, "bob", key)
	l.say()
	day := func(ago int) string { return time.Now().UTC().AddDate(0, 0, -ago).Format(time.DateOnly) }
	l.restart(func(users string) string {
		return strings.NewReplacer(`"seen":"`+day(0), `"seen":"`+day(100), `"created":"`+day(0), `"created":"`+day(100)).Replace(users)
	})
	l.alice.must("say general back, I am") // alice, too, was away
	l.say()
	l.alice.must("msg bob 3")
	l.opens("bob", key, "1 3")
	bob := l.s.login("bob", signerOf(t, key))
	out, errs, _ := bob.exec("say general 4", "")
	if from := time.Now().UTC().AddDate(0, 0, -10).Format("2 January 2006"); !strings.Contains(errs, "from "+from+" until now. You can open direct messages") {
		t.Errorf("who comes back is told %q", out+errs)
	}
	if _, errs, _ := bob.exec("say general 5", ""); errs != "" {
		t.Errorf("and is told again: %s", errs)
	}
	l.opens("bob", key, "1 3 4 5")
}
