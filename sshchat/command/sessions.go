package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "sessions", Brief: "list who is connected, and from where", Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, s := range c.Live.Sessions() {
			if c.json() {
				c.printJSON(s)
				continue
			}
			by := "password"
			if s.Key != "" {
				by = s.Key
			}
			t.row(s.Name.String(), s.Addr.String(), "since "+s.Since.Format("2006-01-02 15:04"), s.Face, by, s.Client)
		}
		t.print(c)
		return nil
	},
})
