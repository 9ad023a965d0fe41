package chat

import "time"

// Sealer is a Journal that seals what it stores to those who may read it.
type Sealer interface {
	// Unreadable reports whether the newest messages of the room are sealed to nobody. It must be cheap.
	Unreadable(room RoomName) bool
}

// warnEvery is the least between two warnings of what nobody can read: to one writer in one room, and to the log.
const warnEvery = time.Hour

// warned is whom a warning was for; the log's is for nobody.
type warned struct {
	room RoomName
	name Name
}

// Unreadable reports whether what was said last in the room is stored, but sealed to nobody: no member has a key or a
// password that opens history.
func (h *Hub) Unreadable(room RoomName) bool {
	s, ok := h.journal.(Sealer)
	return ok && s.Unreadable(room)
}

// warnUnreadable warns the log, and those who said something, of rooms in which that is sealed to nobody. Called by Run.
func (h *Hub) warnUnreadable(events []Event) {
	looked := make(map[RoomName]bool, 1)
	for _, e := range events {
		if e.Change != NoChange {
			continue
		}
		unreadable, known := looked[e.Room]
		if !known {
			unreadable = h.Unreadable(e.Room)
			looked[e.Room] = unreadable
		}
		if !unreadable {
			continue
		}
		if h.warningDue(warned{room: e.Room}) {
			h.log.Warn("messages are sealed to nobody: no member has a key or password that opens history", "room", e.Room.String())
		}
		if from := e.Message.From; h.warningDue(warned{e.Room, from}) {
			h.Tell(from, "What you say in %s is stored, but sealed to nobody: no member has a key or a password that opens history. "+
				"/key add and /passwd give you one.", e.Room.For(from))
		}
	}
}

// warningDue notes a warning, if it is time for one.
func (h *Hub) warningDue(w warned) bool {
	at := time.Now()
	if last, ok := h.warnings[w]; ok && at.Sub(last) < warnEvery {
		return false
	}
	for old, last := range h.warnings {
		if at.Sub(last) >= warnEvery {
			delete(h.warnings, old)
		}
	}
	h.warnings[w] = at
	return true
}
