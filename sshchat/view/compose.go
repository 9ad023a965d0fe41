package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// How the rows of a screen are shared out: what there is no room for is left out, the bar before the input.
const (
	rowsForTopic = 7 // a terminal of fewer rows has no topic line
	rowsForBar   = 3 // nor a bar
	maxBox       = 5 // rows of the input
)

// compose makes the frame that shows the state as it is.
func (f *Full) compose() frame {
	box, row, column := f.box()
	area := f.area(len(box))
	f.scroll(area)
	f.dress()
	fr := frame{rows: make([]string, 0, f.rows), column: column, title: f.chrome.title}
	if f.rows >= rowsForTopic {
		fr.rows = append(fr.rows, f.chrome.topic)
	}
	fr.top, fr.bottom = len(fr.rows), len(fr.rows)+area
	if f.overlay != nil {
		news := f.notes.news(f.paint, f.width(), min(longAnswer, area/2))
		fr.rows = append(fr.rows, f.overlay.draw(f.paint, f.width(), area-len(news))...)
		fr.rows = append(fr.rows, news...)
	} else {
		fr.rows = append(fr.rows, f.messages(area)...)
		f.notes.drawn()
	}
	if f.rows >= rowsForBar {
		fr.rows = append(fr.rows, f.chrome.bar)
	}
	fr.row = len(fr.rows) + row
	fr.rows = append(fr.rows, box...)
	return fr
}

// area is how many rows the messages have beside an input of so many rows.
func (f *Full) area(box int) int {
	area := f.rows - box
	if f.rows >= rowsForTopic {
		area--
	}
	if f.rows >= rowsForBar {
		area--
	}
	return max(area, 0)
}

// chrome is what a frame shows beside messages and input. It changes when rooms do, and not with each message.
type chrome struct {
	made              bool
	more              bool // there is more below
	topic, bar, title string
}

// dress makes the chrome anew where it has changed.
func (f *Full) dress() {
	more := f.from.order > 0
	if !f.chrome.made || f.chrome.more != more {
		f.chrome = chrome{true, more, f.topic(), f.bar(), f.windowTitle()}
	}
}

// topic is the first row: the room, who is there, and what it is about.
func (f *Full) topic() string {
	if f.room.IsZero() {
		return f.paint.in(partTopic, pad(" "+f.options.Server, f.width()))
	}
	r := f.here()
	said := " " + f.room.For(f.options.Me)
	if !f.room.IsDirect() && r.Members > 0 {
		said += fmt.Sprintf("  %d of %d here", r.Here, r.Members)
	}
	if r.Topic != "" {
		said += "  " + string(text.AppendPrintable(nil, r.Topic, false))
	}
	return f.paint.in(partTopic, pad(said, f.width()))
}

// pad cuts or fills a text to exactly width cells.
func pad(s string, width int) string {
	s = fitRow(s, width)
	return s + strings.Repeat(" ", max(0, width-displaywidth.String(s)))
}

// windowTitle names the room, and how much is unread.
func (f *Full) windowTitle() string {
	unread := 0
	for _, r := range f.rooms {
		unread += r.Unread
	}
	title := f.options.Server
	if !f.room.IsZero() {
		title = f.room.For(f.options.Me) + " - " + title
	}
	if unread > 0 {
		title = fmt.Sprintf("(%d) %s", unread, title)
	}
	return title
}

// bar is the row of the rooms, each with what is unread of it, as in "1:#general 2:#dev(3) 3:@bob(1!)".
// Where there is no room for all, the one that is shown stays in sight, and a sign at the end counts those with something
// unread that are not, as in "+2!".
func (f *Full) bar() string {
	state := f.state()
	width := f.width() - displaywidth.String(state)
	items := f.barItems()
	shown, sign, room := fitBar(items, width), "", 0
	for range 3 { // the sign takes room, which may take more out of sight
		next := f.hiddenUnread(items, shown)
		if sign = next; len(next) <= room {
			break
		}
		room = len(next)
		shown = fitBar(items, width-room)
	}
	var b strings.Builder
	used := 0
	for _, it := range items[shown.from:shown.to] {
		item := fitRow(it.text, max(0, width-len(sign)-used-1))
		b.WriteString(f.paint.in(it.part, item) + " ")
		used += displaywidth.String(item) + 1
	}
	if sign != "" {
		part := partBarUnread
		if strings.HasSuffix(sign, "!") {
			part = partBarMention
		}
		b.WriteString(f.paint.in(part, sign))
		used += len(sign)
	}
	return b.String() + strings.Repeat(" ", max(0, width-used)) + f.paint.in(partBarMention, state)
}

// barItem is a room in the bar.
type barItem struct {
	text   string
	part   part
	active bool
}

func (f *Full) barItems() []barItem {
	var items []barItem
	for _, r := range f.rooms {
		it := barItem{fmt.Sprintf("%d:%s", f.slots.number(r.Name), r.Name.For(f.options.Me)), partBar, false}
		switch {
		case r.Name == f.room:
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
func (f *Full) hiddenUnread(items []barItem, shown stretch) string {
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
func (f *Full) state() string {
	var words []string
	if f.look.Away {
		words = append(words, "away")
	}
	if f.from.order > 0 {
		words = append(words, "more below")
	}
	s := strings.Join(words, ", ")
	if s == "" || len(s)+10 > f.width() {
		return ""
	}
	return "[" + s + "]"
}

// place is where the message area ends: below the message of that order, with skip of its rows, and of the notes below
// it, out of sight. The zero place is the room's end, whatever comes.
type place struct {
	order uint64
	skip  int
}

// group is a message's rows: separators above it, the message, and the notes below it.
type group struct {
	order uint64
	rows  []string
}

// messages fills the area's rows from the bottom up.
func (f *Full) messages(area int) []string {
	if f.from == (place{}) && area > 0 {
		if rows, ok := f.tail.advance(f, area); ok {
			return rows
		}
	}
	var groups []group // from the last to the first
	total := 0
	reached := f.walk(f.from.order, f.cleared[f.room], func(g group) bool {
		groups = append(groups, g)
		total += len(g.rows)
		return total-f.from.skip < area
	})
	slices.Reverse(groups)
	if f.from == (place{}) {
		f.tail.keep(f, area, groups, reached)
	}
	return f.fill(groups, f.from.skip, area, reached)
}

// fill makes an area of the groups' last rows but for skip of them. A young room begins at the top.
func (f *Full) fill(groups []group, skip, area int, reached bool) []string {
	rows := make([]string, 0, area)
	for _, g := range slices.Backward(groups) {
		for _, row := range slices.Backward(g.rows) {
			if skip > 0 {
				skip--
			} else if len(rows) < area {
				rows = append(rows, row)
			}
		}
	}
	if reached && len(rows) < area {
		rows = append(rows, f.top(area-len(rows))...)
	}
	slices.Reverse(rows)
	return append(rows, make([]string, area-len(rows))...)
}

// top is what stands above the first message in memory, the last row first.
func (f *Full) top(room int) []string {
	r := f.here()
	if r.Sealed == 0 || f.cleared[f.room] > 0 {
		return nil
	}
	text := "-- 1 older line is sealed: /unlock reads it here, /help history tells more"
	if r.Sealed > 1 {
		text = fmt.Sprintf("-- %d older lines are sealed: /unlock reads them here, /help history tells more", r.Sealed)
	}
	rows := f.paint.text(text, partNotice, f.width())
	slices.Reverse(rows)
	return rows[:min(room, len(rows))]
}

// walkChunk is how many messages are looked at in one go.
const walkChunk = 64

// walk goes through the room's groups from the one of the message at last (0: the end) upward, until visit says that
// it is enough, or it comes to the message at cleared, of which it shows only what stands below. It reports whether it
// came to the first message in memory, or to that.
func (f *Full) walk(last, cleared uint64, visit func(group) bool) (reached bool) {
	if f.options.Past == nil {
		return true
	}
	before, below := uint64(0), uint64(0) // below: the order of the message under the one at hand
	if last > 0 {
		before = last + 1
		below = f.orderAfter(last)
	}
	for {
		ms := f.options.Past(f.room, before, walkChunk)
		if len(ms) == 0 { // above all that was said stands what this person was told before
			visit(group{0, f.notes.between(f.paint, f.room, 0, below, f.width())})
			return true
		}
		for i := len(ms) - 1; i >= 0; i-- {
			m := &ms[i]
			if m.Order <= cleared {
				visit(group{m.Order, f.notes.between(f.paint, f.room, cleared, below, f.width())})
				return true
			}
			var above *chat.Message
			if i > 0 {
				above = &ms[i-1]
			} else if older := f.options.Past(f.room, m.Order, 1); len(older) > 0 {
				above = &older[0]
			}
			g := group{m.Order, f.groupRows(m, above)}
			g.rows = append(g.rows, f.notes.between(f.paint, f.room, m.Order, below, f.width())...)
			below = m.Order
			if !visit(g) {
				return false
			}
		}
		before = ms[0].Order
	}
}

// groupRows is a message with the separators above it.
func (f *Full) groupRows(m, above *chat.Message) []string {
	var rows []string
	if above == nil || !f.paint.sameDay(above.At, m.At) {
		rows = append(rows, f.paint.in(partDay, fitRow(f.paint.day(m.At), f.width())))
	}
	if m.Seq > 0 && m.Seq == f.unread {
		rows = append(rows, f.paint.in(partUnread, fitRow("-- unread "+strings.Repeat("-", f.width()), f.width())))
	}
	if m.Kind == chat.Edit || m.Kind == chat.Delete {
		return rows // shown as what became of the message they mean
	}
	return append(rows, f.options.Lines.rows(f.paint, m, f.width())...)
}

// orderAfter is the order of the message that follows the one at order; 0 where it is the last.
func (f *Full) orderAfter(order uint64) uint64 {
	ms := f.all()
	if i, found := f.find(ms, order); found && i+1 < len(ms) {
		return ms[i+1].Order
	}
	return 0
}

// all is everything memory has of the room. It is for scrolling: a frame at the room's end does without.
func (f *Full) all() []chat.Message { return f.options.Past(f.room, 0, chat.LogLines) }

func (f *Full) find(ms []chat.Message, order uint64) (int, bool) {
	return slices.BinarySearchFunc(ms, order, func(m chat.Message, order uint64) int {
		switch {
		case m.Order < order:
			return -1
		case m.Order > order:
			return 1
		}
		return 0
	})
}
