package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "who", Aliases: []string{"names"}, Args: "[ROOM]", Brief: "list who is in a room, and who is here now", Group: People,
	Faces: Both, Effect: Reads, List: true, Account: true, Words: 1, RoomAt: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		people, err := c.Hub.Members(c.Account.Name, room)
		if err != nil {
			return err
		}
		var t table
		for _, p := range people {
			if c.json() {
				c.printJSON(presenceJSON{p.Name, p.Here, p.Away})
				continue
			}
			state := "offline"
			switch {
			case p.Away:
				state = "away"
			case p.Here:
				state = "here"
			}
			t.row(p.Name.String(), state)
		}
		t.print(c)
		return nil
	},
})

type presenceJSON struct {
	Name chat.Name `json:"name"`
	Here bool      `json:"here"`
	Away bool      `json:"away,omitempty"`
}
