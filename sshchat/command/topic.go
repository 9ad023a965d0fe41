package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "topic", Args: "[#room] [TEXT]", Brief: "show a room's topic, or set it", Group: Rooms,
	More:  "A single - as the text clears it.",
	Faces: Both, Account: true, Text: true,
	Run: func(_ context.Context, c *Call) error {
		word, text := "", c.Text
		if strings.HasPrefix(text, "#") {
			word, text = cutWord(text)
		}
		room, err := c.room(word)
		if err != nil {
			return err
		}
		if text == "" {
			info, err := c.Hub.Room(c.Account.Name, room)
			if err != nil {
				return c.roomError(room, err)
			}
			c.Printf("%s\n", info.Topic)
			return nil
		}
		line, err := chat.ParseLine(text, 256)
		if text == "-" {
			line, err = chat.Text{}, nil
		}
		if err != nil {
			return c.usage("%v", err)
		}
		if err := c.Hub.SetTopic(c.Account.Name, room, line); err != nil {
			return c.roomError(room, err)
		}
		return nil
	},
})
