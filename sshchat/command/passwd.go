package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "passwd", Brief: "set or change your password (needs ssh -t)", Group: Yours,
	More:  "The new password opens all your history, the old one nothing said from now on.",
	Faces: Both, Account: true, Audit: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		var old []byte
		if c.Account.Password {
			answer, err := c.Session.Ask(ctx, "Present password: ", false)
			if err != nil {
				return err
			}
			old = []byte(answer)
			defer clear(old)
		}
		fresh, err := c.newPassword(ctx)
		if err != nil {
			return err
		}
		defer clear(fresh)
		err = c.Session.Guess(func() error { return c.Accounts.SetPassword(ctx, c.Account.ID, old, fresh) })
		if err != nil {
			return c.explain(err)
		}
		c.Log.Info("password changed", "account", c.Account.Name, "source", c.Source)
		if err := c.Hub.Rekey(ctx, c.Account.Name, chat.Revoke); err != nil {
			return err
		}
		if a, ok := c.Accounts.ByID(c.Account.ID); ok {
			c.Session.Registered(a)
		}
		c.Notef("Your password is changed. Other sessions that came in with the old one must reconnect.")
		return nil
	},
})
