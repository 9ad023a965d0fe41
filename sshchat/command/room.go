package command

import (
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// room reads a room as its user writes it: "#dev", "dev", "@bob" for the direct room with bob.
// An empty word is the session's room.
func (c *Call) room(word string) (chat.RoomName, error) {
	if word == "" {
		return c.Session.Room(), nil
	}
	if rest, direct := strings.CutPrefix(word, "@"); direct {
		other, err := c.person(rest)
		if err != nil {
			return chat.RoomName{}, err
		}
		return text.Direct(c.Account.Name, other), nil
	}
	name, err := text.ParseRoomName(word)
	if err != nil {
		return chat.RoomName{}, c.usage("%v", err)
	}
	return name, nil
}

// person reads the name, with or without @, of somebody who has an account.
func (c *Call) person(word string) (chat.Name, error) {
	name, err := c.personName(word)
	if err != nil {
		return chat.Name{}, err
	}
	if _, ok := c.Hub.View().ByName(name); !ok {
		return chat.Name{}, notFound("no account named %s", name)
	}
	return name, nil
}

// personName reads a name, with or without @.
func (c *Call) personName(word string) (chat.Name, error) {
	name, err := text.ParseName(strings.TrimPrefix(word, "@"))
	if err != nil {
		return chat.Name{}, c.usage("%v", err)
	}
	return name, nil
}

// Above counts the stored messages of a room that me may read but that are further back than the last n in memory.
func (s *Services) Above(me chat.Name, room chat.RoomName, n int) int {
	info, err := s.Hub.Room(me, room)
	since := s.Hub.Since(me, room)
	if err != nil || since > info.Last {
		return 0
	}
	return max(0, int(info.Last-since+1)-min(n, s.Hub.Kept(me, room)))
}
