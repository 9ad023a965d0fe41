package command

import (
	"context"
	"errors"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Scripts know their messages by ID; people mean what they said last. So edit is two commands.
var (
	_ = add(&Command{
		Name: "edit", Args: "TEXT", Brief: "say your last message here in other words", Group: Talking,
		More:  "Others see that it was edited. What was stored first stays sealed in the history.",
		Faces: Chat, Effect: Speaks, Free: true, Account: true, Text: true,
		Run: func(ctx context.Context, c *Call) error {
			last, err := lastSaid(c)
			if err != nil {
				return err
			}
			return amend(ctx, c, last.Room, chat.Edit, last.Seq, c.Text)
		},
	})
	_ = add(&Command{
		Name: "edit", Args: "ID TEXT", Brief: "say a message of yours in other words", Group: Talking,
		More:  "An ID is what `say` prints: general/12, @bob/3. Prints the ID of the edit.",
		Faces: Exec, Effect: Speaks, Free: true, Account: true, Words: 1, Text: true,
		Run: func(ctx context.Context, c *Call) error {
			room, seq, err := parseID(c, c.Args[0])
			if err != nil {
				return err
			}
			return amend(ctx, c, room, chat.Edit, seq, c.Text)
		},
	})
	_ = add(&Command{
		Name: "delete", Args: "[ID]", Brief: "take back your last message here", Group: Talking,
		More:  "Or the one of that ID, as `search` shows it: general/12. What was stored stays sealed in the history.",
		Faces: Both, Effect: ChangesOthers, Account: true, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			if len(c.Args) == 1 {
				room, seq, err := parseID(c, c.Args[0])
				if err != nil {
					return err
				}
				return takeBack(ctx, c, room, seq)
			}
			if c.Face == Exec {
				return c.usage("delete needs a message's ID")
			}
			last, err := lastSaid(c)
			if err != nil {
				return err
			}
			return amend(ctx, c, last.Room, chat.Delete, last.Seq, "")
		},
	})
)

// takeBack deletes a message: the caller's own, or that of somebody whom the caller outranks in the room.
func takeBack(ctx context.Context, c *Call, room chat.RoomName, seq uint64) error {
	author, found := c.Hub.Author(room, seq)
	if !found || author == c.Account.Name {
		return amend(ctx, c, room, chat.Delete, seq, "")
	}
	may := func() error { return c.may(chat.TakeBack{Room: room, Author: author}) }
	switch err := may(); {
	case errors.Is(err, chat.ErrNotYours): // which the hub says, unless there is no such message for the caller
		return amend(ctx, c, room, chat.Delete, seq, "")
	case err != nil:
		return err
	}
	ctx = chat.AlsoCheck(ctx, may)
	if !c.ranked() {
		if err := c.Caller.Pace(ctx, Change, "delete"); err != nil {
			return err
		}
	}
	m, err := c.Hub.Remove(ctx, c.Account.Name, room, seq)
	if err != nil {
		return err
	}
	c.record(nil)
	if c.Face == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
	}
	return nil
}

// lastSaid is what the caller said last in the session's room.
func lastSaid(c *Call) (chat.Message, error) {
	room := c.Session.Room()
	m, ok := c.Hub.Last(c.Account.Name, room)
	if !ok {
		return m, failed("you have said nothing in %s that memory still holds", room.For(c.Account.Name))
	}
	return m, nil
}

// amend edits or takes back a message.
func amend(ctx context.Context, c *Call, room chat.RoomName, kind chat.Kind, of uint64, said string) error {
	var clean chat.Text
	if kind == chat.Edit {
		var err error
		if err = c.Caller.Pace(ctx, Message, said); err != nil {
			return err
		}
		if said == "" {
			return c.usage("edit needs what it should say")
		}
		if clean, err = text.ParseText(said); err != nil {
			return err
		}
	}
	m, err := c.Hub.Amend(ctx, c.Account.Name, room, kind, of, clean)
	if err != nil {
		return err
	}
	if c.Face == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
	}
	return nil
}
