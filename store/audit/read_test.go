package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// watched is a disk whose reads a test stops or measures, and whose files cannot be opened when it says so.
type watched struct {
	durable.OS
	mu      sync.Mutex
	reading func(name string, b []byte) // guarded by mu; called before each read, without mu
	refuse  error                       // guarded by mu; what opening a file or a folder fails with
	opened  []string                    // guarded by mu
}

func (d *watched) set(reading func(name string, b []byte), refuse error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reading, d.refuse, d.opened = reading, refuse, nil
}

func (d *watched) Open(name string) (durable.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	d.opened = append(d.opened, filepath.Base(name))
	f, err := d.OS.Open(name)
	if err != nil {
		return nil, err
	}
	return watchedFile{f, d, filepath.Base(name)}, nil
}

func (d *watched) Create(name string) (durable.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	return d.OS.Create(name)
}

func (d *watched) Names(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return nil, d.refuse
	}
	return d.OS.Names(dir)
}

type watchedFile struct {
	durable.File
	disk *watched
	name string
}

func (f watchedFile) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	reading := f.disk.reading
	f.disk.mu.Unlock()
	if reading != nil {
		reading(f.name, b)
	}
	return f.File.ReadAt(b, off)
}

// stopAt makes the first read of the file wait: reached is closed when it does, and go on by closing release.
func (d *watched) stopAt(name string) (reached, release chan struct{}) {
	reached, release = make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.set(func(file string, _ []byte) {
		if file == name {
			once.Do(func() { close(reached); <-release })
		}
	}, nil)
	return reached, release
}

// watchedLog opens a log of short files on such a disk.
func watchedLog(t testing.TB, most int64) (*Log, *watched) {
	t.Helper()
	d := new(watched)
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { at = at.Add(time.Minute); return at }
	a, err := open(d, t.TempDir(), now, slog.New(slog.DiscardHandler), most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, d
}

// verifyByName reads as the log once did: the archives are counted, and then each file is opened by its name when its turn
// comes, and read to its end as that is then. It is the control.
func verifyByName(a *Log) error {
	v, err := a.view()
	if err != nil {
		return err
	}
	v.close()
	lines, tip := uint64(0), ""
	for i := range len(v.archives) + 1 {
		path := a.path()
		if i < len(v.archives) {
			path = a.archive(v.archives[i])
		}
		f, size, err := openSized(a.disk, path)
		if err != nil {
			return err
		}
		err = v.forward(part{filepath.Base(path), io.NewSectionReader(f, 0, size), f.Close}, func(name string, _ int, line []byte) error {
			if !bytes.Contains(line, fmt.Appendf(nil, `"prev":"%s"}`, tip)) {
				return fmt.Errorf("%s: it does not follow", name)
			}
			lines, tip = lines+1, digest(line)
			return nil
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	if n, _ := a.Tip(); lines < n {
		return errors.New("lines were removed from the end")
	}
	return nil
}

// Somebody who reads stops in the middle of the first archive: meanwhile lines are appended and the log is rotated twice.
// The reader sees the log as it was when they began. The controls: one who keeps the lock lets nobody append, and one who
// opens the files by name, as their turn comes, finds a chain that is broken.
func TestAppendGoesOnWhileAnArchiveIsRead(t *testing.T) {
	t.Parallel()
	const key = seals("the host key")
	during := map[string]func(a *Log) error{
		"verify": func(a *Log) error {
			if n, err := a.Verify(); n != 60 || err != nil {
				return fmt.Errorf("%d lines, %w", n, err)
			}
			return nil
		},
		"the last lines": func(a *Log) error {
			acts, err := a.Entries(time.Time{}, 100)
			if len(acts) != 60 || err != nil || acts[0].N != 1 || acts[59].N != 60 {
				return fmt.Errorf("%d acts, %w", len(acts), err)
			}
			return nil
		},
		"the signed line": func(a *Log) error {
			if tip, later, err := a.CheckTip(key); tip.N != 3 || later != 57 || err != nil {
				return fmt.Errorf("%+v, %d later, %w", tip, later, err)
			}
			return nil
		},
		"a backup": func(a *Log) error {
			lines := 0
			for s, err := range a.Snapshots() {
				if err != nil {
					return err
				}
				b, err := io.ReadAll(s)
				if err != nil || int64(len(b)) != s.Size {
					return fmt.Errorf("%s: %d bytes of %d, %w", s.Name, len(b), s.Size, err)
				}
				if s.Name != "audit.tip" {
					lines += bytes.Count(b, []byte("\n"))
				}
			}
			if lines != 60 {
				return fmt.Errorf("%d lines", lines)
			}
			return nil
		},
	}
	start := func(t *testing.T, read func(a *Log) error) (a *Log, d *watched, release chan struct{}, done chan error) {
		a, d = watchedLog(t, 2000)
		fill(t, a, 3)
		if _, err := a.SignTip(key, Start); err != nil {
			t.Fatal(err)
		}
		fill(t, a, 57)
		reached, release := d.stopAt("audit.0001.jsonl")
		done = make(chan error, 1)
		go func() { done <- read(a) }()
		select {
		case <-reached:
		case err := <-done:
			t.Fatalf("it did not read the archive: %v", err)
		}
		return a, d, release, done
	}
	for name, read := range during {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, release, done := start(t, read)
			before, err := a.archives()
			if err != nil {
				t.Fatal(err)
			}
			fill(t, a, 20)
			if now, err := a.archives(); len(now) < len(before)+2 || err != nil {
				t.Errorf("%d archives, then %d: rotation was not tested, %v", len(before), len(now), err)
			}
			close(release)
			if err := <-done; err != nil {
				t.Error(err)
			}
			if n, err := a.Verify(); n != 80 || err != nil {
				t.Errorf("afterwards: %d lines, %v", n, err)
			}
		})
	}
	t.Run("control: under the lock", func(t *testing.T) {
		t.Parallel()
		a, _, release, done := start(t, func(a *Log) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			_, err := durable.ReadFile(a.disk, a.archive(1))
			return err
		})
		if a.mu.TryLock() {
			a.mu.Unlock()
			t.Error("Append need not wait")
		}
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("control: by name", func(t *testing.T) {
		t.Parallel()
		a, _, release, done := start(t, verifyByName)
		fill(t, a, 20)
		close(release)
		if err := <-done; err == nil {
			t.Error("nothing wrong")
		}
	})
}

// Whatever is appended and rotated meanwhile, the log verifies, and its last lines are in a row.
func TestVerifyBesideAppends(t *testing.T) {
	t.Parallel()
	a, _ := watchedLog(t, 3000)
	fill(t, a, 1)
	done := make(chan error, 1)
	go func() {
		for i := range 300 {
			if err := a.Append(act(i)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	last := uint64(0)
	for ended := false; !ended; {
		select {
		case err := <-done:
			if ended = true; err != nil {
				t.Error(err)
			}
		default:
		}
		n, err := a.Verify()
		if err != nil || n < last {
			t.Fatalf("%d lines after %d: %v", n, last, err)
		}
		last = n
		acts, err := a.Entries(time.Time{}, 20)
		if err != nil || len(acts) != int(min(20, acts[len(acts)-1].N)) || acts[len(acts)-1].N < n {
			t.Fatalf("%d lines, and then %d acts: %v", n, len(acts), err)
		}
		for i, entry := range acts[1:] {
			if entry.N != acts[i].N+1 {
				t.Fatalf("line %d follows line %d", entry.N, acts[i].N)
			}
		}
	}
	if last != 301 {
		t.Errorf("%d lines", last)
	}
}

// What is done to the files while the server runs is found and named.
func TestVerifyNamesWhatIsWrongWithTheFiles(t *testing.T) {
	t.Parallel()
	change := func(i int, edit func([]byte) []byte) func(*testing.T, *Log) {
		return func(t *testing.T, a *Log) {
			path := a.path()
			if i > 0 {
				path = a.archive(i)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, edit(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	rename := func(t *testing.T, from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		do    func(t *testing.T, a *Log)
		found string
	}{
		"nothing":               {func(*testing.T, *Log) {}, ""},
		"an archive missing":    {func(t *testing.T, a *Log) { rename(t, a.archive(2), a.archive(2)+".bak") }, "audit.0002.jsonl is missing"},
		"the first missing":     {func(t *testing.T, a *Log) { rename(t, a.archive(1), a.archive(1)+".bak") }, "audit.0001.jsonl is missing"},
		"the last missing":      {func(t *testing.T, a *Log) { rename(t, a.archive(4), a.archive(4)+".bak") }, "audit.jsonl line 1: it does not follow"},
		"the live file missing": {func(t *testing.T, a *Log) { rename(t, a.path(), a.path()+".bak") }, "audit.jsonl is missing"},
		"archives swapped": {func(t *testing.T, a *Log) {
			rename(t, a.archive(2), a.archive(2)+".bak")
			rename(t, a.archive(3), a.archive(2))
			rename(t, a.archive(2)+".bak", a.archive(3))
		}, "audit.0002.jsonl line 1: it does not follow"},
		"an archive empty":          {change(2, func([]byte) []byte { return nil }), "audit.0003.jsonl line 1: it does not follow"},
		"an archive's end torn":     {change(2, func(b []byte) []byte { return b[:len(b)-9] }), "it is not JSON"},
		"the last line torn":        {change(0, func(b []byte) []byte { return b[:len(b)-9] }), "it is not JSON"},
		"the last line removed":     {change(0, func(b []byte) []byte { return b[:len(b)-len(lastLine(b))-1] }), "lines were removed from the end: "},
		"half a line added":         {change(0, func(b []byte) []byte { return append(b, `{"n":`...) }), "it is not JSON"},
		"a line of 64 KiB":          {change(3, func(b []byte) []byte { return append(bytes.Repeat([]byte(" "), maxLine), b...) }), "audit.0003.jsonl line 1: it is longer than 65536 bytes"},
		"a line that follows added": {change(0, follow), "lines were added at the end: there are 26, but this server wrote 25"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := watchedLog(t, 1000)
			fill(t, a, 25)
			if archives, err := a.archives(); !slices.Equal(archives, []int{1, 2, 3, 4}) || err != nil {
				t.Fatalf("archives %v, %v", archives, err)
			}
			c.do(t, a)
			switch n, err := a.Verify(); {
			case c.found == "" && (n != 25 || err != nil):
				t.Errorf("%d lines, %v", n, err)
			case c.found != "" && (err == nil || !strings.Contains(err.Error(), c.found)):
				t.Errorf("found %v, want %q", err, c.found)
			}
		})
	}
}

// follow adds a line that follows from the last one of b.
func follow(b []byte) []byte {
	return fmt.Appendf(b, `{"n":26,"at":"2026-11-24T20:00:00Z","by":"root","do":"ban","prev":"%s"}`+"\n", digest(lastLine(b)))
}

// The last lines can be seen although an archive is gone, and those since a time without reading archives that are older.
func TestActsReadNoMoreThanTheyMust(t *testing.T) {
	t.Parallel()
	a, d := watchedLog(t, 1000)
	fill(t, a, 40)
	all, err := a.Entries(time.Time{}, 100)
	if err != nil || len(all) != 40 {
		t.Fatalf("%d acts, %v", len(all), err)
	}
	read := make(map[string]int)
	d.set(func(name string, b []byte) { read[name] += len(b) }, nil)
	if acts, err := a.Entries(time.Time{}, 2); !slices.Equal(acts, all[38:]) || err != nil || len(read) > 2 || read["audit.0001.jsonl"] > 0 {
		t.Errorf("the last 2: %v, %v; read %v", acts, err, read)
	}
	for i := range all {
		if acts, err := a.Entries(all[i].At, 100); !slices.Equal(acts, all[i:]) || err != nil {
			t.Errorf("since line %d: %d acts, %v", all[i].N, len(acts), err)
		}
		if acts, err := a.Entries(time.Time{}, i); !slices.Equal(acts, all[40-i:]) || err != nil {
			t.Errorf("the last %d: %d acts, %v", i, len(acts), err)
		}
	}
	if err := os.Remove(a.archive(2)); err != nil {
		t.Fatal(err)
	}
	if acts, err := a.Entries(time.Time{}, 100); len(acts) >= 40 || len(acts) < 30 || acts[0].N != 1 || err != nil {
		t.Errorf("with an archive missing: %d acts, %v", len(acts), err)
	}
}

// The clock was set back for a while, and put right: what happened before is since then all the same.
func TestActsSinceAcrossAClockThatWasSetBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := func() time.Time { return at }
	a, err := open(durable.OS{}, t.TempDir(), now, slog.New(slog.DiscardHandler), 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for _, hours := range []time.Duration{-48, 0, -480_000, 1} { // a real day or two ago, today, 1971, today
		at = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Add(hours * time.Hour)
		fill(t, a, 8)
	}
	acts, err := a.Entries(at.Add(-2*time.Hour), 100)
	if len(acts) != 16 || err != nil || acts[0].N != 9 || acts[15].N != 32 {
		t.Errorf("%d acts, %v", len(acts), err)
	}
}

// When no more files can be opened nobody knows which archives there are: a rotation must not take the first one's name.
func TestRotationWithoutFilesToOpenKeepsTheArchives(t *testing.T) {
	t.Parallel()
	a, d := watchedLog(t, 1000)
	fill(t, a, 12)
	first, err := os.ReadFile(a.archive(1))
	if err != nil {
		t.Fatal(err)
	}
	d.set(nil, syscall.EMFILE)
	failed := false
	for i := 0; i < 20 && !failed; i++ {
		failed = a.Append(act(0)) != nil
	}
	if !failed {
		t.Error("no rotation was tried")
	}
	d.set(nil, nil)
	fill(t, a, 12)
	if b, err := os.ReadFile(a.archive(1)); !bytes.Equal(b, first) || err != nil {
		t.Errorf("the first archive is another, %v", err)
	}
	if n, err := a.Verify(); n < 24 || err != nil {
		t.Errorf("%d lines, %v", n, err)
	}
}

// A line that could not be read back is not written, and the next one is.
func TestNoLineIsLongerThanIsReadBack(t *testing.T) {
	t.Parallel()
	a, _ := watchedLog(t, rotateAt)
	fill(t, a, 1)
	long := func(n int) error { return a.Append(chat.AuditEntry{Do: "ban", Text: strings.Repeat("x", n)}) }
	n := maxLine
	for n > 0 && long(n) != nil {
		n-- // the longest there is
	}
	if n < maxLine-300 {
		t.Fatalf("the longest text is of %d bytes", n)
	}
	fill(t, a, 1)
	if lines, err := a.Verify(); lines != 3 || err != nil {
		t.Errorf("%d lines, %v", lines, err)
	}
	if acts, err := a.Entries(time.Time{}, 9); len(acts) != 3 || err != nil || len(acts[1].Text) != n {
		t.Errorf("%d acts, %v", len(acts), err)
	}
}

// bigLog is a log with an archive of many MiB, whose texts are so long, and a line after it.
func bigLog(t testing.TB, mib, text int) (*Log, *watched) {
	t.Helper()
	a, d := watchedLog(t, int64(mib)<<20)
	var content []byte
	prev := ""
	for n := 1; len(content) < mib<<20; n++ {
		line := fmt.Appendf(nil, `{"n":%d,"at":"2026-11-24T12:00:00Z","by":"alice","do":"ban","text":"%s","prev":"%s"}`, n, strings.Repeat("s", text), prev)
		prev = digest(line)
		content = append(append(content, line...), '\n')
	}
	if err := os.WriteFile(a.path(), content, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Close()
	a, err := open(d, a.dir, time.Now, slog.New(slog.DiscardHandler), int64(mib)<<20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	fill(t, a, 1) // the rotation
	return a, d
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Of an archive no more than a few lines is in memory: all that is allocated to read one of 8 MiB, also what was let go
// of again. The control reads it whole. Not parallel: it counts what the process allocates.
func TestReadingTakesTheMemoryOfAFewLines(t *testing.T) {
	const mib = 4
	a, d := bigLog(t, mib, 4000)
	longest := 0
	d.set(func(_ string, b []byte) { longest = max(longest, len(b)) }, nil)
	lines := 0
	read := map[string]func() error{
		"forward": func() error {
			v, err := a.view()
			if err != nil {
				return err
			}
			defer v.close()
			return v.walk(func(string, int, []byte) error { lines++; return nil })
		},
		"backward": func() error {
			v, err := a.view()
			if err != nil {
				return err
			}
			defer v.close()
			p, err := v.part(0)
			if err != nil {
				return err
			}
			defer p.close()
			back := newBackward(p, p.Size(), v.buf)
			for err == nil {
				_, err = back.line()
				lines++
			}
			return err
		},
		"the last 50": func() error { _, err := a.Entries(time.Time{}, 50); lines += mib << 7; return err },
		"a backup": func() error {
			for s, err := range a.Snapshots() {
				if err != nil {
					return err
				}
				if _, err := io.Copy(io.Discard, s); err != nil {
					return err
				}
			}
			lines += mib << 7
			return nil
		},
	}
	for name, f := range read {
		lines = 0
		bytes := allocated(func() {
			if err := f(); err != nil && !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if lines < mib<<7 || bytes > 1<<20 {
			t.Errorf("%s: %d bytes allocated for %d lines", name, bytes, lines)
		}
	}
	verified := uint64(0)
	allocations := testing.AllocsPerRun(1, func() {
		n, err := a.Verify()
		if verified = n; err != nil {
			t.Error(err)
		}
	})
	if verified < mib<<7 || allocations > 16*float64(verified) || longest > 2*maxLine {
		t.Errorf("%.0f allocations to verify %d lines; %d bytes were read at once", allocations, verified, longest)
	}
	if bytes := allocated(func() { durable.ReadFile(a.disk, a.archive(1)) }); bytes < mib<<20 {
		t.Errorf("control: read whole, %d bytes", bytes)
	}
}

// What a line begins with is what the whole of it says, or it is not used.
func FuzzStamp(f *testing.F) {
	f.Add([]byte(`{"n":1,"at":"2026-11-24T12:00:00Z","by":"","do":"ban","prev":""}`))
	f.Add([]byte(`{"n":18446744073709551615,"at":"2026-11-24T12:00:00.001+02:00","by":"at\"","do":"ban","prev":""}`))
	f.Add([]byte(`{"at":"2026-11-24T12:00:00Z","n":1}`))
	f.Add([]byte(`{"n":01,"at":"2026-11-24T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		n, at, ok := stamp(line)
		var entry chat.AuditEntry
		if json.Unmarshal(line, &entry) != nil || bytes.ContainsRune(line, '\\') || bytes.Count(bytes.ToLower(line), []byte(`"n"`)) > 1 || bytes.Count(bytes.ToLower(line), []byte(`"at"`)) > 1 {
			return // damage, or keys that stand there twice, perhaps escaped, which is damage too
		}
		if ok && (n != entry.N || !at.Equal(entry.At)) {
			t.Errorf("%s: %d and %v", line, n, at)
		}
	})
}

// Every line that Append writes can be told by what it begins with. The control is one in another order, which is read whole.
func TestStampOfWhatIsWritten(t *testing.T) {
	t.Parallel()
	a, _ := watchedLog(t, rotateAt)
	fill(t, a, 12)
	v, err := a.view()
	if err != nil {
		t.Fatal(err)
	}
	defer v.close()
	err = v.walk(func(_ string, number int, line []byte) error {
		if n, at, ok := stamp(line); n != uint64(number) || at.IsZero() || !ok {
			t.Errorf("%s: %d, %v, %v", line, n, at, ok)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, _, ok := stamp([]byte(`{"at":"2026-11-24T12:00:00Z","n":1}`)); ok {
		t.Error("control: a line in another order")
	}
}

// Lines read from the end are those read from the start, in turn, whatever is in the file and wherever a buffer ends.
func FuzzBackward(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nthree"), 8)
	f.Add([]byte("\n\n"), 1)
	f.Add([]byte("exactly8\n12345678"), 8)
	f.Fuzz(func(t *testing.T, content []byte, longest int) {
		longest = 1 + max(longest, -longest, 0)%64
		var want []string
		for line := range bytes.Lines(content) {
			want = append(want, string(line))
		}
		b := newBackward(bytes.NewReader(content), int64(len(content)), make([]byte, 2*longest))
		for _, line := range slices.Backward(want) {
			got, err := b.line()
			if len(line) > longest {
				if err == nil {
					t.Fatalf("a line of %d bytes, longer than %d", len(line), longest)
				}
				return
			}
			if err != nil || string(got) != strings.TrimSuffix(line, "\n") {
				t.Fatalf("%q, %v, want %q", got, err, line)
			}
		}
		if line, err := b.line(); !errors.Is(err, io.EOF) {
			t.Fatalf("before the first: %q, %v", line, err)
		}
	})
}

func TestBackwardOverRandomLines(t *testing.T) {
	t.Parallel()
	a, _ := watchedLog(t, 1<<20)
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 { // longer than the buffer together
		if err := a.Append(chat.AuditEntry{Do: "ban", Text: strings.Repeat("x", r.IntN(60_000))}); err != nil {
			t.Fatal(err)
		}
	}
	acts, err := a.Entries(time.Time{}, 100)
	if len(acts) != 40 || err != nil {
		t.Fatalf("%d acts, %v", len(acts), err)
	}
	for i, entry := range acts {
		if entry.N != uint64(i+1) {
			t.Errorf("act %d is line %d", i, entry.N)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	const mib = 8
	a, _ := bigLog(b, mib, 60)
	b.SetBytes(mib << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Verify(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLastActs(b *testing.B) {
	a, _ := bigLog(b, 8, 60)
	b.ReportAllocs()
	for b.Loop() {
		if acts, err := a.Entries(time.Time{}, 50); len(acts) != 50 || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkActsSince(b *testing.B) {
	a, _ := bigLog(b, 8, 60)
	a.max = 16 << 20
	content, err := os.ReadFile(a.archive(1))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(a.path(), content, 0o600); err != nil { // all in the file that is never skipped
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if acts, err := a.Entries(time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC), 50); len(acts) != 0 || err != nil {
			b.Fatal(len(acts), err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, beside := range []bool{false, true} {
		b.Run(fmt.Sprintf("verify=%v", beside), func(b *testing.B) {
			a, _ := bigLog(b, 8, 60)
			stop, done := make(chan struct{}), make(chan error, 1)
			go func() {
				var err error
				for err == nil && beside {
					select {
					case <-stop:
						done <- nil
						return
					default:
						_, err = a.Verify()
					}
				}
				done <- err
			}()
			for b.Loop() {
				if err := a.Append(act(0)); err != nil {
					b.Fatal(err)
				}
			}
			close(stop)
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		})
	}
}
