package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "part", Aliases: []string{"leave"}, Args: "[#room]", Brief: "leave a room for good", Group: Rooms,
	Faces: Both, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) == 0 && c.Face == Exec {
			return c.usage("part needs a room")
		}
		room, err := c.room(firstOf(c.Args))
		if err != nil {
			return err
		}
		if room.IsDirect() {
			c.Session.Enter(chat.General)
			return nil
		}
		if err := c.Hub.Part(ctx, c.Account.Name, room); err != nil {
			return err
		}
		if c.Session.Room() == room {
			c.Session.Enter(chat.General)
		}
		return nil
	},
})

// firstOf is the first word, or none.
func firstOf(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
