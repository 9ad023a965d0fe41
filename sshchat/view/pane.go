package view

import (
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// On a wide screen the people of a room can stand in a pane to the right of its messages:
//
//	─ #general ─ 3 of 5 online ───────────────
//	12:34     ann │ hello             │ @ann
//	12:35     bob │ hi                │  bob
//	              │                   │ ─ away
//	              │                   │  carol
//
// What adds messages to the screen moves whole rows up, and so the pane. Its rows have hashes of their own: those that came to
// stand in the wrong place are written again, and the messages are not.

// MinPane is how many columns a terminal needs for a pane.
const MinPane = 100

// paneWidth is how many of a terminal's columns the pane has, with the rule to its left.
func paneWidth(columns int) int { return min(columns/6, 26) }

// paneFor is all that the rows of a pane depend on.
type paneFor struct {
	people        *chat.Roster
	format        format
	width, column int
	top, height   int
}

// pane is the rows of a pane. It is shared by the sessions that show it alike, and never changed.
type pane struct {
	paneFor
	rows []paneRow
}

// paneRow is a row of a pane, with the way to its place.
type paneRow struct {
	whole output.Encoded
	said  output.Encoded // without the rule, which is to the left of all rows
	sum   uint64
}

// panes are the panes that sessions showed last. Its methods may be called from any goroutine, and never wait.
type panes [64]atomic.Pointer[pane]

func (s *panes) slot(of *paneFor) *atomic.Pointer[pane] {
	return &s[maphash.Comparable(seed, *of)%uint64(len(s))]
}

// paneShown is what a terminal shows of a pane.
type paneShown struct {
	*pane
	shown []uint64 // the hash of each row; 0 for a blank one
}

// unknown is the hash of a row that the terminal may show anything in.
const unknown = 2 // those of others are odd

// layout gives the messages their width, beside a pane if there is one.
func (f *Full) layout() {
	width := f.width()
	if f.bars.people(f.cols) != nil {
		width -= paneWidth(f.cols)
	}
	if width != f.messages.width {
		f.messages.width = width
		f.screen.forget()
		f.stale = true
	}
}

// people are those whom the pane of a terminal of so many columns shows; nil if there is none.
func (b *bars) people(columns int) *chat.Roster {
	if columns < MinPane || b.room.IsDirect() {
		return nil
	}
	r, _ := b.shownRoom()
	return r.People
}

// paneOf is the pane beside an area of messages; nil if there is none.
func paneOf(f *Full, top, height int) *pane {
	people := f.bars.people(f.cols)
	if people == nil {
		return nil
	}
	of := paneFor{people, f.renderer.format, paneWidth(f.cols), f.messages.width, top, height}
	switch shown := f.screen.pane; {
	case shown != nil && shown.paneFor == of:
		return shown.pane
	case f.options.Lines == nil:
		return f.renderer.pane(of)
	}
	slot := f.options.Lines.panes.slot(&of)
	p := slot.Load()
	if p == nil || p.paneFor != of {
		p = f.renderer.pane(of)
		slot.Store(p)
	}
	return p
}

// pane makes a pane.
func (p *renderer) pane(of paneFor) *pane {
	made := &pane{of, make([]paneRow, of.height)}
	rule := p.in(theme.Rule, p.ruler().down)
	said := p.roster(of.people, of.width-len("| "), of.height)
	said = append(said, make([]string, of.height-len(said))...)
	for i, row := range said {
		made.rows[i] = paneRow{encodeAt(of.top+i, of.column, rule+" "+row), encodeAt(of.top+i, of.column+len("| "), row), rowHash(rule + row)}
	}
	return made
}

// encodeAt is the end of a row, from a column on.
func encodeAt(row, column int, said string) output.Encoded {
	var w output.Buffer
	w.Move(row, column)
	w.Styled(said)
	w.EraseRow()
	return w.Encode()
}

// rosterRow is a row of a roster: a person, or a heading.
type rosterRow struct {
	said    string
	heading bool
	people  int // in the rows up to this one
}

// roster makes at most height rows of the people, of at most width cells each. If not all of them fit, the last row says how
// many are left.
func (p *renderer) roster(people *chat.Roster, width, height int) []string {
	var rows []rosterRow
	for i, who := range people.People {
		switch i { // if nobody is away, this is also where the next begin
		case people.Online + people.Away:
			rows = append(rows, rosterRow{p.heading("offline", width), true, i})
		case people.Online:
			rows = append(rows, rosterRow{p.heading("away", width), true, i})
		}
		if rows = append(rows, rosterRow{p.person(who, width), false, i + 1}); len(rows) > height {
			break
		}
	}
	all := people.Online + people.Away + people.Offline
	if n := len(rows); n > height || n > 0 && rows[n-1].people < all {
		rows = rows[:max(0, min(n, height-1))]
		for len(rows) > 0 && rows[len(rows)-1].heading {
			rows = rows[:len(rows)-1]
		}
		shown := 0
		if len(rows) > 0 {
			shown = rows[len(rows)-1].people
		}
		more := fmt.Sprintf("+%d offline", all-shown)
		if online := people.Online + people.Away - shown; online > 0 {
			more = fmt.Sprintf("+%d online", online)
		}
		rows = append(rows, rosterRow{said: p.heading(more, width)})
	}
	said := make([]string, 0, len(rows))
	for _, r := range rows {
		said = append(said, r.said)
	}
	return said[:min(len(said), height)]
}

// heading is a row of the roster that is no name: no name begins so.
func (p *renderer) heading(said string, width int) string {
	if said[0] != '+' {
		said = p.ruler().across + " " + said
	}
	return p.in(theme.Rule, fitRow(said, width))
}

// person is a row of the roster. A name that is cut is seen to be.
func (p *renderer) person(who chat.Presence, width int) string {
	mark, name := " ", who.Name.String()
	if who.Moderates {
		mark = p.in(theme.Notice, "@")
	}
	if width--; displaywidth.String(name) > width {
		sign := "~"
		if p.lines {
			sign = "…"
		}
		name = fitRow(name, width-1) + sign
	}
	switch {
	case who.Away:
		return mark + p.in(theme.Presence, name)
	case !who.Online:
		return mark + p.in(theme.Time, name)
	}
	return mark + p.styles.Name(who.Name.String(), int(who.Color)) + name + plainStyle
}

// setPane has p stand beside the messages from the next draw on; nil for nothing.
func (s *screen) setPane(p *pane) {
	old := s.pane
	if old == nil && p == nil || old != nil && old.pane == p {
		return
	}
	s.pane = nil
	if p != nil {
		s.pane = &paneShown{p, make([]uint64, p.height)}
	}
	if old == nil {
		return
	}
	for i, sum := range old.shown { // the area of the messages may have become taller or less tall
		if row := old.top + i; p != nil && row >= p.top && row < p.top+p.height {
			if sum != 0 && old.format != p.format { // the rule looks different, too
				sum = unknown
			}
			s.pane.shown[row-p.top] = sum
		} else {
			s.shown[row] = unknown
		}
	}
}

// The zero paneShown, nil, shows nothing: its methods do nothing.

// scrolled notes that the rows have moved up by n.
func (s *paneShown) scrolled(n int) {
	if s == nil || n <= 0 {
		return
	}
	n = min(n, len(s.shown))
	copy(s.shown, s.shown[n:])
	clear(s.shown[len(s.shown)-n:])
}

// added notes that n rows were written below the first used ones, with those above scrolled up as needed.
func (s *paneShown) added(used, n int) {
	if s == nil {
		return
	}
	for i := used; i < min(used+n, len(s.shown)); i++ {
		s.shown[i] = unknown
	}
	s.scrolled(used + n - len(s.shown))
}

// overwritten notes that a row of the screen was: what is too wide for it, on terminals that take emoji for wider than we
// do, is gone from the pane when its row is written.
func (s *paneShown) overwritten(row int) {
	if s != nil && row >= s.top && row < s.top+len(s.shown) {
		s.shown[row-s.top] = unknown
	}
}

// draw writes the rows that the terminal does not show.
func (s *paneShown) draw(w *output.Buffer) {
	if s == nil {
		return
	}
	for i := range s.rows {
		row := &s.rows[i]
		switch s.shown[i] {
		case row.sum:
			continue
		case 0, unknown:
			w.Append(row.whole)
		default:
			w.Append(row.said)
		}
		s.shown[i] = row.sum
	}
}
