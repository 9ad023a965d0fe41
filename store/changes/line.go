package changes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

const (
	format       = "sshchat-changes/1"
	formatPrefix = "sshchat-changes/"
)

// ErrNewer is wrapped if a line's checksum holds and what it says is not known here. No crash writes that, and no rot: a
// newer version of sshchat did, and the file is not to be touched.
var ErrNewer = errors.New("it was written by a newer version of sshchat")

// Line is one change.
type Line struct {
	B      uint64            // counts changes from 1, without a gap
	N      uint64            // the history's last record when the change was made
	At     time.Time         // UTC
	Edit   string            // SHA-256 of the users.json, edited by hand, that was taken with this change; empty: none was
	Change json.RawMessage   // what became other: an object that package accounts makes and reads; empty: nothing did
	Acts   []chat.AuditEntry // lines of the audit log, numbered
}

// Checkpoint names a users.json that the server wrote.
type Checkpoint struct {
	Upto uint64 // the last change that is in it
	Sum  string // SHA-256 of the file, in hexadecimal
}

// stored is a line as it is written: the first one, a change, or a checkpoint.
type stored struct {
	Format string            `json:"format,omitempty"`
	B      uint64            `json:"b,omitempty"`
	N      uint64            `json:"n,omitempty"`
	At     time.Time         `json:"at,omitzero"`
	Edit   string            `json:"edit,omitempty"`
	Change json.RawMessage   `json:"change,omitempty"`
	Acts   []chat.AuditEntry `json:"audit,omitempty"`
	Upto   *uint64           `json:"upto,omitempty"`
	Sum    string            `json:"sha256,omitempty"`
	CRC    string            `json:"crc,omitempty"` // appended by encode
}

func (l Line) stored() stored {
	return stored{B: l.B, N: l.N, At: l.At, Edit: l.Edit, Change: l.Change, Acts: l.Acts}
}

func (c Checkpoint) stored() stored { return stored{Upto: &c.Upto, Sum: c.Sum} }

func (c Checkpoint) first() stored {
	s := c.stored()
	s.Format = format
	return s
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const crcSize = len(`,"crc":"01234567"}`)

// encode returns the line with its checksum and its newline.
func (s stored) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("encode a change: %w", err)
	}
	line := bytes.TrimSuffix(b.Bytes(), []byte("}\n"))
	return fmt.Appendf(line, ",\"crc\":\"%08x\"}\n", crc32.Checksum(line, castagnoli)), nil
}

// errDamaged is wrapped if a line's checksum does not match.
var errDamaged = errors.New("its checksum does not match")

// whole reports whether the line, without its newline, is as it was written.
func whole(line []byte) bool {
	at := len(line) - crcSize
	return at > 0 && line[0] == '{' && fmt.Sprintf(`,"crc":"%08x"}`, crc32.Checksum(line[:at], castagnoli)) == string(line[at:])
}

// parseLine reads a line without its newline. Errors wrap errDamaged or ErrNewer.
func parseLine(line []byte) (s stored, err error) {
	if !whole(line) {
		return s, errDamaged
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: %w", ErrNewer, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return s, fmt.Errorf("%w: it is more than one object", ErrNewer)
	}
	change, checkpoint := s.B > 0, s.Upto != nil
	if change == checkpoint || s.Format != "" && !checkpoint || s.Format != "" && s.Format != format {
		return s, fmt.Errorf("%w: it is neither a change nor a checkpoint", ErrNewer)
	}
	return s, nil
}

// Content is what a file holds.
type Content struct {
	Start       Checkpoint   // what the first change applies to
	Lines       []Line       // Start.Upto+1 and so on
	Checkpoints []Checkpoint // those that were announced, Start among them
	Torn        int          // bytes behind the last whole line that are no blanks: of a line that was never acknowledged

	end     int64   // where the last whole line ends
	offsets []int64 // where each of Lines begins, and where the last ends
}

// Last is the number of the last change.
func (c *Content) Last() uint64 { return c.Start.Upto + uint64(len(c.Lines)) }

// Named returns the checkpoint of a users.json with that SHA-256. ok is false if the server has announced none.
func (c *Content) Named(sum string) (named Checkpoint, ok bool) {
	for _, p := range c.Checkpoints {
		if p.Sum == sum {
			named, ok = p, true
		}
	}
	return named, ok
}

// Taken reports whether a users.json with that SHA-256, edited by hand, was taken with one of the changes.
func (c *Content) Taken(sum string) bool {
	for _, l := range c.Lines {
		if l.Edit == sum {
			return true
		}
	}
	return false
}

// Parse reads the content of a file. A last line that is not whole is counted by Torn; one that is damaged with whole ones behind
// it is an error, and so is a change that does not follow from the one before. Errors name the line, counted from 1.
func Parse(b []byte) (*Content, error) {
	c := &Content{}
	for number, at := 1, 0; ; number++ {
		line, _, ended := bytes.Cut(b[at:], []byte("\n"))
		s, err := parseLine(line)
		switch {
		case !ended || errors.Is(err, errDamaged):
			return c, c.checkTorn(b[at:], number)
		case err == nil:
			err = c.add(s, int64(at))
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		at += len(line) + 1
		c.end = int64(at)
		if s.B > 0 || number == 1 {
			c.offsets[len(c.offsets)-1] = c.end
		}
	}
}

// add takes a line that begins at an offset.
func (c *Content) add(s stored, at int64) error {
	switch first := len(c.Checkpoints) == 0; {
	case first && s.Format == "", !first && s.Format != "":
		return fmt.Errorf("%q is only allowed on the first line", format)
	case s.Upto != nil:
		p := Checkpoint{*s.Upto, s.Sum}
		if first {
			c.Start = p
			c.offsets = []int64{0}
		} else if p.Upto < c.Start.Upto || p.Upto > c.Last() {
			return fmt.Errorf("it is a checkpoint of change %d, but those before it are %d to %d", p.Upto, c.Start.Upto, c.Last())
		}
		c.Checkpoints = append(c.Checkpoints, p)
	case s.B != c.Last()+1:
		return fmt.Errorf("it is change %d, but should be %d", s.B, c.Last()+1)
	default:
		c.offsets[len(c.offsets)-1] = at
		c.offsets = append(c.offsets, at)
		c.Lines = append(c.Lines, Line{s.B, s.N, s.At, s.Edit, s.Change, s.Acts})
	}
	return nil
}

// checkTorn looks at what is behind the last whole line. One write that a power cut took back in parts leaves anything there, but
// no whole line: each was durable before the next was written.
func (c *Content) checkTorn(rest []byte, number int) error {
	rest = bytes.TrimRight(rest, blanks)
	c.Torn = len(bytes.TrimLeft(rest, blanks))
	if len(c.Checkpoints) == 0 {
		return fmt.Errorf("line %d: %w", number, errors.Join(firstLine(rest), errDamaged))
	}
	for i, line := range bytes.Split(rest, []byte("\n")) {
		for _, start := range []string{`{"b":`, `{"upto":`} {
			for at := range indexes(line, start) {
				if at == 0 && i == 0 { // it has no newline yet
					continue
				}
				if _, err := parseLine(line[at:]); err == nil {
					return fmt.Errorf("line %d: %w, and there are complete lines after it", number, errDamaged)
				}
			}
		}
	}
	return nil
}

// firstLine is why a first line is not valid, if it has a format.
func firstLine(line []byte) error {
	var s stored
	line, _, _ = bytes.Cut(line, []byte("\n"))
	if json.Unmarshal(line, &s) == nil && s.Format != format && strings.HasPrefix(s.Format, formatPrefix) {
		return fmt.Errorf("%w: its format is %q, and this one reads %q", ErrNewer, s.Format, format)
	}
	return nil
}

// indexes lists where part is in b.
func indexes(b []byte, part string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			i := bytes.Index(b[at:], []byte(part))
			if i < 0 {
				return
			}
			if at += i; !yield(at) {
				return
			}
		}
	}
}
