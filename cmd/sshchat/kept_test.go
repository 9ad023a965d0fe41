package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"sshchat/store"
)

// keptFolders are data folders of each format that there was, with their readers' keys, as the version that wrote that format left
// them: killed, after an orderly stop and a rotation. TestKeepFolder makes one, of the present format.
const keptFolders = "../../store/testdata"

// readers are the files with the keys of a kept folder, and whose they are.
var readers = map[string]string{"alice": "alice", "carol": "carol", "carol.age": "carol", "bob.identity": "bob", "erin": "erin", "bot": "erin"}

// TestKeepFolder makes the folder that SSHCHAT_KEEP names, as ../../store/testdata/format-1: data, keys and opens.json.
func TestKeepFolder(t *testing.T) {
	dir := os.Getenv("SSHCHAT_KEEP")
	if dir == "" {
		t.Skip("SSHCHAT_KEEP names no folder to make")
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	s := startProcess(t, "", "--window", "3", "--history-rotate", "10KiB")
	alice := keptPeople(t, s, keys)
	keptTalk(t, s, alice, keys)
	s.stop()
	s = startProcess(t, s.data)
	alice, bob := s.login("alice", signerOf(t, filepath.Join(keys, "alice"))), s.byPassword("bob", goodPassword)
	alice.must("say general after a restart")
	bob.must("say dev bob again")
	alice.must("edit " + strings.TrimSpace(alice.must("say general not what I mean")) + " what I mean")
	bob.must("msg alice nobody else sees this")
	bob.must("delete " + strings.TrimSpace(bob.must("say dev gone soon")))
	s.kill()
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(s.data)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "data", "lock")); err != nil {
		t.Fatal(err)
	}
	opens := make(map[string][]string)
	for key := range readers {
		opens[key] = linesOpened(t, s.data, filepath.Join(keys, key))
	}
	b, err := json.MarshalIndent(opens, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "opens.json"), append(b, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// keptPeople makes the accounts: by SSH key, by age key, by password with a second factor and without, restricted, banned,
// deleted.
func keptPeople(t *testing.T, s *testServer, keys string) (alice *user) {
	t.Helper()
	key := func(name string) string {
		path := filepath.Join(keys, name)
		if _, errs, code := runClient(t, "", "ssh-keygen", "-q", "-N", "", "-C", "", "-t", "ed25519", "-f", path); code != 0 {
			t.Fatal(errs)
		}
		return path
	}
	s.login("alice", signerOf(t, key("alice"))).must("claim " + s.claimCode())
	alice = s.login("alice", signerOf(t, filepath.Join(keys, "alice")))
	s.registerByPassword("bob")
	sealed := filepath.Join(t.TempDir(), "sealed")
	if err := os.WriteFile(sealed, []byte(s.byPassword("bob", goodPassword).must("identity")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "bob.identity"), []byte(ageOnTerminal(t, goodPassword, sealed)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	carol := s.registerWith(t, "carol", key("carol"))
	ageKey := filepath.Join(keys, "carol.age")
	if _, errs, code := runClient(t, "", "age-keygen", "-o", ageKey); code != 0 {
		t.Fatal(errs)
	}
	recipient, errs, code := runClient(t, "", "age-keygen", "-y", ageKey)
	if code != 0 {
		t.Fatal(errs)
	}
	carol.must("key add " + strings.TrimSpace(recipient))
	dave := s.registerWith(t, "dave", key("dave"))
	dave.must("say general I am dave")
	erin := s.registerWith(t, "erin", key("erin"))
	bot := key("bot")
	erin.must("key add --only say:#dev,history:#dev " + publicKey(t, bot))
	s.register("mallory").must("say general mallory was here")
	s.registerByPassword("paula")
	secret, _ := secondFactor(t, s.byPassword("paula", goodPassword).plain(80, 24))
	if err := os.WriteFile(filepath.Join(keys, "paula.totp"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return alice
}

// keptTalk is what people say and admins do.
func keptTalk(t *testing.T, s *testServer, alice *user, keys string) {
	t.Helper()
	key := func(name string) *user { return s.login(name, signerOf(t, filepath.Join(keys, name))) }
	bob, carol, erin := s.byPassword("bob", goodPassword), key("carol"), key("erin")
	alice.must("join dev")
	alice.must("topic dev what is being made")
	alice.must("room set-private dev on")
	for _, u := range []*user{bob, erin} {
		alice.must("invite " + u.name + " dev")
		u.must("join dev")
	}
	alice.must("mod bob dev")
	alice.must("slow dev 5s")
	for i := range 12 {
		alice.must(fmt.Sprintf("say general line %d%s", i, strings.Repeat(" and more", i%4*9)))
		bob.must(fmt.Sprintf("say dev step %d", i))
		if i%3 == 0 {
			carol.must(fmt.Sprintf("say general carol %d", i))
		}
	}
	carol.must("edit " + strings.TrimSpace(carol.must("say general a slip")) + " no slip")
	carol.must("delete " + strings.TrimSpace(carol.must("say general regretted")))
	carol.must("msg alice between us")
	alice.must("msg carol said one, then two")
	alice.must("msg bob hello")
	o := alice.plain(80, 24)
	o.sees("Welcome")
	o.typeln("/me waves")
	o.sees("* alice waves")
	carol.must("set bell all")
	carol.must("set zone Europe/Berlin")
	for _, line := range []string{
		"user set-role carol mod", "ban dave forever 'that is enough'", "ban ip=198.51.100.0/24 52w", "ban key=SHA256:" + strings.Repeat("A", 43), "mute paula",
		"invite create --uses 3", "invite create", "allowlist add bob", "allowlist add ip=192.0.2.0/24", "user delete mallory --yes", "motd set be kind",
		"say general the end of the first run",
	} {
		alice.must(line)
	}
}

// linesOpened are the lines that our reader opens of the history in a folder, with a key.
func linesOpened(t *testing.T, data, key string) (lines []string) {
	t.Helper()
	out, errs, code := runHere(t, "open", "--json", "-i", key, data)
	if code != 0 {
		t.Fatalf("open with %s: exit %d, %s", key, code, errs)
	}
	return openedLines(t, out)
}

// openedLines are lines of JSON, shorter, without their time.
func openedLines(t *testing.T, out string) (lines []string) {
	t.Helper()
	for line := range strings.Lines(out) {
		var l struct {
			Room, From, Kind, Text string
			Seq, Of                uint64
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s/%d %s %s %d %s", l.Room, l.Seq, l.From, l.Kind, l.Of, l.Text))
	}
	return lines
}

// keptFolder is a copy of a kept folder's data, and what its keys open.
func keptFolder(t *testing.T, format string) (data, keys string, opens map[string][]string) {
	t.Helper()
	from := filepath.Join(keptFolders, format)
	data = filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(data, os.DirFS(filepath.Join(from, "data"))); err != nil {
		t.Fatal(err)
	}
	for name := range filesOf(t, data) { // a checkout leaves them open to others
		if err := os.Chmod(filepath.Join(data, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(data, 0o700); err != nil {
		t.Fatal(err)
	}
	keys = t.TempDir()
	if err := os.CopyFS(keys, os.DirFS(filepath.Join(from, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(readText(t, filepath.Join(from, "opens.json"))), &opens); err != nil {
		t.Fatal(err)
	}
	return data, keys, opens
}

// filesOf are the SHA-256 of the files in a folder, by name.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		if !e.IsDir() {
			files[e.Name()] = fmt.Sprintf("%x", sha256.Sum256([]byte(readText(t, filepath.Join(dir, e.Name())))))
		}
	}
	return files
}

// formats are those that there is a kept folder of.
func formats(t *testing.T) (names []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(keptFolders, "format-*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no folder is kept in %s: %v", keptFolders, err)
	}
	for _, path := range all {
		names = append(names, filepath.Base(path))
	}
	return names
}

// readersOpen has each key open a folder's history by our reader, and some by one in another language, which takes a process
// for each message.
func readersOpen(t *testing.T, data, keys string, opens map[string][]string, also ...string) {
	t.Helper()
	if out, errs, code := runHere(t, "verify", data); code != 0 {
		t.Fatalf("verify: exit %d, %s%s", code, out, errs)
	}
	for key, name := range readers {
		path := filepath.Join(keys, key)
		if got := linesOpened(t, data, path); !sameLines(got, opens[key]) {
			t.Errorf("%s opens\n%s\nnot\n%s", key, strings.Join(got, "\n"), strings.Join(opens[key], "\n"))
		}
		if !slices.Contains(also, key) {
			continue
		}
		out, errs, code := otherReader(t, append(archives(t, data), name, path)...)
		if got := openedLines(t, out); code != 0 || !sameLines(got, opens[key]) {
			t.Errorf("in another language %s opens\n%s\nexit %d, %s", key, strings.Join(got, "\n"), code, errs)
		}
	}
}

// sameLines reports whether both have the same lines, in any order of rooms. What was edited or deleted is stored as it was
// said, and, in the close of its window, as it became: one reader takes the one, another the other.
func sameLines(a, b []string) bool { return slices.Equal(settled(a), settled(b)) }

// settled are the lines by room, without what was said in those that were edited or deleted.
func settled(lines []string) (sorted []string) {
	changed := make(map[string]bool)
	for _, line := range lines {
		words := strings.Fields(line)
		room, _, _ := strings.Cut(words[0], "/")
		changed[room+"/"+words[3]] = true
	}
	for _, line := range lines {
		if place, _, _ := strings.Cut(line, " "); changed[place] {
			line = place
		}
		sorted = append(sorted, line)
	}
	slices.Sort(sorted)
	return sorted
}

// What older versions stored, this one reads with their readers' keys, and changes nothing by reading.
func TestKeptFoldersAreRead(t *testing.T) {
	t.Parallel()
	client(t, "age")
	for _, format := range formats(t) {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			data, keys, opens := keptFolder(t, format)
			before := filesOf(t, data)
			also := []string{"carol.age"}
			if long {
				also = append(also, "bot")
			}
			readersOpen(t, data, keys, opens, also...)
			if after := filesOf(t, data); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("reading changed the folder: %v, and before %v", after, before)
			}
		})
	}
}

// paulaIn logs in who has a password and a second factor.
func paulaIn(t *testing.T, s *testServer, keys string) *user {
	t.Helper()
	code, err := totp.GenerateCode(strings.TrimSpace(readText(t, filepath.Join(keys, "paula.totp"))), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	client, err := s.dialAs("paula", interactive(goodPassword, code))
	if err != nil {
		t.Fatalf("paula by password and code: %v", err)
	}
	t.Cleanup(func() { client.Close() })
	return &user{client, t, s, "paula", nil}
}

// A folder of an older version is upgraded as the server starts, after a backup of it. People come in with what they had, find
// what there was, and what follows is of the present format; its readers open all of it.
func TestKeptFoldersAreUpgraded(t *testing.T) {
	t.Parallel()
	client(t, "age")
	for _, format := range formats(t) {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			data, keys, opens := keptFolder(t, format)
			before := filesOf(t, data)
			older := format != fmt.Sprintf("format-%d", store.Format)
			s := startServer(t, data)
			if got := strings.Contains(s.log.String(), "data folder upgraded"); got != older {
				t.Errorf("it was upgraded: %v\n%s", got, s.log)
			}
			backup := filepath.Join(data, "backup-"+format)
			if older {
				if kept := filesOf(t, backup); fmt.Sprint(kept) != fmt.Sprint(before) {
					t.Errorf("the backup is %v, and the folder was %v", kept, before)
				}
			} else if _, err := os.Stat(backup); err == nil {
				t.Error("there is a backup of a folder that was not upgraded")
			}
			alice := keptPeopleComeIn(t, s, keys)
			alice.must("say general after the upgrade")
			for _, key := range []string{"alice", "bob.identity", "carol", "carol.age", "erin"} {
				opens[key] = append(opens[key], "general/28 alice say 0 after the upgrade")
			}
			for _, key := range []string{"alice", "bob.identity", "erin", "bot"} {
				opens[key] = append(opens[key], "dev/16 bob say 0 bob is back")
			}
			for _, file := range []string{"users", "history"} {
				name := map[string]string{"users": "users.json", "history": "message_history.json"}[file]
				if want := fmt.Sprintf(`{"format":"sshchat-%s/%d"`, file, store.Format); !strings.HasPrefix(readText(t, filepath.Join(data, name)), want) {
					t.Errorf("%s does not begin with %s", name, want)
				}
			}
			s = s.again()
			if strings.Contains(s.log.String(), "data folder upgraded") {
				t.Errorf("it is upgraded once more:\n%s", s.log)
			}
			s.stop()
			if long { // TestAnotherLanguageReadsTheFile has the present format read so
				readersOpen(t, data, keys, opens, "alice")
			} else {
				readersOpen(t, data, keys, opens)
			}
		})
	}
}

// keptPeopleComeIn has everybody of a kept folder log in, and alice look at what was decided.
func keptPeopleComeIn(t *testing.T, s *testServer, keys string) (alice *user) {
	t.Helper()
	alice = s.login("alice", signerOf(t, filepath.Join(keys, "alice")))
	for line, want := range map[string]string{
		"user list": "carol", "user info carol": "mod", "bans": "198.51.100.0/24", "invite list": "3", "allowlist list": "192.0.2.0/24",
		"topic dev": "what is being made", "who dev": "erin", "motd": "be kind", "audit": "user delete mallory",
	} {
		if out, errs, code := alice.exec(line, ""); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %q is not in %s%s", line, code, want, out, errs)
		}
	}
	s.byPassword("bob", goodPassword).must("say dev bob is back")
	if _, errs, code := paulaIn(t, s, keys).exec("say general hello", ""); code != 3 || !strings.Contains(errs, "muted") {
		t.Errorf("paula, who is muted: exit %d, %s", code, errs)
	}
	s.login("carol", signerOf(t, filepath.Join(keys, "carol"))).must("whoami")
	if out, _, code := s.login("dave", signerOf(t, filepath.Join(keys, "dave"))).exec("whoami", ""); code == 0 {
		t.Errorf("dave is in, who is banned: %s", out)
	}
	bot := s.login("erin", signerOf(t, filepath.Join(keys, "bot")))
	if _, _, code := bot.exec("say general hello", ""); code != 3 {
		t.Errorf("the restricted key may do other things: exit %d", code)
	}
	if _, _, code := s.login("mallory", newSigner(t)).exec("register", ""); code == 0 {
		t.Error("the name of a deleted account is free")
	}
	return alice
}

// Of a folder with a newer file nothing is changed, and no backup made, also if the other file is older.
func TestNewerFolderIsNotUpgraded(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]string{"users.json": "sshchat-users/1", "message_history.json": "sshchat-history/1"} {
		data, _, _ := keptFolder(t, "format-1")
		path := filepath.Join(data, name)
		newer := strings.Replace(readText(t, path), from, strings.TrimSuffix(from, "1")+"9", 1)
		if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		before := filesOf(t, data)
		_, errs, code := runHere(t, "--listen", "127.0.0.1:0", "--data", data)
		if code != 1 || !strings.Contains(errs, name) || !strings.Contains(errs, "9") {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
		after := filesOf(t, data)
		delete(after, "lock")
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: the folder was changed", name)
		}
		if left, err := filepath.Glob(filepath.Join(data, "backup*")); err != nil || len(left) > 0 {
			t.Errorf("%s: %q, %v", name, left, err)
		}
	}
}
