// Package chat is the chat itself: rooms, their logs, who belongs to them, and the one order of what is said.
// It knows nothing of SSH, terminals, files or keys.
package chat

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"sshchat/sshchat/text"
)

// Hub is the chat: what was decided, what is said, and who is there. All its methods may be called from any goroutine.
type Hub struct{ *decider }

// NewHub returns a hub over the rooms of the decisions, and those in which something was said: last is the Seq of the newest
// message of each. Run must be called for anything to be said in them. Without marks (nil) what people have read is
// forgotten with the hub.
func NewHub(journal Journal, decisions Decisions, marks Marks, last map[RoomName]uint64, log *slog.Logger) *Hub {
	d := &directory{
		marks: marks, rooms: make(map[RoomName]*Room), people: make(map[Name]*person),
	}
	q := &sequencer{
		presence: &presence{d, make(chan struct{}, 1)}, journal: journal, log: log, queue: make(chan *request, maxBatch), stop: make(chan struct{}), warnings: make(map[warned]time.Time),
	}
	h := &Hub{&decider{sequencer: q, decisions: decisions, rekeying: make(map[Name]chan struct{})}}
	for _, s := range decisions.View().Rooms() {
		s.Last = last[s.Name]
		h.addRoom(s)
	}
	for name, seq := range last {
		if h.rooms[name] == nil { // two people's, or removed, but what was said in it counts on
			h.addRoom(RoomState{Name: name, Last: seq, Gone: !name.IsDirect() && name != General})
		}
	}
	if h.rooms[General] == nil {
		h.addRoom(RoomState{Name: General})
	}
	decisions.Follow(h.follow)
	return h
}

// Post says something in a room and returns it as stored, with its Seq. When Post returns nil the message
// survives a power cut and is in the room's log. A direct room comes to be with its first message.
//
// Errors: ErrNotIn, ErrStopping, ErrNotStored (nobody has seen it), or ctx's, and then it was not said.
func (h *Hub) Post(ctx context.Context, from Name, room RoomName, kind Kind, text Text) (Message, error) {
	if kind != Say && kind != Me { // it would fail the whole batch
		return Message{}, fmt.Errorf("internal error: a message of kind %q is not posted", kind)
	}
	if room.IsDirect() {
		h.makeDirect(from, room)
	}
	req := newRequest(Event{Room: room, Message: Message{Room: room, From: from, Kind: kind, Text: text}})
	if err := h.say(ctx, req); err != nil {
		return Message{}, err
	}
	return req.event.Message, nil
}

// Amend replaces (Edit) or takes back (Delete) what from said in the room as message of, and returns the edit or
// deletion: a stored message itself. When it returns nil the log holds the message as it is now. What earlier sessions
// and files hold is not changed.
//
// Errors: ErrNoMessage, ErrNotYours, text.ErrEmpty where an edit leaves nothing, and those of Post.
func (h *Hub) Amend(ctx context.Context, from Name, room RoomName, kind Kind, of uint64, new Text) (Message, error) {
	switch {
	case kind == Delete:
		new = Text{}
	case kind != Edit:
		return Message{}, fmt.Errorf("internal error: a message of kind %q amends nothing", kind)
	case new.IsEmpty():
		return Message{}, text.ErrEmpty
	}
	return h.amend(ctx, newRequest(Event{Room: room, Message: Message{Room: room, From: from, Kind: kind, Of: of, Text: new}}))
}

// Remove is Amend's Delete by somebody who may delete the messages of others; the caller has seen to that. by must be
// in the room.
func (h *Hub) Remove(ctx context.Context, by Name, room RoomName, of uint64) (Message, error) {
	req := newRequest(Event{Room: room, Message: Message{Room: room, From: by, Kind: Delete, Of: of}})
	req.anothers = true
	return h.amend(ctx, req)
}

func (h *Hub) amend(ctx context.Context, req *request) (Message, error) {
	if req.event.Message.Of == 0 {
		return Message{}, noMessage(req.event.Message.From, req.event.Room)
	}
	if err := h.say(ctx, req); err != nil {
		return Message{}, err
	}
	return req.event.Message, nil
}

type checkKey struct{}

// WithCheck returns a context under which the hub asks check once more at the place of each message: after all waits, and
// after what came before it. If check refuses, nothing is said and its error is returned. A check may read the hub and must
// change nothing.
func WithCheck(ctx context.Context, check func() error) context.Context {
	return context.WithValue(ctx, checkKey{}, check)
}

// AlsoCheck is WithCheck for one more check beside those of ctx.
func AlsoCheck(ctx context.Context, check func() error) context.Context {
	return WithCheck(ctx, func() error {
		if err := checked(ctx); err != nil {
			return err
		}
		return check()
	})
}

// checked asks the checks of ctx.
func checked(ctx context.Context) error {
	if check, _ := ctx.Value(checkKey{}).(func() error); check != nil {
		return check()
	}
	return nil
}
