package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var _ = add(&Command{
	Name: "whoami", Brief: "show your account", Group: Yours, Faces: Both, Effect: Reads, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		a := c.Account
		if c.json() {
			c.printJSON(struct {
				Name     chat.Name `json:"name"`
				Role     chat.Role `json:"role"`
				Keys     int       `json:"keys"`
				Password bool      `json:"password"`
				TOTP     bool      `json:"totp"`
				Reads    bool      `json:"reads"`
			}{a.Name, a.Role, len(a.Keys), a.Password, a.TOTP, a.Reads()})
			return nil
		}
		c.Printf("%s (%s), %s, password: %v, can open history: %v\n", a.Name, a.Role, text.Count(len(a.Keys), "key"), a.Password, a.Reads())
		return nil
	},
})
