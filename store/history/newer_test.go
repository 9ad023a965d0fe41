package history

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/durable/powercut"
)

// summed is a line with its checksum; without is it up to there.
func summed(without string) string {
	return fmt.Sprintf(`%s,"crc":"%08x"}`, without, crc32.Checksum([]byte(without), castagnoli))
}

// withLine is the file with a line after its last record, which ends at end.
func withLine(file []byte, end int64, line string) []byte {
	file = bytes.Clone(file)
	if left := pageSize - end%pageSize; left < int64(len(line)+len(",\n\n")) {
		end += left
	}
	copy(file[end:], ",\n"+line+"\n")
	return file
}

// A record whose checksum holds is not torn: what it is that this version does not know, a newer one wrote. Nobody reads
// past it, and it is not blanked. The control is the same line with another checksum, at the end: that is a torn tail.
func TestNewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	powercut.Start(t)
	p, whole, _, to, _ := tornFile(t)
	rs := records(t, whole)
	last := rs[len(rs)-1]
	n := last.n + 1
	line := func(format string, args ...any) string { return summed(fmt.Sprintf(format, args...)) }
	for name, file := range map[string][]byte{
		"a type":            withLine(whole, to, line(`{"n":%d,"t":"poll","room":"general","w":9`, n)),
		"a type of parts":   withLine(whole, to, line(`{"n":%d,"t":"poll","parts":2`, n)),
		"a field":           withLine(whole, to, line(`{"n":%d,"t":"msg","room":"general","w":9,"signature":"x"`, n)),
		"less than a msg":   withLine(whole, to, line(`{"n":%d,"t":"msg","room":"general","w":4,"seq":10,"prev":"","body":""`, n)),
		"beyond a hole":     withLine(whole, to+700, line(`{"n":%d,"t":"poll"`, n+3)),
		"another version":   bytes.Replace(whole, []byte("history/2"), []byte("history/3"), 1),
		"the last record":   resummed(whole, last.n, `"t":"msg"`, `"t":"gms"`),
		"among what is old": resummed(whole, rs[1].n, `"t":"msg"`, `"t":"gms"`),
	} {
		refused(t, p, name, file)
	}
	for _, torn := range []string{`{"n":%d,"t":"poll","crc":"00000000"}`, `{"n":%d,"t":"po`} {
		d := diskWith(t, withLine(whole, to, fmt.Sprintf(torn, n)))
		h, err := open(d, "data", p.opt)
		if err != nil {
			t.Fatalf("the control is not repaired: %v", err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// resummed is the file with something else of the same length in the line n, and its checksum made anew.
func resummed(file []byte, n uint64, was, is string) []byte {
	begins := bytes.Index(file, fmt.Appendf(nil, `{"n":%d,`, n))
	without := string(file[begins : begins+bytes.Index(file[begins:], []byte(`,"crc"`))])
	return bytes.Replace(file, []byte(summed(without)), []byte(summed(strings.Replace(without, was, is, 1))), 1)
}

// refused sees that nobody reads the file, and that it stays as it is.
func refused(t *testing.T, p *place, name string, file []byte) {
	t.Helper()
	d := diskWith(t, file)
	if _, err := open(d, "data", p.opt); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("%s: the server begins: %v", name, err)
	}
	if names, err := d.Names("data"); err != nil || len(names) != 1 || !bytes.Equal(d.Content(livePath), file) {
		t.Errorf("%s: refused, and changed; beside it is %q, %v", name, names, err)
	}
	if _, err := openAll(bytes.NewReader(file), &Opener{}); !errors.Is(err, ErrFormat) {
		t.Errorf("%s: open reads past it: %v", name, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, liveName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(dir, nil); !errors.Is(err, ErrFormat) {
		t.Errorf("%s: it verifies: %v", name, err)
	}
}

func TestNewerFormatInAnArchive(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	for name, attack := range map[string]func([]byte) []byte{
		"a type": func(b []byte) []byte {
			return append(bytes.TrimSuffix(b, []byte(segmentOutro)), ",\n"+summed(`{"n":9000,"t":"poll"`)+"\n"+segmentOutro...)
		},
		"another version": func(b []byte) []byte { return bytes.Replace(b, []byte("history/2"), []byte("history/3"), 1) },
	} {
		p, _ := rotated(t, alice)
		p.write(3, attack(p.archiveFile(3)))
		if _, err := Verify(p.dir, nil); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: it verifies: %v", name, err)
		}
		if _, err := readDir(p.dir, alice); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: it is opened: %v", name, err)
		}
		a := p.h.archives[2]
		a.size, a.rooms = int64(len(p.archiveFile(3))), nil
		if _, err := p.h.List(alice.name, chat.General); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: the server lists it: %v", name, err)
		}
	}
}

// readDir is what the reader's key opens in a folder.
func readDir(dir string, r reader) (texts []string, err error) {
	files, err := FilesIn(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for l, err := range (&Opener{Identities: []age.Identity{r.id}}).Files(files...) {
		if err != nil {
			return texts, err
		}
		texts = append(texts, l.Text)
	}
	return texts, nil
}

// The server, verify and open agree on which files belong together.
func TestFilesThatDoNotBelongTogether(t *testing.T) {
	t.Parallel()
	alice := ageReader(t, "alice")
	live := func(p *place, b []byte) {
		if err := os.WriteFile(p.path(), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(p *place, names ...string) {
		for _, name := range names {
			if err := os.Remove(filepath.Join(p.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, change := range map[string]func(p *place, old []byte){
		"nothing":                            nil,
		"{} beside archives":                 func(p *place, _ []byte) { live(p, []byte("{}")) },
		"an empty history beside archives":   func(p *place, _ []byte) { live(p, []byte(segmentIntro+segmentOutro)) },
		"{} beside the newest archive alone": func(p *place, _ []byte) { live(p, []byte("{}")); remove(p, archiveName(1), archiveName(2)) },
		"no live file":                       func(p *place, _ []byte) { remove(p, liveName) },
		"a copy from before the archives":    func(p *place, old []byte) { live(p, old) },
		"one, and older archives are gone":   func(p *place, old []byte) { live(p, old); remove(p, archiveName(1), archiveName(2)) },
		"an archive as the live file":        func(p *place, _ []byte) { live(p, p.archiveFile(3)) },
		"the newest archive in its place":    func(p *place, _ []byte) { live(p, p.archiveFile(3)); remove(p, archiveName(3)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, alice)
			p.open()
			p.sayMany(alice, 3)
			old := p.file()
			for range 3 {
				p.sayMany(alice, 3)
				p.rotate()
			}
			p.kill()
			if change != nil {
				change(p, old)
			}
			before := content(t, p.dir)
			is := func(what string, err error) {
				t.Helper()
				if (err != nil) != (change != nil) || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
					t.Errorf("%s: %v", what, err)
				}
			}
			_, err := Verify(p.dir, nil)
			is("verify", err)
			_, err = readDir(p.dir, alice)
			is("open", err)
			h, err := Open(p.dir, p.opt)
			is("the server", err)
			if err == nil {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			}
			if change != nil && content(t, p.dir) != before {
				t.Error("refused, and changed")
			}
		})
	}
}

// content is what is in a folder, with names.
func content(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %q\n", e.Name(), b)
	}
	return all.String()
}
