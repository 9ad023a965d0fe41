// Package printed is how messages are printed in lists and for programs: as text, and as JSON. It knows nothing of commands, or of where
// the messages come from.
package printed

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

// Text is what a list or a program gets of a message besides its place and time.
func Text(m *chat.Message) string {
	said := indent(m.Text)
	if m.Deleted {
		said = "(deleted)"
	}
	switch m.Kind {
	case chat.Me:
		return fmt.Sprintf("* %s %s", m.From, said)
	case chat.Edit:
		return fmt.Sprintf("%s edits %d: %s", m.From, m.Of, said)
	case chat.Delete:
		return fmt.Sprintf("%s deletes %d", m.From, m.Of)
	case chat.React:
		return fmt.Sprintf("%s reacts to %d: %s", m.From, m.Of, said)
	case chat.Unreact:
		return fmt.Sprintf("%s removes a reaction to %d: %s", m.From, m.Of, said)
	}
	if m.Of > 0 {
		return fmt.Sprintf("%s replies to %d: %s", m.From, m.Of, said)
	}
	return fmt.Sprintf("%s: %s", m.From, said)
}

// indent moves a message's further lines two spaces in, so that none of them can pass for a message.
func indent(t chat.Text) string { return strings.ReplaceAll(t.String(), "\n", "\n  ") }

// Message is a message as follow prints it: the sealed line's fields, and its ID.
type Message struct {
	ID   string    `json:"id"`
	At   string    `json:"at"`
	Room string    `json:"room"`
	Seq  uint64    `json:"seq"`
	From chat.Name `json:"from"`
	Kind chat.Kind `json:"kind"`
	Of   uint64    `json:"of,omitempty"` // the Seq of the message that it changes, reacts to or replies to
	Text string    `json:"text"`

	// What became of it before it was printed.

	Edited  bool `json:"edited,omitempty"`
	Deleted bool `json:"deleted,omitempty"`

	Reactions []Reaction `json:"reactions,omitempty"`
}

// Reaction is an emoji, and who reacted with it.
type Reaction struct {
	Emoji string      `json:"emoji"`
	By    []chat.Name `json:"by"`
}

// TimeFormat is how times of messages are printed.
const TimeFormat = "2006-01-02T15:04:05.000Z07:00"

// JSON is a message as me gets it, without reactions of people whom me ignores.
func JSON(m *chat.Message, me chat.Name, ignored map[chat.Name]bool) Message {
	room := m.Room.String()
	if m.Room.IsDirect() {
		room = m.Room.For(me)
	}
	return Message{
		m.ID(me), m.At.In(time.UTC).Format(TimeFormat), room, m.Seq, m.From, m.Kind, m.Of, m.Text.String(), m.Edited, m.Deleted,
		reactions(m.Reactions, me, ignored),
	}
}

func reactions(r *chat.Reactions, me chat.Name, ignored map[chat.Name]bool) (list []Reaction) {
	if r == nil {
		return nil
	}
	for _, x := range r.All() {
		by := slices.DeleteFunc(slices.Clone(x.By), func(n chat.Name) bool { return ignored[n] && n != me })
		if len(by) > 0 {
			list = append(list, Reaction{x.Emoji.String(), by})
		}
	}
	return list
}
