package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "focus", Args: "[USER…|$]", Brief: "see these people alone in rooms; $ ends it", Group: People,
	More:  "In this session only. Direct messages are shown whoever writes. Without a name it tells whom you see.",
	Faces: Chat, Effect: Reads, Account: true, Words: -1,
	Run: func(_ context.Context, c *Call) error {
		switch {
		case len(c.Args) == 0:
			tellFocus(c)
			return nil
		case len(c.Args) == 1 && c.Args[0] == "$":
			c.Session.SetFocus(nil)
			tellFocus(c)
			return nil
		case len(c.Args) > maxIgnored:
			return failed("nobody focuses on more than %d people", maxIgnored)
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
		tellFocus(c)
		return nil
	},
})

func tellFocus(c *Call) {
	var names []string
	for _, n := range c.Session.Focus() {
		names = append(names, n.String())
	}
	if len(names) == 0 {
		c.Notef("You see everybody.")
		return
	}
	c.Notef("In rooms you see only what is said by %s, and by yourself. /focus $ ends that.", strings.Join(names, ", "))
}
