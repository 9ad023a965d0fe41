package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sshchat/store/accounts"
	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
	"sshchat/store/history"
)

// keptDisk has the data folder that a version with format 1 left, as "data".
func keptDisk(t *testing.T) (d *powercut.Disk, was map[string][]byte) {
	t.Helper()
	d, was = powercut.New(), make(map[string][]byte)
	paths, err := filepath.Glob("testdata/format-1/data/*")
	if err != nil || len(paths) < 10 {
		t.Fatalf("%q, %v", paths, err)
	}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put(t, d, filepath.Base(path), b)
		was[filepath.Base(path)] = b
	}
	return d, was
}

func realFiles(d durable.FS) []Versioned {
	return []Versioned{
		{"users.json", func() (int, error) { return accounts.Format(d, "data") }, func() error { return accounts.Check(d, "data") }, func() error { return accounts.Upgrade(d, "data") }},
		{"message_history.json", func() (int, error) { return history.Format(d, "data") }, func() error { return history.Check(d, "data") }, func() error { return history.Upgrade(d, "data") }},
	}
}

// first is how a file begins.
func first(d durable.FS, name string) string {
	line, _, _ := strings.Cut(string(content(d, "data/"+name)), ",")
	return line
}

// Wherever the power is cut in the upgrade of a real data folder, it opens as format 1 or as format 2, with a backup, and is
// upgraded by the next start.
func TestKeptFolderSurvivesPowerCuts(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 16))
	before, was := keptDisk(t)
	half := 0
	const operations = 90 // at most, of an upgrade
	points := powercut.Points(40, 2_000)
	for i := range points {
		d := before.Clone()
		d.FailFrom(1+(i*operations+r.IntN(operations))/points, errors.New("the power is gone")) // spread evenly, or all might miss the few between the two files
		_, err := Upgrade(d, "data", realFiles(d)...)
		d.Heal()
		if err != nil {
			d = d.Cut(r)
		}
		old := 0
		for _, f := range realFiles(d) {
			version, err := f.Format()
			if err = errors.Join(err, f.Check()); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, f.Name, err)
			}
			if version == 1 {
				old++
				if !bytes.Equal(content(d, "data/"+f.Name), was[f.Name]) {
					t.Fatalf("seed %d: %s is of format 1, and not as it was", seed, f.Name)
				}
			}
		}
		if old == 1 {
			half++
		}
		done, err := Upgrade(d, "data", realFiles(d)...)
		if err != nil || (done.From == 1) != (old > 0) {
			t.Fatalf("seed %d: the next start: %+v, %v", seed, done, err)
		}
		for name, b := range was {
			if got := content(d, "data/backup-format-1/"+name); !bytes.Equal(got, b) {
				t.Fatalf("seed %d: the backup's %s has %d bytes, not %d", seed, name, len(got), len(b))
			}
		}
		if h, u := first(d, "message_history.json"), first(d, "users.json"); h != `{"format":"sshchat-history/2"` || u != `{"format":"sshchat-users/2"` {
			t.Fatalf("seed %d: upgraded, they begin %s and %s", seed, h, u)
		}
		names, err := d.Names("data")
		if err != nil || slices.Contains(names, "backup-format-1.2") {
			t.Fatalf("seed %d: %q, %v", seed, names, err)
		}
	}
	if half == 0 {
		t.Error("no cut came between the two files")
	}
}

// A folder of which one file is damaged, or of a newer format somewhere inside, stays as it is.
func TestKeptFolderThatCannotBeUpgraded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, from, to string }{
		{"a newer history", "message_history.json", `sshchat-history/1`, `sshchat-history/9`},
		{"newer accounts", "users.json", `sshchat-users/1`, `sshchat-users/9`},
		{"a damaged history", "message_history.json", `"seq":25`, `"seq":26`},
		{"a slip in the accounts", "users.json", `"role":"mod"`, `"role":"moderator"`},
		{"a damaged archive", "message_history.0004.json", `"archive":4`, `"archive":5`},
	} {
		d, was := keptDisk(t)
		edited := bytes.Replace(was[c.file], []byte(c.from), []byte(c.to), 1)
		if bytes.Equal(edited, was[c.file]) {
			t.Fatalf("%s: there is no %s in %s", c.name, c.from, c.file)
		}
		was[c.file] = edited
		if err := durable.Swap(d, "data/"+c.file, edited); err != nil {
			t.Fatal(err)
		}
		if done, err := Upgrade(d, "data", realFiles(d)...); err == nil {
			t.Errorf("%s: %+v", c.name, done)
		}
		names, err := d.Names("data")
		if err != nil || len(names) != len(was) {
			t.Errorf("%s: the folder has %q, %v", c.name, names, err)
		}
		for name, b := range was {
			if !bytes.Equal(content(d, "data/"+name), b) {
				t.Errorf("%s: %s was changed", c.name, name)
			}
		}
	}
}
