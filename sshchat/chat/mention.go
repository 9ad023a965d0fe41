package chat

// Mentions reports whether somebody else says m to me, or names me in it.
func (m *Message) Mentions(me Name) bool {
	return m.said() && m.From != me && (m.Room.IsDirect() || m.Text.Mentions(me))
}
