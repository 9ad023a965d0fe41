package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"filippo.io/age"
)

var _ = add(&Command{
	Name: "unlock", Brief: "read this room's sealed history here", Group: Reading,
	More:  "Asks for your password, opens the last 200 lines before what memory holds, and keeps nothing of it.",
	Faces: Chat, Effect: Reads, Account: true, List: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		me, room := c.Account.Name, c.Session.Room()
		sealed := c.Above(me, room, chat.LogLines)
		if sealed == 0 {
			return failed("nothing of %s is sealed before what /history lists", room.For(me))
		}
		if !c.Account.Password {
			return failed("you have no password; your key opens it: ssh %s history --tar %s", c.Login(), roomArg(room, me))
		}
		ids, err := askIdentities(ctx, c)
		if err != nil {
			return err
		}
		defer clear(ids)
		said, err := openSealed(ctx, c, room, ids)
		if err != nil {
			return err
		}
		defer clear(said)
		return tellOpened(c, room, said, sealed)
	},
})

// openSealed reads the last sealed messages of the room before those in memory.
func openSealed(ctx context.Context, c *Call, room chat.RoomName, ids []age.Identity) ([]chat.Message, error) {
	me := c.Account.Name
	info, err := c.Hub.Room(me, room)
	if err != nil {
		return nil, err
	}
	var said []chat.Message
	err = lookUp(ctx, c, func() (err error) {
		said, err = c.History.Read(me, room, info.Last-uint64(c.Hub.Kept(me, room))+1, maxListed, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	since := c.Hub.Since(me, room)
	for len(said) > 0 && said[0].Seq < since {
		said = said[1:]
	}
	return said, nil
}

// tellOpened lists what was opened of so many sealed lines.
func tellOpened(c *Call, room chat.RoomName, said []chat.Message, sealed int) error {
	if len(said) == 0 {
		return failed("your password opens none of the %s: it was set later", text.Count(sealed, "sealed line"))
	}
	shown := pickWanted(c, said, maxListed)
	defer clear(shown)
	listMessages(c, shown)
	printFoot(c, "-- what came after is in /history")
	if older := sealed - len(said); older > 0 {
		printFoot(c, "-- older lines, %d: ssh %s history --tar %s", older, c.Login(), roomArg(room, c.Account.Name))
	}
	return nil
}
