package command

import (
	"context"
	"fmt"
)

var _ = add(&Command{
	Name: "head", Args: "ROOM", Brief: "print a room's head, signed by the host key", Group: Reading,
	More: "The head is the newest point of the room's history.\n" +
		"The first line is the head, the rest its signature (SSHSIG, namespace sshchat-history):\n" +
		"ssh … head general > h; head -n 1 h > head.json; tail -n +2 h > head.sig\n" +
		"ssh-keygen -Y verify -f allowed -I sshchat -n sshchat-history -s head.sig < head.json",
	Faces: Exec, Effect: Reads, Bytes: bytesOut, Account: true, Words: 1, RoomAt: 1,
	Run: func(_ context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if !c.Hub.In(c.Account.Name, room) {
			return notFound("no such room, or you are not in it: %s", room.For(c.Account.Name))
		}
		line, err := c.History.Head(room)
		if err != nil {
			return err
		}
		signature, err := c.Sign(line)
		if err != nil {
			return fmt.Errorf("sign head: %w", err)
		}
		c.Printf("%s%s", line, signature)
		return nil
	},
})
