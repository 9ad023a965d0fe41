package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestFolderIsClosedToOthers(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "new", "data")
	checkout := t.TempDir()
	for _, f := range []string{"README.md", ".gitignore", "users.json", "message_history.json"} {
		if err := os.WriteFile(filepath.Join(checkout, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(checkout, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{fresh, checkout} {
		f, err := HoldFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		if m, l := mode(t, dir), mode(t, filepath.Join(dir, "lock")); m != 0o700 || l != 0o600 {
			t.Errorf("folder %o, lock %o", m, l)
		}
		if err := f.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStrangersFolderIsNotClosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	passwd := filepath.Join(dir, "passwd")
	if err := os.WriteFile(passwd, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if f, err := HoldFolder(dir); err == nil || !strings.Contains(err.Error(), "passwd") {
		t.Errorf("%v, %v", f, err)
	}
	if m := mode(t, dir); m != 0o755 {
		t.Errorf("the folder is %o now", m)
	}
	if f, err := HoldFolder(passwd); err == nil {
		t.Errorf("a file was taken for a folder: %v", f)
	}
}

func TestAttackTwoProcessesOnOneFolder(t *testing.T) {
	if dir := os.Getenv("SSHCHAT_TEST_HOLD"); dir != "" {
		_, err := HoldFolder(dir)
		fmt.Println("held:", err == nil, errors.Is(err, ErrFolderInUse), err)
		return
	}
	row := attack.On(t, attack.Files, "two servers in one folder")
	dir := t.TempDir()
	second := func() string {
		cmd := exec.Command(os.Args[0], "-test.run=^TestAttackTwoProcessesOnOneFolder$")
		cmd.Env = append(os.Environ(), "SSHCHAT_TEST_HOLD="+dir)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	f, err := HoldFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	if out := second(); !strings.Contains(out, "held: false true") ||
		!strings.Contains(out, fmt.Sprintf("(process %d)", os.Getpid())) {
		t.Errorf("the second process: %s", out)
	}
	if _, err := HoldFolder(dir); !errors.Is(err, ErrFolderInUse) {
		t.Errorf("twice in one process: %v", err)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
	if out := second(); !strings.Contains(out, "held: true") {
		t.Errorf("after the first let go: %s", out)
	}
	row.Tried("in another process and in the same")
	row.Held("a kernel lock: the second is refused, with the first one's process ID")
	row.Control("it starts once the first has stopped")
}
