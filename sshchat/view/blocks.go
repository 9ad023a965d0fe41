package view

import (
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/view/markup"
	"sshchat/sshchat/view/markup/code"
	"sshchat/sshchat/view/theme"
)

// minHang is how many cells a row must have for a list or a quotation to go on below its text, and not below its sign.
const minHang = 16

// markup adds a message's text: blocks of code between fences, quotations, lists and paragraphs. Signs that styles replace are
// left out where there are colors.
func (b *layout) markup(text string) {
	lines := strings.Split(text, "\n")
	begun := false // there is something in a row before this line
	for i := 0; i < len(lines); i++ {
		if end := fenced(lines, i); end > 0 && !b.keepSigns {
			if begun || b.rule.width == 0 {
				b.breakRow()
			}
			b.code(markup.Language(lines[i]), lines[i+1:end])
			begun, i = true, end
			continue
		}
		if begun {
			b.breakRow() // which fills the last row of a block above
			b.fill = ""
		}
		begun = true
		b.line(lines[i])
		b.hang = nil
	}
}

// fenced is the index of the line that ends the block of code that begins at lines[i], or of the end of all if none does; 0 if
// no block begins there, or one without lines.
func fenced(lines []string, i int) int {
	if !markup.IsFence(lines[i]) {
		return 0
	}
	end := i + 1
	for end < len(lines) && strings.TrimSpace(lines[end]) != markup.Fence {
		end++
	}
	if end == i+1 {
		return 0
	}
	return end
}

// code adds a block of code, filled as wide as its longest line, in the colors of its language if that is known. The last row
// is filled when it ends.
func (b *layout) code(language string, lines []string) {
	style, width := b.styles.Of(theme.CodeBlock), 0
	for _, line := range lines {
		width = max(width, displaywidth.String(line)+2)
	}
	b.fill = style
	reader := code.New(language)
	for i, line := range lines {
		if i > 0 {
			b.breakRow()
		}
		b.filled = min(b.column+width, b.width)
		b.space = 0 // it is not broken at the blanks before it
		b.add(" ", style, "")
		if reader == nil {
			b.add(line, style, "")
			continue
		}
		for _, s := range reader.Line(line) {
			b.add(s.Text, b.styles.Of(s.Style), "")
		}
	}
}

// line adds a line that is not code.
func (b *layout) line(line string) {
	block, n := markup.Line(line)
	sign, rest := line[:n], line[n:]
	var spans []markup.Span
	switch block {
	case markup.Quotation:
		if b.lines {
			sign = "▎ "
		}
		b.add(sign, b.styles.Of(theme.Rule), "")
		b.hangBelow(sign, b.styles.Of(theme.Rule))
	case markup.Bullet:
		if b.lines {
			sign = sign[:n-len("- ")] + "• "
		}
		fallthrough
	case markup.Numbered:
		b.add(sign, "", "")
		b.hangBelow(strings.Repeat(" ", displaywidth.String(sign)), "")
	}
	spans = markup.Parse(rest, b.keepSigns)
	for _, s := range spans {
		if s.Style != theme.Code && s.Link == "" {
			s.Text = markup.Emojis(s.Text)
		}
		switch {
		case s.Style != theme.Text:
		case b.mention:
			s.Style = theme.Mention
		case block == markup.Quotation:
			s.Style = theme.Quote
		}
		b.add(s.Text, b.styles.Of(s.Style), s.Link)
	}
}

// hangBelow has the rows that the line goes on in begin with sign, if there is room for that.
func (b *layout) hangBelow(sign, style string) {
	if b.width-b.indent < minHang {
		return
	}
	b.space = 0 // the text is not broken before its first word
	for _, r := range sign {
		b.hang = append(b.hang, cell{text: string(r), style: style, width: 1})
	}
	b.hang = slices.Clip(b.hang)
}
