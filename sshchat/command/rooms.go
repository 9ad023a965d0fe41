package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// What members do with rooms. How rooms are run is in room.go.

var _ = add(&Command{
	Name: "join", Aliases: []string{"j"}, Args: "ROOM", Brief: "join a room, or create it", Group: Rooms,
	More: "A room that does not exist is created, and is public. You stay a member while offline, and can read what was said.",
	UIs:  Both, Effect: ChangesOwn, Says: newRoom, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if room.IsDirect() {
			c.Session.SetRoom(room)
			return nil
		}
		_, there := c.Hub.View().Room(room)
		if err := c.decide(ctx, chat.JoinRoom{Room: room}); err != nil {
			return err
		}
		c.Session.SetRoom(room)
		if made, _ := c.Hub.View().Room(room); !there && made.By == c.Account.Name {
			c.Notef("Created #%s. Anyone can join it.", room)
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

var _ = add(&Command{
	Name: "part", Aliases: []string{"leave"}, Args: "[ROOM]", Brief: "leave a room", Group: Rooms,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		if room.IsDirect() {
			c.Session.SetRoom(chat.General)
			return nil
		}
		if err := c.decide(ctx, chat.LeaveRoom{Room: room}); err != nil {
			return err
		}
		if c.Session.Room() == room {
			c.Session.SetRoom(chat.General)
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "rooms", Aliases: []string{"list"}, Brief: "list the rooms", Group: Rooms,
	More: "* marks the rooms you are in.",
	UIs:  Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, r := range c.Hub.Rooms(c.Account.Name) {
			if c.json() {
				c.printJSON(roomJSON{r.Name, r.Topic, r.Private, r.Members, r.Online, r.Joined})
				continue
			}
			mark := " "
			if r.Joined {
				mark = "*"
			}
			t.row(mark+" #"+r.Name.String(), fmt.Sprintf("%d of %d online", r.Online, r.Members), r.Topic)
		}
		t.print(c)
		return nil
	},
})

type roomJSON struct {
	Room    chat.RoomName `json:"room"`
	Topic   string        `json:"topic"`
	Private bool          `json:"private"`
	Members int           `json:"members"`
	Here    int           `json:"here"`
	Joined  bool          `json:"joined"`
}

var _ = add(&Command{
	Name: "who", Aliases: []string{"names"}, Args: "[ROOM]", Brief: "list a room's members, and who is online", Group: People,
	UIs: Both, Effect: Reads, List: true, Account: true, Words: 1, RoomAt: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		people, err := c.Hub.Members(c.Account.Name, room)
		if err != nil {
			return err
		}
		var t table
		for _, p := range people {
			if c.json() {
				c.printJSON(presenceJSON{p.Name, p.Online, p.Away})
				continue
			}
			state := "offline"
			switch {
			case p.Away:
				state = "away"
			case p.Online:
				state = "online"
			}
			t.row(p.Name.String(), state)
		}
		t.print(c)
		return nil
	},
})

type presenceJSON struct {
	Name chat.Name `json:"name"`
	Here bool      `json:"here"`
	Away bool      `json:"away,omitempty"`
}

var _ = add(&Command{
	Name: "topic", Args: "[ROOM] [TEXT]", Brief: "show a room's topic, or set it", Group: Rooms,
	More: "To clear it, use - as the text.",
	UIs:  Both, Effect: Speaks, Says: withText, Account: true, RoomAt: 1, Text: true,
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
			if info.Topic != "" {
				c.Printf("%s\n", info.Topic)
			} else {
				c.Notef("%s has no topic.", room.For(c.Account.Name))
			}
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

var _ = add(&Command{
	Name: "invite", Args: "USER [ROOM]", Brief: "invite a person to a room", Group: Rooms,
	More:    "For someone without an account, an admin creates an invite code: `invite create`.",
	Instead: "for someone without an account, an admin uses `invite create`",
	UIs:     Both, Effect: Speaks, Account: true, Words: 2, RoomAt: 2,
	Run: func(ctx context.Context, c *Call) error {
		a, err := accountMeant(c, 1)
		if ExitCode(err) == int(chat.NotFound) {
			return notFound("%v%s", err, c.instead())
		}
		if err != nil {
			return err
		}
		room, err := targetRoom(c)
		if err != nil {
			return err
		}
		if err := c.says(ctx, a.Name.String(), chat.InviteToRoom{Name: a.Name, Room: room}); err != nil {
			return err
		}
		if !slices.Contains(ParseSettings(a.Settings).Ignore, c.Account.Name) {
			c.Hub.NotifyUser(a.Name, "%s invites you to #%s: /join #%s", c.Account.Name, room, room)
		}
		c.Notef("Invited %s to #%s.", a.Name, room)
		return nil
	},
})

// maxHushed is how many rooms a person has hushed at most.
const maxHushed = 100

// hushedRooms are the rooms of a setting, to me; nil for none.
func hushedRooms(me chat.Name, words []string) map[chat.RoomName]bool {
	if len(words) == 0 {
		return nil
	}
	rooms := make(map[chat.RoomName]bool, len(words))
	for _, word := range words[:min(len(words), maxHushed)] {
		if person, direct := strings.CutPrefix(word, "@"); direct {
			if other, err := text.ParseName(person); err == nil && other != me {
				rooms[text.Direct(me, other)] = true
			}
		} else if room, err := text.ParseRoomName(word); err == nil {
			rooms[room] = true
		}
	}
	return rooms
}

func checkHush(c *Call, value string) (string, error) {
	var words []string
	for word := range strings.FieldsSeq(value) {
		room, err := c.room(word)
		if err != nil {
			return "", err
		}
		words = append(words, roomArg(room, c.Account.Name))
	}
	return joinHushed(words)
}

// joinHushed is the stored form of rooms that are hushed: each once, sorted.
func joinHushed(words []string) (string, error) {
	slices.Sort(words)
	words = slices.Compact(words)
	if len(words) > maxHushed {
		return "", failed("you can hush at most %d rooms", maxHushed)
	}
	return strings.Join(words, " "), nil
}

var _ = add(&Command{
	Name: "hush", Args: "[ROOM]", Brief: "stop alerts from a room; you stay in it", Group: Rooms,
	More: "The room no longer rings the bell or notifies you. Its unread messages are counted without emphasis, and Alt+A skips\n" +
		"them; messages that mention you still have their badge. @bob hushes the direct conversation with bob. Messages\n" +
		"appear as before. The setting is saved; `set hush` lists the rooms. Nobody else notices. To stop a person from\n" +
		"posting, moderators use `mute`.",
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		me := c.Account.Name
		if !room.IsDirect() && !c.Hub.In(me, room) {
			return notFound("you are not in #%s", room)
		}
		value, err := joinHushed(append(c.settings().Hush, roomArg(room, me)))
		if err != nil {
			return err
		}
		if err := saveSetting(ctx, c, hushSetting, value); err != nil {
			return err
		}
		typed := room.For(me)
		if c.UI == Exec {
			typed = roomArg(room, me)
		}
		c.Notef("%s no longer alerts you. To undo: %s %s", room.For(me), c.typed("unhush"), typed)
		return nil
	},
})

var _ = add(&Command{
	Name: "unhush", Args: "[ROOM]", Brief: "let a room alert you again", Group: Rooms,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		me, hushed := c.Account.Name, c.settings().Hush
		i := slices.Index(hushed, roomArg(room, me))
		if i < 0 {
			return failed("%s is not hushed", room.For(me))
		}
		if err := saveSetting(ctx, c, hushSetting, strings.Join(slices.Delete(hushed, i, i+1), " ")); err != nil {
			return err
		}
		c.Notef("%s alerts you again.", room.For(me))
		return nil
	},
})
