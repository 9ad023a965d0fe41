package chat

// Span is a run of entries of one log, as they stand in it.
type Span struct {
	Room    RoomName  // zero: the person's own log, whose entries each name their room
	Gap     Gap       // messages that came and went before the reader could take them; they precede Entries
	Entries []Message // the log's own array: never written to, not kept

	// Not all of it is shown to everybody:

	Filter *Filter // nil: everything
	Me     Name
}

// Shows reports whether the person is shown m, an entry of the span.
func (s *Span) Shows(m *Message) bool { return s.Filter == nil || s.Filter.Shows(m, s.Me) }
