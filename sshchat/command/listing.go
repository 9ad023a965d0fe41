package command

import (
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// How much one answer tells of what was said.
const (
	maxListed = 200           // messages
	maxLooked = 5 * maxListed // of which so many are looked at, as some may be from people who are ignored
)

// zone is that of times the caller is told.
func (c *Call) zone() *time.Location {
	if zone := c.settings().Zone; zone != nil {
		return zone
	}
	return c.Session.Zone()
}

// pickWanted leaves out what is no message any more, and what the caller does not want to see; of the rest it returns the
// newest n. It does not change said.
func pickWanted(c *Call, said []chat.Message, n int) []chat.Message {
	filter := c.settings().Filter(nil)
	var kept []chat.Message
	for i := range said {
		m := &said[i]
		if (m.Kind == chat.Say || m.Kind == chat.Me) && !m.Deleted && filter.Shows(m, c.Account.Name) {
			kept = append(kept, *m)
		}
	}
	return kept[max(0, len(kept)-n):]
}

// listMessages prints messages, a line each; lines that one has besides are indented.
func listMessages(c *Call, messages []chat.Message) {
	zone := c.zone()
	for i := range messages {
		if c.json() {
			c.printJSON(messageAsJSON(c, messages[i]))
		} else {
			c.Printf("%s\n", listedLine(c, &messages[i], zone))
		}
	}
}

// listedLine is a message as a list shows it, with its ID: in the chat with the # of its room, which shells take for a comment.
func listedLine(c *Call, m *chat.Message, zone *time.Location) string {
	at, layout := m.At.In(zone), "02 Jan 15:04"
	if at.Year() != time.Now().In(zone).Year() {
		layout = "02 Jan 2006 15:04"
	}
	id := m.ID(c.Account.Name)
	if c.Face == Chat && !m.Room.IsDirect() {
		id = "#" + id
	}
	line := at.Format(layout) + " " + id + " " + told(m)
	if m.Edited {
		line += " (edited)"
	}
	return line
}

// printFoot is a last line under a list: in the chat a part of it, for a script words beside the data.
func printFoot(c *Call, format string, args ...any) {
	if c.Face == Chat {
		c.Printf(format+"\n", args...)
	} else {
		c.Notef(format, args...)
	}
}

// tellSealed says how much of the rooms lies before what memory holds, and how to read it.
func tellSealed(c *Call, rooms ...chat.RoomName) {
	n, me := 0, c.Account.Name
	for _, room := range rooms {
		n += c.Above(me, room, chat.LogLines)
	}
	name := ""
	if len(rooms) == 1 {
		name = " " + roomArg(rooms[0], me)
	}
	switch {
	case n == 0:
	case !c.Account.Reads():
		printFoot(c, "-- %s sealed; set a password (%s) to read what is sealed from now on", text.Are(n, "older line"), c.typed("passwd"))
	case c.Account.Password && c.Face == Chat:
		printFoot(c, "-- %s sealed; /unlock opens the last of this room", text.Are(n, "older line"))
	default:
		printFoot(c, "-- %s sealed; your key opens them: ssh %s history --tar%s", text.Are(n, "older line"), c.Login(), name)
	}
}
