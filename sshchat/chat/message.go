package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/text"
)

// Kind is the kind of a Message.
type Kind string

const (
	Say Kind = "say" // something said
	Me  Kind = "me"  // an action, in the third person

	Edit   Kind = "edit"   // Text takes the place of what Of said
	Delete Kind = "delete" // deletes the message Of

	React   Kind = "react"   // Text, an emoji, is a reaction to what Of said: one of a kind for each person
	Unreact Kind = "unreact" // that reaction is taken back

	// Missing is a message of which this hub knows only that it was said: its text did not arrive. It has a Seq, and neither
	// author nor text. Logs hold it in its place, and show nobody more than a gap. It is never stored.
	Missing Kind = "missing"

	// The kinds below are never stored and have no Seq: missing them loses nothing.

	Notice         Kind = "notice"  // a notice of the room, such as a new topic, or of the server
	PresenceChange Kind = "comings" // members who joined or left
	DirectNotice   Kind = "knock"   // in a person's own log: the direct room Room has its message Seq
	Joined         Kind = "joined"  // in a person's own log: the person is now in Room, whichever session asked
	Parted         Kind = "parted"  // in a person's own log: the person is no longer in Room
	Marked         Kind = "marked"  // in a person's own log: Room has been read up to Seq in one of the person's sessions
	Changed        Kind = "account" // in a person's own log: something about the account has changed, its settings or its rights
)

// Stored reports whether messages of this kind are history: they have a Seq and are sealed.
func (k Kind) Stored() bool {
	return k == Say || k == Me || k.Amends() || k.Reacts()
}

// Amends reports whether messages of this kind change the text of another.
func (k Kind) Amends() bool { return k == Edit || k == Delete }

// Reacts reports whether messages of this kind change the reactions to another.
func (k Kind) Reacts() bool { return k == React || k == Unreact }

// Message is one entry of a log. It is never changed once it is in one.
type Message struct {
	Room RoomName
	Seq  uint64    // the room's count of stored messages, from 1; 0 for what is not stored (a DirectNotice names another's)
	At   time.Time // when the journal took it, in UTC, to the millisecond
	From Name      // zero for what the server says
	Kind Kind
	Text Text
	Of   uint64 // the Seq of the message meant, by what Amends or Reacts; of a Say: the one that it replies to, 0 for none

	// Later changes. The message in the log is replaced by a changed copy; readers keep the one they have. An Edit, a
	// React and an Unreact are marked Deleted together with their message; a reply is not.

	Edited    bool       // Text is not the first
	Deleted   bool       // Text is empty
	Color     NameColor  // of From, as it was chosen when the message was said, or came into memory
	Reactions *Reactions // nil: none

	// DisplaySeq is the place among everything the server has shown since it started, from FirstDisplaySeq on; 0 for none. It
	// orders messages of one room, and those of several rooms shown in one place.
	DisplaySeq uint64
}

// FirstDisplaySeq is the first DisplaySeq that a hub gives. A message that was opened from the sealed history has its Seq
// there: so it comes before all that is in memory.
const FirstDisplaySeq = 1 << 40

// Settle makes the edits, deletions and reactions among the messages, oldest first, take effect on the others.
// Nothing edits what was deleted: a hub refuses it.
func Settle(said []Message) {
	last, reacted := make(map[uint64]*Message), make(map[uint64]*Reactions) // by what they mean
	for i := range said {
		switch m := &said[i]; {
		case m.Kind.Amends():
			last[m.Of] = m
		case m.Kind.Reacts() && !m.Deleted:
			reacted[m.Of] = reacted[m.Of].After(m)
		}
	}
	for i := range said {
		m := &said[i]
		m.amend(last[m.Subject()])
		if m.Deleted {
			m.Edited = false
		} else if m.Said() {
			m.Reactions = reacted[m.Seq]
		}
	}
}

// amend makes an edit or a deletion take effect on m: on the message that it amends, or an earlier edit of that. by may be nil.
func (m *Message) amend(by *Message) {
	switch {
	case by == nil:
	case by.deletes():
		if m.Kind != Delete {
			m.Text, m.Reactions, m.Deleted = Text{}, nil, true
		}
	case m.Said():
		m.Text, m.Edited = by.Text, true
	}
}

// deletes reports whether m leaves nothing of the message that it amends: of what was deleted, the history empties the edits,
// too.
func (m *Message) deletes() bool { return m.Kind == Delete || m.Kind == Edit && m.Deleted }

// Said reports whether m is something that somebody said and that is still there.
func (m *Message) Said() bool { return (m.Kind == Say || m.Kind == Me) && !m.Deleted }

// Subject is the Seq of the message that shows what becomes of it: its own, or that of the message which it changes.
func (m *Message) Subject() uint64 {
	if m.Kind.Amends() || m.Kind.Reacts() {
		return m.Of
	}
	return m.Seq
}

// ID is the message's name for scripts as me reads it: "general/12", "@bob/3".
func (m Message) ID(me Name) string {
	return strings.TrimPrefix(m.Room.For(me), "#") + "/" + strconv.FormatUint(m.Seq, 10)
}

// size is what the message holds of a log's budget, in bytes: its text, its reactions and a flat rate for the rest.
func (m *Message) size() int { return len(m.Text.String()) + m.Reactions.size() + 128 }

// Limits of reactions.
const MaxEmoji = 20 // different ones on a message

// Reactions are what people reacted to a message with; nil: nobody did. They are never changed.
type Reactions struct{ list []Reaction }

// Reaction is one emoji on a message, and whose it is. What it refers to is shared and must not be changed.
type Reaction struct {
	Emoji Text
	By    []Name // in the order they came; never empty
}

// All lists them, those that came first first. The caller must not change the list.
func (r *Reactions) All() []Reaction {
	if r == nil {
		return nil
	}
	return r.list
}

func (r *Reactions) find(emoji Text) int {
	return slices.IndexFunc(r.All(), func(x Reaction) bool { return x.Emoji == emoji })
}

// Has reports whether somebody reacted with that emoji.
func (r *Reactions) Has(by Name, emoji Text) bool {
	i := r.find(emoji)
	return i >= 0 && slices.Contains(r.list[i].By, by)
}

// After is what r is after a React or Unreact.
func (r *Reactions) After(m *Message) *Reactions {
	i, list := r.find(m.Text), slices.Clone(r.All())
	has := i >= 0 && slices.Contains(list[i].By, m.From)
	switch {
	case has == (m.Kind == React):
		return r
	case i < 0:
		list = append(list, Reaction{m.Text, []Name{m.From}})
	case !has:
		list[i].By = append(slices.Clip(list[i].By), m.From)
	case len(list[i].By) > 1:
		list[i].By = removeName(list[i].By, m.From)
	case len(list) > 1:
		list = slices.Delete(list, i, i+1)
	default:
		return nil
	}
	return &Reactions{list}
}

func (r *Reactions) size() (n int) {
	for _, x := range r.All() {
		n += len(x.Emoji.String()) + 48 + 16*len(x.By)
	}
	return n
}

// ReactionCount is an emoji on a message as somebody is shown it.
type ReactionCount struct {
	Emoji Text
	N     int
	Mine  bool // theirs is among them
}

// Count counts the reactions for me, without those of people whom me ignores. f may be nil.
func (f *Filter) Count(r *Reactions, me Name) (counts []ReactionCount) {
	for _, x := range r.All() {
		c := ReactionCount{Emoji: x.Emoji}
		for _, by := range x.By {
			if by == me || f == nil || !f.Ignore[by] {
				c.N++
			}
			c.Mine = c.Mine || by == me
		}
		if c.N > 0 {
			counts = append(counts, c)
		}
	}
	return counts
}

// What the chat speaks of, and text checks.
type (
	Name     = text.Name
	RoomName = text.RoomName
	Text     = text.Text
)

// General is the room everyone starts in.
var General = text.General

// Filter is what a person wants to be shown, and to be alerted of. The zero Filter shows everything.
type Filter struct {
	Ignore map[Name]bool // nothing of theirs, in direct rooms neither
	Focus  map[Name]bool // in rooms, these people alone; empty: everybody
	Quiet  bool          // no comings and goings

	// What is shown, and how much the person wants to know of it:

	Highlight *text.Words       // messages with such a word count as if they named the person; nil: no words
	Hushed    map[RoomName]bool // rooms that are not to draw attention to themselves; nil: none
}

// Shows reports whether me is to see m. One's own messages, and what the server says, always show.
func (f *Filter) Shows(m *Message, me Name) bool {
	switch {
	case m.From == me:
		return true
	case m.From.IsZero():
		return !f.Quiet || m.Kind != PresenceChange
	case f.Ignore[m.From]:
		return false
	case m.Kind == Notice: // what somebody did to the room
		return true
	}
	return len(f.Focus) == 0 || m.Room.IsDirect() || f.Focus[m.From]
}

// Mentions reports whether somebody else says m to me, or names me or a word of mine in it. f may be nil.
func (f *Filter) Mentions(m *Message, me Name) bool {
	return m.Mentions(me) || f != nil && f.Highlight != nil && m.From != me && m.Said() && f.Highlight.In(m.Text)
}

// Hushes reports whether the room is not to draw attention to itself. f may be nil.
func (f *Filter) Hushes(room RoomName) bool { return f != nil && f.Hushed[room] }

// Mentions reports whether somebody else says m to me, or names me in it.
func (m *Message) Mentions(me Name) bool {
	return m.Said() && m.From != me && (m.Room.IsDirect() || m.Text.Mentions(me))
}
