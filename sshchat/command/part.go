package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "part", Aliases: []string{"leave"}, Args: "[ROOM]", Brief: "leave a room for good", Group: Rooms,
	Faces: Both, Effect: ChangesOwn, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if room.IsDirect() {
			c.Session.Enter(chat.General)
			return nil
		}
		if err := c.decide(ctx, chat.LeaveRoom{Room: room}); err != nil {
			return err
		}
		if c.Session.Room() == room {
			c.Session.Enter(chat.General)
		}
		return nil
	},
})
