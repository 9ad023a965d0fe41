package view

import (
	"fmt"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/view/theme"
)

// maxChoices is how many rows the completions of a word take at most.
const maxChoices = 3

// choosing reports whether completions are shown.
func (c *composer) choosing() bool {
	_, _, ok := c.edit.Choosing()
	return ok
}

// choices are the rows over the bar that show how the word before the cursor can be completed: as many as fit, with the one that
// stands in the word's place among them. Of an area of so many rows they take half at most.
func (c *composer) choices(p *renderer, width, area int) (rows []string) {
	candidates, at, ok := c.edit.Choosing()
	height := min(maxChoices, area/2)
	if !ok || height == 0 {
		return nil
	}
	starts := choiceRows(candidates, width)
	current := 0 // the row with the one that is chosen
	for current+1 < len(starts) && at < len(candidates) && starts[current+1] <= at {
		current++
	}
	first := max(0, min(current-height/2, len(starts)-height))
	for i := first; i < min(first+height, len(starts)); i++ {
		end := len(candidates)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		more := ""
		if i+1 == first+height && end < len(candidates) {
			more = fmt.Sprintf(" +%d", len(candidates)-end)
		}
		rows = append(rows, p.choiceRow(width, candidates, starts[i], end, at, more))
	}
	return rows
}

// choiceRows is with which candidate each row of width cells begins. The end of a row has room for how many more there are.
func choiceRows(candidates []string, width int) (starts []int) {
	const room = len(" +9999")
	column := 0
	for i, c := range candidates {
		w := displaywidth.String(c) + 2
		if i == 0 || column+w > width-room {
			starts, column = append(starts, i), 0
		}
		column += w
	}
	return starts
}

// choiceRow shows candidates, and more at the end of the row.
func (p *renderer) choiceRow(width int, candidates []string, from, to, at int, more string) string {
	var row strings.Builder
	room := width - len(more)
	for i := from; i < to && room > 0; i++ {
		shown := fitRow(" "+candidates[i]+" ", room)
		room -= displaywidth.String(shown)
		style := theme.Bar
		if i == at {
			style = theme.BarActive
		}
		row.WriteString(p.in(style, shown))
	}
	row.WriteString(p.in(theme.Bar, strings.Repeat(" ", max(0, room))+fitRow(more, width)))
	return row.String()
}
