package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var _ = add(&Command{
	Name: "topic", Args: "[#room] [TEXT]", Brief: "show a room's topic, or set it", Group: Rooms,
	More:  "A single - as the text clears it.",
	Faces: Both, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		word, said := "", c.Text
		if strings.HasPrefix(said, "#") {
			word, said = cutWord(said)
		}
		room, err := c.room(word)
		if err != nil {
			return err
		}
		if said == "" {
			info, err := c.Hub.Room(c.Account.Name, room)
			if err != nil {
				return err
			}
			c.Printf("%s\n", info.Topic)
			return nil
		}
		line, err := text.ParseLine(said, 256)
		if said == "-" {
			line, err = chat.Text{}, nil
		}
		if err != nil {
			return c.usage("%v", err)
		}
		if err := c.Hub.SetTopic(ctx, c.Account.Name, room, line); err != nil {
			return err
		}
		return nil
	},
})
