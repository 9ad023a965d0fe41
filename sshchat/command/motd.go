package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Motd is the message of the day.
type Motd interface {
	Get() chat.Text
	// Set returns once the change survives a power cut.
	Set(text chat.Text) error
}

var _ = add(&Command{
	Name: "motd", Aliases: []string{"motd get"}, Brief: "show the message of the day", Group: Reading, Faces: Both, Effect: Reads, List: true, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if text := c.Motd.Get().String(); text != "" {
			c.Printf("%s\n", text)
			return nil
		}
		c.Notef("There is no message of the day.")
		return nil
	},
})

var _ = add(&Command{
	Name: "motd set", Args: "TEXT|-", Brief: "change what whoever comes in is shown", More: "Without a text there is none.", ExecMore: "With - it comes on standard input.",
	Faces: Both, Effect: ChangesServer, Says: withText, Role: chat.Admin, Text: true,
	Run: func(_ context.Context, c *Call) error {
		said := c.Text
		if said == "-" && c.Face == Exec {
			var err error
			if said, err = readAll(c, 2*text.MaxText); err != nil {
				return err
			}
		}
		var clean chat.Text
		if said != "" {
			var err error
			if clean, err = text.ParseText(said); err != nil {
				return failed("%v", err)
			}
		}
		if err := c.Motd.Set(clean); err != nil {
			return err
		}
		c.Notef("Whoever comes in is shown that from now on.")
		return nil
	},
})

var _ = add(&Command{
	Name: "announce", Args: "TEXT", Brief: "tell everybody who is there something", More: "It is not stored.",
	Faces: Both, Effect: Speaks, Role: chat.Mod, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		announced, err := text.ParseText(c.Text)
		if err != nil {
			return c.usage("announce: %v", err)
		}
		if err := c.Caller.Pace(ctx, Message, c.Text); err != nil {
			return err
		}
		c.Hub.Announce(announced.After(c.Account.Name.String() + " to everybody: "))
		return nil
	},
})
