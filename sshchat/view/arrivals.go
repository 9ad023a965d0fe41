package view

import (
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/alert"
	"sshchat/sshchat/view/theme"
)

// arrivals are new messages that need no new frame: they are written below those on the screen, which scroll up. The bytes
// are the same for all screens that show them alike, and made once.
type arrivals struct {
	fresh    []*chat.Message // of the current Deliver
	messages []*encoded
}

// Sessions have arrivals only between Deliver and Flush.
var arrivalsPool = sync.Pool{New: func() any { return new(arrivals) }}

// release returns a to the pool, and returns nil.
func (a *arrivals) release() *arrivals {
	if a != nil {
		clear(a.messages) // the cache decides for how long they are kept
		a.messages = a.messages[:0]
		arrivalsPool.Put(a)
	}
	return nil
}

// Deliver implements Display.
func (f *Full) Deliver(spans []chat.Span) {
	for i := range spans {
		s := &spans[i]
		if s.Gap.Count() > 0 {
			f.note(s.Room, theme.Notice, gapText(s, f.options.Me)+": they came faster than this terminal could show them")
		}
		for j := range s.Entries {
			switch m := &s.Entries[j]; {
			case s.Room.IsZero():
				if s.Shows(m) {
					f.ownEntry(m)
				}
			case amends(m):
				f.changed(m)
			case s.Shows(m):
				f.arrived(m)
			}
		}
	}
	if f.added != nil {
		f.add(f.added)
	}
}

// ownEntry shows an entry of the person's own log.
func (f *Full) ownEntry(m *chat.Message) {
	switch {
	case m.Kind == chat.Joined:
		f.note(f.room, theme.Notice, "-- you are now in "+m.Room.For(f.options.Me))
	case m.Kind == chat.Parted:
		f.note(f.room, theme.Notice, "-- you are no longer in "+m.Room.For(f.options.Me))
	case m.Kind == chat.Notice && m.Room.IsZero():
		f.note(f.room, theme.Notice, "-- "+m.Text.String())
	}
}

// changed handles an edit or a deletion, also by an ignored person: a deleted message must disappear.
func (f *Full) changed(m *chat.Message) {
	if m.Room == f.room {
		f.messages.tail = tail{}
		f.stale = true
	}
}

// arrived handles a message or a notice. Of other rooms the bar shows what Rooms sets.
func (f *Full) arrived(m *chat.Message) {
	f.ringing = f.ringing || alert.Wants(f.preferences.Bell, m, f.options.Me, f.options.filter())
	switch {
	case m.Room != f.room || f.stale:
	case f.messages.selecting():
		f.stale = true
	case m.DisplaySeq > 0 && m.DisplaySeq <= f.end.order: // a frame has shown it already: the past is ahead of deliveries
	case f.end.rows == 0 || f.screen.bottom-f.screen.top < 2:
		f.stale = true
	default:
		if f.added == nil {
			f.added = arrivalsPool.Get().(*arrivals)
		}
		f.added.fresh = append(f.added.fresh, m)
		f.end.order = m.DisplaySeq
	}
}

// add prepares the fresh messages for the next Flush, which writes them below the others. If more has to change, it redraws.
func (f *Full) add(a *arrivals) {
	fresh := a.fresh
	if over := len(fresh) - (f.screen.bottom - f.screen.top); over > 0 { // these would be out of sight at once
		f.end.last = f.renderer.lastOf(fresh[over-1])
		fresh = fresh[over:]
	}
	for _, m := range fresh {
		e := f.options.Lines.scroll(f.renderer, m, f.messages.width, f.end.last.turn)
		if e == nil || e.day != f.end.last.day {
			f.stale = true
			break
		}
		a.messages = append(a.messages, e)
		f.end.last.turn = turnOf(m)
	}
	clear(a.fresh)
	a.fresh = a.fresh[:0]
}
