package command

import (
	"context"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "invite create", Args: "[--uses 1] [--expires 7d]", Brief: "make a code that lets people register",
	More:  "The code is shown this once, with the command that uses it.",
	Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) {
		f.Int("uses", 1, "how many people it lets in")
		f.String("expires", "7d", "how long it can be used, as in 2h, 7d or forever")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		uses, _ := c.Flags.GetInt("uses")
		word, _ := c.Flags.GetString("expires")
		d, err := chat.ParseDuration(word)
		if err != nil {
			return c.usage("--expires: %v", err)
		}
		if uses < 1 {
			return c.usage("--uses is at least 1")
		}
		var end time.Time
		if d > 0 {
			end = time.Now().Add(d)
		}
		in, code, err := c.Accounts.NewInvite(c.Account.Name, uses, end)
		if err != nil {
			return err
		}
		if err := c.decide(ctx, in); err != nil {
			return err
		}
		id := in.Invite.ID
		c.Log.Info("invite made", "id", id, "uses", uses, "by", c.Account.Name, "source", c.Source)
		if c.json() {
			c.printJSON(struct {
				ID   string `json:"id"`
				Code string `json:"code"`
			}{id, code})
			return nil
		}
		c.Printf("%s\n", code)
		c.Notef("Invite %s. Whoever has the code makes an account with: ssh %s register %s", id, c.Reach("NAME", c.At), code)
		return nil
	},
})

var _ = add(&Command{
	Name: "invite list", Brief: "list the invites that can be used", Faces: Exec, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, i := range c.Hub.View().Invites() {
			if c.json() {
				c.printJSON(i)
				continue
			}
			c.Printf("%s  %s left, %s, by %s\n", i.ID, text.Count(i.Uses, "use"), chat.Sanction{Until: i.Until}.Lasts(), i.By)
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "invite revoke", Args: "ID", Brief: "take an invite back", Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		if err := c.decide(ctx, chat.RevokeInvite{ID: c.Args[0]}); err != nil {
			return err
		}
		c.Notef("Nobody can use it any more.")
		return nil
	},
})
