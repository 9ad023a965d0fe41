package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"sshchat/sshchat/chat"
)

// Report is the result of following a history from its first record to its last.
type Report struct {
	Files   []string // names, the oldest first
	Records uint64   // lines of records up to here, those in archives deleted by now among them
	First   uint64   // the first line that is there
	Change  uint64   // of State, the last that it stands on; 0 if it names none
	Rooms   []Head   // how far each room goes, by name
}

// Verify follows the history in dir through all its files. It checks that each record is intact and follows from those
// before it, that each archive has the SHA-256 in the next file, and that each of the heads is reached. It needs no keys,
// changes nothing, and may run while a server writes there. It has at most two files open. Errors: ErrDamaged, ErrFormat,
// ErrRolledBack and those of the disk.
func Verify(dir string, heads []Head) (report Report, err error) {
	files, err := FilesIn(dir)
	if err != nil {
		return report, err
	}
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	t := newVerifier(heads...)
	for _, f := range files {
		err := t.file(f, func(*record) error { return nil })
		if errors.Is(err, fs.ErrNotExist) { // an old one was deleted meanwhile, and with it all that are older
			if err = olderThere(dir, parseArchiveName(f.Name)); err == nil {
				t, report.Files = newVerifier(heads...), nil
				continue
			}
		}
		if report.Files = append(report.Files, f.Name); err != nil {
			return report, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	report.Records, report.First, report.Change = t.last, t.from, t.change
	for room, l := range t.rooms {
		report.Rooms = append(report.Rooms, l.head(room))
	}
	sortHeads(report.Rooms)
	return report, t.end()
}

// verifier follows a history through its files, the oldest first, and looks for heads that were remembered of it.
type verifier struct {
	rooms chain
	files int    // that were read
	last  uint64 // number of the last line
	from  uint64 // number of the first line there was
	heads []*remembered

	change uint64 // of State, the highest that a batch stands on
	number int    // of the file before, an archive
	size   int64  // of that file
	sum    sum    // of that file
}

// remembered is a head that is looked for.
type remembered struct {
	Head
	met bool
}

func newVerifier(heads ...Head) *verifier {
	t := &verifier{rooms: make(chain)}
	for _, h := range heads {
		t.heads = append(t.heads, &remembered{Head: h, met: h.N == 0}) // that of an empty room says nothing
	}
	return t
}

// file follows the records of one more file and hands them to take. Errors: ErrFormat, ErrDamaged, ErrRolledBack,
// take's and the reader's.
func (t *verifier) file(f File, take func(*record) error) error {
	in, err := f.open()
	if err != nil {
		return err
	}
	defer in.Close()
	hash := sha256.New()
	count := new(counter)
	s, err := scanSegment(io.TeeReader(io.NewSectionReader(in, 0, 1<<62), io.MultiWriter(hash, count)))
	switch {
	case errors.Is(err, ErrFormat) && f.live && isSeed(in):
		return nil
	case err != nil:
		return err
	case f.live && s.number > 0:
		return isArchive(s.number)
	case s.number == 0:
		s.live = in
	}
	for {
		first := s.first
		r, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			if err := t.beginFile(r, s.number); err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
		}
		if err := t.record(r, take); err != nil {
			return err
		}
	}
	t.files++
	t.number, t.size = s.number, int64(*count)
	hash.Sum(t.sum[:0])
	return nil
}

// begin sees that the file goes on from the one before it.
func (t *verifier) beginFile(r *record, number int) error {
	o := r.predecessor
	switch {
	case o == nil && r.n != 1:
		return fmt.Errorf("it begins with record %d", r.n)
	case o != nil && number > 0 && o.archive != number-1:
		return fmt.Errorf("archive %d says that it continues archive %d", number, o.archive)
	case o == nil && number > 1:
		return fmt.Errorf("archive %d continues no archive", number)
	}
	if t.files == 0 {
		t.from = r.n
		return nil
	}
	switch {
	case o == nil || t.number == 0 || o.archive != t.number:
		return errors.New("it does not continue the file before it")
	case o.sum != t.sum || o.size != t.size:
		return fmt.Errorf("%s has changed since it was archived: its SHA-256 should be %x", archiveName(t.number), o.sum[:])
	case r.n != t.last+1 && number == 0 || r.n <= t.last:
		return fmt.Errorf("record %d follows %d", r.n, t.last)
	}
	return nil
}

func (t *verifier) record(r *record, take func(*record) error) error {
	if err := t.rooms.follow(r); err != nil {
		return fmt.Errorf("%w: record %d: %w", ErrDamaged, r.n, err)
	}
	if r.hasChange && r.change < t.change {
		return fmt.Errorf("%w: record %d: %s", ErrDamaged, r.n, fallsBack(r.change, t.change))
	}
	t.change = max(t.change, r.change)
	t.last = r.last()
	for _, h := range t.heads {
		if err := h.meet(r, t.rooms[r.room]); err != nil {
			return err
		}
	}
	if r.kind == startRecord {
		return nil
	}
	return take(r)
}

// meet compares the record that the head is of, or what stands for it where that is gone.
func (h *remembered) meet(r *record, l *link) error {
	switch {
	case r.kind == startRecord:
		for _, at := range r.predecessor.rooms {
			if at.Room == h.Room && at.N == h.N {
				if at != h.Head {
					return h.another()
				}
				h.met = true
			}
		}
	case r.n == h.N:
		if h.Head != l.head(r.room) {
			return h.another()
		}
		h.met = true
	case r.kind == closeRecord && l.gone && r.room == h.Room && r.w == h.W && r.from <= h.Seq && h.Seq <= r.to && h.N < r.n && !h.met:
		// A message's record, which an archive does without: the close has its hash.
		if r.digest[h.Seq-r.from] != h.Tip {
			return h.another()
		}
		h.met = true
	}
	return nil
}

func (h *remembered) another() error {
	return fmt.Errorf("%w: record %d is different", ErrRolledBack, h.N)
}

// end reports a head that was not reached.
func (t *verifier) end() error {
	for _, h := range t.heads {
		switch {
		case h.met:
		case h.N < t.from:
			return fmt.Errorf("%w: record %d is older than the oldest file, which begins with record %d", ErrRolledBack, h.N, t.from)
		default:
			return fmt.Errorf("%w: record %d is not in it", ErrRolledBack, h.N)
		}
	}
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(b []byte) (int, error) {
	*c += counter(len(b))
	return len(b), nil
}

// Head is the newest point of a room's history, for its readers to remember: with it they can check later whether a
// history still contains that point. The zero Head is that of an empty room.
type Head struct {
	Room chat.RoomName
	W    uint64   // the newest window
	Seq  uint64   // the newest message
	N    uint64   // the newest record of the room
	Tip  [32]byte // its SHA-256, as prev would have it
}

const headFormat = "sshchat-head/1"

type headJSON struct {
	Format string        `json:"format"`
	Room   chat.RoomName `json:"room"`
	W      uint64        `json:"w"`
	Seq    uint64        `json:"seq"`
	N      uint64        `json:"n"`
	Tip    string        `json:"tip"`
}

// Line is the head as one line of JSON, newline included: the bytes that are signed.
// A head has one such form, so a signature over it can be checked from its fields.
func (h Head) Line() []byte {
	b, err := json.Marshal(headJSON{headFormat, h.Room, h.W, h.Seq, h.N, sum(h.Tip).String()})
	if err != nil {
		panic("internal error: encode a head: " + err.Error()) // strings and numbers only
	}
	return append(b, '\n')
}

// ParseHead reads what Line wrote; spaces around it are allowed.
func ParseHead(b []byte) (Head, error) {
	var j headJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return Head{}, fmt.Errorf("parse a head: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Head{}, errors.New("parse a head: more than one line")
	}
	if j.Format != headFormat {
		return Head{}, fmt.Errorf("parse a head: the format is %q, not %q", j.Format, headFormat)
	}
	tip, err := parseSum(j.Tip)
	if err != nil {
		return Head{}, fmt.Errorf("parse a head: %w", err)
	}
	if j.Room.IsZero() {
		return Head{}, errors.New("parse a head: it names no room")
	}
	return Head{j.Room, j.W, j.Seq, j.N, tip}, nil
}
