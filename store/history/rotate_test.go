package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// archiveFile is what is in the archive.
func (p *place) archiveFile(number int) []byte {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, archiveName(number)))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (p *place) rotate() {
	p.t.Helper()
	if err := p.h.Rotate(); err != nil {
		p.t.Fatal(err)
	}
}

// allTexts is what the reader's key opens of all files.
func (p *place) allTexts(r reader) (texts []string) {
	p.t.Helper()
	files, err := FilesIn(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		defer f.Close()
	}
	for l, err := range (&Opener{Identities: []age.Identity{r.id}}).Files(files...) {
		if err != nil {
			p.t.Fatal(err)
		}
		texts = append(texts, l.Text)
	}
	return texts
}

// through reads what the history shows to the reader, through the server.
func (p *place) through(r reader) (texts []string) {
	p.t.Helper()
	var b bytes.Buffer
	if err := p.h.Tar(&b, r.name, []chat.RoomName{chat.General}, nil); err != nil {
		p.t.Fatal(err)
	}
	lines, err := openAll(&b, &Opener{Identities: []age.Identity{r.id}})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, l := range lines {
		texts = append(texts, l.Text)
	}
	said, err := readLast(p.h, r.name, chat.General, 1<<62, 1<<20, []age.Identity{r.id})
	if err != nil {
		p.t.Fatal(err)
	}
	for i, m := range said {
		if m.Text.String() != texts[i] {
			p.t.Fatalf("unlocked message %d is %q, in the tar %q", i+1, m.Text, texts[i])
		}
	}
	return texts
}

// rotated is a history of three archives and an open file: closed windows, and one that a crash left single.
func rotated(t *testing.T, alice reader) (p *place, heads []Head) {
	t.Helper()
	p = newPlace(t, alice)
	p.opt.Window = 5
	p.open()
	remember := func() {
		h, err := p.h.Head(chat.General)
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h)
	}
	side := mustRoom(t, "side")
	p.commit(change(side, chat.Join, alice.name), p.message(side, alice.name, "only once"))
	for round := range 3 {
		for range 7 {
			p.sayMany(alice, 1)
			remember()
		}
		if round == 1 {
			p.kill()
			p.open()
		}
		p.sayMany(alice, 1)
		p.rotate()
		remember()
	}
	p.sayMany(alice, 6)
	remember()
	return p, heads
}

func TestRotationKeepsEverything(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, heads := rotated(t, alice)
	want := []string{"only once"}
	for i := range 30 {
		want = append(want, fmt.Sprintf("message %d", i+1))
	}
	check := func() {
		t.Helper()
		got := p.allTexts(alice)
		slices.Sort(got)
		if sorted := slices.Sorted(slices.Values(want)); !slices.Equal(got, sorted) {
			t.Errorf("the files hold %q", got)
		}
		if got := p.through(alice); !slices.Equal(got, want[1:]) {
			t.Errorf("the server shows %q", got)
		}
		if n := p.h.Sealed(alice.name, chat.General); n != 30 {
			t.Errorf("%d messages are sealed to alice", n)
		}
		for _, h := range heads {
			if _, err := Verify(p.dir, []Head{h}); err != nil {
				t.Errorf("head at record %d, message %d: %v", h.N, h.Seq, err)
			}
		}
		infos, err := p.h.List(alice.name, chat.General)
		if err != nil {
			t.Fatal(err)
		}
		seq := uint64(1)
		for i, w := range infos {
			if w.W != uint64(i+1) || w.From != seq || !w.Readable {
				t.Errorf("window %d is %+v", i+1, w)
			}
			seq = w.To + 1
			if err := p.h.ExportWindow(io.Discard, alice.name, chat.General, w.W); err != nil && w.Closed {
				t.Errorf("window %d: %v", w.W, err)
			}
		}
	}
	check()
	p.kill()
	p.open() // archives are looked through on demand
	check()
	if err := p.h.Close(); err != nil {
		t.Fatal(err)
	}
	p.open()
	check()
	p.sayMany(alice, 1)
	want = append(want, "message 31")
	if got := p.through(alice); !slices.Equal(got, want[1:]) {
		t.Errorf("the server shows %q", got)
	}
}

func TestArchiveHasNoMessagesThatACloseHas(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, _ := rotated(t, alice)
	for number := 1; number <= 3; number++ {
		b := p.archiveFile(number)
		if !json.Valid(b) {
			t.Fatalf("archive %d is not JSON", number)
		}
		singles := 0
		for _, r := range records(t, b) {
			if r.kind == msgRecord {
				singles++
			}
		}
		if want := map[int]int{2: 2}[number]; singles != want { // 2: what a crash left
			t.Errorf("archive %d has %d messages by themselves, not %d", number, singles, want)
		}
	}
	sum := sha256.Sum256(p.archiveFile(3))
	if o := records(t, p.file())[0].predecessor; o == nil || o.archive != 3 || o.sum != sum {
		t.Errorf("the file begins with %+v", o)
	}
	if info, err := os.Stat(filepath.Join(p.dir, archiveName(1))); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info, err)
	}
}

func TestRotationAtASize(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window, p.opt.Rotate = 20, 16<<10
	p.open()
	p.sayMany(alice, 200)
	if len(p.h.archives) < 3 {
		t.Fatalf("%d archives", len(p.h.archives))
	}
	if got := p.through(alice); len(got) != 200 {
		t.Errorf("%d messages are shown", len(got))
	}
	report, err := Verify(p.dir, nil)
	if err != nil || len(report.Files) != len(p.h.archives)+1 || report.Rooms[0].Seq != 200 {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestOldArchivesGo(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	for name, keep := range map[string]func(*Options, []*archive){
		"by age":  func(o *Options, _ []*archive) { o.KeepFor = 36 * time.Hour },
		"by size": func(o *Options, a []*archive) { o.KeepBytes = a[1].size + a[2].size },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t, alice)
			p.open()
			quiet := mustRoom(t, "quiet")
			p.commit(change(quiet, chat.Join, alice.name), p.message(quiet, alice.name, "long ago"))
			for range 3 {
				p.sayMany(alice, 5)
				p.rotate()
				p.now = p.now.Add(24 * time.Hour)
			}
			p.now = p.now.Add(-12 * time.Hour)
			head, err := p.h.Head(quiet)
			if err != nil {
				t.Fatal(err)
			}
			keep(&p.opt, p.h.archives)
			p.kill()
			p.open()
			if len(p.h.archives) != 2 || p.h.archives[0].number != 2 {
				t.Fatalf("%d archives are left", len(p.h.archives))
			}
			if got := p.through(alice); len(got) != 10 || got[0] != "message 6" {
				t.Errorf("left is %q", got)
			}
			if _, err := Verify(p.dir, []Head{head}); err != nil {
				t.Errorf("the rest, and a quiet room's head: %v", err)
			}
			if _, err := Verify(p.dir, []Head{{Room: chat.General, W: 1, Seq: 1, N: 4, Tip: head.Tip}}); !errors.Is(err, ErrRolledBack) {
				t.Errorf("a head of what is deleted: %v", err)
			}
			if err := p.h.ExportWindow(io.Discard, alice.name, chat.General, 1); !errors.Is(err, ErrNoWindow) {
				t.Errorf("a deleted window: %v", err)
			}
			p.commit(p.message(quiet, alice.name, "again"))
			if seq := p.h.Last()[quiet]; seq != 2 {
				t.Errorf("the quiet room goes on with message %d", seq)
			}
		})
	}
}

// A reader that has looked things up before a rotation reads on as if there had been none.
func TestReaderDuringARotation(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 12)
	v, err := p.h.snapshot(chat.General)
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	p.rotate()
	p.sayMany(alice, 12)
	for _, s := range v.windows[:2] {
		if err := v.export(io.Discard, alice.name, s, s.closes[0].off); err != nil {
			t.Errorf("window %d: %v", s.w, err)
		}
	}
}

func TestAttackerWithTheArchives(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	row := attack.On(t, attack.Files, "change, truncate, swap or delete archives")
	ways := map[string]func(p *place){
		"changed-byte": func(p *place) {
			b := p.archiveFile(2)
			b[len(b)/2] ^= 1
			p.write(2, b)
		},
		"cut-archive": func(p *place) { b := p.archiveFile(2); p.write(2, b[:len(b)/2]) },
		"deleted-archive-in-the-middle": func(p *place) {
			if err := os.Remove(filepath.Join(p.dir, archiveName(2))); err != nil {
				t.Fatal(err)
			}
		},
		"swapped-archives": func(p *place) {
			a, b := p.archiveFile(2), p.archiveFile(3)
			p.write(3, a)
			p.write(2, b)
		},
		"older-archive-in-its-place": func(p *place) { p.write(3, p.archiveFile(2)) },
		"emptied-archive":            func(p *place) { p.write(1, []byte(archiveIntro(1)+segmentOutro)) },
		"deleted-record": func(p *place) {
			rs := records(t, p.archiveFile(2))
			i := slices.IndexFunc(rs, func(r *record) bool { return r.kind == closeRecord })
			rs = slices.Delete(rs, i, i+1)
			for _, r := range rs {
				r.encode()
			}
			b := bytes.Replace(layOut(rs...), []byte(segmentIntro), []byte(archiveIntro(2)), 1)
			p.write(2, b)
		},
	}
	for name, change := range ways {
		t.Run(name, func(t *testing.T) {
			p, _ := rotated(t, alice)
			if _, err := Verify(p.dir, nil); err != nil {
				t.Fatalf("before: %v", err)
			}
			change(p)
			if _, err := Verify(p.dir, nil); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Errorf("it verifies: %v", err)
			}
		})
	}
	row.Tried("%d ways", len(ways))
	row.Held("each archive's hash is in the file that follows it")
	row.Control("intact before each change")
}

func (p *place) write(number int, b []byte) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, archiveName(number)), b, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// An old copy of message_history.json beside newer archives would have them overwritten.
func TestOldCopyBesideNewerArchives(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.sayMany(alice, 3)
	old := p.file()
	p.sayMany(alice, 3)
	p.rotate()
	p.kill()
	if err := os.WriteFile(p.path(), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(p.dir, p.opt); !errors.Is(err, ErrDamaged) {
		t.Errorf("it opens: %v", err)
	}
	p.archiveFile(1)
}

// People read, back up and verify while others talk and the history is rotated under them.
func TestReadersWhileItRotates(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window, p.opt.Rotate = 10, 8<<10
	p.opt.KeepBytes = 64 << 10
	p.opt.NoSync = true // the writer is not to wait while others spin
	p.open()
	p.sayMany(alice, 50)
	done := make(chan struct{})
	var readers sync.WaitGroup
	for _, read := range []func() error{
		func() error { return p.h.Tar(io.Discard, alice.name, []chat.RoomName{chat.General}, nil) },
		func() error {
			_, err := readLast(p.h, alice.name, chat.General, 1<<62, 40, []age.Identity{alice.id})
			return err
		},
		func() error { _, err := Verify(p.dir, nil); return err },
		func() error {
			for s, err := range p.h.Snapshots() {
				if _, copyErr := io.Copy(io.Discard, s); err != nil || copyErr != nil {
					return errors.Join(err, copyErr)
				}
			}
			return nil
		},
		func() error { _, err := p.h.List(alice.name, chat.General); return err },
	} {
		readers.Go(func() {
			for {
				if err := read(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	p.sayMany(alice, powercut.Points(60, 400))
	close(done)
	readers.Wait()
	if p.h.archived < 5 {
		t.Errorf("only %d rotations", p.h.archived)
	}
}

// A backup is the archives and the file that goes on from them, wherever in a page that ends.
func TestBackupOfArchives(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.Window = 5
	p.open()
	p.sayMany(alice, 12)
	p.rotate()
	for n := range 40 {
		p.say(alice, fmt.Sprintf("%0*d", n*64+1, n))
		dir := t.TempDir()
		for s, err := range p.h.Snapshots() {
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(s)
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(b)) != s.Size {
				t.Fatalf("%s has %d bytes, and tells of %d", s.Name, len(b), s.Size)
			}
			if err := os.WriteFile(filepath.Join(dir, s.Name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		report, err := Verify(dir, nil)
		if err != nil || len(report.Files) != 2 || report.Rooms[0].Seq != uint64(13+n) {
			t.Fatalf("after %d: %+v, %v", n, report, err)
		}
	}
}
