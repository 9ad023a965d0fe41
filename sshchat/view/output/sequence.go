package output

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// The control sequences that a full screen needs (ECMA-48, DEC STD 070 and xterm's ctlseqs), each a method of Buffer:
// there is no other way to write an escape.

const esc = 0x1b

func (w *Buffer) csi(s string) { w.bytes = append(append(w.bytes, esc, '['), s...) }

// Move moves the cursor to a row and a column, counted from 0.
func (w *Buffer) Move(row, column int) { w.pair(row+1, column+1, 'H') }

// pair is a sequence with two numbers.
func (w *Buffer) pair(a, b int, final byte) {
	w.bytes = append(w.bytes, esc, '[')
	w.bytes = append(strconv.AppendInt(w.bytes, int64(a), 10), ';')
	w.bytes = append(strconv.AppendInt(w.bytes, int64(b), 10), final)
}

// ClearScreen blanks the screen.
func (w *Buffer) ClearScreen() { w.csi("2J") }

// EraseRow blanks the row from the cursor on.
func (w *Buffer) EraseRow() { w.csi("K") }

// Scroll moves the rows from top to bottom, counted from 0, n rows up, and leaves blank rows below them.
func (w *Buffer) Scroll(top, bottom, n int) {
	w.Region(top, bottom)
	w.Move(bottom, 0)
	w.repeat('\n', n)
	w.WholeRegion()
}

// Region limits scrolling: a new line in the row bottom moves the rows from top to bottom up, and no others.
func (w *Buffer) Region(top, bottom int) { w.pair(top+1, bottom+1, 'r') }

// WholeRegion ends the limit.
func (w *Buffer) WholeRegion() { w.csi("r") }

// PlainStyle ends all colors and emphasis.
func (w *Buffer) PlainStyle() { w.csi("m") }

// SetMode turns a DEC private mode on or off.
func (w *Buffer) SetMode(n Mode, on bool) {
	w.csi("?")
	w.bytes = append(w.bytes, n...)
	if on {
		w.bytes = append(w.bytes, 'h')
	} else {
		w.bytes = append(w.bytes, 'l')
	}
}

// BeginFrame begins to draw, and returns the start of what is drawn, for EndFrame.
func (w *Buffer) BeginFrame() (start int) {
	w.Open()
	w.bytes = append(w.bytes, beginning...)
	return len(w.bytes)
}

// EndFrame ends the frame with the cursor in its place. A frame without anything drawn since start is not written.
func (w *Buffer) EndFrame(start, row, column int) {
	if len(w.bytes) == start {
		w.bytes = w.bytes[:start-len(beginning)]
		return
	}
	w.Move(row, column)
	w.bytes = append(w.bytes, ending...)
}

// What begins and ends a frame.
const (
	beginning = "\x1b[?" + modeFrame + "h\x1b[?" + ModesDrawing + "l"
	ending    = "\x1b[?" + ModesDrawing + "h\x1b[?" + modeFrame + "l"
)

// Mode is a DEC private mode.
type Mode string

// The private modes in use.
const (
	ModeMouse    Mode = "1000" // buttons and the wheel are reported
	ModeMouseSGR Mode = "1006" // in a form that has no limit
	ModeScreen   Mode = "1049" // the alternate screen
	ModePaste    Mode = "2004" // pastes come bracketed
	modeFrame    Mode = "2026" // what follows is shown at once when it ends

	// Frames are drawn with the cursor hidden and without automatic wrapping: terminals do not agree on how wide an emoji is,
	// and one that is wider than expected must not push the rest of the screen down. Both are restored at the end of each
	// frame, so that a lost connection does not leave a shell without wrapping.
	ModesDrawing Mode = "7;25"
)

// Title sets the title of the terminal's window.
func (w *Buffer) Title(s string) {
	w.osc("0;")
	w.Text([]byte(s))
	w.bytes = append(w.bytes, '\a')
}

// Notify has the terminal show a notification on the desktop, in its way. Nothing in it is taken for something else: OSC 9 with a
// number first is ConEmu's, so the text begins with the title, and in OSC 777 a semicolon ends the title.
func (w *Buffer) Notify(kind Notification, title, said string) {
	title = strings.ReplaceAll(title, ";", ",")
	switch kind {
	case OSC9:
		w.osc("9;")
		if title != "" && title[0] >= '0' && title[0] <= '9' {
			w.bytes = append(w.bytes, ' ')
		}
		w.Text([]byte(title + ": " + said))
	case OSC99:
		w.osc("99;i=sshchat:d=0:o=unfocused;")
		w.Text([]byte(title))
		w.bytes = append(w.bytes, StringEnd...)
		w.osc("99;i=sshchat:o=unfocused:p=body;")
		w.Text([]byte(said))
	case OSC777:
		w.osc("777;notify;")
		w.Text([]byte(title))
		w.bytes = append(w.bytes, ';')
		w.Text([]byte(said))
	default:
		return
	}
	w.bytes = append(w.bytes, StringEnd...)
}

// osc begins an operating system command.
func (w *Buffer) osc(s string) { w.bytes = append(append(w.bytes, esc, ']'), s...) }

// KeepTitle has the terminal save its title, for RestoreTitle.
func (w *Buffer) KeepTitle() { w.csi("22;0t") }

// RestoreTitle brings back the saved title.
func (w *Buffer) RestoreTitle() { w.csi("23;0t") }

// Styled appends a row: printable text, and of the sequences only colors and emphasis (SGR) and links (OSC 8).
func (w *Buffer) Styled(row string) {
	for len(row) > 0 {
		i := strings.IndexByte(row, esc)
		if i < 0 {
			i = len(row)
		}
		w.Text([]byte(row[:i]))
		if row = row[i:]; row == "" {
			return
		}
		n := Sequence(row)
		if n == 0 {
			row = row[1:]
			continue
		}
		w.bytes = append(w.bytes, row[:n]...)
		row = row[n:]
	}
}

// Sequence is the length of the SGR or OSC 8 that s begins with; 0 if it begins with neither.
func Sequence(s string) int {
	if strings.HasPrefix(s, "\x1b[") {
		for i := 2; i < len(s); i++ {
			switch c := s[i]; {
			case c == 'm':
				return i + 1
			case c != ';' && c != ':' && (c < '0' || c > '9'):
				return 0
			}
		}
		return 0
	}
	if !strings.HasPrefix(s, LinkStart) {
		return 0
	}
	for i := len(LinkStart); i < len(s); {
		if strings.HasPrefix(s[i:], StringEnd) {
			return i + len(StringEnd)
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !text.Printable(r) || r == utf8.RuneError {
			return 0
		}
		i += n
	}
	return 0
}

// What a link (OSC 8) begins with, and what ends each of its two parts.
const (
	LinkStart = "\x1b]8;"
	StringEnd = "\x1b\\"
)
