package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// What acts on the caller's own session, and whether they are there.

// maxWhy is the longest reason for being away, in bytes.
const maxWhy = 256

var _ = add(&Command{
	Name: "away", Args: "[WHY]", Brief: "mark yourself as away", Group: People,
	More: "Lasts until `back`, or until your last session ends. People who send you direct messages are informed.",
	UIs:  Both, Effect: Speaks, Says: withText, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		var why chat.Text
		if c.Text != "" {
			var err error
			if why, err = text.ParseLine(c.Text, maxWhy); err != nil {
				return c.usage("%v", err)
			}
			if err = c.Caller.Pace(ctx, Message, c.Text); err != nil {
				return err
			}
		}
		if !c.Hub.Online(c.Account.Name) {
			return failed("you have no open session, so everyone already sees that you are offline")
		}
		c.Hub.SetAway(c.Account.Name, why)
		c.Notef("You are away%s.", because(why))
		return nil
	},
})

var _ = add(&Command{
	Name: "back", Brief: "mark yourself as back", Group: People,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if c.Hub.ClearAway(c.Account.Name) {
			c.Notef("You are back.")
		} else {
			c.Notef("You were not away.")
		}
		return nil
	},
})

// because is a reason as it follows "away".
func because(why chat.Text) string {
	if why.String() == "" {
		return ""
	}
	return " (" + why.String() + ")"
}

var _ = add(&Command{
	Name: "quit", Aliases: []string{"exit"}, Brief: "end this session; you stay in your rooms",
	UIs: Chat, Effect: Reads, Free: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Quit()
		return nil
	},
})

var _ = add(&Command{
	Name: "clear", Brief: "clear the screen; nothing is deleted", Group: Reading,
	UIs: Chat, Effect: Reads, Free: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		c.Session.Clear()
		return nil
	},
})

var _ = add(&Command{
	Name: "focus", Args: "[USER…|$]", Brief: "show only these people in rooms; $ ends it", Group: People,
	More: "In this session only. Direct messages are always shown. Without a name, it lists whom you see.",
	UIs:  Chat, Effect: Reads, Account: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		switch {
		case len(c.Args) == 0:
			printFocus(c)
			return nil
		case len(c.Args) == 1 && c.Args[0] == "$":
			c.Session.SetFocus(nil)
			printFocus(c)
			return nil
		case len(c.Args) > maxIgnored:
			return failed("you can focus on at most %d people", maxIgnored)
		}
		var people []chat.Name
		for _, word := range c.Args {
			name, err := c.person(word)
			if err != nil {
				return err
			}
			people = append(people, name)
		}
		c.Session.SetFocus(people)
		printFocus(c)
		return nil
	},
})

func printFocus(c *Call) {
	var names []string
	for _, n := range c.Session.Focus() {
		names = append(names, n.String())
	}
	if len(names) == 0 {
		c.Notef("You see everyone.")
		return
	}
	c.Notef("In rooms you see only messages from %s and yourself. To see everyone: /focus $", strings.Join(names, ", "))
}
