package chat

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
)

// Delivery is what a reader is shown: an entry of a log, or, where Gap is not zero, the news that those messages
// of Message.Room came and went before the reader could take them.
type Delivery struct {
	Message
	Gap Gap
}

// Reader is one session's view of all rooms of a person: a cursor in each. It belongs to one goroutine.
type Reader struct {
	hub     *Hub
	me      Name
	own     *Cursor // in the person's own log: tells of rooms to add and drop
	cursors map[RoomName]*Cursor
	only    map[RoomName]bool // nil: all of the person's rooms, as they come and go
	skipped map[RoomName]bool // rooms that have unread messages before the beginning
	peek    bool
	last    []Delivery // what Next returned, to be written over by the next one
}

// From tells where a Reader begins in the rooms of a person: at their ends, unless one of these says otherwise.
type From struct {
	Only   []RoomName          // read these alone; nil for all of the person's
	Unread int                 // at the person's mark, but at most so many messages before the end; in #general also Back
	Back   int                 // so many entries before the end; in direct rooms, and with Unread in all others, at the mark
	After  map[RoomName]uint64 // in these rooms: the messages after this Seq, whatever Unread and Back say
	Peek   bool                // being handed out is not being read: whoever shows it tells by Hub.Mark what was seen
}

// Reader returns a reader for me.
func (h *Hub) Reader(me Name, from From) *Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	r := &Reader{
		hub: h, me: me, own: p.log.Cursor(), peek: from.Peek,
		cursors: make(map[RoomName]*Cursor), skipped: make(map[RoomName]bool),
	}
	if from.Only != nil {
		r.only = make(map[RoomName]bool)
		for _, name := range from.Only {
			r.only[name] = true
		}
	}
	for name := range p.rooms {
		if r.only != nil && !r.only[name] {
			continue
		}
		room := h.rooms[name]
		mark := room.mark(me, p)
		after, resume := from.After[name]
		if resume {
			r.cursors[name] = room.Log.CursorAfter(max(after, room.members[me]-1))
		} else {
			r.cursors[name] = from.begin(room, mark)
		}
		if resume || from.Back == 0 && from.Unread == 0 {
			r.skipped[name] = r.cursors[name].Seq() > mark
		}
	}
	return r
}

// begin is where a reader begins in a room that the person has read up to mark.
func (f From) begin(r *Room, mark uint64) *Cursor {
	last := r.Log.Last()
	switch {
	case f.Unread > 0:
		mark = max(mark, last-min(last, uint64(f.Unread)))
	case f.Back == 0 || !r.Name.IsDirect():
		return r.Log.CursorBack(f.Back)
	}
	// What memory has lost of it is in the history; here only what can be shown.
	c := r.Log.CursorAfter(mark)
	c.skipDropped()
	if back := r.Log.CursorBack(f.Back); r.Name == General && back.next < c.next {
		return back
	}
	return c
}

// Close notes that the person has read what was handed out. A reader that began after unread messages leaves them unread,
// and one that only peeks leaves everything.
func (r *Reader) Close() {
	if r.peek {
		return
	}
	for name, c := range r.cursors {
		if !r.skipped[name] {
			r.hub.Mark(r.me, name, c.Seq())
		}
	}
}

// Next returns up to n deliveries from each room, in order. It returns none when there is nothing to show for now.
// They are the caller's until the next call.
func (r *Reader) Next(n int) []Delivery {
	out := append(r.last[:0], r.follow()...)
	sources := len(out)
	for name, c := range r.cursors {
		entries, gap := c.Next(n)
		if len(entries) == 0 && gap == (Gap{}) {
			continue
		}
		since, order, in := r.hub.share(r.me, name)
		if !in {
			continue // the person's own log will say so
		}
		if gap.To >= since && gap.To > 0 {
			d := Delivery{Message: Message{Room: name}, Gap: Gap{max(gap.From, since), gap.To}}
			if len(entries) > 0 {
				d.Order = entries[0].Order
			}
			out = append(out, d)
		}
		out = slices.Grow(out, min(len(entries), n))
		sources++
		for _, m := range entries {
			if m.Order > order && (m.Seq == 0 || m.Seq >= since) {
				out = append(out, Delivery{Message: m})
			}
		}
	}
	if sources > 1 {
		slices.SortStableFunc(out, func(a, b Delivery) int { return cmp.Compare(a.Order, b.Order) })
	}
	if cap(out) <= keepDeliveries {
		r.last = out
	}
	return out
}

// keepDeliveries is how many a reader keeps the room for between two calls of Next.
const keepDeliveries = 4

// follow reads the person's own log, adds and drops cursors as it says, and returns what is to be shown.
func (r *Reader) follow() []Delivery {
	var out []Delivery
	if r.own.late() {
		out = r.catchUp()
	}
	entries, _ := r.own.Next(LogLines)
	for _, m := range entries {
		if !m.Room.IsZero() && r.only != nil && !r.only[m.Room] {
			continue
		}
		switch m.Kind {
		case Knock:
			r.open(m.Room, m.Seq-1)
		case Joined:
			r.open(m.Room, r.hub.Since(r.me, m.Room)-1)
			out = append(out, Delivery{Message: m})
		case Parted:
			delete(r.cursors, m.Room)
			out = append(out, Delivery{Message: m})
		default:
			out = append(out, Delivery{Message: m})
		}
	}
	return out
}

// catchUp does what lost entries of the person's own log would have told, and tells of marks and the account as if
// both had changed. Private notices are lost.
func (r *Reader) catchUp() []Delivery {
	out := []Delivery{{Message: Message{Kind: Changed}}}
	marks := r.hub.Marks(r.me)
	for _, name := range r.hub.RoomsOf(r.me) {
		if r.only != nil && !r.only[name] {
			continue
		}
		r.open(name, r.hub.Since(r.me, name)-1)
		if seq := marks[name]; seq > 0 {
			out = append(out, Delivery{Message: Message{Room: name, Kind: Marked, Seq: seq}})
		}
	}
	for name := range r.cursors {
		if !r.hub.In(r.me, name) {
			delete(r.cursors, name)
		}
	}
	return out
}

func (r *Reader) open(name RoomName, after uint64) {
	if r.cursors[name] != nil {
		return
	}
	r.hub.mu.RLock()
	defer r.hub.mu.RUnlock()
	room := r.hub.rooms[name]
	if _, in := room.members[r.me]; in {
		r.cursors[name] = room.Log.CursorAfter(after)
	}
}

// Grown returns the channels one of which is closed when Next may have something; ask again after each Next.
// A direct room needs a place here only while it holds unread messages: for new ones the person's own log knocks.
func (r *Reader) Grown() []<-chan struct{} {
	grown := []<-chan struct{}{r.own.Grown()}
	for name, c := range r.cursors {
		if g := c.Grown(); g == closed || !name.IsDirect() {
			grown = append(grown, g)
		}
	}
	return grown
}

// Rooms lists the rooms the reader is in, unsorted.
func (r *Reader) Rooms() []RoomName { return slices.Collect(maps.Keys(r.cursors)) }

// Wait blocks until one of the signals can be received or ctx ends, and returns which. A nil signal is never received.
// A session in a few rooms is the common case, so it is spelled out as one select; more signals take the slower general way.
func Wait(ctx context.Context, signals ...<-chan struct{}) (fired int, err error) {
	const few = 16
	if len(signals) > few {
		return waitMany(ctx, signals)
	}
	var s [few]<-chan struct{} // a nil channel never fires
	copy(s[:], signals)
	select {
	case <-s[0]:
		return 0, nil
	case <-s[1]:
		return 1, nil
	case <-s[2]:
		return 2, nil
	case <-s[3]:
		return 3, nil
	case <-s[4]:
		return 4, nil
	case <-s[5]:
		return 5, nil
	case <-s[6]:
		return 6, nil
	case <-s[7]:
		return 7, nil
	case <-s[8]:
		return 8, nil
	case <-s[9]:
		return 9, nil
	case <-s[10]:
		return 10, nil
	case <-s[11]:
		return 11, nil
	case <-s[12]:
		return 12, nil
	case <-s[13]:
		return 13, nil
	case <-s[14]:
		return 14, nil
	case <-s[15]:
		return 15, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func waitMany(ctx context.Context, signals []<-chan struct{}) (int, error) {
	cases := make([]reflect.SelectCase, 0, len(signals)+1)
	for _, s := range signals {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(s)})
	}
	cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())})
	fired, _, _ := reflect.Select(cases)
	if fired == len(signals) {
		return 0, ctx.Err()
	}
	return fired, nil
}
