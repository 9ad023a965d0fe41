package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// Entries returns the entries since then, oldest first, but at most the last n. It reads from the end and as far as it
// must; a line that cannot be read, and an archive that is missing, are left out: damage is for Verify to report.
func (a *Log) Entries(since time.Time, n int) ([]chat.AuditEntry, error) {
	v, err := a.view()
	if err != nil {
		return nil, err
	}
	defer v.close()
	var acts []chat.AuditEntry
	for i := len(v.archives); i >= 0 && len(acts) < n && err == nil; i-- {
		acts, err = v.actsOf(i, since, acts, n)
	}
	slices.Reverse(acts)
	return acts, err
}

// Verify checks the chain from the first line on, as it stands when Verify is called, and returns how many lines it has.
// Its error names the first line that does not follow from the one before.
func (a *Log) Verify() (lines uint64, err error) {
	v, err := a.view()
	if err != nil {
		return 0, err
	}
	defer v.close()
	var entry chat.AuditEntry // one for all lines
	tip := ""
	err = v.walk(func(name string, number int, line []byte) error {
		entry = chat.AuditEntry{}
		if err := json.Unmarshal(line, &entry); err != nil {
			return fmt.Errorf("%s line %d: it is not JSON", name, number)
		}
		if entry.N != lines+1 || entry.Prev != tip {
			return fmt.Errorf("%s line %d: it does not follow from the line before it", name, number)
		}
		lines, tip = entry.N, digest(line)
		return nil
	})
	switch {
	case err != nil:
		return lines, err
	case lines < v.n || lines == v.n && tip != v.tip:
		return lines, fmt.Errorf("lines were removed from the end: %d of %d are left", lines, v.n)
	case lines > v.n && !v.failed:
		return lines, fmt.Errorf("lines were added at the end: there are %d, but this server wrote %d", lines, v.n)
	}
	return lines, nil
}

// Snapshots are the audit log's files as they stand when the first is asked for: the archives, the file that is written to,
// as far as it was acknowledged, and the signed tip. One archive is open at a time, and none is in memory.
func (a *Log) Snapshots() iter.Seq2[durable.Snapshot, error] {
	return func(yield func(durable.Snapshot, error) bool) {
		tip, tipErr := durable.ReadFile(a.disk, a.tipPath()) // before the lines: it is signed after them
		v, err := a.view()
		if err != nil {
			yield(durable.Snapshot{}, fmt.Errorf("snapshot of the audit log: %w", err))
			return
		}
		defer v.close()
		v.size = min(v.size, v.acknowledged)
		var all []func() (durable.Snapshot, error)
		for i := range len(v.archives) + 1 {
			all = append(all, func() (durable.Snapshot, error) { return v.snapshot(i) })
		}
		if !errors.Is(tipErr, fs.ErrNotExist) {
			all = append(all, func() (durable.Snapshot, error) { return durable.InMemory(filepath.Base(a.tipPath()), tip), tipErr })
		}
		durable.Each(all...)(yield)
	}
}

// view is the log as it stood at one moment. It is read without the log's lock, so that appends do not wait: an archive
// never changes, the live file is read only up to its length at that moment, and it stays open when a rotation renames
// it. One goroutine uses it.
type view struct {
	disk     durable.FS
	dir      string
	archives []int        // numbers, in order
	live     durable.File // open until close
	size     int64        // of live then, in bytes
	n        uint64       // of the last line that was acknowledged
	tip      string       // its hash
	failed   bool         // a write or a sync had failed: more may follow that line

	acknowledged int64 // where that line ends in live, in bytes

	lines *bufio.Reader // of each file in turn, from the start
	buf   []byte        // of each file in turn, from the end
}

// view takes the names of the archives, the file that is written to and its length at one moment.
func (a *Log) view() (*view, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	archives, err := a.archives()
	if err != nil {
		return nil, err
	}
	live, size, err := openSized(a.disk, a.path())
	if err != nil {
		return nil, err
	}
	return &view{
		disk: a.disk, dir: a.dir, archives: archives, live: live, size: size, n: a.n, tip: a.tip,
		failed: a.file == nil, acknowledged: a.size,
		lines: bufio.NewReaderSize(nil, maxLine), buf: make([]byte, 2*maxLine),
	}, nil
}

// missing is the name of a file that should be there. It is an error.
type missing string

func (m missing) Error() string { return string(m) + " is missing" }

func openSized(d durable.FS, path string) (durable.File, int64, error) {
	f, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, missing(filepath.Base(path))
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

func (v *view) close() { v.live.Close() } // it was only read

// part is one of the view's files.
type part struct {
	name string
	*io.SectionReader
	close func() error
}

// part opens the file at index i; the one after all archives is the one that was written to.
func (v *view) part(i int) (part, error) {
	if i == len(v.archives) {
		return part{liveName, io.NewSectionReader(v.live, 0, v.size), func() error { return nil }}, nil
	}
	name := archiveName(v.archives[i])
	f, size, err := openSized(v.disk, filepath.Join(v.dir, name))
	if err != nil {
		return part{}, err
	}
	return part{name, io.NewSectionReader(f, 0, size), f.Close}, nil
}

func (v *view) snapshot(i int) (durable.Snapshot, error) {
	p, err := v.part(i)
	if err != nil {
		return durable.Snapshot{}, fmt.Errorf("snapshot of the audit log: %w", err)
	}
	return durable.Snapshot{Name: p.name, Size: p.Size(), Reader: p, Release: p.close}, nil
}

// walk calls f with each line of all files, in order. The line is f's until it returns.
func (v *view) walk(f func(name string, number int, line []byte) error) error {
	for i := range len(v.archives) + 1 {
		if i < len(v.archives) && v.archives[i] != i+1 {
			return missing(archiveName(i + 1))
		}
		if err := v.walkPart(i, f); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) walkPart(i int, f func(name string, number int, line []byte) error) error {
	p, err := v.part(i)
	if err != nil {
		return err
	}
	defer p.close()
	return v.forward(p, f)
}

// forward calls f with each line of p, without its newline, which the last may lack.
func (v *view) forward(p part, f func(name string, number int, line []byte) error) error {
	v.lines.Reset(p)
	for number := 1; ; number++ {
		line, err := v.lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%s line %d: it is longer than %d bytes", p.name, number, maxLine)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("%s after line %d: %w", p.name, number-1, err)
		case len(line) == 0:
			return nil
		}
		if err := f(p.name, number, bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
		if err != nil {
			return nil
		}
	}
}

// actsOf adds the acts of file i, the last first, until there are n.
func (v *view) actsOf(i int, since time.Time, acts []chat.AuditEntry, n int) ([]chat.AuditEntry, error) {
	p, err := v.part(i)
	if errors.As(err, new(missing)) {
		return acts, nil
	}
	if err != nil {
		return acts, err
	}
	defer p.close()
	if i < len(v.archives) && v.older(p, since) {
		return acts, nil
	}
	lines := newBackward(p, p.Size(), v.buf)
	for len(acts) < n {
		line, err := lines.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return acts, fmt.Errorf("%s: %w", p.name, err)
		}
		if _, at, ok := stamp(line); ok && at.Before(since) {
			continue
		}
		var entry chat.AuditEntry
		if json.Unmarshal(line, &entry) == nil && !entry.At.Before(since) {
			acts = append(acts, entry)
		}
	}
	return acts, nil
}

// older reports whether the first line of an archive and its last say that it holds nothing since then. Clocks step, so the
// archives before are asked as well, and one whose lines say nothing is read.
func (v *view) older(p part, since time.Time) bool {
	if since.IsZero() {
		return false
	}
	first, ok := v.first(p)
	if !ok || !first.At.Before(since) {
		return false
	}
	line, err := newBackward(p, p.Size(), v.buf).line()
	var last chat.AuditEntry
	return err == nil && json.Unmarshal(line, &last) == nil && last.At.Before(since)
}

// first is the first line of a file, if it can be read.
func (v *view) first(p part) (entry chat.AuditEntry, ok bool) {
	n, err := p.ReadAt(v.buf[:maxLine], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return entry, false
	}
	line, _, ok := bytes.Cut(v.buf[:n], []byte("\n"))
	return entry, ok && json.Unmarshal(line, &entry) == nil
}

// hashOf is the hash of line n, which the chain up to the end was built on. The newest files are searched first.
func (v *view) hashOf(n uint64) (hash string, err error) {
	for i := len(v.archives); n > 0 && i >= 0 && hash == "" && err == nil; i-- {
		hash, err = v.hashIn(i, n)
	}
	return hash, err
}

func (v *view) hashIn(i int, n uint64) (hash string, err error) {
	p, err := v.part(i)
	if err != nil {
		return "", err
	}
	defer p.close()
	if first, ok := v.first(p); ok && first.N > n {
		return "", nil
	}
	var entry chat.AuditEntry
	err = v.forward(p, func(_ string, _ int, line []byte) error {
		if number, _, ok := stamp(line); ok && number != n {
			return nil
		}
		entry = chat.AuditEntry{}
		if json.Unmarshal(line, &entry) == nil && entry.N == n {
			hash = digest(line)
		}
		return nil
	})
	return hash, err
}

// stamp is the number and the time that a line begins with, as Append writes it, so that most lines need not be parsed. It is
// not ok if the line begins otherwise: then the whole of it counts.
func stamp(line []byte) (n uint64, at time.Time, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"n":`))
	number, rest, cut := bytes.Cut(rest, []byte(`,"at":"`))
	when, _, closed := bytes.Cut(rest, []byte(`"`))
	if !ok || !cut || !closed {
		return 0, at, false
	}
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil {
		return 0, at, false
	}
	at, err = time.Parse(time.RFC3339Nano, string(when))
	return n, at, err == nil
}

// backward reads lines from the end. What it returns is the caller's until the next line is asked for.
type backward struct {
	r      io.ReaderAt
	at     int64 // where buf[lo:hi], which is read and not returned yet, is in r
	buf    []byte
	lo, hi int
}

// newBackward reads the first size bytes of r. A line is at most half as long as buf, with its newline.
func newBackward(r io.ReaderAt, size int64, buf []byte) *backward {
	return &backward{r: r, at: size, buf: buf, lo: len(buf), hi: len(buf)}
}

// line returns the line before, without its newline; before the first one, io.EOF.
func (b *backward) line() ([]byte, error) {
	if b.lo == b.hi {
		if b.at == 0 {
			return nil, io.EOF
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
	longest := len(b.buf) / 2
	if b.buf[b.hi-1] == '\n' {
		b.hi--
		longest--
	}
	for {
		window := b.buf[b.lo:b.hi]
		i := bytes.LastIndexByte(window, '\n')
		switch {
		case len(window)-i-1 > longest:
			return nil, fmt.Errorf("a line is longer than %d bytes", len(b.buf)/2)
		case i >= 0:
			b.hi = b.lo + i + 1
			return window[i+1:], nil
		case b.at == 0:
			b.hi = b.lo
			return window, nil
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads what comes before, as much as there is room for.
func (b *backward) fill() error {
	n := copy(b.buf[len(b.buf)-(b.hi-b.lo):], b.buf[b.lo:b.hi])
	b.hi = len(b.buf)
	b.lo = b.hi - n
	more := int(min(b.at, int64(b.lo)))
	if got, err := b.r.ReadAt(b.buf[b.lo-more:b.lo], b.at-int64(more)); got < more {
		return errors.Join(err, io.ErrUnexpectedEOF)
	}
	b.lo, b.at = b.lo-more, b.at-int64(more)
	return nil
}
