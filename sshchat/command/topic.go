package command

import (
	"context"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var _ = add(&Command{
	Name: "topic", Args: "[ROOM] [TEXT]", Brief: "show a room's topic, or set it", Group: Rooms,
	More:  "A single - as the text clears it.",
	Faces: Both, Effect: Speaks, Says: withText, Account: true, RoomAt: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if c.Text == "" {
			info, err := c.Hub.Room(c.Account.Name, room)
			if err != nil {
				return err
			}
			c.Printf("%s\n", info.Topic)
			return nil
		}
		line, err := text.ParseLine(c.Text, 256)
		if c.Text == "-" {
			line, err = chat.Text{}, nil
		}
		if err != nil {
			return c.usage("%v", err)
		}
		return c.says(ctx, c.Text, chat.SetTopic{Room: room, Topic: line.String()})
	},
})
