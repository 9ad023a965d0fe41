package command

import (
	"context"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "whois", Args: "USER", Brief: "tell about a person", Group: People,
	Faces: Both, Effect: Reads, Account: true, Words: 1, Flags: jsonFlag,
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
			c.Printf("  their time: %s\n", time.Now().In(zone).Format("Monday 15:04"))
		}
		return nil
	},
})

// whereabouts tells whether somebody is there to read.
func whereabouts(c *Call, name chat.Name) string {
	why, since, away := c.Hub.Away(name)
	switch {
	case away:
		return "away since " + since.In(c.zone()).Format("15:04") + because(why)
	case c.Hub.Here(name):
		return "here"
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
		Name: a.Name, Role: a.Role, Here: c.Hub.Here(a.Name), Away: away, Why: why.String(),
		Created: a.Created.Format(time.DateOnly), Rooms: sharedRooms(c, a.Name),
	}
	if zone := ParseSettings(a.Settings).Zone; zone != nil {
		w.Time = time.Now().In(zone).Format("15:04")
	}
	return w
}
