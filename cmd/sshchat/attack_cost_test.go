package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/attack"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"
)

// roomOf is a server whose #general has so many members who are away, and two who are there.
func roomOf(t *testing.T, members int) (s *testServer, bob, mallory *user) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var users, in []string
	for i := range members {
		name := "u" + strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(10_000+i))
		users = append(users, fmt.Sprintf(`{"id":"%032x","name":"%s","role":"user","created":"2026-01-01T00:00:00Z","seen":"2999-01-01",`+
			`"keys":[{"key":"%s","label":"","added":"2026-01-01T00:00:00Z","only":[]}]}`, i+1, name, id.Recipient()))
		in = append(in, fmt.Sprintf(`{"name":"%s","since":1}`, name))
	}
	data := filepath.Join(t.TempDir(), "data")
	file := fmt.Sprintf(`{"format":"sshchat-users/1","users":[%s],"rooms":[{"name":"general","topic":"","private":false,"members":[%s]}],"reserved":[]}`,
		strings.Join(users, ","), strings.Join(in, ","))
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "users.json"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	s = startServer(t, data)
	return s, s.register("bob"), s.register("mallory")
}

// windows is how many windows #general has had, after bob has said something.
func (u *user) windows() int {
	u.t.Helper()
	u.must("say general hello")
	var head struct{ W int }
	line, _, _ := strings.Cut(u.must("head general"), "\n")
	if err := json.Unmarshal([]byte(line), &head); err != nil {
		u.t.Fatal(err)
	}
	return head.W
}

// I add a key and remove it, again and again, so that in a large room a head for each member is made and stored each time,
// and others wait for that. And I hang up as soon as a key is added, so that I need not wait for the room. The controls are
// the same in a small room, and that a key can be removed at any time, and opens nothing from then on.
func TestAttackKeysAddedAndRemovedInALoop(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Room, "add and remove keys in a loop, so that all window heads have to be sealed again")
	const rounds = 8
	members := 400 // more than 300, of whom each change costs more than the debt that everybody may have
	if many {
		members = 1000
	}
	loop := func(bob, mallory *user, members int) (added, windows int) {
		spare, first := line(newSigner(t)), bob.windows()
		mallory.must("key add " + spare)
		bob.windows() // it is among those that are sealed to
		for range rounds {
			key := newSigner(t)
			out, errs, code := mallory.exec("key add "+line(key), "")
			switch {
			case code == 0:
				added++
				bob.windows()
				mallory.must("key remove " + strings.TrimSpace(out))
			case code != 1 || !strings.Contains(errs, "try again in "):
				t.Errorf("in a room of %d: exit %d, %q", members, code, errs)
			}
			bob.windows()
		}
		before := bob.windows()
		mallory.must("key remove " + fingerprint(t, spare))
		if after := bob.windows(); after != before+1 {
			t.Errorf("in a room of %d the spare key is removed, and the window goes on", members)
		}
		return added, before - first
	}
	s, bob, mallory := roomOf(t, members)
	added, windows := loop(bob, mallory, members)
	if added > 2 || windows > 6 {
		t.Errorf("in a room of %d: %d keys were added, %d windows began", members, added, windows)
	}
	_, smallBob, smallMallory := roomOf(t, 10)
	small, smallWindows := loop(smallBob, smallMallory, 10)
	if small != rounds || smallWindows < 2*rounds {
		t.Errorf("the control in a room of 10: %d keys were added, %d windows began", small, smallWindows)
	}

	trudy := s.register("trudy") // who owes nothing yet
	before := bob.windows()
	for range 2 {
		key := newSigner(t)
		hasty := s.login("trudy", trudy.signer)
		hasty.run("key add " + line(key))
		waitFor(t, "key that is added", func() bool { return strings.Contains(trudy.must("key list"), fingerprint(t, line(key))) })
		hasty.Close()
		trudy.must("key remove " + fingerprint(t, line(key)))
		if after := bob.windows(); after > before+1 { // one, if the room was ready before I had hung up
			t.Errorf("%d windows began for keys that nothing was sealed to", after-before)
		}
		before = bob.windows()
	}
	if _, errs, code := trudy.exec("key add "+line(newSigner(t)), ""); code != 1 || !strings.Contains(errs, "try again in ") {
		t.Errorf("the third: exit %d, %q", code, errs)
	}
	row.Tried("%d in a room of %d, also hanging up at once", rounds, members)
	row.Held("each change is charged by the number of members: 2 at once. Removing a key is never refused, and costs nothing if nothing was sealed to it")
	row.Control("%d in a room of 10", small)
}

func fingerprint(t *testing.T, line string) string {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(key)
}
