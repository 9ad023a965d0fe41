package command

import (
	"context"

	"sshchat/sshchat/chat"

	"filippo.io/age"
)

var _ = add(&Command{
	Name: "key share", Aliases: []string{"keys share"}, Brief: "open the past with new keys (needs ssh -t)", Group: Yours,
	More: "Asks for your password, and seals what it opens to all keys you have now.\n" +
		"What it does not open stays closed to new keys.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password, and the server has no key that opens the past; your older keys do")
		}
		ids, err := askIdentities(ctx, c)
		if err != nil {
			return err
		}
		defer clear(ids)
		opened, closed, err := shareRooms(ctx, c, ids)
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

// shareRooms shares a room at a time, each in the caller's turn, as long as the caller may.
func shareRooms(ctx context.Context, c *Call, ids []age.Identity) (opened, closed int, err error) {
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		err := lookUp(ctx, c, func() error {
			n, left, err := c.History.Share(c.Account.Name, []chat.RoomName{room}, ids)
			opened, closed = opened+n, closed+left
			return err
		})
		if err == nil {
			err = c.still()
		}
		if err != nil {
			return opened, closed, err
		}
	}
	return opened, closed, nil
}
