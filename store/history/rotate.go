package history

import (
	"bufio"
	"crypto/sha256"
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

// Rotation continues the history in a new file. Each step is durable before the next:
//
//  1. all windows are closed, in the old file;
//  2. the archive is written beside it under another name, synced, renamed, and its name synced;
//  3. the new file is written, with a start record that tells of the archive, synced, and renamed over the old file.
//
// Up to the last rename the old file has everything, and an archive that no start record refers to was left by a crash:
// it is removed at the next start. After it the archive and the new file have everything.

// rotateAgain is how long after a failed rotation, for example on a full disk, it is tried again.
const rotateAgain = time.Minute

// rotateDue rotates if the file has reached its size. A failed rotation is logged; the old file stays in use.
func (h *History) rotateDue() {
	for {
		tx, err := h.NewRotation(false)
		if err == nil && tx == nil {
			return
		}
		if err == nil {
			err = tx.Store()
		}
		if errors.Is(err, errHistoryClosed) {
			return
		}
		if err != nil {
			h.opt.Log.Warn("history: rotation failed; it continues in the old file", "err", err)
			return
		}
	}
}

// Rotate puts the history so far away as an archive. It returns once that is durable; messages wait meanwhile.
func (h *History) Rotate() error {
	for {
		tx, err := h.NewRotation(true)
		if err != nil || tx == nil {
			return err
		}
		if err := tx.Store(); err != nil || !tx.Rotate.IsZero() {
			return err
		}
	}
}

// NewRotation drafts the next step of a rotation: the end of all windows, and when that is stored and nothing else was
// said, the record with which the history goes on in a new file, which has Rotate set. It returns nil if there is nothing to
// put away, or, unless now is set, the file does not have its size. One that failed is not tried again for a minute.
func (h *History) NewRotation(now bool) (*Transaction, error) {
	return h.startTransaction(func() (*Transaction, error) {
		if h.segment.empty() || !now && (h.opt.Rotate <= 0 || h.segment.end < h.opt.Rotate || h.opt.Now().Before(h.rotateAfter)) {
			return nil, nil
		}
		tx, err := rotationTransaction(h)
		if err != nil {
			h.rotateAfter = h.opt.Now().Add(rotateAgain)
		}
		return tx, err
	})
}

func rotationTransaction(h *History) (*Transaction, error) {
	for _, r := range h.rooms {
		if r.open {
			return endTransaction(h), nil
		}
	}
	next, o, err := h.writeArchive(h.opt.Clock.Read().Stamp)
	if err != nil {
		return nil, fmt.Errorf("write an archive: %w", err)
	}
	tx := newTransaction(h)
	tx.next, tx.Rotate = next, o.at
	tx.put(&record{kind: startRecord, predecessor: o})
	return tx, nil
}

// writeArchive writes the next archive, archived at that time, durably and under its name, and returns the reference to
// it for the next file.
func (h *History) writeArchive(at time.Time) (*nextFile, *predecessor, error) {
	a := &archive{number: h.archived + 1, until: at.UTC().Truncate(time.Millisecond), disk: h.disk}
	a.path = filepath.Join(filepath.Dir(h.path), archiveName(a.number))
	next := &nextFile{archive: a, begun: time.Now()}
	name := a.path + ".new"
	if err := h.disk.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	f, err := h.disk.Create(name)
	if err != nil {
		return nil, nil, err
	}
	p := newArchiveWriter(f, a.number)
	err = h.compact(p)
	if err == nil {
		err = p.finish()
	}
	if err == nil && !h.segment.noSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, errors.Join(err, h.disk.Remove(name))
	}
	if err := h.disk.Rename(name, a.path); err != nil {
		return nil, nil, errors.Join(err, h.disk.Remove(name))
	}
	if err := h.disk.SyncDir(filepath.Dir(a.path)); err != nil {
		return nil, nil, err
	}
	a.size, next.moved = p.off, p.moved
	o := &predecessor{archive: a.number, size: p.off, at: a.until}
	p.hash.Sum(o.sum[:0])
	for room, s := range h.index {
		head := s.head
		head.Room = room
		o.rooms = append(o.rooms, head)
	}
	sortHeads(o.rooms)
	return next, o, nil
}

// compact copies the segment's lines to p, without the messages that a close replaced.
func (h *History) compact(p *archiveWriter) error {
	s, err := scanSegment(io.NewSectionReader(h.segment.file, 0, h.segment.size))
	if err != nil {
		return err
	}
	single := h.singles()
	skipping := false
	for {
		line, off, err := s.line()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := checkLine(line); err != nil {
			return fmt.Errorf("%w: the record at byte %d: %w", ErrDamaged, off, err)
		}
		b, err := parseLineHeader(line)
		if err != nil {
			return fmt.Errorf("the record at byte %d: %w", off, err)
		}
		if b.kind != moreRecord {
			skipping = b.kind == msgRecord && !single[windowName{b.room, b.w}]
		}
		if skipping {
			continue
		}
		if err := p.line(line, off); err != nil {
			return err
		}
	}
}

// windowName is a window of a room.
type windowName struct {
	room chat.RoomName
	w    uint64
}

// singles are the windows of the file that were never closed, as after a crash: their messages stay.
func (h *History) singles() map[windowName]bool {
	single := make(map[windowName]bool)
	for room, s := range h.index {
		for i := range s.windows {
			if w := &s.windows[i]; !w.closed() {
				single[windowName{room, w.w}] = true
			}
		}
	}
	return single
}

// startAnew puts a file that goes on from the archive, with its first record, in the place of the old one. Who looks things
// up meanwhile waits, so that nobody seeks in one file what is in the other.
func (h *History) startAnew(next *nextFile, start *record) error {
	t := &segment{disk: h.disk, path: h.path, end: int64(len(segmentIntro)), n: h.segment.n, synced: h.segment.synced, spare: h.segment.spare, noSync: h.segment.noSync, timed: h.segment.timed}
	a := next.archive
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := t.append([]*record{start}); err != nil {
		h.rotateAfter = h.opt.Now().Add(rotateAgain)
		if t.dead != nil {
			next.told = true
			h.segment.dead = t.dead // the new file may have the name by now: nothing may be added to the old one
			return errors.Join(err, t.close())
		}
		return err
	}
	next.told = true
	old := h.segment
	h.segment, h.archived = t, a.number
	a.keep(h.index.relocated(next.moved))
	h.archives = append(h.archives[:len(h.archives):len(h.archives)], a)
	for _, l := range h.chain {
		l.windows = nil // as after a start: the file has none of them
	}
	h.opt.Log.Info("history: rotated", "archive", filepath.Base(a.path), "bytes", a.size, "stop", time.Since(next.begun).Round(time.Millisecond))
	return old.close()
}

// relocated takes all windows and shares out, as they are in the file that their records moved to.
func (x index) relocated(moved map[int64]int64) index {
	away := make(index, len(x))
	for room, s := range x {
		windows := slices.Clone(s.windows)
		for i := range windows {
			w := &windows[i]
			w.off = moved[w.off]
			w.closes, w.msgs = slices.Clone(w.closes), slices.Clone(w.msgs) // others are reading the old ones
			for j := range w.closes {
				w.closes[j].off = moved[w.closes[j].off]
			}
			for j := range w.msgs {
				w.msgs[j] = moved[w.msgs[j]]
			}
		}
		shares := slices.Clone(s.shares)
		for i := range shares {
			shares[i].off = moved[shares[i].off]
		}
		away[room] = &roomIndex{windows: windows, shares: shares}
		s.windows, s.shares = nil, nil
	}
	return away
}

// expire deletes the oldest archives that are not to be kept. Called with committing held.
// A clock that is not trusted makes none old.
func (h *History) expire() {
	now := h.opt.Clock.Read().Trusted
	var bytes int64
	for _, a := range h.archives {
		bytes += a.size
	}
	for len(h.archives) > 0 {
		a := h.archives[0]
		old := h.opt.KeepFor > 0 && now.Sub(a.until) > h.opt.KeepFor
		if !old && (h.opt.KeepBytes <= 0 || bytes <= h.opt.KeepBytes) {
			return
		}
		if err := h.disk.Remove(a.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			h.opt.Log.Warn("history: an archive could not be deleted", "err", err)
			return
		}
		// Each by itself: after a power cut none may be missing that stands behind one that is there.
		if err := h.disk.SyncDir(filepath.Dir(a.path)); err != nil {
			h.opt.Log.Warn("history: an archive could not be deleted", "err", err)
			return
		}
		h.opt.Log.Info("history: deleted an archive", "archive", filepath.Base(a.path), "until", a.until)
		bytes -= a.size
		h.mu.Lock()
		h.archives = h.archives[1:]
		h.mu.Unlock()
	}
}

// undoRotation removes the archive that a crash left before the new file had its name: the old file has all of it, which
// was checked before.
func (h *History) undoRotation(dir string) error {
	name := archiveName(h.archived + 1)
	if err := h.disk.Remove(filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("undo a rotation: %w", err)
	}
	if err := h.disk.SyncDir(dir); err != nil {
		return fmt.Errorf("undo a rotation: %w", err)
	}
	h.opt.Log.Warn("history: undid a rotation that a crash had interrupted", "archive", name)
	return nil
}

// archiveWriter writes an archive from its first byte to its last, and sums it.
type archiveWriter struct {
	w     *bufio.Writer
	hash  interface{ Sum([]byte) []byte }
	off   int64
	empty bool
	moved map[int64]int64 // old offsets of lines to new ones
	err   error
}

func newArchiveWriter(f durable.File, number int) *archiveWriter {
	hash := sha256.New()
	p := &archiveWriter{
		w: bufio.NewWriterSize(io.MultiWriter(io.NewOffsetWriter(f, 0), hash), 256<<10), hash: hash,
		empty: true, moved: make(map[int64]int64),
	}
	p.put(archiveIntro(number))
	return p
}

func (p *archiveWriter) put(s string) {
	n, err := p.w.WriteString(s)
	p.off += int64(n)
	p.err = errors.Join(p.err, err)
}

// line writes a line that stood at off. As in a segment it crosses no page.
func (p *archiveWriter) line(line []byte, off int64) error {
	p.pad(int64(len(line) + len(",\n\n")))
	if !p.empty {
		p.put(",\n")
	}
	p.empty = false
	p.moved[off] = p.off
	p.put(string(line) + "\n")
	return p.err
}

// pad fills the page up where less than length is left of it.
func (p *archiveWriter) pad(length int64) {
	if left := pageSize - p.off%pageSize; left < length {
		p.put(string(blanks(left)))
	}
}

func (p *archiveWriter) finish() error {
	p.pad(int64(len(segmentOutro)))
	p.put(segmentOutro)
	return errors.Join(p.err, p.w.Flush())
}
