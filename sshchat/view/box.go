package view

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/text"
)

// box is the input: its rows, and the cursor's place in them.
func (f *Full) box() (rows []string, row, column int) {
	prompt := f.prompt()
	var text []string
	if f.edit.secret {
		text = []string{""}
	} else {
		text, row, column = layBox(&f.edit.line, f.width(), displaywidth.String(prompt))
	}
	if row == 0 {
		column += displaywidth.String(prompt)
	}
	height := max(1, min(maxBox, f.rows/3))
	lines := len(text)
	if lines > height { // the rows around the cursor
		first := min(max(0, row-height/2), lines-height)
		if first == 0 {
			text[0] = f.paint.in(partPrompt, prompt) + text[0]
		}
		text, row = text[first:first+height], row-first
		if height > 2 {
			hint := f.edit.hint()
			if row == height-1 {
				text, row = text[1:], row-1
			} else {
				text = text[:height-1]
			}
			text = append(text, f.paint.in(partNotice, fitRow(hint, f.width())))
		}
		return text, row, min(column, f.cols-1)
	}
	text[0] = f.paint.in(partPrompt, prompt) + text[0]
	return text, row, min(column, f.cols-1)
}

// hint is what an input of more rows than are shown holds, and how to get rid of it.
func (e *editor) hint() string {
	lines, size := 1+bytes.Count(e.text, []byte("\n")), len(e.text)
	switch {
	case size > text.MaxText:
		return fmt.Sprintf("[%s, %d bytes: a message has at most %d. Ctrl+C drops them]", text.Count(lines, "line"), size, text.MaxText)
	case lines == 1:
		return fmt.Sprintf("[%d bytes: Enter sends them, Ctrl+C drops them]", size)
	}
	return fmt.Sprintf("[%d lines: Enter sends them as one message, Ctrl+C drops them]", lines)
}

// prompt is what stands before what is typed.
func (f *Full) prompt() string {
	switch {
	case f.asked != nil:
		return fitRow(f.asked.prompt, max(f.width()-minTyped, 2))
	case f.width() < 2*minTyped:
		return ">"
	}
	return "> "
}

// layBox breaks what is typed into rows of width cells, the first with room for the prompt, and finds the cursor.
func layBox(l *line, width, prompt int) (rows []string, row, column int) {
	var b strings.Builder
	eachCell(l, width, prompt, func(i, y, x int, shown []byte) {
		for len(rows) < y {
			rows = append(rows, b.String())
			b.Reset()
		}
		if i == l.at {
			row, column = y, x
		}
		b.Write(shown)
	})
	return append(rows, b.String()), row, column
}

// eachCell visits each cluster of what is typed, and the end of it, with its place in rows of width cells.
// In the first row the prompt takes some of them.
func eachCell(l *line, width, prompt int, visit func(i, row, column int, shown []byte)) {
	row, column, limit := 0, 0, width-prompt
	for i := range l.ends {
		shown, w := l.text[l.start(i):l.ends[i]], 1
		if len(shown) == 1 && shown[0] == '\n' {
			visit(i, row, column, nil)
			row, column, limit = row+1, 0, width
			continue
		}
		if len(shown) > 1 { // else it is ASCII; measuring is what all of this costs
			shown, w = glyph(l.cluster(i))
		}
		if column+w > limit {
			row, column, limit = row+1, 0, width
		}
		visit(i, row, column, shown)
		column += w
	}
	if column >= limit && l.at == len(l.ends) { // the cursor needs a cell of its own
		row, column = row+1, 0
	}
	visit(len(l.ends), row, column, nil)
}
