package accounts

import (
	"fmt"
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

// maxSlow is the slowest a room can be, in seconds: a day.
const maxSlow = 24 * 60 * 60

var _ chat.Registry = (*Store)(nil)

// SaveRoom implements chat.Registry. By the one who makes it (by is somebody) a room that is there is left as it is:
// two who make it at once share it, and neither clears its topic.
func (u *Store) SaveRoom(name chat.RoomName, topic string, by chat.Name) error {
	err := u.change(func(r *roster) error {
		old := r.rooms[name]
		switch {
		case name.IsZero() || name.IsDirect():
			return fmt.Errorf("internal error: %q is not kept", name)
		case old == nil:
			r.rooms[name] = &room{Name: name, Topic: topic, By: by}
		case by.IsZero():
			changed := *old
			changed.Topic = topic
			r.rooms[name] = &changed
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save room: %w", err)
	}
	return nil
}

// SaveMember implements chat.Registry. Errors: chat.ErrNoRoom, ErrNoAccount, ErrEdited, or the disk's.
func (u *Store) SaveMember(name chat.RoomName, m chat.Member) error {
	err := u.change(func(r *roster) error {
		if r.named(m.Name) == nil {
			return ErrNoAccount
		}
		m.Since = max(m.Since, 1)
		return r.setMember(name, m)
	})
	if err != nil {
		return fmt.Errorf("save member: %w", err)
	}
	return nil
}

// RemoveMember implements chat.Registry.
func (u *Store) RemoveMember(name chat.RoomName, member chat.Name) error {
	err := u.change(func(r *roster) error {
		old := r.rooms[name]
		if old == nil {
			return nil
		}
		if i := old.index(member); i >= 0 {
			changed := *old
			changed.members = slices.Delete(slices.Clone(old.members), i, i+1)
			r.rooms[name] = &changed
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove member: %w", err)
	}
	return nil
}

// SaveRules implements chat.Registry. #general is made by the first rule about it. Errors: chat.ErrNoRoom, ErrEdited, or
// the disk's.
func (u *Store) SaveRules(name chat.RoomName, rules chat.Rules) error {
	err := u.change(func(r *roster) error {
		changed := room{Name: name}
		switch old := r.rooms[name]; {
		case old != nil:
			changed = *old
		case name != chat.General:
			return chat.ErrNoRoom
		}
		changed.Private, changed.Slow = rules.Private, int64(min(rules.Slow/time.Second, maxSlow))
		changed.Mods, changed.Invited = slices.Clone(rules.Mods), slices.Clone(rules.Invited)
		r.rooms[name] = &changed
		return nil
	})
	if err != nil {
		return fmt.Errorf("save rules: %w", err)
	}
	return nil
}

// RemoveRoom implements chat.Registry.
func (u *Store) RemoveRoom(name chat.RoomName) error {
	err := u.change(func(r *roster) error {
		delete(r.rooms, name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove room: %w", err)
	}
	return nil
}

func (m *room) rules() chat.Rules {
	return chat.Rules{
		Private: m.Private, Slow: time.Duration(m.Slow) * time.Second, Mods: slices.Clone(m.Mods), Invited: slices.Clone(m.Invited),
	}
}

// Rooms lists the rooms but for direct ones, #general first. Last is 0: it is the journal's to know.
func (u *Store) Rooms() []chat.RoomState {
	var states []chat.RoomState
	for _, m := range u.durable.Load().sortedRooms() {
		states = append(states, chat.RoomState{
			Name: m.Name, Topic: m.Topic, Rules: m.rules(), By: m.By, Members: slices.Clone(m.members),
		})
	}
	return states
}

// Members lists who belongs to the room, in the order they came; of a direct room the two, as far as they exist.
func (u *Store) Members(name chat.RoomName) []chat.Name {
	r := u.durable.Load()
	var names []chat.Name
	if a, b, direct := name.Pair(); direct {
		for _, n := range []chat.Name{a, b} {
			if r.named(n) != nil {
				names = append(names, n)
			}
		}
		return names
	}
	if m := r.rooms[name]; m != nil {
		for _, member := range m.members {
			names = append(names, member.Name)
		}
	}
	return names
}
