package chat

import "sshchat/sshchat/text"

// What the chat speaks of, and text checks.
type (
	Name     = text.Name
	RoomName = text.RoomName
	Text     = text.Text
)

// General is the room everyone starts in.
var General = text.General
