package view

import (
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// Full is the UI of a whole screen: a line with the room's topic, its messages, a bar with the rooms, and a box to
// type into. It keeps no messages: a frame is drawn from the rooms' past, as far back as the screen reaches, and only its
// difference from what the terminal shows is written.
type Full struct {
	options     Options
	renderer    *renderer
	preferences Preferences
	cols, rows  int // of the terminal

	keyboard
	messages scrollback
	bars     bars
	overlay  *overlay
	room     chat.RoomName
	last     string // the command typed last: the title of its answer

	screen  screen
	end     roomEnd   // of what the screen shows
	added   *arrivals // messages that arrived since and are not shown; nil if there are none
	stale   bool      // the screen must be redrawn; added is ignored then
	ringing bool
	closed  bool
	terminalOutput
}

// NewFull returns a UI that takes the terminal over at its first Flush.
func NewFull(o Options) *Full {
	f := &Full{options: o}
	f.keys.Bound = boundOnScreen
	f.messages.options = &f.options
	f.messages.find = o.Find
	f.bars.me, f.bars.server = o.Me, o.Server
	f.screen.hasTitle = output.HasTitle(o.Term)
	f.Set(o.Preferences)
	f.Resize(o.Width, o.Height)
	return f
}

// Set implements Display.
func (f *Full) Set(p Preferences) {
	f.preferences = p
	f.renderer = newRenderer(&f.options, p)
	f.messages.renderer, f.bars.renderer, f.bars.away = f.renderer, f.renderer, p.Away
	f.stale = true
	f.bars.invalidate()
}

// Rooms implements Display. A change of another room changes only the bar.
func (f *Full) Rooms(rooms []Room) {
	f.bars.set(rooms)
	f.layout()
	f.stale = f.messages.setRoom(f.bars.shownRoom()) || f.stale
}

// Enter implements Display.
func (f *Full) Enter(room chat.RoomName) {
	if room == f.room {
		return
	}
	f.input.enter(f.room, room)
	f.bars.before = f.room
	f.room, f.bars.room = room, room
	f.bars.invalidate()
	f.overlay = nil
	f.layout()
	f.messages.enter(f.bars.shownRoom())
	f.stale = true
}

// note shows text to this person alone, after what the room shows now.
func (f *Full) note(room chat.RoomName, p theme.Style, text string) {
	f.messages.note(room, p, text)
	f.stale = true
}

// longAnswer is how many rows an answer among the messages may have; a longer one is shown over them.
const longAnswer = 3

// Print implements Display.
func (f *Full) Print(text string) {
	text = strings.TrimRight(text, "\n")
	if len(f.renderer.note(text, theme.Notice, f.messages.width)) > longAnswer && f.input.question == nil {
		f.Show(f.last, text)
		return
	}
	f.note(f.room, theme.Notice, text)
}

// Fail implements Display.
func (f *Full) Fail(text string) { f.note(f.room, theme.Error, "! "+strings.TrimRight(text, "\n")) }

// Show implements Display.
func (f *Full) Show(title, text string) {
	f.overlay = &overlay{title: title, text: strings.TrimRight(text, "\n")} // the last line has an end, and no row after it
	f.stale = true
}

// Ask implements Display.
func (f *Full) Ask(prompt string, echo bool) {
	f.input.ask(echo)
	if lead, last, ok := cutLast(prompt); ok {
		f.note(f.room, theme.Notice, lead)
		prompt = last
	}
	f.input.question.prompt = string(text.AppendPrintable(nil, strings.TrimRight(prompt, " "), false)) + " "
	f.overlay, f.stale = nil, true
}

// cutLast cuts off the last line.
func cutLast(s string) (lead, last string, ok bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 {
		return "", s, false
	}
	return s[:i], s[i+1:], true
}

// Resize implements Display.
func (f *Full) Resize(width, height int) {
	width, height = size(width, height)
	if width == f.cols && height == f.rows {
		return
	}
	f.cols, f.rows = width, height
	f.bars.width = f.width()
	f.layout()
	f.screen.forget()
	f.stale = true
	f.bars.invalidate()
}

// width is how many cells of a row are used: all but the last column, in which terminals differ. Messages have less of them
// beside a pane.
func (f *Full) width() int { return f.cols - 1 }

// Clear implements Display. The room's messages are hidden until the person scrolls up.
func (f *Full) Clear() {
	f.messages.clear()
	f.overlay, f.stale = nil, true
	f.screen.forget()
}

// Following implements Display.
func (f *Full) Following() bool { return f.messages.following() && f.overlay == nil }

// Pending implements Output.
func (f *Full) Pending() bool {
	return f.stale || f.added != nil || f.ringing || f.output.Len() > 0 || !f.closed && !f.bars.current()
}

// Flush implements Output.
func (f *Full) Flush() []byte {
	switch {
	case f.closed:
	case f.stale || !f.bars.current() && (barHint(f) != "" || f.input.choosing()):
		fr := f.compose()
		f.screen.draw(&f.output, fr, f.preferences.Mouse)
		f.end = fr.end
	case f.added != nil || !f.bars.current():
		f.drawChanges()
	}
	if f.ringing && !f.closed {
		f.output.Open()
		f.output.Bell()
	}
	f.added = f.added.release()
	f.stale, f.ringing = false, false
	return f.output.Take()
}

// drawChanges writes new messages and changed bars, without a new frame.
func (f *Full) drawChanges() {
	start := f.output.BeginFrame()
	if f.added != nil {
		f.end.rows = f.screen.add(&f.output, f.added.messages, f.end.rows)
	}
	if !f.bars.current() {
		f.bars.update(f.messages.position.order > 0, f.bars.below) // a message below would be a new frame
		if f.rows >= rowsForTopic {
			f.screen.setRow(&f.output, 0, f.bars.topic, rowHash(f.bars.topic))
		}
		if f.rows >= rowsForBar {
			f.screen.setRow(&f.output, f.screen.bottom, f.bars.status, rowHash(f.bars.status))
		}
		f.screen.setTitle(&f.output, f.bars.title)
		f.screen.setPane(paneOf(f, f.screen.top, f.screen.bottom-f.screen.top))
		f.screen.pane.draw(&f.output)
	}
	f.output.EndFrame(start, f.screen.row, f.screen.column)
}

// Close implements Output. Notes that were not shown yet are written after the screen is restored.
func (f *Full) Close() {
	if f.closed {
		return
	}
	f.closed, f.stale = true, true
	f.screen.restore(&f.output)
	for _, n := range f.messages.notes.undrawn {
		for _, row := range f.renderer.text(n.text, n.style, f.width()) {
			f.output.Styled(row)
			f.output.Newline()
		}
	}
}

// How small a screen may be for each row around the messages.
const (
	rowsForTopic = 7 // a terminal of fewer rows has no topic line
	rowsForBar   = 3 // nor a bar
)

// compose makes the frame of the current state.
func (f *Full) compose() frame {
	box, row, column := f.input.box(f.renderer, f.width(), f.rows)
	choices := f.input.choices(f.renderer, f.width(), areaHeight(f.rows, len(box)))
	area := areaHeight(f.rows, len(box)) - len(choices)
	f.messages.scroll(area)
	f.bars.update(f.messages.position.order > 0, f.messages.below())
	fr := frame{rows: make([]string, 0, f.rows), column: column, title: f.bars.title}
	if f.rows >= rowsForTopic {
		fr.rows = append(fr.rows, f.bars.topic)
	}
	fr.top, fr.bottom = len(fr.rows), len(fr.rows)+area
	fr.pane = paneOf(f, fr.top, area)
	if f.overlay != nil {
		news := f.messages.notes.unseen(f.renderer, f.messages.width, min(longAnswer, area/2))
		fr.rows = append(fr.rows, f.overlay.draw(f.renderer, f.messages.width, area-len(news))...)
		fr.rows = append(fr.rows, news...)
	} else {
		var rows []string
		rows, fr.end = f.messages.draw(area)
		fr.rows = append(fr.rows, rows...)
		f.messages.notes.drawn()
	}
	fr.rows = append(fr.rows, choices...)
	switch hint := barHint(f); {
	case f.rows < rowsForBar:
	case hint != "":
		fr.rows = append(fr.rows, f.renderer.in(theme.Title, pad(hint, f.width())))
	default:
		fr.rows = append(fr.rows, f.bars.status)
	}
	fr.row = len(fr.rows) + row
	fr.rows = append(fr.rows, box...)
	return fr
}

// barHint is what the bar says instead, while keys do something else than usual; empty if they do not.
func barHint(f *Full) string {
	if hint := f.input.hint(f.width()); hint != "" {
		return hint
	}
	if f.messages.selecting() && f.overlay == nil {
		return f.messages.selectionHint()
	}
	return ""
}

// areaHeight is how many rows the messages have, on a screen of so many rows, beside an input of so many.
func areaHeight(screen, input int) int {
	area := screen - input
	if screen >= rowsForTopic {
		area--
	}
	if screen >= rowsForBar {
		area--
	}
	return max(area, 0)
}
