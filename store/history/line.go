package history

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

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
	Of   uint64 // of what changes a message, or replies to it: its Seq
	Text string
}

// Message is the line as a message, as it was sealed: chat.Settle has what changes it take effect. An error says that its text is
// none; the message then has no text.
func (l Line) Message() (chat.Message, error) {
	m := chat.Message{Room: l.Room, Seq: l.Seq, At: l.At, From: l.From, Kind: l.Kind, Of: l.Of, Deleted: l.Text == "" && l.Kind != chat.Delete}
	if l.Text == "" {
		return m, nil
	}
	var err error
	m.Text, err = text.ParseText(l.Text) // it was cleaned when it came in, by this law or by an older one
	return m, err
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

// sealedLine is a message as it is sealed in the room's window w. The only error is that it is too long.
func sealedLine(room chat.RoomName, w uint64, m *chat.Message) ([]byte, error) {
	return encodeLine(m.At, room, w, m.Seq, m.From, m.Kind, m.Of, m.Text.String())
}

// JSON is the line as it was sealed, without its padding and newline.
func (l Line) JSON() ([]byte, error) {
	b, err := l.encode()
	return bytes.TrimRight(b, " \n"), err
}

// encode returns the line as it is sealed. The only error is that it is too long.
func (l Line) encode() ([]byte, error) {
	return encodeLine(l.At, l.Room, l.W, l.Seq, l.From, l.Kind, l.Of, l.Text)
}

// encodeLine writes a line's fields: as encoding/json has lineJSON, without asking what it consists of for each message.
func encodeLine(at time.Time, room chat.RoomName, w, seq uint64, from chat.Name, kind chat.Kind, of uint64, text string) ([]byte, error) {
	const fields = len(`{"at":"2006-01-02T15:04:05.000Z","room":"","w":1234567,"seq":1234567,"from":"","kind":"","of":1234567,"text":""}`) + lineStep
	b := make([]byte, 0, fields+len(room.String())+len(from.String())+len(kind)+len(text))
	b = append(b, `{"at":"`...)
	b = at.UTC().AppendFormat(b, lineTime)
	b = append(b, `","room":`...)
	b = appendString(b, room.String())
	b = append(b, `,"w":`...)
	b = strconv.AppendUint(b, w, 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, `,"from":`...)
	b = appendString(b, from.String())
	b = append(b, `,"kind":`...)
	b = appendString(b, string(kind))
	if of > 0 {
		b = append(b, `,"of":`...)
		b = strconv.AppendUint(b, of, 10)
	}
	b = append(b, `,"text":`...)
	b = appendString(b, text)
	b = append(b, '}')
	b = append(b, blanks(lineStep-1-len(b)%lineStep)...)
	b = append(b, '\n')
	if len(b) > maxLine {
		return nil, fmt.Errorf("encode a line: %d bytes is more than %d", len(b), maxLine)
	}
	return b, nil
}

// appendString appends s as encoding/json writes strings, with HTML as it is.
func appendString(b []byte, s string) []byte {
	begin := len(b)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\n':
			b = append(b, `\n`...)
		case c >= ' ' && c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r < ' ' || r == utf8.RuneError || r == '\u2028' || r == '\u2029' { // rare: it knows how
				return appendAnyString(b[:begin], s)
			}
			b = append(b, s[i:i+size]...)
			i += size - 1
		}
	}
	return append(b, '"')
}

func appendAnyString(b []byte, s string) []byte {
	w := bytes.NewBuffer(b)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic("internal error: a string that is not JSON: " + err.Error())
	}
	return bytes.TrimSuffix(w.Bytes(), []byte("\n"))
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
			return Line{}, fmt.Errorf("parse a sealed line: %w: it has fields that this version of sshchat does not know: %w", ErrFormat, err)
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

// amend returns lines of consecutive Seqs, starting at first, after m has edited or deleted one of them: with the new
// text, or without the text, which is removed from its edits and reactions too. The given slice stays as it is.
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
	// Within a text the quotes would be escaped, so this is nowhere but in a line's own fields.
	var about [][]byte
	for _, kind := range []chat.Kind{chat.Edit, chat.React, chat.Unreact} {
		about = append(about, fmt.Appendf(nil, `"kind":"%s","of":%d,`, kind, m.Of))
	}
	for i := at + 1; i < len(lines); i++ {
		if slices.ContainsFunc(about, func(fields []byte) bool { return bytes.Contains(lines[i], fields) }) {
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
