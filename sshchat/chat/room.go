package chat

import (
	"slices"
	"time"

	"sshchat/sshchat/text"
)

// Room is a log and who belongs to it.
type Room struct {
	Name RoomName
	Log  *Log

	// Guarded by the hub's mu:

	topic   string
	rules   Rules
	said    map[Name]time.Time // when each last spoke, while the room is slow
	gone    bool               // removed; it comes back when somebody makes it
	closed  time.Time          // when that was
	by      Name
	members map[Name]uint64 // since which Seq; of a direct room always the two, from 1
	here    int             // members with a live session
	came    map[Name]bool   // comings (true) and goings (false) not told yet
}

func newRoom(s RoomState) *Room {
	r := &Room{
		Name: s.Name, Log: NewLog(s.Last), topic: s.Topic, rules: s.Rules.clone(), by: s.By, gone: s.Gone,
		members: make(map[Name]uint64), came: make(map[Name]bool),
	}
	if a, b, ok := s.Name.Pair(); ok {
		r.members[a], r.members[b] = 1, 1
	}
	for _, m := range s.Members {
		// A crash may leave what was decided without the messages before it: a since beyond what was stored.
		r.members[m.Name] = min(m.Since, s.Last+1)
	}
	return r
}

// decided takes over what is decided about the room but for its members. Called with the hub's mu held.
func (r *Room) decided(s *RoomState) {
	if r.rules.Slow != s.Slow {
		r.said = nil
	}
	r.gone, r.topic, r.rules, r.by = false, s.Topic, s.Rules, s.By
}

// close notes that the room is removed. Called with the hub's mu held.
func (r *Room) close(at time.Time) {
	r.gone, r.closed, r.topic, r.rules, r.said = true, at, "", Rules{}, nil
}

// RoomInfo is a room as shown to people; a copy.
type RoomInfo struct {
	Name    RoomName
	Topic   string
	Private bool
	Members int
	Here    int    // members with a live session
	Last    uint64 // Seq of the newest stored message
	Joined  bool   // whether the one who asked belongs to it
}

// info is called with the hub's mu held.
func (r *Room) info(me Name) RoomInfo {
	_, in := r.members[me]
	return RoomInfo{Name: r.Name, Topic: r.topic, Private: r.rules.Private, Members: len(r.members), Here: r.here, Last: r.Log.Last(), Joined: in}
}

// Rules is how a room is run: what is decided about it but for its topic and its members.
type Rules struct {
	Private bool          // who is not in it does not learn that it is there
	Slow    time.Duration // the least between two messages of one member; 0: none. Its moderators are exempt
	Mods    []Name        // who moderates it, beside who made it
	Invited []Name        // who may join it while it is private
}

func (r Rules) clone() Rules {
	r.Mods, r.Invited = slices.Clone(r.Mods), slices.Clone(r.Invited)
	return r
}

func (r Rules) equal(other Rules) bool {
	return r.Private == other.Private && r.Slow == other.Slow && slices.Equal(r.Mods, other.Mods) && slices.Equal(r.Invited, other.Invited)
}

// standing reports whether name made the room, and whether it is one of its moderators, and is still in it. Called with the
// hub's mu held.
func (r *Room) standing(name Name) (maker, mod bool) {
	if _, in := r.members[name]; !in || name.IsZero() {
		return false, false
	}
	return r.by == name, slices.Contains(r.rules.Mods, name)
}

// moderates is called with the hub's mu held.
func (r *Room) moderates(me Name) bool {
	maker, mod := r.standing(me)
	return maker || mod
}

// Notify tells a room what by did; it is not stored, and not shown to who ignores by. It is the server's if by is zero.
func (h *directory) Notify(by Name, name RoomName, format string, args ...any) {
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r != nil {
		h.tell(r.Log, Message{Room: name, From: by, Kind: Notice, Text: text.Sprintf(format, args...)})
	}
}

// tooSoon refuses somebody who spoke last so short a time ago, if the room is slow.
func (r *RoomState) tooSoon(from Name, last, at time.Time) error {
	if r.Slow <= 0 || r.By == from && r.member(from) >= 0 || slices.Contains(r.Mods, from) {
		return nil
	}
	if wait := r.Slow - at.Sub(last); wait > 0 && wait <= r.Slow {
		return ErrSlow.With("not sent: %s is slow; you may speak in %v", r.Name.For(from), (wait + time.Second - 1).Truncate(time.Second))
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
