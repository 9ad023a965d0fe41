package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sshchat/store/durable"
	"sshchat/store/durable/powercut"
)

// oldFolder is what an older version left in "data", by name.
func oldFolder() map[string][]byte {
	long := func(s string) []byte { return []byte(strings.Repeat(s, 3*powercut.Sector/len(s)+1)) }
	return map[string][]byte{
		"users.json": append([]byte("1"), long("people")...), "users.json.bak": long("fewer people"),
		"message_history.json": append([]byte("1"), long("sealed")...), "message_history.0001.json": long("archived"),
		"message_history.torn-1": []byte("torn"), "audit.jsonl": long("deeds"), "audit.0001.jsonl": long("old deeds"),
		"state.json": []byte("marks"), "motd": {}, "clock": []byte("noon"), "ssh_host_ed25519_key": []byte("key"),
	}
}

// passing are files that a folder has beside what is kept, and that no backup has.
var passing = []string{"lock", "README.md", "users.json.tmp", "message_history.json.new", "a stranger's"}

func put(t testing.TB, d durable.FS, name string, b []byte) {
	t.Helper()
	f, err := d.Create(filepath.Join("data", name))
	if err == nil {
		_, err = f.WriteAt(b, 0)
	}
	if err = errors.Join(err, f.Sync(), d.SyncDir("data")); err != nil {
		t.Fatal(err)
	}
}

func oldDisk(t testing.TB) *powercut.Disk {
	d := powercut.New()
	for _, name := range slices.Sorted(maps.Keys(oldFolder())) {
		put(t, d, name, oldFolder()[name])
	}
	for _, name := range passing {
		put(t, d, name, []byte("x"))
	}
	return d
}

// versioned are the two files that an upgrade changes: their first byte is their version. One is written over, the other
// replaced, and then there is one more.
func versioned(d durable.FS) []Versioned {
	file := func(name string, upgrade func(path string, b []byte) error) Versioned {
		path := filepath.Join("data", name)
		return Versioned{
			Name: name, Check: func() error { return nil },
			Format: func() (int, error) {
				b, err := durable.ReadFile(d, path)
				if err != nil || len(b) == 0 {
					return 0, err
				}
				if b[0] > '2' {
					return 0, errors.New(name + " was written by a newer version of sshchat")
				}
				return int(b[0] - '0'), nil
			},
			Upgrade: func() error {
				b, err := durable.ReadFile(d, path)
				if err != nil {
					return err
				}
				return upgrade(path, append([]byte("2"), b[1:]...))
			},
		}
	}
	over := func(path string, b []byte) error {
		f, err := d.Open(path)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(b[:1], 0); err != nil {
			return err
		}
		return f.Sync()
	}
	return []Versioned{file("message_history.json", over), file("users.json", func(path string, b []byte) error {
		_, err := durable.ReplaceOn(d, path, b)
		return err
	})}
}

func content(d durable.FS, path string) []byte {
	b, err := durable.ReadFile(d, path)
	if err != nil {
		return nil
	}
	return b
}

// amiss is what is wrong with a folder whose upgrade was interrupted: a file that is neither as it was nor upgraded, or one
// that is not as it was without a whole backup.
func amiss(d durable.FS, finished bool) string {
	changed := finished
	for name, was := range oldFolder() {
		now := content(d, filepath.Join("data", name))
		upgraded := append([]byte("2"), was[1%max(len(was), 1):]...)
		versioned := name == "users.json" || name == "message_history.json"
		switch {
		case bytes.Equal(now, was) && !(versioned && finished):
		case versioned && bytes.Equal(now, upgraded):
			changed = true
		case name == "users.json.bak" && bytes.Equal(now, oldFolder()["users.json"]):
			changed = true
		default:
			return fmt.Sprintf("%s is neither as it was nor upgraded: %.20q", name, now)
		}
	}
	names, _ := d.Names("data/backup-format-1")
	if !changed && len(names) == 0 {
		return ""
	}
	for name, was := range oldFolder() {
		if got := content(d, filepath.Join("data/backup-format-1", name)); got == nil || !bytes.Equal(got, was) {
			return fmt.Sprintf("the backup's %s is %.20q", name, got)
		}
	}
	if len(names) != len(oldFolder()) {
		return fmt.Sprintf("the backup has %q", names)
	}
	all, _ := d.Names("data")
	if slices.ContainsFunc(all, func(name string) bool { return name != "backup-format-1" && strings.HasPrefix(name, backupPrefix) }) && finished {
		return fmt.Sprintf("there is more than one backup: %q", all)
	}
	return ""
}

// Wherever the power is cut, an upgrade has changed nothing or there is a whole backup, and the next start finishes it. The
// control is a disk whose syncs do nothing.
func TestUpgradeSurvivesPowerCuts(t *testing.T) {
	powercut.Start(t)
	seed := powercut.Seed(t)
	r := rand.New(rand.NewPCG(seed, 15))
	before := oldDisk(t)
	tried := 0
	wrong := func(lies bool) (why []string) {
		for range powercut.Points(250, 10_000) {
			d := before.Clone()
			for range 1 + r.IntN(3) { // and once more while it is being finished
				d.Lie(lies)
				d.FailFrom(1+r.IntN(90), errors.New("the power is gone"))
				_, err := Upgrade(d, "data", versioned(d)...)
				if err == nil && !lies {
					break
				}
				d = d.Cut(r)
				tried++
				if is := amiss(d, false); is != "" {
					why = append(why, is)
					break
				}
			}
			d.Heal()
			d.Lie(false)
			if _, err := Upgrade(d, "data", versioned(d)...); err != nil && !lies {
				why = append(why, err.Error())
			} else if is := amiss(d, true); is != "" {
				why = append(why, is)
			}
		}
		return why
	}
	if why := wrong(false); len(why) > 0 {
		t.Errorf("seed %d: wrong %d times, first: %s", seed, len(why), why[0])
	}
	t.Logf("figure: crash points of an upgrade tried %d, from seed %d", tried, seed)
	if len(wrong(true)) == 0 {
		t.Error("a disk whose syncs do nothing is always right: this test proves nothing")
	}
}

// Whichever operation fails, once or from then on, the running system's folder is as it was or there is a whole backup, and
// the next start finishes.
func TestEveryOperationOfAnUpgradeFails(t *testing.T) {
	t.Parallel()
	before := oldDisk(t)
	indices := 0
	for _, failure := range []error{syscall.EIO, syscall.ENOSPC, fs.ErrPermission} {
		for _, forever := range []bool{false, true} {
			for at := 1; ; at++ {
				d := before.Clone()
				if forever {
					d.FailFrom(at, failure)
				} else {
					d.Fail(at, failure)
				}
				done, err := Upgrade(d, "data", versioned(d)...)
				if !d.Failed() {
					break // there are no more operations
				}
				indices++
				if is := amiss(d, err == nil); is != "" {
					t.Fatalf("op %d, %v, forever %v: %v, and %s", at, failure, forever, err, is)
				}
				if err != nil && (done.From != 0 || !strings.Contains(err.Error(), "nothing was changed") && !strings.Contains(err.Error(), "data/backup-format-1")) {
					t.Fatalf("op %d, %v: %+v, %v", at, failure, done, err)
				}
				d.Heal()
				if _, err := Upgrade(d, "data", versioned(d)...); err != nil {
					t.Fatalf("op %d, %v, forever %v: afterwards %v", at, failure, forever, err)
				}
				if is := amiss(d, true); is != "" {
					t.Fatalf("op %d, %v, forever %v: afterwards %s", at, failure, forever, is)
				}
			}
		}
	}
	t.Logf("figure: failing operations of an upgrade tried %d", indices)
}

func TestUpgradeChangesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, history, users, check string
		want                        string
	}{
		{"of this format", "2", "2", "", ""},
		{"without history or people", "", "", "", ""},
		{"of a newer history", "3", "1", "", "newer"},
		{"of newer accounts", "1", "3", "", "newer"},
		{"with damage", "1", "2", "record 7 is damaged", "cannot be upgraded: record 7"},
	} {
		d := powercut.New()
		put(t, d, "message_history.json", []byte(c.history))
		put(t, d, "users.json", []byte(c.users))
		files := versioned(d)
		if c.check != "" {
			files[1].Check = func() error { return errors.New(c.check) }
		}
		done, err := Upgrade(d, "data", files...)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || done.From != 0 {
			t.Errorf("%s: %+v, %v", c.name, done, err)
		}
		if h, u := content(d, "data/message_history.json"), content(d, "data/users.json"); string(h) != c.history || string(u) != c.users {
			t.Errorf("%s: now %q and %q", c.name, h, u)
		}
		if names, _ := d.Names("data"); len(names) != 2 {
			t.Errorf("%s: the folder has %q", c.name, names)
		}
	}
}

// Who goes back to the older version, and upgrades again, has both backups.
func TestUpgradeOnceMore(t *testing.T) {
	t.Parallel()
	d := oldDisk(t)
	for i, name := range []string{"backup-format-1", "backup-format-1.2", "backup-format-1.3"} {
		again := fmt.Appendf(nil, "1 people, %d", i)
		if _, err := durable.ReplaceOn(d, "data/users.json", again); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time there is nothing to do
			if _, err := Upgrade(d, "data", versioned(d)...); err != nil {
				t.Fatal(err)
			}
		}
		if got := content(d, filepath.Join("data", name, "users.json")); !bytes.Equal(got, again) {
			t.Errorf("%s has %q, not %q", name, got, again)
		}
	}
	if names, _ := d.Names("data"); slices.Contains(names, "backup-format-1.4") {
		t.Errorf("%q", names)
	}
}

// On the machine's own file system: the folder and what is in it are for their owner alone, archives take no room, and a
// folder of somebody's is left out.
func TestUpgradeOnTheDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, b := range oldFolder() {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "audit.mine"), 0o700), os.Chmod(filepath.Join(dir, "ssh_host_ed25519_key"), 0o400)); err != nil {
		t.Fatal(err)
	}
	old := Versioned{"users.json", func() (int, error) { return 1, nil }, func() error { return nil }, func() error { return nil }}
	done, err := Upgrade(durable.OS{}, dir, old)
	if err != nil || done.From != 1 || done.Backup != filepath.Join(dir, "backup-format-1") || !slices.Equal(done.Files, []string{"users.json"}) {
		t.Fatalf("%+v, %v", done, err)
	}
	if m := mode(t, done.Backup); m != 0o700 {
		t.Errorf("the backup is %o", m)
	}
	for name, was := range oldFolder() {
		kept := filepath.Join(done.Backup, name)
		if b, err := os.ReadFile(kept); err != nil || !bytes.Equal(b, was) || mode(t, kept)&0o077 != 0 {
			t.Errorf("%s: %.20q, %o, %v", name, b, mode(t, kept), err)
		}
		here, err := os.Stat(filepath.Join(dir, name))
		there, errThere := os.Stat(kept)
		if err != nil || errThere != nil || os.SameFile(here, there) != neverWritten.MatchString(name) && mode(t, kept) != 0o400 {
			t.Errorf("%s is the same file in the backup: %v; %v, %v", name, os.SameFile(here, there), err, errThere)
		}
	}
	if _, err := os.Stat(filepath.Join(done.Backup, "audit.mine")); err == nil {
		t.Error("somebody's folder is in the backup")
	}
	f, err := HoldFolder(dir)
	if err != nil {
		t.Fatalf("the folder with its backup is taken for a stranger's: %v", err)
	}
	if err := f.Release(); err != nil {
		t.Fatal(err)
	}
}
