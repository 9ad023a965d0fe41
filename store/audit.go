package store

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
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// auditRotate is the size at which the audit log goes on in a new file, in bytes.
const auditRotate = 8 << 20

// maxAuditLine is the longest line that is read back. Texts in it are cut before, so none of ours comes near.
const maxAuditLine = 64 << 10

// Audit is data/audit.jsonl and its archives, audit.0001.jsonl and so on: JSON Lines, chained by hash, so that a line
// that was changed, left out or put in shows. The last lines can be cut off unseen by whoever can write the file,
// unless somebody remembers the Tip. Its methods may be called from any goroutine.
type Audit struct {
	dir string
	now func() time.Time
	log *slog.Logger
	max int64

	mu     sync.Mutex
	file   *os.File // guarded by mu; nil after a write or a sync that failed
	size   int64    // guarded by mu
	n      uint64   // guarded by mu; of the last line
	tip    string   // guarded by mu; its hash
	broken error    // guarded by mu; why file is nil
}

// OpenAudit opens the audit log of the held folder dir. A last line that was not written to its end was never
// acknowledged: it is moved to audit.jsonl.torn.
func OpenAudit(dir string, now func() time.Time, log *slog.Logger) (*Audit, error) {
	a := &Audit{dir: dir, now: now, log: log, max: auditRotate}
	if err := a.open(); err != nil {
		return nil, fmt.Errorf("open %s: %w", a.path(), err)
	}
	return a, nil
}

func (a *Audit) path() string { return filepath.Join(a.dir, "audit.jsonl") }

func (a *Audit) archive(i int) string {
	return filepath.Join(a.dir, fmt.Sprintf("audit.%04d.jsonl", i))
}

// open finds the end of the chain. Called with mu held, or before a is shared.
func (a *Audit) open() error {
	f, err := os.OpenFile(a.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	end := bytes.LastIndexByte(content, '\n') + 1
	if end < len(content) {
		if err := a.tear(f, content[end:], int64(end)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := (osDisk{}).SyncDir(a.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	a.file, a.size = f, int64(end)
	last := lastLine(content[:end])
	if last == nil {
		if archives := a.archives(); archives > 0 {
			content, err := os.ReadFile(a.archive(archives))
			if err != nil {
				return errors.Join(err, f.Close())
			}
			last = lastLine(content)
		}
	}
	if last == nil {
		return nil
	}
	var act chat.Act
	if err := json.Unmarshal(last, &act); err != nil {
		return errors.Join(fmt.Errorf("its last line is no JSON: %w", err), f.Close())
	}
	a.n, a.tip = act.N, digest(last)
	return nil
}

// tear cuts off a line that has no end and keeps it aside.
func (a *Audit) tear(f *os.File, torn []byte, end int64) error {
	a.log.Warn("the audit log's last line was torn off", "bytes", len(torn), "kept in", a.path()+".torn")
	if _, err := replaceFile(a.path()+".torn", torn); err != nil {
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

// Append writes the act, with N, At and Prev set by the log. It has survived a power cut when Append returns nil.
// After a failed write nothing more is taken until the server starts again: what the disk has is not known then.
func (a *Audit) Append(act chat.Act) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return fmt.Errorf("append to the audit log: %w", a.broken)
	}
	if a.size >= a.max {
		if err := a.rotate(); err != nil {
			return a.fail(err)
		}
	}
	act.N, act.At, act.Prev = a.n+1, a.now().UTC().Truncate(time.Millisecond), a.tip
	line, err := json.Marshal(act)
	if err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	if _, err := a.file.WriteAt(append(line, '\n'), a.size); err != nil {
		return a.fail(errors.Join(err, a.file.Truncate(a.size)))
	}
	if err := fdatasync(a.file); err != nil {
		return a.fail(err)
	}
	a.n, a.tip = act.N, digest(line)
	a.size += int64(len(line)) + 1
	return nil
}

// fail ends the log. Called with mu held.
func (a *Audit) fail(err error) error {
	a.broken = errors.Join(err, a.file.Close())
	a.file = nil
	return fmt.Errorf("append to the audit log: %w", err)
}

// rotate goes on in a new file, whose first line follows from the old one's last. Called with mu held.
func (a *Audit) rotate() error {
	if err := os.Rename(a.path(), a.archive(a.archives()+1)); err != nil {
		return err
	}
	f, err := os.OpenFile(a.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	old := a.file
	a.file, a.size = f, 0
	return errors.Join(old.Close(), (osDisk{}).SyncDir(a.dir))
}

// archives is how many there are; they are numbered from 1 without a gap.
func (a *Audit) archives() int {
	n := 0
	for {
		if _, err := os.Stat(a.archive(n + 1)); err != nil {
			return n
		}
		n++
	}
}

// Tip is the count of lines and the hash of the last: who remembers both can tell that none was cut off.
func (a *Audit) Tip() (n uint64, hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n, a.tip
}

// Acts returns the acts since then, oldest first, but at most the last n.
func (a *Audit) Acts(since time.Time, n int) ([]chat.Act, error) {
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
func (a *Audit) Verify() (lines uint64, err error) {
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
func (a *Audit) walk(f func(name string, number int, line []byte) error) error {
	a.mu.Lock()
	archives := a.archives()
	a.mu.Unlock()
	for i := 1; i <= archives+1; i++ {
		path := a.archive(i)
		if i == archives+1 {
			path = a.path()
		}
		if err := walkLines(path, f); err != nil {
			return err
		}
	}
	return nil
}

func walkLines(path string, f func(name string, number int, line []byte) error) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is missing", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	defer file.Close()
	scan := bufio.NewScanner(file)
	scan.Buffer(nil, maxAuditLine)
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
func (a *Audit) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file, a.broken = nil, ErrClosed
	return err
}
