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
	var m storedRoom
	var members []chat.Member
	in := make(map[chat.Name]bool)
	err := v.Fields(map[string]func(strictjson.Value) error{
		"name": strictjson.To(&m.Name), "topic": strictjson.To(&m.Topic), "private": strictjson.To(&m.Private), "by": strictjson.To(&m.By),
		"slow": strictjson.To(&m.Slow), "mods": strictjson.To(&m.Mods), "invited": strictjson.To(&m.Invited),
		"members": func(v strictjson.Value) error {
			return v.Items(func(v strictjson.Value) error {
				member, err := r.readMember(v, in)
				members = append(members, member)
				return err
			})
		},
	})
	if err != nil {
		return err
	}
	switch {
	case m.Name.IsZero():
		return errors.New("a room needs a name")
	case m.Name.IsDirect():
		return errors.New("direct rooms are not kept here")
	case m.Slow < 0 || m.Slow > maxSlow:
		return fmt.Errorf("slow is %d seconds; it must be 0 to %d", m.Slow, maxSlow)
	case len(m.Mods) > chat.MaxNamed || len(m.Invited) > chat.MaxNamed:
		return fmt.Errorf("more than %d moderators, or invited people", chat.MaxNamed)
	case r.rooms[m.Name]:
		return fmt.Errorf("another room is called %s", m.Name)
	}
	if m.Topic != "" { // edited by hand it may hold what no terminal should see
		said, err := text.ParseLine(m.Topic, text.MaxText)
		if err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		m.Topic = said.String()
	}
	r.rooms[m.Name] = true
	// Whoever is no user has lost what they had here: kept, it would be a present to whoever takes the name next.
	gone := func(name chat.Name) bool { return !r.names[name] }
	m.Mods, m.Invited = slices.DeleteFunc(m.Mods, gone), slices.DeleteFunc(m.Invited, gone)
	if gone(m.By) {
		m.By = chat.Name{}
	}
	rules := chat.Rules{Private: m.Private, Slow: time.Duration(m.Slow) * time.Second, Mods: m.Mods, Invited: m.Invited}
	r.parts.Rooms = append(r.parts.Rooms, chat.RoomState{Name: m.Name, Topic: m.Topic, Rules: rules, By: m.By, Members: members})
	return nil
}

func (r *reader) readMember(v strictjson.Value, in map[chat.Name]bool) (member chat.Member, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{"name": strictjson.To(&member.Name), "since": strictjson.To(&member.Since)})
	switch {
	case err != nil:
		return member, err
	case !r.names[member.Name]:
		// Kept, the membership would be a present to whoever takes the name next.
		return member, fmt.Errorf("the member %q is not among the users", member.Name)
	case in[member.Name]:
		return member, fmt.Errorf("%s is a member already", member.Name)
	case member.Since == 0:
		return member, errors.New("since counts from 1")
	}
	in[member.Name] = true
	return member, nil
}
