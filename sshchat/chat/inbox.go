package chat

import (
	"maps"
	"slices"
	"sync"
)

// Inbox is what one session's person has not read, room by room. It belongs to one goroutine. What the person reads in it
// the hub and their other sessions learn by Settle.
//
// It counts other people's messages after the person's mark that the filter shows. An edit is not counted, and a deletion
// does not reduce the count until the room is counted again. Messages that are no longer in memory are counted by their
// Seqs alone, since their authors are unknown.
type Inbox struct {
	hub       *Hub
	me        Name
	filter    Filter
	rooms     map[RoomName]*roomUnread
	near      *roomUnread // the one asked for last; nil: none
	at        RoomName    // what comes there is read as it comes; zero for nowhere
	dirty     bool
	unflushed bool // some rooms have marks that the hub does not know yet
}

// roomUnread is what is unread in one room.
type roomUnread struct {
	room      RoomName
	mark      uint64
	unflushed bool   // the hub does not know of the mark yet
	last      uint64 // Seq of the newest message seen: deliveries up to it are already counted
	unread    int
	mentions  int
}

// InboxRoom is a room as it stands for one person.
type InboxRoom struct {
	Name     RoomName
	Topic    string
	Online   int // members who are there now
	Members  int
	Unread   int    // messages of others after Mark
	Mentions int    // of these, those that name the person or a word of theirs; in a direct room all, unless it is hushed
	Mark     uint64 // Seq of the last message that is not unread
	Hushed   bool   // the room is not to draw attention to itself
}

// News is how many of the unread messages the person wants to know of: in a hushed room, those that mention them.
func (r *InboxRoom) News() int {
	if r.Hushed {
		return r.Mentions
	}
	return r.Unread
}

// NewInbox returns the inbox of me as it stands. A session makes it after Hub.Enter and its Reader, and gives it whatever
// the Reader hands out; for one look nothing more is needed.
func NewInbox(me Name, hub *Hub) *Inbox {
	b := &Inbox{hub: hub, me: me}
	b.recount()
	return b
}

// Filter has the inbox count what f shows.
func (b *Inbox) Filter(f Filter) {
	b.filter = f
	b.recount()
}

func (b *Inbox) recount() {
	b.Flush()
	b.rooms, b.near = make(map[RoomName]*roomUnread), nil
	b.dirty = true
	for _, name := range b.hub.RoomsOf(b.me) {
		b.count(name)
	}
}

// unreadIn is what is unread in a room; nil if the person is not in it.
func (b *Inbox) unreadIn(room RoomName) *roomUnread {
	if b.near == nil || b.near.room != room {
		b.near = b.rooms[room]
	}
	return b.near
}

// count counts a room again.
func (b *Inbox) count(name RoomName) {
	b.Flush()
	b.near = nil
	view, in := b.hub.unread(b.me, name)
	if !in {
		delete(b.rooms, name)
		return
	}
	p := &roomUnread{room: name, mark: view.mark, last: view.last}
	p.lose(name, view.lost)
	for i := range view.entries {
		b.add(p, &view.entries[i])
	}
	b.rooms[name] = p
}

// add counts a message, if it counts.
func (b *Inbox) add(p *roomUnread, m *Message) {
	if m.Seq <= p.mark || m.From == b.me || !m.Said() || !b.filter.Shows(m, b.me) {
		return
	}
	p.unread++
	if b.filter.Mentions(m, b.me) {
		p.mentions++
	}
}

// lose counts n messages that are no longer in memory.
func (p *roomUnread) lose(room RoomName, n int) {
	p.unread += n
	if room.IsDirect() {
		p.mentions += n
	}
}

// Deliver takes note of what the session's Reader handed out, whether it is shown or not.
func (b *Inbox) Deliver(spans Spans) {
	for i := range spans {
		s := &spans[i]
		if !s.Room.IsZero() {
			b.deliver(s)
			continue
		}
		for k := range s.Entries {
			b.hear(&s.Entries[k])
		}
	}
}

// hear handles entries of the person's own log.
func (b *Inbox) hear(m *Message) {
	if m.Room.IsZero() {
		return
	}
	p := b.unreadIn(m.Room)
	switch {
	case m.Kind == Joined || m.Kind == Parted || p == nil:
		b.count(m.Room)
		b.dirty = true
	case m.Kind == Marked:
		b.raise(p, m.Seq)
	}
}

// deliver counts the messages of a room. If the room is in view, it only notes the newest one's position.
func (b *Inbox) deliver(s *Span) {
	p := b.unreadIn(s.Room)
	if p == nil {
		b.count(s.Room)
		b.dirty = true
		return
	}
	if s.Gap.To > p.last {
		b.miss(p, s)
	}
	for i := range s.Entries {
		m := &s.Entries[i]
		switch {
		case m.Seq == 0: // a topic may be new, and who is online
			b.dirty = true
		case m.Seq <= p.last:
		case s.Room == b.at:
			p.last, p.mark, p.unflushed, b.unflushed = m.Seq, m.Seq, true, true
		default:
			p.last = m.Seq
			before := p.unread
			b.add(p, m)
			b.dirty = b.dirty || p.unread != before
		}
	}
}

// miss counts the messages of a room that came and went; in the room in view, which shows that, they are read.
func (b *Inbox) miss(p *roomUnread, s *Span) {
	b.dirty = true
	if s.Room == b.at {
		p.last, p.mark, p.unflushed, b.unflushed = s.Gap.To, s.Gap.To, true, true
		return
	}
	from := max(s.Gap.From-1, p.last, p.mark)
	p.lose(s.Room, int(max(s.Gap.To, from)-from))
	p.last = s.Gap.To
}

// At notes that the end of the room is in view: all of it is read, and so is each new message as it arrives. The zero
// room stands for no room.
func (b *Inbox) At(room RoomName) {
	if room == b.at {
		return
	}
	b.at = room
	if p := b.unreadIn(room); p != nil {
		b.Read(room, p.last)
	}
}

// Read notes that the person has read the room up to seq in this session, and no more than was delivered.
func (b *Inbox) Read(room RoomName, seq uint64) {
	p := b.unreadIn(room)
	if p == nil || min(seq, p.last) <= p.mark {
		return
	}
	seq = min(seq, p.last)
	b.unflushed, p.unflushed = true, true
	b.raise(p, seq)
}

// NeedsFlush reports whether there is something to Settle.
func (b *Inbox) NeedsFlush() bool { return b.unflushed }

// Flush has the hub, and so the person's other sessions, know what was read since the last time. A session that reads much
// calls it now and then, since it costs more than reading; a crash of the server forgets what was not settled.
func (b *Inbox) Flush() {
	if !b.unflushed {
		return
	}
	b.unflushed = false
	for _, p := range b.rooms {
		if p.unflushed {
			p.unflushed = false
			b.hub.Mark(b.me, p.room, p.mark)
		}
	}
}

// raise moves a room's mark. If it does not reach the end, the remaining unread messages are counted again.
func (b *Inbox) raise(p *roomUnread, seq uint64) {
	if seq <= p.mark {
		return
	}
	p.mark = seq
	if seq < p.last && p.unread > 0 {
		b.count(p.room)
	} else {
		p.unread, p.mentions = 0, 0
	}
	b.dirty = true
}

// Dirty reports whether the result of Rooms may have changed since the last call.
func (b *Inbox) Dirty() bool { return b.dirty }

// Rooms is List, after which Dirty reports only later changes.
func (b *Inbox) Rooms() []InboxRoom {
	b.dirty = false
	return b.List()
}

// List lists all the person's rooms as they stand, in the order they are shown in.
func (b *Inbox) List() []InboxRoom {
	rooms := make([]InboxRoom, 0, len(b.rooms))
	for _, name := range slices.SortedFunc(maps.Keys(b.rooms), compareRooms) {
		p := b.rooms[name]
		info, err := b.hub.Room(b.me, name)
		if err != nil {
			continue // the news that the person has left is on its way
		}
		r := InboxRoom{
			Name: name, Topic: info.Topic, Online: info.Online, Members: info.Members,
			Unread: p.unread, Mentions: p.mentions, Mark: p.mark, Hushed: b.filter.Hushes(name),
		}
		if r.Hushed && name.IsDirect() {
			r.Mentions = 0
		}
		rooms = append(rooms, r)
	}
	return rooms
}

// unreadMessages is what a person has not read of a room.
type unreadMessages struct {
	mark    uint64
	last    uint64    // Seq of the room's newest message
	lost    int       // messages that memory no longer holds
	entries []Message // what it holds; the caller must not change them
}

// unread returns what me has not read in the room; in is false if me is not in it.
func (h *directory) unread(me Name, name RoomName) (b unreadMessages, in bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return b, false
	}
	if _, in := r.members[me]; !in {
		return b, false
	}
	b.mark = r.mark(me, h.people[me])
	b.last, b.lost, b.entries = r.Log.after(b.mark)
	return b, true
}

// Marks keeps how far people have read, so that it outlives the server. It may lose the last few seconds in a crash.
// Its methods return at once and may be called from any goroutine.
type Marks interface {
	// Mark notes that name has seen the room up to the message seq. A mark only rises.
	Mark(name Name, room RoomName, seq uint64)
	// MarksOf returns the marks of a person, as a copy; nil if there are none.
	MarksOf(name Name) map[RoomName]uint64
}

// ReadMark is how far one person has read one room.
type ReadMark struct {
	Name Name
	Room RoomName
	Seq  uint64
}

// readMarks is how far one person has read, in all rooms. It has a lock of its own: each session of a busy room raises
// a mark as often as it draws, and must not hold up the hub.
type readMarks struct {
	mu   sync.Mutex
	seqs map[RoomName]uint64 // guarded by mu
}

// rise raises the room's mark to seq, and returns false if it was there already.
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

// Mark notes that me has read the room up to the message seq, in one of me's sessions, and notifies the others. Marks
// only rise, and not beyond the newest message. It returns the present mark; 0 if me is not in the room.
func (h *directory) Mark(me Name, room RoomName, seq uint64) uint64 {
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
	if p.sessions > 1 { // otherwise there is no other session, and it would only wake this one
		h.appendNotice(p.log, Message{Room: room, Kind: Marked, Seq: seq})
	}
	return seq
}

// MarkedElsewhere notes that me has read the room up to the message seq on another server of the chat, and notifies me's sessions
// here. That me is in the room, and the message, may become known here only later. It is the caller's to have Marks keep it, before.
func (h *directory) MarkedElsewhere(me Name, room RoomName, seq uint64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[me]
	if p == nil || !p.marks.rise(room, seq) {
		return
	}
	if p.sessions > 0 {
		h.appendNotice(p.log, Message{Room: room, Kind: Marked, Seq: seq})
	}
}

// Marks is how far me has read each of me's rooms: the Seq of the last message that is not unread.
func (h *directory) Marks(me Name) map[RoomName]uint64 {
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

// changed notifies the sessions of name that something about the account has changed: each reads it again.
func (h *directory) changed(name Name) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil {
		for room := range p.rooms {
			h.rooms[room].roster.changed()
		}
		h.appendNotice(p.log, Message{Kind: Changed})
	}
}
