// Package chat is the chat itself: rooms, their logs and members, and the one order of all messages. It knows nothing of
// SSH, terminals, files or keys.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sshchat/sshchat/text"
)

// Hub is the chat: its State, the rooms' messages, and who is online. All its methods may be called from any goroutine.
type Hub struct{ *decider }

// Config is what a hub is over. Journal, State and Clock are required.
type Config struct {
	Journal Journal
	State   *State              // what has been decided
	Last    map[RoomName]uint64 // the Seq of the newest message of each room in which something was said
	Applied uint64              // the last batch that State and Last have
	Answers []Answer            // of batches up to that, whose requests other hubs may send again
	Clock   func() Moment
	Marks   Marks  // nil: what people have read is forgotten with the hub
	Leader  Leader // orders what is asked for here; nil: this hub does
	Log     *slog.Logger
}

// NewHub returns a hub. Run must be called for anything to be said or decided in it.
func NewHub(c Config) *Hub {
	d := &directory{marks: c.Marks, displaySeq: FirstDisplaySeq - 1, rooms: make(map[RoomName]*Room), people: make(map[Name]*person)}
	q := &sequencer{
		notices: &notices{presence: &presence{directory: d, presenceChanged: make(chan struct{}, 1), met: make(map[string]bool)}}, journal: c.Journal, log: c.Log, clock: c.Clock, requests: newRequests(), leader: c.Leader,
		queue: make(chan *request, maxBatch), awaitPrepared: make(chan RoomName), asks: make(chan struct{}), waiting: make(postponed), stop: make(chan struct{}), applied: c.Applied, warnings: make(warnings),
		ordered: make(map[RoomName]*orderedRoom), said: make(map[RoomName][]Message),
	}
	q.lost, q.loseLog = context.WithCancel(context.Background())
	q.running, q.ended = context.WithCancel(context.Background())
	q.state.Store(c.State)
	q.shown.Store(c.Applied)
	h := &Hub{&decider{sequencer: q, rekeying: make(map[Name]chan struct{})}}
	q.reseal = h.rekey
	for _, a := range c.Answers {
		q.requests.noteDone(a)
	}
	for name, is := range c.State.rooms {
		h.addRoom(name, is, c.Last[name])
	}
	for name, seq := range c.Last {
		if h.rooms[name] == nil { // direct, or removed while its numbering continues
			h.addRoom(name, nil, seq)
		}
	}
	if h.rooms[General] == nil {
		h.addRoom(General, nil, 0)
	}
	return h
}

// Post says something in a room and returns it as stored, with its Seq. When Post returns nil the message
// survives a power cut and is in the room's log. A direct room comes to be with its first message.
//
// Errors: those of Caller's login, a mute's, ErrNotIn, ErrSlow, ErrStopping, ErrNotStored (nobody has seen it), or ctx's, and
// then it was not said.
func (h *Hub) Post(ctx context.Context, who Caller, room RoomName, kind Kind, text Text) (Message, error) {
	if kind != Say && kind != Me {
		return Message{}, fmt.Errorf("internal error: a message of kind %q is not posted", kind)
	}
	return h.storeMessage(ctx, who, Post{Room: room, Kind: kind, Text: text})
}

// Reply says something in a room as a reply to what was said as message of, which need not be in memory.
//
// Errors: ErrNoMessage, and those of Post.
func (h *Hub) Reply(ctx context.Context, who Caller, room RoomName, of uint64, text Text) (Message, error) {
	return h.refer(ctx, who, Post{Room: room, Kind: Say, Text: text, Of: of})
}

// Report says something to each moderator and admin but the caller and the person whom it is about, each in the direct room of the two,
// and returns how many got it. It goes only to people who are moderators or admins when it is stored. A person's reports are limited.
//
// Errors: ErrReports, ErrNoModerator, and those of Post; then some may have it already.
func (h *Hub) Report(ctx context.Context, who Caller, about Name, said Text) (reached int, err error) {
	if err := h.chargeReport(who.Name); err != nil {
		return 0, err
	}
	now := h.View()
	for a := range now.Accounts() {
		if reached == maxReported || a.Name == who.Name || a.Name == about || !now.takesReports(&a) {
			continue
		}
		switch _, err := h.storeMessage(ctx, who, Post{Room: text.Direct(who.Name, a.Name), Kind: Say, Text: said, Report: true}); {
		case err == nil:
			reached++
		case !errors.Is(err, ErrNoModerator): // who has just ceased to be one
			return reached, err
		}
	}
	if reached == 0 {
		return 0, ErrNoModerator
	}
	return reached, nil
}

// React adds the caller's reaction to a message (React), or takes it back (Unreact), and returns what is stored of that: a
// message itself.
//
// Errors: ErrNoMessage, ErrReacted, ErrNotReacted, ErrTooManyEmoji, text.ErrNotEmoji, and those of Post.
func (h *Hub) React(ctx context.Context, who Caller, room RoomName, kind Kind, of uint64, emoji Text) (Message, error) {
	switch {
	case !kind.Reacts():
		return Message{}, fmt.Errorf("internal error: a message of kind %q is no reaction", kind)
	case !emoji.IsEmoji():
		return Message{}, text.ErrNotEmoji
	}
	return h.refer(ctx, who, Post{Room: room, Kind: kind, Of: of, Text: emoji})
}

// Amend edits or deletes the caller's message of in the room, and returns the edit or deletion, which is itself a stored
// message. When it returns without an error the log holds the message as it is now. Screens and files that already show
// it are not changed.
//
// Errors: ErrNoMessage, ErrNotYours, text.ErrEmpty where an edit leaves nothing, and those of Post.
func (h *Hub) Amend(ctx context.Context, who Caller, room RoomName, kind Kind, of uint64, new Text) (Message, error) {
	switch {
	case kind == Delete:
		new = Text{}
	case kind != Edit:
		return Message{}, fmt.Errorf("internal error: a message of kind %q amends nothing", kind)
	case new.IsEmpty():
		return Message{}, text.ErrEmpty
	}
	return h.refer(ctx, who, Post{Room: room, Kind: kind, Of: of, Text: new})
}

// Remove deletes a message, also one of somebody whom the caller outranks in the room.
func (h *Hub) Remove(ctx context.Context, who Caller, room RoomName, of uint64) (Message, error) {
	return h.refer(ctx, who, Post{Room: room, Kind: Delete, Of: of, AnyAuthor: true})
}

// refer has something said about another message.
func (h *Hub) refer(ctx context.Context, who Caller, in Post) (Message, error) {
	if in.Of == 0 {
		return Message{}, noMessage(who.Name, in.Room)
	}
	return h.storeMessage(ctx, who, in)
}

// Store has an event of the journal's own stored at its place among all others, and returns when it is. Errors: the
// journal's; ErrNotStored, ErrStopping.
func (h *Hub) Store(e Event) error {
	req := newRequest(TheServer, nil)
	req.Event = &e
	return h.submit(context.Background(), req)
}

// CountBy has c count the attempts that are submitted to Attempt. Call it before Run.
func (h *Hub) CountBy(c Counter) { h.counter = c }

// Attempt has an attempt counted in the order of the log, and returns once it is, here as on the hub that leads: no hub that leads
// later counts without it. Errors: ErrNotChecked, ErrUncounted, ErrStopping, ErrNotDecided; ctx's, and then it may be
// counted.
func (h *Hub) Attempt(ctx context.Context, a Attempt) error {
	req := newRequest(TheServer, nil)
	req.Attempt = &a
	return h.submit(ctx, req)
}

// PaceBy has what people say be ordered once pace has returned for its author, who may say it on several hubs at once; that is for the
// hub that leads, and not asked where there is no Leader. The error is that of ctx. Call it before Run.
func (h *Hub) PaceBy(pace func(ctx context.Context, who Name) error) { h.pace = pace }

// LoseLog has who waits for what another hub has ordered be answered with ErrNotKnown: nothing comes out of the log any more. It may be
// called again.
func (h *Hub) LoseLog() { h.loseLog() }

// Answers returns nil when Run has come to take the next request: what it does is neither stuck nor waiting for a disk that does
// not answer. Errors: ctx's, or ErrStopping if Run has ended.
func (h *Hub) Answers(ctx context.Context) error {
	select {
	case h.asks <- struct{}{}:
		return nil
	case <-h.stop:
		return ErrStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Failures is how many batches of messages and decisions could not be stored since the start, and whether the last one could not.
func (h *Hub) Failures() (batches int64, last bool) {
	return h.failures.all.Load(), h.failures.now.Load()
}

// say has a message stored and shown.
func (h *Hub) storeMessage(ctx context.Context, who Caller, in Post) (Message, error) {
	if err := h.awaitEvent(ctx, in.Room, NoChange); err != nil {
		return Message{}, err
	}
	req := newRequest(who, in)
	if err := h.submit(ctx, req); err != nil {
		return Message{}, err
	}
	return *req.message, nil
}

// AwaitApplied waits until the batch is applied. Errors: ctx's.
func (h *Hub) AwaitApplied(ctx context.Context, batch uint64) error {
	look := time.NewTicker(time.Millisecond) // nothing is kept for those who wait: few do, and not for long
	defer look.Stop()
	for h.Applied() < batch {
		select {
		case <-look.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
