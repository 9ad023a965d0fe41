package command

import (
	"context"

	"filippo.io/age"
)

var _ = add(&Command{
	Name: "key share", Aliases: []string{"keys share"}, Brief: "open the past with new keys (needs ssh -t)", Group: Yours,
	More: "Asks for your password, opens with it what is sealed to you, and seals that to all keys you have now, without\n" +
		"changing what is stored. What your password does not open stays closed to new keys.",
	Faces: Both, Account: true, Audit: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password to open it with here: a key's owner has the key, and the server does not")
		}
		password, err := c.askSecret(ctx, "Password: ")
		if err != nil {
			return err
		}
		var ids []age.Identity
		err = c.Session.Guess(func() (err error) { ids, err = c.Accounts.Unlock(ctx, c.Account.ID, password); return err })
		if err != nil {
			return c.explain(err)
		}
		defer clear(ids)
		opened, closed, err := c.History.Share(c.Account.Name, c.Hub.RoomsOf(c.Account.Name), ids)
		if err != nil {
			return c.explain(err)
		}
		c.Log.Info("history shared with new keys", "account", c.Account.Name, "opened", opened, "closed", closed, "source", c.Source)
		c.Notef("All your keys open %d messages that were said before.", opened)
		if closed > 0 {
			c.Notef("%d do not open with your password: they were sealed before it was set. Your older keys open them.", closed)
		}
		return nil
	},
})
