package view

import (
	"bytes"
	"iter"

	"github.com/clipperhouse/displaywidth"
)

// indent stands before every row of a text but its first, so that no text can look like a line of its own.
const indent = 2

// wrap yields the rows of one line of printable text: at most first cells, then at most rest cells each.
// It breaks at spaces, and within a word only where the word alone is too long.
func wrap(b []byte, first, rest int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for limit := first; ; limit = rest {
			row, more := cut(b, limit)
			if !yield(row) || len(more) == 0 {
				return
			}
			b = more
		}
	}
}

// cut splits b into a row of at most limit cells and what follows it. A cluster that is wider than a whole row
// is shown as a question mark: rather that than a terminal that breaks it as it likes.
func cut(b []byte, limit int) (row, more []byte) {
	if len(b) <= limit { // cells never outnumber bytes
		return b, nil
	}
	at, width, space := 0, 0, 0
	for g := displaywidth.BytesGraphemes(b); g.Next(); {
		cluster, w := g.Value(), g.Width()
		blank := len(cluster) == 1 && cluster[0] == ' '
		if blank && at > 0 && b[at-1] != ' ' {
			space = at
		}
		if width+w <= limit {
			width += w
			at += len(cluster)
			continue
		}
		switch {
		case space > 0:
			return b[:space], bytes.TrimLeft(b[space:], " ")
		case at > 0:
			return b[:at], b[at:]
		}
		return question, b[len(cluster):]
	}
	return b, nil
}

var question = []byte{'?'}

// The two format characters that texts keep: they shape the letters or emoji around them and take no room.
const (
	joiner    = '\u200d'
	nonJoiner = '\u200c'
)

// cells is how many columns b takes on a terminal, by grapheme cluster. It is never more than len(b):
// whatever is two columns wide has at least three bytes.
func cells(b []byte) int { return displaywidth.Bytes(b) }
