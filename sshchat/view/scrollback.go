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
	options  *Options // what of them is read are Past, Lines, Me and Filter
	find     Find
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
