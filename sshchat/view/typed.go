package view

import (
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
)

// Input implements Face.
func (f *Full) Input(b []byte) []Action {
	f.edit.dropped = 0
	var did []Action
	f.keys.decode(b, func(k key) { did = f.press(did, k) })
	f.stale = true
	return did
}

// Waiting implements Face.
func (f *Full) Waiting() time.Duration { return f.keys.waiting() }

// Forget implements Face.
func (f *Full) Forget(text string) { f.edit.past.forget(text) }

// Dropped implements Face.
func (f *Full) Dropped() int { return f.edit.dropped }

// Expire implements Face.
func (f *Full) Expire() []Action {
	var did []Action
	f.keys.expire(func(k key) { did = f.press(did, k) })
	f.stale = true
	return did
}

// End implements Face. A line that was not submitted is not sent: on a terminal that takes a key.
func (f *Full) End() []Action { return []Action{{Kind: Quit}} }

// press does what a key is for and appends what came of it.
func (f *Full) press(did []Action, k key) []Action {
	if f.overlay != nil {
		taken, closed := f.overlay.press(k.name, len(f.edit.text) > 0)
		if closed || k.text == "q" && len(f.edit.text) == 0 {
			f.overlay = nil
			return did
		}
		if taken {
			return did
		}
	}
	if room, ok := f.switches(k.name); ok && f.asked == nil {
		if room.IsZero() {
			f.ringing = true
			return did
		}
		return append(did, Action{Kind: Go, Room: room})
	}
	if f.scrolls(k.name) {
		return did
	}
	switch k.name {
	case "":
		f.insert(k.text)
	case "pasted":
		f.complain(f.edit.reportLost())
	case "enter":
		return f.submit(did)
	case "ctrl+j", "alt+enter", "shift+enter":
		if f.asked != nil || isCommand(f.edit.text) { // they have one line
			return f.submit(did)
		}
		f.insert("\n")
	case "ctrl+c":
		return f.interrupt(did)
	case "ctrl+d":
		if len(f.edit.text) == 0 {
			return append(did, Action{Kind: Quit})
		}
		f.edit.deleteNext()
	case "ctrl+l":
		f.screen.forget()
	case "tab":
		if !k.more {
			f.tab()
		} else if !f.edit.pasteTab(k, f.options.Complete) {
			f.ringing = true
		}
	case "up":
		if !f.climb(-1) {
			f.edit.older()
		}
	case "down":
		if !f.climb(1) {
			f.edit.newer()
		}
	default:
		f.edit.press(k.name)
	}
	return did
}

// complain says what was wrong with what was typed, if anything.
func (f *Full) complain(why string) {
	if why != "" {
		f.Fail(why)
		f.ringing = true
	}
}

func (f *Full) insert(text string) {
	if !f.edit.insert(text) {
		f.ringing = true
	}
}

// switches is the room that a key goes to; ok is false for a key that goes to none, and the room is zero where
// there is no such room.
func (f *Full) switches(name string) (room chat.RoomName, ok bool) {
	now := slices.IndexFunc(f.rooms, func(r Room) bool { return r.Name == f.room })
	switch n := len(f.rooms); {
	case name == "ctrl+n" && n > 0:
		return f.rooms[(now+1)%n].Name, true
	case name == "ctrl+p" && n > 0:
		return f.rooms[(max(now, 0)+n-1)%n].Name, true
	case name == "alt+a":
		return f.nextUnread(now), true
	}
	if n, ok := roomNumber(name); ok {
		if i := slices.IndexFunc(f.rooms, func(r Room) bool { return f.slots.number(r.Name) == n }); i >= 0 {
			room = f.rooms[i].Name
		}
		return room, true
	}
	return room, false
}

// roomNumber is the number of the key Alt+1 to Alt+9.
func roomNumber(name string) (n int, ok bool) {
	if len(name) == 5 && strings.HasPrefix(name, "alt+") && name[4] >= '1' && name[4] <= '9' {
		return int(name[4] - '0'), true
	}
	return 0, false
}

// boundOnScreen is bound for a full screen.
func boundOnScreen(name string) bool {
	_, number := roomNumber(name)
	return number || name == "alt+a" || bound(name)
}

// nextUnread is the next room after the one at now with a mention, or else with anything unread.
func (f *Full) nextUnread(now int) chat.RoomName {
	var unread chat.RoomName
	for i := range f.rooms {
		r := f.rooms[(now+1+i)%len(f.rooms)]
		switch {
		case r.Name == f.room:
		case r.Mentions > 0:
			return r.Name
		case r.Unread > 0 && unread.IsZero():
			unread = r.Name
		}
	}
	return unread
}

// wheel is how many rows a notch of the mouse wheel scrolls.
const wheel = 3

// scrolls moves the messages, if the key is for that.
func (f *Full) scrolls(name string) bool {
	switch name {
	case "pgup":
		f.scrollBy(f.page())
	case "pgdown":
		f.scrollBy(-f.page())
	case "shift+up":
		f.scrollBy(1)
	case "shift+down":
		f.scrollBy(-1)
	case "wheelup":
		f.scrollBy(wheel)
	case "wheeldown":
		f.scrollBy(-wheel)
	case "esc":
		f.toEnd()
	default:
		return false
	}
	return true
}

// climb moves the cursor a row up or down within what is typed; false where there is none that way.
func (f *Full) climb(by int) bool {
	if f.asked != nil {
		return false
	}
	prompt := displaywidth.String(f.prompt())
	var starts []int // of the rows
	row, want := 0, 0
	eachCell(&f.edit.line, f.width(), prompt, func(i, y, x int, _ []byte) {
		for len(starts) <= y {
			starts = append(starts, i)
		}
		if i == f.edit.at {
			row, want = y, x
		}
	})
	to := row + by
	if to < 0 || to >= len(starts) {
		return false
	}
	if row == 0 { // the first row begins after the prompt
		want += prompt
	} else if to == 0 {
		want -= prompt
	}
	at, end := starts[to], len(f.edit.ends)
	if to+1 < len(starts) {
		end = starts[to+1] - 1
	}
	for ; at < end; at++ {
		_, w := glyph(f.edit.cluster(at))
		if want -= w; want < 0 {
			break
		}
	}
	f.edit.at = at
	return true
}

// submit sends what is typed. What is longer than a message may be stays where it is, to be made shorter.
func (f *Full) submit(did []Action) []Action {
	switch why := f.edit.refused(); {
	case why != "":
		f.complain(why)
		return did
	case f.asked != nil:
		said := f.edit.take()
		f.answered()
		return append(did, Action{Kind: Line, Text: said})
	case len(strings.TrimSpace(string(f.edit.text))) == 0:
		f.edit.clear()
		return did
	}
	said := f.edit.take()
	if isCommand([]byte(said)) {
		f.last = said
	}
	f.toEnd()
	f.overlay = nil // what was said, and what comes of it, is seen
	return append(did, Action{Kind: Line, Text: said})
}

// interrupt clears what is typed. With nothing typed, or instead of an answer, it is an action.
func (f *Full) interrupt(did []Action) []Action {
	switch {
	case f.asked != nil:
		f.answered()
	case len(f.edit.text) > 0:
		f.edit.clear()
		return did
	}
	return append(did, Action{Kind: Interrupt})
}

// tab completes the word before the cursor, or lists what it could be.
func (f *Full) tab() {
	list, ok := f.edit.complete(f.options.Complete)
	switch {
	case !ok:
		f.ringing = true
	case len(list) > 0:
		f.note(f.room, partNotice, listing(list))
	}
}
