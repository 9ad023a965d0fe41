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
			listSettings(c)
			return nil
		}
		name := strings.ToLower(c.Args[0])
		i := slices.IndexFunc(settings, func(s *setting) bool { return s.name == name })
		if i < 0 {
			return notFound("nothing to set is called %q; set alone lists what is", text.Clean(name, 40))
		}
		if len(c.Args) == 1 {
			printSetting(c, settings[i])
			return nil
		}
		return chooseSetting(ctx, c, settings[i], strings.Join(c.Args[1:], " "))
	},
})

func listSettings(c *Call) {
	for _, s := range settings {
		if c.json() {
			c.printJSON(settingAsJSON(c, s))
			continue
		}
		c.Printf("%-10s %-13s %s\n", s.name, shownValue(c, s), s.meaning(c.Services))
	}
}

func printSetting(c *Call, s *setting) {
	switch value := shownValue(c, s); {
	case c.json():
		c.printJSON(settingAsJSON(c, s))
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

func settingAsJSON(c *Call, s *setting) settingJSON {
	return settingJSON{s.name, shownValue(c, s), c.Account.Settings[s.name] != ""}
}
