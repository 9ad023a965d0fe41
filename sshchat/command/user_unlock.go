package command

import (
	"context"
	"net/netip"

	"sshchat/sshchat/chat"
)

// Tries counts the wrong passwords of each name.
type Tries interface {
	// Pardon forgets those of a name, and returns how many they were in a row.
	Pardon(name chat.Name) (wrong int)
	// Sources are those that somebody logged in to the name from in the last 30 days.
	Sources(name chat.Name) []netip.Prefix
}

var _ = add(&Command{
	Name: "user unlock", Args: "NAME", Brief: "have an account's passwords looked at again",
	More:  "After many wrong ones in a row they are not, but from where it has logged in before. It touches nothing else.",
	Faces: Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		a, err := c.account(c.Args[0])
		if err != nil {
			return err
		}
		c.Notef("%s: %d wrong passwords in a row are forgotten.", a.Name, c.Tries.Pardon(a.Name))
		return nil
	},
})
