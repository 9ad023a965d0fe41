package view

import (
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/theme"
)

// scrollback is the messages of the room that a full screen shows, and how far up it is scrolled. It keeps no messages: it
// draws from the rooms' past.
type scrollback struct {
	options  *Options // what of them is read are Past, Lines and Me
	find     Find
	filter   func() *chat.Filter // of reactions; nil: all count
	selected selection
	renderer *renderer
	width    int // cells of a row

	room     Room                     // its name is always known
	known    bool                     // the rest of room is known
	entered  bool                     // the unread line is not decided on yet
	unread   uint64                   // Seq of the message that the unread line stands above; 0 for no line
	cleared  map[chat.RoomName]uint64 // the DisplaySeq of the last message that was cleared, until the person scrolls up
	notes    notes
	tail     tail        // the end of the room as it was drawn last
	position position    // what the message area ends with
	pending  int         // rows to scroll up, or down where it is negative, in the next frame
	height   int         // rows of messages in the last frame
	last     lastMessage // the last message that was laid out at the room's end
}

// enter switches to the end of another room.
func (s *scrollback) enter(room Room, known bool) {
	s.entered = true
	s.unselect()
	s.toEnd()
	s.setRoom(room, known)
}

// setRoom updates the current room, and reports whether its messages must be redrawn for that.
func (s *scrollback) setRoom(room Room, known bool) bool {
	older := s.room.Sealed != room.Sealed || s.room.Unlocked != room.Unlocked
	if older {
		s.tail = tail{}
	}
	draws := older || s.entered && known
	s.room, s.known = room, known
	s.decideUnread()
	return draws
}

// decideUnread places the unread line above what the person had not read when the room was entered. It stays there
// while marks rise, until the room is entered again.
func (s *scrollback) decideUnread() {
	if !s.entered || !s.known {
		return
	}
	s.entered, s.unread = false, 0
	r := s.room
	if r.Unread == 0 || s.options.Past == nil {
		return
	}
	for _, m := range s.all() {
		if m.Seq > r.Mark && m.From != s.options.Me && !amends(&m) {
			s.unread = m.Seq
			return
		}
	}
}

// newest is the DisplaySeq of the room's last message.
func (s *scrollback) newest(room chat.RoomName) uint64 {
	if s.options.Past == nil {
		return 0
	}
	if ms := s.options.Past.Before(room, 0, 1); len(ms) > 0 {
		return ms[0].DisplaySeq
	}
	return max(s.options.Past.First(), 1) - 1 // below what may be unlocked later
}

// note adds text for this person alone, below what the room shows now.
func (s *scrollback) note(room chat.RoomName, p theme.Style, text string) {
	s.notes.add(note{room: room, after: s.newest(room), style: p, text: text})
}

// clear hides the room's messages until the person scrolls up, and removes its notes.
func (s *scrollback) clear() {
	s.notes.clear(s.room.Name)
	if s.cleared == nil {
		s.cleared = make(map[chat.RoomName]uint64)
	}
	s.cleared[s.room.Name] = s.newest(s.room.Name)
	s.toEnd()
}

// following reports whether the room's end is visible.
func (s *scrollback) following() bool { return s.position == (position{}) && s.pending <= 0 }

// position is where the message area ends: below the message of that order, with skip of its rows, and of the notes below
// it, out of sight. The zero position follows the end of the room.
type position struct {
	order uint64
	skip  int
}

// group is a message's rows: separators above it, the message, and the notes below it.
type group struct {
	order uint64
	rows  []string
}

// roomEnd is how a frame ends that shows the room's end; zero for one that shows something else.
type roomEnd struct {
	order uint64      // of the newest message in it
	last  lastMessage // that one
	rows  int         // of the area that are in use; those below it are blank
}

// lastMessage is what the look of a message depends on that comes below it.
type lastMessage struct {
	turn
	day day
}

func (p *renderer) lastOf(m *chat.Message) lastMessage {
	return lastMessage{turnOf(m), dayOf(m.At, p.location)}
}

// draw fills the area's rows from the bottom up.
func (s *scrollback) draw(area int) ([]string, roomEnd) {
	if s.position == (position{}) && area > 0 && !s.selecting() {
		if s.tail.advance(s, area) {
			return s.fill(s.tail.groups, 0, area, s.tail.reached)
		}
	}
	groups := make([]group, 0, area) // from the last to the first
	total := 0
	reached := s.walk(s.position.order, s.cleared[s.room.Name], func(g group) bool {
		groups = append(groups, g)
		total += len(g.rows)
		return total-s.position.skip < area
	})
	slices.Reverse(groups)
	switch {
	case s.selecting():
		s.tail = tail{} // the mark is in the rows
	case s.position == (position{}):
		s.tail.keep(s, area, groups, reached)
	}
	return s.fill(groups, s.position.skip, area, reached)
}

// fill makes an area of the groups' last rows but for skip of them. A young room begins at the top.
func (s *scrollback) fill(groups []group, skip, area int, reached bool) ([]string, roomEnd) {
	rows := make([]string, 0, area)
	s.selected.first, s.selected.last = 0, 0
	for _, g := range slices.Backward(groups) {
		whole := skip == 0 && len(rows)+len(g.rows) <= area
		for _, row := range slices.Backward(g.rows) {
			if skip > 0 {
				skip--
			} else if len(rows) < area {
				rows = append(rows, row)
			}
		}
		if whole {
			s.selected.first, s.selected.last = g.order, max(s.selected.last, g.order)
		}
	}
	if reached && len(rows) < area {
		top := s.top(area - len(rows) + skip)
		rows = append(rows, top[min(skip, len(top)):]...)
	}
	slices.Reverse(rows)
	var end roomEnd
	if n := len(groups); n > 0 && groups[n-1].order > 0 && s.position == (position{}) {
		end = roomEnd{groups[n-1].order, s.last, len(rows)}
	}
	return append(rows, make([]string, area-len(rows))...), end
}

// maxTop is more rows than ever stand above the first message in memory.
const maxTop = 1000

// top is what stands above the first message in memory, the last row first; at most so many rows.
func (s *scrollback) top(room int) []string {
	r := s.room
	words := "-- 1 older line is sealed. To read it: /unlock. To learn more: /help history"
	switch {
	case s.cleared[r.Name] > 0:
		return nil
	case r.Unlocked != nil && r.Unlocked.Opening:
		words = "-- opening older lines"
	case r.Unlocked != nil && r.Sealed == 0:
		return nil
	case r.Unlocked != nil:
		words = fmt.Sprintf("-- %s not sealed to your password. To learn more: /history", text.Are(r.Sealed, "older line"))
	case r.Sealed == 0:
		if r.Name.IsZero() || s.options.Past != nil && len(s.options.Past.Before(r.Name, 0, 1)) > 0 {
			return nil
		}
		words = emptyRoom(r.Name, s.options.Me)
	case r.Sealed > 1:
		words = fmt.Sprintf("-- %d older lines are sealed. To read them: /unlock. To learn more: /help history", r.Sealed)
	}
	rows := s.renderer.note(words, theme.Notice, s.width)
	slices.Reverse(rows)
	return rows[:min(room, len(rows))]
}

// emptyRoom is what a room shows in which nothing was said yet: what to do there.
func emptyRoom(room chat.RoomName, me chat.Name) string {
	if room.IsDirect() {
		return "-- No messages yet. What you type here goes to " + room.For(me) + " alone; Enter sends it."
	}
	return "-- No messages yet. Type one, and Enter sends it to everyone in " + room.For(me) + ". /topic TEXT says what the room is about, " +
		"/names shows who is in it. For a list of commands: /help"
}

// walkChunk is how many messages are fetched at a time.
const walkChunk = 64

// walk goes through the room's groups from the one of the message at last (0: the end) upward, until visit says that
// it is enough, or it comes to the message at cleared, of which it shows only what stands below. It reports whether it
// came to the first message in memory, or to that.
func (s *scrollback) walk(last, cleared uint64, visit func(group) bool) (reached bool) {
	if s.options.Past == nil {
		return true
	}
	before, below := uint64(0), uint64(0) // below: the DisplaySeq of the message under the current one
	if last > 0 {
		before = last + 1
		below = s.orderAfter(last)
	}
	for {
		ms := s.options.Past.Before(s.room.Name, before, walkChunk)
		if len(ms) == 0 { // notes from before the first message
			if below == 0 {
				s.last = lastMessage{} // the first message comes below its day
			}
			visit(group{0, s.notes.between(s.renderer, s.room.Name, 0, below, s.width)})
			return true
		}
		for i := len(ms) - 1; i >= 0; i-- {
			m := &ms[i]
			if below == 0 {
				s.last = s.renderer.lastOf(m)
				if m.DisplaySeq <= cleared || s.notes.any(s.room.Name, m.DisplaySeq, 0) {
					s.last.turn = turn{}
				}
			}
			if m.DisplaySeq <= cleared {
				visit(group{m.DisplaySeq, s.notes.between(s.renderer, s.room.Name, cleared, below, s.width)})
				return true
			}
			var above *chat.Message
			if i > 0 {
				above = &ms[i-1]
			} else if older := s.options.Past.Before(s.room.Name, m.DisplaySeq, 1); len(older) > 0 {
				above = &older[0]
			}
			g := group{m.DisplaySeq, s.groupRows(m, above)}
			g.rows = append(g.rows, s.notes.between(s.renderer, s.room.Name, m.DisplaySeq, below, s.width)...)
			below = m.DisplaySeq
			if !visit(g) {
				return false
			}
		}
		before = ms[0].DisplaySeq
	}
}

// groupRows is a message with the separators above it.
func (s *scrollback) groupRows(m, above *chat.Message) []string {
	var rows []string
	if above == nil || dayOf(above.At, s.renderer.location) != dayOf(m.At, s.renderer.location) {
		rows = append(rows, s.renderer.divider(theme.Day, s.renderer.day(m.At), s.width))
	}
	if m.Seq > 0 && m.Seq == s.unread {
		rows = append(rows, s.renderer.divider(theme.Unread, "unread", s.width))
	}
	if amends(m) {
		return rows // shown in the message that it changes
	}
	var t turn
	if len(rows) == 0 && above.DisplaySeq > s.cleared[s.room.Name] && !s.notes.any(s.room.Name, above.DisplaySeq, m.DisplaySeq) {
		t = turnOf(above)
	}
	v := s.renderer.variant(m, s.width, t)
	if s.selecting() && m.DisplaySeq == s.selected.order {
		v |= variantSelected
	}
	by := beside{s.quoteOf(m), s.reactionsTo(m)}
	if m.DisplaySeq < s.options.Past.First() { // its text is cleared when it is locked again, and no other session has it
		own := *m
		own.Text = m.Text.Clone()
		return append(rows, s.renderer.message(&own, s.width, v, by)...)
	}
	return append(rows, s.options.Lines.rows(s.renderer, m, s.width, v, by)...)
}

// below counts the messages below those that are shown; 0 at the room's end.
func (s *scrollback) below() int {
	if s.position.order == 0 {
		return 0
	}
	n := 0
	for _, m := range slices.Backward(s.all()) {
		if m.DisplaySeq <= s.position.order {
			break
		}
		if m.Kind.Stored() && !amends(&m) {
			n++
		}
	}
	return n
}

// amends reports whether m changes another message, or its reactions.
func amends(m *chat.Message) bool { return m.Kind.Amends() || m.Kind.Reacts() }

// orderAfter is the order of the message that follows the one at order; 0 if it is the last.
func (s *scrollback) orderAfter(order uint64) uint64 {
	ms, more := s.options.Past.After(s.room.Name, order, 1)
	switch {
	case len(ms) > 0:
		return ms[0].DisplaySeq
	case more:
		return order + 1
	}
	return 0
}

// all is everything memory has of the room. It is for scrolling: a frame at the room's end does without.
func (s *scrollback) all() []chat.Message {
	return s.options.Past.Before(s.room.Name, 0, chat.LogLines)
}

func find(ms []chat.Message, order uint64) (int, bool) {
	return slices.BinarySearchFunc(ms, order, func(m chat.Message, order uint64) int {
		switch {
		case m.DisplaySeq < order:
			return -1
		case m.DisplaySeq > order:
			return 1
		}
		return 0
	})
}

// maxScroll is how many rows one frame scrolls at most: a key that is held down arrives a few times per frame, and
// a client that sends thousands must not cause everything in memory to be rendered for each frame.
const maxScroll = 1000

// page is how many rows Page Up scrolls.
func (s *scrollback) page() int { return max(1, s.height-1) }

// wheel is how many rows a notch of the mouse wheel scrolls.
const wheel = 3

// handleKey scrolls, and reports whether the key is for that.
func (s *scrollback) handleKey(name string) bool {
	switch name {
	case "pgup":
		s.scrollBy(s.page())
	case "pgdown":
		s.scrollBy(-s.page())
	case "shift+up":
		s.scrollBy(1)
	case "shift+down":
		s.scrollBy(-1)
	case "wheelup":
		s.scrollBy(wheel)
	case "wheeldown":
		s.scrollBy(-wheel)
	case "esc":
		s.toEnd()
	default:
		return false
	}
	return true
}

// scrollBy scrolls up by so many rows, or down if negative, in the next frame. The rate of frames is limited, that of keys is not.
func (s *scrollback) scrollBy(rows int) {
	s.pending = min(max(s.pending+rows, -maxScroll), maxScroll)
}

// scroll applies the scrolling since the last frame, in an area of so many rows.
func (s *scrollback) scroll(area int) {
	s.height = area
	s.keepInMemory()
	rows := s.pending
	s.pending = 0
	if _, cleared := s.cleared[s.room.Name]; cleared && rows > 0 { // scrolling up first shows the cleared messages
		delete(s.cleared, s.room.Name)
		rows = 0
	}
	if rows > 0 {
		s.scrollUp(rows, area)
	} else if rows < 0 {
		s.scrollDown(-rows)
	}
}

// keepInMemory moves the position to the oldest messages if the one it names is not in memory any more.
func (s *scrollback) keepInMemory() {
	if s.position.order == 0 || len(s.options.Past.Before(s.room.Name, s.position.order+1, 1)) > 0 {
		return
	}
	ms := s.all()
	if len(ms) == 0 {
		s.position = position{}
		return
	}
	s.setPosition(ms[min(s.height, len(ms))-1].DisplaySeq, 0)
}

// scrollUp moves n rows towards the past, and stops where the first row in memory is at the top.
func (s *scrollback) scrollUp(n, height int) {
	var sizes []int
	var orders []uint64
	total := 0
	reached := s.walk(s.position.order, 0, func(g group) bool {
		sizes, orders = append(sizes, len(g.rows)), append(orders, g.order)
		total += len(g.rows)
		return total < s.position.skip+n+height
	})
	if reached {
		total += len(s.top(maxTop))
	}
	skip := min(s.position.skip+n, max(0, total-height))
	for i, size := range sizes {
		// What stands above the first message has no DisplaySeq of its own: it is reached by skipping that message.
		if last := i == len(sizes)-1; skip < size || last || orders[i+1] == 0 {
			s.setPosition(orders[i], skip)
			return
		}
		skip -= size
	}
}

// scrollDown moves n rows towards the end.
func (s *scrollback) scrollDown(n int) {
	if s.position.skip >= n {
		s.setPosition(s.position.order, s.position.skip-n)
		return
	}
	n -= s.position.skip
	last := s.position.order
	var above *chat.Message
	if ms := s.options.Past.Before(s.room.Name, last+1, 1); len(ms) > 0 {
		above = &ms[0]
	}
	for s.position.order > 0 {
		ms, more := s.options.Past.After(s.room.Name, last, walkChunk)
		if more && len(ms) == 0 {
			s.setPosition(last, 0)
			return
		}
		if len(ms) == 0 {
			break
		}
		for i := range ms {
			last = ms[i].DisplaySeq
			var below uint64
			if i+1 < len(ms) {
				below = ms[i+1].DisplaySeq
			} else {
				below = s.orderAfter(last)
			}
			size := len(s.groupRows(&ms[i], above)) + len(s.notes.between(s.renderer, s.room.Name, last, below, s.width))
			if size >= n {
				s.setPosition(last, size-n)
				return
			}
			n -= size
			above = &ms[i]
		}
	}
	s.position = position{}
}

// toEnd follows the end of the room.
func (s *scrollback) toEnd() { s.position, s.pending = position{}, 0 }

// setPosition sets where the area ends; at the very end it follows the room.
func (s *scrollback) setPosition(order uint64, skip int) {
	s.position = position{order, skip}
	if skip == 0 && (order == 0 || s.orderAfter(order) == 0) {
		s.position = position{}
	}
}

// maxAdvance is how many new messages a frame adds to the tail; more are drawn from the start.
const maxAdvance = 16

// tail is the end of a room as it was drawn last, so that the next frame looks only at new messages. Its rows are
// those of Lines, shared with the other sessions.
type tail struct {
	groups  []group
	reached bool // the groups begin with the first in memory

	// What they were drawn for:

	room     chat.RoomName
	renderer *renderer
	width    int
	area     int
	unread   uint64
	clear    uint64
	notes    int // their version
}

// keep remembers what was drawn.
func (t *tail) keep(s *scrollback, area int, groups []group, reached bool) {
	*t = tail{groups, reached, s.room.Name, s.renderer, s.width, area, s.unread, s.cleared[s.room.Name], s.notes.version}
}

// advance adds what has come since, and reports false if the tail does not suffice for that.
func (t *tail) advance(s *scrollback, area int) bool {
	if len(t.groups) == 0 || t.room != s.room.Name || t.renderer != s.renderer || t.width != s.width || t.area != area ||
		t.unread != s.unread || t.clear != s.cleared[s.room.Name] || t.notes != s.notes.version {
		return false
	}
	ms := s.options.Past.Before(s.room.Name, 0, maxAdvance)
	last := t.groups[len(t.groups)-1].order
	i := slices.IndexFunc(ms, func(m chat.Message) bool { return m.DisplaySeq == last })
	if i < 0 {
		return false
	}
	for i++; i < len(ms); i++ {
		if amends(&ms[i]) { // it changed what stands above
			return false
		}
		rows := s.groupRows(&ms[i], &ms[i-1])
		t.trim(area - len(rows)) // before there are more of them than there is room for
		t.groups = append(t.groups, group{ms[i].DisplaySeq, rows})
		s.last = s.renderer.lastOf(&ms[i])
	}
	return true
}

// trim drops groups that are out of sight.
func (t *tail) trim(area int) {
	rows := 0
	for i, g := range slices.Backward(t.groups) {
		if rows += len(g.rows); rows >= area && i > 0 {
			t.groups = slices.Delete(t.groups, 0, i)
			t.reached = false
			return
		}
	}
}
