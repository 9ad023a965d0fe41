package chat

import (
	"slices"
	"sync"
)

// Inbox is what one session's person has not read, room by room. It belongs to one goroutine.
//
// It counts what others said after the person's mark and the filter shows. An edit is not counted, and a deletion
// takes nothing away until the room is counted anew. What memory has lost is counted by its Seqs alone: nobody can
// tell whose it was.
type Inbox struct {
	hub    *Hub
	me     Name
	filter Filter
	rooms  map[RoomName]*pile
	at     RoomName // what comes there is read as it comes; zero for nowhere
	dirty  bool
}

// pile is the unread of one room.
type pile struct {
	mark     uint64
	last     uint64 // Seq of the newest message that was looked at: what is delivered up to it is counted already
	unread   int
	mentions int
}

// InboxRoom is a room as it stands for one person.
type InboxRoom struct {
	Name     RoomName
	Topic    string
	Here     int // members who are there now
	Members  int
	Unread   int    // messages of others after Mark
	Mentions int    // of these, those that name the person; in a direct room all
	Mark     uint64 // Seq of the last message that is not unread
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
	b.rooms = make(map[RoomName]*pile)
	b.dirty = true
	for _, name := range b.hub.RoomsOf(b.me) {
		b.count(name)
	}
}

// count looks at a room anew.
func (b *Inbox) count(name RoomName) {
	view, in := b.hub.unread(b.me, name)
	if !in {
		delete(b.rooms, name)
		return
	}
	p := &pile{mark: view.mark, last: view.last}
	p.lose(name, view.lost)
	for i := range view.entries {
		b.add(p, &view.entries[i])
	}
	b.rooms[name] = p
}

// add counts a message, if it counts.
func (b *Inbox) add(p *pile, m *Message) {
	if m.Seq <= p.mark || m.From == b.me || !m.said() || !b.filter.Shows(m, b.me) {
		return
	}
	p.unread++
	if m.Mentions(b.me) {
		p.mentions++
	}
}

// lose counts n messages that nobody can look at any more.
func (p *pile) lose(room RoomName, n int) {
	p.unread += n
	if room.IsDirect() {
		p.mentions += n
	}
}

// Deliver takes note of what the session's Reader handed out, whether it is shown or not. A message costs one look.
func (b *Inbox) Deliver(ds []Delivery) {
	for i := range ds {
		b.deliver(&ds[i])
	}
}

func (b *Inbox) deliver(d *Delivery) {
	p := b.rooms[d.Room]
	switch {
	case d.Room.IsZero():
	case d.Kind == Joined || d.Kind == Parted || p == nil:
		b.count(d.Room)
		b.dirty = true
	case d.Kind == Marked:
		b.raise(p, d.Room, d.Seq)
	case d.Kind == Notice || d.Kind == Comings: // a topic may be new, and who is there
		b.dirty = true
	case d.Gap.To > p.last:
		from := max(d.Gap.From-1, p.last, p.mark)
		p.lose(d.Room, int(max(d.Gap.To, from)-from))
		p.last = d.Gap.To
		b.dirty = true
	case d.Seq > p.last && d.Room == b.at:
		p.last, p.mark = d.Seq, b.hub.Mark(b.me, d.Room, d.Seq)
	case d.Seq > p.last:
		p.last = d.Seq
		before := p.unread
		b.add(p, &d.Message)
		b.dirty = b.dirty || p.unread != before
	}
}

// At tells that the end of the room is in sight: all of it is read, and what comes is as it comes. The zero room is none.
func (b *Inbox) At(room RoomName) {
	if room == b.at {
		return
	}
	b.at = room
	if p := b.rooms[room]; p != nil {
		b.Read(room, p.last)
	}
}

// Read notes that the person has read the room up to seq in this session: here, in the hub, and so in the other sessions.
func (b *Inbox) Read(room RoomName, seq uint64) {
	if p := b.rooms[room]; p != nil && seq > p.mark {
		b.raise(p, room, b.hub.Mark(b.me, room, seq))
	}
}

// raise moves a room's mark. Where it does not reach the end, what is left unread is counted anew.
func (b *Inbox) raise(p *pile, room RoomName, seq uint64) {
	switch {
	case seq <= p.mark:
		return
	case seq < p.last && p.unread > 0:
		b.count(room)
	default:
		p.mark, p.unread, p.mentions = seq, 0, 0
	}
	b.dirty = true
}

// Dirty reports whether Rooms may tell something else than the last time it was asked.
func (b *Inbox) Dirty() bool { return b.dirty }

// Rooms lists all the person's rooms as they stand, in the order they are shown in.
func (b *Inbox) Rooms() []InboxRoom {
	b.dirty = false
	rooms := make([]InboxRoom, 0, len(b.rooms))
	for name, p := range b.rooms {
		info, err := b.hub.Room(b.me, name)
		if err != nil {
			continue // the news that the person has left is on its way
		}
		rooms = append(rooms, InboxRoom{
			Name: name, Topic: info.Topic, Here: info.Here, Members: info.Members,
			Unread: p.unread, Mentions: p.mentions, Mark: p.mark,
		})
	}
	slices.SortFunc(rooms, func(x, y InboxRoom) int { return compareRooms(x.Name, y.Name) })
	return rooms
}

// backlog is what a person has not read of a room.
type backlog struct {
	mark    uint64
	last    uint64    // Seq of the room's newest message
	lost    int       // messages that memory no longer holds
	entries []Message // what it holds; the caller must not change them
}

// unread tells what of the room me has not read; in is false where me does not belong to it.
func (h *directory) unread(me Name, name RoomName) (b backlog, in bool) {
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
	if p.sessions > 1 { // else there is nobody to tell, and it would wake the one who marks
		h.tell(p.log, Message{Room: room, Kind: Marked, Seq: seq})
	}
	return seq
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

// changed tells the sessions of name that something about the account has changed: each reads it anew.
func (h *directory) changed(name Name) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil {
		h.tell(p.log, Message{Kind: Changed})
	}
}
