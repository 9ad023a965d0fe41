package chat

import (
	"cmp"
	"context"
	"slices"

	"sshchat/sshchat/wake"
)

// Span is a run of entries of one log that a reader has not seen, as they stand in it.
type Span struct {
	Room    RoomName  // zero: the person's own log, of which each entry names its room
	Gap     Gap       // messages that came and went before the reader could take them; they come before Entries
	Entries []Message // part of the log: they are shared, never written to, and not to be kept

	Me     Name
	Filter *Filter // nil: everything shows
}

// Shows reports whether the person wants to see m.
func (s *Span) Shows(m *Message) bool { return s.Filter == nil || s.Filter.Shows(m, s.Me) }

// order is the place of what comes first in the span.
func (s *Span) displaySeq() uint64 {
	if len(s.Entries) == 0 {
		return 0
	}
	return s.Entries[0].DisplaySeq
}

// Spans is what a reader has not seen in all its rooms. It is valid until the reader's next call.
type Spans []Span

// InOrder visits what the spans show, across rooms in the order in which the server has shown it to everybody: gaps, each
// before what follows it, and entries. Nothing of it is copied.
func (spans Spans) InOrder(gap func(*Span), entry func(*Message)) {
	var few [16]head // more are made for people who are in more rooms that are busy at once
	heads := few[:0] // a heap
	for i := range spans {
		heads = append(heads, head{displaySeq: spans[i].displaySeq(), span: i})
	}
	for i := len(heads)/2 - 1; i >= 0; i-- {
		sink(heads, i)
	}
	for len(heads) > 0 {
		h := &heads[0]
		s := &spans[h.span]
		if h.at == 0 && s.Gap.Count() > 0 {
			gap(s)
		}
		if h.at < len(s.Entries) {
			if m := &s.Entries[h.at]; s.Shows(m) {
				entry(m)
			}
			h.at++
		}
		if h.at < len(s.Entries) {
			h.displaySeq = s.Entries[h.at].DisplaySeq
		} else {
			heads[0] = heads[len(heads)-1]
			heads = heads[:len(heads)-1]
		}
		sink(heads, 0)
	}
}

// head is the next entry of a span.
type head struct {
	displaySeq uint64
	span, at   int
}

func (h head) compare(o head) int {
	return cmp.Or(cmp.Compare(h.displaySeq, o.displaySeq), cmp.Compare(h.span, o.span))
}

// sink takes heads[i] down to its place in a heap.
func sink(heads []head, i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heads); child++ {
			if heads[child].compare(heads[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		heads[i], heads[least] = heads[least], heads[i]
		i = least
	}
}

// Delivery is one entry of a log, or, if Gap is not zero, the news that those messages of Message.Room came and went before
// the reader could take them.
type Delivery struct {
	Message
	Gap Gap
}

// Reader is one session's view of all rooms of a person: a cursor in each. It belongs to one goroutine.
type Reader struct {
	hub   *Hub
	me    Name
	own   *Cursor // in the person's own log: it says which rooms to add and drop
	rooms []readRoom
	only  map[RoomName]bool // nil: all of the person's rooms, as they come and go
	peek  bool
	spans Spans // of the last call of Spans, to be written over by the next one

	filter *Filter
	waker  *wake.Waker // nil: nobody listens
	reason wake.Reason
}

// readRoom is a room of a reader.
type readRoom struct {
	name    RoomName
	cursor  *Cursor
	begun   bool // it was read once: messages that were dropped before it began are a gap without an entry
	skipped bool // it has unread messages before the beginning

	after uint64 // Seq of the last message that the person has seen on another node, if this one does not have it yet; 0: it has

	// What the person may read of it, as of that version of the memberships; 0: not read yet:

	version           uint64
	in                bool
	since, displaySeq uint64
}

// From says where a Reader starts in a person's rooms: at their ends, unless one of these fields is set.
type From struct {
	Only      []RoomName          // read these alone; nil for all of the person's
	Unread    int                 // from the person's mark, but at most this many messages before the end; in #general also Back
	ClearAway int                 // this many entries before the end; in direct rooms, and with Unread in all others, from the mark
	After     map[RoomName]uint64 // in these rooms: the messages after this Seq, whatever Unread and Back say
	Peek      bool                // delivered messages do not count as read: the caller marks them with Hub.Mark
}

// Reader returns a reader for me. It must be closed.
func (h *Hub) Reader(me Name, from From) *Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	r := &Reader{hub: h, me: me, own: p.log.Cursor(), peek: from.Peek}
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
		at := readRoom{name: name}
		after, resume := from.After[name]
		if resume {
			at.cursor = room.Log.CursorAfter(max(after, room.members[me]-1))
			if h.leader != nil && after > room.Log.Last() {
				at.after = after
			}
		} else {
			at.cursor = from.begin(room, mark)
		}
		if resume || from.ClearAway == 0 && from.Unread == 0 {
			at.skipped = at.cursor.Seq() > mark
		}
		r.add(at)
	}
	return r
}

// begin is where a reader begins in a room that the person has read up to mark.
func (f From) begin(r *Room, mark uint64) *Cursor {
	last := r.Log.Last()
	switch {
	case f.Unread > 0:
		mark = max(mark, last-min(last, uint64(f.Unread)))
	case f.ClearAway == 0 || !r.Name.IsDirect():
		return r.Log.CursorBack(f.ClearAway)
	}
	// What memory has lost of it is in the history; here only what can be shown.
	c := r.Log.CursorAfter(mark)
	c.skipDropped()
	if back := r.Log.CursorBack(f.ClearAway); r.Name == General && back.next < c.next {
		return back
	}
	return c
}

// Close ends the reader, and notes that the person has read what was handed out. A reader that began after unread messages
// leaves them unread, and one that only peeks leaves everything.
func (r *Reader) Close() {
	r.own.Unlisten()
	for i := range r.rooms {
		at := &r.rooms[i]
		at.cursor.Unlisten()
		if !r.peek && !at.skipped {
			r.hub.Mark(r.me, at.name, at.cursor.Seq())
		}
	}
}

// Filter sets which entries the spans show; nil: everything. f belongs to the caller, who may change it between two
// calls.
func (r *Reader) Filter(f *Filter) { r.filter = f }

// Listen has w be woken for that reason when Spans may have something. What it has already wakes nobody, so ask it first.
func (r *Reader) Listen(w *wake.Waker, reason wake.Reason) {
	r.waker, r.reason = w, reason
	r.own.Listen(w, reason)
	for i := range r.rooms {
		r.listen(&r.rooms[i])
	}
}

// listen makes new messages of a room wake the listener. Direct rooms do not need it: the person's own log has a DM
// notice.
func (r *Reader) listen(at *readRoom) {
	if r.waker != nil && !at.name.IsDirect() {
		at.cursor.Listen(r.waker, r.reason)
	}
}

// Wait blocks until Spans may have something, or ctx ends. It is for readers that do nothing else, and do not Listen.
func (r *Reader) Wait(ctx context.Context) error {
	const said, ended wake.Reason = 1, 2
	if r.waker == nil {
		r.Listen(wake.New(), said)
	}
	if r.behind() {
		return ctx.Err()
	}
	stop := context.AfterFunc(ctx, func() { r.waker.Wake(ended) })
	defer stop()
	r.waker.Wait(0)
	return ctx.Err()
}

// behind reports whether there is something to read.
func (r *Reader) behind() bool {
	if r.own.Behind() {
		return true
	}
	for i := range r.rooms {
		if at := &r.rooms[i]; !at.begun || at.cursor.Behind() {
			return true
		}
	}
	return false
}

// Spans returns up to n entries from each log, and none if there is nothing to show. If more are left, it wakes the
// listener. They are valid until the next call, and must be released with Done.
func (r *Reader) Spans(n int) Spans {
	r.spans = r.spans[:0]
	if r.own.Behind() {
		r.follow()
	}
	left := false
	for i := range r.rooms {
		at := &r.rooms[i]
		if at.begun && !at.cursor.Behind() {
			continue
		}
		at.begun = true
		entries, gap := at.cursor.Next(n)
		left = left || at.cursor.Behind()
		if !r.belongs(at) {
			continue // the person's own log will say so
		}
		for len(entries) > 0 && (entries[0].DisplaySeq <= at.displaySeq || entries[0].Seq > 0 && entries[0].Seq < at.since) {
			entries = entries[1:]
		}
		entries = at.unseen(entries)
		if since := max(at.since, at.after+1); gap.To < since {
			gap = Gap{}
		} else if gap.To > 0 {
			gap.From = max(gap.From, since)
		}
		if len(entries) > 0 || gap.To > 0 {
			r.spans = append(r.spans, Span{Room: at.name, Gap: gap, Entries: entries, Me: r.me, Filter: r.filter})
		}
	}
	if left && r.waker != nil {
		r.waker.Wake(r.reason)
	}
	return r.spans
}

// unseen leaves out what the person has seen on another node.
func (at *readRoom) unseen(entries []Message) []Message {
	for i := len(entries) - 1; i >= 0 && at.after > 0; i-- {
		if seq := entries[i].Seq; seq > 0 && seq <= at.after {
			return entries[i+1:]
		}
	}
	return entries
}

// Done releases what Spans returned: an idle session holds no messages.
func (r *Reader) Done() { clear(r.spans[:cap(r.spans)]) }

// belongs reports whether the person is in the room. It is called after reading from the room's log: the entries were
// appended before, so the memberships at that time are known by now.
func (r *Reader) belongs(at *readRoom) bool {
	if v := r.hub.members.Load() + 1; at.version != v {
		at.version = v // before reading it: somebody who joins meanwhile changes it
		at.since, at.displaySeq, at.in = r.hub.readableFrom(r.me, at.name)
	}
	return at.in
}

// Next is Spans as one list, in order.
func (r *Reader) Next(n int) []Delivery {
	var out []Delivery
	r.Spans(n).InOrder(
		func(s *Span) {
			out = append(out, Delivery{Message: Message{Room: s.Room, DisplaySeq: s.displaySeq()}, Gap: s.Gap})
		},
		func(m *Message) { out = append(out, Delivery{Message: *m}) },
	)
	r.Done()
	return out
}

// follow reads the person's own log, adds and drops rooms as it says, and makes spans of what is to be shown.
func (r *Reader) follow() {
	if r.own.late() {
		r.catchUp()
	}
	entries, _ := r.own.Next(LogLines)
	from := 0
	add := func(to int) {
		if from < to {
			r.spans = append(r.spans, Span{Entries: entries[from:to], Me: r.me})
		}
		from = to + 1
	}
	for i := range entries {
		m := &entries[i]
		if !m.Room.IsZero() && r.only != nil && !r.only[m.Room] {
			add(i)
			continue
		}
		switch m.Kind {
		case DirectNotice:
			add(i)
			r.open(m.Room, m.Seq-1)
		case Joined:
			r.open(m.Room, r.hub.Since(r.me, m.Room)-1)
		case Parted:
			r.drop(m.Room)
		}
	}
	add(len(entries))
}

// catchUp makes up for lost entries of the person's own log, and reports marks and the account as changed. Private
// notices are lost.
func (r *Reader) catchUp() {
	told := []Message{{Kind: Changed}}
	marks := r.hub.Marks(r.me)
	for _, name := range r.hub.RoomsOf(r.me) {
		if r.only != nil && !r.only[name] {
			continue
		}
		r.open(name, r.hub.Since(r.me, name)-1)
		if seq := marks[name]; seq > 0 {
			told = append(told, Message{Room: name, Kind: Marked, Seq: seq})
		}
	}
	for _, name := range r.Rooms() {
		if !r.hub.In(r.me, name) {
			r.drop(name)
		}
	}
	r.spans = append(r.spans, Span{Entries: told, Me: r.me})
}

// open adds a room, unless it is there.
func (r *Reader) open(name RoomName, after uint64) {
	if slices.ContainsFunc(r.rooms, func(at readRoom) bool { return at.name == name }) {
		return
	}
	r.hub.mu.RLock()
	defer r.hub.mu.RUnlock()
	room := r.hub.rooms[name]
	if _, in := room.members[r.me]; in {
		r.add(readRoom{name: name, cursor: room.Log.CursorAfter(after)})
	}
}

func (r *Reader) add(at readRoom) {
	r.rooms = append(r.rooms, at)
	r.listen(&r.rooms[len(r.rooms)-1])
}

func (r *Reader) drop(name RoomName) {
	r.rooms = slices.DeleteFunc(r.rooms, func(at readRoom) bool {
		if at.name != name {
			return false
		}
		at.cursor.Unlisten()
		return true
	})
}

// Rooms lists the rooms the reader is in, unsorted.
func (r *Reader) Rooms() []RoomName {
	names := make([]RoomName, len(r.rooms))
	for i := range r.rooms {
		names[i] = r.rooms[i].name
	}
	return names
}
