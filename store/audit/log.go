// Package audit keeps what moderators and admins did, in data/audit.jsonl: a log that is only ever added to and whose lines
// are chained by hash. It knows nothing of accounts or the history, nor of what the acts mean.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// rotateAt is the size at which the audit log goes on in a new file, in bytes.
const rotateAt = 8 << 20

// maxLine is the longest line that is read back. Texts in it are cut before, so none of ours comes near.
const maxLine = 64 << 10

// errClosed is why a closed log takes nothing.
var errClosed = errors.New("the audit log is closed")

// Log is data/audit.jsonl and its archives, audit.0001.jsonl and so on: JSON Lines, chained by hash, so that a line
// that was changed, left out or put in shows; tip.go has what that does not show. Its methods may be called from any goroutine.
type Log struct {
	disk durable.FS
	dir  string
	now  func() time.Time
	log  *slog.Logger
	max  int64

	mu     sync.Mutex
	file   durable.File // guarded by mu; nil after a sync that failed, or a write that could not be taken back
	size   int64        // guarded by mu
	n      uint64       // guarded by mu; of the last line
	tip    string       // guarded by mu; its hash
	broken error        // guarded by mu; why file is nil
}

// Open opens the audit log of the held folder dir. A last line that was not written as a whole was never
// acknowledged: it is moved to audit.jsonl.torn.
func Open(dir string, now func() time.Time, log *slog.Logger) (*Log, error) {
	return open(durable.OS{}, dir, now, log, rotateAt)
}

func open(d durable.FS, dir string, now func() time.Time, log *slog.Logger, most int64) (*Log, error) {
	a := &Log{disk: d, dir: dir, now: now, log: log, max: most}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("open %s: %w", a.path(), err)
	}
	return a, nil
}

func (a *Log) path() string { return filepath.Join(a.dir, "audit.jsonl") }

func (a *Log) archive(i int) string {
	return filepath.Join(a.dir, fmt.Sprintf("audit.%04d.jsonl", i))
}

// open opens the file, or makes it, and finds the end of the chain.
func (a *Log) open() error {
	f, err := a.disk.Open(a.path())
	if errors.Is(err, fs.ErrNotExist) {
		f, err = a.disk.Create(a.path())
	}
	if err != nil {
		return err
	}
	if err := a.find(f); err != nil {
		return errors.Join(err, f.Close())
	}
	a.file = f
	return nil
}

// find finds the end of the chain.
func (a *Log) find(f durable.File) error {
	content, err := durable.ReadAll(f)
	if err != nil {
		return err
	}
	whole := wholeLines(content)
	if len(whole) < len(content) {
		if err := a.tear(f, content[len(whole):], int64(len(whole))); err != nil {
			return err
		}
	}
	if err := a.disk.SyncDir(a.dir); err != nil {
		return err
	}
	a.size = int64(len(whole))
	last := lastLine(whole)
	if archives := a.archives(); last == nil && archives > 0 {
		content, err := durable.ReadFile(a.disk, a.archive(archives))
		if err != nil {
			return err
		}
		last = lastLine(content)
	}
	if last == nil {
		return nil
	}
	var act chat.Act
	if err := json.Unmarshal(last, &act); err != nil {
		return fmt.Errorf("its last line is no JSON: %w", err)
	}
	a.n, a.tip = act.N, digest(last)
	return nil
}

// wholeLines is the content without a last line that has no end, or does not follow from the one before: a power cut may
// have written the end of a line and not its middle.
func wholeLines(content []byte) []byte {
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	last := lastLine(whole)
	if last == nil {
		return whole
	}
	rest := whole[:len(whole)-len(last)-1]
	var act chat.Act
	if json.Unmarshal(last, &act) != nil {
		return rest
	}
	if before := lastLine(rest); before != nil && act.Prev != digest(before) {
		return rest
	}
	return whole
}

// tear cuts off a line that was not written as a whole and keeps it aside.
func (a *Log) tear(f durable.File, torn []byte, end int64) error {
	a.log.Warn("the audit log's last line was torn off", "bytes", len(torn), "kept in", a.path()+".torn")
	if _, err := durable.ReplaceOn(a.disk, a.path()+".torn", torn); err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	return f.Sync()
}

// lastLine is the last line of whole lines, without its newline; nil where there is none.
func lastLine(content []byte) []byte {
	content = bytes.TrimSuffix(content, []byte("\n"))
	if len(content) == 0 {
		return nil
	}
	return content[bytes.LastIndexByte(content, '\n')+1:]
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// Append writes the act, with N, At and Prev set by the log. It has survived a power cut when Append returns nil. Where
// there is no room it is refused, and the next one may be taken again. After a sync that failed nothing more is taken
// until the server starts again: what the disk has is not known then.
func (a *Log) Append(act chat.Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return fmt.Errorf("append to the audit log: %w", a.broken)
	}
	if a.size >= a.max {
		if err := a.rotate(); err != nil {
			return fmt.Errorf("append to the audit log: %w", err)
		}
	}
	act.N, act.At, act.Prev = a.n+1, a.now().UTC().Truncate(time.Millisecond), a.tip
	line, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	if _, err := a.file.WriteAt(append(line, '\n'), a.size); err != nil {
		if undone := a.file.Truncate(a.size); undone != nil {
			err = a.fail(errors.Join(err, undone))
		}
		return fmt.Errorf("append to the audit log: %w", err)
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("append to the audit log: %w", a.fail(err))
	}
	a.n, a.tip = act.N, digest(line)
	a.size += int64(len(line)) + 1
	return nil
}

// fail ends the log. Called with mu held.
func (a *Log) fail(err error) error {
	a.broken = errors.Join(err, a.file.Close())
	a.file = nil
	return err
}

// rotate goes on in a new file, whose first line follows from the old one's last. Called with mu held.
func (a *Log) rotate() error {
	archive := a.archive(a.archives() + 1)
	if err := a.disk.Rename(a.path(), archive); err != nil {
		return err
	}
	f, err := a.disk.Create(a.path())
	if err != nil {
		if undone := a.disk.Rename(archive, a.path()); undone != nil {
			return a.fail(errors.Join(err, undone))
		}
		return err
	}
	old := a.file
	a.file, a.size = f, 0
	if err := errors.Join(old.Close(), a.disk.SyncDir(a.dir)); err != nil {
		return a.fail(err)
	}
	return nil
}

// archives is how many there are; they are numbered from 1 without a gap.
func (a *Log) archives() int {
	n := 0
	for {
		f, err := a.disk.Open(a.archive(n + 1))
		if err != nil {
			return n
		}
		f.Close()
		n++
	}
}

// Tip is the count of lines and the hash of the last: who remembers both can tell that none was cut off.
func (a *Log) Tip() (n uint64, hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.tip
}

// Acts returns the acts since then, oldest first, but at most the last n.
func (a *Log) Acts(since time.Time, n int) ([]chat.Act, error) {
	var acts []chat.Act
	err := a.walk(func(_ string, _ int, line []byte) error {
		var act chat.Act
		if json.Unmarshal(line, &act) != nil || act.At.Before(since) {
			return nil // damage is Verify's to tell
		}
		if acts = append(acts, act); len(acts) >= 2*n {
			acts = slices.Delete(acts, 0, len(acts)-n)
		}
		return nil
	})
	return acts[max(0, len(acts)-n):], err
}

// Verify checks the chain from the first line on and returns how many lines it has.
// Its error names the first line that does not follow from the one before.
func (a *Log) Verify() (lines uint64, err error) {
	tip := ""
	err = a.walk(func(name string, number int, line []byte) error {
		var act chat.Act
		if err := json.Unmarshal(line, &act); err != nil {
			return fmt.Errorf("%s line %d: it is no JSON", name, number)
		}
		if act.N != lines+1 || act.Prev != tip {
			return fmt.Errorf("%s line %d: it does not follow from the line before it", name, number)
		}
		lines, tip = act.N, digest(line)
		return nil
	})
	if n, end := a.Tip(); err == nil && (lines < n || lines == n && tip != end) {
		return lines, fmt.Errorf("lines were cut off the end: %d are left of %d", lines, n)
	}
	return lines, err
}

// walk calls f with each line of all files, in order.
func (a *Log) walk(f func(name string, number int, line []byte) error) error {
	a.mu.Lock()
	archives := a.archives()
	a.mu.Unlock()
	for i := 1; i <= archives+1; i++ {
		path := a.archive(i)
		if i == archives+1 {
			path = a.path()
		}
		if err := walkLines(a.disk, path, f); err != nil {
			return err
		}
	}
	return nil
}

func walkLines(d durable.FS, path string, f func(name string, number int, line []byte) error) error {
	file, err := d.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return err
	}
	scan := bufio.NewScanner(io.NewSectionReader(file, 0, size))
	scan.Buffer(nil, maxLine)
	number := 0
	for scan.Scan() {
		number++
		if err := f(filepath.Base(path), number, scan.Bytes()); err != nil {
			return err
		}
	}
	if err := scan.Err(); err != nil {
		return fmt.Errorf("%s after line %d: %w", filepath.Base(path), number, err)
	}
	return nil
}

// Close closes the file.
func (a *Log) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file, a.broken = nil, errClosed
	return err
}

// Snapshots are the audit log's files: the signed tip and the lines, which are only ever added, those that are written to
// before the older ones. One of those is in memory at a time.
func (a *Log) Snapshots() iter.Seq2[durable.Snapshot, error] {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []func() (durable.Snapshot, error)
	now := func(s durable.Snapshot, err error) {
		all = append(all, func() (durable.Snapshot, error) { return s, err })
	}
	if tip, err := a.snapshot(a.tipPath()); !errors.Is(err, fs.ErrNotExist) {
		now(tip, err)
	}
	live, err := a.snapshot(a.path())
	live.Size = min(live.Size, a.size)
	live.Reader = io.LimitReader(live.Reader, live.Size)
	now(live, err)
	for i := range a.archives() {
		all = append(all, func() (durable.Snapshot, error) { return a.snapshot(a.archive(i + 1)) })
	}
	return durable.Each(all...)
}

func (a *Log) snapshot(path string) (durable.Snapshot, error) {
	b, err := durable.ReadFile(a.disk, path)
	if err != nil {
		err = fmt.Errorf("snapshot of the audit log: %w", err)
	}
	return durable.InMemory(filepath.Base(path), b), err
}
