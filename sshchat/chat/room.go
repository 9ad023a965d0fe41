package chat

import (
	"sync"
	"time"
)

// Room is a log and who belongs to it.
type Room struct {
	Name RoomName
	Log  *Log

	// deciding is held for reading from the moment a join is looked at until it is in the journal, and for writing while
	// the room's rules change: so a join finds the rules that hold at its place. Taken after decisions and changing.
	deciding sync.RWMutex

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

	seq uint64 // Seq of the newest committed message; owned by the hub's journal goroutine
}

func newRoom(s RoomState) *Room {
	r := &Room{
		Name: s.Name, Log: NewLog(s.Last), topic: s.Topic, rules: s.Rules.clone(), by: s.By, gone: s.Gone,
		members: make(map[Name]uint64), came: make(map[Name]bool), seq: s.Last,
	}
	if a, b, ok := s.Name.Pair(); ok {
		r.members[a], r.members[b] = 1, 1
	}
	for _, m := range s.Members {
		// A crash between the registry's write and the journal's leaves a since beyond what was stored.
		r.members[m.Name] = min(m.Since, s.Last+1)
	}
	return r
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
