package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "reload", Brief: "read again what was changed by hand", Faces: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	More: "users.json, the message of the day and the host keys. What cannot be taken is named and changes nothing.",
	Run: func(ctx context.Context, c *Call) error {
		done, err := c.Services.Reload(ctx)
		for _, line := range done {
			c.Notef("%s", line)
		}
		if err != nil {
			c.Log.Error("reload failed", "done", done, "by", c.Account.Name, "source", c.Source, "err", err)
			return failed("%v", err)
		}
		c.Log.Info("reload", "done", done, "by", c.Account.Name, "source", c.Source)
		return nil
	},
})
