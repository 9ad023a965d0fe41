package view

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/keys"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// A message of a full screen can be selected, and something be done with it by one key. What that sends is a command like any
// other: it stands in the input line, or is given at once if there is nothing to add to it.

// selection is the selected message; the zero selection is none.
type selection struct {
	order uint64 // its DisplaySeq
	first uint64 // DisplaySeq of the first message in the area, as it was drawn last
	last  uint64 // and of the last
}

// quickEmoji are the reactions of the keys 1 to 6.
var quickEmoji = []string{"👍", "❤\uFE0F", "😂", "🎉", "👀", "✅"}

// selectable reports whether something can be done with a message.
func selectable(m *chat.Message) bool {
	return m.Said() && m.Seq > 0
}

// selecting reports whether a message is selected.
func (s *scrollback) selecting() bool { return s.selected.order > 0 }

// unselect ends the selection.
func (s *scrollback) unselect() { s.selected.order = 0 }

// selectedMessage is the message that is selected, if it is still in memory.
func (s *scrollback) selectedMessage() (m chat.Message, ok bool) {
	ms := s.all()
	i, ok := find(ms, s.selected.order)
	if !ok {
		return m, false
	}
	return ms[i], selectable(&ms[i])
}

// moveSelection selects the next message above (-1) or below (+1), and reports false if there is none. Without a selection it
// begins with the last message in sight.
func (s *scrollback) moveSelection(by int) bool {
	if s.options.Past == nil {
		return false
	}
	ms := s.all()
	i, found := find(ms, s.selected.order)
	if !s.selecting() {
		i = len(ms)
		if s.position.order > 0 {
			if at, there := find(ms, s.position.order); there {
				i = at + 1
			}
		}
	} else if !found && by > 0 {
		i-- // it is no longer there: what is at i now is the next
	}
	for i += by; i >= 0 && i < len(ms); i += by {
		if selectable(&ms[i]) {
			s.selectMessage(ms[i].DisplaySeq)
			return true
		}
	}
	return false
}

// selectMessage selects a message, and scrolls to it if it is out of sight.
func (s *scrollback) selectMessage(order uint64) {
	s.selected.order = order
	if delete(s.cleared, s.room.Name); order < s.selected.first || order > s.selected.last {
		s.pending = 0
		s.setPosition(order, 0)
	}
}

// selectOriginal selects what the selected message replies to, and reports false if that is not in memory.
func (s *scrollback) selectOriginal() bool {
	m, ok := s.selectedMessage()
	if !ok || m.Of == 0 {
		return false
	}
	ms := s.all()
	i := slices.IndexFunc(ms, func(o chat.Message) bool { return o.Seq == m.Of })
	if i < 0 || !selectable(&ms[i]) {
		return false
	}
	s.selectMessage(ms[i].DisplaySeq)
	return true
}

// selectionHint is what the bar says while a message is selected.
func (s *scrollback) selectionHint() string {
	m, ok := s.selectedMessage()
	if !ok {
		return " The message is gone. Alt+Up and Alt+Down: select another one; Esc ends"
	}
	hint := " " + m.ID(s.options.Me) + "  r reply  + react"
	if m.From == s.options.Me {
		hint += "  e edit"
	}
	hint += "  d delete  c copy ID  p pin"
	if m.Of > 0 {
		hint += "  g original"
	}
	hint += "  Esc ends "
	for i, e := range quickEmoji {
		hint += fmt.Sprintf(" %d%s", i+1, e)
	}
	return hint
}

// selectKey handles a key of the selection, and reports whether it is one. Any other key ends the selection and is typed.
func (f *Full) selectKey(did []Action, k keys.Key) ([]Action, bool) {
	s := &f.messages
	if first := len(firstRune(k.Text)); s.selecting() && first < len(k.Text) && !f.keys.IsPasting() { // keys that came together
		did = f.handleKey(did, keys.Key{Text: k.Text[:first]})
		return f.handleKey(did, keys.Key{Text: k.Text[first:]}), true
	}
	switch {
	case f.input.question != nil || f.keys.IsPasting():
		return did, false
	case k.Name == "alt+up" || k.Name == "alt+down" && s.selecting():
		by := -1
		if k.Name == "alt+down" {
			by = 1
		}
		f.overlay = nil
		f.ringing = !s.moveSelection(by) || f.ringing
		return did, true
	case !s.selecting() || f.overlay != nil:
		return did, false
	case k.Name == "esc":
		s.unselect()
		return did, true
	}
	m, ok := s.selectedMessage()
	command := ""
	if ok {
		command = selectionCommand(&m, s.options.Me, k)
	}
	switch {
	case !ok && k.Text != "":
		f.ringing = true
		return did, true
	case command == "" && k.Text == "g" || k.Name == "enter" && m.Of > 0:
		f.ringing = !s.selectOriginal() || f.ringing
		return did, true
	case k.Text == "c" && ok:
		f.copyID(m.ID(s.options.Me))
		return did, true
	case command == "":
		if k.Text != "" || k.Name == "enter" {
			s.unselect()
		}
		return did, false
	}
	s.unselect()
	if line, whole := strings.CutSuffix(command, "\n"); whole {
		return append(did, Action{Kind: Line, Text: line}), true
	}
	f.input.edit.HandleKey("home")
	f.insert(command)
	f.input.edit.HandleKey("end")
	return did, true
}

// firstRune is what text begins with.
func firstRune(text string) string {
	_, n := utf8.DecodeRuneInString(text)
	return text[:n]
}

// selectionCommand is the command that a key stands for, with a newline if it is to be given at once; empty if there is none.
func selectionCommand(m *chat.Message, me chat.Name, k keys.Key) string {
	id := m.ID(me)
	if n := len(k.Text); n == 1 && k.Text[0] >= '1' && int(k.Text[0]-'1') < len(quickEmoji) {
		e := quickEmoji[k.Text[0]-'1']
		for _, r := range m.Reactions.All() {
			if r.Emoji.String() == e && slices.Contains(r.By, me) {
				return "/unreact " + id + " " + e + "\n"
			}
		}
		return "/react " + id + " " + e + "\n"
	}
	switch k.Text {
	case "r":
		return "/reply-to " + id + " "
	case "+":
		return "/react " + id + " "
	case "e":
		if m.From == me {
			return "/edit-id " + id + " " + strings.ReplaceAll(m.Text.String(), "\n", " ")
		}
	case "d":
		return "/delete " + id
	case "p":
		return "/pin " + id + "\n"
	}
	return ""
}

// copyID has the terminal copy a message's ID, if it can be expected to, and shows it.
func (f *Full) copyID(id string) {
	if output.KnowsLinks(f.options.Term) {
		f.output.Open()
		f.output.Copy(base64.StdEncoding.EncodeToString([]byte(id)))
		f.note(f.room, theme.Notice, "-- copied "+id)
		return
	}
	f.note(f.room, theme.Notice, "-- the message's ID is "+id)
}

// quoteOf is what stands before a reply: the message that it answers, as it is now.
func (s *scrollback) quoteOf(m *chat.Message) string {
	if m.Of == 0 || m.Kind != chat.Say || m.Deleted {
		return ""
	}
	return s.find.quote(m.Room, m.Of, s.options.Me)
}

// reactionsTo is what stands below a message that people reacted to. Where this person did, the number is in brackets.
func (s *scrollback) reactionsTo(m *chat.Message) string {
	if m.Reactions == nil {
		return ""
	}
	var all []string
	for _, c := range s.options.filter().Count(m.Reactions, s.options.Me) {
		if c.Mine {
			all = append(all, fmt.Sprintf("%s [%d]", c.Emoji, c.N))
		} else {
			all = append(all, fmt.Sprintf("%s %d", c.Emoji, c.N))
		}
	}
	return strings.Join(all, "  ")
}
