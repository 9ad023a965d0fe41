package view

import (
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/theme"
)

// In the aligned layout the names stand in a column of their own, with a rule beside it that goes down the screen:
//
//	12:34     ann │ what was said, and where it
//	              │ takes a second row
//	12:35         │ and said next, by the same person
//
// In the compact layout, and where there is no room for columns, a message begins "12:34 ann: ".
const (
	minAligned = 59 // cells of a row: a terminal of 60 columns
	maxTurn    = 5  // minutes between two messages of one turn
	nameEvery  = 16 // messages: the name is there again, for who has not seen where a long turn began
)

// nameColumn is how many cells the column of the names has in rows of width cells; 0 where the layout is compact.
func (p *renderer) nameColumn(width int) int {
	switch {
	case !p.aligned || width < minAligned:
		return 0
	case width < 79:
		return 8
	case width < 99:
		return 10
	}
	return 12
}

// turn is what a message is to the one below it: who said it, and when. In the zero turn nobody did.
type turn struct {
	from   chat.Name
	minute int32 // since 1970
}

func turnOf(m *chat.Message) turn {
	if m.Kind != chat.Say {
		return turn{}
	}
	return turn{m.From, minuteOf(m)}
}

func minuteOf(m *chat.Message) int32 { return int32(m.At.Unix() / 60) }

// variant is what m is to the person who is shown it, below what is above. The name is left out if the same person goes on
// within maxTurn, and the time if the minute is the same.
func (p *renderer) variant(m *chat.Message, width int, above turn) variant {
	v := variant(0)
	if !m.Room.IsDirect() && p.options.filter().Mentions(m, p.options.Me) {
		v = variantMention
	}
	if above.from != m.From || m.Kind != chat.Say || m.Seq%nameEvery == 0 || p.nameColumn(width) == 0 {
		return v
	}
	minute := minuteOf(m)
	if minute < above.minute || minute > above.minute+maxTurn {
		return v
	}
	v |= variantContinued
	if minute == above.minute {
		v |= variantSameTime
	}
	return v
}

// ruler is what lines are drawn with.
type ruler struct{ across, down, crossing string }

func (p *renderer) ruler() ruler {
	if p.lines {
		return ruler{"─", "│", "┼"}
	}
	return ruler{"-", "|", "+"}
}

// clockWidth is how many cells the times take, with the blank after them.
func (p *renderer) clockWidth() int {
	if p.clock == "" {
		return 0
	}
	return len(time.Time{}.Format(p.clock)) + 1
}

// columns begins the rows of an aligned layout: what stands in the column of times and in that of names, then the rule.
// A name that is too long for its column is not cut, for nobody must look like somebody else: it moves the rule of its row.
func (b *layout) columns(at, name, nameStyle string) {
	names, rule, down := b.nameColumn(b.width), b.styles.Of(theme.Rule), b.ruler().down
	if b.selected {
		rule, down = b.styles.Of(theme.Mention), ">"
	}
	b.add(at, b.styles.Of(theme.Time), "")
	b.blanks(b.clockWidth() + max(0, names-displaywidth.String(name)) - b.column)
	b.add(name, nameStyle, "")
	b.add(" ", "", "")
	b.add(down, rule, "")
	b.add(" ", "", "")
	if displaywidth.String(name) <= names {
		b.space = 0 // a word that is too long for this row is too long for the next one, too
	}
	b.rule = cell{text: down, style: rule, width: 1}
	b.indent = b.clockWidth() + names + len(" | ")
}

var blank = cell{text: " ", width: 1}

// blanks adds n of them.
func (b *layout) blanks(n int) {
	for range n {
		b.add(" ", "", "")
	}
}

// note makes the rows of a text that is no message, as it stands among messages. What it begins with, like "-- " or "! ",
// is in the column of the names where there is one.
func (p *renderer) note(said string, style theme.Style, width int) []string {
	whole, sign := said, ""
	for _, s := range []string{"--", "!"} {
		if rest, ok := strings.CutPrefix(said, s+" "); ok {
			sign, said = s, rest
			break
		}
	}
	compact := p.nameColumn(width) == 0
	if compact && sign == "" {
		return p.text(whole, style, width)
	}
	b := p.layout(width)
	if compact {
		b.indent = min(indent, width/4)
		b.plain(whole, style)
		return b.end()
	}
	b.columns("", sign, p.styles.Of(style))
	b.plain(said, style)
	return b.end()
}

// divider is a row with a line across it, and what it says.
func (p *renderer) divider(style theme.Style, said string, width int) string {
	r := p.ruler()
	var b strings.Builder
	if names := p.nameColumn(width); names > 0 {
		b.WriteString(strings.Repeat(r.across, p.clockWidth()+names+1) + r.crossing + r.across)
	} else {
		b.WriteString(strings.Repeat(r.across, 2))
	}
	b.WriteString(" " + said + " ")
	left := width - displaywidth.String(b.String())
	b.WriteString(strings.Repeat(r.across, max(0, left)))
	return p.in(style, fitRow(b.String(), width))
}
