package chat

import (
	"slices"
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

// NotifyRoom shows a room a notice of what by did. It is not stored, and not shown to people who ignore by. It is the
// server's if by is zero.
func (h *directory) NotifyRoom(by Name, name RoomName, format string, args ...any) {
	h.mu.RLock()
	r := h.rooms[name]
	joining := r != nil && r.joinPending(by)
	h.mu.RUnlock()
	if joining {
		h.mu.Lock()
		h.showJoin(r, by)
		h.mu.Unlock()
	}
	if r != nil {
		h.appendNotice(r.Log, Message{Room: name, From: by, Kind: Notice, Text: text.Sprintf(format, args...)})
	}
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
