package accounts

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

func diskWith(t *testing.T, files map[string]string) *powercut.Disk {
	t.Helper()
	d := powercut.New()
	for name, content := range files {
		if err := durable.Swap(d, filepath.Join("data", name), []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// The format is found also where somebody edited the file; a file without one, in which nobody is, has none.
func TestFormatOfUsers(t *testing.T) {
	t.Parallel()
	spaces := strings.Repeat(" ", 100)
	for content, want := range map[string]int{
		`{"format":"sshchat-users/1","users":[]}`:                 1,
		`{"format":"sshchat-users/2","upto":0,"users":[]}`:        2,
		`{` + spaces + `"format" : "sshchat-users/1","users":[]}`: 1,
		`{"users":[],"upto":7,"format":"sshchat-users/2"}`:        2,
		`{"users":[]}`: 0,
		`{"format":"sshchat-users/3","users":[]}`:           -1,
		`{"format":"sshchat-users/11","upto":0,"users":[]}`: -1,
		`{"format":"sshchat-users/0","users":[]}`:           -1,
		`{"format":"something/1","users":[]}`:               -1,
		`{"format":"sshchat-`:                               -1,
		``:                                                  -1,
	} {
		got, err := Format(diskWith(t, map[string]string{"users.json": content}), "data")
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%.60q is of format %d, not %d; %v", content, got, want, err)
		}
	}
	if got, err := Format(powercut.New(), "data"); got != 0 || err != nil {
		t.Errorf("no file is of format %d, %v", got, err)
	}
}

// A users.json that was put back into a folder which had been upgraded says nothing of the changes beside it: it is not taken for
// the folder's before somebody has decided that.
func TestOldUsersBesideChanges(t *testing.T) {
	t.Parallel()
	d := diskWith(t, map[string]string{"users.json": `{"format":"sshchat-users/1","users":[]}`, "changes.jsonl": "{}"})
	if err := Check(d, "data"); err == nil || !strings.Contains(err.Error(), "changes.jsonl") {
		t.Errorf("%v", err)
	}
	if err := d.Remove("data/changes.jsonl"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(Check(d, "data"), Upgrade(d, "data"), Upgrade(d, "data"), Check(d, "data")); err != nil {
		t.Error(err)
	}
	if got, err := Format(d, "data"); got != 2 || err != nil {
		t.Errorf("it is of format %d, %v", got, err)
	}
	if b := d.Content("data/users.json.bak"); !strings.Contains(string(b), "sshchat-users/1") {
		t.Errorf("what it was is not kept: %s", b)
	}
}

// A link would be replaced by a file, and what it leads to be as it was.
func TestLinkIsNotUpgraded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(file, []byte(`{"format":"sshchat-users/1","users":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(durable.OS{}, dir); err != nil {
		t.Errorf("no file: %v", err)
	}
	if err := os.Symlink(file, filepath.Join(dir, "users.json")); err != nil {
		t.Fatal(err)
	}
	if err := Check(durable.OS{}, dir); err == nil {
		t.Error("the link is taken")
	}
}
