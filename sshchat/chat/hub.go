// Package chat is the chat itself: rooms, their logs, who belongs to them, and the one order of what is said.
// It knows nothing of SSH, terminals, files or keys.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

// Limits of one person.
const (
	MaxJoined = 100 // rooms, direct ones not counted: a session waits on each
	MaxMade   = 10  // rooms made

	closedCounts = time.Hour // so long a room that was closed is one of those: its number goes on, so something of it stays
)

// Hub holds the rooms and the people. All its methods may be called from any goroutine.
type Hub struct {
	journal  Journal
	registry Registry
	marks    Marks // nil: they are forgotten with the hub
	log      *slog.Logger
	queue    chan *request        // read by Run alone; never closed
	stop     chan struct{}        // closed by Run when it ends: nothing is taken any more
	posted   atomic.Int64         // messages shown since the start
	stirred  chan struct{}        // holds one token while presence notices are owed
	owed     []Event              // changes the journal has not taken yet, which come before any other; owned by Run
	warnings map[warned]time.Time // when each was last given; owned by Run
	failures failures             // owned by Run
	idle     idleRooms            // owned by Run

	mu     sync.RWMutex
	rooms  map[RoomName]*Room // guarded by mu; rooms are never removed
	people map[Name]*person   // guarded by mu; whoever belongs to a room or has a session

	orderMu sync.Mutex // held from taking a place in the order until it is appended; taken after mu
	order   uint64     // guarded by orderMu

	decisions sync.Mutex // held while what is decided about a room goes registry, then room: one order for both
}

// person is what the hub knows of somebody. The fields are guarded by the hub's mu unless it is said otherwise.
type person struct {
	log      *Log                // what only this person is told: knocks, joined, parted, marked, private notices
	rooms    map[RoomName]uint64 // the place in the order from which on each is theirs; 0 is since ever
	marks    readMarks           // locks for itself
	sessions int
	debt     debt       // for changes that cost others
	away     *absence   // nil: none was told
	changing sync.Mutex // held while a change of this person's rooms goes registry, then journal: one order for both
}

// NewHub returns a hub over the given rooms. Run must be called for anything to be said in them. Without marks
// (nil) what people have read is forgotten with the hub.
func NewHub(journal Journal, registry Registry, marks Marks, rooms []RoomState, log *slog.Logger) *Hub {
	h := &Hub{
		journal: journal, registry: registry, marks: marks, log: log,
		queue: make(chan *request, maxBatch), stop: make(chan struct{}), stirred: make(chan struct{}, 1),
		rooms: make(map[RoomName]*Room), people: make(map[Name]*person), warnings: make(map[warned]time.Time),
	}
	for _, s := range rooms {
		h.addRoom(s)
	}
	if h.rooms[General] == nil {
		h.addRoom(RoomState{Name: General})
	}
	return h
}

// addRoom is called with mu held, or before the hub is shared.
func (h *Hub) addRoom(s RoomState) *Room {
	r := newRoom(s)
	h.rooms[s.Name] = r
	for name := range r.members {
		h.person(name).rooms[s.Name] = 0
	}
	return r
}

// person is called with mu held for writing.
func (h *Hub) person(name Name) *person {
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
func (h *Hub) room(me Name, name RoomName) (*Room, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil || r.gone {
		return nil, noRoom(me, name)
	}
	if _, in := r.members[me]; !in && (!r.rules.MayEnter(me) || name.IsDirect()) {
		return nil, noRoom(me, name)
	}
	return r, nil
}

// Join makes me a member of the room from the next message on, lasting until Part. A free name makes a public room.
// It is no error to join a room one is in; made tells that the room is new.
func (h *Hub) Join(ctx context.Context, me Name, name RoomName) (made bool, err error) {
	if name.IsDirect() {
		return false, noRoom(me, name)
	}
	h.mu.Lock()
	p := h.person(me)
	h.mu.Unlock()
	if h.In(me, name) {
		return false, nil
	}
	r, made, err := h.enterable(ctx, me, name)
	if err != nil {
		return false, err
	}
	if err := h.mayMove(me, name); err != nil {
		return made, err
	}
	if err := h.await(ctx, name, Join); err != nil {
		return made, err
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	r.deciding.RLock()
	defer r.deciding.RUnlock()
	if h.In(me, name) {
		return made, nil
	}
	if err := h.mayJoin(ctx, me, name); err != nil { // the wait may have been long
		return made, err
	}
	if err := h.registry.SaveMember(name, Member{me, r.Log.Last() + 1}); err != nil {
		return made, fmt.Errorf("join %s: %w", name, err)
	}
	h.chargeMove(me, name)
	// The registry has it, so the journal must too, whoever hung up meanwhile.
	return made, h.submit(context.WithoutCancel(ctx), &request{event: Event{Room: name, Change: Join, Name: me}})
}

// enterable returns the room for me to join, and makes it if there is none of that name.
func (h *Hub) enterable(ctx context.Context, me Name, name RoomName) (r *Room, made bool, err error) {
	if h.joined(me) >= MaxJoined {
		return nil, false, errJoinedTooMany
	}
	r, err = h.room(me, name)
	if errors.Is(err, ErrNoRoom) {
		return h.makeRoom(ctx, me, name)
	}
	return r, false, err
}

var errJoinedTooMany = ErrTooMany.Because("nobody is in more than %d", MaxJoined)

// mayJoin refuses what must not be at the place of the join. Called with me's changing held, and the room's deciding.
func (h *Hub) mayJoin(ctx context.Context, me Name, name RoomName) error {
	if h.joined(me) >= MaxJoined {
		return errJoinedTooMany
	}
	if _, err := h.room(me, name); err != nil {
		return err
	}
	return checked(ctx)
}

// joined is how many rooms me is in, direct ones not counted.
func (h *Hub) joined(me Name) int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for room := range h.people[me].rooms {
		if !room.IsDirect() {
			n++
		}
	}
	return n
}

// makeRoom makes a public room of me's. Two who make the same room at once both succeed and share it.
func (h *Hub) makeRoom(ctx context.Context, me Name, name RoomName) (r *Room, made bool, err error) {
	h.decisions.Lock()
	defer h.decisions.Unlock()
	if err := checked(ctx); err != nil {
		return nil, false, err
	}
	h.mu.RLock()
	mine, there := 0, h.rooms[name]
	for _, r := range h.rooms {
		if r.by == me && (!r.gone || time.Since(r.closed) < closedCounts) {
			mine++
		}
	}
	h.mu.RUnlock()
	switch {
	case there != nil && !there.gone && !there.rules.MayEnter(me): // the same words as for a room that is not there
		return nil, false, noRoom(me, name)
	case there != nil && !there.gone: // somebody was faster
		return there, false, nil
	case mine >= MaxMade:
		return nil, false, ErrTooMany.Because("nobody makes more than %d, and one that was closed counts for an hour", MaxMade)
	}
	r, err = h.open(name, me)
	return r, err == nil, err
}

// Part ends me's membership. Nobody leaves #general. In a room of many members it waits until the next window is ready.
func (h *Hub) Part(ctx context.Context, me Name, name RoomName) error {
	if name == General {
		return ErrGeneral
	}
	if !h.In(me, name) || name.IsDirect() {
		return NotIn(me, name)
	}
	if err := h.await(ctx, name, Leave); err != nil {
		return err
	}
	h.chargeMove(me, name)
	return h.leaveRoom(ctx, me, name)
}

// Kick is Part by somebody else, who may: it waits for nothing, and takes me off the list of the invited as well.
// Errors: ErrNotIn if name was neither in the room nor invited; ErrGeneral; the registry's.
func (h *Hub) Kick(ctx context.Context, name Name, room RoomName) error {
	if room == General {
		return ErrGeneral
	}
	invited := false
	err := h.SetRules(ctx, room, func(r *Rules) error {
		before := len(r.Invited)
		r.Invited = slices.DeleteFunc(r.Invited, func(n Name) bool { return n == name })
		invited = len(r.Invited) < before
		return nil
	})
	if err != nil {
		return err
	}
	err = h.leaveRoom(ctx, name, room)
	if invited && errors.Is(err, ErrNotIn) {
		return nil
	}
	return err
}

// leaveRoom takes me out of a room.
func (h *Hub) leaveRoom(ctx context.Context, me Name, name RoomName) error {
	h.mu.RLock()
	p := h.people[me]
	h.mu.RUnlock()
	if p == nil || name.IsDirect() {
		return NotIn(me, name)
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	if !h.In(me, name) {
		return NotIn(me, name)
	}
	if err := checked(ctx); err != nil {
		return err
	}
	if err := h.registry.RemoveMember(name, me); err != nil {
		return fmt.Errorf("leave %s: %w", name, err)
	}
	return h.submit(context.WithoutCancel(ctx), &request{event: Event{Room: name, Change: Leave, Name: me}})
}

// Rekey has everything said from now on in me's rooms sealed to me's present keys.
// change is Rekey, or Revoke where an old key must not open another word, whoever hangs up meanwhile.
func (h *Hub) Rekey(ctx context.Context, me Name, change Change) error {
	if change == Revoke {
		ctx = context.WithoutCancel(ctx)
	}
	for _, name := range h.RoomsOf(me) {
		if change == Rekey {
			if err := h.await(ctx, name, change); err != nil {
				return err
			}
		}
		if err := h.submit(ctx, &request{event: Event{Room: name, Change: change, Name: me}}); err != nil {
			return err
		}
	}
	return nil
}

// SetTopic changes the topic of a room that me is in. It is said to the room, so a slow room slows it.
// Errors: ErrNotIn, ErrSlow, those of a check, the registry's.
func (h *Hub) SetTopic(ctx context.Context, me Name, name RoomName, topic Text) error {
	h.decisions.Lock()
	defer h.decisions.Unlock()
	if err := checked(ctx); err != nil {
		return err
	}
	r, err := h.mayTell(me, name)
	if err != nil {
		return err
	}
	if err := h.registry.SaveRoom(name, topic.String(), Name{}); err != nil {
		return fmt.Errorf("set the topic of %s: %w", name, err)
	}
	h.mu.Lock()
	r.topic = topic.String()
	h.mu.Unlock()
	said := fmt.Sprintf("%s set the topic: %s", me, topic)
	if topic.String() == "" {
		said = fmt.Sprintf("%s cleared the topic", me)
	}
	h.tell(r.Log, Message{Room: name, From: me, Kind: Notice, Text: text.Sprintf("%s", said)})
	return nil
}

// mayTell returns the room if me may now say something in it that is not stored.
func (h *Hub) mayTell(me Name, name RoomName) (*Room, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil || name.IsDirect() {
		return nil, NotIn(me, name)
	}
	if _, in := r.members[me]; !in {
		return nil, NotIn(me, name)
	}
	return r, r.tooSoon(me, now())
}

// tell appends what is not stored and returns its place in the order.
func (h *Hub) tell(log *Log, m Message) (order uint64) {
	h.orderMu.Lock()
	defer h.orderMu.Unlock()
	h.order++
	m.Order = h.order
	m.At = now()
	log.Append(m)
	return m.Order
}

// now is the chat's time: UTC, to the millisecond, as it is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// Posted is how many messages were stored and shown since the start.
func (h *Hub) Posted() int64 { return h.posted.Load() }

// In reports whether me belongs to the room.
func (h *Hub) In(me Name, name RoomName) bool {
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
func (h *Hub) Since(me Name, name RoomName) uint64 {
	if since, _, in := h.share(me, name); in {
		return since
	}
	return math.MaxUint64
}

// share tells what of the room is me's to read: messages from since on, and of whatever is in the log
// only what came after order.
func (h *Hub) share(me Name, name RoomName) (since, order uint64, in bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	if r == nil {
		return 0, 0, false
	}
	if since, in = r.members[me]; in {
		order = h.people[me].rooms[name]
	}
	return since, order, in
}

// Before returns up to n entries of the room that are me's to see and come before the given place in the order,
// or the newest where that is 0; oldest first. The caller must not change them.
func (h *Hub) Before(me Name, name RoomName, order uint64, n int) []Message {
	since, from, in := h.share(me, name)
	if !in {
		return nil
	}
	h.mu.RLock()
	log := h.rooms[name].Log
	h.mu.RUnlock()
	entries := log.before(order, n)
	for len(entries) > 0 && (entries[0].Order <= from || entries[0].Seq > 0 && entries[0].Seq < since) {
		entries = entries[1:]
	}
	return entries
}

// Kept is how many stored messages of the room are in memory; none where me is not in it.
func (h *Hub) Kept(me Name, name RoomName) int {
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
func (h *Hub) RoomsOf(me Name) []RoomName {
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
func (h *Hub) Rooms(me Name) []RoomInfo {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var infos []RoomInfo
	for name, r := range h.rooms {
		if _, in := r.members[me]; !name.IsDirect() && !r.gone && (in || !r.rules.Private) {
			infos = append(infos, r.info(me))
		}
	}
	slices.SortFunc(infos, func(a, b RoomInfo) int { return compareRooms(a.Name, b.Name) })
	return infos
}

// Room tells of one room me may know of.
func (h *Hub) Room(me Name, name RoomName) (RoomInfo, error) {
	r, err := h.room(me, name)
	if err != nil {
		return RoomInfo{}, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return r.info(me), nil
}

// Presence is a member of a room, whether a session of theirs is open, and whether they said they are away from it.
type Presence struct {
	Name Name
	Here bool
	Away bool
}

// Members lists a room's members by name.
func (h *Hub) Members(me Name, name RoomName) ([]Presence, error) {
	r, err := h.room(me, name)
	if err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	people := make([]Presence, 0, len(r.members))
	for n := range r.members {
		p := h.people[n]
		people = append(people, Presence{n, p != nil && p.sessions > 0, p != nil && p.away != nil})
	}
	slices.SortFunc(people, func(a, b Presence) int { return a.Name.Compare(b.Name) })
	return people, nil
}
