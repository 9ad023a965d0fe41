package restore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"sshchat/store"
	"sshchat/store/durable"
	"sshchat/store/restore"
)

const (
	historyBegin = "{\"format\":1,\n\"records\":[\n"
	historyEnd   = "\n]}\n"
)

// copied is a copy of a folder's current files, as a stream of a log has it.
func copied(t testing.TB, history, audit string) []byte {
	t.Helper()
	var parts []store.Part
	for _, f := range []struct{ name, text string }{
		{"message_history.json", history}, {"users.json", "new users\n"}, {"changes.jsonl", "new changes\n"},
		{"audit.0001.jsonl", "an archive\n"}, {"audit.jsonl", audit}, {"audit.tip", "new tip\n"},
	} {
		parts = append(parts, store.One(func() (durable.Snapshot, error) { return durable.InMemory(f.name, []byte(f.text)), nil }))
	}
	var b bytes.Buffer
	if err := store.Backup(t.Context(), &b, restore.Current(parts...)...); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte("an archive")) {
		t.Error("an archive is copied")
	}
	return b.Bytes()
}

// A folder that has the beginning of a copy gets all of it, also if its last line was cut off. One that has something else, or more, is not
// touched; neither is one that gets a copy that was cut short.
func TestExtend(t *testing.T) {
	t.Parallel()
	history := historyBegin + "{\"n\":1}\n,\n{\"n\":2}\n,\n{\"n\":3}" + historyEnd
	copied := copied(t, history, "{\"n\":1}\n{\"n\":2}\n")
	for name, c := range map[string]struct {
		history, audit string
		tar            []byte
		want           error
	}{
		"the same":               {history, "{\"n\":1}\n{\"n\":2}\n", copied, nil},
		"nothing":                {historyBegin + historyEnd, "", copied, nil},
		"less":                   {historyBegin + "{\"n\":1}\n,\n{\"n\":2}" + historyEnd, "{\"n\":1}\n", copied, nil},
		"without its end":        {historyBegin + "{\"n\":1}\n,\n{\"n\":2}\n      ", "{\"n\":1}\n", copied, nil},
		"a line that is cut off": {historyBegin + "{\"n\":1}\n,\n{\"n\":2,\"te", "{\"n\":1}\n{\"n\":", copied, nil},
		"more history":           {historyBegin + "{\"n\":1}\n,\n{\"n\":2}\n,\n{\"n\":3}\n,\n{\"n\":4}" + historyEnd, "{\"n\":1}\n", copied, restore.ErrNotBeginning},
		"another record":         {historyBegin + "{\"n\":1}\n,\n{\"n\":2,\"text\":1}" + historyEnd, "{\"n\":1}\n", copied, restore.ErrNotBeginning},
		"another last record":    {historyBegin + "{\"n\":1}\n,\n{\"n\":2}\n,\n{\"n\":9}", "{\"n\":1}\n", copied, restore.ErrNotBeginning},
		"more audit":             {history, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", copied, restore.ErrNotBeginning},
		"another audit":          {history, "{\"n\":1}\n{\"m\":2}\n", copied, restore.ErrNotBeginning},
		"a copy cut short":       {history, "{\"n\":1}\n", copied[:len(copied)-1200], restore.ErrBackup},
		"no copy":                {history, "{\"n\":1}\n", nil, restore.ErrBackup},
	} {
		dir := t.TempDir()
		before := map[string]string{"message_history.json": c.history, "audit.jsonl": c.audit, "users.json": "old users\n", "state.json": "its own\n"}
		for file, text := range before {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := restore.Extend(dir, bytes.NewReader(c.tar)); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
		after := before
		if c.want == nil {
			after = map[string]string{"message_history.json": history, "audit.jsonl": "{\"n\":1}\n{\"n\":2}\n", "users.json": "new users\n", "changes.jsonl": "new changes\n", "audit.tip": "new tip\n", "state.json": "its own\n"}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != len(after) {
			t.Errorf("%s: %v, %v", name, entries, err)
		}
		for file, text := range after {
			if got, err := os.ReadFile(filepath.Join(dir, file)); string(got) != text {
				t.Errorf("%s: %s is %q, %v", name, file, got, err)
			}
		}
	}
}

// Whatever a copy is, either it is refused and the folder stays as it is, or the folder has the lines that it had, and perhaps more.
func FuzzExtend(f *testing.F) {
	whole := historyBegin + "{\"n\":1}\n,\n{\"n\":2}" + historyEnd
	f.Add(copied(f, whole, "{\"n\":1}\n"))
	f.Add(copied(f, historyBegin+historyEnd, ""))
	f.Add([]byte("no tar"))
	f.Fuzz(func(t *testing.T, tar []byte) {
		dir := t.TempDir()
		before := map[string]string{"message_history.json": historyBegin + "{\"n\":1}" + historyEnd, "users.json": "old users\n"}
		for name, text := range before {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := restore.Extend(dir, bytes.NewReader(tar))
		history, unread := os.ReadFile(filepath.Join(dir, "message_history.json"))
		switch {
		case unread != nil:
			t.Fatal(unread)
		case err == nil && !bytes.Contains(history, []byte("{\"n\":1}")):
			t.Errorf("it has lost a line: %q", history)
		case err != nil:
			entries, unread := os.ReadDir(dir)
			if unread != nil || len(entries) != len(before) || string(history) != before["message_history.json"] {
				t.Errorf("%v: %q, %v, %v", err, history, entries, unread)
			}
		}
	})
}
