package command

import "context"

var _ = add(&Command{
	Name: "version", Brief: "show which sshchat this is", Faces: Both, Effect: Reads, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if c.json() {
			c.printJSON(struct {
				Version string `json:"version"`
			}{c.Version})
			return nil
		}
		c.Printf("sshchat %s\n", c.Version)
		return nil
	},
})
