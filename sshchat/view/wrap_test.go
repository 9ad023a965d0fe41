package view

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"sshchat/sshchat/chat"
)

// crude is a terminal that takes each code point beyond Latin for two cells, as many do: clusters of emoji are wider on
// it than they are.
type crude struct {
	rows     [][]rune
	row, col int
	top, end int  // of the rows that a new line at the last of them moves up
	wrap     bool // go on in the next row at a row's end
	ever     bool // also if it is switched off
}

func newCrude(width, height int) *crude {
	c := &crude{wrap: true, end: height}
	for range height {
		c.rows = append(c.rows, []rune(strings.Repeat(" ", width)))
	}
	return c
}

func (c *crude) put(r rune) {
	width := 1
	if r > 0x2ff {
		width = 2
	}
	last := len(c.rows[0])
	if c.col+width > last {
		if c.wrap || c.ever {
			c.row, c.col = min(c.row+1, len(c.rows)-1), 0
		} else {
			c.col = last - width
		}
	}
	c.rows[c.row][c.col] = r
	c.col += width
}

func (c *crude) write(out string) {
	for out != "" {
		r, n := utf8.DecodeRuneInString(out)
		switch {
		case strings.HasPrefix(out, "\x1b["):
			n = 3 + strings.IndexFunc(out[2:], func(r rune) bool { return r >= '@' && r <= '~' })
			c.control(out[2:n-1], out[n-1])
		case strings.HasPrefix(out, "\x1b]"):
			n = strings.IndexByte(out, '\a') + 1
		case r == '\r':
			c.col = 0
		case r == '\n':
			c.newline()
		case r >= ' ':
			c.put(r)
		}
		out = out[n:]
	}
}

func (c *crude) newline() {
	if c.row != c.end-1 {
		c.row = min(c.row+1, len(c.rows)-1)
		return
	}
	copy(c.rows[c.top:c.end], c.rows[c.top+1:c.end])
	c.rows[c.row] = []rune(strings.Repeat(" ", len(c.rows[0])))
}

func (c *crude) control(params string, final byte) {
	switch final {
	case 'r':
		c.top, c.end = 0, len(c.rows)
		if top, end, ok := strings.Cut(params, ";"); ok {
			c.top, _ = strconv.Atoi(top)
			c.end, _ = strconv.Atoi(end)
			c.top--
		}
		c.row, c.col = 0, 0
	case 'H':
		y, x, _ := strings.Cut(params, ";")
		c.row, _ = strconv.Atoi(y)
		c.col, _ = strconv.Atoi(x)
		c.row, c.col = max(c.row-1, 0), max(c.col-1, 0)
	case 'K':
		for x := c.col; x < len(c.rows[c.row]); x++ {
			c.rows[c.row][x] = ' '
		}
	case 'h', 'l':
		if mode, private := strings.CutPrefix(params, "?"); private && strings.Contains(";"+mode+";", ";7;") {
			c.wrap = final == 'h'
		}
	}
}

func (c *crude) text() string {
	var b strings.Builder
	for _, row := range c.rows {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return b.String()
}

// Emoji at the right edge that a terminal takes for wider than they are spoil no row but their own. The control is a
// terminal that always wraps.
func TestEmojiAtTheRightEdge(t *testing.T) {
	for _, ever := range []bool{false, true} {
		s := newStage(t, 40, 10, "xterm")
		s.enter(Room{Name: chat.General})
		c := newCrude(40, 10)
		c.ever = ever
		s.types("\f") // all of the screen, for this terminal
		c.write(s.wrote)
		s.says(said(chat.General, bob, "before."))
		s.says(said(chat.General, bob, "an x"))
		s.Print("after.")
		c.write(string(s.Flush()))
		s.amends(chat.General, false, strings.Repeat("x", 9)+" 👩‍👩‍👧‍👦👩‍👩‍👧‍👦")
		c.write(string(s.Flush()))
		s.types(strings.Repeat("y", 33) + "👩‍👩‍👧‍👦")
		c.write(s.wrote)
		s.types("\x15")
		c.write(s.wrote)
		s.says(said(chat.General, bob, "at last."))
		c.write(string(s.Flush()))
		whole := strings.Contains(c.text(), "\nafter.\n12:34 bob: at last.\n") && strings.HasSuffix(strings.TrimSpace(c.text()), "1:#general\n>")
		if whole == ever {
			t.Errorf("ever %v: the screen is\n%s", ever, c.text())
		}
		if !c.wrap {
			t.Error("between frames rows do not wrap")
		}
		s.Close()
		c.write(string(s.Flush()))
		if !c.wrap {
			t.Error("the terminal is left without wrapping")
		}
	}
}
