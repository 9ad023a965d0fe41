package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// maxWhy is the longest reason for being away, in bytes.
const maxWhy = 256

var _ = add(&Command{
	Name: "away", Args: "[WHY]", Brief: "say that you are not there to read", Group: People,
	More:  "Until you say that you are back, or your last session ends. Who writes to you alone is told.",
	Faces: Both, Effect: Speaks, Says: withText, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		var why chat.Text
		if c.Text != "" {
			var err error
			if why, err = text.ParseLine(c.Text, maxWhy); err != nil {
				return c.usage("%v", err)
			}
			if err = c.Caller.Pace(ctx, Message, c.Text); err != nil {
				return err
			}
		}
		if !c.Hub.Here(c.Account.Name) {
			return failed("no session of yours is open, so everybody sees that you are not there")
		}
		c.Hub.SetAway(c.Account.Name, why)
		c.Notef("You are away%s.", because(why))
		return nil
	},
})

var _ = add(&Command{
	Name: "back", Brief: "say that you are there again", Group: People,
	Faces: Both, Effect: ChangesOwn, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if c.Hub.Back(c.Account.Name) {
			c.Notef("You are back.")
		} else {
			c.Notef("You were not away.")
		}
		return nil
	},
})

// because is a reason as it follows "away".
func because(why chat.Text) string {
	if why.String() == "" {
		return ""
	}
	return " (" + why.String() + ")"
}
