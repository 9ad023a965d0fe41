package view

import (
	"hash/maphash"
	"strings"

	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/output"
)

// frame is what a screen should show.
type frame struct {
	rows        []string // from top to bottom, all of them
	top, bottom int      // rows that may have moved up together: the message area
	row, column int      // of the cursor
	title       string
	end         roomEnd // of the message area
	pane        *pane   // beside the message area; nil for none
}

// screen is what a terminal shows: a hash for each row and no cells, so that an idle screen needs little memory.
type screen struct {
	hasTitle    bool     // the terminal has a title
	active      bool     // the terminal shows our screen
	mouse       bool     // the terminal reports the mouse
	shown       []uint64 // a hash for each row; 0 for a blank one; nil if nothing is known
	top, bottom int      // the message area of the last frame
	row, column int      // the cursor's
	title       uint64
	pane        *paneShown // what stands beside the message area; nil for nothing
}

var seed = maphash.MakeSeed()

// rowHash is the hash of a row; 0 for a blank one.
func rowHash(row string) uint64 {
	if row == "" {
		return 0
	}
	return maphash.String(seed, row) | 1
}

// forget makes the next frame a full redraw.
func (s *screen) forget() { s.shown = nil }

// draw writes the difference between what the terminal shows and f.
func (s *screen) draw(w *output.Buffer, f frame, mouse bool) {
	start := w.BeginFrame()
	s.activate(w)
	s.setMouse(w, mouse)
	if len(s.shown) != len(f.rows) {
		w.PlainStyle()
		w.ClearScreen()
		s.shown, s.pane = make([]uint64, len(f.rows)), nil
	}
	s.setPane(f.pane)
	var sums [MaxHeight]uint64
	want := sums[:len(f.rows)]
	for i, row := range f.rows {
		want[i] = rowHash(row)
	}
	if n := s.scrolledBy(want, f.top, f.bottom); n > 0 {
		w.Scroll(f.top, f.bottom-1, n)
		copy(s.shown[f.top:], s.shown[f.top+n:f.bottom])
		clear(s.shown[f.bottom-n : f.bottom])
		s.pane.scrolled(n)
	}
	for i, row := range f.rows {
		s.setRow(w, i, row, want[i])
	}
	s.pane.draw(w)
	s.top, s.bottom = f.top, f.bottom
	s.setTitle(w, f.title)
	if s.row != f.row || s.column != f.column {
		s.row, s.column = f.row, f.column
		start = -1 // moving the cursor is worth a frame
	}
	w.EndFrame(start, s.row, s.column)
}

// setRow shows a row, unless the terminal shows it already.
func (s *screen) setRow(w *output.Buffer, i int, row string, sum uint64) {
	if s.shown[i] == sum {
		return
	}
	s.shown[i] = sum
	w.Move(i, 0)
	w.Styled(row)
	w.EraseRow()
	s.pane.overwritten(i)
}

// add writes messages below the rows of the message area that are in use, of which there is at least one, and returns how
// many are then. The rows above move up as needed. The result is what a full redraw would show. Messages that
// would scroll out of sight at once are left out.
func (s *screen) add(w *output.Buffer, messages []*encoded, used int) int {
	shown := s.shown[s.top:s.bottom]
	first, rows := len(messages), 0
	for first > 0 && rows < len(shown) {
		first--
		rows += len(messages[first].sums)
	}
	w.Region(s.top, s.bottom-1)
	w.Move(s.top+used-1, 0)
	for _, e := range messages[first:] {
		w.Append(e.bytes)
		n := min(len(e.sums), len(shown))
		s.pane.added(used, len(e.sums))
		if over := used + n - len(shown); over > 0 {
			copy(shown, shown[over:])
			used -= over
		}
		used += copy(shown[used:], e.sums[len(e.sums)-n:])
	}
	w.WholeRegion()
	s.pane.draw(w)
	return used
}

// scrolledBy is how many rows up the rows between top and bottom must scroll to become those wanted; 0 for none.
// At least half of the rows must be worth keeping.
func (s *screen) scrolledBy(want []uint64, top, bottom int) int {
	height := bottom - top
	if height < 2 {
		return 0
	}
	old, now := s.shown[top:bottom], want[top:bottom]
	best, most := 0, countEqual(old, now)
	for n := 1; n <= height/2; n++ {
		if kept := countEqual(old[n:], now); kept > most {
			best, most = n, kept
		}
	}
	return best
}

// countEqual counts the rows that are alike and not blank.
func countEqual(a, b []uint64) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] && a[i] != 0 {
			n++
		}
	}
	return n
}

// activate switches the terminal to our screen.
func (s *screen) activate(w *output.Buffer) {
	if s.active {
		return
	}
	s.active = true
	if s.hasTitle {
		w.KeepTitle()
	}
	w.SetMode(output.ModeScreen, true)
	w.SetMode(output.ModePaste, true)
}

func (s *screen) setMouse(w *output.Buffer, on bool) {
	if on != s.mouse {
		w.SetMode(output.ModeMouse, on)
		w.SetMode(output.ModeMouseSGR, on)
		s.mouse = on
	}
}

func (s *screen) setTitle(w *output.Buffer, title string) {
	if h := rowHash(title); h != s.title && s.hasTitle {
		w.Title(title)
		s.title = h
	}
}

// restore returns the terminal to its previous state.
func (s *screen) restore(w *output.Buffer) {
	if !s.active {
		return
	}
	s.active = false
	w.WholeRegion()
	w.PlainStyle()
	s.setMouse(w, false)
	w.SetMode(output.ModePaste, false)
	w.SetMode(output.ModeScreen, false)
	w.SetMode(output.ModesDrawing, true)
	if s.hasTitle {
		w.RestoreTitle()
	}
}

// fitRow cuts a row without styles to width cells.
func fitRow(s string, width int) string {
	row, rest := cut([]byte(s), width)
	if len(rest) == 0 {
		return string(row)
	}
	clusters := editor.NewLine([]byte(s))
	var b strings.Builder
	for i, used := 0, 0; i < clusters.Len(); i++ {
		c, w := clusters.Cluster(i)
		if used += w; used > width {
			break
		}
		b.Write(c)
	}
	return b.String()
}
