package chat

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Change is what an Event does to a room's readers.
type Change int

const (
	NoChange Change = iota
	Join            // Name reads the room from here on
	Leave           // Name no longer does
	Rekey           // the keys of Name have changed; what follows is sealed to the new ones
	Revoke          // a key of Name was removed or is not trusted any more: seal nothing further to it, at once
)

// Event is one thing that happens in a room, in the order the journal gives it:
// either a message (Message.Kind is set), or a change of its readers, or something of the journal's own.
type Event struct {
	Room    RoomName
	Message Message
	Change  Change
	Name    Name   // whose Change it is
	Since   uint64 // of a Join: the first Seq that is theirs to read
	State   *State // as it is from this event on; nil: as before
	Stored  any    // what only the journal understands, which made it; nil for all other events
}

// RequestID names a request. A request that is sent twice is done once.
type RequestID struct {
	Origin uint64 // the hub at which it was made
	N      uint64 // counts its requests from 1
}

// Answer is what became of a request that is part of a batch.
type Answer struct {
	ID      RequestID
	Settled uint64 // requests of the origin below this one are never sent again
	Event   int    // the index among the events of its message, or of what only the journal understands; -1: it is a decision
}

// Batch is what happened together: it is stored and applied as a whole, or not at all. What it refers to is shared and must
// not be changed.
type Batch struct {
	N       uint64  // counts batches; it follows on N-1
	At      Moment  // the time it was checked at: applying it reads no clock
	Events  []Event // messages and changes of readers, in order
	Before  *State
	After   *State       // Before itself, if nothing was decided
	Edit    string       // EditByHand.File, if one is in it
	Audit   []AuditEntry // lines of the audit log
	Answers []Answer
	Counts  []Count // what was counted of attempts, in order; only if several hubs share the log
}

// Decided is the batch without its messages, and what only the journal understands.
func (b Batch) Decided() Batch {
	b.Events = slices.DeleteFunc(slices.Clone(b.Events), func(e Event) bool { return e.Change == NoChange })
	b.Answers = slices.DeleteFunc(slices.Clone(b.Answers), func(a Answer) bool { return a.Event >= 0 })
	return b
}

// Journal makes batches durable, in one order: it is the seam between the chat and what stores it.
type Journal interface {
	// Append offers b as the batch after the last that came out of Events. It returns nil once all of it survives a power
	// cut; then it comes out of Events, and is shown. It is called from one goroutine, at least once a minute, with an empty
	// batch when nothing happens.
	//
	// After an error nothing of b is shown, and nothing of it is part of the log: its Seqs are given out again. Errors that
	// mean more: *BadEvent, *Unprepared, ErrBehind, ErrNotLeader, ErrOnlyDecided, and ErrJournalDead, which is final. Whether
	// b has the next place, and the hub leads, is looked at before all else.
	Append(b Batch) error
	// Events are the batches that were appended, by whichever hub, each once it is durable.
	Events() <-chan Batch
	// Rehearse returns the State after, as it will be when the step from before is read back from the log. If it cannot
	// be read back it returns an error, and the step must not be appended.
	Rehearse(before, after *State) (*State, error)
}

// BadEvent is why a batch was not appended: one event of it cannot be stored. The others can, in a batch without it.
type BadEvent struct {
	Index int // among the batch's events
	Err   error
}

func (b *BadEvent) Error() string {
	return fmt.Sprintf("event %d cannot be stored: %v", b.Index, b.Err)
}

func (b *BadEvent) Unwrap() error { return b.Err }

// Unprepared is why a batch was not appended: the journal is to do work for one of its messages first, while which all others
// would wait. They can be appended in a batch without it, and without those behind it in its room.
type Unprepared struct {
	Index int             // among the batch's events
	Done  <-chan struct{} // closed when that work is done
}

func (u *Unprepared) Error() string {
	return fmt.Sprintf("event %d is to wait until the journal is ready for it", u.Index)
}

var (
	// ErrBehind is wrapped by an error of Append when another hub's batch has that place: that batch comes out of Events,
	// and the rejected one has to be ordered again.
	ErrBehind = errors.New("another batch has that place in the log")
	// ErrNotLeader is wrapped by an error of Append when this hub does not order requests, or not any more: nothing of the
	// batch is tried again here. Leader.Here is false by then.
	ErrNotLeader = errors.New("another hub leads")
	// ErrOnlyDecided is wrapped by an error of Append when what was decided is stored, and comes out of Events, but the
	// messages are not.
	ErrOnlyDecided = errors.New("changes were stored but messages were not")
)

// Preparer is a Journal that has work to do ahead for some rooms, and does it in the background. An event that can wait
// for that does so before it is queued, and holds up nothing behind it.
type Preparer interface {
	// Prepared is closed once a message (NoChange) or a change of the room's readers is no work that ought to have been
	// done ahead; nil: that is so now. The answer may be outdated by what others do meanwhile; nothing depends on it
	// but time. It must be cheap.
	Prepared(room RoomName, change Change) <-chan struct{}
}

// ErrJournalDead is wrapped by an error of Append after which nothing can be stored until the server starts again:
// after a failed fsync Linux forgets which pages were not written, so trying again would lie.
var ErrJournalDead = errors.New("the journal has failed permanently")

// Member is someone who belongs to a room.
type Member struct {
	Name  Name   `json:"name"`
	Since uint64 `json:"since"` // the first Seq that is theirs to read
}

// RoomState is what is decided about a room. What it refers to is shared and must not be changed.
type RoomState struct {
	Name  RoomName
	Topic string
	Rules
	By      Name     // who created it; zero for #general, and if an admin did
	Members []Member // in the order they came
	Last    uint64   // Seq of the newest stored message; the journal's word
}

// Sealer is a Journal that seals messages to the people who may read them.
type Sealer interface {
	// Unreadable reports whether the newest messages of the room are sealed to nobody. It must be cheap.
	Unreadable(room RoomName) bool
}

// warnEvery is the least between two warnings of what nobody can read: to one writer in one room, and to the log.
const warnEvery = time.Hour

// warned identifies a warning by its recipient; in the log, by nobody.
type warned struct {
	room RoomName
	name Name
}

// Unreadable reports whether the room's newest messages are stored but sealed to nobody: no member has a key or a
// password that opens history.
func (h *sequencer) Unreadable(room RoomName) bool {
	s, ok := h.journal.(Sealer)
	return ok && s.Unreadable(room)
}

// warnUnreadable warns in the log, and warns authors, about rooms whose messages are sealed to nobody. Called by Run.
func (h *sequencer) warnUnreadable(events []Event) {
	unreadable := false // the room used last
	var looked RoomName
	for i := range events {
		e := &events[i]
		if e.Change != NoChange {
			continue
		}
		if e.Room != looked {
			looked, unreadable = e.Room, h.Unreadable(e.Room)
		}
		if !unreadable {
			continue
		}
		if h.warnings.due(warned{room: e.Room}) {
			h.log.Warn("nobody can open new messages: no member has a key or password that opens history", "room", e.Room.String())
		}
		if from := e.Message.From; h.warnings.due(warned{e.Room, from}) {
			h.NotifyUser(from, "Your messages in %s are stored, but nobody can read them later: no member has a key or a password that opens history. "+
				"To get one: /key add or /passwd.", e.Room.For(from))
		}
	}
}

// warnings are those that were given, and when each last was.
type warnings map[warned]time.Time

// due notes a warning, if it is time for one.
func (all warnings) due(w warned) bool {
	at := time.Now()
	if last, ok := all[w]; ok && at.Sub(last) < warnEvery {
		return false
	}
	for old, last := range all {
		if at.Sub(last) >= warnEvery {
			delete(all, old)
		}
	}
	all[w] = at
	return true
}
