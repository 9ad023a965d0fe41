package command

import "context"

var _ = add(&Command{
	Name: "version", Brief: "show which sshchat this is", Faces: Both, Effect: Reads, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		c.Printf("sshchat %s\n", c.Version)
		return nil
	},
})
