package chat

import "errors"

// Change tells what an Event does to a room's readers.
type Change int

const (
	NoChange Change = iota
	Join            // Name reads the room from here on
	Leave           // Name no longer does
	Rekey           // the keys of Name have changed; what follows is sealed to the new ones
	Revoke          // a key of Name was removed or is not trusted any more: seal nothing further to it, at once
)

// Event is one thing that happens in a room, in the order the journal gives it:
// either a message (Message.Kind is set) or a change of its readers.
type Event struct {
	Room    RoomName
	Message Message
	Change  Change
	Name    Name // whose Change it is
}

// Journal makes events durable: it is the seam between the chat and what stores it.
//
// Commit stores the batch in order and returns once all of it survives a power cut; only then is it shown to anyone.
// After an error none of it is shown, the Seqs of its messages are given out again, and its changes
// come once more, ahead of the next messages. An error that wraps
// ErrJournalDead is final. Commit is called from one goroutine, at least once a minute, with an empty batch
// when nothing happens.
type Journal interface {
	Commit(batch []Event) error
}

// Preparer is a Journal that has work to do ahead for some rooms, and does it in the background. An event that can wait
// for that does so before it is queued, and holds up nothing behind it.
type Preparer interface {
	// Prepared is closed once a message (NoChange) or a change of the room's readers is no work that ought to have been
	// done ahead; nil: that is so now. What it tells may be outdated by what others do meanwhile; nothing depends on it
	// but time. It must be cheap.
	Prepared(room RoomName, change Change) <-chan struct{}
}

// ErrJournalDead is wrapped by an error of Commit after which nothing can be stored until the server starts again:
// after a failed fsync Linux forgets which pages were not written, so trying again would lie.
var ErrJournalDead = errors.New("the journal has failed for good")

// Member is someone who belongs to a room.
type Member struct {
	Name  Name   `json:"name"`
	Since uint64 `json:"since"` // the first Seq that is theirs to read
}

// RoomState is what is decided about a room, as the registry keeps it.
type RoomState struct {
	Name  RoomName
	Topic string
	Rules
	By      Name // who made it; zero for #general, and where an admin did
	Gone    bool // it was removed, but what was said in it is stored
	Members []Member
	Last    uint64 // Seq of the newest stored message; the journal's word, not the registry's
}

// Registry keeps what is decided about rooms. Each method returns once its change survives a power cut.
// Changes for different people may come at once; for one person they come one after another.
type Registry interface {
	// SaveRoom makes the room, without members, or changes its topic.
	SaveRoom(name RoomName, topic string, by Name) error
	// SaveRules changes how the room is run.
	SaveRules(name RoomName, rules Rules) error
	// RemoveRoom forgets the room and who is in it; it is no error where it is not there.
	RemoveRoom(name RoomName) error
	// SaveMember adds m to the room or changes since when m belongs to it.
	SaveMember(room RoomName, m Member) error
	// RemoveMember takes name out of the room; it is no error where name is not in it.
	RemoveMember(room RoomName, name Name) error
}
