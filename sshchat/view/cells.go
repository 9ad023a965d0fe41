package view

import "github.com/clipperhouse/displaywidth"

// The two format characters that texts keep: they shape the letters or emoji around them and take no room.
const (
	joiner    = '\u200d'
	nonJoiner = '\u200c'
)

// cells is how many columns b takes on a terminal, by grapheme cluster. It is never more than len(b):
// whatever is two columns wide has at least three bytes.
func cells(b []byte) int { return displaywidth.Bytes(b) }
