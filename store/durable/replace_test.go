package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReplacedFileIsClosedAndKeepsItsPast(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, content := range []string{"one", "two", "three"} {
		info, err := Replace(path, []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		if now, err := os.Stat(path); err != nil || !os.SameFile(info, now) || !info.ModTime().Equal(now.ModTime()) {
			t.Errorf("not the file that was written: %v", err)
		}
	}
	if a, b := read(t, path), read(t, path+".bak"); a != "three" || b != "two" {
		t.Errorf("file %q, backup %q", a, b)
	}
	if m, b := mode(t, path), mode(t, path+".bak"); m != 0o600 || b != 0o600 {
		t.Errorf("modes %o, %o", m, b)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestFailedWriteLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if _, err := Replace(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(path+".bak/in-the-way", 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Replace(path, []byte("two")); err == nil {
		t.Error("a backup that could not be kept is no error")
	}
	if read(t, path) != "one" {
		t.Error("the file was replaced without a backup")
	}
}
