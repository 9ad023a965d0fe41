package chat

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"sshchat/sshchat/lists"
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
	h.trimDeserted(now)
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
func (h *Hub) TakeMemory() iter.Seq[RoomMemory] { return h.memory((*Log).take) }

// Memory returns what rooms hold, those with the newest messages first, for another node of the cluster that starts. The hub may be
// running, and keeps what it holds. Each room is as it is when its turn comes.
func (h *Hub) Memory() iter.Seq[RoomMemory] { return h.memory((*Log).share) }

func (h *Hub) memory(of func(*Log) (dropped uint64, entries []Message)) iter.Seq[RoomMemory] {
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
			m := h.memoryOf(r, of)
			m.Entries = slices.DeleteFunc(slices.Clone(m.Entries), func(e Message) bool { return !e.counts() && e.Kind != Notice })
			if len(m.Entries) > 0 && !yield(m) {
				return
			}
		}
	}
}

// memoryOf is what a room holds. Nobody joins or leaves it meanwhile.
func (h *Hub) memoryOf(r *Room, of func(*Log) (dropped uint64, entries []Message)) RoomMemory {
	h.mu.RLock()
	defer h.mu.RUnlock()
	m := RoomMemory{Room: r.Name, Members: h.seats(r)}
	m.Dropped, m.Entries = of(r.Log)
	return m
}

// seats lists the members of a room. Called with mu held.
func (h *Hub) seats(r *Room) []Seat {
	state := h.state.Load()
	var seats []Seat
	for name, since := range r.members {
		if a, known := state.ByName(name); known {
			seats = append(seats, Seat{name, a.ID, since, h.people[name].rooms[r.Name]})
		}
	}
	return seats
}

// take empties the log, and returns what it held.
func (l *Log) take() (dropped uint64, entries []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	dropped, entries = l.dropped, l.entries
	l.first += uint64(len(entries))
	l.entries, l.bytes, l.dropped = nil, 0, l.last
	return dropped, entries
}

// share returns what take does, and empties nothing. The caller must not change the entries.
func (l *Log) share() (dropped uint64, entries []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped, l.entries
}

// counts reports whether a log's entry has a Seq of its room.
func (m *Message) counts() bool { return m.Kind.Stored() || m.Kind == Missing }

// RestoreMemory gives a room what it held before a planned restart, or what it holds in another node of the cluster, and reports
// whether it did. It is to be called before Run, and before the hub is shared. It changes m.Entries and keeps them.
//
// What was decided meanwhile holds: only an account that was in the room, and has not left it since, has a right to what it
// held. What was said meanwhile too: if the history of the room goes further than its memory, an edit or a deletion may be
// among what is missing, and the memory is not used. In a cluster the memory may go further than the history: the rest comes
// out of the journal. The error says that the memory is not what a room can hold.
func (h *Hub) RestoreMemory(m RoomMemory) (restored bool, err error) {
	if err := m.check(); err != nil {
		return false, fmt.Errorf("memory of %s: %w", m.Room, err)
	}
	state := h.state.Load()
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[m.Room]
	if r == nil || r.removed() || r.Log.holds() {
		return false, nil
	}
	if h.leader != nil {
		if h.adopted == maxAdopted || !m.adopt(r.Log.Last(), h.adopted) {
			return false, nil
		}
		h.adopted++
	}
	if r.Log.Last() != m.last() {
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

// maxAdopted is how many rooms are adopted at most.
const maxAdopted = 1 << 18

// adopt makes another node's memory of a room one of this hub, the nth that it adopts, where the room ends with the message last.
// It returns false if nothing of it is left. Each node counts what it has shown for itself, so entries get places by their time,
// which is the same on all nodes: no two the same one, in whatever rooms, and those of several rooms in the order in which they
// were said.
func (m *RoomMemory) adopt(last, nth uint64) bool {
	if i := slices.IndexFunc(m.Entries, func(e Message) bool { return e.Seq > last }); i >= 0 {
		m.Entries = m.Entries[:i]
	}
	if len(m.Entries) == 0 || m.Dropped > last {
		return false
	}
	const perMilli, latest = 8, 1 << 45 // places for each millisecond, up to the year 2109
	m.Members = slices.Clone(m.Members)
	lists.Sort(m.Members, func(a, b Seat) int { return cmp.Compare(a.From, b.From) })
	seats, place := m.Members, uint64(0)
	before := uint64(0)
	for i := range m.Entries {
		e := &m.Entries[i]
		for ; len(seats) > 0 && seats[0].From < e.DisplaySeq; seats = seats[1:] {
			seats[0].From = before
		}
		place = max(place+1, min(uint64(max(0, e.At.UnixMilli()))*perMilli, latest))
		before = FirstDisplaySeq + place*maxAdopted + nth
		e.DisplaySeq = before
	}
	for i := range seats {
		seats[i].From = before
	}
	return true
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
		counts := e.counts()
		if counts {
			seq++
		}
		if e.Room != m.Room || e.DisplaySeq <= order || e.From.IsZero() != (e.Kind == Missing) && counts || counts && e.Seq != seq ||
			!counts && (e.Seq != 0 || e.Kind != Notice) || e.Of > 0 && e.Of >= seq || e.Of == 0 && (e.Kind.Amends() || e.Kind.Reacts()) {
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
		if l.entries[i].Kind == Missing {
			l.missing = l.first + uint64(i) + 1
		}
	}
	l.end.Store(l.first + uint64(len(l.entries)))
	l.evict(l.lines, LogBytes)
}

// restoredIdle is how long rooms keep all that they held before a restart, or before another node's end, also while nobody is in them.
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

// trimDeserted has rooms let go of most of their tail that were in use on other nodes alone, and are no longer.
func (h *directory) trimDeserted(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		switch {
		case r.deserted.IsZero():
		case r.online > 0:
			r.deserted = time.Time{}
		case now.Sub(r.deserted) >= restoredIdle:
			r.deserted = time.Time{}
			r.Log.Trim()
		}
	}
}
