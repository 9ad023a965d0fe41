package command

import "context"

var _ = add(&Command{
	Name: "clear", Brief: "clear the screen; nothing is deleted", Group: Reading,
	Faces: Chat, Effect: Reads, Free: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Clear()
		return nil
	},
})
