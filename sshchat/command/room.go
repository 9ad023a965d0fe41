package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// How rooms are run, by their moderators and by admins.

var _ = add(&Command{
	Name: "room create", Args: "ROOM [--private]", Brief: "create a room without joining it", UIs: Both, Effect: ChangesOthers, Says: always, Role: chat.Admin, Words: 1, RoomAt: 1,
	Flags: func(f *pflag.FlagSet) { f.Bool("private", false, "only invited people can join") },
	Run: func(ctx context.Context, c *Call) error {
		room, err := targetRoom(c)
		if err != nil {
			return err
		}
		private, _ := c.Flags.GetBool("private")
		if err := c.decide(ctx, chat.CreateRoom{Room: room, Private: private}); err != nil {
			return err
		}
		kind := ""
		if private {
			kind = " (private)"
		}
		c.Notef("Created #%s%s. You are not in it; to join: %s #%s", room, kind, c.typed("join"), room)
		return nil
	},
})

// targetRoom is the room that the command acts on, which must not be a direct room.
func targetRoom(c *Call) (chat.RoomName, error) {
	room, err := c.target()
	if err == nil && room.IsDirect() {
		return room, c.usage("%s is a direct conversation, which has no owner or settings", room.For(c.Account.Name))
	}
	return room, err
}

// ruledRoomJSON is a room as admins see it.
type ruledRoomJSON struct {
	Name    chat.RoomName `json:"name"`
	Topic   string        `json:"topic"`
	Private bool          `json:"private"`
	Slow    int64         `json:"slow,omitempty"` // seconds
	By      chat.Name     `json:"by,omitzero"`
	Mods    []chat.Name   `json:"mods,omitempty"`
	Invited []chat.Name   `json:"invited,omitempty"`
	Members int           `json:"members"`
	Here    int           `json:"here"`
	Last    uint64        `json:"last"`
}

func roomOf(r chat.RoomView) ruledRoomJSON {
	return ruledRoomJSON{r.Name, r.Topic, r.Rules.Private, int64(r.Slow / time.Second), r.By, r.Mods, r.Invited, r.Members, r.Online, r.Last}
}

var _ = add(&Command{
	Name: "room list", Brief: "list all rooms, including private ones", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, r := range c.Hub.AllRooms() {
			if c.json() {
				c.printJSON(roomOf(r))
				continue
			}
			kind := "public"
			if r.Rules.Private {
				kind = "private"
			}
			t.row("#"+r.Name.String(), kind, text.Count(r.Members, "member"), r.Topic)
		}
		t.print(c)
		return nil
	},
})

var _ = add(&Command{
	Name: "room info", Args: "ROOM", Brief: "show a room's details", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 1, RoomAt: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		room, err := targetRoom(c)
		if err != nil {
			return err
		}
		rooms := c.Hub.AllRooms()
		i := slices.IndexFunc(rooms, func(r chat.RoomView) bool { return r.Name == room })
		if i < 0 {
			return notFound("no such room: #%s", room)
		}
		r := rooms[i]
		if c.json() {
			c.printJSON(roomOf(r))
			return nil
		}
		c.Printf("#%s, %s, %s, %d online, %s\n",
			r.Name, createdBy(r), text.Count(r.Members, "member"), r.Online, text.Count(int(r.Last), "message"))
		kind, slow := "public", "slow mode off"
		if r.Rules.Private {
			kind = "private"
		}
		if r.Slow > 0 {
			slow = fmt.Sprintf("one message every %v", r.Slow)
		}
		invited := slices.DeleteFunc(slices.Clone(r.Invited), func(n chat.Name) bool { return c.Hub.In(n, room) }) // who came is a member
		c.Printf("%s, %s\ntopic: %s\nmoderators: %s\ninvited: %s\n", kind, slow, cmp.Or(r.Topic, "none"), nameList(r.Mods), nameList(invited))
		return nil
	},
})

func orNobody(n chat.Name) string {
	if n.IsZero() {
		return "the server"
	}
	return n.String()
}

// createdBy is who created the room and runs it. A room that an admin creates for others is nobody's.
func createdBy(r chat.RoomView) string {
	if r.By.IsZero() {
		return "no owner"
	}
	return "created by " + r.By.String()
}

func nameList(people []chat.Name) string {
	if len(people) == 0 {
		return "none"
	}
	words := make([]string, len(people))
	for i, n := range people {
		words[i] = n.String()
	}
	return strings.Join(words, " ")
}

var _ = add(&Command{
	Name: "room delete", Aliases: []string{"room close"}, Args: "ROOM [--yes]", Brief: "close a room you created, once it is empty", Group: Rooms,
	More: "A room is empty if you are its only member. Admins can close any room: everyone in it is removed.\n" +
		"Its history can still be opened by the people who could read it. A new room with the same name starts empty.",
	ExecMore: "If others are in the room, it asks for the room's name. Use --yes if there is no terminal to ask on.",
	UIs:      Both, Effect: ChangesOthers, Account: true, Audit: true, Words: 1, RoomAt: 1, Flags: yesFlag,
	Run: func(ctx context.Context, c *Call) error {
		room, err := targetRoom(c)
		if err != nil {
			return err
		}
		if err := c.may(chat.CloseRoom{Room: room}); err != nil { // before it asks
			return err
		}
		if err := askToClose(ctx, c, room); err != nil {
			return err
		}
		if err := c.decide(ctx, chat.CloseRoom{Room: room}); err != nil {
			return err
		}
		if c.Session.Room() == room {
			c.Session.SetRoom(chat.General) // if the answer is seen
		}
		c.Notef("Closed #%s.", room)
		return nil
	},
})

// askToClose asks before a room is closed that other people are in.
func askToClose(ctx context.Context, c *Call, room chat.RoomName) error {
	others := 0
	for _, r := range c.Hub.AllRooms() {
		if r.Name == room {
			others = r.Members
		}
	}
	if c.Hub.In(c.Account.Name, room) {
		others--
	}
	if others <= 0 {
		return nil
	}
	question := fmt.Sprintf("Close #%s and remove %s? Type its name to continue: ", room, text.Count(others, "other member"))
	return askSure(ctx, c, question, room.String(), "#"+room.String())
}

var _ = add(&Command{
	Name: "room set-private", Args: "ROOM on|off", Brief: "hide a room from people who are not in it", UIs: Both, Effect: ChangesOthers, Role: chat.Mod, InRoom: true, Words: 2, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		room, on, err := parseRoomSwitch(c)
		if err != nil {
			return err
		}
		if err := c.decide(ctx, chat.SetPrivate{Room: room, Private: on}); err != nil {
			return err
		}
		c.notifyRoom(room, "%s made the room %s.", c.Account.Name, map[bool]string{true: "private", false: "public"}[on])
		return nil
	},
})

// notifyRoom tells the room what the caller did, and the caller if they are somewhere else.
func (c *Call) notifyRoom(room chat.RoomName, format string, args ...any) {
	c.Hub.NotifyRoom(c.Account.Name, room, format, args...)
	if !c.sees(room) {
		c.Notef("#%s: "+format, append([]any{room}, args...)...)
	}
}

// sees reports whether the caller is shown what the room is.
func (c *Call) sees(room chat.RoomName) bool { return c.UI == Chat && c.Hub.In(c.Account.Name, room) }

func parseRoomSwitch(c *Call) (room chat.RoomName, on bool, err error) {
	if err := c.need(2); err != nil {
		return room, false, err
	}
	if room, err = targetRoom(c); err != nil {
		return room, false, err
	}
	switch c.Args[1] {
	case "on", "off":
		return room, c.Args[1] == "on", nil
	}
	return room, false, c.usage("use on or off")
}

var _ = add(&Command{
	Name: "slow", Args: "ROOM 10s|off", Brief: "limit how often members of a room can post",
	More: "Moderators are exempt. The longest interval is a day.",
	UIs:  Both, Effect: ChangesOthers, Role: chat.Mod, InRoom: true, Words: 2, RoomAt: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(2); err != nil {
			return err
		}
		room, err := targetRoom(c)
		if err != nil {
			return err
		}
		var slow time.Duration
		if c.Args[1] != "off" {
			if slow, err = chat.ParseDuration(c.Args[1]); err != nil || slow == 0 || slow > chat.MaxSlow {
				return c.usage("use off, or a duration of up to a day, such as 10s or 5m")
			}
		}
		if err := c.decide(ctx, chat.SetSlow{Room: room, Slow: slow}); err != nil {
			return err
		}
		if slow == 0 {
			c.notifyRoom(room, "%s turned slow mode off.", c.Account.Name)
		} else {
			c.notifyRoom(room, "%s turned slow mode on: one message every %v.", c.Account.Name, slow)
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "mod", Args: "USER [ROOM]", Brief: "make a person a moderator of a room", UIs: Both, Effect: ChangesOthers, Role: chat.Mod, InRoom: true, Words: 2, RoomAt: 2,
	Run: func(ctx context.Context, c *Call) error {
		return setModerator(ctx, c, true, "%s made %s a moderator of the room.")
	},
})

var _ = add(&Command{
	Name: "unmod", Args: "USER [ROOM]", Brief: "remove a room moderator", UIs: Both, Effect: ChangesOthers, Role: chat.Mod, InRoom: true, Words: 2, RoomAt: 2,
	Run: func(ctx context.Context, c *Call) error {
		return setModerator(ctx, c, false, "%s removed %s as a moderator of the room.")
	},
})

// setModerator makes the member that the first argument names a moderator of the room that the command acts in, or ends that.
func setModerator(ctx context.Context, c *Call, on bool, notice string) error {
	a, err := accountMeant(c, 1)
	if err != nil {
		return err
	}
	room, err := targetRoom(c)
	if err != nil {
		return err
	}
	if err := c.decide(ctx, chat.SetModerator{Name: a.Name, Room: room, On: on}); err != nil {
		return err
	}
	c.notifyRoom(room, notice, c.Account.Name, a.Name)
	return nil
}

var _ = add(&Command{
	Name: "kick", Args: "USER [ROOM] [REASON]", Brief: "remove a person from a room",
	More: "From #general, which nobody can leave, it ends their sessions. They can come back; to prevent that, use `ban`.",
	UIs:  Both, Effect: ChangesOthers, Says: withText, Role: chat.Mod, InRoom: true, Words: 1, RoomAt: 2, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		room, err := c.target()
		if err != nil {
			return err
		}
		a, err := c.account(c.Args[0])
		if err != nil {
			return err
		}
		in := chat.KickFromRoom{Name: a.Name, Room: room, Why: afterColon(c.Text)}
		may := c.may(in)
		if may != nil && !errors.Is(may, chat.ErrGeneral) {
			return may
		}
		if in.Why != "" {
			if err = c.Caller.Pace(ctx, Message, in.Why); err != nil {
				return err
			}
			may = c.may(in) // it may have waited
		}
		if errors.Is(may, chat.ErrGeneral) { // and nothing else is against it
			return endSessions(ctx, c, a, in.Why)
		}
		if err := c.decide(ctx, in); err != nil {
			return err
		}
		c.Log.Info("kick", "on", a.Name, "room", room.String(), "by", c.Account.Name, "source", c.Source)
		c.Hub.NotifyRemoval(c.Account.Name, a.Name, room, "%s removed %s%s.", c.Account.Name, a.Name, in.Why)
		if !c.sees(room) {
			c.Notef("Removed %s from #%s.", a.Name, room)
		}
		c.Hub.NotifyUser(a.Name, "%s removed you from #%s%s.", c.Account.Name, room, in.Why)
		return nil
	},
})

// endSessions ends the sessions of somebody whom the caller may kick from #general, which nobody can leave.
func endSessions(ctx context.Context, c *Call, a chat.Account, why string) error {
	c.Log.Info("kick", "on", a.Name, "room", chat.General.String(), "by", c.Account.Name, "source", c.Source)
	n, silent := c.Live.End(ctx, a.ID, c.Account.Name.String()+" ended your session"+why+".")
	noteSilent(c, silent, "sessions there go on")
	if n == 0 {
		return notFound("%s is not connected", a.Name)
	}
	c.Notef("Ended %s of %s.", text.Count(n, "session"), a.Name)
	return nil
}

func afterColon(why string) string {
	if why = text.Clean(why, maxAudited); why == "" {
		return ""
	}
	return ": " + why
}
