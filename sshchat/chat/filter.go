package chat

// Filter is what a person does not want to be shown. The zero Filter shows everything.
type Filter struct {
	Ignore map[Name]bool // nothing of theirs, in direct rooms neither
	Focus  map[Name]bool // in rooms, these people alone; empty: everybody
	Quiet  bool          // no comings and goings
}

// Shows reports whether me is to see m. One's own messages, and what the server says, always show.
func (f *Filter) Shows(m *Message, me Name) bool {
	switch {
	case m.From == me:
		return true
	case m.From.IsZero():
		return !f.Quiet || m.Kind != Comings
	case f.Ignore[m.From]:
		return false
	case m.Kind == Notice: // what somebody did to the room
		return true
	}
	return len(f.Focus) == 0 || m.Room.IsDirect() || f.Focus[m.From]
}
