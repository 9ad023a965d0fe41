package command

import (
	"context"

	"sshchat/sshchat/chat"
)

// Figure is one number of what the server has done or holds.
type Figure struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

var _ = add(&Command{
	Name: "stats", Brief: "show what the server has done since its start", Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, f := range c.Live.Figures() {
			if c.json() {
				c.printJSON(f)
				continue
			}
			c.Printf("%-14s %d\n", f.Name, f.Value)
		}
		return nil
	},
})
