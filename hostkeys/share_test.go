package hostkeys

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sshchat/sshchat/attack"
)

// twins are two rings with the same keys, as of two servers of one chat.
func twins(t testing.TB) (a, b *Ring) {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	a = openRing(t, from)
	for _, name := range []string{File, File + ".pub"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a, openRing(t, to)
}

func prepare(t testing.TB, r *Ring) {
	t.Helper()
	if _, err := r.Prepare(); err != nil {
		t.Fatal(err)
	}
}

// take has b be as a is.
func take(t testing.TB, b, a *Ring) error {
	t.Helper()
	c, err := a.Copy(a.Choice())
	if err != nil {
		t.Fatal(err)
	}
	return b.Take(a.Choice(), c)
}

// equal reports what differs between two rings and their files.
func equal(t testing.TB, a, b *Ring) {
	t.Helper()
	if x, y := states(t, a), states(t, b); x != y {
		t.Errorf("the rings differ:\n%s\n%s", x, y)
	}
	for _, r := range []*Ring{a, b} {
		again := openRing(t, filepath.Dir(r.path))
		if x, y := states(t, r), states(t, again); x != y {
			t.Errorf("opened again it is another:\n%s\n%s", x, y)
		}
	}
	x, y := a.Records(), b.Records()
	if !bytes.Equal(bytes.Join(x, nil), bytes.Join(y, nil)) {
		t.Errorf("the records differ:\n%s\n%s", x, y)
	}
	for _, name := range []string{File, File + ".pub", File + nextSuffix, File + nextSuffix + ".pub"} {
		x, errX := os.ReadFile(filepath.Join(filepath.Dir(a.path), name))
		y, errY := os.ReadFile(filepath.Join(filepath.Dir(b.path), name))
		if !bytes.Equal(x, y) || (errX == nil) != (errY == nil) {
			t.Errorf("%s differs: %v, %v", name, errX, errY)
		}
	}
}

// Two servers that follow the same decisions have the same files, records too.
func TestRingsThatFollow(t *testing.T) {
	t.Parallel()
	a, b := twins(t)
	prepare(t, a)
	if err := b.Follow(a.Choice()); !errors.Is(err, ErrLacks) {
		t.Errorf("it announces a key that it has not: %v", err)
	}
	if err := take(t, b, a); err != nil {
		t.Fatal(err)
	}
	equal(t, a, b)
	next := Choice{Current: a.Choice().Next, At: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	for _, r := range []*Ring{a, b} {
		for range 2 { // the second time changes nothing
			if err := r.Follow(next); err != nil {
				t.Fatal(err)
			}
		}
	}
	equal(t, a, b)
	if list, err := b.List(); err != nil || len(list) != 2 || !list[0].At.Equal(next.At) {
		t.Errorf("the keys are %v, %v", list, err)
	}
	prepare(t, a)
	if err := a.Follow(next); err != nil { // that was not decided
		t.Fatal(err)
	}
	equal(t, a, b)
}

// A server that was away while keys were rotated takes what it missed, however often that was, and as long as its own key has signed for it.
func TestRingThatWasAway(t *testing.T) {
	t.Parallel()
	for _, times := range []int{1, 2, 3} {
		a, b := twins(t)
		old := b.Choice().Current
		prepare(t, b)
		staged, err := os.ReadFile(b.path + nextSuffix) // of nobody else
		if err != nil {
			t.Fatal(err)
		}
		for range times {
			prepare(t, a)
			if err := a.Rotate(); err != nil {
				t.Fatal(err)
			}
		}
		prepare(t, a)
		if err := take(t, b, a); err != nil {
			t.Fatal(err)
		}
		equal(t, a, b)
		if b.Choice().Current == old {
			t.Error("control: the key is the old one")
		}
		dir := filepath.Dir(b.path)
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err == nil && bytes.Contains(data, staged) {
				t.Errorf("%s has a key that is not the chat's", f.Name())
			}
		}
	}
}

// Wherever taking keys is cut off, it can be done again, and a key that is not the chat's does not come to be one.
func TestTakeThatWasCutOff(t *testing.T) {
	t.Parallel()
	a, b := twins(t)
	for range 2 {
		prepare(t, a)
		if err := a.Rotate(); err != nil {
			t.Fatal(err)
		}
	}
	dir, done := filepath.Dir(b.path), filepath.Dir(a.path)
	put := func(from, to string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(done, from))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	steps := []func(){
		func() { put(File+".1.pub", File+".1.pub") },
		func() { put(File+".1.rotation", File+".1.rotation") },
		func() { put(File+".2.pub", File+".2.pub") },
		func() { put(File+".2.rotation", File+".2.rotation") },
		func() { put(File, File+nextSuffix) },
	}
	for n := range steps {
		a2, b2 := a, b
		_, fresh := twinOf(t, b)
		dir = filepath.Dir(fresh.path)
		for _, step := range steps[:n+1] {
			step()
		}
		fresh = openRing(t, dir)
		if err := fresh.Follow(a2.Choice()); err == nil {
			t.Fatalf("after %d steps the key is another without the rest", n+1)
		}
		if got := fresh.Choice().Current; got != b2.Choice().Current {
			t.Fatalf("after %d steps the key is %s", n+1, got)
		}
		if err := take(t, fresh, a2); err != nil {
			t.Fatalf("after %d steps: %v", n+1, err)
		}
		equal(t, a2, fresh)
	}
}

// twinOf is a copy of a ring in a folder of its own.
func twinOf(t testing.TB, r *Ring) (dir string, twin *Ring) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(r.path))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, File), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, openRing(t, dir)
}

// A node's copy of the keys is used only if it is whole, has the keys that were decided, and the own key has signed for them.
func TestAttackCopyOfHostKeys(t *testing.T) {
	t.Parallel()
	row := attack.On(t, attack.Nodes, "give a node other host keys than the chat's, or keys that its own has not signed for")
	a, b := twins(t)
	prepare(t, a)
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	good, err := a.Copy(a.Choice())
	if err != nil {
		t.Fatal(err)
	}
	before := states(t, b)
	refused := func(what string, c Choice, copied []byte) {
		t.Helper()
		if err := b.Take(c, copied); err == nil {
			t.Errorf("%s: taken", what)
		}
		if got := states(t, b); got != before {
			t.Fatalf("%s: the keys are\n%s\nand were\n%s", what, got, before)
		}
	}
	for n := range good {
		if n%7 == 0 {
			refused("cut short", a.Choice(), good[:n])
			broken := bytes.Clone(good)
			broken[n] ^= 1
			if _, err := parseCopy(broken); err != nil {
				refused("altered", a.Choice(), broken)
			}
		}
	}
	other := rotated(t, t.TempDir(), 1)
	theirs, err := other.Copy(other.Choice())
	if err != nil {
		t.Fatal(err)
	}
	refused("other keys than were decided", a.Choice(), theirs)
	refused("keys that the own has not signed for", other.Choice(), theirs)
	alone := openRing(t, t.TempDir())
	bare, err := alone.Copy(alone.Choice())
	if err != nil {
		t.Fatal(err)
	}
	refused("keys without records", alone.Choice(), bare)
	refused("too much", a.Choice(), append(good, make([]byte, maxCopy)...))
	if _, err := a.Copy(b.Choice()); !errors.Is(err, ErrLacks) {
		t.Errorf("keys that are not there are given: %v", err)
	}
	if err := b.Take(a.Choice(), good); err != nil {
		t.Errorf("control: %v", err)
	}
	equal(t, a, b)
	row.Tried("a copy cut short and altered at each 7th byte, one too large, others of other keys, without signatures, with those of another chat")
	row.Held("the keys stay as they are")
	row.Control("a copy of the keys that were decided, with the signature of the own key, is taken")
}

// Keys that were put into the folder by hand are not taken if they are not the chat's.
func TestReloadAs(t *testing.T) {
	t.Parallel()
	a, _ := twins(t)
	c := a.Choice()
	if err := a.ReloadAs(c); err != nil {
		t.Fatal(err)
	}
	other := openRing(t, t.TempDir())
	data, err := os.ReadFile(other.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.ReloadAs(c); err == nil || !strings.Contains(err.Error(), c.Current) || !a.Choice().Is(c) {
		t.Errorf("%v, and the key is %s", err, a.Choice())
	}
	if ssh.FingerprintSHA256(a.Signers()[0].PublicKey()) != c.Current {
		t.Error("another key is served")
	}
}

func FuzzCopyOfHostKeys(f *testing.F) {
	r := rotated(f, f.TempDir(), 2)
	prepare(f, r)
	good, err := r.Copy(r.Choice())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseCopy(b)
		if err != nil {
			return
		}
		if p.keys.current == nil || len(p.records) > 0 && !same(p.records[len(p.records)-1].to, p.keys.current.PublicKey()) {
			t.Fatal("records that lead elsewhere")
		}
	})
}

// A proposed key is neither announced nor copied. It becomes the next, or the current one, if it is chosen, and no file has it if it is not.
func TestProposedKey(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(t *testing.T, r *Ring, c Choice, proposed string) (want Choice){
		"as the next": func(t *testing.T, r *Ring, c Choice, proposed string) Choice {
			c.Next = proposed
			try(t, r.Follow(c))
			return c
		},
		"as the next, instead of another": func(t *testing.T, r *Ring, c Choice, proposed string) Choice {
			try(t, os.Rename(r.proposedPath(), r.path+".kept"))
			try(t, r.Reload())
			prepare(t, r)
			try(t, os.Rename(r.path+".kept", r.proposedPath()))
			try(t, r.Reload())
			c.Next = proposed
			try(t, r.Follow(c))
			return c
		},
		"as the next, and rotated to, in one": func(t *testing.T, r *Ring, _ Choice, proposed string) Choice {
			c := Choice{Current: proposed, At: time.Now()}
			try(t, r.Follow(c))
			if len(r.Records()) != 1 {
				t.Error("there is no record of the rotation")
			}
			return c
		},
		"after it was cut off": func(t *testing.T, r *Ring, c Choice, proposed string) Choice {
			r.mu.Lock()
			try(t, r.drop()) // and no more
			r.mu.Unlock()
			*r = Ring{path: r.path, now: r.now, keys: openRing(t, filepath.Dir(r.path)).keys}
			c.Next = proposed
			try(t, r.Follow(c))
			return c
		},
		"never": func(t *testing.T, r *Ring, c Choice, _ string) Choice {
			try(t, r.Follow(c))
			if r.keys.proposed == nil {
				t.Error("control: it is gone before that is known")
			}
			try(t, r.Withdraw())
			try(t, r.Withdraw())
			return c
		},
		"by a server that is alone": func(t *testing.T, r *Ring, c Choice, proposed string) Choice {
			prepare(t, r)
			c.Next = proposed
			return c
		},
		"and is the current one by a copy of the folder": func(t *testing.T, r *Ring, c Choice, _ string) Choice {
			try(t, r.Withdraw())
			data, err := os.ReadFile(r.path)
			try(t, err)
			try(t, os.WriteFile(r.proposedPath(), data, 0o600))
			try(t, r.Reload())
			try(t, r.Follow(c))
			if len(r.Records()) > 0 {
				t.Error("it was rotated to the key that it had")
			}
			try(t, r.Withdraw())
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRing(t, t.TempDir())
			c := r.Choice()
			proposed, err := r.Propose()
			try(t, err)
			if again, err := openRing(t, filepath.Dir(r.path)).Propose(); err != nil || again != proposed {
				t.Errorf("opened again it proposes %s, not %s: %v", again, proposed, err)
			}
			private, err := os.ReadFile(r.proposedPath())
			try(t, err)
			copied, err := r.Copy(c)
			if err != nil || bytes.Contains(copied, private) || len(r.Announced()) != 1 || !r.Choice().Is(c) {
				t.Errorf("it is announced or copied: %v, %s", err, states(t, r))
			}
			kept := filepath.Join(t.TempDir(), "kept")
			try(t, os.Link(r.proposedPath(), kept))
			want := f(t, r, c, proposed)
			if again := openRing(t, filepath.Dir(r.path)); !r.Choice().Is(want) || states(t, again) != states(t, r) || again.keys.proposed != nil {
				t.Errorf("the keys are %s, want %s, and opened again %s", r.Choice(), want, again.Choice())
			}
			data, err := os.ReadFile(kept)
			try(t, err)
			if chosen := want.Current == proposed || want.Next == proposed; chosen != bytes.Equal(data, private) {
				t.Errorf("chosen is %v, and the file of the key has %d bytes of it", chosen, len(bytes.Trim(data, "\x00")))
			}
		})
	}
	file := filepath.Join(t.TempDir(), "key")
	try(t, os.WriteFile(file, goodKey(t), 0o600))
	elsewhere, err := OpenElsewhere(t.TempDir(), file, false)
	try(t, err)
	if _, err := elsewhere.Propose(); !errors.Is(err, ErrElsewhere) {
		t.Errorf("a key that is elsewhere: %v", err)
	}
}

// A copy of a ring that lacks the next key gives the current one, and no other next key.
func TestCopyWithoutTheNextKey(t *testing.T) {
	t.Parallel()
	a, b := twins(t)
	prepare(t, a)
	try(t, a.Rotate())
	prepare(t, a) // not the chat's
	c := a.Choice()
	c.Next = "SHA256:" + strings.Repeat("x", 43)
	prepare(t, b) // neither
	copied, err := a.Copy(c)
	try(t, err)
	if err := b.Take(c, copied); !errors.Is(err, ErrLacks) {
		t.Errorf("what lacks is not said: %v", err)
	}
	if is := b.Choice(); is != (Choice{Current: c.Current}) {
		t.Errorf("it has %s", is)
	}
	try(t, b.Follow(Choice{Current: c.Current}))
	try(t, a.Follow(Choice{Current: c.Current}))
	equal(t, a, b)
}

// Wherever the removal of a key is cut off, it is complete once the ring is opened again, and no file has the key.
func TestRemovalCutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(t *testing.T, path string){
		"before it is overwritten": func(*testing.T, string) {},
		"while it is overwritten": func(t *testing.T, path string) {
			data, err := os.ReadFile(hidden(path))
			try(t, err)
			try(t, os.WriteFile(hidden(path), append(make([]byte, 100), data[100:]...), 0o600))
		},
		"not at all": func(t *testing.T, path string) { try(t, erase(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := openRing(t, t.TempDir())
			c, dir, elsewhere := r.Choice(), filepath.Dir(r.path), t.TempDir()
			prepare(t, r)
			_, err := r.Propose()
			try(t, err)
			for _, path := range []string{r.path + nextSuffix, r.proposedPath()} {
				kept := filepath.Join(elsewhere, filepath.Base(path))
				try(t, os.Link(path, kept))
				try(t, os.Rename(path, hidden(path))) // as shred begins
				cut(t, path)
			}
			r = openRing(t, dir)
			if is := r.Choice(); is != c || r.keys.proposed != nil {
				t.Errorf("it has %s", is)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
				t.Errorf("left: %v %v", left, err)
			}
			for _, name := range []string{File + nextSuffix, "proposed_" + File} {
				if data, err := os.ReadFile(filepath.Join(elsewhere, name)); err != nil || len(data) == 0 || len(bytes.Trim(data, "\x00")) > 0 {
					t.Errorf("%s can be read: %d bytes, %v", name, len(data), err)
				}
			}
		})
	}
}

// A proposed key that was removed by hand, and then chosen, lacks like any other.
func TestProposedKeyThatWasRemoved(t *testing.T) {
	t.Parallel()
	r := openRing(t, t.TempDir())
	c := r.Choice()
	proposed, err := r.Propose()
	try(t, err)
	c.Next = proposed
	try(t, os.Remove(r.proposedPath()))
	if err := r.Follow(c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("that it is gone is not said: %v", err)
	}
	if err := r.Follow(c); !errors.Is(err, ErrLacks) {
		t.Errorf("it does not lack: %v", err)
	}
	if again, err := r.Propose(); err != nil || again == proposed {
		t.Errorf("control: it proposes %s again: %v", again, err)
	}
}

// Whatever else becomes of the keys, a proposed one stays until it is withdrawn.
func TestProposedKeyStays(t *testing.T) {
	t.Parallel()
	a, b := twins(t)
	proposed, err := b.Propose()
	try(t, err)
	stays := func(what string) {
		t.Helper()
		if again, err := b.Propose(); err != nil || again != proposed {
			t.Errorf("%s: it proposes %s, not %s: %v", what, again, proposed, err)
		}
		equal(t, a, b)
	}
	prepare(t, a)
	try(t, a.Rotate())
	try(t, take(t, b, a))
	stays("another current key is taken")
	prepare(t, a)
	try(t, take(t, b, a))
	stays("a next key is taken")
	now := Choice{Current: a.Choice().Next, At: time.Now()}
	try(t, a.Follow(now))
	try(t, b.Follow(now))
	stays("the next key becomes the current one")
	try(t, b.ReloadAs(now))
	stays("the files are read again")
}
