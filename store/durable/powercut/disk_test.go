package powercut

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"
)

// write makes a file and writes b, and syncs what is asked for.
func write(t *testing.T, d *Disk, name string, b []byte, syncFile, syncFolder bool) {
	t.Helper()
	f, err := d.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if syncFile {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if syncFolder {
		if err := d.SyncDir("."); err != nil {
			t.Fatal(err)
		}
	}
}

// What was synced is there after every cut; of the rest, each part is lost in some.
func TestCutLosesOnlyWhatWasNotSynced(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("x"), 5*Sector)
	d := New()
	write(t, d, "synced", content, true, true)
	write(t, d, "torn", content, false, true)
	write(t, d, "unnamed", content, true, false)
	r := rand.New(rand.NewPCG(1, 1))
	torn, unnamed := 0, 0
	for range 100 {
		after := d.Cut(r)
		if !bytes.Equal(after.Content("synced"), content) {
			t.Fatal("what was synced is lost")
		}
		if !bytes.Equal(after.Content("torn"), content) {
			torn++
		}
		if !after.Has("unnamed") {
			unnamed++
		}
	}
	if torn == 0 || torn == 100 || unnamed == 0 || unnamed == 100 {
		t.Errorf("of 100 cuts %d tore the file, %d lost the name", torn, unnamed)
	}
}

func TestFailingOperations(t *testing.T) {
	t.Parallel()
	failure := errors.New("failure")
	d := New()
	d.Fail(2, failure)
	var got []bool
	sync := func() { got = append(got, d.SyncDir(".") != nil) }
	sync()
	if d.Failed() {
		t.Error("nothing has failed yet")
	}
	sync()
	if !d.Failed() {
		t.Error("it has failed")
	}
	sync()
	d.FailFrom(1, failure)
	sync()
	sync()
	d.Heal()
	sync()
	for i, want := range []bool{false, true, false, true, true, false} {
		if got[i] != want {
			t.Errorf("operation %d: failed %v", i, got[i])
		}
	}
}

// A clone goes its own way, with what was pending.
func TestClone(t *testing.T) {
	t.Parallel()
	d := New()
	write(t, d, "a", []byte("one"), true, true)
	if err := d.Rename("a", "b"); err != nil {
		t.Fatal(err)
	}
	c := d.Clone()
	f, err := c.Open("b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("two"), 0); err != nil {
		t.Fatal(err)
	}
	if string(d.Content("b")) != "one" || string(c.Content("b")) != "two" {
		t.Errorf("%q, and its clone %q", d.Content("b"), c.Content("b"))
	}
	a, b := 0, 0
	r := rand.New(rand.NewPCG(2, 1))
	for range 50 {
		if after := c.Cut(r); after.Has("a") {
			a++
		} else if after.Has("b") {
			b++
		}
	}
	if a == 0 || b == 0 || a+b != 50 {
		t.Errorf("after 50 cuts the old name is there %d times, the new one %d times", a, b)
	}
}

// A folder's sync keeps its names and no other's, and a folder that gets another name takes along what is in it.
func TestFolders(t *testing.T) {
	t.Parallel()
	d := New()
	if err := errors.Join(d.MakeDir("a/new"), d.SyncDir("a")); err != nil {
		t.Fatal(err)
	}
	if err := d.MakeDir("a/new"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it is made twice: %v", err)
	}
	write(t, d, "a/new/kept", []byte("x"), true, false)
	if err := d.SyncDir("a/new"); err != nil {
		t.Fatal(err)
	}
	write(t, d, "a/new/lost", []byte("x"), true, false)
	if err := errors.Join(d.Rename("a/new", "a/b"), d.SyncDir("a")); err != nil {
		t.Fatal(err)
	}
	if f, err := d.Open("a/b"); err == nil {
		t.Errorf("the folder is opened as a file: %v", f)
	}
	if names, err := d.Names("a"); err != nil || !slices.Equal(names, []string{"b"}) || !d.Has("a/b/kept") || !d.Has("a/b/lost") || d.Has("a/new/kept") {
		t.Errorf("%q, %v", names, err)
	}
	after := d.Cut(rand.New(rand.NewPCG(1, 1)))
	if !after.Has("a/b") || !after.Has("a/b/kept") || after.Has("a/b/lost") || after.Has("a/new") {
		t.Error("a name whose folder was synced is lost, or another is kept")
	}
}
