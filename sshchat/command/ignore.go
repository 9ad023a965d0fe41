package command

import (
	"context"
	"slices"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "ignore", Args: "[USER]", Brief: "see nothing more of somebody, or list whom", Group: People,
	More:  "Nothing they say is shown to you, in direct messages neither. They are not told. It is kept.",
	Faces: Both, Effect: ChangesOwn, Account: true, Words: 1, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		ignored := c.settings().Ignore
		if len(c.Args) == 0 {
			listIgnored(c, ignored)
			return nil
		}
		name, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		if name == c.Account.Name {
			return failed("you cannot ignore yourself")
		}
		if err := keepIgnored(ctx, c, append(ignored, name)); err != nil {
			return err
		}
		c.Notef("You see nothing more of %s; %s %s changes that.", name, c.typed("unignore"), name)
		return nil
	},
})

func listIgnored(c *Call, ignored []chat.Name) {
	if len(ignored) == 0 && !c.json() {
		c.Notef("You ignore nobody.")
	}
	for _, n := range ignored {
		if c.json() {
			c.printJSON(struct {
				Name chat.Name `json:"name"`
			}{n})
			continue
		}
		c.Printf("%s\n", n)
	}
}

var _ = add(&Command{
	Name: "unignore", Args: "USER", Brief: "see again what somebody says", Group: People,
	Faces: Both, Effect: ChangesOwn, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("unignore needs a name")
		}
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		ignored := c.settings().Ignore
		if !slices.Contains(ignored, name) {
			return failed("you do not ignore %s", name)
		}
		if err := keepIgnored(ctx, c, slices.DeleteFunc(ignored, func(n chat.Name) bool { return n == name })); err != nil {
			return err
		}
		c.Notef("You see %s again.", name)
		return nil
	},
})

// keepIgnored does not ask, as set does, whether all of them have accounts: some may be gone.
func keepIgnored(ctx context.Context, c *Call, names []chat.Name) error {
	value, err := joinNames(names)
	if err != nil {
		return err
	}
	return keepSetting(ctx, c, ignoreSetting, value)
}
