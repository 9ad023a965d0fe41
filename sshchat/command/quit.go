package command

import "context"

var _ = add(&Command{
	Name: "quit", Aliases: []string{"exit"}, Brief: "end this session; you stay in your rooms",
	Faces: Chat, Effect: Reads, Free: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Quit()
		return nil
	},
})
