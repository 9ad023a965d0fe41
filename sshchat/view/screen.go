package view

import (
	"hash/maphash"
	"strings"
)

// frame is what a screen should show.
type frame struct {
	rows        []string // from top to bottom, all of them
	top, bottom int      // rows that may have moved up together: the message area
	row, column int      // of the cursor
	title       string
	end         roomEnd // of the message area
}

// screen is what a terminal shows, as the sum of what was written to it: a number for each row and no cells, so that an
// idle screen costs next to nothing.
type screen struct {
	term        string
	begun       bool     // the terminal is ours
	mouse       bool     // the mouse is ours
	shown       []uint64 // a hash for each row; 0 for a blank one; nil: nothing is known
	top, bottom int      // the message area of the last frame
	row, column int      // the cursor's
	title       uint64
}

var seed = maphash.MakeSeed()

// sum is the hash of a row; 0 for a blank one.
func sum(row string) uint64 {
	if row == "" {
		return 0
	}
	return maphash.String(seed, row) | 1
}

// forget has the next frame be drawn anew.
func (s *screen) forget() { s.shown = nil }

// draw writes the difference between what the terminal shows and f.
func (s *screen) draw(w *wire, f frame, mouse bool) {
	start := w.beginFrame()
	s.begin(w)
	s.setMouse(w, mouse)
	if len(s.shown) != len(f.rows) {
		w.plainStyle()
		w.clearScreen()
		s.shown = make([]uint64, len(f.rows))
	}
	var sums [MaxHeight]uint64
	want := sums[:len(f.rows)]
	for i, row := range f.rows {
		want[i] = sum(row)
	}
	if n := s.moved(want, f.top, f.bottom); n > 0 {
		w.scroll(f.top, f.bottom-1, n)
		copy(s.shown[f.top:], s.shown[f.top+n:f.bottom])
		clear(s.shown[f.bottom-n : f.bottom])
	}
	for i, row := range f.rows {
		s.setRow(w, i, row, want[i])
	}
	s.top, s.bottom = f.top, f.bottom
	s.setTitle(w, f.title)
	if s.row != f.row || s.column != f.column {
		s.row, s.column = f.row, f.column
		start = -1 // moving the cursor is worth a frame
	}
	w.endFrame(start, s.row, s.column)
}

// setRow has a row show what has that sum.
func (s *screen) setRow(w *wire, i int, row string, sum uint64) {
	if s.shown[i] == sum {
		return
	}
	s.shown[i] = sum
	w.move(i, 0)
	w.styled(row)
	w.eraseRow()
}

// add writes messages below the rows of the message area that are in use, of which there is at least one, and returns how
// many are then. What is above moves up as far as it must. It comes to what a frame drawn anew would show. Messages that
// would be out of sight at once are left out.
func (s *screen) add(w *wire, messages []*encoded, used int) int {
	shown := s.shown[s.top:s.bottom]
	first, rows := len(messages), 0
	for first > 0 && rows < len(shown) {
		first--
		rows += len(messages[first].sums)
	}
	w.region(s.top, s.bottom-1)
	w.move(s.top+used-1, 0)
	for _, e := range messages[first:] {
		w.encoded(e)
		n := min(len(e.sums), len(shown))
		if over := used + n - len(shown); over > 0 {
			copy(shown, shown[over:])
			used -= over
		}
		used += copy(shown[used:], e.sums[len(e.sums)-n:])
	}
	w.wholeRegion()
	return used
}

// moved is by how many rows what is shown between top and bottom moves up to become what is wanted; 0 for not at all.
// At least half of the rows must be worth keeping.
func (s *screen) moved(want []uint64, top, bottom int) int {
	height := bottom - top
	if height < 2 {
		return 0
	}
	old, now := s.shown[top:bottom], want[top:bottom]
	best, most := 0, same(old, now)
	for n := 1; n <= height/2; n++ {
		if kept := same(old[n:], now); kept > most {
			best, most = n, kept
		}
	}
	return best
}

// same counts the rows that are alike and not blank.
func same(a, b []uint64) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] && a[i] != 0 {
			n++
		}
	}
	return n
}

// begin takes the terminal over.
func (s *screen) begin(w *wire) {
	if s.begun {
		return
	}
	s.begun = true
	if s.titled() {
		w.keepTitle()
	}
	w.mode(modeScreen, true)
	w.mode(modePaste, true)
}

func (s *screen) setMouse(w *wire, on bool) {
	if on != s.mouse {
		w.mode(modeMouse, on)
		w.mode(modeMouseSGR, on)
		s.mouse = on
	}
}

func (s *screen) setTitle(w *wire, title string) {
	if h := sum(title); h != s.title && s.titled() {
		w.title(title)
		s.title = h
	}
}

// titled reports whether the terminal has a window with a title, and does not show the sequence instead.
func (s *screen) titled() bool {
	return hasAny(s.term, "xterm", "rxvt", "tmux", "kitty", "alacritty", "foot", "wezterm", "ghostty", "konsole", "vte", "putty", "st-")
}

// leave gives the terminal back as it was found.
func (s *screen) leave(w *wire) {
	if !s.begun {
		return
	}
	s.begun = false
	w.wholeRegion()
	w.plainStyle()
	s.setMouse(w, false)
	w.mode(modePaste, false)
	w.mode(modeScreen, false)
	w.mode(modesDrawing, true)
	if s.titled() {
		w.restoreTitle()
	}
}

// fitRow cuts a row without styles to width cells.
func fitRow(s string, width int) string {
	row, rest := cut([]byte(s), width)
	if len(rest) == 0 {
		return string(row)
	}
	clusters := newLine([]byte(s))
	var b strings.Builder
	for i, used := 0, 0; i < len(clusters.ends); i++ {
		c, w := clusters.cluster(i)
		if used += w; used > width {
			break
		}
		b.Write(c)
	}
	return b.String()
}
