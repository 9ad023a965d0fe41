package view

import (
	"bytes"
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
	before  chat.RoomName // the one that was shown before it; zero if there is none

	topicCurrent, roomsCurrent bool // the rows and the title are up to date
	more                       bool // they say that there is more below
	below                      int  // so many messages
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
		b.roomsCurrent = b.roomsCurrent && was.Unread == r.Unread && was.Mentions == r.Mentions && was.Dim == r.Dim
		b.topicCurrent = b.topicCurrent && (r.Name != b.room || was.Topic == r.Topic && was.Here == r.Here && was.Members == r.Members && was.Other == r.Other && was.People == r.People)
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

// update renders what has changed. more: there is something below what is shown, so many whole messages of it.
func (b *bars) update(more bool, below int) {
	if !b.topicCurrent {
		b.topic = b.topicRow()
	}
	if !b.roomsCurrent || b.more != more || b.below != below {
		b.more, b.below = more, below
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
	if b.renderer.lines {
		return b.ruledTopic(&r)
	}
	said := " " + b.room.For(b.me)
	for _, fact := range b.topicFacts(&r) {
		said += "  " + fact.said
	}
	return b.renderer.in(theme.Topic, pad(said, b.width))
}

// topicFact is something that the first row says of the room, after its name.
type topicFact struct {
	said  string
	style theme.Style // where a line goes through the row
}

func (b *bars) topicFacts(r *Room) (facts []topicFact) {
	if r.Other != "" {
		facts = append(facts, topicFact{string(text.AppendPrintable(nil, r.Other, false)), theme.Time})
	}
	if !b.room.IsDirect() && r.Members > 0 {
		facts = append(facts, topicFact{fmt.Sprintf("%d of %d online", r.Here, r.Members), theme.Time})
	}
	if r.Topic != "" {
		facts = append(facts, topicFact{string(text.AppendPrintable(nil, r.Topic, false)), theme.Text})
	}
	return facts
}

// ruledTopic is topicRow with a line through it.
func (b *bars) ruledTopic(r *Room) string {
	row := styledRow{renderer: b.renderer, width: b.width}
	across := b.renderer.ruler().across
	for _, fact := range append([]topicFact{{b.room.For(b.me), theme.Room}}, b.topicFacts(r)...) {
		row.add(theme.Rule, across)
		row.add(fact.style, " "+fact.said+" ")
	}
	row.add(theme.Rule, strings.Repeat(across, b.width))
	return row.String()
}

// styledRow is a row that is put together of pieces in different styles, and is cut where it is full.
type styledRow struct {
	renderer *renderer
	width    int // cells of the row
	used     int
	strings.Builder
}

func (r *styledRow) add(style theme.Style, said string) {
	said = fitRow(said, r.width-r.used)
	r.used += displaywidth.String(said)
	r.WriteString(r.renderer.in(style, said))
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
		unread += b.rooms[i].news()
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
// If there is no room for all, the current one stays visible, then those with mentions, those with unread messages, and direct
// messages come first. A count at the end says how many are hidden, and how much is unread there, as in "+5" or "+5(12!)".
func (b *bars) roomsRow() string {
	state := b.state()
	width := b.width - displaywidth.String(state)
	var few [16]barItem
	items := b.barItems(few[:0])
	var foot [64]byte
	sign, reserved := foot[:0], 0
	for range 3 { // the count takes room, which may hide more
		fitBar(items, width-reserved)
		if sign = b.appendHidden(foot[:0], items); len(sign) <= reserved {
			break
		}
		reserved = len(sign)
	}
	var most [512]byte // rows fit
	row, used := most[:0], 0
	for i, it := range items {
		if !it.shown {
			continue
		}
		var label [2 * text.MaxName]byte
		item := b.appendItem(label[:0], &b.rooms[i], it)
		item = item[:min(len(item), max(0, width-len(sign)-used-1))]
		row = b.renderer.appendIn(b.appendStyled(row, it.style, item), theme.Bar, spaces[:1])
		used += len(item) + 1
	}
	if len(sign) > 0 {
		row = b.appendStyled(row, hiddenStyle(items), sign)
		used += len(sign)
	}
	row = b.renderer.appendIn(row, theme.Bar, spaces[:max(0, width-used)])
	if state != "" {
		row = b.renderer.appendIn(row, theme.BarMention, []byte(state))
	}
	return string(row)
}

var spaces = bytes.Repeat([]byte{' '}, MaxWidth)

// appendStyled appends the text of a room's item in its style. What is unread is in a badge where there are colors.
func (b *bars) appendStyled(row []byte, style theme.Style, item []byte) []byte {
	badge := theme.UnreadBadge
	if style == theme.BarMention {
		badge = theme.MentionBadge
	}
	count := bytes.IndexByte(item, '(')
	if count < 0 || style == theme.Bar || !b.renderer.styles.Colored() {
		return b.renderer.appendIn(row, style, item)
	}
	row = b.renderer.appendIn(row, style, item[:count])
	item[count] = ' '
	if last := len(item) - 1; item[last] == ')' {
		item[last] = ' '
	}
	return b.renderer.appendIn(row, badge, item[count:])
}

// barItem is a room in the bar. All of its text is ASCII: a byte is a cell.
type barItem struct {
	number int
	style  theme.Style
	direct bool
	width  int
	shown  bool
}

// barItems appends an item for each room.
func (b *bars) barItems(items []barItem) []barItem {
	for i := range b.rooms {
		r := &b.rooms[i]
		it := barItem{number: b.numbers.number(r.Name), style: theme.Bar, direct: r.Name.IsDirect()}
		switch {
		case r.Name == b.room:
			it.style = theme.BarActive
		case r.Mentions > 0:
			it.style = theme.BarMention
		case r.news() > 0:
			it.style = theme.BarUnread
		}
		var label [2 * text.MaxName]byte
		it.width = len(b.appendItem(label[:0], r, it))
		items = append(items, it)
	}
	return items
}

// appendItem appends the text of a room's item. What is unread in a hushed room is a number without emphasis.
func (b *bars) appendItem(dst []byte, r *Room, it barItem) []byte {
	dst = append(strconv.AppendInt(dst, int64(it.number), 10), ':')
	dst = r.Name.AppendFor(dst, b.me)
	switch it.style {
	case theme.BarMention:
		dst = append(strconv.AppendInt(append(dst, '('), int64(r.Unread), 10), "!)"...)
	case theme.BarUnread, theme.Bar:
		if r.Unread > 0 {
			dst = append(strconv.AppendInt(append(dst, '('), int64(r.Unread), 10), ')')
		}
	}
	return dst
}

// urgency is how early an item gets its place in the bar: 0 is first, and nothing is later than leastUrgent.
func (it *barItem) urgency() int {
	switch {
	case it.style == theme.BarActive:
		return 0
	case it.style == theme.BarMention:
		return 1
	case it.style == theme.BarUnread:
		return 2
	case it.direct:
		return 3
	}
	return leastUrgent
}

const leastUrgent = 4

// fitBar decides which items are shown in width: the most urgent ones, as many as there is room for. The active one always is,
// and is cut off if need be.
func fitBar(items []barItem, width int) {
	used := 0
	for urgency := range leastUrgent + 1 {
		for i := range items {
			it := &items[i]
			if it.urgency() != urgency {
				continue
			}
			it.shown = urgency == 0 || used+it.width < width
			if it.shown {
				used += it.width + 1
			}
		}
	}
}

// appendHidden appends how many items are hidden, and how many messages are unread there, with an ! if one of them mentions
// the person: "+5" or "+5(12!)"; on a narrow screen "+5!". If none is hidden it appends nothing.
func (b *bars) appendHidden(dst []byte, items []barItem) []byte {
	hidden, unread := 0, 0
	for i := range items {
		if !items[i].shown {
			hidden++
			unread += b.rooms[i].news()
		}
	}
	if hidden == 0 {
		return dst
	}
	dst = strconv.AppendInt(append(dst, '+'), int64(hidden), 10)
	named := hiddenStyle(items) == theme.BarMention
	switch {
	case b.width < narrowBar && named:
		return append(dst, '!')
	case b.width < narrowBar || unread == 0:
		return dst
	}
	dst = strconv.AppendInt(append(dst, '('), int64(unread), 10)
	if named {
		dst = append(dst, '!')
	}
	return append(dst, ')')
}

// narrowBar is how many cells a row needs for the count of unread messages in hidden rooms.
const narrowBar = 30

// hiddenStyle is the style of the most urgent hidden item.
func hiddenStyle(items []barItem) theme.Style {
	least := barItem{style: theme.Bar}
	for i := range items {
		if !items[i].shown && items[i].urgency() < least.urgency() {
			least = items[i]
		}
	}
	return least.style
}

// state is what the right end of the bar says.
func (b *bars) state() string {
	var long, short string
	if b.more {
		long, short = "more below: Esc", "more below"
		if b.below > 0 {
			long = strconv.Itoa(b.below) + " " + long
		}
	}
	if b.away {
		long, short = "away, "+long, "away, "+short
	}
	for _, s := range []string{long, short} {
		if s = strings.TrimSuffix(s, ", "); s != "" && len(s)+10 <= b.width {
			return "[" + s + "]"
		}
	}
	return ""
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
		return b.nextUnread(now, false), true
	case name == "alt+m":
		return b.nextUnread(now, true), true
	case name == "alt+o":
		return b.back(), true
	}
	if n, ok := roomNumber(name); ok {
		if i := slices.IndexFunc(b.rooms, func(r Room) bool { return b.numbers.number(r.Name) == n }); i >= 0 {
			room = b.rooms[i].Name
		}
		return room, true
	}
	return room, false
}

// back is the room that was shown before this one, if the person is still in it; zero if there is none.
func (b *bars) back() (room chat.RoomName) {
	if b.before.IsDirect() || slices.ContainsFunc(b.rooms, func(r Room) bool { return r.Name == b.before }) {
		return b.before
	}
	return room
}

// numbered is the room that a line such as "/go 12" names by its number. ok is false for other lines, and for numbers that no
// room has.
func (b *bars) numbered(line string) (room chat.RoomName, ok bool) {
	word, isGo := strings.CutPrefix(line, goLine)
	n, err := strconv.Atoi(strings.TrimSpace(word))
	if !isGo || err != nil {
		return room, false
	}
	i := slices.IndexFunc(b.rooms, func(r Room) bool { return b.numbers.number(r.Name) == n })
	if i < 0 {
		return room, false
	}
	return b.rooms[i].Name, true
}

// nextUnread is the next room after the one at now with a mention, or else, unless only those are wanted, with anything unread.
func (b *bars) nextUnread(now int, mentions bool) chat.RoomName {
	var unread chat.RoomName
	for i := range b.rooms {
		r := b.rooms[(now+1+i)%len(b.rooms)]
		switch {
		case r.Name == b.room:
		case r.Mentions > 0:
			return r.Name
		case r.news() > 0 && unread.IsZero() && !mentions:
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
	arranged := make([]Room, 0, len(rooms))
	for _, name := range *s {
		if i := slices.IndexFunc(rooms, func(r Room) bool { return r.Name == name }); i >= 0 {
			arranged = append(arranged, rooms[i])
		}
	}
	return arranged
}

// number is the number of a room; 0 if it has none.
func (s *roomNumbers) number(name chat.RoomName) int { return slices.Index(*s, name) + 1 }
