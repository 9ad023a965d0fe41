package chat

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"

	"sshchat/sshchat/lists"
)

// directory is the rooms and the people, and what they are shown.
type directory struct {
	marks   Marks         // nil: they are forgotten with the hub
	others  Others        // nil: there are none
	members atomic.Uint64 // another number whenever somebody enters or leaves a room; written with mu held

	mu     sync.RWMutex
	rooms  map[RoomName]*Room // guarded by mu; rooms are never removed
	people map[Name]*person   // guarded by mu; everyone who belongs to a room or has a session

	displayMu  sync.Mutex // held from taking a place in the order until it is appended; taken after mu
	displaySeq uint64     // guarded by displayMu
}

// person is what the hub knows of somebody. The fields are guarded by the hub's mu unless it is said otherwise.
type person struct {
	log       *Log                  // what only this person sees: DM notices, joined, parted, marked, private notices
	rooms     map[RoomName]uint64   // the place in the order from which on each is theirs; 0 is since ever
	marks     readMarks             // locks for itself
	sessions  int                   // open ones, on this node
	terminals int                   // of these, the ones at a terminal
	elsewhere map[string]Attendance // on other nodes, by their names; nil: none
	absence   Absence
	said      bool // of which this node was the first to know
	debt      debt // for changes that cost others
	reports   debt // for reports
}

// addRoom is called with mu held, or before the hub is shared.
func (h *directory) addRoom(name RoomName, is *RoomState, last uint64) *Room {
	r := newRoom(name, is, last)
	h.rooms[name] = r
	for member := range r.members {
		h.person(member).rooms[name] = 0
	}
	return r
}

// person is called with mu held for writing.
func (h *directory) person(name Name) *person {
	p := h.people[name]
	if p == nil {
		p = &person{log: newOwnLog(), rooms: make(map[RoomName]uint64)}
		if h.marks != nil {
			p.marks.seqs = h.marks.MarksOf(name)
		}
		h.people[name] = p
	}
	return p
}

// room returns the room where me may know of it.
func (h *directory) room(me Name, name RoomName) (*Room, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil || r.removed() {
		return nil, noRoom(me, name)
	}
	if _, in := r.members[me]; !in && (!r.state().MayJoin(me) || name.IsDirect()) {
		return nil, noRoom(me, name)
	}
	return r, nil
}

// appendNotice appends what is not stored and returns its place in the order.
func (h *directory) appendNotice(log *Log, m Message) (displaySeq uint64) {
	h.displayMu.Lock()
	defer h.displayMu.Unlock()
	h.displaySeq++
	m.DisplaySeq = h.displaySeq
	m.At = now()
	log.Append(m)
	return m.DisplaySeq
}

// now is the chat's time: UTC, to the millisecond, as it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// In reports whether me belongs to the room.
func (h *directory) In(me Name, name RoomName) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return false
	}
	_, in := r.members[me]
	return in
}

// Since is the first Seq of the room that is me's to read; beyond any where me is not in it.
func (h *directory) Since(me Name, name RoomName) uint64 {
	if since, _, in := h.readableFrom(me, name); in {
		return since
	}
	return math.MaxUint64
}

// readableFrom returns which part of the room me may read: messages from since on, and of the log only entries after
// displaySeq.
func (h *directory) readableFrom(me Name, name RoomName) (since, displaySeq uint64, in bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return 0, 0, false
	}
	if since, in = r.members[me]; in {
		displaySeq = h.people[me].rooms[name]
	}
	return since, displaySeq, in
}

// Before returns up to n entries of the room that are me's to see and come before the given place in the order,
// or the newest where that is 0; oldest first. The caller must not change them.
func (h *directory) Before(me Name, name RoomName, displaySeq uint64, n int) []Message {
	since, from, in := h.readableFrom(me, name)
	if !in {
		return nil
	}
	h.mu.RLock()
	log := h.rooms[name].Log
	h.mu.RUnlock()
	entries := log.before(displaySeq, n)
	for len(entries) > 0 && (entries[0].DisplaySeq <= from || entries[0].Seq > 0 && entries[0].Seq < since) {
		entries = entries[1:]
	}
	return entries
}

// Kept is how many stored messages of the room are in memory; 0 if me is not in it.
func (h *directory) Kept(me Name, name RoomName) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return 0
	}
	if _, in := r.members[me]; !in {
		return 0
	}
	return r.Log.Kept()
}

// RoomsOf lists the rooms me belongs to: #general, then the rest by name, direct rooms last.
func (h *directory) RoomsOf(me Name) []RoomName {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.people[me]
	if p == nil {
		return nil
	}
	names := make([]RoomName, 0, len(p.rooms))
	for name := range p.rooms {
		names = append(names, name)
	}
	slices.SortFunc(names, compareRooms)
	return names
}

func compareRooms(a, b RoomName) int {
	rank := func(r RoomName) int {
		switch {
		case r == General:
			return 0
		case r.IsDirect():
			return 2
		}
		return 1
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return a.Compare(b)
}

// Rooms lists what me may know of: public rooms and those me is in; direct rooms are not listed.
func (h *directory) Rooms(me Name) []RoomInfo {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var infos []RoomInfo
	for name, r := range h.rooms {
		if _, in := r.members[me]; !name.IsDirect() && !r.removed() && (in || !r.state().Private) {
			infos = append(infos, r.info(me))
		}
	}
	lists.Sort(infos, func(a, b RoomInfo) int { return compareRooms(a.Name, b.Name) })
	return infos
}

// Room describes one room that me may know of.
func (h *directory) Room(me Name, name RoomName) (RoomInfo, error) {
	r, err := h.room(me, name)
	if err != nil {
		return RoomInfo{}, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return r.info(me), nil
}

// Presence is a member of a room, and whether they are online and marked as away.
type Presence struct {
	Name      Name
	Online    bool
	Away      bool
	Moderates bool // in this room, at least; only in a Roster
	Color     NameColor
}

// Members lists a room's members by name.
func (h *directory) Members(me Name, name RoomName) ([]Presence, error) {
	r, err := h.room(me, name)
	if err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	people := make([]Presence, 0, len(r.members))
	for _, n := range slices.SortedFunc(maps.Keys(r.members), Name.Compare) {
		p := h.people[n]
		people = append(people, Presence{Name: n, Online: p != nil && p.online(), Away: p != nil && p.away().Away})
	}
	return people, nil
}

// Find returns message seq of the room as it is now; ok is false if it is not in memory, or me may not read it.
func (h *directory) Find(me Name, room RoomName, seq uint64) (m Message, ok bool) {
	since, _, in := h.readableFrom(me, room)
	if !in || seq < since {
		return m, false
	}
	h.mu.RLock()
	r := h.rooms[room]
	h.mu.RUnlock()
	return r.Log.find(seq)
}

// Author is who said message of of the room; ok is false if it is not in memory, or not me's to read.
func (h *directory) Author(me Name, room RoomName, of uint64) (name Name, ok bool) {
	m, ok := h.Find(me, room, of)
	return m.From, ok
}

// Last is the newest message that me said in the room, has not deleted, and that is in memory: what /edit means.
func (h *directory) Last(me Name, room RoomName) (Message, bool) {
	for _, m := range slices.Backward(h.Before(me, room, 0, LogLines)) {
		if m.From == me && m.Said() {
			return m, true
		}
	}
	return Message{}, false
}

// addDirect adds the room of two people. Called with mu held for writing.
func (h *directory) addDirect(name RoomName) *Room {
	r := h.addRoom(name, nil, 0)
	for name := range r.members {
		if h.people[name].online() {
			r.online++
		}
	}
	return r
}

// RoomView is a room as admins see it. What it refers to is shared and must not be changed.
type RoomView struct {
	RoomInfo
	Rules
	By Name // who created it; zero if nobody in particular did
}

// AllRooms lists every room but direct ones, private ones too.
func (h *directory) AllRooms() []RoomView {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var views []RoomView
	for name, r := range h.rooms {
		if !name.IsDirect() && !r.removed() {
			views = append(views, RoomView{r.info(Name{}), r.state().Rules, r.state().By})
		}
	}
	lists.Sort(views, func(a, b RoomView) int { return compareRooms(a.Name, b.Name) })
	return views
}

// Search returns the newest n of the messages in memory that me may see and in which all the words stand, in any case
// and also within other words; the newest last. rooms nil means all of me's. What is sealed is not searched.
func (h *directory) Search(me Name, rooms []RoomName, words []string, n int) []Message {
	return h.newest(me, rooms, n, Matching(words))
}

// Matching returns what tells the messages in which all the words stand, as Search takes them. If there are none, no message is.
func Matching(words []string) func(*Message) bool {
	folded := make([]string, 0, len(words))
	for _, w := range words {
		if w = fold(w); w != "" {
			folded = append(folded, w)
		}
	}
	return func(m *Message) bool {
		text := fold(m.Text.String())
		return len(folded) > 0 && !slices.ContainsFunc(folded, func(w string) bool { return !strings.Contains(text, w) })
	}
}

// Mentions returns the newest n of the messages in memory that mention me, as f has it; the newest last.
func (h *directory) Mentions(me Name, f *Filter, n int) []Message {
	return h.newest(me, nil, n, func(m *Message) bool { return f.Mentions(m, me) })
}

// newest gathers from the rooms, nil for all of me's, the newest n messages that are wanted.
func (h *directory) newest(me Name, rooms []RoomName, n int, wanted func(*Message) bool) []Message {
	if rooms == nil {
		rooms = h.RoomsOf(me)
	}
	var found []Message
	for _, room := range rooms {
		left := n // of each room, as any may hold the newest
		entries := h.Before(me, room, 0, LogLines)
		for i := len(entries) - 1; i >= 0 && left > 0; i-- {
			if m := &entries[i]; m.Said() && wanted(m) {
				found = append(found, *m)
				left--
			}
		}
	}
	lists.Sort(found, func(a, b Message) int { return cmp.Compare(a.DisplaySeq, b.DisplaySeq) })
	return found[max(0, len(found)-n):]
}

// fold is s as it is compared: without regard to case. Texts are NFC when they come in; lower case may not be.
func fold(s string) string { return norm.NFC.String(strings.ToLower(s)) }

// CountRooms is how many rooms AllRooms lists. It copies none.
func (h *directory) CountRooms() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for name, r := range h.rooms {
		if !name.IsDirect() && !r.removed() {
			n++
		}
	}
	return n
}
