package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
)

// archive is a file of history that is not written to any more. What is in it is looked up when somebody reads from it
// for the first time: a server that starts reads of each archive only how it begins.
type archive struct {
	number int
	size   int64
	until  time.Time // when it was put away
	disk   durable.FS
	path   string

	mu    sync.Mutex // guards rooms
	rooms index
}

// room is the archive's index of the room; nil if the archive has been deleted meanwhile.
func (a *archive) room(room chat.RoomName) (*roomIndex, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.rooms == nil {
		x, err := a.load()
		if errors.Is(err, fs.ErrNotExist) {
			return new(roomIndex), nil
		}
		if err != nil {
			return nil, fmt.Errorf("scan %s: %w", filepath.Base(a.path), err)
		}
		a.keep(x)
	}
	if s := a.rooms[room]; s != nil {
		return s, nil
	}
	return new(roomIndex), nil
}

// keep makes x the archive's index.
func (a *archive) keep(x index) {
	a.rooms = x
	for _, s := range x {
		for i := range s.windows {
			s.windows[i].in = a
		}
		for i := range s.shares {
			s.shares[i].in = a
		}
	}
}

// snapshot is the whole archive. If it has been deleted meanwhile the error is io.EOF: then so are all older ones.
func (a *archive) snapshot() (durable.Snapshot, error) {
	f, err := a.disk.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return durable.Snapshot{}, io.EOF
	}
	if err != nil {
		return durable.Snapshot{}, fmt.Errorf("snapshot of the history: %w", err)
	}
	return durable.Snapshot{Name: filepath.Base(a.path), Size: a.size, Reader: io.NewSectionReader(f, 0, a.size), Release: f.Close}, nil
}

// load indexes the archive. Bodies are skipped and not checked: they are checked when they are read.
func (a *archive) load() (index, error) {
	f, err := a.disk.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := scanSegment(io.NewSectionReader(f, 0, a.size))
	if err != nil {
		return nil, err
	}
	x := make(index)
	for {
		line, off, err := s.line()
		if errors.Is(err, io.EOF) {
			return x, nil
		}
		if err != nil {
			return nil, err
		}
		b, err := parseLineHeader(line)
		if err != nil {
			return nil, fmt.Errorf("the line at byte %d: %w", off, err)
		}
		r := &record{n: b.n, kind: b.kind, room: b.room, w: b.w, seq: b.seq, from: b.from, to: b.to, off: off}
		switch b.kind {
		case moreRecord, attachRecord:
			continue
		case windowRecord, startRecord, shareRecord:
			if r, err = recordAt(f, off); err != nil {
				return nil, err
			}
		}
		if s := x[r.room]; (r.kind == msgRecord || r.kind == closeRecord) && (s == nil || len(s.windows) == 0) {
			return nil, fmt.Errorf("%w: the record at byte %d is in no window", ErrDamaged, off)
		}
		x.add(r)
	}
}

// lineHeader is the part of a line before its long strings.
type lineHeader struct {
	n, w, seq, from, to uint64
	kind                string
	room                chat.RoomName
}

// notALine says why a line has no header: it is of a newer format, or damaged.
func notALine(line []byte) error {
	if _, err := parseRecordLine(line); errors.Is(err, errNewer) {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return fmt.Errorf("%w: it is not a line of a record", ErrDamaged)
}

// parseLineHeader reads the start of a line without the rest of it, which is nearly all: fields are in the order in which
// they are written. Errors: ErrDamaged, ErrFormat.
func parseLineHeader(line []byte) (b lineHeader, err error) {
	c := cursor{rest: line, good: true}
	b.n = c.number(`{"n":`)
	b.kind = c.word(`,"t":"`)
	if b.kind != moreRecord && b.kind != startRecord {
		if err := b.room.UnmarshalText([]byte(c.word(`,"room":"`))); err != nil {
			return b, notALine(line)
		}
		b.w = c.number(`,"w":`)
	}
	if b.kind == msgRecord || b.kind == attachRecord {
		b.seq = c.number(`,"seq":`)
	}
	if b.kind == closeRecord {
		c.word(`,"prev":"`)
		if c.next(`,"ok":`) {
			c.number("")
			if c.next(`,"b":`) {
				c.number("")
			}
		}
		b.from, b.to = c.number(`,"from":`), c.number(`,"to":`)
	}
	if !c.good || b.n == 0 || !knownKind(b.kind) {
		return b, notALine(line)
	}
	return b, nil
}

// cursor walks over a line. Once something else than what is asked for comes, good is false for ever.
type cursor struct {
	rest []byte
	good bool
}

func (c *cursor) next(s string) bool {
	rest, ok := bytes.CutPrefix(c.rest, []byte(s))
	if ok {
		c.rest = rest
	}
	return ok
}

func (c *cursor) number(before string) uint64 {
	c.good = c.good && c.next(before)
	end := 0
	for end < len(c.rest) && c.rest[end] >= '0' && c.rest[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(string(c.rest[:end]), 10, 64)
	c.good = c.good && err == nil
	c.rest = c.rest[end:]
	return n
}

func (c *cursor) word(before string) string {
	c.good = c.good && c.next(before)
	word, rest, ok := bytes.Cut(c.rest, []byte(`"`))
	c.good = c.good && ok
	c.rest = rest
	return string(word)
}

// canonical is number, without zeros before it.
func (c *cursor) canonical(before string) uint64 {
	c.good = c.good && c.next(before) && (len(c.rest) < 2 || c.rest[0] != '0' || c.rest[1] < '0' || c.rest[1] > '9')
	return c.number("")
}

// has reports whether s comes next.
func (c *cursor) has(s string) bool { return c.good && bytes.HasPrefix(c.rest, []byte(s)) }

// plain is word, of what JSON has as it is.
func (c *cursor) plain(before string) string { return string(c.view(before)) }

// view is plain, without a copy of it.
func (c *cursor) view(before string) []byte {
	c.good = c.good && c.next(before)
	word, rest, ok := bytes.Cut(c.rest, []byte(`"`))
	for _, b := range word {
		c.good = c.good && b >= ' ' && b < 0x7f && b != '\\'
	}
	c.good = c.good && ok
	c.rest = rest
	return word
}

// heads are the fields of an object of heads, up to its end.
func (c *cursor) heads() map[string]string {
	heads := make(map[string]string)
	if c.next("}") {
		return heads
	}
	for before := `"`; c.good; before = `,"` {
		name := c.plain(before)
		head := c.escaped(`:"`)
		_, twice := heads[name]
		c.good = c.good && !twice
		heads[name] = head
		if c.next("}") {
			break
		}
	}
	return heads
}

// escaped is plain, in which newlines are escaped.
func (c *cursor) escaped(before string) string {
	c.good = c.good && c.next(before)
	word, rest, ok := bytes.Cut(c.rest, []byte(`"`))
	for i, b := range word {
		c.good = c.good && b >= ' ' && b < 0x7f && (b != '\\' || i+1 < len(word) && word[i+1] == 'n')
	}
	c.good = c.good && ok
	c.rest = rest
	return string(bytes.ReplaceAll(word, []byte(`\n`), []byte("\n")))
}

// openArchives finds the archives that stand before the file that begins with o, the oldest first. Who deletes the
// oldest ones deletes history and harms nothing else, so they end where one is missing.
func openArchives(d durable.FS, dir string, o *predecessor) ([]*archive, error) {
	var all []*archive
	for o != nil {
		a := &archive{number: o.archive, size: o.size, until: o.at, disk: d, path: filepath.Join(dir, archiveName(o.archive))}
		next, err := a.readStart()
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w; nothing was changed", a.path, err)
		}
		all = append([]*archive{a}, all...)
		o = next
	}
	return all, nil
}

// begin reads how the archive begins, and sees that it is the archive and has its size.
func (a *archive) readStart() (*predecessor, error) {
	f, err := a.disk.Open(a.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size != a.size {
		return nil, fmt.Errorf("%w: it has %d bytes, but %d were archived", ErrDamaged, size, a.size)
	}
	s, err := scanSegment(io.NewSectionReader(f, 0, size))
	if err != nil {
		return nil, err
	}
	if s.number != a.number {
		return nil, fmt.Errorf("%w: it is not archive %d", ErrDamaged, a.number)
	}
	r, err := s.next()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: it has no records", ErrDamaged)
	}
	if err != nil {
		return nil, err
	}
	if r.predecessor != nil && r.predecessor.archive != a.number-1 || r.predecessor == nil && a.number > 1 {
		return nil, fmt.Errorf("%w: it does not continue archive %d", ErrDamaged, a.number-1)
	}
	return r.predecessor, nil
}
