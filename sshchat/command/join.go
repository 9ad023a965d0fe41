package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "join", Aliases: []string{"j"}, Args: "ROOM", Brief: "enter a room, and belong to it from now on", Group: Rooms,
	More:  "A free name makes a new public room. You stay in it while offline, and what is said is sealed to you too.",
	Faces: Both, Effect: ChangesOwn, Says: newRoom, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if room.IsDirect() {
			c.Session.Enter(room)
			return nil
		}
		_, there := c.Hub.View().Room(room)
		if err := c.decide(ctx, chat.JoinRoom{Room: room}); err != nil {
			return err
		}
		c.Session.Enter(room)
		if made, _ := c.Hub.View().Room(room); !there && made.By == c.Account.Name {
			c.Notef("#%s is a new room. Everyone may join it.", room)
			return nil
		}
		if info, err := c.Hub.Room(c.Account.Name, room); err == nil && info.Topic != "" {
			c.Notef("topic of #%s: %s", room, info.Topic)
		}
		return nil
	},
})

// newRoom reports whether the call makes a room, whose name is for others to read.
func newRoom(c *Call) bool {
	room, err := c.target()
	if err != nil || room.IsDirect() {
		return false
	}
	_, err = c.Hub.Room(c.Account.Name, room)
	return err != nil
}
