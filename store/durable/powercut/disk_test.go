package powercut

import (
	"bytes"
	"errors"
	"math/rand/v2"
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
