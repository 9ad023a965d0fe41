package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "follow", Args: "[ROOM…]", Brief: "print messages as they are said", Group: Reading,
	More: "It ends when you end it, or after as many messages as --count says; a server that stops ends it with exit code 1,\n" +
		"being put out of the last of the rooms with 3.\n" +
		"Without a room: all of yours, also those to come.\n" +
		"Use --count 1 and not | head -1: ssh does not report that nobody reads its output until the next message.\n" +
		"With --since it first prints what came after that message:\n" +
		"nothing twice and nothing left out in silence. What memory no longer has is told, with --json as\n" +
		`{"missed":37,"room":"general","from":101,"to":137}, and is in: history --tar general --since general/100`,
	Faces: Exec, Effect: Reads, Account: true, Words: -1,
	Flags: func(f *pflag.FlagSet) {
		f.StringArray("since", nil, "resume after this message, as general/12 (once for each room)")
		f.Int("count", 0, "end after so many messages")
		jsonFlag(f)
	},
	Run: runFollow,
})

// followBatch is how many messages of a room are taken at once.
const followBatch = 64

func runFollow(ctx context.Context, c *Call) error {
	count, err := c.Flags.GetInt("count")
	if err != nil {
		return err
	}
	if c.Flags.Changed("count") && count < 1 {
		return c.usage("--count: say how many messages, 1 or more")
	}
	from, err := parseFollowed(c)
	if err != nil {
		return err
	}
	reader := c.Hub.Reader(c.Account.Name, from)
	defer reader.Close()
	c.Hub.Enter(c.Account.Name)
	defer c.Hub.Leave(c.Account.Name)
	out := bufio.NewWriter(c.Out)
	c.Out = out
	for {
		ended := false
		for _, d := range reader.Next(followBatch) {
			printDelivery(c, d)
			if d.Kind == chat.Parted && from.Only != nil {
				if err := tellParted(c, d.Room, from.Only); err != nil {
					out.Flush() // fails only where nobody reads
					return err
				}
			}
			if d.Gap.Count() > 0 || !d.Kind.Stored() {
				continue
			}
			if count--; count == 0 {
				ended = true
				break
			}
		}
		if err := out.Flush(); ended || err != nil {
			return nil // or whoever followed has gone
		}
		if _, err := chat.Wait(ctx, reader.Grown()...); err != nil {
			if errors.Is(context.Cause(ctx), ErrInterrupted) {
				return nil // that is how it is ended at a terminal
			}
			return err
		}
	}
}

// parseFollowed is what the command names to follow. It refuses to resume what is not followed: nothing of it would ever come.
func parseFollowed(c *Call) (from chat.From, err error) {
	since, err := c.Flags.GetStringArray("since")
	if err != nil {
		return from, err
	}
	if from.After, err = parseIDs(c, since); err != nil {
		return from, err
	}
	isIn := func(room chat.RoomName) bool { return room.IsDirect() || c.Hub.In(c.Account.Name, room) }
	for _, word := range c.Args {
		room, err := c.room(word)
		if err != nil {
			return from, err
		}
		if !isIn(room) {
			return from, chat.NotIn(c.Account.Name, room)
		}
		from.Only = append(from.Only, room)
	}
	for room := range from.After {
		switch {
		case from.Only != nil && !slices.Contains(from.Only, room):
			return from, c.usage("--since %s: the room is not among those to follow", roomArg(room, c.Account.Name))
		case !isIn(room):
			return from, chat.NotIn(c.Account.Name, room)
		}
	}
	return from, nil
}

// tellParted says that nothing more comes of a room that was asked for, and ends where that was the last.
func tellParted(c *Call, room chat.RoomName, rooms []chat.RoomName) error {
	if slices.ContainsFunc(rooms, func(r chat.RoomName) bool { return r.IsDirect() || c.Hub.In(c.Account.Name, r) }) {
		c.Notef("You are not in %s any more.", room.For(c.Account.Name))
		return nil
	}
	return denied("you are not in %s any more", room.For(c.Account.Name))
}

func printDelivery(c *Call, d chat.Delivery) {
	me := c.Account.Name
	shown := roomArg(d.Room, me)
	asJSON := c.json()
	switch {
	case d.Gap.Count() > 0 && asJSON:
		c.printJSON(struct {
			Missed int    `json:"missed"`
			Room   string `json:"room"`
			From   uint64 `json:"from"`
			To     uint64 `json:"to"`
		}{d.Gap.Count(), shown, d.Gap.From, d.Gap.To})
	case d.Gap.Count() > 0:
		c.Notef("%s missed: %s/%d to %s/%d", text.Count(d.Gap.Count(), "message"), shown, d.Gap.From, shown, d.Gap.To)
	case !d.Kind.Stored():
	case asJSON:
		c.printJSON(messageAsJSON(c, d.Message))
	default:
		c.Printf("%s %s %s\n", d.ID(me), d.At.Format(timeFormat), told(&d.Message))
	}
}

// told is what happened, as a program reads it.
func told(m *chat.Message) string {
	text := indent(m.Text)
	if m.Deleted {
		text = "(deleted)"
	}
	switch m.Kind {
	case chat.Me:
		return fmt.Sprintf("* %s %s", m.From, text)
	case chat.Edit:
		return fmt.Sprintf("%s edits %d: %s", m.From, m.Of, text)
	case chat.Delete:
		return fmt.Sprintf("%s deletes %d", m.From, m.Of)
	}
	return fmt.Sprintf("%s: %s", m.From, text)
}

// indent moves a message's further lines two spaces in, so that none of them can pass for a message.
func indent(t chat.Text) string { return strings.ReplaceAll(t.String(), "\n", "\n  ") }
