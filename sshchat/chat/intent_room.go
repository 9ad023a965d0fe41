package chat

import (
	"slices"
	"strconv"
	"time"

	"sshchat/sshchat/text"
)

// This file holds the intents about rooms, and about who may post in them:
//
//	intent                     | member            | moderator of the   | moderator of      | admin
//	                           |                   | room, its maker    | the server        |
//	JoinRoom                   | public rooms; private ones if invited; a free name makes a room
//	LeaveRoom                  | rooms they are in, but #general
//	SetTopic, Speak            | rooms they are in, unless they are muted
//	InviteToRoom               | rooms they are in, unless they are muted
//	SetPrivate, SetSlow,       |        -          | of their room      | of rooms that they know of
//	SetModerator               |                   |                    |
//	PinMessage, UnpinMessage   | direct ones,      | of their room      | rooms they are in
//	                           | unless muted      |                    |
//	KickFromRoom, DeleteMessage|        -          | whom they outrank in the room; a reason unless they are muted
//	CreateRoom                   |        -          |        -           |        -          | yes
//	CloseRoom                  |        -          | its maker, if nobody else is in it       | yes
//
// The server may do all of it. Nobody moderates direct rooms: their names determine their members.

// Limits of one person, and of one room.
const (
	MaxJoined  = 100            // rooms, direct ones not counted: a session waits on each
	MaxCreated = 10             // rooms made
	MaxNamed   = 200            // moderators, and people invited, of a room
	MaxSlow    = 24 * time.Hour // between two messages of one member
	MaxPins    = 20             // messages pinned in a room, or between two people
	MaxPinsBy  = 200            // messages pinned by one person in direct rooms
)

// JoinRoom makes the caller a member of a room from the message Since on. A free name makes a public room of the caller's.
// Whoever is in the room stays in it.
type JoinRoom struct {
	Room      RoomName
	Since     uint64
	MustExist bool // the caller means a room that is there: if it is gone by now, none is made
}

func (in JoinRoom) decide(tx *transaction) error {
	me := tx.name()
	switch {
	case tx.me == nil:
		return ErrNoAccount
	case in.Room.IsZero() || in.Room.IsDirect():
		return noRoom(me, in.Room)
	}
	r, there := tx.Room(in.Room)
	if !there && in.Room == General {
		r, there = tx.general(), true
	}
	if there && r.member(me) >= 0 {
		return nil
	}
	if tx.joined[me] >= MaxJoined {
		return ErrTooMany.Because("you can be in at most %d", MaxJoined)
	}
	if !there || !r.MayJoin(me) { // a new room's name is for others to read; the muted do not learn which rooms there are, either
		if err := (Speak{}).decide(tx); err != nil {
			return err
		}
	}
	switch {
	case !there && in.MustExist:
		return noRoom(me, in.Room)
	case !there && tx.made(me) >= MaxCreated:
		return ErrTooMany.Because("you can create at most %d", MaxCreated)
	case !there:
		r = RoomState{Name: in.Room, By: me}
	case !r.MayJoin(me): // the same words as for a room that is not there
		return noRoom(me, in.Room)
	}
	tx.setMember(r, Member{Name: me, Since: in.Since})
	return nil
}

// made is how many rooms somebody made.
func (tx *transaction) made(name Name) int {
	n := 0
	for _, r := range tx.rooms {
		if r.By == name {
			n++
		}
	}
	return n
}

// LeaveRoom ends the caller's membership of a room. Nobody leaves #general.
type LeaveRoom struct{ Room RoomName }

func (in LeaveRoom) decide(tx *transaction) error {
	r, _ := tx.Room(in.Room)
	switch {
	case in.Room == General:
		return ErrGeneral
	case tx.me == nil || r.member(tx.me.Name) < 0:
		return NotIn(tx.name(), in.Room)
	}
	tx.removeMember(r, tx.me.Name)
	return nil
}

// KickFromRoom ends somebody else's membership of a room, and their invitation to it. It is refused with ErrGeneral if
// nothing else is against it and the room is #general.
type KickFromRoom struct {
	Name Name
	Room RoomName
	Why  string // which the room is shown: it is refused to the muted
}

func (in KickFromRoom) decide(tx *transaction) error {
	r, err := tx.runs(in.Room)
	if err != nil {
		return err
	}
	a := tx.named(in.Name)
	if a == nil {
		return ErrNoAccount
	}
	if err := tx.over(*a, in.Room); err != nil {
		return err
	}
	if in.Why != "" {
		if err := (Speak{}).decide(tx); err != nil {
			return err
		}
	}
	if in.Room == General {
		return ErrGeneral
	}
	if !slices.Contains(r.Invited, in.Name) && r.member(in.Name) < 0 {
		return &Refusal{NotFound, in.Name.String() + " is not in " + in.Room.For(tx.name()), ErrNotIn}
	}
	r.Invited = removeName(r.Invited, in.Name)
	tx.putRoom(r)
	tx.removeMember(r, in.Name)
	return nil
}

// Speak checks whether the caller may post in a room. It changes nothing. The zero room stands for no particular room.
type Speak struct{ Room RoomName }

func (in Speak) decide(tx *transaction) error {
	if tx.who.Server {
		return nil
	}
	if tx.me == nil {
		return ErrStale
	}
	if err := tx.view().maySpeak(tx.me.Name, in.Room); err != nil || in.Room.IsZero() || in.Room.IsDirect() {
		return err
	}
	if r := tx.rooms[in.Room]; r == nil || r.member(tx.me.Name) < 0 {
		return NotIn(tx.me.Name, in.Room)
	}
	return nil
}

// maySpeak refuses the muted, and what would be said to nobody. Whether somebody is in a room, the caller looks.
func (v View) maySpeak(me Name, room RoomName) error {
	if m, muted := v.Muted(me); muted {
		return denied("not sent: you %s", m.muted())
	}
	if !room.IsDirect() {
		return nil
	}
	switch other := room.Other(me); {
	case other.IsZero():
		return NotIn(me, room)
	case v.named(other) == nil: // the room outlives the account
		return ErrNoAccount.With("no account named %s", other)
	}
	return nil
}

// Post is a message: something said, an edit of what the message Of said, or its deletion. It is ordered with what is decided,
// and changes no State.
type Post struct {
	Room      RoomName
	Kind      Kind
	Text      Text
	Of        uint64 // what it amends, reacts to or replies to; 0: nothing
	AnyAuthor bool   // of a Delete: what it means may be somebody else's
	Report    bool   // it is for a moderator or an admin alone: to somebody who is none at its place in the order it is not said
}

func (in Post) decide(tx *transaction) error {
	if in.Kind == Delete || in.Kind == Unreact {
		return nil
	}
	return Speak{in.Room}.decide(tx)
}

// Pin is a message that is pinned in its room.
type Pin struct {
	Room RoomName
	Seq  uint64
	By   Name      // who pinned it; zero if they have no account any more
	At   time.Time // in seconds
}

// ID names the pin among all: "general/12", "@alice+bob/3".
func (p Pin) ID() string { return p.Room.String() + "/" + strconv.FormatUint(p.Seq, 10) }

// Pins lists what is pinned in a room, the oldest pin first.
func (s *State) Pins(room RoomName) (pins []Pin) {
	for _, p := range s.pins {
		if p.Room == room {
			pins = append(pins, p)
		}
	}
	return pins
}

func (s *State) isPinned(room RoomName, seq uint64) bool {
	return slices.ContainsFunc(s.pins, func(p Pin) bool { return p.Seq == seq && p.Room == room })
}

// MayPin lets the caller pin and unpin in a room: its members who run it, and two people between themselves. It changes nothing.
type MayPin struct{ Room RoomName }

func (in MayPin) decide(tx *transaction) error {
	r, _ := tx.Room(in.Room)
	switch {
	case tx.who.Server:
		return nil
	case in.Room.IsDirect():
		return Speak(in).decide(tx)
	case tx.me == nil || r.member(tx.me.Name) < 0:
		return NotIn(tx.name(), in.Room)
	}
	_, err := tx.runs(in.Room)
	return err
}

// PinMessage pins a message, for all members to find.
type PinMessage struct {
	Room RoomName
	Seq  uint64

	gone bool // it is not there, at the place where this is decided
}

func (in PinMessage) decide(tx *transaction) error {
	if err := (MayPin{in.Room}).decide(tx); err != nil {
		return err
	}
	since, r := uint64(1), tx.rooms[in.Room]
	if tx.me != nil && r != nil {
		since = r.Members[r.member(tx.me.Name)].Since
	}
	by, here := 0, 0
	for _, p := range tx.pins {
		if p.Room == in.Room {
			here++
		}
		if p.By == tx.name() && p.Room.IsDirect() {
			by++
		}
	}
	switch {
	case in.gone || in.Seq < since:
		return noMessage(tx.name(), in.Room)
	case tx.isPinned(in.Room, in.Seq):
		return ErrPinned
	case here >= MaxPins:
		return ErrTooManyPins.Because("at most %d in a room; unpin one first", MaxPins)
	case in.Room.IsDirect() && by >= MaxPinsBy:
		return ErrTooManyPins.Because("at most %d of yours in direct conversations", MaxPinsBy)
	}
	tx.pins = append(slices.Clip(tx.pins), Pin{in.Room, in.Seq, tx.name(), tx.at.second()})
	return nil
}

// UnpinMessage ends that.
type UnpinMessage struct {
	Room RoomName
	Seq  uint64
}

func (in UnpinMessage) decide(tx *transaction) error {
	if err := (MayPin{in.Room}).decide(tx); err != nil {
		return err
	}
	if !tx.isPinned(in.Room, in.Seq) {
		return ErrNotPinned
	}
	removePins(tx, func(p Pin) bool { return p.Seq == in.Seq && p.Room == in.Room })
	return nil
}

// DeleteMessage checks whether the caller may delete somebody else's message, because they outrank the author in the
// room. It changes nothing. It is refused with ErrNotYours if the caller does not moderate the room or is not in it, so
// that nobody learns who posts in a room they are not in.
type DeleteMessage struct {
	Room   RoomName
	Author Name
}

func (in DeleteMessage) decide(tx *transaction) error {
	r, _ := tx.Room(in.Room)
	if in.Room.IsDirect() || tx.rank(in.Room) == RankMember || !tx.who.Server && r.member(tx.name()) < 0 {
		return ErrNotYours
	}
	if a := tx.named(in.Author); a != nil {
		return tx.over(*a, in.Room)
	}
	return nil
}

// MuteText is the error that muted users see.
func (s Sanction) MuteText() string { return "You " + s.muted() + "." }

func (s Sanction) muted() string { return "are muted " + s.MuteLasts() + s.Reason() }

// SetTopic changes the topic of a room that the caller is in.
type SetTopic struct {
	Room  RoomName
	Topic string
}

func (in SetTopic) decide(tx *transaction) error {
	if in.Room.IsDirect() {
		return NotIn(tx.name(), in.Room)
	}
	if err := (Speak{in.Room}).decide(tx); err != nil {
		return err
	}
	r, ok := tx.Room(in.Room)
	if !ok {
		return noRoom(tx.name(), in.Room)
	}
	r.Topic = in.Topic
	tx.putRoom(r)
	return nil
}

// SetPrivate makes a room private or public.
type SetPrivate struct {
	Room    RoomName
	Private bool
}

func (in SetPrivate) decide(tx *transaction) error {
	r, err := tx.runs(in.Room)
	switch {
	case err != nil:
		return err
	case in.Room == General && in.Private:
		return ErrGeneral.With("#general is for everyone and cannot be private")
	}
	r.Private = in.Private
	tx.putRoom(r)
	return nil
}

// SetSlow sets the least time between two messages of one member of a room, in whole seconds up to MaxSlow; 0: none.
type SetSlow struct {
	Room RoomName
	Slow time.Duration
}

func (in SetSlow) decide(tx *transaction) error {
	r, err := tx.runs(in.Room)
	if err != nil {
		return err
	}
	r.Slow = min(max(in.Slow, 0), MaxSlow).Truncate(time.Second)
	tx.putRoom(r)
	return nil
}

// SetModerator makes a member of a room one of its moderators, or ends that.
type SetModerator struct {
	Name Name
	Room RoomName
	On   bool
}

func (in SetModerator) decide(tx *transaction) error {
	r, err := tx.runs(in.Room)
	if err != nil {
		return err
	}
	a := tx.named(in.Name)
	if a == nil || r.member(in.Name) < 0 {
		return notFound("%s is not in %s", in.Name, in.Room.For(tx.name()))
	}
	is := slices.Contains(r.Mods, in.Name)
	switch {
	case in.On && !is && len(r.Mods) >= MaxNamed:
		return ErrTooManyNamed.Because("a room can have at most %d moderators", MaxNamed)
	case in.On && !is:
		r.Mods = append(slices.Clip(r.Mods), in.Name)
	case !in.On:
		if tx.me == nil || a.ID != tx.me.ID {
			if err := tx.over(*a, in.Room); err != nil {
				return err
			}
		}
		r.Mods = removeName(r.Mods, in.Name)
	}
	tx.putRoom(r)
	return nil
}

// InviteToRoom lets somebody who is not in the room find and join it while it is private.
type InviteToRoom struct {
	Name Name
	Room RoomName
}

func (in InviteToRoom) decide(tx *transaction) error {
	if in.Room.IsDirect() {
		return noRoom(tx.name(), in.Room)
	}
	if err := (Speak{in.Room}).decide(tx); err != nil {
		return err
	}
	r, _ := tx.Room(in.Room)
	switch {
	case tx.named(in.Name) == nil:
		return ErrNoAccount
	case r.member(in.Name) >= 0:
		return &Refusal{Code: Failed, Text: in.Name.String() + " is in " + in.Room.For(tx.name()) + " already"}
	case r.MayJoin(in.Name):
		return nil
	case len(r.Invited) >= MaxNamed:
		return ErrTooManyNamed.Because("a room can have at most %d invited people", MaxNamed)
	}
	r.Invited = append(slices.Clip(r.Invited), in.Name)
	tx.putRoom(r)
	return nil
}

// CreateRoom makes a room of nobody's, without members. To a private one the caller is invited.
type CreateRoom struct {
	Room    RoomName
	Private bool
}

func (in CreateRoom) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	if _, there := tx.Room(in.Room); there || in.Room == General || in.Room.IsDirect() {
		return ErrTaken
	}
	r := RoomState{Name: in.Room}
	if r.Private = in.Private; r.Private && tx.me != nil {
		r.Invited = []Name{tx.me.Name}
	}
	tx.putRoom(r)
	return nil
}

// CloseRoom removes a room and all its members. Its messages stay sealed. If a room of that name is created again, the
// numbering continues, and its members cannot read the earlier messages.
type CloseRoom struct{ Room RoomName }

func (in CloseRoom) decide(tx *transaction) error {
	r := tx.rooms[in.Room]
	switch {
	case in.Room == General:
		return ErrGeneral.With("#general is for everyone and cannot be closed")
	case r == nil:
		return noRoom(tx.name(), in.Room)
	}
	creator, others := !tx.name().IsZero() && r.By == tx.name(), len(r.Members)
	if r.member(tx.name()) >= 0 {
		others--
	}
	switch {
	case tx.rank(RoomName{}).MayClose(creator, others):
		tx.removeRoom(r)
		return nil
	case creator:
		return denied("#%s has %s; you can close it once nobody else is in it", in.Room, text.Count(others, "other member"))
	case r.member(tx.name()) < 0 && !r.MayJoin(tx.name()):
		return noRoom(tx.name(), in.Room)
	}
	return denied("#%s can be closed only by an admin, or by its creator once nobody else is in it", in.Room)
}
