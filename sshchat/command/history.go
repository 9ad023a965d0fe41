package command

import (
	"context"
	"io"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "history", Args: "ROOM [WINDOW]", Brief: "print a room's history, sealed to your keys", Group: Reading,
	More: "An age file that only your keys open:\n" +
		"ssh … history general | age -d -i ~/.ssh/id_ed25519\n" +
		"ssh … history --tar general | tar x --to-command='age -d -i ~/.ssh/id_ed25519'\n" +
		"A number names a window of --list. A direct room is @bob.",
	Faces: Exec, Effect: Reads, Account: true, Words: -1,
	Bytes: func(c *Call) bool {
		list, _ := c.Flags.GetBool("list")
		tar, _ := c.Flags.GetBool("tar")
		return tar || !list
	},
	Flags: func(f *pflag.FlagSet) {
		f.Bool("tar", false, "everything you can open, as a tar of age files, in order")
		f.StringArray("since", nil, "with --tar: only files that hold messages after this ID, as general/12 (once for each room)")
		f.Bool("list", false, "list the room's windows")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		tar, _ := c.Flags.GetBool("tar")
		list, _ := c.Flags.GetBool("list")
		switch {
		case tar:
			return printTar(ctx, c)
		case len(c.Args) == 0:
			return c.usage("history needs a room")
		case list:
			return listWindows(ctx, c)
		case len(c.Args) == 2:
			return printWindow(ctx, c)
		case len(c.Args) > 2:
			return c.usage("history: too many arguments")
		}
		return printLast(ctx, c)
	},
})

// memberRoom is a room whose history the caller may ask for.
func memberRoom(c *Call, word string) (chat.RoomName, error) {
	room, err := c.room(word)
	if err != nil {
		return room, err
	}
	if !c.Hub.In(c.Account.Name, room) {
		return room, notFound("no such room, or you are not in it: %s", room.For(c.Account.Name))
	}
	return room, nil
}

func printLast(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	me := c.Account.Name
	later := 0
	err = readOut(ctx, c, func(out io.Writer) (err error) {
		later, err = c.History.Export(out, me, room, c.Hub.Since(me, room), c.Accounts.Recipients(room, me))
		return err
	})
	if err != nil {
		return err
	}
	if later > 0 {
		c.Notef("%d later lines are stored one by one; to read them too:", later)
		c.Notef("ssh %s history --tar %s | tar x --to-command='age -d -i YOUR_KEY'", c.Login(), roomArg(room, me))
	}
	return nil
}

func printWindow(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(c.Args[1], 10, 64)
	if err != nil {
		return c.usage("history: %q is not the number of a window", text.Clean(c.Args[1], 40))
	}
	return readOut(ctx, c, func(out io.Writer) error { return c.History.ExportWindow(out, c.Account.Name, room, n) })
}

func listWindows(ctx context.Context, c *Call) error {
	room, err := memberRoom(c, c.Args[0])
	if err != nil {
		return err
	}
	var windows []Window
	err = lookUp(ctx, c, func() (err error) { windows, err = c.History.List(c.Account.Name, room); return err })
	if err != nil {
		return err
	}
	for _, w := range windows {
		if c.json() {
			c.printJSON(w)
			continue
		}
		state := "open"
		if w.Closed {
			state = "closed"
		}
		yours := "sealed to you"
		if !w.Readable {
			yours = "not sealed to you"
		}
		c.Printf("%6d  %d-%d  %s, %s\n", w.W, w.From, w.To, state, yours)
	}
	return nil
}

func printTar(ctx context.Context, c *Call) error {
	since, err := c.Flags.GetStringArray("since")
	if err != nil {
		return err
	}
	after, err := parseIDs(c, since)
	if err != nil {
		return err
	}
	var rooms []chat.RoomName
	for _, word := range c.Args {
		room, err := memberRoom(c, word)
		if err != nil {
			return err
		}
		rooms = append(rooms, room)
	}
	if len(rooms) == 0 {
		rooms = c.Hub.RoomsOf(c.Account.Name)
	}
	return readOut(ctx, c, func(out io.Writer) error { return c.History.Tar(out, c.Account.Name, rooms, after) })
}

// parseIDs reads message IDs, "general/12" or "@bob/3", at most one a room.
func parseIDs(c *Call, ids []string) (map[chat.RoomName]uint64, error) {
	after := make(map[chat.RoomName]uint64)
	for _, id := range ids {
		room, seq, err := parseID(c, id)
		if err != nil {
			return nil, err
		}
		if _, twice := after[room]; twice {
			return nil, c.usage("%s is named twice", roomArg(room, c.Account.Name))
		}
		after[room] = seq
	}
	return after, nil
}

// parseID reads one message's ID.
func parseID(c *Call, id string) (chat.RoomName, uint64, error) {
	word, number, ok := strings.Cut(id, "/")
	seq, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || word == "" {
		return chat.RoomName{}, 0, c.usage("%q is not a message's ID, as in general/12", text.Clean(id, 80))
	}
	room, err := c.room(word)
	return room, seq, err
}
