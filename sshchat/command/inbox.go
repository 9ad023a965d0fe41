package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "inbox", Brief: "count what you have not read", Group: Reading,
	More:  "A room a line, with how many of it name you. Counting does not mark anything as read.",
	Faces: Both, Effect: Reads, Account: true, List: true, Words: 0, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		if err := payForMemory(ctx, c, "/inbox"); err != nil {
			return err
		}
		me := c.Account.Name
		box := chat.NewInbox(me, c.Hub)
		box.Filter(c.settings().Filter(nil))
		unread := 0
		for _, r := range box.Rooms() {
			if r.Unread == 0 {
				continue
			}
			unread += r.Unread
			if c.json() {
				c.printJSON(inboxJSON{roomArg(r.Name, me), r.Unread, r.Mentions, r.Mark})
				continue
			}
			c.Printf("%-33s %5d unread, %d to you\n", r.Name.For(me), r.Unread, r.Mentions)
		}
		if unread == 0 {
			c.Notef("You have read everything.")
		}
		return nil
	},
})

type inboxJSON struct {
	Room     string `json:"room"`
	Unread   int    `json:"unread"`
	Mentions int    `json:"mentions"` // of these, messages that name the person; in a direct room all
	Read     uint64 `json:"read"`     // Seq of the last message that is not unread: follow --since resumes there
}
