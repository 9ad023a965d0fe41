package command

import (
	"context"
	"slices"
	"strings"

	"sshchat/sshchat/text"
)

var _ = add(&Command{
	Name: "set", Args: "[NAME [VALUE]]", Brief: "list what you can choose, show or set one", Group: Looks,
	More:  "A - as the value goes back to what it is for who chose nothing.\nIt holds for all your sessions, and is kept.",
	Faces: Both, Effect: ChangesOwn, List: true, Account: true, Words: -1, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) == 0 {
			c.listSettings()
			return nil
		}
		name := strings.ToLower(c.Args[0])
		i := slices.IndexFunc(settings, func(s *setting) bool { return s.name == name })
		if i < 0 {
			return notFound("nothing to set is called %q; set alone lists what is", text.Clean(name, 40))
		}
		if len(c.Args) == 1 {
			c.printSetting(settings[i])
			return nil
		}
		return c.choose(ctx, settings[i], strings.Join(c.Args[1:], " "))
	},
})

func (c *Call) listSettings() {
	for _, s := range settings {
		if c.json() {
			c.printJSON(c.settingJSON(s))
			continue
		}
		c.Printf("%-10s %-13s %s\n", s.name, c.shown(s), s.meaning(c.Services))
	}
}

func (c *Call) printSetting(s *setting) {
	switch value := c.shown(s); {
	case c.json():
		c.printJSON(c.settingJSON(s))
	case value == "":
		c.Notef("%s is not set.", s.name)
	default:
		c.Printf("%s\n", value)
	}
}

type settingJSON struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Chosen bool   `json:"chosen"` // else it is what counts for who chose nothing
}

func (c *Call) settingJSON(s *setting) settingJSON {
	return settingJSON{s.name, c.shown(s), c.Account.Settings[s.name] != ""}
}
