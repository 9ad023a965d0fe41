package accounts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

// An edit by hand is not written over; Reload takes it, or says what is wrong with it and changes nothing.
func TestReloadTakesAnEditOrRefusesIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	u := open(t, dir)
	bob := chat.Account{}
	for who, role := range map[string]chat.Role{"alice": chat.Admin, "bob": chat.User} {
		a, err := u.Create(name(who), role, []chat.Key{newKey(t)}, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if role == chat.User {
			bob = a
		}
	}
	path := filepath.Join(dir, "users.json")
	edit := func(old, new string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(b), old, new, 1)
		if text == string(b) {
			t.Fatalf("no %q in %s", old, b)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit(`"name":"bob","role":"user"`, `"name":"bob","role":"boss"`)
	if _, err := u.reload(); err == nil || !strings.Contains(err.Error(), "line") {
		t.Errorf("a role of boss: %v", err)
	}
	if err := u.SaveRoom(roomName("later"), "", chat.Name{}); err != nil {
		t.Fatal(err)
	}
	wantErr(t, u.Checkpoint(), ErrEdited) // still
	edit(`"role":"boss"`, `"role":"mod"`)
	edit(`"role":"admin"`, `"role":"user"`)
	if _, err := u.reload(); err == nil || !strings.Contains(err.Error(), "admin") {
		t.Errorf("no admin left: %v", err)
	}
	edit(`"name":"alice","role":"user"`, `"name":"alice","role":"admin"`)
	edit(`"since":1`, `"since":2`)
	_, err := u.reload()
	wantErr(t, err, chat.ErrRoomsEdited)
	if a, _ := u.ByID(bob.ID); a.Role != "user" {
		t.Errorf("a refused edit made bob %s", a.Role)
	}
	edit(`"since":2`, `"since":1`)
	if _, err := u.reload(); err != nil {
		t.Fatal(err)
	}
	if a, _ := u.ByID(bob.ID); a.Role != "mod" {
		t.Errorf("bob is %s", a.Role)
	}
	if _, ok := u.View().Room(roomName("later")); !ok || !strings.Contains(mustRead(t, path), `"later"`) {
		t.Error("what was decided since is gone")
	}
	if err := u.SetRole(bob.ID, "user"); err != nil {
		t.Fatal(err)
	}
	checkpoint(t, u)
	edit(`"name":"alice","role":"admin"`, `"name":"alice","role":"admin","disabled":false`)
	changed, err := u.reload()
	if err != nil || changed != 0 {
		t.Errorf("changed %v, %v", changed, err)
	}
}
