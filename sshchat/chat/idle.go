package chat

import "time"

// A direct room is created by its first message and never removed: there may be one for each pair of people. Its messages
// in memory (400 bytes each, up to IdleLog) are released once it has been idle for long, except for those that one of the
// two has not read: without a password, only memory can show them. The rest is in the history.

// directIdle is how long a direct room keeps what both have read after the last of them has gone.
const directIdle = time.Hour

// idleRooms are the direct rooms that hold messages and in which nobody was at the last look. They belong to Run.
type idleRooms map[*Room]idleRoom

type idleRoom struct {
	since time.Time
	last  uint64 // Seq of its newest message then
}

// releaseIdle releases the messages that both people have read of direct rooms that have been idle for directIdle. Run
// calls it between two batches, so that no pending edit or deletion refers to a released message.
func (h *sequencer) releaseIdle(now time.Time) {
	idle := make(idleRooms, len(h.idle))
	for _, r := range h.emptyDirect() {
		at := idleRoom{now, r.Log.Last()}
		if before, known := h.idle[r]; known && before.last == at.last {
			at.since = before.since
		}
		if now.Sub(at.since) >= directIdle {
			if r.Log.release(h.readByBoth(r)) == 0 {
				continue
			}
			at.since = now // unread messages are checked again after this time
		}
		idle[r] = at
	}
	h.idle = idle
}

// emptyDirect lists the direct rooms in which nobody is, and that hold messages.
func (h *directory) emptyDirect() []*Room {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var rooms []*Room
	for name, r := range h.rooms {
		if r.online == 0 && name.IsDirect() && r.Log.holds() {
			rooms = append(rooms, r)
		}
	}
	return rooms
}

// readByBoth is the Seq up to which each of a direct room's two people has read everything that the other said. Their marks
// are raised to it: else what somebody said without reading the room, as by a script, would count as unread once it is gone.
func (h *directory) readByBoth(r *Room) (seq uint64) {
	a, b, _ := r.Name.Pair()
	h.mu.RLock()
	of := func(name Name) uint64 { return r.mark(name, h.people[name]) }
	marks := map[Name]uint64{a: of(a), b: of(b)}
	h.mu.RUnlock()
read:
	for _, m := range r.Log.Tail(LogLines) {
		for name, mark := range marks {
			if m.Seq > mark && m.From != name {
				break read
			}
		}
		seq = max(seq, m.Seq)
	}
	h.Mark(a, r.Name, seq)
	h.Mark(b, r.Name, seq)
	return seq
}

// holds reports whether the log has any entry in memory.
func (l *Log) holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) > 0
}

// release forgets the messages up to seq and all but the last IdleLog, and returns how many entries are left. A log that
// holds none still knows its newest Seq.
func (l *Log) release(seq uint64) (left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	drop := 0
	for drop < len(l.entries) && (l.entries[drop].Seq <= seq || len(l.entries)-drop > IdleLog) {
		l.bytes -= l.entries[drop].size()
		l.dropped = max(l.dropped, l.entries[drop].Seq)
		drop++
	}
	l.first += uint64(drop)
	l.entries = append([]Message(nil), l.entries[drop:]...) // readers may hold the old array
	return len(l.entries)
}
