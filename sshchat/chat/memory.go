package chat

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// This file is what rooms hold in memory while nobody looks at it: direct rooms release it in time, and a planned restart
// takes it along.

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
	h.trimRestored(now)
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

// RoomMemory is what a room holds in memory, as a planned restart takes it along: what is stored, and the room's notices.
type RoomMemory struct {
	Room    RoomName
	Members []Seat
	Dropped uint64    // Seq of the newest stored message that is no longer held
	Entries []Message // oldest first
}

// Seat is a member's right to what a room holds.
type Seat struct {
	Name    Name
	Account string // its id, so that another account of that name has no right
	Since   uint64 // the first Seq that is theirs to read
	From    uint64 // the DisplaySeq after which entries are theirs; 0: all are
}

// KeepMemory has rooms that people leave keep all that they hold, from now on: it is about to be taken along.
func (h *Hub) KeepMemory() { h.keeps.Add(1) }

// TakeMemory returns what rooms hold, those with the newest messages first. The hub's Run must have ended. Each log is empty
// once its room was returned, so that what is taken is not in memory twice.
func (h *Hub) TakeMemory() iter.Seq[RoomMemory] {
	h.mu.RLock()
	rooms := make([]*Room, 0, len(h.rooms))
	newest := make(map[*Room]uint64)
	for _, r := range h.rooms {
		if tail := r.Log.Tail(1); len(tail) > 0 && !r.removed() {
			rooms = append(rooms, r)
			newest[r] = tail[0].DisplaySeq
		}
	}
	h.mu.RUnlock()
	slices.SortFunc(rooms, func(a, b *Room) int { return cmp.Compare(newest[b], newest[a]) })
	return func(yield func(RoomMemory) bool) {
		for _, r := range rooms {
			m := RoomMemory{Room: r.Name, Members: h.seats(r)}
			m.Dropped, m.Entries = r.Log.take()
			if len(m.Entries) > 0 && !yield(m) {
				return
			}
		}
	}
}

// Memory returns what rooms hold, those with the newest messages first, for another node that starts. The hub may be running, and
// keeps what it holds.
func (h *Hub) Memory() iter.Seq[RoomMemory] {
	return func(func(RoomMemory) bool) {}
}

// seats lists the members of a room.
func (h *Hub) seats(r *Room) []Seat {
	state := h.state.Load()
	h.mu.RLock()
	defer h.mu.RUnlock()
	var seats []Seat
	for name, since := range r.members {
		if a, known := state.ByName(name); known {
			seats = append(seats, Seat{name, a.ID, since, h.people[name].rooms[r.Name]})
		}
	}
	return seats
}

// take empties the log, and returns what of it can be taken along.
func (l *Log) take() (dropped uint64, entries []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped, entries = l.dropped, l.entries
	l.first += uint64(len(entries))
	l.entries, l.bytes, l.dropped = nil, 0, l.last
	return dropped, slices.DeleteFunc(slices.Clone(entries), func(m Message) bool { return !m.Kind.Stored() && m.Kind != Notice })
}

// RestoreMemory gives a room what it held before a planned restart, and reports whether it did. It is to be called before
// Run, and before the hub is shared.
//
// What was decided meanwhile holds: only an account that was in the room, and has not left it since, has a right to what it
// held. What was said meanwhile too: if the history of the room goes further than its memory, an edit or a deletion may be
// among what is missing, and the memory is not used. The error says that the memory is not what a room can hold.
func (h *Hub) RestoreMemory(m RoomMemory) (restored bool, err error) {
	if err := m.check(); err != nil {
		return false, fmt.Errorf("memory of %s: %w", m.Room, err)
	}
	state := h.state.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[m.Room]
	if r == nil || r.removed() || r.Log.holds() || r.Log.Last() != m.last() {
		return false, nil
	}
	newest := m.Entries[len(m.Entries)-1].DisplaySeq
	seats := make(map[Name]uint64, len(m.Members))
	for _, s := range m.Members {
		a, known := state.ByName(s.Name)
		if since, in := r.members[s.Name]; in && since == s.Since && known && a.ID == s.Account {
			seats[s.Name] = s.From
		}
	}
	if len(seats) == 0 {
		return false, nil
	}
	for name := range r.members {
		from, has := seats[name]
		if !has {
			from = newest
		}
		h.people[name].rooms[m.Room] = from
	}
	for i := range m.Entries {
		m.Entries[i].Color = state.Color(m.Entries[i].From)
	}
	r.Log.restore(m)
	h.displaySeq = max(h.displaySeq, newest)
	if !h.restored {
		h.restored = true
		h.keeps.Add(1) // who comes first and goes again leaves it to those who come later
	}
	return true, nil
}

// last is the Seq of the newest stored message.
func (m *RoomMemory) last() uint64 {
	for _, e := range slices.Backward(m.Entries) {
		if e.Seq > 0 {
			return e.Seq
		}
	}
	return m.Dropped
}

// errMemory refuses what no log can hold.
var errMemory = errors.New("it is not in the order of a room's log")

// check refuses what no log can hold: logs rely on it.
func (m *RoomMemory) check() error {
	if len(m.Entries) == 0 || len(m.Entries) > LogLines {
		return errMemory
	}
	seq, order := m.Dropped, uint64(0)
	for i := range m.Entries {
		e := &m.Entries[i]
		stored := e.Kind.Stored()
		if stored {
			seq++
		}
		if e.Room != m.Room || e.DisplaySeq <= order || e.From.IsZero() && stored || stored && e.Seq != seq ||
			!stored && (e.Seq != 0 || e.Kind != Notice) || e.Of > 0 && e.Of >= seq || e.Of == 0 && (e.Kind.Amends() || e.Kind.Reacts()) {
			return errMemory
		}
		order = e.DisplaySeq
	}
	return nil
}

// restore gives an empty log its entries.
func (l *Log) restore(m RoomMemory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries, l.dropped = m.Entries, m.Dropped
	for i := range l.entries {
		l.bytes += l.entries[i].size()
	}
	l.end.Store(l.first + uint64(len(l.entries)))
	l.evict(l.lines, LogBytes)
}

// restoredIdle is how long rooms keep all that they held before a restart, also while nobody is in them.
const restoredIdle = 10 * time.Minute

// trimRestored has rooms into which nobody came back after a restart let go of most of their tail, once.
func (h *sequencer) trimRestored(now time.Time) {
	switch {
	case !h.restored:
		return
	case h.restoredBy.IsZero():
		h.restoredBy = now.Add(restoredIdle)
		return
	case now.Before(h.restoredBy):
		return
	}
	h.restored = false
	if h.keeps.Add(-1) > 0 {
		return // it is about to be taken along again
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, r := range h.rooms {
		if r.online == 0 && r.Log.holds() {
			r.Log.Trim()
		}
	}
}
