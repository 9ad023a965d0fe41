package view

import (
	"slices"

	"sshchat/sshchat/chat"
)

// maxAdvance is how many new messages a frame adds to the tail; more are drawn from the start.
const maxAdvance = 16

// tail is the end of a room as it was drawn last, so that the next frame looks at what is new and nothing else. Its rows
// are those of Lines, shared with the other sessions.
type tail struct {
	groups  []group
	reached bool // the groups begin with the first in memory

	// What they were drawn for:

	room   chat.RoomName
	paint  *paint
	width  int
	area   int
	unread uint64
	clear  uint64
	sealed int
	notes  int // their version
}

// keep remembers what was drawn.
func (t *tail) keep(f *Full, area int, groups []group, reached bool) {
	*t = tail{groups, reached, f.room, f.paint, f.width(), area, f.unread, f.cleared[f.room], f.here().Sealed, f.notes.version}
}

// advance adds what has come since, and returns the area's rows; ok is false where that cannot be told from the tail.
func (t *tail) advance(f *Full, area int) (rows []string, ok bool) {
	if len(t.groups) == 0 || t.room != f.room || t.paint != f.paint || t.width != f.width() || t.area != area ||
		t.unread != f.unread || t.clear != f.cleared[f.room] || t.sealed != f.here().Sealed || t.notes != f.notes.version {
		return nil, false
	}
	ms := f.options.Past(f.room, 0, maxAdvance)
	last := t.groups[len(t.groups)-1].order
	i := slices.IndexFunc(ms, func(m chat.Message) bool { return m.Order == last })
	if i < 0 {
		return nil, false
	}
	for i++; i < len(ms); i++ {
		if ms[i].Kind == chat.Edit || ms[i].Kind == chat.Delete { // it changed what stands above
			return nil, false
		}
		t.groups = append(t.groups, group{ms[i].Order, f.groupRows(&ms[i], &ms[i-1])})
	}
	t.trim(area)
	return f.fill(t.groups, 0, area, t.reached), true
}

// trim lets go of groups that are out of sight.
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
