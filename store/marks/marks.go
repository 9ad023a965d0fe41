package marks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

var _ chat.Marks = (*Store)(nil)

// marks is how far people have read: the Seq of the newest message each has seen in each room. They are kept by name,
// not by account: the name of a deleted account is reserved, so nobody inherits them.
type marks struct {
	mu sync.Mutex
	of map[chat.Name]map[chat.RoomName]uint64 // guarded by mu
}

// Mark implements chat.Marks. A mark only rises.
func (s *Store) Mark(name chat.Name, room chat.RoomName, seq uint64) {
	s.marks.mu.Lock()
	rooms := s.marks.of[name]
	rises := seq > rooms[room]
	if rises {
		if rooms == nil {
			rooms = make(map[chat.RoomName]uint64)
			s.marks.of[name] = rooms
		}
		rooms[room] = seq
	}
	s.marks.mu.Unlock()
	if rises {
		s.changed()
	}
}

// MarksOf implements chat.Marks.
func (s *Store) MarksOf(name chat.Name) map[chat.RoomName]uint64 {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	return maps.Clone(s.marks.of[name])
}

// All is the marks of everybody, in no order.
func (s *Store) All() (all []chat.ReadMark) {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	for name, rooms := range s.marks.of {
		for room, seq := range rooms {
			all = append(all, chat.ReadMark{Name: name, Room: room, Seq: seq})
		}
	}
	return all
}

// read implements section.
func (m *marks) read(v strictjson.Value, _ func(error)) error {
	if err := v.Object(); err != nil {
		return err
	}
	return v.Walk(func(key string, field strictjson.Value) error {
		var name chat.Name
		if err := name.UnmarshalText([]byte(key)); err != nil {
			return field.Refuse(err)
		}
		if m.of[name] != nil {
			return field.Refuse(fmt.Errorf("%s is listed twice", name))
		}
		rooms := make(map[chat.RoomName]uint64)
		m.of[name] = rooms
		return readMarks(field, rooms)
	})
}

// readMarks reads the marks of one person.
func readMarks(v strictjson.Value, rooms map[chat.RoomName]uint64) error {
	if err := v.Object(); err != nil {
		return err
	}
	return v.Walk(func(key string, field strictjson.Value) error {
		var room chat.RoomName
		if err := room.UnmarshalText([]byte(key)); err != nil {
			return field.Refuse(err)
		}
		if rooms[room] != 0 {
			return field.Refuse(fmt.Errorf("%s is listed twice", room))
		}
		var seq uint64
		if err := field.Into(&seq); err != nil {
			return err
		}
		if seq == 0 {
			return field.Refuse(errors.New("message numbers start at 1"))
		}
		rooms[room] = seq
		return nil
	})
}

// clear implements section.
func (m *marks) clear() { clear(m.of) }

// write implements section: one line for each person.
func (m *marks) write(p *strictjson.Page) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Text("{")
	strictjson.List(p, "\n  ", slices.SortedFunc(maps.Keys(m.of), chat.Name.Compare), func(name chat.Name) {
		p.Value(name)
		p.Text(":")
		p.Value(m.of[name])
	})
	p.Text("}")
}
