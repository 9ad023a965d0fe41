package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func words(t *testing.T, s string) chat.Text {
	t.Helper()
	said, err := text.ParseText(s)
	if err != nil && !errors.Is(err, text.ErrEmpty) {
		t.Fatal(err)
	}
	return said
}

// motdIn is the file motd of a folder in which it has this content; with "-" there is none.
func motdIn(t *testing.T, content string) (m *Motd, path string) {
	t.Helper()
	dir := t.TempDir()
	path = filepath.Join(dir, "motd")
	edit(t, path, content)
	m, err := OpenMotd(dir)
	if err != nil {
		t.Fatal(err)
	}
	return m, path
}

func edit(t *testing.T, path, content string) {
	t.Helper()
	err := os.Remove(path)
	if content != "-" {
		err = os.WriteFile(path, []byte(content), 0o600)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		t.Fatal(err)
	}
}

// At a start an edit of the file is decided; on a node of a cluster, what was decided goes into the file.
func TestMotdAtAStart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, decided   string
		cluster         bool
		decides, leaves string
	}{
		{"-", "", false, "", "-"},
		{"hello\n", "", false, "hello", "hello\n"}, // of a version without decisions about it
		{"hello\n", "hello", false, "", "hello\n"},
		{"edited \n\n", "hello", false, "edited", "edited \n\n"},
		{"-", "hello", false, "removed", "-"},
		{"removed elsewhere\n", "", true, "", "\n"},
		{"stale\n", "hello", true, "", "hello\n"},
		{"-", "hello", true, "", "hello\n"},
	} {
		m, path := motdIn(t, c.file)
		m.inCluster = c.cluster
		decides := ""
		replaced, err := m.Begin(words(t, c.decided), func(said chat.Text) error {
			if decides = said.String(); said.IsEmpty() {
				decides = "removed"
			}
			return m.Write(said) // as the server does, once it is decided
		})
		left, readErr := os.ReadFile(path)
		if readErr != nil {
			left = []byte("-")
		}
		if err != nil || decides != c.decides || string(left) != c.leaves {
			t.Errorf("%+v: decides %q, leaves %q, %v", c, decides, left, err)
		}
		if replaced != (c.cluster && c.file != "-") {
			t.Errorf("%+v: the file was replaced: %v", c, replaced)
		}
		if b, err := os.ReadFile(path + ".bak"); replaced && (err != nil || string(b) != c.file) {
			t.Errorf("%+v: in motd.bak is %q, %v", c, b, err)
		}
	}
}

// An edit of the file is decided by a reload, once; if that is refused it is tried again by the next one. What is decided goes into
// the file.
func TestMotdFollowsDecisionsAndEdits(t *testing.T) {
	t.Parallel()
	m, path := motdIn(t, "hello\n")
	var decided []string
	var refuse error
	decide := func(said chat.Text) error {
		decided = append(decided, said.String())
		if refuse != nil {
			return refuse
		}
		return m.Write(said)
	}
	reload := func(content, want string) {
		t.Helper()
		edit(t, path, content)
		err := m.Reload(decide)
		if got := fmt.Sprintf("%q", decided); got != want || !errors.Is(err, refuse) {
			t.Errorf("decided %s, not %s; %v", got, want, err)
		}
		decided = nil
	}
	reload("hello\n\n", `[]`)
	refuse = chat.ErrStopping
	reload("edited\n", `["edited"]`)
	if got := string(m.text.String()); got != "hello" {
		t.Errorf("what was refused is taken: %q", got)
	}
	reload("edited\n", `["edited"]`)
	refuse = nil
	reload("edited\n", `["edited"]`)
	reload("edited\n", `[]`)
	reload("-", `[""]`)
	if err := errors.Join(m.Write(words(t, "two\nlines")), m.Write(words(t, "two\nlines"))); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "two\nlines\n" {
		t.Errorf("%q, %v", b, err)
	}
	edit(t, path, "caf\xe9\n")
	if err := m.Reload(decide); err == nil || !strings.Contains(err.Error(), path) || decided != nil {
		t.Errorf("of bytes that are no text %v is decided: %v", decided, err)
	}
	edit(t, path, strings.Repeat("x", text.MaxText+1))
	if _, err := OpenMotd(filepath.Dir(path)); !errors.Is(err, text.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}
