package view

import (
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/alert"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/output"
)

// Plain is the UI for any terminal, and for screen readers: lines that scroll by, and one row at the bottom to type into. It
// sends no escape sequences but those of notifications, so it works with TERM=dumb, and a screen reader reads each line once.
type Plain struct {
	plainRenderer
	shared   *Lines
	since    time.Time // when the session began: older messages do not ring
	ringing  bool
	complete func(string, int) (int, []string)
	rows     int

	keyboard
	prompt   []byte
	viewport viewport
	row      row
	stale    bool // the row must be updated
	closed   bool // Close was called
	terminalOutput
}

// plainRenderer writes messages as lines of text.
type plainRenderer struct {
	me          chat.Name
	find        Find
	filter      func() *chat.Filter
	preferences Preferences
	format      format        // of messages
	hash        uint64        // of the format
	cols        int           // cells a row may have: one less than the terminal is wide
	room        chat.RoomName // the one typed into: its messages do not name it
	scratch     []byte
}

// minTyped is how many cells of a row a prompt leaves at least for typing.
const minTyped = 10

// NewPlain returns a UI that shows no prompt before Enter or Ask.
func NewPlain(o Options) *Plain {
	p := &Plain{complete: o.Complete, since: o.Since, shared: o.Lines}
	p.me, p.find, p.filter, p.keys.Bound = o.Me, o.Find, o.Filter, boundOnPlain
	p.Set(o.Preferences)
	p.Resize(o.Width, o.Height)
	return p
}

// Set implements Display. A plain terminal has times and a bell, and no themes.
func (p *Plain) Set(set Preferences) {
	if set.Zone == nil {
		set.Zone = time.UTC
	}
	if set.Clock == "" {
		set.Clock = "15:04"
	}
	p.preferences = set
	p.format = format{kind: KindPlain, zone: set.Zone.String(), clock: set.Clock}
	p.hash = p.format.hash()
}

// Rooms implements Display: a plain terminal has no bar.
func (p *Plain) Rooms([]Room) {}

// Show implements Display.
func (p *Plain) Show(_, text string) { p.Print(text) }

// Following implements Display: whether anybody reads lines that scroll by is unknown.
func (p *Plain) Following() bool { return false }

// Clear implements Display: it scrolls the text out of sight.
func (p *Plain) Clear() {
	p.row.erase(&p.output)
	for range p.rows {
		p.output.Newline()
	}
	p.stale = true
}

// Deliver implements Display.
func (p *Plain) Deliver(spans []chat.Span) {
	chat.Spans(spans).InOrder(p.gap, p.entry)
}

func (p *Plain) gap(s *chat.Span) {
	p.writeAbove(gapText(s, p.me)+": they came faster than this terminal could show them", "")
}

// entry shows an entry of a log.
func (p *Plain) entry(m *chat.Message) {
	switch m.Kind {
	case chat.Say, chat.Me, chat.Notice, chat.PresenceChange:
		p.message(m)
		p.ringing = p.ringing || m.At.After(p.since) && alert.Wants(p.preferences.Bell, m, p.me, filterOf(p.filter))
	case chat.React:
		if !m.Deleted {
			p.reaction(m)
		}
	case chat.Joined:
		p.writeAbove("-- you are now in ", m.Room.For(p.me))
	case chat.Parted:
		p.writeAbove("-- you are no longer in ", m.Room.For(p.me))
	}
}

// reaction says who reacted to what. That it is taken back is no news.
func (p *Plain) reaction(m *chat.Message) {
	head := "-- "
	if p.elsewhere(m) {
		head += m.Room.For(p.me) + ": "
	}
	p.writeAbove(head, m.From.String()+" reacted with "+m.Text.String()+" to "+p.find.quote(m.Room, m.Of, p.me))
}

// message shows a message above the input row.
func (p *Plain) message(m *chat.Message) {
	p.output.Open()
	p.row.erase(&p.output)
	p.stale = true
	if m.Of > 0 { // what it quotes is not everybody's to see
		p.write(&p.output, m)
		return
	}
	key := encodedKey{order: m.DisplaySeq, width: p.cols, variant: p.mentionVariant(m) | roomVariant(m, p.me, p.room), format: p.format}
	if e := p.shared.line(&key, p.hash, m, p.write); e != nil {
		p.output.Append(e.bytes)
		return
	}
	p.write(&p.output, m)
}

// mentionVariant reports how m mentions the person, outside direct rooms.
func (p *plainRenderer) mentionVariant(m *chat.Message) variant {
	switch {
	case m.Room.IsDirect() || !filterOf(p.filter).Mentions(m, p.me):
		return 0
	case m.Mentions(p.me):
		return variantMention
	}
	return variantHighlight
}

// elsewhere reports whether m is of another room than the current one.
func (p *plainRenderer) elsewhere(m *chat.Message) bool { return m.Room != p.room && !m.Room.IsZero() }

// write writes a message with its time, and and with its room if that is not the current one.
func (p *plainRenderer) write(w *output.Buffer, m *chat.Message) {
	var buf [128]byte // a time, a room and a name fit
	head := buf[:0]
	if !m.Kind.Stored() {
		head = append(head, "-- "...)
		if p.elsewhere(m) {
			head = append(m.Room.AppendFor(head, p.me), ": "...)
		}
		p.writeLines(w, head, m.Text.String())
		return
	}
	if p.preferences.Clock != "off" {
		head = append(m.At.In(p.preferences.Zone).AppendFormat(head, p.preferences.Clock), ' ')
	}
	if p.elsewhere(m) {
		head = append(m.Room.AppendFor(head, p.me), ' ')
	}
	switch p.mentionVariant(m) {
	case variantMention:
		head = append(head, "(to you) "...)
	case variantHighlight:
		head = append(head, "(highlight) "...)
	}
	if m.Kind == chat.Me {
		head = append(append(append(head, "* "...), m.From.String()...), ' ')
	} else {
		head = append(head, m.From.String()...)
		if m.Of > 0 {
			head = append(append(head, " replies to "...), p.find.quote(m.Room, m.Of, p.me)...)
		}
		head = append(head, ": "...)
	}
	p.writeLines(w, head, m.Text.String())
}

// gapText says how much of a room was skipped.
func gapText(s *chat.Span, me chat.Name) string {
	return "-- " + text.Count(s.Gap.Count(), "message") + " in " + s.Room.For(me) + " not shown"
}

// Print implements Display.
func (p *Plain) Print(text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		p.writeAbove("", line)
	}
}

// Fail implements Display.
func (p *Plain) Fail(text string) { p.writeAbove("! ", text) }

// writeAbove writes a text above the input row.
func (p *Plain) writeAbove(head, text string) {
	p.row.erase(&p.output)
	p.stale = true
	p.writeLines(&p.output, []byte(head), text)
}

// writeLines writes head and text. All rows but the first are indented, so that no text can imitate a line of the server or
// of another person.
func (p *plainRenderer) writeLines(w *output.Buffer, head []byte, said string) {
	in := min(indent, p.cols-1)
	b := append(p.scratch[:0], head...)
	for line := range strings.SplitSeq(said, "\n") {
		b = text.AppendPrintable(b, line, false)
		first := true
		for row := range wrap(b, p.cols, p.cols-in) {
			if !first {
				w.Spaces(in)
			}
			w.Text(row)
			w.Newline()
			first = false
		}
		b = append(b[:0], "  "[:in]...)
	}
	p.scratch = b[:0]
}

// Resize implements Display.
func (p *Plain) Resize(width, height int) {
	width, p.rows = size(width, height)
	p.cols = width - 1
	if cells(p.row.shown) > p.cols {
		// The terminal has cut or wrapped the row: which is unknown, so it is left behind.
		p.row.commit(&p.output)
	}
	p.setPrompt()
}

// Enter implements Display.
func (p *Plain) Enter(room chat.RoomName) {
	if room == p.room {
		return
	}
	p.input.enter(p.room, room)
	p.room = room
	p.setPrompt()
}

// setPrompt makes the prompt, shortened if there is no room for it.
func (p *Plain) setPrompt() {
	p.stale = true
	if p.input.question != nil {
		p.prompt = []byte(p.input.question.prompt)
	} else if !p.room.IsZero() {
		p.prompt = append([]byte(p.room.For(p.me)), "> "...)
	}
	if cells(p.prompt)+minTyped > p.cols {
		p.prompt = []byte("> ")
	}
	if len(p.prompt)+hiddenRoom > p.cols {
		p.prompt = nil
	}
}

// Ask implements Display.
func (p *Plain) Ask(question string, echo bool) {
	p.input.ask(echo)
	lead, last := "", question
	if i := strings.LastIndexByte(question, '\n'); i >= 0 {
		lead, last = question[:i], question[i+1:]
	}
	if len(last)+1+minTyped > p.cols {
		lead, last = question, ">"
	}
	if lead != "" {
		p.Print(lead)
	}
	p.input.question.prompt = asShown(last)
	p.setPrompt()
}

// asShown is a question as the row shows it, with a space after it.
func asShown(question string) string {
	l := editor.NewLine(text.AppendPrintable(nil, strings.TrimRight(question, " "), false))
	var all viewport
	b, _ := all.draw(nil, &l, MaxWidth)
	return string(append(b, ' '))
}

// answered ends the question and returns to what was being typed.
func (p *Plain) answered() {
	p.input.answered()
	p.setPrompt()
}

// Pending implements Output.
func (p *Plain) Pending() bool { return p.output.Len() > 0 || p.ringing || p.stale && p.active() }

// active reports whether there is a prompt.
func (p *Plain) active() bool { return !p.closed && (!p.room.IsZero() || p.input.question != nil) }

// Flush implements Output.
func (p *Plain) Flush() []byte {
	p.output.Open()
	if p.stale && p.active() {
		want, cursor := p.compose()
		p.row.update(&p.output, want, cursor)
		p.scratch = want[:0]
	}
	if p.ringing {
		p.output.Bell()
	}
	p.stale, p.ringing = false, false
	if cap(p.scratch) > keepScratch {
		p.scratch = nil
	}
	return p.output.Take()
}

// keepScratch is how many bytes of scratch memory an idle UI keeps.
const keepScratch = 1 << 10

// compose returns what the row should show, in scratch, and the cursor's column.
func (p *Plain) compose() (want []byte, cursor int) {
	want = append(p.scratch[:0], p.prompt...)
	if p.input.searching() {
		want = append(p.scratch[:0], p.input.searchPrompt(p.cols)...)
	}
	column := cells(want)
	if p.input.edit.Secret {
		return want, column
	}
	room := p.cols - column
	p.viewport.fit(&p.input.edit.Line, room)
	want, cursor = p.viewport.draw(want, &p.input.edit.Line, room)
	return want, column + cursor
}

// Close implements Output.
func (p *Plain) Close() {
	if p.closed {
		return
	}
	if len(p.input.edit.Text) > 0 || p.input.question != nil {
		p.row.commit(&p.output)
	} else {
		p.row.erase(&p.output)
	}
	p.closed = true
}
