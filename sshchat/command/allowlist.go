package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// While the allowlist is on, only those on it come in, and moderators and admins.
var (
	_ = allowSwitch("allowlist on", "let only those on the list in", true)
	_ = allowSwitch("allowlist off", "let everybody in again", false)
	_ = allowEdit("allowlist add", "put somebody on the list", func(c *Call, target string) error { return c.Accounts.Allow(target) })
	_ = allowEdit("allowlist remove", "take somebody off the list", func(c *Call, target string) error { return c.Accounts.Disallow(target) })
)

func allowSwitch(name, brief string, on bool) *Command {
	return add(&Command{
		Name: name, Brief: brief, Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 0,
		More: "Moderators and admins always come in. Sessions of those not on it end now.",
		Run: func(_ context.Context, c *Call) error {
			if err := c.Accounts.SetAllowlist(on); err != nil {
				return err
			}
			c.endUnlisted()
			return nil
		},
	})
}

func allowEdit(name, brief string, edit func(*Call, string) error) *Command {
	return add(&Command{
		Name: name, Args: "USER|ip=CIDR|key=FP", Brief: brief, Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 1,
		Run: func(_ context.Context, c *Call) error {
			if err := c.need(1); err != nil {
				return err
			}
			target, err := chat.ParseTarget(c.Args[0])
			if err != nil {
				return c.usage("%v", err)
			}
			if err := edit(c, target.Target()); err != nil {
				return err
			}
			c.endUnlisted()
			return nil
		},
	})
}

// endUnlisted ends the sessions of those whom the list does not let in now.
func (c *Call) endUnlisted() {
	c.Notef("Done; %s ended.", text.Count(c.Live.Review(""), "session"))
}

var _ = add(&Command{
	Name: "allowlist list", Brief: "show whether the list is on, and who is on it", Faces: Exec, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		on, entries := c.Accounts.Allowlist()
		if c.json() {
			c.printJSON(struct {
				On      bool     `json:"on"`
				Entries []string `json:"entries"`
			}{on, append([]string{}, entries...)})
			return nil
		}
		if on {
			c.Notef("The list is on.")
		} else {
			c.Notef("The list is off.")
		}
		for _, e := range entries {
			c.Printf("%s\n", e)
		}
		return nil
	},
})
