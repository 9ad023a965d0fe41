package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "mute", Args: "USER [DUR] [WHY]", Brief: "have somebody say nothing for a while", More: durations,
	Faces: Both, Effect: ChangesOthers, Says: withReason, Role: chat.Mod, Words: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		s, err := parseSanction(c)
		if err != nil {
			return err
		}
		if s.User.IsZero() {
			return c.usage("mute is of a person")
		}
		if err := c.decide(ctx, chat.Mute{Sanction: s}); err != nil {
			return err
		}
		c.Log.Info("mute", "on", s.User, "until", s.Until, "by", c.Account.Name, "source", c.Source)
		c.Hub.Tell(s.User, "%s", s.MuteText())
		c.Notef("%s is muted %s.", s.User, s.Lasts())
		return nil
	},
})

var _ = add(&Command{
	Name: "unmute", Args: "USER", Brief: "lift a mute", Faces: Both, Effect: ChangesOthers, Role: chat.Mod, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		if err := c.decide(ctx, chat.Unmute{Name: name}); err != nil {
			return err
		}
		c.Log.Info("mute lifted", "on", name, "by", c.Account.Name, "source", c.Source)
		c.Hub.Tell(name, "You may speak again.")
		c.Notef("%s may speak again.", name)
		return nil
	},
})
