package accounts

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/strictjson"
)

// maxSlow is the slowest a room can be, in seconds.
const maxSlow = int64(chat.MaxSlow / time.Second)

func (r *reader) readRoom(v strictjson.Value) error {
	var name chat.RoomName
	var m storedSettings
	var members []chat.Member
	in := make(map[chat.Name]bool)
	fields := m.fields()
	fields["name"] = strictjson.To(&name)
	fields["members"] = func(v strictjson.Value) error {
		return v.Items(func(v strictjson.Value) error {
			member, err := readMember(v)
			switch {
			case err != nil:
				return err
			case !r.names[member.Name]:
				// If it were kept, somebody who takes the name later would be in the room.
				return fmt.Errorf("the member %q is not a user", member.Name)
			case in[member.Name]:
				return fmt.Errorf("%s is already a member", member.Name)
			}
			in[member.Name] = true
			members = append(members, member)
			return nil
		})
	}
	if err := v.Fields(fields); err != nil {
		return err
	}
	if err := checkRoomName(name); err != nil {
		return err
	}
	if r.rooms[name] {
		return fmt.Errorf("another room has the name %s", name)
	}
	settings, err := m.checked()
	if err != nil {
		return err
	}
	r.rooms[name] = true
	// A name without an account is removed here: otherwise somebody who takes the name later would get its rights.
	gone := func(name chat.Name) bool { return !r.names[name] }
	rules := settings.Rules
	rules.Mods, rules.Invited = slices.DeleteFunc(rules.Mods, gone), slices.DeleteFunc(rules.Invited, gone)
	if gone(settings.By) {
		settings.By = chat.Name{}
	}
	r.parts.Rooms = append(r.parts.Rooms, chat.RoomState{Name: name, Topic: settings.Topic, Rules: rules, By: settings.By, Members: members})
	return nil
}

func checkRoomName(name chat.RoomName) error {
	switch {
	case name.IsZero():
		return errors.New("a room needs a name")
	case name.IsDirect():
		return errors.New("direct conversations do not belong here")
	}
	return nil
}

// fields are the readers of a room's settings.
func (m *storedSettings) fields() map[string]func(strictjson.Value) error {
	return map[string]func(strictjson.Value) error{
		"topic": strictjson.To(&m.Topic), "private": strictjson.To(&m.Private), "by": strictjson.To(&m.By),
		"slow": strictjson.To(&m.Slow), "mods": strictjson.To(&m.Mods), "invited": strictjson.To(&m.Invited),
	}
}

// checked is what was read.
func (m *storedSettings) checked() (s chat.RoomSettings, err error) {
	switch {
	case m.Slow < 0 || m.Slow > maxSlow:
		return s, fmt.Errorf("slow is %d seconds; it must be 0 to %d", m.Slow, maxSlow)
	case len(m.Mods) > chat.MaxNamed || len(m.Invited) > chat.MaxNamed:
		return s, fmt.Errorf("more than %d moderators or invited people", chat.MaxNamed)
	}
	if m.Topic != "" { // edited by hand it may hold what no terminal should see
		said, err := text.ParseLine(m.Topic, text.MaxText)
		if err != nil {
			return s, fmt.Errorf("topic: %w", err)
		}
		m.Topic = said.String()
	}
	rules := chat.Rules{Private: m.Private, Slow: time.Duration(m.Slow) * time.Second, Mods: m.Mods, Invited: m.Invited}
	return chat.RoomSettings{Topic: m.Topic, Rules: rules, By: m.By}, nil
}

// keepPins keeps the pins in rooms that are there and between people who have accounts. The others are nobody's to see.
func (r *reader) keepPins(pins []chat.Pin) {
	for _, p := range pins {
		a, b, direct := p.Room.Pair()
		if direct && !(r.names[a] && r.names[b]) || !direct && p.Room != chat.General && !r.rooms[p.Room] {
			continue
		}
		if !r.names[p.By] {
			p.By = chat.Name{}
		}
		r.parts.Pins = append(r.parts.Pins, p)
	}
}

func readPin(v strictjson.Value) (p chat.Pin, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{
		"room": strictjson.To(&p.Room), "seq": strictjson.To(&p.Seq), "by": strictjson.To(&p.By), "at": strictjson.To(&p.At),
	})
	switch {
	case err != nil:
	case p.Room.IsZero() || p.Seq == 0:
		err = errors.New("a pin needs a room and the number of a message")
	case p.At.IsZero():
		err = errors.New("a pin needs the time at which it was set")
	}
	return p, err
}

func readMember(v strictjson.Value) (member chat.Member, err error) {
	err = v.Switch(func(key string, v strictjson.Value) (bool, error) {
		switch key {
		case "name":
			return true, v.Into(&member.Name)
		case "since":
			return true, v.Into(&member.Since)
		}
		return false, nil
	})
	if err == nil && member.Since == 0 {
		err = errors.New("since must be 1 or more")
	}
	return member, err
}
