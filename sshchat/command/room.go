package command

import (
	"errors"
	"strings"
	"time"

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
	if _, ok := c.Accounts.ByName(name); !ok {
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

// roomError words what was refused in a room.
func (c *Call) roomError(room chat.RoomName, err error) error {
	return c.Explain(c.Account.Name, room, err)
}

// Explain words for me what the hub refused in a room. An error that means nothing to a person stays as it is.
func (s *Services) Explain(me chat.Name, room chat.RoomName, err error) error {
	shown := room.For(me)
	var slow *chat.SlowError
	switch {
	case errors.As(err, &slow):
		return failed("not sent: %s is slow; you may speak in %v", shown, slow.Wait.Round(time.Second)+time.Second)
	case err == nil:
		return nil
	case errors.Is(err, chat.ErrNoRoom):
		return notFound("no such room: %s", shown)
	case errors.Is(err, chat.ErrNotIn):
		return denied("you are not in %s; join it first", shown)
	case errors.Is(err, chat.ErrTooMany), errors.Is(err, text.ErrTooLong), errors.Is(err, text.ErrEmpty):
		return failed("%v", err)
	case errors.Is(err, chat.ErrGeneral):
		return failed("%s is everybody's room; nobody leaves it", shown)
	case errors.Is(err, chat.ErrTooManyNamed), errors.Is(err, chat.ErrTaken):
		return failed("%v", err)
	case errors.Is(err, chat.ErrNoMessage):
		return notFound("no such message in %s that memory still holds, or it is deleted", shown)
	case errors.Is(err, chat.ErrNotYours):
		return denied("that message is somebody else's")
	case errors.Is(err, chat.ErrNotStored):
		return failed("not sent: the server could not store it, so nobody has seen it. Try again in a while; its admin can see why")
	case errors.Is(err, chat.ErrStopping):
		return failed("not sent: the server is stopping")
	case s.Accounts.Refusal(err), s.History.Refusal(err):
		if errors.As(err, new(interface{ NotFound() })) {
			return notFound("%v", err)
		}
		return failed("%v", err)
	}
	return err
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
