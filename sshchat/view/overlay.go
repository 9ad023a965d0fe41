package view

import (
	"fmt"
	"strings"

	"sshchat/sshchat/view/theme"
)

// overlay is a text that is shown over the messages until it is closed.
type overlay struct {
	title, text string
	first       int // the row at its top
	height      int // rows of the text that are shown

	rows     []string  // of the text: a long list takes milliseconds to lay out, and messages come while it is open
	renderer *renderer // that made rows
	width    int       // of rows
}

// draw returns the overlay's rows: a title, and as much of the text as there is room for.
func (o *overlay) draw(p *renderer, width, area int) []string {
	if area == 0 {
		return nil
	}
	o.layout(p, width)
	total := len(o.rows)
	o.height = area - 1
	o.first = max(0, min(o.first, total-o.height))
	last := min(o.first+o.height, total)
	title := " " + o.title
	if total > o.height {
		title += fmt.Sprintf("  %d-%d of %d, PgDn for more", o.first+1, last, total)
	}
	rows := append([]string{p.in(theme.Title, pad(title+"  (Esc closes)", width))}, o.rows[o.first:last]...)
	for len(rows) < area {
		rows = append(rows, "")
	}
	return rows
}

// layout breaks the text into rows, unless it is done.
func (o *overlay) layout(p *renderer, width int) {
	if o.renderer == p && o.width == width {
		return
	}
	o.rows, o.renderer, o.width = nil, p, width
	for line := range strings.SplitSeq(o.text, "\n") {
		o.rows = append(o.rows, p.text(line, theme.Text, width)...)
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
