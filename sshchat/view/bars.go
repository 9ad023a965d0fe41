package view

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/theme"
)

// bars are the rows around messages and input: the topic, and the person's rooms. With them goes the window's title. They
// change when rooms do, and not with each message.
type bars struct {
	me       chat.Name
	server   string
	renderer *renderer
	width    int // cells of a row
	away     bool

	rooms   []Room // by their numbers
	order   []int  // where each room stands among them, as they were set
	numbers roomNumbers
	room    chat.RoomName // the one that is shown

	topicCurrent, roomsCurrent bool // the rows and the title are up to date
	more                       bool // they say that there is more below
	topic, status, title       string
}

// shownRoom is the room that is shown, as far as it is known.
func (b *bars) shownRoom() (r Room, known bool) {
	for _, r := range b.rooms {
		if r.Name == b.room {
			return r, true
		}
	}
	return Room{Name: b.room}, false
}

// set takes the person's rooms as they stand now. Only what has changed is rendered again.
func (b *bars) set(rooms []Room) {
	if !b.areSet(rooms) {
		b.rooms = b.numbers.arrange(rooms)
		b.order = b.order[:0]
		for _, r := range rooms {
			b.order = append(b.order, slices.IndexFunc(b.rooms, func(o Room) bool { return o.Name == r.Name }))
		}
		b.invalidate()
		return
	}
	for i, r := range rooms {
		was := &b.rooms[b.order[i]]
		b.roomsCurrent = b.roomsCurrent && was.Unread == r.Unread && was.Mentions == r.Mentions
		b.topicCurrent = b.topicCurrent && (r.Name != b.room || was.Topic == r.Topic && was.Here == r.Here && was.Members == r.Members)
		*was = r
	}
}

// areSet reports whether these rooms, in this order, were set last.
func (b *bars) areSet(rooms []Room) bool {
	if len(rooms) != len(b.order) {
		return false
	}
	for i := range rooms {
		if rooms[i].Name != b.rooms[b.order[i]].Name {
			return false
		}
	}
	return true
}

// invalidate marks everything as changed.
func (b *bars) invalidate() { b.topicCurrent, b.roomsCurrent = false, false }

// current reports whether the rows are up to date.
func (b *bars) current() bool { return b.topicCurrent && b.roomsCurrent }

// update renders what has changed. more: there are messages below those shown.
func (b *bars) update(more bool) {
	if !b.topicCurrent {
		b.topic = b.topicRow()
	}
	if !b.roomsCurrent || b.more != more {
		b.more = more
		b.status, b.title = b.roomsRow(), b.windowTitle()
	}
	b.topicCurrent, b.roomsCurrent = true, true
}

// topicRow is the first row: the room, who is there, and what it is about.
func (b *bars) topicRow() string {
	if b.room.IsZero() {
		return b.renderer.in(theme.Topic, pad(" "+b.server, b.width))
	}
	r, _ := b.shownRoom()
	said := " " + b.room.For(b.me)
	if !b.room.IsDirect() && r.Members > 0 {
		said += fmt.Sprintf("  %d of %d online", r.Here, r.Members)
	}
	if r.Topic != "" {
		said += "  " + string(text.AppendPrintable(nil, r.Topic, false))
	}
	return b.renderer.in(theme.Topic, pad(said, b.width))
}

// pad cuts or fills a text to exactly width cells.
func pad(s string, width int) string {
	s = fitRow(s, width)
	return s + strings.Repeat(" ", max(0, width-displaywidth.String(s)))
}

// windowTitle names the room, and how much is unread.
func (b *bars) windowTitle() string {
	unread := 0
	for i := range b.rooms {
		unread += b.rooms[i].Unread
	}
	var buf [128]byte // most fit
	title := buf[:0]
	if unread > 0 {
		title = append(strconv.AppendInt(append(title, '('), int64(unread), 10), ") "...)
	}
	if !b.room.IsZero() {
		title = append(b.room.AppendFor(title, b.me), " - "...)
	}
	return string(append(title, b.server...))
}

// roomsRow is the row of the rooms, each with what is unread of it, as in "1:#general 2:#dev(3) 3:@bob(1!)".
// If there is no room for all, the current one stays visible, and a count at the end says how many hidden ones have unread
// messages, as in "+2!".
func (b *bars) roomsRow() string {
	state := b.state()
	width := b.width - displaywidth.String(state)
	var few [16]barItem
	items := b.barItems(few[:0])
	shown, sign, room := fitBar(items, width), "", 0
	for range 3 { // the count takes room, which may hide more
		next := hiddenUnread(items, shown)
		if sign = next; len(next) <= room {
			break
		}
		room = len(next)
		shown = fitBar(items, width-room)
	}
	var buf [512]byte // most rows fit
	row, used := buf[:0], 0
	for i, it := range items[shown.from:shown.to] {
		var label [2 * text.MaxName]byte
		item := b.appendItem(label[:0], &b.rooms[shown.from+i], it)
		item = item[:min(len(item), max(0, width-len(sign)-used-1))]
		row = append(b.renderer.appendIn(row, it.style, item), ' ')
		used += len(item) + 1
	}
	if sign != "" {
		part := theme.BarUnread
		if strings.HasSuffix(sign, "!") {
			part = theme.BarMention
		}
		row = b.renderer.appendIn(row, part, []byte(sign))
		used += len(sign)
	}
	for ; used < width; used++ {
		row = append(row, ' ')
	}
	if state != "" {
		row = b.renderer.appendIn(row, theme.BarMention, []byte(state))
	}
	return string(row)
}

// barItem is a room in the bar. All of its text is ASCII: a byte is a cell.
type barItem struct {
	number int
	style  theme.Style
	width  int
}

// barItems appends an item for each room.
func (b *bars) barItems(items []barItem) []barItem {
	for i := range b.rooms {
		r := &b.rooms[i]
		it := barItem{number: b.numbers.number(r.Name), style: theme.Bar}
		switch {
		case r.Name == b.room:
			it.style = theme.BarActive
		case r.Mentions > 0:
			it.style = theme.BarMention
		case r.Unread > 0:
			it.style = theme.BarUnread
		}
		var label [2 * text.MaxName]byte
		it.width = len(b.appendItem(label[:0], r, it))
		items = append(items, it)
	}
	return items
}

// appendItem appends the text of a room's item.
func (b *bars) appendItem(dst []byte, r *Room, it barItem) []byte {
	dst = append(strconv.AppendInt(dst, int64(it.number), 10), ':')
	dst = r.Name.AppendFor(dst, b.me)
	switch it.style {
	case theme.BarMention:
		dst = append(strconv.AppendInt(append(dst, '('), int64(r.Unread), 10), "!)"...)
	case theme.BarUnread:
		dst = append(strconv.AppendInt(append(dst, '('), int64(r.Unread), 10), ')')
	}
	return dst
}

// barRange is which items of the bar are shown: those before to, of which a single one may be cut off.
type barRange struct{ from, to int }

// fitBar finds as many items as width has room for, the active one among them.
func fitBar(items []barItem, width int) barRange {
	active := max(0, slices.IndexFunc(items, func(it barItem) bool { return it.style == theme.BarActive }))
	s, used := barRange{}, 0
	for i, it := range items {
		used += it.width + 1
		for used > width && s.from < i && i <= active {
			used -= items[s.from].width + 1
			s.from++
		}
		if used > width && i > active {
			break
		}
		s.to = i + 1
	}
	return s
}

// hiddenUnread counts the hidden items with unread messages: "+2", or "+2!" if one of them mentions the person.
func hiddenUnread(items []barItem, shown barRange) string {
	hidden, end := 0, ""
	for i, it := range items {
		if i >= shown.from && i < shown.to || it.style == theme.Bar {
			continue
		}
		hidden++
		if it.style == theme.BarMention {
			end = "!"
		}
	}
	if hidden == 0 {
		return ""
	}
	return fmt.Sprintf("+%d%s", hidden, end)
}

// state is what the right end of the bar says.
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

// roomOf is the room that a key goes to; ok is false for other keys, and the room is zero if there is no such room.
func (b *bars) roomOf(name string) (room chat.RoomName, ok bool) {
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
		if i := slices.IndexFunc(b.rooms, func(r Room) bool { return b.numbers.number(r.Name) == n }); i >= 0 {
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

// numberKeys is how many rooms have a key, Alt+1 to Alt+9.
const numberKeys = 9

// roomNumbers are the numbers of rooms, from 1. A room keeps its number for the whole session, also after it is left, and a new
// room takes an unused one: a key never changes its room while somebody is about to press it. Only when all keys are in use,
// a new room takes the number of one that was left.
type roomNumbers []chat.RoomName

// arrange gives each room its number and returns them in that order.
func (s *roomNumbers) arrange(rooms []Room) []Room {
	for _, r := range rooms {
		if s.number(r.Name) > 0 {
			continue
		}
		left := slices.IndexFunc(*s, func(name chat.RoomName) bool {
			return !slices.ContainsFunc(rooms, func(r Room) bool { return r.Name == name })
		})
		if len(*s) >= numberKeys && left >= 0 {
			(*s)[left] = r.Name
		} else {
			*s = append(*s, r.Name)
		}
	}
	rooms = slices.Clone(rooms)
	slices.SortFunc(rooms, func(a, b Room) int { return s.number(a.Name) - s.number(b.Name) })
	return rooms
}

// number is the number of a room; 0 if it has none.
func (s *roomNumbers) number(name chat.RoomName) int { return slices.Index(*s, name) + 1 }
