package view

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// The control sequences a full screen needs (ECMA-48, DEC STD 070 and xterm's ctlseqs), each a method of the wire:
// there is no other way to put an escape on it.

func (w *wire) csi(s string) { w.b = append(append(w.b, esc, '['), s...) }

// move takes the cursor to a row and a column, counted from 0.
func (w *wire) move(row, column int) { w.pair(row+1, column+1, 'H') }

// pair is a sequence with two numbers.
func (w *wire) pair(a, b int, final byte) {
	w.b = append(w.b, esc, '[')
	w.b = append(strconv.AppendInt(w.b, int64(a), 10), ';')
	w.b = append(strconv.AppendInt(w.b, int64(b), 10), final)
}

// clearScreen blanks the screen, eraseRow the row from the cursor on.
func (w *wire) clearScreen() { w.csi("2J") }
func (w *wire) eraseRow()    { w.csi("K") }

// scroll moves the rows from top to bottom, counted from 0, n rows up; those that come free are blank.
func (w *wire) scroll(top, bottom, n int) {
	w.region(top, bottom)
	w.move(bottom, 0)
	w.repeat('\n', n)
	w.wholeRegion()
}

// region has a new line in the row bottom move those from top to bottom up, and no others; wholeRegion ends that.
func (w *wire) region(top, bottom int) { w.pair(top+1, bottom+1, 'r') }
func (w *wire) wholeRegion()           { w.csi("r") }

// plainStyle ends all colours and emphasis.
func (w *wire) plainStyle() { w.csi("m") }

// mode turns a DEC private mode on or off.
func (w *wire) mode(n string, on bool) {
	w.csi("?")
	w.b = append(w.b, n...)
	if on {
		w.b = append(w.b, 'h')
	} else {
		w.b = append(w.b, 'l')
	}
}

// beginFrame begins to draw, and returns where what is drawn begins.
func (w *wire) beginFrame() (start int) {
	w.open()
	w.b = append(w.b, beginning...)
	return len(w.b)
}

// endFrame ends the frame with the cursor in its place. One in which nothing was drawn since start is not written.
func (w *wire) endFrame(start, row, column int) {
	if len(w.b) == start {
		w.b = w.b[:start-len(beginning)]
		return
	}
	w.move(row, column)
	w.b = append(w.b, ending...)
}

// What begins and ends a frame.
const (
	beginning = "\x1b[?" + modeFrame + "h\x1b[?" + modesDrawing + "l"
	ending    = "\x1b[?" + modesDrawing + "h\x1b[?" + modeFrame + "l"
)

// The private modes in use.
const (
	modeMouse    = "1000" // buttons and the wheel are reported
	modeMouseSGR = "1006" // in a form that has no limit
	modeScreen   = "1049" // the alternate screen
	modePaste    = "2004" // pastes come bracketed
	modeFrame    = "2026" // what follows is shown at once when it ends

	// Drawing is done with the cursor hidden, and without going on in the next row at a row's end: terminals do not agree
	// on how wide an emoji is, and one that is wider than we think must not push the rest of the screen down. It is so
	// within a frame alone, so that no lost connection leaves a shell without wrapped lines.
	modesDrawing = "7;25"
)

// title sets the window's title; keepTitle and restoreTitle put the old one aside and back.
func (w *wire) title(s string) {
	w.b = append(w.b, esc, ']', '0', ';')
	w.text([]byte(s))
	w.b = append(w.b, '\a')
}
func (w *wire) keepTitle()    { w.csi("22;0t") }
func (w *wire) restoreTitle() { w.csi("23;0t") }

// styled appends a row: printable text, and of all sequences only colours and emphasis (SGR) and links (OSC 8).
func (w *wire) styled(row string) {
	for len(row) > 0 {
		i := strings.IndexByte(row, esc)
		if i < 0 {
			i = len(row)
		}
		w.text([]byte(row[:i]))
		if row = row[i:]; row == "" {
			return
		}
		n := sequence(row)
		if n == 0 {
			row = row[1:]
			continue
		}
		w.b = append(w.b, row[:n]...)
		row = row[n:]
	}
}

// sequence is the length of the SGR or OSC 8 that s begins with; 0 where it begins with neither.
func sequence(s string) int {
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
	if !strings.HasPrefix(s, linkStart) {
		return 0
	}
	for i := len(linkStart); i < len(s); {
		if strings.HasPrefix(s[i:], stringEnd) {
			return i + len(stringEnd)
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !text.Printable(r) || r == utf8.RuneError {
			return 0
		}
		i += n
	}
	return 0
}

const (
	linkStart = "\x1b]8;"
	stringEnd = "\x1b\\"
)
