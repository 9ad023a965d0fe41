package command

import (
	"context"
	"errors"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var _ = add(&Command{
	Name: "kick", Args: "USER [ROOM] [WHY]", Brief: "put somebody out of a room",
	More:  "Out of #general, which nobody leaves, it ends their sessions. They may come back: `ban` keeps them out.",
	Faces: Both, Effect: ChangesOthers, Says: withText, Role: chat.Mod, InRoom: true, Words: 1, RoomAt: 2, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		a, err := c.subject(c.Args[0], room)
		if err != nil {
			return err
		}
		why := afterColon(c.Text)
		if why != "" {
			if err = c.Caller.Pace(ctx, Message, why); err != nil {
				return err
			}
		}
		c.Log.Info("kick", "on", a.Name, "room", room.String(), "by", c.Account.Name, "source", c.Source)
		if room == chat.General {
			n := c.Live.End(endOf(a.ID), c.Account.Name.String()+" ended your session"+why+".")
			if n == 0 {
				return notFound("%s is not connected", a.Name)
			}
			c.Notef("%s of %s ended.", text.Count(n, "session"), a.Name)
			return nil
		}
		err = c.Hub.Kick(ctx, a.Name, room)
		if errors.Is(err, chat.ErrNotIn) {
			return notFound("%s is not in #%s", a.Name, room)
		}
		if err != nil {
			return err
		}
		c.Hub.Notify(c.Account.Name, room, "%s put %s out%s.", c.Account.Name, a.Name, why)
		c.Hub.Tell(a.Name, "%s put you out of #%s%s.", c.Account.Name, room, why)
		return nil
	},
})

func afterColon(why string) string {
	if why = text.Clean(why, maxAudited); why == "" {
		return ""
	}
	return ": " + why
}
