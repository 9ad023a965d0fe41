package chat

import "sync"

// Marks keeps how far people have read, so that it outlives the server. It may lose the last few seconds in a crash.
// Its methods return at once and may be called from any goroutine.
type Marks interface {
	// Mark notes that name has seen the room up to the message seq. A mark only rises.
	Mark(name Name, room RoomName, seq uint64)
	// MarksOf returns the marks of a person, as a copy; nil where there are none.
	MarksOf(name Name) map[RoomName]uint64
}

// readMarks is how far one person has read, in all rooms. It has a lock of its own: each session of a busy room raises
// a mark as often as it draws, and must not hold up the hub.
type readMarks struct {
	mu   sync.Mutex
	seqs map[RoomName]uint64 // guarded by mu
}

// rise raises the room's mark to seq, and reports false where it is there already.
func (k *readMarks) rise(room RoomName, seq uint64) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if seq <= k.seqs[room] {
		return false
	}
	if k.seqs == nil {
		k.seqs = make(map[RoomName]uint64)
	}
	k.seqs[room] = seq
	return true
}

func (k *readMarks) of(room RoomName) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.seqs[room]
}

// mark is the Seq of the last message of the room that the member p, called me, has read or was never to read.
// A mark beyond the room's end, of a history that was put back to an older copy, counts as its end.
// Called with the hub's mu held.
func (r *Room) mark(me Name, p *person) uint64 {
	return min(max(p.marks.of(r.Name), r.members[me]-1), r.Log.Last())
}

// Mark notes that me has read the room up to the message seq, in one of me's sessions, and tells the others.
// Marks only rise, and not beyond what was said. It returns the mark as it stands; 0 where me is not in the room.
func (h *Hub) Mark(me Name, room RoomName, seq uint64) uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r, p := h.rooms[room], h.people[me]
	if r == nil || p == nil {
		return 0
	}
	if _, in := r.members[me]; !in {
		return 0
	}
	seq = min(seq, r.Log.Last())
	if !p.marks.rise(room, seq) {
		return r.mark(me, p)
	}
	if h.marks != nil {
		h.marks.Mark(me, room, seq)
	}
	if p.sessions > 1 { // else there is nobody to tell, and it would wake the one who marks
		h.tell(p.log, Message{Room: room, Kind: Marked, Seq: seq})
	}
	return seq
}

// Marks is how far me has read each of me's rooms: the Seq of the last message that is not unread.
func (h *Hub) Marks(me Name) map[RoomName]uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[me]
	if p == nil {
		return nil
	}
	marks := make(map[RoomName]uint64, len(p.rooms))
	for name := range p.rooms {
		marks[name] = h.rooms[name].mark(me, p)
	}
	return marks
}

// Changed tells the sessions of name that something about the account has changed: each reads it anew.
func (h *Hub) Changed(name Name) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil {
		h.tell(p.log, Message{Kind: Changed})
	}
}
