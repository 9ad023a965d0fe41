package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"sshchat/sshchat/chat"
)

var _ chat.Marks = (*State)(nil)

// marks is how far people have read: the Seq of the newest message each has seen in each room. They are kept by name,
// not by account: the name of a deleted account is reserved, so nobody inherits them.
type marks struct {
	mu sync.Mutex
	of map[chat.Name]map[chat.RoomName]uint64 // guarded by mu
}

// Mark implements chat.Marks. A mark only rises.
func (s *State) Mark(name chat.Name, room chat.RoomName, seq uint64) {
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
func (s *State) MarksOf(name chat.Name) map[chat.RoomName]uint64 {
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	return maps.Clone(s.marks.of[name])
}

// read implements section.
func (m *marks) read(v value) error {
	if err := v.object(); err != nil {
		return err
	}
	return v.walk(func(key string, field value) error {
		var name chat.Name
		if err := name.UnmarshalText([]byte(key)); err != nil {
			return field.refuse(err)
		}
		if m.of[name] != nil {
			return field.refuse(fmt.Errorf("%s is there twice", name))
		}
		rooms := make(map[chat.RoomName]uint64)
		m.of[name] = rooms
		return readMarks(field, rooms)
	})
}

// readMarks reads the marks of one person.
func readMarks(v value, rooms map[chat.RoomName]uint64) error {
	if err := v.object(); err != nil {
		return err
	}
	return v.walk(func(key string, field value) error {
		var room chat.RoomName
		if err := room.UnmarshalText([]byte(key)); err != nil {
			return field.refuse(err)
		}
		if rooms[room] != 0 {
			return field.refuse(fmt.Errorf("%s is there twice", room))
		}
		var seq uint64
		if err := field.into(&seq); err != nil {
			return err
		}
		if seq == 0 {
			return field.refuse(errors.New("messages count from 1"))
		}
		rooms[room] = seq
		return nil
	})
}

// write implements section: one line for each person.
func (m *marks) write(p *page) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.text("{")
	list(p, "\n  ", slices.SortedFunc(maps.Keys(m.of), chat.Name.Compare), func(name chat.Name) {
		p.value(name)
		p.text(":")
		p.value(m.of[name])
	})
	p.text("}")
}
