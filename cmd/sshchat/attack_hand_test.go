package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/attack"
	"sshchat/store/changes"

	"golang.org/x/crypto/ssh"
)

// edit changes users.json by hand.
func (s *testServer) edit(change func(users map[string]any)) {
	s.t.Helper()
	upToDate(s.data)
	path := filepath.Join(s.data, "users.json")
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	var users map[string]any
	if err := json.Unmarshal(b, &users); err != nil {
		s.t.Fatal(err)
	}
	change(users)
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(users); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// upToDate waits until users.json holds all that is in changes.jsonl, as it does soon, unless somebody has edited it.
func upToDate(data string) {
	for range 5000 {
		users, err := os.ReadFile(filepath.Join(data, "users.json"))
		log, logErr := os.ReadFile(filepath.Join(data, "changes.jsonl"))
		content, parseErr := changes.Parse(log)
		if errors.Join(err, logErr, parseErr) != nil {
			return // the test will find out
		}
		sum := sha256.Sum256(users)
		if named, ok := content.Named(hex.EncodeToString(sum[:])); !ok || named.Upto == content.Last() {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// named is somebody's entry in users.json.
func named(users map[string]any, name string) map[string]any {
	for _, u := range users["users"].([]any) {
		if u := u.(map[string]any); u["name"] == name {
			return u
		}
	}
	return nil
}

// I read in sessions that were open before the admin changed users.json by hand and reloaded it: my key is removed, or
// restricted, I am banned, my key is, I am disabled, my role is gone. I must read nothing more, and nothing more may be sealed
// to what I have. The control is a reload without a change.
func TestAttackReadOnAfterAReload(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Identity, "read on after users.json was changed by hand and reloaded")
	edits := map[string]struct {
		change func(users, me map[string]any, fingerprint string)
		ended  string // what my sessions are told; empty: they go on
		sealed int    // to so many keys of mine
	}{
		"nothing": {func(_, _ map[string]any, _ string) {}, "", 2},
		"key removed": {func(_, me map[string]any, _ string) {
			me["keys"] = me["keys"].([]any)[1:]
		}, "The key of this session has been removed", 1},
		"key restricted": {func(_, me map[string]any, _ string) {
			me["keys"].([]any)[0].(map[string]any)["only"] = []string{"say:#general"}
		}, "The restrictions of this session's key have changed", 1},
		"banned": {func(users, _ map[string]any, _ string) {
			users["bans"] = []any{map[string]any{"user": "mallory", "by": "boss", "at": "2026-01-02T03:04:05Z", "why": "by hand"}}
		}, "You are banned forever: by hand", 0},
		"key banned": {func(users, _ map[string]any, fingerprint string) {
			users["bans"] = []any{map[string]any{"key": fingerprint, "by": "boss", "at": "2026-01-02T03:04:05Z"}}
		}, "You are banned forever", 1},
		"disabled": {func(_, me map[string]any, _ string) { me["disabled"] = true }, "This account has been disabled", 0},
		"allowlist": {func(users, _ map[string]any, _ string) {
			users["allowlist"] = map[string]any{"on": true, "entries": []string{"somebody"}}
		}, "Only people on the allowlist", 2},
	}
	row.Tried("%d changes, 3 sessions each", len(edits)-1)
	row.Held("all sessions are checked again by the rule that admits logins, and windows end")
	row.Control("after a reload without a change they can still read")
	for what, c := range edits {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, "")
			boss, mallory := s.register("boss"), s.register("mallory")
			boss.must("claim " + s.claimCode())
			mallory.must("key add " + line(newSigner(t)))
			boss.must("say general before")
			follow, screen, pipe := mallory.run("follow"), s.login("mallory", mallory.signer).plain(80, 24), s.login("mallory", mallory.signer).pipe()
			screen.sees("Welcome")
			s.began(boss, "exec", 1)
			s.began(boss, "pipe", 0)
			s.edit(func(users map[string]any) {
				c.change(users, named(users, "mallory"), ssh.FingerprintSHA256(mallory.signer.PublicKey()))
			})
			boss.must("reload")
			boss.must("say general after")
			for _, o := range []*openSession{follow, screen, pipe} {
				if c.ended == "" {
					o.sees("after")
					continue
				}
				closes(t, "a session", func() error { return <-o.ended })
				if seen := o.seen.String(); strings.Contains(seen, "after") || !strings.Contains(seen, c.ended) {
					t.Errorf("it has seen\n%s", seen)
				}
			}
			if got := s.readersOf("general")["mallory"]; got != c.sealed {
				t.Errorf("sealed to %d keys of mallory, not %d", got, c.sealed)
			}
		})
	}
}

// A reload that fails is an error, to who asked for it and in the log.
func TestFailedReloadIsAnError(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	var good []byte
	waitFor(t, "the claim in users.json, which follows within a second", func() bool {
		var err error
		if good, err = os.ReadFile(filepath.Join(s.data, "users.json")); err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(good), `"role":"admin"`)
	})
	if err := os.WriteFile(filepath.Join(s.data, "users.json"), []byte(`{"users": nonsense`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, code := boss.exec("reload", ""); code != 1 || !strings.Contains(errs, "users.json") {
		t.Errorf("exit %d, %s", code, errs)
	}
	waitFor(t, "an error in the log", func() bool { return strings.Contains(s.log.String(), "ERROR reload failed") })
	if err := os.WriteFile(filepath.Join(s.data, "users.json"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	boss.must("reload")
}

// An admin made as the server starts reads #general at once, and so does one that is made beside people who are there.
func TestAdminAtTheStartReads(t *testing.T) {
	t.Parallel()
	key, other := newSigner(t), newSigner(t)
	s := startServer(t, "", "--admin", "root="+writePublic(t, key))
	if log := s.log.String(); !strings.Contains(log, "created the admin") || !strings.Contains(log, "account=root") {
		t.Errorf("the log does not name the admin who was made:\n%s", log)
	}
	root := s.login("root", key)
	root.must("say general first")
	if readers := s.readersOf("general"); readers["root"] != 1 {
		t.Errorf("sealed to %v", readers)
	}
	s.stop()
	s = startServer(t, s.data, "--admin", "root="+writePublic(t, key), "--admin", "second="+writePublic(t, other))
	s.login("root", key).must("say general second")
	if readers := s.readersOf("general"); readers["root"] != 1 || readers["second"] != 1 {
		t.Errorf("sealed to %v", readers)
	}
	if out := s.login("second", other).must("history --list general"); !strings.Contains(out, "not sealed to you") {
		t.Errorf("what was said before is not theirs: %s", out)
	}
}

// What nobody can read is said loudly: in the log, to sessions of who writes it, and to their scripts.
func TestSealedToNobodyIsLoud(t *testing.T) {
	t.Parallel()
	s := startServer(t, "")
	boss := s.register("boss")
	boss.must("claim " + s.claimCode())
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewSignerFromKey(private) // age cannot seal to it
	if err != nil {
		t.Fatal(err)
	}
	s.login("eve", key).must("register")
	eve := s.login("eve", key)
	eve.must("join den")
	screen := eve.plain(80, 24)
	screen.sees("Welcome")
	if _, errs, code := eve.exec("say den hello", ""); code != 0 || !strings.Contains(errs, "nobody can read it later") {
		t.Errorf("exit %d, %s", code, errs)
	}
	screen.sees("nobody can read them later")
	waitFor(t, "a warning in the log", func() bool {
		return regexp.MustCompile(`WARN +nobody can open new messages: .* room=den`).MatchString(s.log.String())
	})
	if _, errs, _ := eve.exec("say general hello", ""); strings.Contains(errs, "nobody") {
		t.Errorf("boss reads #general: %s", errs)
	}
	boss.must("join den")
	if _, errs, _ := eve.exec("say den hello", ""); strings.Contains(errs, "nobody") {
		t.Errorf("boss reads #den by now: %s", errs)
	}
	if n := strings.Count(s.log.String(), "nobody can open new messages"); n != 1 {
		t.Errorf("%d warnings in the log", n)
	}
}
