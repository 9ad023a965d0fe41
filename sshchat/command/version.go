package command

import "context"

var version = &Command{
	Name: "version", Brief: "show which sshchat this is", Faces: Both, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		c.Printf("sshchat %s\n", c.Version)
		return nil
	},
}
