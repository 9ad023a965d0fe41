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
		a, err := c.account(c.Args[0])
		if err != nil {
			return err
		}
		in := chat.KickFromRoom{Name: a.Name, Room: room, Why: afterColon(c.Text)}
		may := c.may(in)
		if may != nil && !errors.Is(may, chat.ErrGeneral) {
			return may
		}
		if in.Why != "" {
			if err = c.Caller.Pace(ctx, Message, in.Why); err != nil {
				return err
			}
			may = c.may(in) // it may have waited
		}
		if errors.Is(may, chat.ErrGeneral) { // and nothing else is against it
			return endSessions(c, a, in.Why)
		}
		if err := c.decide(ctx, in); err != nil {
			return err
		}
		c.Log.Info("kick", "on", a.Name, "room", room.String(), "by", c.Account.Name, "source", c.Source)
		c.Hub.Notify(c.Account.Name, room, "%s put %s out%s.", c.Account.Name, a.Name, in.Why)
		c.Hub.Tell(a.Name, "%s put you out of #%s%s.", c.Account.Name, room, in.Why)
		return nil
	},
})

// endSessions ends the sessions of somebody whom the caller may put out of #general, which nobody leaves.
func endSessions(c *Call, a chat.Account, why string) error {
	c.Log.Info("kick", "on", a.Name, "room", chat.General.String(), "by", c.Account.Name, "source", c.Source)
	n := c.Live.End(endOf(a.ID), c.Account.Name.String()+" ended your session"+why+".")
	if n == 0 {
		return notFound("%s is not connected", a.Name)
	}
	c.Notef("%s of %s ended.", text.Count(n, "session"), a.Name)
	return nil
}

func afterColon(why string) string {
	if why = text.Clean(why, maxAudited); why == "" {
		return ""
	}
	return ": " + why
}
