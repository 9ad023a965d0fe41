package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Posting, editing and deleting messages.

var _ = add(&Command{
	Name: "say", Args: "ROOM TEXT|-", Brief: "post a message in a room", Group: Talking,
	More: "With -, each line of standard input is a message. Prints the ID of each message once it is stored.",
	UIs:  Exec, Effect: Speaks, Free: true, Account: true, Words: 1, RoomAt: 1, Text: true, AsIs: true, Flags: replyFlag,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		to, err := sayingIn(c, room)
		if err != nil {
			return err
		}
		return sayAll(ctx, c, to, c.Text)
	},
})

var _ = add(&Command{
	Name: "msg", Aliases: []string{"m", "tell"}, Args: "USER TEXT|-", Brief: "send a person a direct message", Group: Talking,
	Hint: "`query USER` opens the conversation",
	UIs:  Both, Effect: Speaks, Free: true, Account: true, Person: true, Words: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		other, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		return sendDirect(ctx, c, other, c.Text)
	},
})

var _ = add(&Command{
	Name: "reply", Aliases: []string{"r"}, Args: "TEXT", Brief: "reply to the last direct message", Group: Talking,
	UIs: Chat, Effect: Speaks, Free: true, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		other := c.Session.Correspondent()
		if other.IsZero() {
			return failed("nobody has sent you a direct message in this session")
		}
		return sendDirect(ctx, c, other, c.Text)
	},
})

var _ = add(&Command{
	Name: "query", Aliases: []string{"q"}, Args: "USER", Brief: "open a conversation with a person", Group: Talking,
	UIs: Chat, Effect: Reads, Account: true, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("query needs a name")
		}
		other, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		if other == c.Account.Name {
			return failed("you cannot write to yourself")
		}
		c.Session.SetRoom(text.Direct(c.Account.Name, other))
		return nil
	},
})

var _ = add(&Command{
	Name: "me", Args: "TEXT", Brief: "describe what you are doing: /me waves", Group: Talking,
	UIs: Chat, Effect: Speaks, Free: true, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		return sayOne(ctx, c, saying{room: c.Session.Room(), kind: chat.Me}, c.Text)
	},
})

var _ = add(&Command{
	Name: "shrug", Args: "[TEXT]", Brief: `post a message with ¯\_(ツ)_/¯`, Group: Talking,
	UIs: Chat, Effect: Speaks, Free: true, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		return sayOne(ctx, c, saying{room: c.Session.Room(), kind: chat.Say}, strings.TrimSpace(c.Text+` ¯\_(ツ)_/¯`))
	},
})

// sendDirect writes to one person.
func sendDirect(ctx context.Context, c *Call, other chat.Name, said string) error {
	if other == c.Account.Name {
		return failed("you cannot write to yourself")
	}
	room := text.Direct(c.Account.Name, other)
	if err := sayAll(ctx, c, saying{room: room, kind: chat.Say}, said); err != nil {
		return err
	}
	if c.UI == Chat {
		c.Session.Sent(room, fmt.Sprintf("-- to %s: %s", other, excerpt(said)))
	}
	if why, _, away := c.Hub.Away(other); away && c.UI == Chat {
		c.Notef("%s is away%s.", other, because(why))
	}
	return nil
}

// saying is where something is said, and how.
type saying struct {
	room  chat.RoomName
	kind  chat.Kind
	reply bool
	of    uint64 // the message that it replies to
}

// sayAll says text, or each line of standard input where text is "-".
func sayAll(ctx context.Context, c *Call, to saying, said string) error {
	if said != "-" || c.UI == Chat {
		return sayOne(ctx, c, to, said)
	}
	var done sent
	err := eachLine(c, 2*text.MaxText, func(line string) error {
		m, err := sayAndPrint(ctx, c, to, line)
		switch {
		case errors.Is(err, errNothing): // an empty line
			return nil
		case err == nil:
			done = sent{done.lines + 1, m.ID(c.Account.Name)}
		}
		return err
	})
	switch {
	case err != nil:
		c.Notef("%s", done)
		return err
	case done.lines == 0:
		return errNothing
	}
	return nil
}

var errNothing = &chat.Refusal{Code: chat.Usage, Text: "the message is empty"}

func sayOne(ctx context.Context, c *Call, to saying, said string) error {
	_, err := sayAndPrint(ctx, c, to, said)
	return err
}

// sayAndPrint says one thing, at the pace that is allowed, and prints its ID for scripts.
func sayAndPrint(ctx context.Context, c *Call, to saying, said string) (chat.Message, error) {
	if err := c.Caller.Pace(ctx, Message, said); err != nil {
		return chat.Message{}, err
	}
	m, err := c.Services.post(ctx, c.Who(), to, said)
	if err != nil {
		if errors.Is(err, text.ErrEmpty) {
			return m, errNothing
		}
		return m, err
	}
	if c.UI == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
		warnUnreadable(c, to.room)
	}
	return m, nil
}

// warnUnreadable prints a script, once, the warning that the person's sessions also get.
func warnUnreadable(c *Call, room chat.RoomName) {
	if !c.warned && c.Hub.Unreadable(room) {
		c.warned = true
		c.Notef("It is stored, but nobody can read it later: no member of %s has a key or a password that opens history.", room.For(c.Account.Name))
	}
}

// post cleans text and says it.
func (s *Services) post(ctx context.Context, who chat.Caller, to saying, said string) (chat.Message, error) {
	clean, err := text.ParseText(said)
	if err != nil {
		return chat.Message{}, err
	}
	if to.reply {
		return s.Hub.Reply(ctx, who, to.room, to.of, clean)
	}
	return s.Hub.Post(ctx, who, to.room, to.kind, clean)
}

// sent is how far a command came that says each line of standard input.
type sent struct {
	lines int
	last  string // ID
}

func (s sent) String() string {
	switch s.lines {
	case 0:
		return "Nothing was sent."
	case 1:
		return fmt.Sprintf("1 line was sent (%s); the rest was not.", s.last)
	}
	return fmt.Sprintf("%d lines were sent, the last as %s; the rest was not.", s.lines, s.last)
}

// Scripts know their messages by ID; people mean what they said last. So edit is two commands.
var (
	_ = add(&Command{
		Name: "edit", Args: "TEXT", Brief: "edit your last message", Group: Talking,
		More: "Others see that it was edited. The original stays sealed in the stored history.",
		UIs:  Chat, Effect: Speaks, Free: true, Account: true, Text: true,
		Run: func(ctx context.Context, c *Call) error {
			last, err := lastSaid(c)
			if err != nil {
				return err
			}
			return amend(ctx, c, last.Room, chat.Edit, last.Seq, c.Text)
		},
	})
	_ = add(&Command{
		Name: "edit", Args: "ID TEXT", Brief: "edit one of your messages", Group: Talking,
		More: "ID is what `say` printed, such as general/12 or @bob/3. Prints the ID of the edit.",
		UIs:  Exec, Effect: Speaks, Free: true, Account: true, Words: 1, ID: true, Text: true,
		Run: editByID,
	})
	_ = add(&Command{
		Name: "edit-id", Args: "ID TEXT", Brief: "edit an earlier message of yours", Group: Talking,
		More: "ID is a message ID, such as general/12, as `search` lists it.",
		UIs:  Chat, Effect: Speaks, Free: true, Account: true, Words: 1, ID: true, Text: true,
		Run: editByID,
	})
	_ = add(&Command{
		Name: "delete", Args: "[ID]", Brief: "delete a message", Group: Talking,
		More: "With an ID from `search`, such as general/12, it deletes that message; in the chat without one, your\n" +
			"last in the room. It disappears from screens and from memory at\n" +
			"once. Its stored record is not erased: people who could read it can still open it with their keys.",
		UIs: Both, Effect: ChangesOthers, Account: true, Words: 1, ID: true,
		Run: func(ctx context.Context, c *Call) error {
			if len(c.Args) == 1 {
				room, seq, err := parseID(c, c.Args[0])
				if err != nil {
					return err
				}
				if err := deleteMessage(ctx, c, room, seq); err != nil || c.UI == Exec {
					return err
				}
				c.Notef("Deleted %s.", c.Args[0])
				return nil
			}
			if c.UI == Exec {
				return c.usage("delete needs a message ID")
			}
			last, err := lastSaid(c)
			if err != nil {
				return err
			}
			if err := amend(ctx, c, last.Room, chat.Delete, last.Seq, ""); err != nil {
				return err
			}
			c.Notef("Deleted: \"%s\"", excerpt(last.Text.String()))
			return nil
		},
	})
)

// maxExcerpt is how much of a text an answer repeats, in bytes: it is one line of a narrow terminal.
const maxExcerpt = 60

// excerpt is the beginning of a text, in one line.
func excerpt(said string) string {
	short := text.Clean(said, maxExcerpt)
	if len(short) < len(text.Clean(said, len(said))) {
		short += "…"
	}
	return short
}

// editByID edits the message with the ID.
func editByID(ctx context.Context, c *Call) error {
	room, seq, err := parseID(c, c.Args[0])
	if err != nil {
		return err
	}
	return amend(ctx, c, room, chat.Edit, seq, c.Text)
}

// deleteMessage deletes a message: the caller's own, or that of somebody whom the caller outranks in the room.
func deleteMessage(ctx context.Context, c *Call, room chat.RoomName, seq uint64) error {
	author, found := c.Hub.Author(c.Account.Name, room, seq)
	if !found || author == c.Account.Name {
		return amend(ctx, c, room, chat.Delete, seq, "")
	}
	switch err := c.may(chat.DeleteMessage{Room: room, Author: author}); {
	case errors.Is(err, chat.ErrNotYours): // which the hub says, unless there is no such message for the caller
		return amend(ctx, c, room, chat.Delete, seq, "")
	case err != nil:
		return err
	}
	if !c.ranked() {
		if err := c.Caller.Pace(ctx, Change, "delete"); err != nil {
			return err
		}
	}
	m, err := c.Hub.Remove(ctx, c.Who(), room, seq)
	if err != nil {
		return err
	}
	c.record(nil)
	if c.UI == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
	}
	return nil
}

// lastSaid is what the caller said last in the session's room.
func lastSaid(c *Call) (chat.Message, error) {
	room := c.Session.Room()
	m, ok := c.Hub.Last(c.Account.Name, room)
	if !ok {
		return m, failed("you have no recent message in %s", room.For(c.Account.Name))
	}
	return m, nil
}

// amend edits or deletes a message.
func amend(ctx context.Context, c *Call, room chat.RoomName, kind chat.Kind, of uint64, said string) error {
	var clean chat.Text
	if kind == chat.Edit {
		var err error
		if err = c.Caller.Pace(ctx, Message, said); err != nil {
			return err
		}
		if said == "" {
			return c.usage("edit needs the new text")
		}
		if clean, err = text.ParseText(said); err != nil {
			return err
		}
	}
	m, err := c.Hub.Amend(ctx, c.Who(), room, kind, of, clean)
	if err != nil {
		return err
	}
	if c.UI == Exec {
		c.Printf("%s\n", m.ID(c.Account.Name))
	}
	return nil
}
