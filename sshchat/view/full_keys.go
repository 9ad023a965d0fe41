package view

import (
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/keys"
)

// Input implements Keyboard.
func (f *Full) Input(b []byte) []Action {
	f.stale = true
	return f.decode(b, f.handleKey)
}

// Expire implements Keyboard.
func (f *Full) Expire() []Action {
	f.stale = true
	return f.expire(f.handleKey)
}

// handleKey performs a key's function, and appends the actions that result.
func (f *Full) handleKey(did []Action, k keys.Key) []Action {
	if room, ok := roomEntered(did); ok {
		f.Enter(room)
	}
	taken, ok, again := f.input.modeKey(k)
	if f.ringing = f.ringing || !ok; taken {
		return did
	}
	if f.input.asksHelp(k, f.keys.IsPasting()) {
		f.insert(k.Text)
		f.last = helpLine
		return append(did, Action{Kind: Line, Text: helpLine})
	}
	if did, taken := f.selectKey(did, k); taken {
		return did
	}
	if f.overlay != nil && f.overlayKey(k) {
		return did
	}
	if room, ok := f.bars.roomOf(k.Name); ok && f.input.question == nil {
		if room.IsZero() {
			f.ringing = true
			return did
		}
		return append(did, Action{Kind: Go, Room: room})
	}
	if f.messages.handleKey(k.Name) {
		return did
	}
	switch k.Name {
	case "":
		f.insert(k.Text)
	case "alt+g":
		if f.input.question == nil {
			f.input.beginGo()
		}
	case "pasted":
		f.complain(f.input.edit.ReportLost())
	case "enter":
		return f.submit(did)
	case "ctrl+j", "alt+enter", "shift+enter":
		if f.input.question != nil || editor.IsCommand(f.input.edit.Text) { // they have one line
			return f.submit(did)
		}
		f.insert("\n")
	case "ctrl+c":
		return f.interrupt(did, again)
	case "ctrl+r":
		f.ringing = !f.input.edit.BeginSearch() || f.ringing
	case "ctrl+d":
		if len(f.input.edit.Text) == 0 {
			return append(did, Action{Kind: Quit})
		}
		f.input.edit.DeleteNext()
	case "ctrl+l":
		f.screen.forget()
	case "tab", "shift+tab":
		f.tab(k)
	case "up":
		if !f.input.moveRow(-1, f.width()) {
			f.input.edit.Older()
		}
	case "down":
		if !f.input.moveRow(1, f.width()) {
			f.input.edit.Newer()
		}
	default:
		f.input.edit.HandleKey(k.Name)
	}
	return did
}

// overlayKey gives a key to the overlay, and reports whether it was for that.
func (f *Full) overlayKey(k keys.Key) bool {
	asked := f.input.isHelpMark() // the ? that opened the overlay
	typing := len(f.input.edit.Text) > 0 && !asked || asked && k.Name == "enter"
	taken, closed := f.overlay.handleKey(k.Name, typing)
	if closed || k.Text == "q" && !typing {
		f.overlay = nil
		if asked {
			f.input.edit.Clear()
		}
		return true
	}
	if asked && k.Text != "" { // it was the beginning of a message
		f.overlay = nil
	}
	return taken
}

// helpLine is what F1 submits, and ? on an empty line.
const helpLine = "/help"

// asksHelp reports whether the key opens the help. A ? stays in the line, since it may be the beginning of a message.
func (c *composer) asksHelp(k keys.Key, pasting bool) bool {
	if c.question != nil || c.searching() {
		return false
	}
	return k.Name == "f1" || k.Text == "?" && len(c.edit.Text) == 0 && !pasting
}

// isHelpMark reports whether the line is one ?, which asks for help and is not sent.
func (c *composer) isHelpMark() bool { return c.question == nil && string(c.edit.Text) == "?" }

// complain shows why input was refused, if it was.
func (f *Full) complain(why string) {
	if why != "" {
		f.Fail(why)
		f.ringing = true
	}
}

// roomEntered is the room that the last key goes to: what follows it in the same packet is typed for that room. Not after a
// command, which may ask something first, or go somewhere itself.
func roomEntered(did []Action) (room chat.RoomName, ok bool) {
	isCommandLine := func(a Action) bool { return a.Kind == Line && editor.IsCommand([]byte(a.Text)) }
	if n := len(did); n > 0 && did[n-1].Kind == Go && !slices.ContainsFunc(did, isCommandLine) {
		return did[n-1].Room, true
	}
	return room, false
}

func (f *Full) insert(text string) {
	if !f.input.edit.Insert(text) {
		f.ringing = true
	}
}

// roomNumber is the number of the key Alt+1 to Alt+9.
func roomNumber(name string) (n int, ok bool) {
	if len(name) == 5 && strings.HasPrefix(name, "alt+") && name[4] >= '1' && name[4] <= '9' {
		return int(name[4] - '0'), true
	}
	return 0, false
}

// goKeys are the keys that look for a room, and the commands that do the same.
var goKeys = map[string]string{"alt+a": "/go", "alt+m": "/go !", "alt+o": "/go -", "alt+g": goLine}

// boundOnScreen is editor.Bound for a full screen.
func boundOnScreen(name string) bool {
	_, number := roomNumber(name)
	return number || goKeys[name] != "" || name == "alt+up" || name == "alt+down" || editor.Bound(name)
}

// submit sends what is typed. A message that is too long stays in the line, to be shortened.
func (f *Full) submit(did []Action) []Action {
	switch why := f.input.edit.Refused(); {
	case why != "":
		f.complain(why)
		return did
	case f.input.question != nil:
		said := f.input.edit.Take()
		f.input.answered()
		return append(did, Action{Kind: Line, Text: said})
	case len(strings.TrimSpace(string(f.input.edit.Text))) == 0, f.input.isHelpMark(): // the help is open already
		f.input.edit.Clear()
		return did
	}
	said := f.input.edit.Take()
	f.input.resume()
	if room, ok := f.bars.numbered(said); ok {
		return append(did, Action{Kind: Go, Room: room})
	}
	if editor.IsCommand([]byte(said)) {
		f.last = said
	}
	f.messages.toEnd()
	f.overlay = nil // so that the message, or the answer, is seen
	return append(did, Action{Kind: Line, Text: said})
}

// interrupt is the function of Ctrl+C. Instead of an answer it is an action; with again, it was the last key as well.
func (f *Full) interrupt(did []Action, again bool) []Action {
	if f.input.question != nil {
		f.input.answered()
		return append(did, Action{Kind: Interrupt})
	}
	if f.input.interrupt(again) {
		return append(did, Action{Kind: Quit})
	}
	return did
}

// tab completes the word before the cursor, or shows over the bar what it could be. One that came with other input is text.
func (f *Full) tab(k keys.Key) {
	if k.More {
		f.ringing = !f.input.edit.PasteTab(f.options.Complete) || f.ringing
		return
	}
	_, ok := f.input.edit.Complete(f.options.Complete, direction(k))
	f.ringing = !ok || f.ringing
}

// direction is which way a Tab goes among completions.
func direction(k keys.Key) int {
	if k.Name == "shift+tab" {
		return -1
	}
	return 1
}
