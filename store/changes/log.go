// Package changes keeps data/changes.jsonl: a log of the changes since users.json was written. Each line is durable
// before the next is written. It does not interpret changes.
package changes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

const (
	firstSize = 64 << 10 // bytes: the size of a new file; it doubles up to maxStep at a time
	maxStep   = 1 << 20

	// blanks may follow the last line: reserved space, and what a power cut left of it.
	blanks = " \n\x00"

	newSuffix  = ".new"
	tornSuffix = ".torn"
)

var errClosed = errors.New("the log of changes is closed")

// Log is the file. It ends in blanks, over which lines are written, so that its size does not change and a sync has no
// metadata to write. Its methods may be called from any goroutine.
type Log struct {
	disk  durable.FS
	path  string
	first int64 // bytes: the size of a new file; tests take less than firstSize

	rewriting sync.Mutex // held by Rewrite, before mu

	mu      sync.Mutex
	file    durable.File // guarded by mu
	size    int64        // guarded by mu
	end     int64        // guarded by mu; where the last line ends
	dirty   int64        // guarded by mu; up to here a failed write may have left something; at most end when none has
	start   Checkpoint   // guarded by mu
	offsets []int64      // guarded by mu; Content.offsets
	dead    error        // guarded by mu; the first failed sync, which wraps chat.ErrJournalDead, or errClosed
}

// Open opens the log at path, and returns what it holds. A last line that is not whole was never acknowledged: it is
// moved to path.torn. An error about the file's content leaves it unchanged. If there is no file the error wraps
// fs.ErrNotExist.
func Open(d durable.FS, path string) (*Log, *Content, error) {
	f, err := d.Open(path)
	if err != nil {
		return nil, nil, err
	}
	l := &Log{disk: d, path: path, first: firstSize, file: f}
	c, err := l.open()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return l, c, nil
}

func (l *Log) open() (*Content, error) {
	b, err := durable.ReadAll(l.file)
	if err != nil {
		return nil, err
	}
	c, err := Parse(b)
	if err != nil {
		return nil, err
	}
	l.size, l.end, l.dirty, l.start, l.offsets = int64(len(b)), c.end, c.end, c.Start, c.offsets
	if rest := bytes.Trim(b[c.end:], " "); len(rest) == 0 {
		return c, nil
	}
	if c.Torn > 0 {
		torn := bytes.Trim(b[c.end:], blanks)
		if err := durable.Swap(l.disk, l.path+tornSuffix, torn); err != nil {
			return nil, err
		}
		if err := l.disk.SyncDir(filepath.Dir(l.path)); err != nil {
			return nil, err
		}
	}
	if err := l.file.Truncate(c.end); err != nil {
		return nil, err
	}
	l.size = c.end
	return c, l.file.Sync()
}

// Create makes a log without changes in the place of what is at path. It is durable when Create returns.
func Create(d durable.FS, path string, start Checkpoint) (*Log, error) {
	return create(d, path, start, firstSize)
}

// Empty is the content of a log without changes.
func Empty(start Checkpoint) ([]byte, error) { return start.first().encode() }

func create(d durable.FS, path string, start Checkpoint, first int64) (*Log, error) {
	l := &Log{disk: d, path: path, first: first}
	if err := l.Rewrite(start); err != nil {
		return nil, fmt.Errorf("create a log of changes: %w", err)
	}
	return l, nil
}

// Append writes a line, whose B must be that of the last one and 1. It has survived a power cut when Append returns nil. If
// there is no room it is refused, and the next may be taken again. An error that wraps chat.ErrJournalDead is final.
func (l *Log) Append(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.last(); line.B != last+1 {
		return fmt.Errorf("internal error: change %d after %d", line.B, last)
	}
	at := l.end
	if err := l.write(line.stored()); err != nil {
		return fmt.Errorf("append to the changes: %w", err)
	}
	l.offsets[len(l.offsets)-1] = at
	l.offsets = append(l.offsets, l.end)
	return nil
}

// last is the number of the last change. Called with mu held.
func (l *Log) last() uint64 { return l.start.Upto + uint64(len(l.offsets)-1) }

// Announce writes down a checkpoint before it is written, so that it is known for the server's.
func (l *Log) Announce(p Checkpoint) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(p.stored()); err != nil {
		return fmt.Errorf("announce a checkpoint: %w", err)
	}
	return nil
}

// write appends a line and returns once it is durable. What a failed write left is removed. Called with mu held.
func (l *Log) write(s stored) error {
	if l.dead != nil {
		return l.dead
	}
	b, err := s.encode()
	if err != nil {
		return err
	}
	end := l.end + int64(len(b))
	size := l.grown(l.size, end)
	switch {
	case size > l.size:
		if err := l.file.Reserve(size); err != nil {
			return err
		}
		b = append(b, bytes.Repeat([]byte(" "), int(size-end))...)
	case l.dirty > end:
		b = append(b, bytes.Repeat([]byte(" "), int(l.dirty-end))...)
	}
	if _, err := l.file.WriteAt(b, l.end); err != nil {
		l.dirty = max(l.dirty, end)
		return errors.Join(err, l.cover())
	}
	if err := l.sync(); err != nil {
		return err
	}
	l.end, l.dirty, l.size = end, 0, size
	return nil
}

// grown is the size of a file in which the lines end there.
func (l *Log) grown(size, end int64) int64 {
	for size < end {
		size += min(max(size, l.first), maxStep)
	}
	return size
}

// cover overwrites what a failed write may have left. If that fails, the next write does it.
func (l *Log) cover() error {
	if _, err := l.file.WriteAt(bytes.Repeat([]byte(" "), int(l.dirty-l.end)), l.end); err != nil {
		return err
	}
	if err := l.sync(); err != nil {
		return err
	}
	l.size = max(l.size, l.dirty)
	l.dirty = 0
	return nil
}

// sync waits for the disk. Its first failure is final: the kernel marks pages that it could not write as clean, and would
// report the next sync as done.
func (l *Log) sync() error {
	if err := l.file.Sync(); err != nil {
		return l.die(err)
	}
	return nil
}

func (l *Log) die(err error) error {
	l.dead = fmt.Errorf("sync the changes: %w: %w", chat.ErrJournalDead, err)
	return l.dead
}

// Size is how many bytes the lines take.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

// Start is the checkpoint that the first change applies to.
func (l *Log) Start() Checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.start
}

// Read returns what the log holds.
func (l *Log) Read() (*Content, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return nil, l.dead
	}
	b := make([]byte, l.end)
	if _, err := l.file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the changes: %w", err)
	}
	c, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read the changes: %w", err)
	}
	return c, nil
}

// Rewrite drops the changes up to a checkpoint, which takes the place of the log's start. Who appends meanwhile waits only for
// the moment in which the new file takes the old one's place.
func (l *Log) Rewrite(start Checkpoint) error {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()
	content, err := Empty(start)
	if err != nil {
		return err
	}
	first := int64(len(content))
	l.mu.Lock()
	from, end, err := l.kept(start.Upto)
	old := l.file
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if old != nil {
		content = append(content, make([]byte, end-from)...)
		if _, err := old.ReadAt(content[first:], from); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	name := l.path + newSuffix
	if err := l.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := l.disk.Create(name)
	if err != nil {
		return err
	}
	r := rewritten{file: f, name: name, start: start, shift: first - from, end: end, size: l.grown(0, int64(len(content)))}
	if err = r.fill(content); err == nil {
		if err = l.take(&r); err == nil {
			return nil
		}
	}
	if r.named {
		return err // it is the log's file, but the folder's sync failed: the log is dead
	}
	return errors.Join(err, f.Close(), l.disk.Remove(name))
}

// kept is which part of the file holds the changes after one. Called with mu held.
func (l *Log) kept(upto uint64) (from, end int64, err error) {
	switch {
	case l.dead != nil:
		return 0, 0, l.dead
	case l.file == nil: // it is being made
		return 0, 0, nil
	case upto < l.start.Upto || upto > l.last():
		return 0, 0, fmt.Errorf("internal error: no change %d in %d to %d", upto, l.start.Upto, l.last())
	}
	return l.offsets[upto-l.start.Upto], l.end, nil
}

// rewritten is the file that takes a log's place.
type rewritten struct {
	file  durable.File
	name  string
	named bool // it has the log's name
	start Checkpoint
	shift int64 // what is at an offset of the old file is at that and shift
	end   int64 // of what is copied, in the old file
	size  int64
}

// fill writes the content, and blanks behind it.
func (r *rewritten) fill(content []byte) error {
	if err := r.file.Reserve(r.size); err != nil {
		return err
	}
	content = append(content, bytes.Repeat([]byte(" "), int(r.size)-len(content))...)
	if _, err := r.file.WriteAt(content, 0); err != nil {
		return err
	}
	return r.file.Sync()
}

// take puts r in the place of the log's file, with what was appended meanwhile.
func (l *Log) take(r *rewritten) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dead != nil {
		return l.dead
	}
	if l.end > r.end {
		late := make([]byte, l.end-r.end)
		if _, err := l.file.ReadAt(late, r.end); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if _, err := r.file.WriteAt(late, r.end+r.shift); err != nil {
			return err
		}
		if err := r.file.Sync(); err != nil {
			return err // the old file is unchanged
		}
	}
	if err := l.disk.Rename(r.name, l.path); err != nil {
		return err
	}
	r.named = true
	if l.file == nil {
		l.offsets, l.end = []int64{r.shift}, r.shift
	} else {
		if err := l.file.Close(); err != nil {
			return l.die(err)
		}
		l.end += r.shift
		l.offsets = l.offsets[r.start.Upto-l.start.Upto:]
		for i := range l.offsets {
			l.offsets[i] += r.shift
		}
	}
	l.file, l.start, l.size, l.dirty = r.file, r.start, max(r.size, l.end), 0
	if err := l.disk.SyncDir(filepath.Dir(l.path)); err != nil {
		return l.die(err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.dead, errClosed) {
		return l.dead
	}
	l.dead = errClosed
	return l.file.Close()
}
