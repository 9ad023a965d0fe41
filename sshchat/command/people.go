package command

import (
	"context"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "whois", Args: "USER", Brief: "show who a person is", Group: People,
	UIs: Both, Effect: Reads, Account: true, Words: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("whois needs a name")
		}
		name, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		a, ok := c.Hub.View().ByName(name)
		if !ok {
			return notFound("no account named %s", name)
		}
		if c.json() {
			c.printJSON(whoisAsJSON(c, a))
			return nil
		}
		c.Printf("%s (%s), %s\n", a.Name, a.Role, whereabouts(c, a.Name))
		c.Printf("  account since %s\n", a.Created.Format(time.DateOnly))
		var rooms []string
		for _, room := range sharedRooms(c, name) {
			rooms = append(rooms, "#"+room.String())
		}
		c.Printf("  rooms you share: %s\n", strings.Join(rooms, " "))
		if zone := ParseSettings(a.Settings).Zone; zone != nil {
			c.Printf("  local time: %s\n", time.Now().In(zone).Format("Monday 15:04"))
		}
		return nil
	},
})

// whereabouts says whether somebody is online or away.
func whereabouts(c *Call, name chat.Name) string {
	why, since, away := c.Hub.Away(name)
	switch {
	case away:
		return "away since " + since.In(c.zone()).Format("15:04 MST") + because(why)
	case c.Hub.Online(name):
		return "online"
	}
	return "offline"
}

// sharedRooms lists the rooms that the caller and somebody else are both in.
func sharedRooms(c *Call, name chat.Name) []chat.RoomName {
	var rooms []chat.RoomName
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		if !room.IsDirect() && c.Hub.In(name, room) {
			rooms = append(rooms, room)
		}
	}
	return rooms
}

type whoisJSON struct {
	Name    chat.Name       `json:"name"`
	Role    chat.Role       `json:"role"`
	Here    bool            `json:"here"`
	Away    bool            `json:"away"`
	Why     string          `json:"why,omitempty"`
	Created string          `json:"created"` // a day
	Rooms   []chat.RoomName `json:"rooms"`   // that the caller is in too
	Time    string          `json:"time,omitempty"`
}

func whoisAsJSON(c *Call, a chat.Account) whoisJSON {
	why, _, away := c.Hub.Away(a.Name)
	w := whoisJSON{
		Name: a.Name, Role: a.Role, Here: c.Hub.Online(a.Name), Away: away, Why: why.String(),
		Created: a.Created.Format(time.DateOnly), Rooms: sharedRooms(c, a.Name),
	}
	if zone := ParseSettings(a.Settings).Zone; zone != nil {
		w.Time = time.Now().In(zone).Format("15:04")
	}
	return w
}

var _ = add(&Command{
	Name: "ignore", Args: "[USER]", Brief: "ignore a person, or list whom you ignore", Group: People,
	More: "You no longer see their messages, including direct ones. They are not notified. The setting is saved.",
	UIs:  Both, Effect: ChangesOwn, Account: true, Words: 1, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		ignored := c.settings().Ignore
		if len(c.Args) == 0 {
			listIgnored(c, ignored)
			return nil
		}
		name, err := c.person(c.Args[0])
		if err != nil {
			return err
		}
		if name == c.Account.Name {
			return failed("you cannot ignore yourself")
		}
		if err := saveIgnored(ctx, c, append(ignored, name)); err != nil {
			return err
		}
		c.Notef("You are ignoring %s. To undo: %s %s", name, c.typed("unignore"), name)
		return nil
	},
})

func listIgnored(c *Call, ignored []chat.Name) {
	if len(ignored) == 0 && !c.json() {
		c.Notef("You are not ignoring anyone.")
	}
	for _, n := range ignored {
		if c.json() {
			c.printJSON(struct {
				Name chat.Name `json:"name"`
			}{n})
			continue
		}
		c.Printf("%s\n", n)
	}
}

var _ = add(&Command{
	Name: "unignore", Args: "USER", Brief: "stop ignoring a person", Group: People,
	UIs: Both, Effect: ChangesOwn, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("unignore needs a name")
		}
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		ignored := c.settings().Ignore
		if !slices.Contains(ignored, name) {
			return failed("you are not ignoring %s", name)
		}
		if err := saveIgnored(ctx, c, slices.DeleteFunc(ignored, func(n chat.Name) bool { return n == name })); err != nil {
			return err
		}
		c.Notef("You are no longer ignoring %s.", name)
		return nil
	},
})

// saveIgnored does not ask, as set does, whether all of them have accounts: some may be gone.
func saveIgnored(ctx context.Context, c *Call, names []chat.Name) error {
	value, err := joinNames(names)
	if err != nil {
		return err
	}
	return saveSetting(ctx, c, ignoreSetting, value)
}
