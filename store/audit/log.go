// Package audit keeps what moderators and admins did, in data/audit.jsonl: a log that is only ever added to and whose lines
// are chained by hash. It knows nothing of accounts or the history, nor of what the acts mean.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// rotateAt is the size at which the audit log goes on in a new file, in bytes.
const rotateAt = 8 << 20

// maxLine is the longest line with its newline, in bytes. Texts are cut before they come here, so none of ours comes near; one
// that is longer is neither written nor read.
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
	file   durable.File // guarded by mu; nil after a failed sync, or a failed write that could not be undone
	size   int64        // guarded by mu
	n      uint64       // guarded by mu; of the last line
	tip    string       // guarded by mu; its hash
	later  *time.Timer  // guarded by mu; syncs what Note wrote; nil: all is synced
	broken error        // guarded by mu; why file is nil
}

// Open opens the audit log of the held folder dir. A last line that was not written as a whole was never
// acknowledged: it is moved to audit.jsonl.torn.
func Open(dir string, now func() time.Time, log *slog.Logger) (*Log, error) {
	return open(durable.OS{}, dir, now, log, rotateAt)
}

// OpenOn is Open on another file system.
func OpenOn(d durable.FS, dir string, now func() time.Time, log *slog.Logger) (*Log, error) {
	return open(d, dir, now, log, rotateAt)
}

func open(d durable.FS, dir string, now func() time.Time, log *slog.Logger, most int64) (*Log, error) {
	a := &Log{disk: d, dir: dir, now: now, log: log, max: most}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("open %s: %w", a.path(), err)
	}
	return a, nil
}

const liveName = "audit.jsonl"

func archiveName(i int) string { return fmt.Sprintf("audit.%04d.jsonl", i) }

func (a *Log) path() string { return filepath.Join(a.dir, liveName) }

func (a *Log) archive(i int) string { return filepath.Join(a.dir, archiveName(i)) }

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
		if err := a.truncate(f, content[len(whole):], int64(len(whole))); err != nil {
			return err
		}
	}
	if err := a.disk.SyncDir(a.dir); err != nil {
		return err
	}
	a.size = int64(len(whole))
	last := lastLine(whole)
	if last == nil {
		if last, err = a.lastArchived(); err != nil {
			return err
		}
	}
	if last == nil {
		return nil
	}
	var entry chat.AuditEntry
	if err := json.Unmarshal(last, &entry); err != nil {
		return fmt.Errorf("its last line is not JSON: %w", err)
	}
	a.n, a.tip = entry.N, digest(last)
	return nil
}

// lastArchived is the last line of the newest archive; nil if there is none.
func (a *Log) lastArchived() ([]byte, error) {
	archives, err := a.archives()
	if err != nil || len(archives) == 0 {
		return nil, err
	}
	f, err := a.disk.Open(a.archive(archives[len(archives)-1]))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	line, err := newBackward(f, size, make([]byte, 2*maxLine)).line()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return line, err
}

// wholeLines is the content without lines that a power cut left incomplete: a last line that has no end or does not
// follow from the one before, and everything from the first zero byte on. JSON has no zero bytes, and unwritten parts of
// a file read as zero.
func wholeLines(content []byte) []byte {
	if hole := bytes.IndexByte(content, 0); hole >= 0 {
		content = content[:hole]
	}
	whole := content[:bytes.LastIndexByte(content, '\n')+1]
	last := lastLine(whole)
	if last == nil {
		return whole
	}
	rest := whole[:len(whole)-len(last)-1]
	var entry chat.AuditEntry
	if json.Unmarshal(last, &entry) != nil {
		return rest
	}
	if before := lastLine(rest); before != nil && entry.Prev != digest(before) {
		return rest
	}
	return whole
}

// tear cuts off a line that was not written as a whole and keeps it aside.
func (a *Log) truncate(f durable.File, torn []byte, end int64) error {
	a.log.Warn("the audit log's last line was cut off by a crash", "bytes", len(torn), "kept in", a.path()+".torn")
	if _, err := durable.ReplaceOn(a.disk, a.path()+".torn", torn); err != nil {
		return err
	}
	if err := f.Truncate(end); err != nil {
		return err
	}
	return f.Sync()
}

// lastLine is the last line of whole lines, without its newline; nil if there is none.
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

// Append writes the entry, with N and Prev set by the log, and At if it is zero. It is durable when Append returns nil.
// On a full disk it is refused, and later ones may succeed. After a failed sync nothing more is accepted until the server
// starts again, since the disk's content is unknown.
func (a *Log) Append(entry chat.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(entry); err != nil {
		return err
	}
	return a.sync()
}

// noteLasts is how long an entry of Note may not be on the disk.
const noteLasts = time.Second

// Note writes the entry as Append does, and returns at once: a power cut within a second may undo it. It is for actions
// of strangers, who must not cause a sync for each attempt, and for entries that are stored elsewhere as well.
func (a *Log) Note(entry chat.AuditEntry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.write(entry); err != nil {
		return err
	}
	if a.later == nil {
		a.later = time.AfterFunc(noteLasts, func() {
			if err := a.Sync(); err != nil && !errors.Is(err, errClosed) {
				a.log.Error("the audit log's last lines may not be on disk", "err", err)
			}
		})
	}
	return nil
}

// Sync returns once all lines have survived a power cut.
func (a *Log) Sync() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return fmt.Errorf("sync the audit log: %w", a.broken)
	}
	if a.later == nil {
		return nil
	}
	return a.sync()
}

// sync is called with mu held.
func (a *Log) sync() error {
	if a.later != nil {
		a.later.Stop()
		a.later = nil
	}
	if err := a.file.Sync(); err != nil {
		return fmt.Errorf("append to the audit log: %w", a.fail(err))
	}
	return nil
}

// Restore adds the acts that the log does not have: a power cut may have taken them back, and they are stored elsewhere as
// well. They are in the order in which they happened. It returns how many were added, when they have survived a power cut.
func (a *Log) Restore(acts []chat.AuditEntry) (added int, err error) {
	if len(acts) == 0 {
		return 0, nil
	}
	oldest := slices.MinFunc(acts, func(x, y chat.AuditEntry) int { return x.At.Compare(y.At) }).At // the clock may have been set back
	has, err := a.Entries(oldest.UTC().Truncate(time.Millisecond), math.MaxInt)
	if err != nil {
		return 0, err
	}
	known := make(map[chat.AuditEntry]int, len(has)) // how often, for the same may be done twice in a millisecond
	for _, entry := range has {
		entry.N, entry.Prev = 0, ""
		known[entry]++
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, entry := range acts {
		entry.N, entry.Prev, entry.At = 0, "", entry.At.UTC().Truncate(time.Millisecond)
		if known[entry] > 0 {
			known[entry]--
			continue
		}
		if err := a.write(entry); err != nil {
			return added, err
		}
		added++
	}
	return added, a.sync()
}

// write writes a line. Called with mu held.
func (a *Log) write(entry chat.AuditEntry) error {
	if a.file == nil {
		return fmt.Errorf("append to the audit log: %w", a.broken)
	}
	if a.size >= a.max {
		if err := a.rotate(); err != nil {
			return fmt.Errorf("append to the audit log: %w", err)
		}
	}
	entry.N, entry.Prev = a.n+1, a.tip
	if entry.At.IsZero() {
		entry.At = a.now().UTC().Truncate(time.Millisecond)
	}
	line, err := json.Marshal(entry)
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	if len(line) >= maxLine {
		return fmt.Errorf("append to the audit log: the line has %d bytes; the limit is %d", len(line)+1, maxLine)
	}
	if _, err := a.file.WriteAt(append(line, '\n'), a.size); err != nil {
		if undone := a.file.Truncate(a.size); undone != nil {
			err = a.fail(errors.Join(err, undone))
		}
		return fmt.Errorf("append to the audit log: %w", err)
	}
	a.n, a.tip = entry.N, digest(line)
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
	if a.later != nil {
		if err := a.sync(); err != nil {
			return err
		}
	}
	archives, err := a.archives()
	if err != nil {
		return err // not knowing which there are, a new one could take the place of the first
	}
	next := 1
	if len(archives) > 0 {
		next = archives[len(archives)-1] + 1
	}
	archive := a.archive(next)
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

// archives are the numbers of those there are, in order. They run from 1 without a gap unless somebody removed one. An
// archive is never written to again, nor renamed.
func (a *Log) archives() ([]int, error) {
	names, err := a.disk.Names(a.dir)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, name := range names {
		digits := strings.TrimSuffix(strings.TrimPrefix(name, "audit."), ".jsonl")
		if i, err := strconv.Atoi(digits); err == nil && i > 0 && name == archiveName(i) {
			numbers = append(numbers, i)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// Tip is the count of lines and the hash of the last: with both, a later truncation can be detected.
func (a *Log) Tip() (n uint64, hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.tip
}

// Close closes the file.
func (a *Log) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	var err error
	if a.later != nil {
		if err = a.sync(); err != nil {
			return err
		}
	}
	err = a.file.Close()
	a.file, a.broken = nil, errClosed
	return err
}
