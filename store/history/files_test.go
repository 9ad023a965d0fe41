package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// changing is a file that is being written to: the first reads of each page, so many, see what was there before.
type changing struct {
	before, after []byte
	stale         map[int64]int // reads of a page that are to come and see what was before
	half          bool          // and see the first half of what is there now
}

func (c *changing) Close() error { return nil }

func (c *changing) ReadAt(b []byte, off int64) (int, error) {
	n, err := bytes.NewReader(c.after).ReadAt(b, off)
	for page := off - off%pageSize; page < off+int64(n); page += pageSize {
		if c.stale[page] == 0 {
			continue
		}
		c.stale[page]--
		from := page
		if c.half {
			from += pageSize / 2
		}
		for at := max(from, off); at < min(page+pageSize, off+int64(n)); at++ {
			b[at-off] = c.before[at]
		}
	}
	return n, err
}

// A reader beside the server may see one page of what is being written and not the other, or half of a page. It reads
// again then; what stays so is damage.
func TestPagesThatAreBeingWrittenAreReadAgain(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.open()
	p.say(alice, "before")
	before, end := p.file(), p.h.segment.end
	long := strings.Repeat("long ", 700)
	p.commit(p.message(chat.General, alice.name, long), p.message(chat.General, alice.name, long), p.message(chat.General, alice.name, "after"))
	after, last := p.file(), p.h.segment.end
	if len(before) != len(after) || last/pageSize-end/pageSize < 2 {
		t.Fatalf("the batch is in bytes %d to %d", end, last)
	}
	read := func(times int, half bool) (texts []string, err error) {
		c := &changing{before: before, after: after, half: half, stale: make(map[int64]int)}
		for page := end - end%pageSize; page < last-pageSize; page += pageSize {
			c.stale[page] = times
		}
		f := held(liveName, c, c)
		for l, err := range (&Opener{Identities: []age.Identity{alice.id}}).Files(f) {
			if err != nil {
				return texts, err
			}
			texts = append(texts, l.Text[:min(5, len(l.Text))])
		}
		return texts, nil
	}
	for _, half := range []bool{false, true} {
		for times := range 4 {
			if texts, err := read(times, half); err != nil || fmt.Sprint(texts) != "[befor long  long  after]" {
				t.Errorf("seen late %d times, half a page %v: %q, %v", times, half, texts, err)
			}
		}
		if texts, err := read(1<<20, half); !errors.Is(err, ErrDamaged) {
			t.Errorf("what stays so is not damage: %q, %v", texts, err)
		}
	}
}

// counting is a file system that notes how many files are open at most.
type counting struct {
	durable.FS
	open, most atomic.Int64
}

type countedFile struct {
	durable.File
	fs *counting
}

func (c *counting) Open(name string) (durable.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	c.opened()
	return countedFile{f, c}, nil
}

func (c *counting) opened() {
	n := c.open.Add(1)
	if most := c.most.Load(); n > most {
		c.most.Store(n)
	}
}

func (f countedFile) Close() error {
	f.fs.open.Add(-1)
	return f.File.Close()
}

// counted is the file, noted when it is open.
func (c *counting) counted(f File) File {
	open := f.open
	f.open = func() (readerAtCloser, error) {
		in, err := open()
		if err != nil {
			return nil, err
		}
		c.opened()
		return countedReader{in, c}, nil
	}
	return f
}

type countedReader struct {
	readerAtCloser
	fs *counting
}

func (r countedReader) Close() error {
	r.fs.open.Add(-1)
	return r.readerAtCloser.Close()
}

// Whoever goes through the whole history has a few of its files open at a time, however many there are.
func TestFewFilesAreOpenAtATime(t *testing.T) {
	t.Parallel()
	alice, phone := ageReader(t, "alice"), ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.NoSync = true
	disk := &counting{FS: durable.OS{}}
	h, err := open(disk, p.dir, p.opt)
	if err != nil {
		t.Fatal(err)
	}
	p.h = h
	t.Cleanup(func() { h.Close() })
	const archives = 20
	for range archives {
		p.sayMany(alice, 2)
		p.rotate()
	}
	p.sayMany(alice, 2)
	p.mu.Lock()
	p.keys[alice.name] = []age.Recipient{alice.to, phone.to}
	p.mu.Unlock()
	general := []chat.RoomName{chat.General}
	opener := func() error {
		files, err := FilesIn(p.dir)
		if err != nil {
			return err
		}
		for i := range files {
			defer files[i].Close()
			files[i] = disk.counted(files[i])
		}
		n := 0
		for _, err := range (&Opener{Identities: []age.Identity{phone.id}}).Files(files...) {
			if n++; err != nil {
				return err
			}
		}
		if n != 2*archives+2 {
			return fmt.Errorf("%d messages", n)
		}
		v := newVerifier()
		for _, f := range files {
			if err := v.file(f, func(*record) error { return nil }); err != nil {
				return err
			}
		}
		return v.end()
	}
	for name, read := range map[string]func() error{
		"share": func() error { _, _, err := h.Share(alice.name, general, []age.Identity{alice.id}); return err },
		"tar":   func() error { return h.Tar(io.Discard, alice.name, general, nil) },
		"read": func() error {
			_, err := readLast(h, alice.name, chat.General, 1<<62, 1<<20, []age.Identity{alice.id})
			return err
		},
		"backup": func() error {
			n := 0
			for s, err := range h.Snapshots() {
				if _, copyErr := io.Copy(io.Discard, s); err != nil || copyErr != nil {
					return errors.Join(err, copyErr)
				}
				n++
			}
			if n != archives+1 {
				return fmt.Errorf("%d files", n)
			}
			return nil
		},
	} {
		disk.most.Store(0)
		held := disk.open.Load()
		if err := read(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if most := disk.most.Load() - held; most > 1+archivesOpen || most < 1 {
			t.Errorf("%s: %d files are open at a time", name, most)
		}
		if left := disk.open.Load() - held; left != 0 {
			t.Errorf("%s: %d files are left open", name, left)
		}
	}
	if _, _, err := h.Share(alice.name, general, []age.Identity{alice.id}); err != nil { // whatever the order was
		t.Fatal(err)
	}
	disk.most.Store(disk.open.Load())
	held := disk.open.Load()
	if err := opener(); err != nil {
		t.Errorf("open: %v", err)
	}
	if most := disk.most.Load() - held; most > 1 {
		t.Errorf("open: %d files are open at a time", most)
	}
}

// An archive that is deleted while somebody reads is no damage, and nothing is passed over in silence.
func TestArchiveDeletedWhileItIsRead(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	p, _ := rotated(t, alice)
	files, err := FilesIn(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		defer files[i].Close()
	}
	p.opt.KeepBytes = 1
	p.kill()
	p.open() // deletes them all
	var failed error
	for _, err := range (&Opener{Identities: []age.Identity{alice.id}}).Files(files...) {
		failed = err
	}
	if failed == nil || errors.Is(failed, ErrDamaged) || !strings.Contains(failed.Error(), "deleted") {
		t.Errorf("of deleted archives: %v", failed)
	}
	n := 0
	for s, err := range p.h.Snapshots() {
		if n++; err != nil || s.Name != liveName {
			t.Errorf("%s, %v", s.Name, err)
		}
	}
	if _, err := Verify(p.dir, nil); err != nil || n != 1 {
		t.Errorf("%d files, %v", n, err)
	}
}
