package command

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command/printed"
	"sshchat/sshchat/emoji"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// What is done about a message: it is answered, reacted to, and pinned. What changes it is in say.go.

var _ = add(&Command{
	Name: "reply-to", Args: "ID TEXT", Brief: "reply to a message", Group: Talking,
	More: "ID is a message ID, such as general/12 or @bob/3, as `search` lists it.",
	UIs:  Both, Effect: Speaks, Free: true, Account: true, Words: 1, ID: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		room, seq, err := parseID(c, c.Args[0])
		if err != nil {
			return err
		}
		return sayAll(ctx, c, saying{room: room, kind: chat.Say, reply: true, of: seq}, c.Text)
	},
})

// replyFlag adds --reply to commands that say something.
func replyFlag(f *pflag.FlagSet) { f.String("reply", "", "reply to this message, such as general/12") }

// sayingIn is how something is said in the room: with --reply, to the message that it names.
func sayingIn(c *Call, room chat.RoomName) (saying, error) {
	to := saying{room: room, kind: chat.Say}
	if c.Flags == nil || !c.Flags.Changed("reply") { // a line that is typed has none
		return to, nil
	}
	id, err := c.Flags.GetString("reply")
	if err != nil {
		return to, err
	}
	var in chat.RoomName
	to.reply = true
	in, to.of, err = parseID(c, id)
	if err == nil && in != room {
		err = c.usage("%s: %s is not a message in %s", c.Command.Name, text.Clean(id, 80), room.For(c.Account.Name))
	}
	return to, err
}

var (
	_ = add(&Command{
		Name: "react", Args: "[ID] EMOJI", Brief: "react to a message with an emoji", Group: Talking,
		More: "EMOJI is an emoji or its name, such as :+1: or :tada:. Without an ID, it reacts to the last message of somebody\n" +
			"else in this room. To remove a reaction: `unreact`.",
		ExecMore: "The ID is required.",
		UIs:      Both, Effect: ChangesOthers, Says: always, Free: true, Account: true, Words: 2, ID: true,
		Run: func(ctx context.Context, c *Call) error {
			id, word := "", ""
			switch {
			case len(c.Args) == 2:
				id, word = c.Args[0], c.Args[1]
			case len(c.Args) == 1 && c.UI == Chat:
				word = c.Args[0]
			default:
				return c.usage("%s needs a message ID and an emoji", c.Command.Name)
			}
			e, err := parseEmoji(c, word)
			if err != nil {
				return err
			}
			m, err := messageMeant(c, id, func(m *chat.Message) bool { return m.From != c.Account.Name })
			if err != nil {
				return err
			}
			return react(ctx, c, chat.React, m, e)
		},
	})
	_ = add(&Command{
		Name: "unreact", Args: "[ID] [EMOJI]", Brief: "remove your reaction to a message", Group: Talking,
		More: "Without EMOJI, it removes all your reactions to that message. Without an ID, it means the last message in this room\n" +
			"that you reacted to.",
		ExecMore: "The ID is required.",
		UIs:      Both, Effect: ChangesOthers, Free: true, Account: true, Words: 2, ID: true,
		Run: func(ctx context.Context, c *Call) error {
			var id string
			words := c.Args
			if len(words) > 0 && strings.Contains(words[0], "/") {
				id, words = words[0], words[1:]
			}
			if len(words) > 1 || id == "" && c.UI == Exec {
				return c.usage("%s needs a message ID", c.Command.Name)
			}
			m, err := messageMeant(c, id, func(m *chat.Message) bool { return len(reactionsOf(m, c.Account.Name)) > 0 })
			if err != nil {
				return err
			}
			mine := reactionsOf(&m, c.Account.Name)
			if len(words) == 1 {
				e, err := parseEmoji(c, words[0])
				if err != nil {
					return err
				}
				mine = []text.Text{e}
			}
			if len(mine) == 0 {
				return chat.ErrNotReacted.With("you have not reacted to that message")
			}
			for _, e := range mine {
				if err := react(ctx, c, chat.Unreact, m, e); err != nil {
					return err
				}
			}
			return nil
		},
	})
)

// parseEmoji reads an emoji, or its name.
func parseEmoji(c *Call, word string) (text.Text, error) {
	e, err := emoji.Parse(word)
	if err != nil {
		return e, c.usage("%q is not one emoji, nor the name of one, such as :+1:", text.Clean(word, 80))
	}
	return e, nil
}

// messageMeant is the message with that ID; without one, in the chat, the last in the session's room that is like it. What is not in
// memory has its ID alone.
func messageMeant(c *Call, id string, like func(*chat.Message) bool) (chat.Message, error) {
	me := c.Account.Name
	if id != "" {
		room, seq, err := parseID(c, id)
		if err != nil {
			return chat.Message{}, err
		}
		m, ok := c.Hub.Find(me, room, seq)
		if !ok {
			m = chat.Message{Room: room, Seq: seq}
		}
		return m, nil
	}
	room, filter := c.Session.Room(), filterOf(c)
	for _, m := range slices.Backward(c.Hub.Before(me, room, 0, chat.LogLines)) {
		if m.Said() && filter.Shows(&m, me) && like(&m) {
			return m, nil
		}
	}
	return chat.Message{}, failed("there is no such message in %s in memory; name it by its ID, as /history lists it", room.For(me))
}

// reactionsOf is what somebody has reacted to m with.
func reactionsOf(m *chat.Message, by chat.Name) (mine []text.Text) {
	for _, r := range m.Reactions.All() {
		if slices.Contains(r.By, by) {
			mine = append(mine, r.Emoji)
		}
	}
	return mine
}

// react reacts to a message, or takes that back, no faster than messages are said.
func react(ctx context.Context, c *Call, kind chat.Kind, to chat.Message, e text.Text) error {
	if err := c.Caller.Pace(ctx, Message, "/"+c.Command.Name+" "+e.String()); err != nil {
		return err
	}
	m, err := c.Hub.React(ctx, c.Who(), to.Room, kind, to.Seq, e)
	if err != nil {
		return err
	}
	if c.UI == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
	}
	return nil
}

// countReactions is how a list shows the reactions to a message; empty if there are none.
func countReactions(c *Call, m *chat.Message, filter *chat.Filter) string {
	var all []string
	for _, r := range filter.Count(m.Reactions, c.Account.Name) {
		all = append(all, fmt.Sprintf("%s %d", r.Emoji, r.N))
	}
	if len(all) == 0 {
		return ""
	}
	return " [" + strings.Join(all, ", ") + "]"
}

var (
	_ = add(&Command{
		Name: "pin", Args: "[ID]", Brief: "pin a message, so that all members find it", Group: Rooms,
		More: "A room's moderators can pin up to 20 messages, and two people in their direct conversation. Without an ID, it pins\n" +
			"the last message in this room. To list them: `pins`.",
		ExecMore: "The ID is required.",
		UIs:      Both, Effect: ChangesOthers, Account: true, Words: 1, ID: true,
		Run: func(ctx context.Context, c *Call) error {
			m, err := pinMeant(c, func(*chat.Message) bool { return true })
			if err != nil {
				return err
			}
			return c.decide(ctx, chat.PinMessage{Room: m.Room, Seq: m.Seq})
		},
	})
	_ = add(&Command{
		Name: "unpin", Args: "[ID]", Brief: "unpin a message", Group: Rooms,
		More:     "Without an ID, it unpins the message that was pinned last in this room.",
		ExecMore: "The ID is required.",
		UIs:      Both, Effect: ChangesOthers, Account: true, Words: 1, ID: true,
		Run: func(ctx context.Context, c *Call) error {
			var m chat.Message
			var err error
			if pins := c.Hub.View().Pins(c.Session.Room()); c.UI == Chat && len(c.Args) == 0 && len(pins) > 0 {
				last := pins[len(pins)-1]
				m = chat.Message{Room: last.Room, Seq: last.Seq}
			} else if m, err = pinMeant(c, func(*chat.Message) bool { return false }); err != nil {
				return err
			}
			return c.decide(ctx, chat.UnpinMessage{Room: m.Room, Seq: m.Seq})
		},
	})
	_ = add(&Command{
		Name: "pins", Args: "[ROOM]", Brief: "list the pinned messages of a room", Group: Reading,
		More: "Those that are no longer in memory are listed without their text.",
		UIs:  Both, Effect: Reads, Account: true, List: true, Words: 1, RoomAt: 1, Flags: jsonFlag,
		Run: func(_ context.Context, c *Call) error {
			room, err := c.target()
			if err != nil {
				return err
			}
			if !c.Hub.In(c.Account.Name, room) && !room.IsDirect() {
				return chat.NotIn(c.Account.Name, room)
			}
			pins := c.Hub.View().Pins(room)
			since := c.Hub.Since(c.Account.Name, room)
			pins = slices.DeleteFunc(pins, func(p chat.Pin) bool { return p.Seq < since })
			for _, p := range pins {
				listPin(c, p)
			}
			c.empty(len(pins), "No pinned messages.")
			return nil
		},
	})
)

// pinMeant is the message that the call names, or else the last in the session's room that is like it.
func pinMeant(c *Call, like func(*chat.Message) bool) (chat.Message, error) {
	if len(c.Args) == 0 && c.UI == Exec {
		return chat.Message{}, c.usage("%s needs a message ID", c.Command.Name)
	}
	return messageMeant(c, firstOf(c.Args), like)
}

// pinJSON is a pin as scripts read it, with its message if that is in memory.
type pinJSON struct {
	ID      string           `json:"id"`
	By      chat.Name        `json:"by,omitzero"`
	At      string           `json:"at"`
	Message *printed.Message `json:"message,omitempty"`
}

// listPin prints a pin. What somebody says who is ignored is not shown.
func listPin(c *Call, p chat.Pin) {
	me, filter := c.Account.Name, filterOf(c)
	m, ok := c.Hub.Find(me, p.Room, p.Seq)
	shown := ok && filter.Shows(&m, me)
	if c.json() {
		line := pinJSON{ID: chat.Message{Room: p.Room, Seq: p.Seq}.ID(me), By: p.By, At: p.At.In(time.UTC).Format(time.RFC3339)}
		if shown {
			message := printed.JSON(&m, me, filter.Ignore)
			line.Message = &message
		}
		c.printJSON(line)
		return
	}
	switch {
	case shown:
		c.Printf("%s", listedLine(c, &m, c.zone(), &filter))
	case ok:
		c.Printf("%s (from somebody you ignore)", listedID(c, p.Room, p.Seq))
	default:
		c.Printf("%s (no longer in memory)", listedID(c, p.Room, p.Seq))
	}
	c.Printf("; pinned by %s\n", orNobody(p.By))
}
