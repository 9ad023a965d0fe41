package view

import (
	"slices"

	"sshchat/sshchat/chat"
)

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
