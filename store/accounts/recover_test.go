package accounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/store/changes"
)

// crash copies a data folder as a crash leaves it.
func crash(t *testing.T, u *Store) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(u.files.path))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// asked is a Store that writes users.json only when somebody asks for it. What it logs is in the buffer.
func asked(t *testing.T, dir string) (*Store, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	u, err := Open(dir, Options{WorkFactor: 4, FlushEvery: -1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	return u, &log
}

// replaceIn edits a file.
func replaceIn(t *testing.T, path, old, new string) {
	t.Helper()
	was := mustRead(t, path)
	is := strings.Replace(was, old, new, 1)
	if is == was {
		t.Fatalf("no %q in %s", old, was)
	}
	if err := os.WriteFile(path, []byte(is), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (u *Store) must(t *testing.T, in chat.Intent) {
	t.Helper()
	if err := u.decide(in); err != nil {
		t.Fatal(err)
	}
}

// begun is a server with alice and bob in its users.json, which was written twice, and more decided since.
func begun(t *testing.T) (u *Store, alice, bob chat.Account) {
	t.Helper()
	u, _ = asked(t, t.TempDir())
	alice = create(t, u, "alice", "")
	bob = create(t, u, "bob", "")
	u.must(t, chat.SetRole{ID: alice.ID, Role: chat.Admin})
	checkpoint(t, u)
	u.must(t, chat.SetSetting{ID: bob.ID, Name: "bell", Value: "all"})
	u.must(t, chat.CreateRoom{Room: roomName("later")})
	return u, alice, bob
}

// removeKey edits bob's key, who has one, out of users.json.
func removeKey(t *testing.T, dir string, bob chat.Account) {
	t.Helper()
	path := filepath.Join(dir, "users.json")
	key, err := json.Marshal(bob.Keys[0].Line)
	if err != nil {
		t.Fatal(err)
	}
	text := mustRead(t, path)
	at := strings.Index(text, `{"key":`+string(key))
	if at < 0 {
		t.Fatalf("no key of bob's in %s", text)
	}
	end := at + strings.Index(text[at:], "}") + 1
	replaceIn(t, path, text[at:end], `{"key":"`+keyA+`","label":"by hand","added":"2026-11-23T21:38:56Z","only":[]}`)
}

// A key that somebody removes from users.json after a crash is gone, and all that was decided after the file was written holds.
func TestKeyRemovedByHandAfterACrash(t *testing.T) {
	t.Parallel()
	u, _, bob := begun(t)
	dir := crash(t, u)
	removeKey(t, dir, bob)
	check := func(u *Store) {
		t.Helper()
		a, _ := u.ByName(bob.Name)
		if len(a.Keys) != 1 || a.Keys[0].Label != "by hand" || a.Settings["bell"] != "all" {
			t.Errorf("%+v", a)
		}
		if _, ok := u.View().Room(roomName("later")); !ok {
			t.Error("a room is lost")
		}
	}
	again, log := asked(t, dir)
	check(again)
	if !strings.Contains(log.String(), `what="account bob" change=4`) {
		t.Errorf("logged: %s", log)
	}
	if got := mustRead(t, again.files.path); strings.Contains(got, bob.Keys[0].Line) || !strings.Contains(got, `"upto":6`) {
		t.Errorf("users.json: %s", got)
	}
	u.must(t, chat.SetTopic{Room: chat.General, Topic: "once more"})
	third, _ := asked(t, crash(t, again))
	check(third)
}

// A key that is removed by hand while the server runs is gone, whether reload or a crash and a start comes next, and what was
// decided beside it holds. So does what is decided after the reload, if the server crashes before it has written users.json.
func TestKeyRemovedByHandWhileRunning(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"reload", "reload and a crash", "reload, more, and a crash", "a crash", "a stop"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			u, alice, bob := begun(t)
			dir := filepath.Dir(u.files.path)
			removeKey(t, dir, bob)
			u.must(t, chat.Mute{Sanction: chat.Sanction{User: bob.Name}})
			label := "by hand"
			switch how {
			case "reload":
				if n, err := u.reload(); err != nil || n != 1 {
					t.Errorf("reload: %d, %v", n, err)
				}
			case "reload and a crash", "reload, more, and a crash":
				in, _, err := u.files.edit()
				if err != nil {
					t.Fatal(err)
				}
				u.must(t, in)
				if strings.Contains(how, "more") {
					label = "taken back"
					if err := u.RemoveKey(bob.ID, ""); err == nil {
						t.Error("a key of no fingerprint")
					}
					a, _ := u.ByName(bob.Name)
					if err := u.AddKey(bob.ID, chat.Key{Line: bob.Keys[0].Line, Label: label}); err != nil {
						t.Fatal(err)
					}
					if err := u.RemoveKey(bob.ID, a.Keys[0].Fingerprint); err != nil {
						t.Fatal(err)
					}
				}
				u, _ = asked(t, crash(t, u))
			case "a crash":
				u, _ = asked(t, crash(t, u))
			case "a stop":
				if err := u.Close(); err != nil {
					t.Fatal(err)
				}
				u, _ = asked(t, dir)
			}
			a, _ := u.ByName(bob.Name)
			_, muted := u.View().Muted(bob.Name)
			if len(a.Keys) != 1 || a.Keys[0].Label != label || a.Settings["bell"] != "all" || !muted || !u.HasAdmin() || len(u.Rooms()) != 2 {
				t.Errorf("%+v, muted %v", a, muted)
			}
			if got := mustRead(t, u.files.path); !strings.Contains(got, label) && !strings.Contains(how, "more") || !strings.Contains(got, alice.ID) {
				t.Errorf("users.json: %s", got)
			}
		})
	}
}

// What cannot be told apart is refused, with the command that goes on without what would be lost; nothing has changed then.
func TestEditThatCannotBeTold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		words string
		role  chat.Role // bob's, if one insists
	}{
		"no backup": {func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "users.json"), `"name":"bob","role":"user"`, `"name":"bob","role":"mod"`)
			if err := os.Remove(filepath.Join(dir, "users.json.bak")); err != nil {
				t.Fatal(err)
			}
		}, "it was edited by hand, and", chat.Mod},
		"another backup": {func(t *testing.T, dir string) {
			replaceIn(t, filepath.Join(dir, "users.json"), `"name":"bob","role":"user"`, `"name":"bob","role":"mod"`)
			replaceIn(t, filepath.Join(dir, "users.json.bak"), `"label":""`, `"label":"x"`)
		}, "it was edited by hand, and", chat.Mod},
		"an old one": {func(t *testing.T, dir string) {
			u, _ := asked(t, dir)
			b, _ := u.ByName(name("bob"))
			old := mustRead(t, u.files.path)
			for i := range 2 {
				u.must(t, chat.SetSetting{ID: b.ID, Name: "bell", Value: fmt.Sprint(i)})
				checkpoint(t, u)
			}
			u.files.mu.Lock()
			err := u.files.changes.Rewrite(u.files.before.checkpoint())
			u.files.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
			u.must(t, chat.SetRole{ID: b.ID, Role: chat.Admin})
			left := crash(t, u)
			if err := u.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(filepath.Join(dir, "copy"), os.DirFS(left)); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"changes.jsonl", "users.json.bak"} {
				if err := os.Rename(filepath.Join(dir, "copy", file), filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			writeUsers(t, dir, old)
		}, "it is an old copy", chat.User},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _, bob := begun(t)
			dir := crash(t, u)
			c.spoil(t, dir)
			users, log := mustRead(t, filepath.Join(dir, "users.json")), mustRead(t, filepath.Join(dir, "changes.jsonl"))
			_, err := Open(dir, cheap)
			if err == nil || !strings.Contains(err.Error(), c.words) {
				t.Fatalf("%v", err)
			}
			if mustRead(t, filepath.Join(dir, "users.json")) != users || mustRead(t, filepath.Join(dir, "changes.jsonl")) != log {
				t.Error("something has changed")
			}
			_, command, ok := strings.Cut(err.Error(), "run: ")
			if !ok {
				t.Fatalf("unknown command in %v", err)
			}
			if out, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s", command, err, out)
			}
			again, _ := asked(t, dir)
			if b, _ := again.ByID(bob.ID); b.Role != c.role || b.Settings["bell"] == "all" && name != "an old one" {
				t.Errorf("%+v", b)
			}
		})
	}
}

// After an orderly stop an edit is taken as it is, whatever the backup; and so is a backup of the server, which has no log.
func TestEditAfterAStop(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]string{"all is there": "", "without the log": "changes.jsonl", "without the backup": "users.json.bak"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _, bob := begun(t)
			dir := filepath.Dir(u.files.path)
			if err := u.Close(); err != nil {
				t.Fatal(err)
			}
			if spoil != "" {
				if err := os.Remove(filepath.Join(dir, spoil)); err != nil {
					t.Fatal(err)
				}
			}
			removeKey(t, dir, bob)
			again, _ := asked(t, dir)
			if a, _ := again.ByName(bob.Name); a.Keys[0].Label != "by hand" || a.Settings["bell"] != "all" || again.Changes() != 5 {
				t.Errorf("%+v, change %d", a, again.Changes())
			}
			again.must(t, chat.SetTopic{Room: chat.General, Topic: "on"})
			if last, err := Verify(crash(t, again)); err != nil || last != 6 {
				t.Errorf("verify: %d, %v", last, err)
			}
		})
	}
}

// An edit of a file that is some changes old is taken by reload; one that is too old is refused, and nothing of it is lost.
func TestReloadOfAnOldFile(t *testing.T) {
	t.Parallel()
	u, _, bob := begun(t)
	removeKey(t, filepath.Dir(u.files.path), bob)
	edited := mustRead(t, u.files.path)
	if err := os.Rename(u.files.path, u.files.path+".mine"); err != nil {
		t.Fatal(err)
	}
	if _, err := u.reload(); err != nil { // a new one is written
		t.Fatal(err)
	}
	for i := range 5 {
		u.must(t, chat.SetSetting{ID: bob.ID, Name: "zone", Value: fmt.Sprint(i)})
		checkpoint(t, u)
	}
	old := edited
	writeUsers(t, filepath.Dir(u.files.path), edited)
	if _, err := u.reload(); err != nil {
		t.Fatal(err)
	}
	if a, _ := u.ByName(bob.Name); a.Keys[0].Label != "by hand" || a.Settings["zone"] != "4" || a.Settings["bell"] != "all" {
		t.Errorf("%+v", a)
	}
	for i := 0; u.files.changes.Start().Upto == 0; i++ { // until the log has dropped the first
		if i > 5000 {
			t.Fatal("it is never rewritten")
		}
		u.must(t, chat.SetTopic{Room: chat.General, Topic: strings.Repeat("long ", 700) + fmt.Sprint(i)})
		if i%50 == 0 {
			checkpoint(t, u)
		}
	}
	if size := u.files.changes.Size(); size < keepChanges || size > 2*keepChanges {
		t.Errorf("%d bytes of changes are kept", size)
	}
	writeUsers(t, filepath.Dir(u.files.path), old)
	_, err := u.reload()
	if err == nil || !strings.Contains(err.Error(), "is no longer known") || mustRead(t, u.files.path) != old {
		t.Errorf("%v", err)
	}
	u.must(t, chat.SetTopic{Room: chat.General, Topic: "goes on"})
	if err := u.Checkpoint(); err == nil || mustRead(t, u.files.path) != old {
		t.Error("it is written over")
	}
	if _, err := Open(crash(t, u), cheap); err == nil || !strings.Contains(err.Error(), "it is an old copy") {
		t.Errorf("after a crash: %v", err)
	}
}

// An older users.json that is put back is not taken for an edit; with "upto" set as it is told it is.
func TestReloadOfABackup(t *testing.T) {
	t.Parallel()
	u, _, bob := begun(t)
	old := mustRead(t, u.files.path)
	checkpoint(t, u)
	u.must(t, chat.CloseRoom{Room: roomName("later")}) // or it refuses rooms that are other
	writeUsers(t, filepath.Dir(u.files.path), old)
	_, err := u.reload()
	if err == nil || !strings.Contains(err.Error(), `set "upto" in it to 6`) || mustRead(t, u.files.path) != old {
		t.Fatalf("%v", err)
	}
	replaceIn(t, u.files.path, `"upto":3`, `"upto":6`)
	if n, err := u.reload(); err != nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	if a, _ := u.ByID(bob.ID); len(a.Settings) != 0 {
		t.Errorf("%v", a.Settings)
	}
}

// A backup that is unpacked over the folder it is of, or elsewhere, is the server as it was.
func TestBackupOverTheFolder(t *testing.T) {
	t.Parallel()
	u, _, bob := begun(t)
	files, settled := make(map[string][]byte), 0
	u.BeforeCheckpoint(func() error { settled++; return nil })
	for s, err := range u.Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(s)
		if err != nil {
			t.Fatal(err)
		}
		files[s.Name] = b
	}
	if settled == 0 {
		t.Error("the audit log may lack lines about what is in the backup")
	}
	u.must(t, chat.SetRole{ID: bob.ID, Role: chat.Mod})
	checkpoint(t, u)
	u.must(t, chat.SetRole{ID: bob.ID, Role: chat.Admin})
	for _, dir := range []string{t.TempDir(), crash(t, u)} {
		for name, b := range files {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if last, err := Verify(dir); err != nil || last != 5 {
			t.Errorf("verify: %d, %v", last, err)
		}
		again, _ := asked(t, dir)
		if b, _ := again.ByID(bob.ID); b.Role != chat.User || b.Settings["bell"] != "all" || again.Changes() != 5 || len(files) != 2 {
			t.Errorf("%+v, change %d", b, again.Changes())
		}
	}
}

// A file of another server is refused by reload.
func TestReloadOfALaterFile(t *testing.T) {
	t.Parallel()
	u, _, _ := begun(t)
	checkpoint(t, u)
	replaceIn(t, u.files.path, `"upto":5`, `"upto":50`)
	if _, err := u.reload(); err == nil || !strings.Contains(err.Error(), `set "upto" to 5`) {
		t.Errorf("%v", err)
	}
	replaceIn(t, u.files.path, `"upto":50`, `"upto":5`)
	if _, err := u.reload(); err != nil {
		t.Error(err)
	}
}

// A changes.jsonl that was damaged, cut or put together anew is refused, and the folder left as it is. The control: the whole one
// is applied.
func TestAttackDamagedChanges(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Files, "damaged, truncated or rearranged changes.jsonl")
	u, _, _ := begun(t)
	whole := crash(t, u)
	lines := strings.SplitAfter(strings.TrimRight(mustRead(t, filepath.Join(whole, "changes.jsonl")), " "), "\n")
	lines = lines[:len(lines)-1]
	if len(lines) < 7 {
		t.Fatalf("%d lines", len(lines))
	}
	signed := func(line string) string { // with the checksum that it ought to have
		return fmt.Sprintf("%s,\"crc\":\"%08x\"}\n", line, crc32.Checksum([]byte(line), crc32.MakeTable(crc32.Castagnoli)))
	}
	ways := map[string]string{
		"another field":           strings.Join(lines, "") + signed(`{"b":6,"more":1`),
		"another kind":            strings.Join(lines, "") + signed(`{"c":6`),
		"a newer format":          strings.Replace(strings.Join(lines, ""), "changes/1", "changes/2", 1),
		"nothing":                 "",
		"another file":            `{"format":"sshchat-users/2","upto":0,"users":[]}`,
		"what users.json refuses": strings.Join(lines, "") + signed(`{"b":6,"change":{"rooms":[{"name":"general","members":{"put":[{"name":"nobody","since":1}]}}]}`),
		"an entity twice":         strings.Join(lines, "") + signed(`{"b":6,"change":{"mutes":{"put":[{"user":"bob","at":"2026-01-02T03:04:05Z"},{"user":"bob","at":"2026-01-02T03:04:05Z"}]}}`),
		"an unknown entity":       strings.Join(lines, "") + signed(`{"b":6,"change":{"people":{"gone":["bob"]}}`),
	}
	for i := range lines {
		with := func(line ...string) string {
			return strings.Join(slices.Concat(lines[:i], line, lines[i+1:]), "")
		}
		if i < len(lines)-1 {
			ways[fmt.Sprint("line ", i+1, " damaged")] = with(strings.Replace(lines[i], `:`, `;`, 1))
			ways[fmt.Sprint("line ", i+1, " overwritten")] = with(strings.Repeat(" ", len(lines[i])-1) + "\n")
			ways[fmt.Sprint("line ", i+1, " zeroed")] = with(strings.Repeat("\x00", len(lines[i])))
		}
		if change := strings.HasPrefix(lines[i], `{"b":`); change || i == 0 {
			ways[fmt.Sprint("line ", i+1, " twice")] = with(lines[i], lines[i])
			if i < len(lines)-1 {
				ways[fmt.Sprint("line ", i+1, " missing")] = with()
			}
		}
	}
	refused := func(what, users, log string) {
		t.Helper()
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
			t.Fatal(err)
		}
		writeUsers(t, dir, users)
		if err := os.WriteFile(filepath.Join(dir, "changes.jsonl"), []byte(log), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := Open(dir, cheap); err == nil {
			u.Close()
			t.Errorf("%s: taken", what)
			return
		}
		after, err := os.ReadDir(dir)
		if err != nil || len(after) != len(before) || mustRead(t, filepath.Join(dir, "users.json")) != users || mustRead(t, filepath.Join(dir, "changes.jsonl")) != log {
			t.Errorf("%s: something was changed: %v, %v", what, after, err)
		}
	}
	users := mustRead(t, filepath.Join(whole, "users.json"))
	for what, log := range ways {
		refused(what, users, log)
		if what != "what users.json refuses" && what != "an entity twice" && what != "an unknown entity" {
			if _, err := changes.Parse([]byte(log)); err == nil {
				t.Errorf("%s: parsed", what)
			}
		}
	}
	row.Tried("%d ways", len(ways))
	row.Held("refused, and left unchanged")
	again, _ := asked(t, whole)
	if again.Changes() != 5 || len(again.Rooms()) != 2 {
		t.Fatalf("control: change %d", again.Changes())
	}
	row.Control("an intact one is applied")
}

// What is damaged is refused by verify as well, and a server with changes does not begin anew.
func TestDamagedChanges(t *testing.T) {
	t.Parallel()
	u, _, _ := begun(t)
	dir := crash(t, u)
	if last, err := Verify(dir); err != nil || last != 5 {
		t.Errorf("verify: %d, %v", last, err)
	}
	log := filepath.Join(dir, "changes.jsonl")
	replaceIn(t, log, `"bell":"all"`, `"bell":"off"`)
	_, verifyErr := Verify(dir)
	_, err := Open(dir, cheap)
	for _, err := range []error{err, verifyErr} {
		if err == nil || !strings.Contains(err.Error(), "changes.jsonl: line ") {
			t.Errorf("%v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "users.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "users.json.bak")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, cheap); err == nil || !strings.Contains(err.Error(), "is missing, but") {
		t.Errorf("a server with changes begins anew: %v", err)
	}
	if _, err := Verify(dir); err == nil {
		t.Error("verify: users.json is missing")
	}
}

// What cannot be read again is refused before it is written, and alone.
func TestPoisonIsRefused(t *testing.T) {
	t.Parallel()
	u, _, bob := begun(t)
	b := u.Changes()
	poison := chat.SetSetting{ID: bob.ID, Name: "NOT A NAME", Value: "x"}
	if err := u.decide(poison); err == nil || !strings.Contains(err.Error(), "internal error") || u.Changes() != b {
		t.Errorf("%v, change %d", err, u.Changes())
	}
	u.must(t, chat.SetSetting{ID: bob.ID, Name: "bell", Value: "off"})
	if a, _ := u.ByID(bob.ID); a.Settings["bell"] != "off" || len(a.Settings) != 1 {
		t.Errorf("%v", a.Settings)
	}
}

// A change of several, with its place in the history and its lines of the audit log, is one line; and so are
// lines of the audit log alone.
func TestAppend(t *testing.T) {
	t.Parallel()
	u, _, _ := begun(t)
	before := u.View().State
	view := chat.View{State: before, At: u.View().At}
	for _, topic := range []string{"one", "two"} {
		s, err := view.Check(chat.TheServer, chat.SetTopic{Room: chat.General, Topic: topic})
		if err != nil {
			t.Fatal(err)
		}
		view.State = s
	}
	b := u.Changes()
	for _, c := range []Change{
		{Before: before, After: view.State, N: 4711, Acts: []chat.AuditEntry{{N: 12, Do: "topic"}}},
		{Before: view.State, After: view.State, N: 4712, Acts: []chat.AuditEntry{{N: 13, Do: "kick"}}},
		{Before: view.State, After: view.State},
	} {
		if err := u.Append(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Append(Change{Before: before, After: view.State}); err == nil {
		t.Error("a change of a State that is not the last")
	}
	content, err := u.files.changes.Read()
	if err != nil || u.Changes() != b+2 || content.Last() != b+2 {
		t.Fatalf("change %d, %v", u.Changes(), err)
	}
	one, two := content.Lines[b], content.Lines[b+1]
	if one.N != 4711 || one.Acts[0].N != 12 || one.At.IsZero() || two.N != 4712 || two.Change != nil || u.View().State != view.State {
		t.Errorf("%+v, %+v", one, two)
	}
	again, _ := asked(t, crash(t, u))
	if acts := again.AuditEntries(); len(acts) != 2 || acts[0].Do != "topic" || acts[1].N != 13 {
		t.Errorf("%v", acts)
	}
	if err := again.Checkpoint(); !errors.Is(err, errHeld) { // a second crash is to find them as well
		t.Errorf("users.json is written before the audit log has the lines: %v", err)
	}
	again.BeforeCheckpoint(func() error { return nil })
	checkpoint(t, again)
	if third, _ := asked(t, crash(t, again)); len(third.AuditEntries()) != 0 {
		t.Errorf("%v", third.AuditEntries())
	}
}

// What leads from any State to any other is read as it was written.
func TestDifferencesAreReadAgain(t *testing.T) {
	t.Parallel()
	u, _ := asked(t, t.TempDir())
	s := newTale(t, rand.New(rand.NewPCG(5, 6)), u.View().State)
	all := []*chat.State{s.acked}
	for range 60 {
		if err := s.step(u); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.acked)
	}
	for range 300 {
		a, b := all[s.r.IntN(len(all))], all[s.r.IntN(len(all))]
		got, err := u.Rehearse(a, b)
		if err != nil || !got.Since(b).IsZero() || !b.Since(got).IsZero() {
			t.Fatalf("%v; what differs: %+v", err, got.Since(b))
		}
		file, err := encode(b, 7)
		if err != nil {
			t.Fatal(err)
		}
		read, upto, err := parse(file)
		if err != nil || upto != 7 || !read.Since(b).IsZero() {
			t.Fatalf("from users.json: %v; what differs: %+v", err, read.Since(b))
		}
	}
}

// FuzzDifference reads changes: what is taken is written and read again as the same.
func FuzzDifference(f *testing.F) {
	u, err := Open(f.TempDir(), cheap)
	if err != nil {
		f.Fatal(err)
	}
	a, err := u.Create(name("alice"), chat.User, nil, []byte(goodPassword), 1)
	if err != nil {
		f.Fatal(err)
	}
	for _, in := range []chat.Intent{
		chat.Ban{Sanction: chat.Sanction{Key: "SHA256:AY+RnQoi9Ynmix4mgvkKPFLL/6a6IIxW1zdQEnVTN10"}}, chat.Mute{Sanction: chat.Sanction{User: a.Name}},
		chat.CreateInvite{Invite: chat.StoredInvite{Invite: chat.Invite{ID: "abcd", Uses: 1}, Hash: strings.Repeat("ab", 32)}},
		chat.Allow{Target: "ip=192.0.2.0/24"}, chat.AddNode{Node: chat.Node{Name: "a", Key: nodeKey}}, chat.RemoveNode{Name: "a"}, chat.SetMotd{Text: said("see")}, chat.SetMotd{}, chat.BurnClaim{}, chat.SetHostKeys{To: chat.HostKeys{Current: "SHA256:" + strings.Repeat("x", 43)}}, chat.CreateRoom{Room: roomName("dev")}, chat.CloseRoom{Room: roomName("dev")}, chat.DeleteAccount{ID: a.ID},
	} {
		if err := u.decide(in); err != nil {
			f.Fatal(err)
		}
	}
	content, err := u.files.changes.Read()
	if err != nil || u.Close() != nil {
		f.Fatal(err)
	}
	for _, l := range content.Lines {
		f.Add([]byte(l.Change))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := DecodeDifference(b)
		if err != nil {
			return
		}
		s, err := chat.NewState(chat.Parts{}).With(d)
		if err != nil {
			return
		}
		once, err := EncodeDifference(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := withEncoded(chat.NewState(chat.Parts{}), once)
		if err != nil || !again.Since(s).IsZero() {
			t.Fatalf("%s: %v", once, err)
		}
	})
}
