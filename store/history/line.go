package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Line is one message as it is sealed: a JSON object on a line of its own, padded with spaces so that its length,
// newline included, is a multiple of 64 bytes.
type Line struct {
	At   time.Time // UTC, to the millisecond
	Room chat.RoomName
	W    uint64 // the window
	Seq  uint64
	From chat.Name
	Kind chat.Kind
	Of   uint64 // of an edit or delete: the Seq of the message meant
	Text string
}

const (
	lineStep = 64 // bytes; sizes of messages are seen in such steps and no finer
	// maxLine is the longest line: each byte of a text escaped to six, and the other fields.
	maxLine = (6*text.MaxText/lineStep + 8) * lineStep

	lineTime = "2006-01-02T15:04:05.000Z07:00"
)

type lineJSON struct {
	At   string        `json:"at"`
	Room chat.RoomName `json:"room"`
	W    uint64        `json:"w"`
	Seq  uint64        `json:"seq"`
	From chat.Name     `json:"from"`
	Kind chat.Kind     `json:"kind"`
	Of   uint64        `json:"of,omitempty"`
	Text string        `json:"text"`
}

// sealedLine is the line of a message in the room's window w.
func sealedLine(room chat.RoomName, w uint64, m *chat.Message) Line {
	return Line{m.At, room, w, m.Seq, m.From, m.Kind, m.Of, m.Text.String()}
}

// JSON is the line as it was sealed, without its padding and newline.
func (l Line) JSON() ([]byte, error) {
	b, err := l.encode()
	return bytes.TrimRight(b, " \n"), err
}

// encode returns the line as it is sealed. An error tells that it is too long.
func (l Line) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(lineJSON{l.At.UTC().Format(lineTime), l.Room, l.W, l.Seq, l.From, l.Kind, l.Of, l.Text})
	if err != nil {
		return nil, fmt.Errorf("encode a line: %w", err)
	}
	b.Truncate(b.Len() - 1)
	pad := lineStep - 1 - b.Len()%lineStep
	b.WriteString(strings.Repeat(" ", pad))
	b.WriteByte('\n')
	if b.Len() > maxLine {
		return nil, fmt.Errorf("encode a line: %d bytes is more than %d", b.Len(), maxLine)
	}
	return b.Bytes(), nil
}

// parseLine reads one line, with or without its padding. What a line of an unknown kind has besides the fields of all
// lines is passed over. A line of a known kind with more in it is of a newer format: then the error wraps ErrFormat.
func parseLine(b []byte) (Line, error) {
	var j lineJSON
	if err := decodeLine(b, &j, true); err != nil {
		if decodeLine(b, &j, false) != nil {
			return Line{}, fmt.Errorf("parse a sealed line: %w", err)
		}
		if j.Kind.Stored() {
			return Line{}, fmt.Errorf("parse a sealed line: %w: it has more in it than this version of sshchat knows: %w", ErrFormat, err)
		}
	}
	at, err := time.Parse(lineTime, j.At)
	if err != nil {
		return Line{}, fmt.Errorf("parse a sealed line: %w", err)
	}
	if j.Room.IsZero() || j.From.IsZero() || j.W == 0 || j.Seq == 0 {
		return Line{}, errors.New("parse a sealed line: room, w, seq or from is missing")
	}
	return Line{at.UTC(), j.Room, j.W, j.Seq, j.From, j.Kind, j.Of, j.Text}, nil
}

// decodeLine reads the one object in b.
func decodeLine(b []byte, j *lineJSON, strict bool) error {
	*j = lineJSON{}
	d := json.NewDecoder(bytes.NewReader(b))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(j); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one object")
	}
	return nil
}

// parseLines reads what a body holds.
func parseLines(plain []byte) ([]Line, error) {
	var lines []Line
	for raw := range bytes.Lines(plain) {
		l, err := parseLine(raw)
		if err != nil {
			return nil, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// amend returns lines of consecutive Seqs, the first of which is given, as they are to be kept once m has edited or
// deleted one of them: with the new text, or without any, in the edits of it neither. The given slice stays as it is.
func amend(lines [][]byte, first uint64, m *chat.Message) ([][]byte, error) {
	if m.Of < first || m.Of-first >= uint64(len(lines)) {
		return lines, nil // it is sealed for good
	}
	lines = slices.Clone(lines)
	at := int(m.Of - first)
	var err error
	if lines[at], err = withText(lines[at], m.Text.String()); err != nil {
		return nil, err
	}
	if m.Kind != chat.Delete {
		return lines, nil
	}
	// Within a text the quotes would be escaped, so this is nowhere but in an edit's own fields.
	edit := fmt.Appendf(nil, `"kind":"%s","of":%d,`, chat.Edit, m.Of)
	for i := at + 1; i < len(lines); i++ {
		if bytes.Contains(lines[i], edit) {
			if lines[i], err = withText(lines[i], ""); err != nil {
				return nil, err
			}
		}
	}
	return lines, nil
}

// withText is an encoded line with another text.
func withText(line []byte, text string) ([]byte, error) {
	l, err := parseLine(line)
	if err != nil {
		return nil, err
	}
	l.Text = text
	return l.encode()
}
