package command

import (
	"strings"
	"unicode/utf8"
)

// table is rows of words that are printed in columns as wide as what is in them, two blanks apart. The last is as long as
// it is.
type table [][]string

func (t *table) row(words ...string) { *t = append(*t, words) }

// print prints the rows.
func (t table) print(c *Call) {
	var widths []int
	for _, row := range t {
		for i, word := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(word))
		}
	}
	for _, row := range t {
		var b strings.Builder
		for i, word := range row {
			b.WriteString(word)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(word)+2))
			}
		}
		c.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}
