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
	_ = allowEdit("allowlist add", "put somebody on the list", func(target string) chat.Intent { return chat.Allow{Target: target} })
	_ = allowEdit("allowlist remove", "take somebody off the list", func(target string) chat.Intent { return chat.Disallow{Target: target} })
)

func allowSwitch(name, brief string, on bool) *Command {
	return add(&Command{
		Name: name, Brief: brief, Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 0,
		More: "Moderators and admins always come in. Sessions of those not on it end now.",
		Run:  func(ctx context.Context, c *Call) error { return changeAllowlist(ctx, c, chat.SetAllowlist{On: on}) },
	})
}

func allowEdit(name, brief string, intent func(target string) chat.Intent) *Command {
	return add(&Command{
		Name: name, Args: "USER|ip=CIDR|key=FP", Brief: brief, Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			if err := c.need(1); err != nil {
				return err
			}
			target, err := chat.ParseTarget(c.Args[0])
			if err != nil {
				return c.usage("%v", err)
			}
			return changeAllowlist(ctx, c, intent(target.Target()))
		},
	})
}

// changeAllowlist changes the list, and says how many sessions of those whom it does not let in any more have ended.
func changeAllowlist(ctx context.Context, c *Call, in chat.Intent) error {
	before := c.Live.Ended()
	if err := c.decide(ctx, in); err != nil {
		return err
	}
	c.Notef("Done; %s ended.", text.Count(c.Live.Ended()-before, "session"))
	return nil
}

var _ = add(&Command{
	Name: "allowlist list", Brief: "show whether the list is on, and who is on it", Faces: Exec, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		list := c.Hub.View().Allowlist()
		if c.json() {
			c.printJSON(struct {
				On      bool     `json:"on"`
				Entries []string `json:"entries"`
			}{list.On, append([]string{}, list.Entries...)})
			return nil
		}
		if list.On {
			c.Notef("The list is on.")
		} else {
			c.Notef("The list is off.")
		}
		for _, e := range list.Entries {
			c.Printf("%s\n", e)
		}
		return nil
	},
})
