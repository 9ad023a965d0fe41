package view

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/markup"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// renderer makes rows of messages for one session's screen. It is never changed, and small: its styles are shared.
type renderer struct {
	options  *Options       // of the session
	format                  // its clock is empty for no times
	hash     uint64         // of the format
	location *time.Location // of the format's zone
}

func newRenderer(o *Options, set Preferences) *renderer {
	p := &renderer{options: o, location: time.UTC}
	p.kind, p.clock, p.links = KindFull, "15:04", output.KnowsLinks(o.Term)
	colors := output.Profile(o.Term, o.ColorTerm, o.NoColor)
	p.styles = theme.For(set.Theme, colors)
	p.keepSigns = !p.styles.Colored()
	p.aligned = !set.Compact
	p.lines = p.styles.Colored() && !o.ASCII && output.HasLines(o.Term)
	if set.Zone != nil {
		p.location = set.Zone
	}
	switch set.Clock {
	case "":
	case "off":
		p.clock = ""
	default:
		p.clock = set.Clock
	}
	p.zone = p.location.String()
	p.hash = p.format.hash()
	return p
}

// in returns text in a style, with the default style after it.
func (p *renderer) in(part theme.Style, text string) string {
	begin := p.styles.Of(part)
	if begin == "" {
		return text
	}
	return begin + text + plainStyle
}

// appendIn appends what in returns.
func (p *renderer) appendIn(dst []byte, part theme.Style, text []byte) []byte {
	begin := p.styles.Of(part)
	dst = append(append(dst, begin...), text...)
	if begin != "" {
		dst = append(dst, plainStyle...)
	}
	return dst
}

const plainStyle = "\x1b[m"

// day is the separator above the first message of a day.
func (p *renderer) day(at time.Time) string {
	return at.In(p.location).Format("Monday, 2 January 2006, MST")
}

// message makes the rows of a message, of at most width cells each. Every row begins and ends in the default style.
func (p *renderer) message(m *chat.Message, width int, v variant, with beside) []string {
	if !m.Kind.Stored() {
		return p.notice(m, width)
	}
	b := p.layout(width)
	b.selected = v&variantSelected != 0
	if p.nameColumn(width) > 0 {
		b.alignedHead(m, v)
	} else {
		b.compactHead(m)
	}
	if m.Deleted {
		b.add("(deleted)", p.styles.Of(theme.Time), "")
		return b.end()
	}
	if with.quote != "" {
		sign := "> "
		if p.lines {
			sign = "╭ "
		}
		b.plain(sign+fitRow(with.quote, max(1, width-b.column-len("> "))), theme.Quote)
		b.breakRow()
	}
	b.mention = v&variantMention != 0
	b.markup(m.Text.String())
	if m.Edited {
		b.add(" (edited)", p.styles.Of(theme.Time), "")
	}
	if with.reactions != "" {
		b.breakRow()
		b.plain(with.reactions, theme.Time)
	}
	return b.end()
}

// notice makes the rows of what a room is shown and does not store.
func (p *renderer) notice(m *chat.Message, width int) []string {
	style := theme.Notice
	if m.Kind == chat.PresenceChange {
		style = theme.Presence
	}
	said := "-- " + m.Text.String()
	if p.nameColumn(width) > 0 {
		return p.note(said, style, width)
	}
	b := p.layout(width)
	b.indent = min(indent+1, width/4)
	b.plain(said, style)
	return b.end()
}

// alignedHead adds what stands beside a message: when it was said and by whom, as far as the message above does not show it.
func (b *layout) alignedHead(m *chat.Message, v variant) {
	at, name, style := "", m.From.String(), b.nameStyle(m)
	if b.clock != "" && v&variantSameTime == 0 {
		at = m.At.In(b.location).Format(b.clock)
	}
	switch {
	case v&variantContinued != 0:
		name = ""
	case m.Kind == chat.Me && !m.Deleted:
		b.columns(at, "*", style)
		b.add(name, style, "")
		b.add(" ", "", "")
		return
	}
	b.columns(at, name, style)
}

// nameStyle is the style of the name of who said m.
func (p *renderer) nameStyle(m *chat.Message) string {
	return p.styles.Name(m.From.String(), int(m.Color))
}

// compactHead adds what stands before a message.
func (b *layout) compactHead(m *chat.Message) {
	if b.selected {
		b.add("> ", b.styles.Of(theme.Mention), "")
	}
	if b.clock != "" {
		b.add(m.At.In(b.location).Format(b.clock)+" ", b.styles.Of(theme.Time), "")
	}
	b.indent = min(b.column, b.width/4)
	end := ": "
	if m.Kind == chat.Me && !m.Deleted {
		b.add("* ", "", "")
		end = " "
	}
	b.add(m.From.String(), b.nameStyle(m), "")
	b.add(end, "", "")
}

// text makes rows of a text that is no message, all of it in one part's style. What a row has no room for goes on below the
// first word of its line, or further right.
func (p *renderer) text(said string, part theme.Style, width int) []string {
	var rows []string
	for line := range strings.SplitSeq(said, "\n") {
		b := p.layout(width)
		b.indent = min(max(indent, len(line)-len(strings.TrimLeft(line, " "))), width/4)
		b.add(line, b.styles.Of(part), "")
		rows = append(rows, b.end()...)
	}
	return rows
}

// layout lays out clusters in rows: at words where it can, never past the width.
type layout struct {
	*renderer
	width, indent int
	rule          cell   // what stands beside the names in all rows but the first, before the last blank of indent; its width is 0 for none
	hang          []cell // of the rows that a line goes on in, after indent; nil for nothing
	fill          string // the style that rows are filled with, up to filled; empty for none
	filled        int    // the column after the last that is filled
	mention       bool   // plain text is shown as a mention
	selected      bool   // it is marked

	rows   []string
	row    []cell // of the row being filled; back to room by end
	room   *[]cell
	column int
	space  int // in row: after the last blank a row may end at; 0 for none
}

// rowsOfCells are where rows are laid out: a row has some kilobytes while it is under way.
var rowsOfCells = sync.Pool{New: func() any { return new([]cell) }}

// layout begins the layout of a text, which end ends.
func (p *renderer) layout(width int) layout {
	room := rowsOfCells.Get().(*[]cell)
	return layout{renderer: p, width: width, row: *room, room: room}
}

// cell is a grapheme cluster that is laid out.
type cell struct {
	text  string
	style string // the sequence that begins it
	link  string
	width int
}

// plain adds a text without markup, in one style.
func (b *layout) plain(said string, style theme.Style) {
	b.addLines(said, func(line string) []markup.Span { return []markup.Span{{Text: line, Style: style}} })
}

// addLines adds the lines of a text, each read by read.
func (b *layout) addLines(text string, read func(line string) []markup.Span) {
	first := true
	for line := range strings.SplitSeq(text, "\n") {
		if !first {
			b.breakRow()
		}
		first = false
		for _, s := range read(line) {
			b.add(s.Text, b.styles.Of(s.Style), s.Link)
		}
	}
}

// add lays out text in a style.
func (b *layout) add(said, style, link string) {
	for g := displaywidth.StringGraphemes(said); g.Next(); {
		c := cell{text: g.Value(), style: style, link: link, width: g.Width()}
		if !text.IsPrintable(c.text) {
			c.text = string(text.AppendPrintable(nil, c.text, false))
		}
		if c.width > b.width-b.indent-len(b.hang) {
			c.text, c.width = "?", 1
		}
		if b.column+c.width > b.width {
			b.wrap(c.text == " ")
			if c.text == " " {
				continue // the end of the row replaces it
			}
			if b.column+c.width > b.width { // what was carried over fills the row
				b.breakRow()
			}
		}
		b.row = append(b.row, c)
		b.column += c.width
		if c.text == " " {
			b.space = len(b.row)
		}
	}
}

// wrap ends a full row: after its last blank, or here if there is none or the word after it is too long.
func (b *layout) wrap(atBlank bool) {
	carry := 0
	if !atBlank && b.space > 0 {
		carry = len(b.row) - b.space
	}
	rest := slices.Clone(b.row[len(b.row)-carry:])
	wide := b.indent + len(b.hang)
	for _, c := range rest {
		wide += c.width
	}
	if wide >= b.width { // a word as long as a row: no use in moving it
		rest = nil
		carry = 0
	}
	b.row = b.row[:len(b.row)-carry]
	b.breakRow()
	for _, c := range rest {
		b.row = append(b.row, c)
		b.column += c.width
	}
}

// breakRow ends the row and begins the next, indented.
func (b *layout) breakRow() {
	b.rows = append(b.rows, b.render())
	b.row, b.column, b.space = b.row[:0], 0, 0
	for range b.indent {
		b.row = append(b.row, blank)
	}
	if b.rule.width > 0 {
		b.row[b.indent-2] = b.rule
	}
	b.row = append(b.row, b.hang...)
	b.column = b.indent + len(b.hang)
}

// end returns the rows. Nothing of the text stays where it was laid out.
func (b *layout) end() []string {
	rows := append(b.rows, b.render())
	clear(b.row[:cap(b.row)])
	*b.room = b.row[:0]
	rowsOfCells.Put(b.room)
	return rows
}

// render returns the current row, without blanks at its end.
func (b *layout) render() string {
	if b.fill != "" {
		for ; b.column < b.filled; b.column++ {
			b.row = append(b.row, cell{text: " ", style: b.fill, width: 1})
		}
	}
	row := b.row
	for len(row) > 0 && row[len(row)-1].text == " " && row[len(row)-1].link == "" && (b.fill == "" || row[len(row)-1].style != b.fill) {
		row = row[:len(row)-1]
	}
	var out strings.Builder
	style, link := "", ""
	for _, c := range row {
		if c.link != link {
			out.WriteString(b.toLink(c.link))
			link = c.link
		}
		if c.style != style {
			if style != "" {
				out.WriteString(plainStyle)
			}
			out.WriteString(c.style)
			style = c.style
		}
		out.WriteString(c.text)
	}
	if style != "" {
		out.WriteString(plainStyle)
	}
	if link != "" {
		out.WriteString(b.toLink(""))
	}
	return out.String()
}

// toLink begins a link, or ends the one before. The pieces of a link that spans several rows have one id,
// so that terminals treat them as one link.
func (b *layout) toLink(to string) string {
	switch {
	case !b.links:
		return ""
	case to == "":
		return output.LinkStart + ";" + output.StringEnd
	}
	h := fnv.New32a()
	h.Write([]byte(to))
	return fmt.Sprintf("%sid=%x;%s%s", output.LinkStart, h.Sum32(), to, output.StringEnd)
}
