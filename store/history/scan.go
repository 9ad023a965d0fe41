package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// The formats that are read. A file is written in the newest; archives stay as they are.
const (
	oldest = 1
	newest = 2
)

// segmentIntro opens the file; what follows it are records, blanks and segmentOutro.
const (
	segmentIntro = `{"format":"sshchat-history/2","records":[` + "\n"
	segmentOutro = "]}\n"
)

// damage is a record that is not as it was written.
type damage struct {
	n       uint64 // the record, or the one that ought to be there
	off     int64  // where it begins, as far as is known
	why     string
	noCrash bool // it is not what a crash leaves: a file is whole when it gets its name, and only its end is written to
	newer   bool // its checksum holds: it is not damaged, but of a newer format
}

func (d *damage) Error() string {
	if d.newer {
		return fmt.Sprintf("record %d at byte %d: %s", d.n, d.off, d.why)
	}
	return fmt.Sprintf("record %d at byte %d is damaged: %s", d.n, d.off, d.why)
}

// Is says what the damage is for callers: ErrFormat if the record is of a newer format, else ErrDamaged.
func (d *damage) Is(err error) bool {
	return d.newer && err == ErrFormat || !d.newer && err == ErrDamaged
}

// A file that a server may be writing to is read again up to so often before damage in it is believed, at first at once
// and then after twice as long each time: a reader may see one page of what was written and not the other.
const (
	readAgain      = 6
	readAgainAfter = time.Millisecond
)

// scanner reads records from a file, page by page: a line never crosses one.
type scanner struct {
	r     io.Reader
	live  io.ReaderAt // the file, if it may be written to meanwhile; nil: it is read once
	page  []byte      // the rest of the present page
	buf   [pageSize]byte
	off   int64  // of page in the file
	good  int64  // where the last whole record ends
	n     uint64 // of the record to come; 0: take what comes
	empty bool   // no comma stands before the next line
	ended bool   // the file's last byte is in page or before it
	first bool   // no record has been read
	// number is the archive's; 0: the file is not an archive. In an archive, n has gaps.
	number int
	format int // of the file; 0: not known
}

// scanSegment reads a whole file of a history from r. Errors: ErrFormat if it does not begin as one does, and r's.
func scanSegment(r io.Reader) (*scanner, error) {
	s := &scanner{r: r, n: 1, empty: true, first: true}
	if err := s.turn(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	intro, ok := parseIntro(s.page)
	if !ok {
		return nil, otherFormat(s.page)
	}
	s.number, s.format = intro.number, intro.format
	s.skip(intro.length)
	s.good = s.off
	return s, nil
}

// otherFormat says what a file is that does not begin as a history of this version does.
func otherFormat(page []byte) error {
	rest, ok := bytes.CutPrefix(page, []byte(`{"format":"sshchat-history/`))
	version, _, _ := bytes.Cut(rest[:min(len(rest), 32)], []byte(`"`))
	if !ok || string(version) == "1" || string(version) == "2" {
		return fmt.Errorf("%w: it does not start like a history", ErrFormat)
	}
	return fmt.Errorf("%w: its version is %q, but this version of sshchat knows only %d and %d", ErrFormat, version, oldest, newest)
}

// scanAt reads records from the one whose first line is at off.
func scanAt(r io.ReaderAt, off int64) (*scanner, error) {
	s := &scanner{empty: true}
	if err := s.goTo(off, r); err != nil {
		return nil, fmt.Errorf("read a record: %w", err)
	}
	return s, nil
}

// goTo has the scanner read on from off, which is where a record ended or the intro did.
func (s *scanner) goTo(off int64, file io.ReaderAt) error {
	page := off - off%pageSize
	s.r, s.off, s.ended = io.NewSectionReader(file, page, 1<<62-page), page, false
	if err := s.turn(); err != nil {
		return err
	}
	s.skip(min(int(off-page), len(s.page)))
	return nil
}

// turn reads the next page. It is called at the end of the present one.
func (s *scanner) turn() error {
	if s.ended {
		s.page = nil
		return nil
	}
	n, err := io.ReadFull(s.r, s.buf[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.ended = true
	} else if err != nil {
		return err
	}
	s.page = s.buf[:n]
	return nil
}

func (s *scanner) skip(n int) {
	s.page = s.page[n:]
	s.off += int64(n)
}

// line returns the next line of a record and where it begins; io.EOF after the last. It is valid until the next call.
func (s *scanner) line() (line []byte, off int64, err error) {
	for {
		s.skip(len(s.page) - len(bytes.TrimLeft(s.page, " ")))
		if len(s.page) > 0 || s.ended {
			break
		}
		if err := s.turn(); err != nil {
			return nil, 0, fmt.Errorf("read the history: %w", err)
		}
	}
	if string(s.page) == segmentOutro && s.finished() {
		return nil, 0, io.EOF
	}
	if !s.empty {
		rest, ok := bytes.CutPrefix(s.page, []byte(",\n"))
		if !ok {
			return nil, 0, s.damaged("no record begins where one should")
		}
		s.skip(len(s.page) - len(rest))
	}
	s.empty = false
	line, _, ok := bytes.Cut(s.page, []byte("\n"))
	if !ok || len(line) == 0 || line[0] != '{' {
		return nil, 0, s.damaged("no record begins where one should")
	}
	off = s.off
	s.skip(len(line) + 1)
	return line, off, nil
}

// finished reports whether nothing follows the present page.
func (s *scanner) finished() bool {
	if s.ended {
		return true
	}
	n, err := s.r.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

func (s *scanner) damaged(why string) error { return s.unread(errors.New(why)) }

// unread is err, about the record to come, as a *damage.
func (s *scanner) unread(err error) error {
	return &damage{n: s.n, off: s.good, why: err.Error(), noCrash: s.first, newer: errors.Is(err, errNewer)}
}

// next returns the next record with all its parts; io.EOF after the last, a *damage if there ought to be another.
func (s *scanner) next() (r *record, err error) {
	err = s.retry(func() (err error) { r, err = s.whole(); return err })
	return r, err
}

// retry reads what comes after the last whole record, and does so again if that is damaged and may just be being written.
func (s *scanner) retry(read func() error) error {
	empty := s.empty
	for try := 0; ; try++ {
		err := read()
		if d := (*damage)(nil); s.live == nil || try == readAgain || !errors.As(err, &d) {
			return err
		}
		if try > 0 {
			time.Sleep(readAgainAfter << (try - 1))
		}
		if err := s.goTo(s.good, s.live); err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
		s.empty = empty
	}
}

// whole reads the next record.
func (s *scanner) whole() (*record, error) {
	line, off, err := s.line()
	if err != nil {
		return nil, err
	}
	j, err := parseRecordLine(line)
	switch {
	case err != nil:
		return nil, s.unread(err)
	case s.n > 0 && (j.T == startRecord && !s.first || j.N < s.n):
		return nil, &damage{n: s.n, off: s.good, why: fmt.Sprintf("record %d, of type %q, does not belong there", j.N, j.T), noCrash: true}
	case s.n > 0 && j.N != s.n && !(j.N > s.n && (s.number > 0 || j.T == startRecord)):
		return nil, s.damaged(fmt.Sprintf("it says that it is %d", j.N))
	case j.T == moreRecord:
		return nil, s.damaged("it is part of no record")
	}
	if s.format == 1 && (j.B != nil || j.Sig != "" || j.T == attachRecord) {
		return nil, s.unread(fmt.Errorf("%w: in a file of format 1", errNewer))
	}
	r, err := s.record(&j, line)
	if err != nil {
		return nil, err
	}
	r.off, r.compacted, s.good, s.first = off, s.number > 0, s.off, false
	if s.n > 0 {
		s.n = r.last() + 1
	}
	return r, nil
}

// record reads what carries on the record j, whose first line is given, and checks it.
func (s *scanner) record(j *recordJSON, line []byte) (*record, error) {
	lines, err := s.parts(j, bytes.Clone(line))
	if err != nil {
		return nil, err
	}
	r, err := j.record(lines)
	switch {
	case err != nil && len(lines) == 1:
		return nil, s.unread(fmt.Errorf("%w: %w", errNewer, err))
	case err != nil: // a crash may have left parts of two records, each whole
		return nil, s.unread(err)
	}
	return r, nil
}

// parts reads the lines that carry on the record j, whose first line is given, and returns them all.
func (s *scanner) parts(j *recordJSON, first []byte) ([][]byte, error) {
	lines := [][]byte{first}
	for i := 1; i < j.Parts; i++ {
		line, _, err := s.line()
		if errors.Is(err, io.EOF) {
			return nil, s.damaged("parts of it are missing")
		}
		if err != nil {
			return nil, err
		}
		more, err := parseRecordLine(line)
		switch {
		case errors.Is(err, errNewer):
			return nil, s.unread(err)
		case err != nil || more.T != moreRecord || more.N != j.N+uint64(i):
			return nil, s.damaged("a part of it is damaged or missing")
		}
		j.carry(more)
		lines = append(lines, bytes.Clone(line))
	}
	return lines, nil
}
