package main

import (
	"encoding/json"
	"strings"
	"testing"

	"sshchat/sshchat/attack"

	"golang.org/x/crypto/ssh"
)

// decision is something that is decided about mallory, as a command and by hand.
type decision struct {
	command string
	edit    func(users, me map[string]any)
	sealed  int  // to so many of their two keys from then on
	in      bool // they log in with the key that the decision is not about
}

// I read on after a decision about me, however it came about: a command by ssh or in the chat, users.json edited by hand and
// reloaded, or edited while the server was down. My sessions must end, I must not get in again, and nothing more may be
// sealed to what I have. The control is a decision about somebody else.
func TestAttackReadOnHoweverItWasDecided(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "keep reading after a decision, by whatever way it was made")
	decisions := map[string]func(fingerprint string) decision{
		"control": func(string) decision {
			return decision{"mute bob", func(users, _ map[string]any) { users["mutes"] = []any{by("user", "bob")} }, 2, true}
		},
		"ban": func(string) decision {
			return decision{"ban mallory", func(users, _ map[string]any) { users["bans"] = []any{by("user", "mallory")} }, 0, false}
		},
		"ban of a key": func(fp string) decision {
			return decision{"ban key=" + fp, func(users, _ map[string]any) { users["bans"] = []any{by("key", fp)} }, 1, true}
		},
		"disabled": func(string) decision {
			return decision{"user disable mallory", func(_, me map[string]any) { me["disabled"] = true }, 0, false}
		},
		"key removed": func(fp string) decision {
			return decision{"user remove-key mallory " + fp, func(_, me map[string]any) { me["keys"] = me["keys"].([]any)[1:] }, 1, true}
		},
	}
	ways := []string{"by ssh", "in the chat", "by hand", "while it was down"}
	row.Tried("%d decisions in %d ways", len(decisions)-1, len(ways))
	row.Held("all ways change one State, and sessions and windows follow it")
	row.Control("a decision about somebody else, by each way")
	for what, of := range decisions {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, way := range ways {
				readsOn(t, way, of)
			}
		})
	}
}

func by(what, whom string) map[string]any {
	return map[string]any{what: whom, "by": "boss", "at": "2026-01-02T03:04:05Z"}
}

func readsOn(t *testing.T, way string, of func(fingerprint string) decision) {
	s := startServer(t, "")
	boss, mallory, other := s.register("boss"), s.register("mallory"), newSigner(t)
	s.register("bob")
	boss.must("claim " + s.claimCode())
	mallory.must("key add " + line(other))
	boss.must("say general before")
	d := of(ssh.FingerprintSHA256(mallory.signer.PublicKey()))
	follow := mallory.run("follow")
	s.began(boss, "exec", 1)
	byHand := func() {
		s.edit(func(users map[string]any) { d.edit(users, named(users, "mallory")) })
	}
	switch way {
	case "by ssh":
		boss.must(d.command)
	case "in the chat":
		chat := s.login("boss", boss.signer).plain(120, 24)
		chat.sees("Welcome")
		chat.typeln("/" + d.command)
		chat.typeln("/whoami")
		chat.sees("boss (admin)")
	case "by hand":
		byHand()
		boss.must("reload")
	case "while it was down":
		s.stop()
		byHand()
		s = startServer(t, s.data)
		boss = s.login("boss", boss.signer)
	}
	boss.must("say general after")
	unhindered := d.sealed == 2
	switch {
	case unhindered && way != "while it was down":
		follow.sees("after")
	default:
		closes(t, way+": the session", func() error { return <-follow.ended })
		if seen := follow.seen.String(); strings.Contains(seen, "after") {
			t.Errorf("%s: it has seen\n%s", way, seen)
		}
	}
	if got := s.readersOf("general")["mallory"]; got != d.sealed {
		t.Errorf("%s: sealed to %d keys of mallory, not %d", way, got, d.sealed)
	}
	if in := admitted(t, s, mallory.signer); in != unhindered {
		t.Errorf("%s: mallory gets in with the key: %v", way, in)
	}
	if in := admitted(t, s, other); in != d.in {
		t.Errorf("%s: mallory gets in with the other key: %v", way, in)
	}
}

// admitted reports whether mallory runs a command with the key.
func admitted(t *testing.T, s *testServer, key ssh.Signer) bool {
	t.Helper()
	c, err := s.dialAs("mallory", ssh.PublicKeys(key))
	if err != nil {
		return false
	}
	defer c.Close()
	u := &user{Client: c, t: t, server: s, name: "mallory", signer: key}
	out, _, code := u.exec("whoami --json", "")
	var who struct{ Name string }
	return code == 0 && json.Unmarshal([]byte(out), &who) == nil && who.Name == "mallory"
}
