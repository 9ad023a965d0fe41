package view

import (
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Full is the face of a whole screen: a line with the room's topic, its messages, a bar with the rooms, and a box that
// is typed into. It keeps no messages: a frame is drawn from the rooms' past, as far back as the screen reaches, and
// written as the difference to what the terminal shows.
type Full struct {
	options    Options
	paint      *paint
	look       Look
	cols, rows int // of the terminal

	keys   decoder
	edit   editor
	drafts drafts
	asked  *inquiry

	rooms   []Room // by their numbers
	slots   slots
	room    chat.RoomName
	cleared map[chat.RoomName]uint64 // the place of the last message that was cleared away, until somebody scrolls up
	unread  uint64                   // Seq of the message that the unread line stands above; 0 for no line
	entered bool                     // the room's line is not decided on yet
	notes   notes
	tail    tail  // the end of the room as it was drawn last
	from    place // what the message area ends with
	pending int   // rows to scroll up, or down where it is negative, in the next frame
	height  int   // rows of messages in the last frame
	overlay *overlay
	last    string // the command typed last: the title of its answer

	screen  screen
	chrome  chrome // the rows around the messages, as they were made last
	stale   bool   // the screen does not show what it should
	ringing bool
	left    bool
	out     wire
}

// inquiry is what Ask asked.
type inquiry struct {
	prompt string
	draft  line // what was being typed when it came
}

// NewFull returns a face that takes the terminal over at its first Flush.
func NewFull(o Options) *Full {
	f := &Full{options: o, keys: decoder{bound: boundOnScreen}}
	f.screen.term = strings.ToLower(o.Term)
	f.Set(o.Look)
	f.Resize(o.Width, o.Height)
	return f
}

// Set implements Face.
func (f *Full) Set(l Look) {
	f.look = l
	f.paint = newPaint(&f.options, l)
	f.stale, f.chrome.made = true, false
}

// Rooms implements Face.
func (f *Full) Rooms(rooms []Room) {
	f.rooms, f.chrome.made = f.slots.arrange(rooms), false
	f.decideUnread()
	f.stale = true
}

// here is the room that is shown, as far as it is known.
func (f *Full) here() Room {
	for _, r := range f.rooms {
		if r.Name == f.room {
			return r
		}
	}
	return Room{Name: f.room}
}

// decideUnread places the unread line above what the person had not read when the room was entered. It stays there
// while marks rise, until the room is entered anew.
func (f *Full) decideUnread() {
	if !f.entered || !slices.ContainsFunc(f.rooms, func(r Room) bool { return r.Name == f.room }) {
		return
	}
	f.entered, f.unread = false, 0
	r := f.here()
	if r.Unread == 0 || f.options.Past == nil {
		return
	}
	for _, m := range f.all() {
		if m.Seq > r.Mark && m.From != f.options.Me {
			f.unread = m.Seq
			return
		}
	}
}

// Enter implements Face.
func (f *Full) Enter(room chat.RoomName) {
	if room == f.room {
		return
	}
	now := &f.edit.line
	if f.asked != nil {
		now = &f.asked.draft
	}
	f.chrome.made = false
	f.drafts.put(f.room, *now)
	*now = f.drafts.take(room)
	f.edit.past.rest()
	f.room, f.entered = room, true
	f.overlay = nil
	f.toEnd()
	f.decideUnread()
	f.stale = true
}

// Deliver implements Face.
func (f *Full) Deliver(ds []chat.Delivery) {
	for i := range ds {
		d := &ds[i]
		switch {
		case d.Gap.Count() > 0:
			f.note(d.Room, partNotice, gapText(d, f.options.Me)+": they came faster than this terminal took them")
		case d.Kind == chat.Joined:
			f.note(f.room, partNotice, "-- you are now in "+d.Room.For(f.options.Me))
		case d.Kind == chat.Parted:
			f.note(f.room, partNotice, "-- you are no longer in "+d.Room.For(f.options.Me))
		case d.Room.IsZero() && d.Kind == chat.Notice:
			f.note(f.room, partNotice, "-- "+d.Text.String())
		default:
			f.ringing = f.ringing || f.look.rings(&d.Message, f.options.Me)
		}
		f.stale = true
	}
}

// note shows text to this person alone, after what the room shows now.
func (f *Full) note(room chat.RoomName, p part, text string) {
	f.notes.add(note{room: room, after: f.newest(room), part: p, text: text})
	f.stale = true
}

// newest is the place of the room's last message.
func (f *Full) newest(room chat.RoomName) uint64 {
	if f.options.Past == nil {
		return 0
	}
	if ms := f.options.Past(room, 0, 1); len(ms) > 0 {
		return ms[0].Order
	}
	return 0
}

// longAnswer is how many rows of an answer still stand among the messages; a longer one is shown over them.
const longAnswer = 3

// Print implements Face.
func (f *Full) Print(text string) {
	text = strings.TrimRight(text, "\n")
	if len(f.paint.text(text, partNotice, f.width())) > longAnswer && f.asked == nil {
		f.Show(f.last, text)
		return
	}
	f.note(f.room, partNotice, text)
}

// Fail implements Face.
func (f *Full) Fail(text string) { f.note(f.room, partError, "! "+strings.TrimRight(text, "\n")) }

// Show implements Face.
func (f *Full) Show(title, text string) {
	f.overlay = &overlay{title: title, text: text}
	f.stale = true
}

// Ask implements Face.
func (f *Full) Ask(prompt string, echo bool) {
	if f.asked == nil {
		f.asked = &inquiry{draft: f.edit.line}
	}
	if lead, last, ok := cutLast(prompt); ok {
		f.note(f.room, partNotice, lead)
		prompt = last
	}
	f.edit.line = line{}
	f.edit.single, f.edit.secret = true, !echo
	f.asked.prompt = string(text.AppendPrintable(nil, strings.TrimRight(prompt, " "), false)) + " "
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

// answered returns from the question to what was being typed.
func (f *Full) answered() {
	f.edit.wipe()
	f.edit.single, f.edit.secret = false, false
	f.edit.line = f.asked.draft
	f.asked = nil
}

// Resize implements Face.
func (f *Full) Resize(width, height int) {
	width, height = size(width, height)
	if width == f.cols && height == f.rows {
		return
	}
	f.cols, f.rows = width, height
	f.screen.forget()
	f.stale, f.chrome.made = true, false
}

// width is how many cells of a row are written to: what a terminal does in its last column differs.
func (f *Full) width() int { return f.cols - 1 }

// Clear implements Face. The room's messages are out of sight until somebody scrolls up.
func (f *Full) Clear() {
	f.notes.clear(f.room)
	if f.cleared == nil {
		f.cleared = make(map[chat.RoomName]uint64)
	}
	f.cleared[f.room] = f.newest(f.room)
	f.overlay, f.stale = nil, true
	f.toEnd()
	f.screen.forget()
}

// Following implements Face.
func (f *Full) Following() bool { return f.from == (place{}) && f.pending <= 0 && f.overlay == nil }

// Pending implements Face.
func (f *Full) Pending() bool { return f.stale || f.ringing || len(f.out.b) > 0 }

// Flush implements Face.
func (f *Full) Flush() []byte {
	if f.stale && !f.left {
		f.screen.draw(&f.out, f.compose(), f.look.Mouse)
	}
	if f.ringing && !f.left {
		f.out.bell()
	}
	f.stale, f.ringing = false, false
	return f.out.take()
}

// FlushErr implements Face: a terminal has one stream.
func (f *Full) FlushErr() []byte { return nil }

// Leave implements Face. What was not shown yet is said where the terminal was before.
func (f *Full) Leave() {
	if f.left {
		return
	}
	f.left, f.stale = true, true
	f.screen.leave(&f.out)
	for _, n := range f.notes.fresh {
		for _, row := range f.paint.text(n.text, n.part, f.width()) {
			f.out.styled(row)
			f.out.newline()
		}
	}
}
