package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "sessions", Brief: "list who is connected, and from where", Faces: Both, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, s := range c.Live.Sessions() {
			if c.json() {
				c.printJSON(s)
				continue
			}
			by := "password"
			if s.Key != "" {
				by = s.Key
			}
			c.Printf("%-16s %-15s since %s  %-5s  %s  %s\n", s.Name, s.Addr, s.Since.Format("2006-01-02 15:04"), s.Face, by, s.Client)
		}
		return nil
	},
})
