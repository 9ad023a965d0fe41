package chat

import (
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
func (k Kind) Stored() bool { return k == Say || k == Me || k == Edit || k == Delete }

// Message is one entry of a log. It is never changed once it is in one.
type Message struct {
	Room RoomName
	Seq  uint64    // the room's count of stored messages, from 1; 0 for what is not stored (a DirectNotice names another's)
	At   time.Time // when the journal took it, in UTC, to the millisecond
	From Name      // zero for what the server says
	Kind Kind
	Text Text
	Of   uint64 // of an Edit or Delete: the Seq of the message meant

	// Later changes. The message in the log is replaced by a changed copy; readers keep the one they have. An Edit is
	// marked Deleted together with its message.

	Edited  bool // Text is not the first
	Deleted bool // Text is empty

	// DisplaySeq is the place among everything the server has shown since it started; 0 for none. It orders messages of one room,
	// and those of several rooms shown in one place.
	DisplaySeq uint64
}

// said reports whether m is something somebody said that is still there.
func (m *Message) said() bool { return (m.Kind == Say || m.Kind == Me) && !m.Deleted }

// ID is the message's name for scripts as me reads it: "general/12", "@bob/3".
func (m Message) ID(me Name) string {
	return strings.TrimPrefix(m.Room.For(me), "#") + "/" + strconv.FormatUint(m.Seq, 10)
}

// size is what the message holds of a log's budget, in bytes: its text and a flat rate for the rest.
func (m *Message) size() int { return len(m.Text.String()) + 128 }

// What the chat speaks of, and text checks.
type (
	Name     = text.Name
	RoomName = text.RoomName
	Text     = text.Text
)

// General is the room everyone starts in.
var General = text.General

// Filter is what a person does not want to be shown. The zero Filter shows everything.
type Filter struct {
	Ignore map[Name]bool // nothing of theirs, in direct rooms neither
	Focus  map[Name]bool // in rooms, these people alone; empty: everybody
	Quiet  bool          // no comings and goings
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

// Mentions reports whether somebody else says m to me, or names me in it.
func (m *Message) Mentions(me Name) bool {
	return m.said() && m.From != me && (m.Room.IsDirect() || m.Text.Mentions(me))
}
