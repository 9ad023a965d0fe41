package view

import (
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Plain is the UI for any terminal, and for ears: lines that scroll by, and one row at the bottom that is typed
// into. It sends no escape sequence, so it works where TERM is dumb, and a screen reader hears each line once.
type Plain struct {
	me       chat.Name
	look     Look
	format   format // of messages
	hash     uint64 // of the format
	shared   *Lines
	since    time.Time // of what was said before no bell rings
	ringing  bool
	complete func(string, int) (int, []string)
	cols     int // cells a row may have: one less than the terminal is wide
	rows     int

	keys  decoder
	input composer
	room  chat.RoomName

	prompt  []byte
	window  window
	row     row
	stale   bool // the row does not show what it should
	left    bool // Leave was called
	out     wire
	scratch []byte
}

// How much of a row the prompt leaves to what is typed, in cells, at the least.
const minTyped = 10

// NewPlain returns a UI that shows nothing until it is told to.
func NewPlain(o Options) *Plain {
	p := &Plain{me: o.Me, complete: o.Complete, since: o.Since, shared: o.Lines, keys: decoder{bound: bound}}
	p.Set(o.Look)
	p.Resize(o.Width, o.Height)
	return p
}

// Set implements Display. Of a look only the times and the bell are a plain terminal's.
func (p *Plain) Set(l Look) {
	if l.Zone == nil {
		l.Zone = time.UTC
	}
	if l.Clock == "" {
		l.Clock = "15:04"
	}
	p.look = l
	p.format = format{kind: KindPlain, zone: l.Zone.String(), clock: l.Clock}
	p.hash = p.format.hash()
}

// Rooms implements Display: a plain terminal has no bar.
func (p *Plain) Rooms([]Room) {}

// Show implements Display.
func (p *Plain) Show(_, text string) { p.Print(text) }

// Following implements Display: what was written went by, whichever room it was in.
func (p *Plain) Following() bool { return false }

// Clear implements Display: what was shown goes up and out of sight.
func (p *Plain) Clear() {
	p.row.erase(&p.out)
	for range p.rows {
		p.out.newline()
	}
	p.stale = true
}

// Deliver implements Display.
func (p *Plain) Deliver(spans []chat.Span) {
	chat.Spans(spans).InOrder(p.missed, p.happened)
}

func (p *Plain) missed(s *chat.Span) {
	p.above(gapText(s, p.me)+": they came faster than this terminal could show them", "")
}

// happened takes an entry of a log.
func (p *Plain) happened(m *chat.Message) {
	switch m.Kind {
	case chat.Say, chat.Me, chat.Notice, chat.PresenceChange:
		p.message(m)
		p.ringing = p.ringing || p.look.rings(m, p.me) && m.At.After(p.since)
	case chat.Joined:
		p.above("-- you are now in ", m.Room.For(p.me))
	case chat.Parted:
		p.above("-- you are no longer in ", m.Room.For(p.me))
	}
}

// message shows a message above the row that is typed into.
func (p *Plain) message(m *chat.Message) {
	p.out.open()
	p.row.erase(&p.out)
	p.stale = true
	key := encodedKey{order: m.DisplaySeq, width: p.cols, variant: mentionVariant(m, p.me) | roomVariant(m, p.me, p.room), format: p.format}
	if e := p.shared.line(&key, p.hash, m, p.write); e != nil {
		p.out.encoded(e)
		return
	}
	p.write(&p.out, m)
}

// elsewhere reports whether m is of another room than the one that is typed into.
func (p *Plain) elsewhere(m *chat.Message) bool { return m.Room != p.room && !m.Room.IsZero() }

// write writes a message with its time, and with its room where that is not the one typed into.
func (p *Plain) write(w *wire, m *chat.Message) {
	var buf [128]byte // a time, a room and a name fit
	head := buf[:0]
	if !m.Kind.Stored() {
		head = append(head, "-- "...)
		if p.elsewhere(m) {
			head = append(m.Room.AppendFor(head, p.me), ": "...)
		}
		p.lines(w, head, m.Text.String())
		return
	}
	if p.look.Clock != "off" {
		head = append(m.At.In(p.look.Zone).AppendFormat(head, p.look.Clock), ' ')
	}
	if p.elsewhere(m) {
		head = append(m.Room.AppendFor(head, p.me), ' ')
	}
	if !m.Room.IsDirect() && m.Mentions(p.me) {
		head = append(head, "(to you) "...)
	}
	if m.Kind == chat.Me {
		head = append(append(append(head, "* "...), m.From.String()...), ' ')
	} else {
		head = append(append(head, m.From.String()...), ": "...)
	}
	p.lines(w, head, m.Text.String())
}

// gapText tells how much of a room was missed.
func gapText(s *chat.Span, me chat.Name) string {
	return "-- " + text.Count(s.Gap.Count(), "message") + " in " + s.Room.For(me) + " not shown"
}

// Print implements Display.
func (p *Plain) Print(text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		p.above("", line)
	}
}

// Fail implements Display.
func (p *Plain) Fail(text string) { p.above("! ", text) }

// above writes a text above the row that is typed into.
func (p *Plain) above(head, text string) {
	p.row.erase(&p.out)
	p.stale = true
	p.lines(&p.out, []byte(head), text)
}

// lines writes head and text. All rows but the first are indented: whatever the text holds, it cannot look like a line of
// the server's or of somebody else's.
func (p *Plain) lines(w *wire, head []byte, said string) {
	in := min(indent, p.cols-1)
	b := append(p.scratch[:0], head...)
	for line := range strings.SplitSeq(said, "\n") {
		b = text.AppendPrintable(b, line, false)
		first := true
		for row := range wrap(b, p.cols, p.cols-in) {
			if !first {
				w.spaces(in)
			}
			w.text(row)
			w.newline()
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
		// The terminal has cut the row or broken it in two; nobody can tell. It is left behind.
		p.row.leave(&p.out)
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

// setPrompt makes the prompt anew, as long as there is room for it.
func (p *Plain) setPrompt() {
	p.stale = true
	if p.input.asked != nil {
		p.prompt = []byte(p.input.asked.prompt)
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
	p.input.asked.prompt = drawn(last)
	p.setPrompt()
}

// drawn is a question as the row shows it, and a space.
func drawn(question string) string {
	l := newLine(text.AppendPrintable(nil, strings.TrimRight(question, " "), false))
	var all window
	b, _ := all.draw(nil, &l, MaxWidth)
	return string(append(b, ' '))
}

// answered ends the question and returns to what was being typed.
func (p *Plain) answered() {
	p.input.answered()
	p.setPrompt()
}

// Pending implements Output.
func (p *Plain) Pending() bool { return len(p.out.b) > 0 || p.ringing || p.stale && p.live() }

// live reports whether there is something to type at.
func (p *Plain) live() bool { return !p.left && (!p.room.IsZero() || p.input.asked != nil) }

// Flush implements Output.
func (p *Plain) Flush() []byte {
	p.out.open()
	if p.stale && p.live() {
		want, cursor := p.compose()
		p.row.paint(&p.out, want, cursor)
		p.scratch = want[:0]
	}
	if p.ringing {
		p.out.bell()
	}
	p.stale, p.ringing = false, false
	if cap(p.scratch) > keepScratch {
		p.scratch = nil
	}
	return p.out.take()
}

// Done implements Output.
func (p *Plain) Done() { p.out.done() }

// keepScratch is how many bytes of work space an idle UI keeps.
const keepScratch = 1 << 10

// FlushErr implements Output: a terminal has one stream.
func (p *Plain) FlushErr() []byte { return nil }

// compose returns what the row should show, in scratch, and the cursor's column.
func (p *Plain) compose() (want []byte, cursor int) {
	want = append(p.scratch[:0], p.prompt...)
	column := cells(want)
	if p.input.edit.secret {
		return want, column
	}
	room := p.cols - column
	p.window.fit(&p.input.edit.line, room)
	want, cursor = p.window.draw(want, &p.input.edit.line, room)
	return want, column + cursor
}

// Leave implements Output.
func (p *Plain) Leave() {
	if p.left {
		return
	}
	if len(p.input.edit.text) > 0 || p.input.asked != nil {
		p.row.leave(&p.out)
	} else {
		p.row.erase(&p.out)
	}
	p.left = true
}
