package view

import (
	"slices"

	"sshchat/sshchat/chat"
)

// keyed is how many rooms have a key, Alt+1 to Alt+9.
const keyed = 9

// slots are the numbers of rooms, from 1. A room keeps its number for as long as the screen is there, also while it is
// left, and a room that comes takes one that no other had: the key that was one room is never another one under the
// fingers, whoever writes meanwhile. Only when the keys are used up a room gets the number of one that was left.
type slots []chat.RoomName

// arrange gives each room its number and returns them in that order.
func (s *slots) arrange(rooms []Room) []Room {
	for _, r := range rooms {
		if s.number(r.Name) > 0 {
			continue
		}
		left := slices.IndexFunc(*s, func(name chat.RoomName) bool {
			return !slices.ContainsFunc(rooms, func(r Room) bool { return r.Name == name })
		})
		if len(*s) >= keyed && left >= 0 {
			(*s)[left] = r.Name
		} else {
			*s = append(*s, r.Name)
		}
	}
	rooms = slices.Clone(rooms)
	slices.SortFunc(rooms, func(a, b Room) int { return s.number(a.Name) - s.number(b.Name) })
	return rooms
}

// number is a room's; 0 where it has none.
func (s *slots) number(name chat.RoomName) int { return slices.Index(*s, name) + 1 }
