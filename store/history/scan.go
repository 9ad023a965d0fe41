package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// segmentIntro opens the file; what follows it are records, blanks and segmentOutro.
const (
	segmentIntro = `{"format":"sshchat-history/1","records":[` + "\n"
	segmentOutro = "]}\n"
)

// damage is a record that is not as it was written.
type damage struct {
	n     uint64 // the record, or the one that ought to be there
	off   int64  // where it begins, as far as can be told
	why   string
	first bool // nothing whole stands before it: no crash does that, for a file is whole when it gets its name
}

func (d *damage) Error() string {
	return fmt.Sprintf("record %d at byte %d is damaged: %s", d.n, d.off, d.why)
}

// scanner reads records from a file, page by page: a line never crosses one.
type scanner struct {
	r     io.Reader
	page  []byte // what is left of the page at hand
	buf   [pageSize]byte
	off   int64  // of page in the file
	good  int64  // where the last whole record ends
	n     uint64 // of the record to come; 0: take what comes
	empty bool   // no comma stands before the next line
	ended bool   // the file's last byte is in page or before it
	first bool   // no record has been read
	// number is the archive's; 0: the file is none. In one, n has gaps.
	number int
}

// scanSegment reads a whole history from r. An error tells that it does not begin like one.
func scanSegment(r io.Reader) (*scanner, error) {
	s := &scanner{r: r, n: 1, empty: true, first: true}
	if err := s.turn(); err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	number, length, ok := parseIntro(s.page)
	if !ok {
		return nil, errNotSegment
	}
	s.number = number
	s.skip(length)
	s.good = s.off
	return s, nil
}

var errNotSegment = errors.New("it does not begin as a history does")

// scanAt reads records from the one whose first line is at off.
func scanAt(r io.ReaderAt, off int64) (*scanner, error) {
	page := off - off%pageSize
	s := &scanner{r: io.NewSectionReader(r, page, 1<<62), off: page, empty: true}
	if err := s.turn(); err != nil {
		return nil, fmt.Errorf("read a record: %w", err)
	}
	s.skip(min(int(off-page), len(s.page)))
	return s, nil
}

// turn takes the next page. It is called when the one at hand has been read.
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
			return nil, 0, s.damaged("no record begins where one ought to")
		}
		s.skip(len(s.page) - len(rest))
	}
	s.empty = false
	line, _, ok := bytes.Cut(s.page, []byte("\n"))
	if !ok || len(line) == 0 || line[0] != '{' {
		return nil, 0, s.damaged("no record begins where one ought to")
	}
	off = s.off
	s.skip(len(line) + 1)
	return line, off, nil
}

// finished reports whether nothing follows the page at hand.
func (s *scanner) finished() bool {
	if s.ended {
		return true
	}
	n, err := s.r.Read(make([]byte, 1))
	return n == 0 && errors.Is(err, io.EOF)
}

func (s *scanner) damaged(why string) error { return &damage{s.n, s.good, why, s.first} }

// next returns the next record with all its parts; io.EOF after the last, a *damage where there ought to be another.
func (s *scanner) next() (*record, error) {
	line, off, err := s.line()
	if err != nil {
		return nil, err
	}
	j, err := parseRecordLine(line)
	switch {
	case err != nil:
		return nil, s.damaged(err.Error())
	case j.T == startRecord && s.n > 0 && !s.first:
		return nil, s.damaged("a file starts in the middle of it")
	case s.n > 0 && j.N != s.n && !(j.N > s.n && (s.number > 0 || j.T == startRecord)):
		return nil, s.damaged(fmt.Sprintf("it calls itself %d", j.N))
	case j.T == moreRecord || j.Parts < 0 || j.Parts == 1:
		return nil, s.damaged("it is a part of nothing")
	}
	r, err := s.whole(&j, line)
	if err != nil {
		return nil, err
	}
	r.off, r.empty, s.good, s.first = off, s.number > 0, s.off, false
	if s.n > 0 {
		s.n = r.last() + 1
	}
	return r, nil
}

// whole reads what carries on the record j, whose first line is given, and checks it.
func (s *scanner) whole(j *recordJSON, line []byte) (*record, error) {
	lines, err := s.parts(j, bytes.Clone(line))
	if err != nil {
		return nil, err
	}
	r, err := j.record(lines)
	if err != nil {
		return nil, s.damaged(err.Error())
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
		if err != nil || more.T != moreRecord || more.N != j.N+uint64(i) {
			return nil, s.damaged("a part of it is damaged or missing")
		}
		j.carry(more)
		lines = append(lines, bytes.Clone(line))
	}
	return lines, nil
}
