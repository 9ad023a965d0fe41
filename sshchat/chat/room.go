package chat

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

// Room is a log and its members. Its settings are in the State.
type Room struct {
	Name   RoomName
	Log    *Log
	roster roster

	// Guarded by the hub's mu:

	is       *RoomState              // what is decided about it; nil: nothing, for it is two people's, was removed, or is a new #general
	was      *RoomState              // as it was removed; nil: it was not
	closed   time.Time               // when that was
	said     map[Name]time.Time      // when each last spoke, while the room is slow
	members  map[Name]uint64         // since which Seq; of a direct room always the two, from 1
	online   int                     // members with a live session
	presence map[Name]presenceChange // changes that the room is not shown yet
	deserted time.Time               // when the last who was online on another node went, and the log was left as it is; zero: it was not
}

// newRoom is a room whose newest stored message is last.
func newRoom(name RoomName, is *RoomState, last uint64) *Room {
	r := &Room{Name: name, Log: NewLog(last), is: is, members: make(map[Name]uint64), presence: make(map[Name]presenceChange)}
	if a, b, ok := name.Pair(); ok {
		r.members[a], r.members[b] = 1, 1
	}
	if is != nil {
		for _, m := range is.Members {
			// A crash may leave what was decided without the messages before it: a since beyond what was stored.
			r.members[m.Name] = min(m.Since, last+1)
		}
	}
	return r
}

// decided takes over what is decided about the room but for its members; nil: it is removed. Called with the hub's mu held.
func (r *Room) decided(is *RoomState, at time.Time) {
	if is == nil {
		r.was, r.closed = r.is, at
		clear(r.presence)
	}
	if is == nil || r.is == nil || r.is.Slow != is.Slow {
		r.said = nil
	}
	r.is = is
}

// removed reports whether the room was removed. It comes back when somebody makes it. Called with the hub's mu held.
func (r *Room) removed() bool { return r.is == nil && r.Name != General && !r.Name.IsDirect() }

// state is what is decided about the room. Called with the hub's mu held.
func (r *Room) state() RoomState {
	if r.is == nil {
		return RoomState{Name: r.Name}
	}
	return *r.is
}

// RoomInfo is a room as shown to people; a copy.
type RoomInfo struct {
	Name    RoomName
	Topic   string
	Private bool
	Members int
	Online  int    // members with a live session
	Last    uint64 // Seq of the newest stored message
	Joined  bool   // whether the one who asked belongs to it
}

// info is called with the hub's mu held.
func (r *Room) info(me Name) RoomInfo {
	_, in := r.members[me]
	is := r.state()
	return RoomInfo{Name: r.Name, Topic: is.Topic, Private: is.Private, Members: len(r.members), Online: r.online, Last: r.Log.Last(), Joined: in}
}

// Rules is how a room is run: what is decided about it but for its topic and its members.
type Rules struct {
	Private bool          // people who are not in it do not learn that it exists
	Slow    time.Duration // the least between two messages of one member; 0: none. Its moderators are exempt
	Mods    []Name        // its moderators besides its creator
	Invited []Name        // who may join it while it is private
}

func (r Rules) equal(other Rules) bool {
	return r.Private == other.Private && r.Slow == other.Slow && slices.Equal(r.Mods, other.Mods) && slices.Equal(r.Invited, other.Invited)
}

// tooSoon refuses a member who posted too recently for the room's slow mode.
func (r *RoomState) tooSoon(from Name, last, at time.Time) error {
	if r.Slow <= 0 || r.By == from || slices.Contains(r.Mods, from) {
		return nil
	}
	if wait := r.Slow - at.Sub(last); wait > 0 && wait <= r.Slow {
		return ErrSlow.With("not sent: %s is in slow mode; you can post again in %v", r.Name.For(from), (wait + time.Second - 1).Truncate(time.Second))
	}
	return nil
}

// spoke notes when somebody spoke, for as long as the room is slow. Called with the hub's mu held.
func (r *Room) spoke(from Name, at time.Time) {
	if r.said == nil {
		r.said = make(map[Name]time.Time)
	}
	r.said[from] = at
}

// Announcement is a notice on its way: a line that is shown and not stored. Hubs of one chat show each other's, once: see Others.
type Announcement struct {
	Text    Text
	To      Name     // the person who is to see it; zero: the room, or everyone online
	Room    RoomName // zero: none
	By      Name     // whose doing it is: it is not shown to people who ignore them. Zero: the server's
	Removed Name     // the room is not shown that they left as well
	After   uint64   // the batch after which it is shown: that of what it reports, or a later one
}

// notices shows people what is not stored, on this node and on others.
type notices struct {
	*presence
	shown atomic.Uint64 // the last batch that is applied
	early early
}

// Announce shows a notice to everyone online, on all nodes. It is not stored.
func (h *notices) Announce(text Text) { h.announceAll(Announcement{Text: text}) }

// AnnounceHere is Announce on this node alone.
func (h *notices) AnnounceHere(text Text) { h.announce(Announcement{Text: text}) }

// NotifyUser shows a notice to one person. It is not stored.
func (h *notices) NotifyUser(name Name, format string, args ...any) {
	h.announceAll(Announcement{To: name, Text: text.Sprintf(format, args...)})
}

// NotifyRoom shows a room a notice of what by did. It is not stored, and not shown to people who ignore by. It is the
// server's if by is zero.
func (h *notices) NotifyRoom(by Name, room RoomName, format string, args ...any) {
	h.announceAll(Announcement{Room: room, By: by, Text: text.Sprintf(format, args...)})
}

// NotifyRemoval is NotifyRoom for the removal of somebody: they are not shown as having left as well.
func (h *notices) NotifyRemoval(by, name Name, room RoomName, format string, args ...any) {
	h.announceAll(Announcement{Room: room, By: by, Removed: name, Text: text.Sprintf(format, args...)})
}

// announceAll shows a notice on all nodes.
func (h *notices) announceAll(n Announcement) {
	h.announce(n)
	if h.others != nil {
		n.After = h.shown.Load()
		h.others.Announce(n)
	}
}

// ShowAnnouncement shows a notice of another node, once the batch that it follows is applied.
func (h *notices) ShowAnnouncement(n Announcement) {
	h.early.add(n)
	h.showWaiting()
}

// showWaiting shows notices whose time has come.
func (h *notices) showWaiting() {
	for _, n := range h.early.due(h.shown.Load()) {
		h.announce(n)
	}
}

// announce shows a notice on this node.
func (h *notices) announce(n Announcement) {
	line := Message{Room: n.Room, From: n.By, Kind: Notice, Text: n.Text}
	if !n.Room.IsZero() {
		h.showPending(n)
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case !n.To.IsZero():
		if p := h.people[n.To]; p != nil {
			h.appendNotice(p.log, line)
		}
	case !n.Room.IsZero():
		if r := h.rooms[n.Room]; r != nil {
			h.appendNotice(r.Log, line)
		}
	default:
		for _, p := range h.people {
			if p.sessions > 0 {
				h.appendNotice(p.log, line)
			}
		}
	}
}

// showPending shows a room that somebody has joined, before it is shown what they did.
func (h *notices) showPending(n Announcement) {
	h.mu.RLock()
	r := h.rooms[n.Room]
	pending := r != nil && (r.joinPending(n.By) || !n.Removed.IsZero())
	h.mu.RUnlock()
	if !pending {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !r.joinPending(n.Removed) {
		delete(r.presence, n.Removed)
	}
	h.showJoin(r, n.By)
}

// early are notices of other nodes that wait for a batch. It locks for itself.
type early struct {
	mu   sync.Mutex
	list []Announcement // guarded by mu
}

// maxNotices is how many wait. Where a node is so far behind that there are more, these are lost.
const maxNotices = 1024

func (w *early) add(n Announcement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.list) < maxNotices {
		w.list = append(w.list, n)
	}
}

// due takes those out that follow a batch that is applied.
func (w *early) due(applied uint64) (due []Announcement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = slices.DeleteFunc(w.list, func(n Announcement) bool {
		if n.After <= applied {
			due = append(due, n)
			return true
		}
		return false
	})
	return due
}
