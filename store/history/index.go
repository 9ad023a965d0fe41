package history

import (
	"slices"

	"sshchat/sshchat/chat"
)

// What a room's tail holds at most, for exports that seal it again.
const (
	tailLines = 200
	tailBytes = 256 << 10
)

// index is where in the file records are. It holds only durable ones.
type index map[chat.RoomName]*roomIndex

// roomIndex is the index of one room.
type roomIndex struct {
	windows []windowEntry
	shares  []share // elements are never changed
	head    Head
	tail    [][]byte // the last lines said since the server started; elements are never changed
	bytes   int      // size of tail
}

// windowEntry is one window on the roomIndex. A few words for a closed one, whatever it holds.
type windowEntry struct {
	w, from, to uint64      // to is from-1 while there is no message
	off         int64       // of the window record
	in          *archive    // the file it is in; nil: the one that is written to
	readers     []chat.Name // the readers with a head, sorted; shared between windows, never changed
	closes      []chunk
	msgs        []int64 // offsets of the msg records, by seq; nil once closed
	shares      []share // on a snapshot only: heads it has besides those in its record, the newest last
}

// chunk is one close record.
type chunk struct {
	off      int64
	from, to uint64
}

func (s *windowEntry) closed() bool { return len(s.closes) > 0 && s.closes[len(s.closes)-1].to == s.to }

func (s *windowEntry) count() int { return int(s.to + 1 - s.from) }

func (s *windowEntry) readable(me chat.Name) bool {
	_, found := slices.BinarySearchFunc(s.readers, me, chat.Name.Compare)
	return found || slices.ContainsFunc(s.shares, func(sh share) bool { return sh.name == me })
}

// add notes a durable record.
func (x index) add(r *record) {
	if r.kind == startRecord {
		for _, h := range r.predecessor.rooms {
			x[h.Room] = &roomIndex{head: h}
		}
		return
	}
	if r.kind == attachRecord {
		return
	}
	s := x[r.room]
	if s == nil {
		s = new(roomIndex)
		x[r.room] = s
	}
	if r.kind == shareRecord {
		s.shares = append(s.shares, share{w: r.w, name: r.heads[0].name, tag: r.tag, off: r.off})
		return
	}
	s.head = Head{Room: r.room, W: r.w, Seq: max(s.head.Seq, r.seq, r.to), N: r.n, Tip: r.sum}
	switch r.kind {
	case windowRecord:
		s.windows = append(s.windows, windowEntry{w: r.w, from: s.head.Seq + 1, to: s.head.Seq, off: r.off, readers: s.readers(r)})
	case msgRecord:
		last := &s.windows[len(s.windows)-1]
		last.to = r.seq
		last.msgs = append(last.msgs, r.off)
		if r.plain != nil {
			s.amend(r)
		}
		s.remember(r.plain)
	case closeRecord:
		last := &s.windows[len(s.windows)-1]
		last.to = max(last.to, r.to)
		last.closes = append(last.closes, chunk{r.off, r.from, r.to})
		if last.closed() {
			last.msgs = nil
		}
	}
}

// Unreadable implements chat.Sealer: the room's newest window has no head.
func (h *History) Unreadable(room chat.RoomName) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s := h.index[room]
	return s != nil && len(s.windows) > 0 && len(s.windows[len(s.windows)-1].readers) == 0
}

// readers are those with a head in r, sorted.
func (r *record) readers() []chat.Name {
	if r.packed != nil {
		return r.packed.names
	}
	names := make([]chat.Name, len(r.heads))
	for i, h := range r.heads {
		names[i] = h.name
	}
	return names
}

// readers are those with a head in r: the slice of the window before, where they are the same.
func (s *roomIndex) readers(r *record) []chat.Name {
	names := r.readers()
	if len(s.windows) > 0 {
		if before := s.windows[len(s.windows)-1].readers; slices.Equal(before, names) {
			return before
		}
	}
	return names
}

// amend has the tail hold what r makes of it.
func (s *roomIndex) amend(r *record) {
	if r.amends == nil {
		return
	}
	tail, err := amend(s.tail, r.seq-uint64(len(s.tail)), r.amends)
	if err != nil {
		panic("internal error: a line we made: " + err.Error())
	}
	s.tail, s.bytes = tail, 0
	for _, line := range tail {
		s.bytes += len(line)
	}
}

// remember adds a line to the tail.
func (s *roomIndex) remember(plain []byte) {
	if plain == nil { // the tail has no gaps
		s.tail, s.bytes = nil, 0
		return
	}
	s.tail = append(s.tail, plain)
	s.bytes += len(plain)
	for len(s.tail) > tailLines || s.bytes > tailBytes {
		s.bytes -= len(s.tail[0])
		s.tail[0] = nil // the array outlives the slice's step
		s.tail = s.tail[1:]
	}
}
