package store

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestReplacedFileIsClosedAndKeepsItsPast(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two", "three"} {
		info, err := replaceFile(path, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) || !info.ModTime().Equal(now.ModTime()) {
			t.Errorf("not the file that was written: %v", err)
		}
	}
	if a, b := mustRead(t, path), mustRead(t, path+".bak"); a != "three" || b != "two" {
		t.Errorf("file %q, backup %q", a, b)
	}
	if m, b := mode(t, path), mode(t, path+".bak"); m != 0o600 || b != 0o600 {
		t.Errorf("modes %o, %o", m, b)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCrashBeforeTheRenameLeavesTheOld(t *testing.T) {
	dir := t.TempDir()
	u := openUsers(t, dir)
	create(t, u, "alice", "")
	create(t, u, "bob", "")
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	old := mustRead(t, u.path)
	torn := []byte(old[:len(old)/2])
	crashes := map[string]func() error{
		"while writing":     func() error { _, err := stageFile(osDisk{}, u.path, torn); return err },
		"before the backup": func() error { _, err := stageFile(osDisk{}, u.path, []byte(`{"users":[]}`)); return err },
		"after the backup": func() error {
			_, err := stageFile(osDisk{}, u.path, []byte(`{"users":[]}`))
			return errors.Join(err, keepBackup(osDisk{}, u.path))
		},
	}
	for when, crash := range crashes {
		t.Run(when, func(t *testing.T) {
			if err := crash(); err != nil {
				t.Fatal(err)
			}
			if mustRead(t, u.path) != old {
				t.Fatal("the old content is gone")
			}
			again := openUsers(t, dir)
			if err := again.SaveRoom(chat.General, when, chat.Name{}); err != nil { // the remains are in nobody's way
				t.Fatal(err)
			}
			if n := len(again.Accounts()); n != 2 {
				t.Errorf("%d accounts", n)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			old = mustRead(t, u.path)
		})
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if _, err := replaceFile(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path+".bak/in-the-way", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := replaceFile(path, []byte("two")); err == nil {
		t.Error("a backup that could not be kept is no error")
	}
	if mustRead(t, path) != "one" {
		t.Error("the file was replaced without a backup")
	}
}

// TestKilledWhileCreating kills a process that makes accounts as fast as it can: what it acknowledged must be there.
func TestKilledWhileCreating(t *testing.T) {
	if dir := os.Getenv("SSHCHAT_TEST_CREATE_IN"); dir != "" {
		createUntilKilled(t, dir, os.Getenv("SSHCHAT_TEST_LIE") != "")
	}
	for round := range 5 {
		if lost := lostByKill(t, 10*round+1); len(lost) > 0 {
			t.Errorf("round %d: acknowledged and lost: %v", round, lost)
		}
	}
	// A server that acknowledges what it has not written must be found out.
	if lost := lostByKill(t, 10, "SSHCHAT_TEST_LIE=1"); len(lost) == 0 {
		t.Error("nothing is lost of what was never written")
	}
}

// lostByKill kills such a process once it has acknowledged so many, and returns which of them are lost.
func lostByKill(t *testing.T, after int, env ...string) (lost []string) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWhileCreating$")
	cmd.Env = append(append(os.Environ(), "SSHCHAT_TEST_CREATE_IN="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if s, ok := strings.CutPrefix(lines.Text(), "created "); ok {
			acknowledged = append(acknowledged, s)
		}
		if len(acknowledged) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(acknowledged) < after {
		t.Fatalf("it ended by itself after %d: %v", len(acknowledged), err)
	}
	u := openUsers(t, dir)
	for _, s := range acknowledged {
		if _, ok := u.ByName(name(s)); !ok {
			lost = append(lost, s)
		}
	}
	return lost
}

// createUntilKilled makes accounts and says so. With lie, the file is not written.
func createUntilKilled(t *testing.T, dir string, lie bool) {
	u := openUsers(t, dir)
	if lie {
		u.save = func(path string, _ []byte) (fs.FileInfo, error) { return os.Lstat(path) }
	}
	k := newKey(t)
	for i := 0; ; i++ {
		s := fmt.Sprintf("n%x", i+0xa0000)
		_, err := u.Create(name(s), chat.User, []chat.Key{k}, nil, 1)
		switch {
		case errors.Is(err, ErrTaken): // n-0 looks like n-o
			continue
		case err != nil:
			t.Fatal(err)
		}
		fmt.Println("created", s)
	}
}
