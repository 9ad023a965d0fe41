package command

import "context"

var _ = add(&Command{
	Name: "key share", Aliases: []string{"keys share"}, Brief: "open the past with new keys (needs ssh -t)", Group: Yours,
	More: "Asks for your password, and seals what it opens to all keys you have now.\n" +
		"What it does not open stays closed to new keys.",
	Faces: Both, Account: true, Audit: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password, and the server has no key that opens the past; your older keys do")
		}
		ids, err := c.askIdentities(ctx)
		if err != nil {
			return err
		}
		defer clear(ids)
		opened, closed, err := c.History.Share(c.Account.Name, c.Hub.RoomsOf(c.Account.Name), ids)
		if err != nil {
			return err
		}
		c.Log.Info("history shared with new keys", "account", c.Account.Name, "opened", opened, "closed", closed, "source", c.Source)
		c.Notef("Messages that all your keys open now: %d.", opened)
		if closed > 0 {
			c.Notef("Messages from before you had this password, which only your older keys open: %d.", closed)
		}
		return nil
	},
})
