package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

const (
	segmentFirst   = 64 << 10 // bytes: the size of a history with one record
	segmentMaxStep = 64 << 20 // bytes: it doubles up to this much at a time
)

// segment is the file of records: one JSON document at every moment, also for programs that read it while it is written.
//
// It ends in blanks, which JSON allows, before the brackets that close it. A record is written over blanks, together
// with the comma that parts it from the one before, and within one page; so whichever pages of a write a reader sees,
// it sees whole records. The size does not change, and a sync has no metadata to write.
//
// A segment belongs to one goroutine.
type segment struct {
	disk   durable.FS
	path   string
	file   durable.File
	size   int64
	end    int64               // where the last record ends
	spare  int64               // bytes that are free at least when the file is a new one: what comes at once and is large
	dirty  int64               // up to here a failed write may have left something; at most end when none has
	n      uint64              // of the last line
	synced uint64              // highest n whose sync has returned
	noSync bool                // negative control of the tests
	timed  func(time.Duration) // called with the duration of each sync; may be nil
	dead   error               // the first failed sync; wraps chat.ErrJournalDead
	laid   []byte              // room for what is written next
}

// append writes the records after the last one, fills in where they are, and returns once they are durable.
// After an error nothing was appended; one that wraps chat.ErrJournalDead is final.
func (t *segment) append(records []*record) error {
	if t.dead != nil {
		return t.dead
	}
	b := t.layOut(records)
	end, last := t.end+int64(len(b)), records[len(records)-1].last()
	if t.empty() || end > t.size-int64(len(segmentOutro)) {
		// The first record too comes with a new file: it has no comma before it, so a reader must never
		// see a later page without it.
		if err := t.grow(b); err != nil {
			return fmt.Errorf("append to the history: %w", err)
		}
	} else {
		if err := t.write(b); err != nil {
			return fmt.Errorf("append to the history: %w", err)
		}
		if err := t.sync(); err != nil {
			return err
		}
	}
	t.end, t.n, t.synced = end, last, last
	return nil
}

// keepLaid is the most that is kept for the next batch, in bytes: the record of a window in a large room is made ahead
// so that others wait little, and new memory would take longer than all else.
const keepLaid = 4 << 20

// layOut returns the bytes that go where the last record ends. They are valid until the next call.
func (t *segment) layOut(records []*record) []byte {
	size := 0
	for _, r := range records {
		for _, line := range r.lines {
			size += len(line) + len(",\n\n")
		}
	}
	b := slices.Grow(t.laid[:0], size+size/8+pageSize) // with most of what fills the pages
	empty := t.empty()
	for _, r := range records {
		for i, line := range r.lines {
			length := int64(len(line) + len(",\n\n"))
			if left := pageSize - (t.end+int64(len(b)))%pageSize; left < length {
				b = append(b, blanks(left)...)
			}
			if !empty {
				b = append(b, ",\n"...)
			}
			empty = false
			if i == 0 {
				r.off = t.end + int64(len(b))
			}
			b = append(b, line...)
			b = append(b, '\n')
		}
	}
	if t.laid = b; cap(b) > keepLaid {
		t.laid = nil
	}
	return b
}

// empty reports whether there is no record in the file.
func (t *segment) empty() bool { return t.end == int64(len(segmentIntro)) }

// aPage is a page of blanks.
var aPage = bytes.Repeat([]byte(" "), pageSize)

// blanks are n of them, which are not to be written to.
func blanks[N int | int64](n N) []byte {
	if n <= pageSize {
		return aPage[:n:n]
	}
	return bytes.Repeat([]byte(" "), int(n))
}

// write puts b where the last record ends, in one write. What a failed write left is removed.
func (t *segment) write(b []byte) error {
	end := t.end + int64(len(b))
	if t.dirty > end {
		b = append(b, blanks(t.dirty-end)...)
	}
	_, err := t.file.WriteAt(b, t.end)
	if err == nil {
		t.dirty = 0
		return nil
	}
	t.dirty = max(t.dirty, end)
	if _, blankErr := t.file.WriteAt(blanks(t.dirty-t.end), t.end); blankErr != nil {
		return errors.Join(err, blankErr) // the next write covers it
	}
	if syncErr := t.sync(); syncErr != nil {
		return errors.Join(err, syncErr)
	}
	t.dirty = 0
	return err
}

// sync waits for the disk. Its first failure is final: the kernel marks pages it could not write as clean,
// and would report the next sync as done.
func (t *segment) sync() error {
	if t.noSync {
		return nil
	}
	begun := time.Now()
	if err := t.file.Sync(); err != nil {
		return t.die(err)
	}
	if t.timed != nil {
		t.timed(time.Since(begun))
	}
	return nil
}

func (t *segment) die(err error) error {
	t.dead = fmt.Errorf("sync the history: %w: %w", chat.ErrJournalDead, err)
	return t.dead
}

// grow writes the segment, b after its last record, into a new and larger file that takes the old one's place.
// Whoever has the old one open keeps a whole document.
func (t *segment) grow(b []byte) error {
	end := t.end + int64(len(b))
	size := max(t.size, segmentFirst/2)
	for size < segmentFirst || end+t.spare > size-int64(len(segmentOutro)) {
		size += min(size, segmentMaxStep)
		size -= size % pageSize
	}
	return t.rewrite(b, size)
}

// makeRoom grows the segment if less than half of the required free space is left. An empty one grows with its first
// record.
func (t *segment) makeRoom() error {
	if t.empty() || t.end+t.spare/2 <= t.size-int64(len(segmentOutro)) {
		return nil
	}
	return t.grow(nil)
}

// createSegment makes a history without records.
func createSegment(d durable.FS, path string) (*segment, error) {
	t := &segment{disk: d, path: path, end: int64(len(segmentIntro))}
	if err := t.rewrite(nil, int64(len(segmentIntro)+len(segmentOutro))); err != nil {
		return nil, fmt.Errorf("make an empty history: %w", err)
	}
	return t, nil
}

// rewrite is grow to the given size.
func (t *segment) rewrite(b []byte, size int64) error {
	name := t.path + ".new"
	if err := t.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := t.disk.Create(name)
	if err != nil {
		return err
	}
	if err = f.Reserve(size); err == nil {
		err = t.copyTo(f, b, size)
	}
	if err == nil {
		if err = t.replace(f, name); err == nil {
			t.size, t.dirty = size, 0
			return nil
		}
	}
	if t.file == f {
		return err // the name is the new file's, but the folder's sync failed: the segment is dead
	}
	return errors.Join(err, f.Close(), t.disk.Remove(name))
}

// replace makes f durable and then the segment.
func (t *segment) replace(f durable.File, name string) error {
	if !t.noSync {
		if err := f.Sync(); err != nil {
			return t.die(err)
		}
	}
	if err := t.disk.Rename(name, t.path); err != nil {
		return err
	}
	old := t.file
	t.file = f
	if err := t.disk.SyncDir(filepath.Dir(t.path)); err != nil {
		return t.die(err)
	}
	if old != nil {
		if err := old.Close(); err != nil {
			return t.die(err)
		}
	}
	return nil
}

// copyTo writes the segment's records, b and the blanks up to size to f.
func (t *segment) copyTo(f durable.File, b []byte, size int64) error {
	w := io.NewOffsetWriter(f, 0)
	if !t.empty() {
		if _, err := io.Copy(w, io.NewSectionReader(t.file, 0, t.end)); err != nil {
			return err
		}
	} else if _, err := io.WriteString(w, segmentIntro); err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return err
	}
	left := size - int64(len(segmentOutro)) - t.end - int64(len(b))
	spare := blanks(min(left, 1<<20))
	for ; left > 0; left -= int64(len(spare)) {
		if _, err := w.Write(spare[:min(left, int64(len(spare)))]); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, segmentOutro)
	return err
}

func (t *segment) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
