package chat

import (
	"errors"
	"fmt"

	"sshchat/sshchat/text"
)

// Code is how a refused request ends: the exit status of "ssh host COMMAND", which scripts switch on.
type Code int

const (
	Failed   Code = 1 // it cannot be done now, or not like this
	Usage    Code = 2 // the command or its arguments are wrong
	Denied   Code = 3 // the person may not do it
	NotFound Code = 4 // what it is about does not exist
)

// Refusal is an error about the request and not about the server: its text is for the person who made the request, and
// holds nothing about disks or keys. An error without a Refusal in its chain is for the log.
type Refusal struct {
	Code Code
	Text string

	kind *Refusal // the refusal this one says more about; nil: none
}

func (r *Refusal) Error() string { return r.Text }

// Unwrap lets errors.Is find the refusal that this one says more about.
func (r *Refusal) Unwrap() error {
	if r.kind == nil {
		return nil
	}
	return r.kind
}

// With is the same refusal in the given words, which name what it is about.
func (r *Refusal) With(format string, args ...any) *Refusal {
	return &Refusal{r.Code, fmt.Sprintf(format, args...), r}
}

// Because is the same refusal with its reason after a colon.
func (r *Refusal) Because(format string, args ...any) *Refusal {
	return r.With("%s: %s", r.Text, fmt.Sprintf(format, args...))
}

// About is err, with the name of the person whom it is about if it is a refusal.
func About(name Name, err error) error {
	if r, refused := Refused(err); refused {
		return r.With("%s: %s", name, r.Text)
	}
	return err
}

// Refused returns the Refusal in err's chain; ok is false if there is none, and err is for the log.
func Refused(err error) (r *Refusal, ok bool) {
	switch {
	case errors.As(err, &r):
		return r, true
	case errors.Is(err, text.ErrEmpty), errors.Is(err, text.ErrTooLong), errors.Is(err, text.ErrNotUTF8), errors.Is(err, text.ErrNotEmoji): // their package knows nothing of this one
		return &Refusal{Code: Failed, Text: err.Error()}, true
	}
	return nil, false
}

// Errors of the hub.
var (
	ErrNoRoom       = &Refusal{Code: NotFound, Text: "no such room"}
	ErrNotIn        = &Refusal{Code: Denied, Text: "you are not in that room"}
	ErrTooMany      = &Refusal{Code: Failed, Text: "too many rooms"}
	ErrSlow         = &Refusal{Code: Denied, Text: "not sent: the room is in slow mode"}
	ErrNotStored    = &Refusal{Code: Failed, Text: "not sent: the server could not store it, so nobody has seen it. Try again later; the server's log has the reason"}
	ErrNotDecided   = &Refusal{Code: Failed, Text: "nothing was changed: the server could not store it. Try again later; the server's log has the reason"}
	ErrNotKnown     = &Refusal{Code: Failed, Text: "it is not known whether this was stored: this server cannot follow the chat's log any more. Look on another server before you try again"}
	ErrStopping     = &Refusal{Code: Failed, Text: "not sent: the server is stopping"}
	ErrNoModerator  = &Refusal{Code: Failed, Text: "there is no moderator or admin to report it to"}
	ErrReports      = &Refusal{Code: Failed, Text: "you have reported often"}
	ErrGeneral      = &Refusal{Code: Failed, Text: "#general is for everyone; you cannot leave it"}
	ErrNotYours     = &Refusal{Code: Denied, Text: "that message is not yours"}
	ErrTaken        = &Refusal{Code: Failed, Text: "a room with that name already exists"}
	ErrTooManyNamed = &Refusal{Code: Failed, Text: "too many names"}
	ErrReacted      = &Refusal{Code: Failed, Text: "you have already reacted with that to the message"}
	ErrNotReacted   = &Refusal{Code: NotFound, Text: "you have not reacted with that to the message"}
	ErrTooManyEmoji = &Refusal{Code: Failed, Text: fmt.Sprintf("a message can have at most %d different reactions", MaxEmoji)}
	ErrPinned       = &Refusal{Code: Failed, Text: "that message is already pinned"}
	ErrNotPinned    = &Refusal{Code: NotFound, Text: "that message is not pinned"}
	ErrTooManyPins  = &Refusal{Code: Failed, Text: "too many pinned messages"}
	ErrNoMessage    = &Refusal{Code: NotFound, Text: "no such message in memory, or it was deleted"} // or no message but an edit
)

func noRoom(me Name, room RoomName) error { return ErrNoRoom.With("no such room: %s", room.For(me)) }

// NotIn refuses what takes a member of the room.
func NotIn(me Name, room RoomName) error {
	return ErrNotIn.With("you are not in %s; join it first", room.For(me))
}

func noMessage(me Name, room RoomName) error {
	return ErrNoMessage.With("no such message in %s in memory, or it was deleted", room.For(me))
}
