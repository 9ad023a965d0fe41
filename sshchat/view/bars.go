package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// bars are the rows around messages and input: the topic, and the person's rooms. With them goes the window's title. They
// change when rooms do, and not with each message.
type bars struct {
	me     chat.Name
	server string
	paint  *paint
	width  int // cells of a row
	away   bool

	rooms []Room // by their numbers
	slots slots
	room  chat.RoomName // the one that is shown

	made                 bool // the rows are as they should be
	more                 bool // and say that there is more below
	topic, status, title string
}

// here is the room that is shown, as far as it is known.
func (b *bars) here() (r Room, known bool) {
	for _, r := range b.rooms {
		if r.Name == b.room {
			return r, true
		}
	}
	return Room{Name: b.room}, false
}

// update makes the rows anew where they have changed. more: messages stand below what is shown.
func (b *bars) update(more bool) {
	if !b.made || b.more != more {
		b.made, b.more = true, more
		b.topic, b.status, b.title = b.topicRow(), b.roomsRow(), b.windowTitle()
	}
}

// topicRow is the first row: the room, who is there, and what it is about.
func (b *bars) topicRow() string {
	if b.room.IsZero() {
		return b.paint.in(partTopic, pad(" "+b.server, b.width))
	}
	r, _ := b.here()
	said := " " + b.room.For(b.me)
	if !b.room.IsDirect() && r.Members > 0 {
		said += fmt.Sprintf("  %d of %d here", r.Here, r.Members)
	}
	if r.Topic != "" {
		said += "  " + string(text.AppendPrintable(nil, r.Topic, false))
	}
	return b.paint.in(partTopic, pad(said, b.width))
}

// pad cuts or fills a text to exactly width cells.
func pad(s string, width int) string {
	s = fitRow(s, width)
	return s + strings.Repeat(" ", max(0, width-displaywidth.String(s)))
}

// windowTitle names the room, and how much is unread.
func (b *bars) windowTitle() string {
	unread := 0
	for _, r := range b.rooms {
		unread += r.Unread
	}
	title := b.server
	if !b.room.IsZero() {
		title = b.room.For(b.me) + " - " + title
	}
	if unread > 0 {
		title = fmt.Sprintf("(%d) %s", unread, title)
	}
	return title
}

// roomsRow is the row of the rooms, each with what is unread of it, as in "1:#general 2:#dev(3) 3:@bob(1!)".
// Where there is no room for all, the one that is shown stays in sight, and a sign at the end counts those with something
// unread that are not, as in "+2!".
func (b *bars) roomsRow() string {
	state := b.state()
	width := b.width - displaywidth.String(state)
	items := b.barItems()
	shown, sign, room := fitBar(items, width), "", 0
	for range 3 { // the sign takes room, which may take more out of sight
		next := b.hiddenUnread(items, shown)
		if sign = next; len(next) <= room {
			break
		}
		room = len(next)
		shown = fitBar(items, width-room)
	}
	var row strings.Builder
	used := 0
	for _, it := range items[shown.from:shown.to] {
		item := fitRow(it.text, max(0, width-len(sign)-used-1))
		row.WriteString(b.paint.in(it.part, item) + " ")
		used += displaywidth.String(item) + 1
	}
	if sign != "" {
		part := partBarUnread
		if strings.HasSuffix(sign, "!") {
			part = partBarMention
		}
		row.WriteString(b.paint.in(part, sign))
		used += len(sign)
	}
	return row.String() + strings.Repeat(" ", max(0, width-used)) + b.paint.in(partBarMention, state)
}

// barItem is a room in the bar.
type barItem struct {
	text   string
	part   part
	active bool
}

func (b *bars) barItems() []barItem {
	var items []barItem
	for _, r := range b.rooms {
		it := barItem{fmt.Sprintf("%d:%s", b.slots.number(r.Name), r.Name.For(b.me)), partBar, false}
		switch {
		case r.Name == b.room:
			it.part, it.active = partBarActive, true
		case r.Mentions > 0:
			it.text, it.part = fmt.Sprintf("%s(%d!)", it.text, r.Unread), partBarMention
		case r.Unread > 0:
			it.text, it.part = fmt.Sprintf("%s(%d)", it.text, r.Unread), partBarUnread
		}
		items = append(items, it)
	}
	return items
}

// stretch is which items of the bar are shown: those before to, of which the last may be cut off where it alone fills it.
type stretch struct{ from, to int }

// fitBar finds as many items as width has room for, the active one among them.
func fitBar(items []barItem, width int) stretch {
	active := max(0, slices.IndexFunc(items, func(it barItem) bool { return it.active }))
	s, used := stretch{}, 0
	for i, it := range items {
		used += displaywidth.String(it.text) + 1
		for used > width && s.from < i && i <= active {
			used -= displaywidth.String(items[s.from].text) + 1
			s.from++
		}
		if used > width && i > active {
			break
		}
		s.to = i + 1
	}
	return s
}

// hiddenUnread counts the items out of sight with something unread: "+2", and "+2!" where one of them names the person.
func (b *bars) hiddenUnread(items []barItem, shown stretch) string {
	hidden, end := 0, ""
	for i, it := range items {
		if i >= shown.from && i < shown.to || it.part == partBar {
			continue
		}
		hidden++
		if it.part == partBarMention {
			end = "!"
		}
	}
	if hidden == 0 {
		return ""
	}
	return fmt.Sprintf("+%d%s", hidden, end)
}

// state is what else the bar tells, at its right end.
func (b *bars) state() string {
	var words []string
	if b.away {
		words = append(words, "away")
	}
	if b.more {
		words = append(words, "more below")
	}
	s := strings.Join(words, ", ")
	if s == "" || len(s)+10 > b.width {
		return ""
	}
	return "[" + s + "]"
}

// switches is the room that a key goes to; ok is false for a key that goes to none, and the room is zero where
// there is no such room.
func (b *bars) switches(name string) (room chat.RoomName, ok bool) {
	now := slices.IndexFunc(b.rooms, func(r Room) bool { return r.Name == b.room })
	switch n := len(b.rooms); {
	case name == "ctrl+n" && n > 0:
		return b.rooms[(now+1)%n].Name, true
	case name == "ctrl+p" && n > 0:
		return b.rooms[(max(now, 0)+n-1)%n].Name, true
	case name == "alt+a":
		return b.nextUnread(now), true
	}
	if n, ok := roomNumber(name); ok {
		if i := slices.IndexFunc(b.rooms, func(r Room) bool { return b.slots.number(r.Name) == n }); i >= 0 {
			room = b.rooms[i].Name
		}
		return room, true
	}
	return room, false
}

// nextUnread is the next room after the one at now with a mention, or else with anything unread.
func (b *bars) nextUnread(now int) chat.RoomName {
	var unread chat.RoomName
	for i := range b.rooms {
		r := b.rooms[(now+1+i)%len(b.rooms)]
		switch {
		case r.Name == b.room:
		case r.Mentions > 0:
			return r.Name
		case r.Unread > 0 && unread.IsZero():
			unread = r.Name
		}
	}
	return unread
}

// keyed is how many rooms have a key, Alt+1 to Alt+9.
const keyed = 9

// slots are the numbers of rooms, from 1. A room keeps its number for as long as the screen is there, also while it is
// left, and a room that comes takes one that no other had: the key that was one room is never another one under the
// fingers, whoever writes meanwhile. Only when the keys are used up a room gets the number of one that was left.
type slots []chat.RoomName

// arrange gives each room its number and returns them in that order.
func (s *slots) arrange(rooms []Room) []Room {
	for _, r := range rooms {
		if s.number(r.Name) > 0 {
			continue
		}
		left := slices.IndexFunc(*s, func(name chat.RoomName) bool {
			return !slices.ContainsFunc(rooms, func(r Room) bool { return r.Name == name })
		})
		if len(*s) >= keyed && left >= 0 {
			(*s)[left] = r.Name
		} else {
			*s = append(*s, r.Name)
		}
	}
	rooms = slices.Clone(rooms)
	slices.SortFunc(rooms, func(a, b Room) int { return s.number(a.Name) - s.number(b.Name) })
	return rooms
}

// number is a room's; 0 where it has none.
func (s *slots) number(name chat.RoomName) int { return slices.Index(*s, name) + 1 }
