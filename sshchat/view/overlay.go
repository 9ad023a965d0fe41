package view

import (
	"fmt"
	"slices"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/view/theme"
)

// overlay is a text that is shown over the messages until it is closed.
type overlay struct {
	title, text string
	preview     func(p *renderer, width int) []string // the rows, if they are not those of text
	first       int                                   // the row at its top
	height      int                                   // rows of the text that are shown

	rows     []string  // of the text: a long list takes milliseconds to lay out, and messages come while it is open
	renderer *renderer // that made rows
	width    int       // of rows
}

// draw returns the overlay's rows: a title, and as much of the text as there is room for. If there is one row, it is the text's.
func (o *overlay) draw(p *renderer, width, area int) []string {
	if area == 0 {
		return nil
	}
	o.layout(p, width)
	total := len(o.rows)
	o.height = max(1, area-1)
	o.first = max(0, min(o.first, total-o.height))
	last := min(o.first+o.height, total)
	place := ""
	if total > o.height {
		place = fmt.Sprintf("  %d-%d of %d", o.first+1, last, total)
	}
	var rows []string
	if area > 1 {
		rows = append(rows, p.in(theme.Title, o.titleRow(place, last < total, width)))
	}
	rows = append(rows, o.rows[o.first:last]...)
	for len(rows) < area {
		rows = append(rows, "")
	}
	return rows
}

// titleRow is the title, and where in the text one is. On a narrow screen it goes without the names of keys, and then
// without the end of the title.
func (o *overlay) titleRow(place string, more bool, width int) string {
	const keys = "  (Esc closes)"
	title := " " + o.title
	ends := []string{place + keys, place}
	if more {
		ends = slices.Insert(ends, 0, place+", PgDn for more"+keys)
	}
	for _, end := range ends {
		if displaywidth.String(title+end) <= width {
			return pad(title+end, width)
		}
	}
	return pad(fitRow(title, max(0, width-len(place)))+place, width)
}

// layout breaks the text into rows, unless it is done.
func (o *overlay) layout(p *renderer, width int) {
	if o.renderer == p && o.width == width {
		return
	}
	o.renderer, o.width = p, width
	if o.preview != nil {
		o.rows = o.preview(p, width)
	} else {
		o.rows = p.text(o.text, theme.Text, width)
	}
}

// handleKey scrolls, and reports whether the key was used, and whether it closes the overlay.
func (o *overlay) handleKey(name string, typing bool) (taken, closed bool) {
	switch name {
	case "esc":
		return true, true
	case "pgup":
		o.first -= max(1, o.height-1)
	case "pgdown":
		o.first += max(1, o.height-1)
	case "shift+up", "wheelup":
		o.first--
	case "shift+down", "wheeldown":
		o.first++
	case "up", "down", "home", "end", "enter", "space":
		if typing {
			return false, false
		}
		switch name {
		case "up":
			o.first--
		case "down":
			o.first++
		case "home":
			o.first = 0
		case "end":
			o.first = len(o.rows)
		case "enter":
			return true, true
		}
	default:
		return false, false
	}
	return true, false
}
