package view

import (
	"bytes"
	"iter"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/output"
)

// row is the input row of a plain terminal: the prompt and the line. It knows what the terminal shows, so that an update
// writes only the difference, with backspaces and no other control bytes.
type row struct {
	shown []byte
	at    int // the cursor's column
}

// update makes the row show want, with the cursor in the given column, which must be a cluster's.
func (r *row) update(w *output.Buffer, want []byte, cursor int) {
	same := commonClusters(r.shown, want)
	if same < len(r.shown) || same < len(want) {
		keep := cells(r.shown[:same])
		old := cells(r.shown[same:])
		r.move(w, keep)
		w.Text(want[same:])
		fresh := cells(want[same:])
		w.Spaces(old - fresh)
		r.shown = append(r.shown[:same], want[same:]...)
		r.at = keep + max(old, fresh)
	}
	r.move(w, cursor)
}

// erase leaves the row blank and the cursor at its start.
func (r *row) erase(w *output.Buffer) {
	if len(r.shown) > 0 {
		w.Home()
		w.Spaces(cells(r.shown))
	}
	if r.at > 0 || len(r.shown) > 0 {
		w.Home()
	}
	r.forget()
}

// commit leaves the row as it is and goes to the next one.
func (r *row) commit(w *output.Buffer) {
	w.Newline()
	r.forget()
}

// forget resets the row: the cursor is at the start of a blank one.
func (r *row) forget() { *r = row{shown: r.shown[:0]} }

// move moves the cursor to a column by the shorter way. To the right that means writing the same text again.
func (r *row) move(w *output.Buffer, column int) {
	if column < r.at {
		if n := r.offset(column); n+1 < r.at-column {
			w.Home()
			w.Text(r.shown[:n])
		} else {
			w.Back(r.at - column)
		}
	} else if column > r.at {
		w.Text(r.shown[r.offset(r.at):r.offset(column)])
	}
	r.at = column
}

// offset is where in shown the cluster in a column begins.
func (r *row) offset(column int) int {
	at, width := 0, 0
	for g := displaywidth.BytesGraphemes(r.shown); width < column && g.Next(); {
		at += len(g.Value())
		width += g.Width()
	}
	return at
}

// commonClusters is how many bytes of whole clusters a and b begin with alike.
func commonClusters(a, b []byte) int {
	n := 0
	ga, gb := displaywidth.BytesGraphemes(a), displaywidth.BytesGraphemes(b)
	for ga.Next() && gb.Next() && bytes.Equal(ga.Value(), gb.Value()) {
		n += len(ga.Value())
	}
	return n
}

// viewport is the part of a line that a row has room for. It moves by more than a cluster at a time, so that most keys
// change one character of the row and not all of it.
type viewport struct {
	from int // the first cluster shown
}

const (
	hidden     = '<' // shown first if the line begins further left
	hiddenRoom = 8   // cells a row must have to show it
)

// fit moves the viewport so that the cursor is within room cells.
func (v *viewport) fit(l *editor.Line, room int) {
	if l.At == 0 {
		v.from = 0
		return
	}
	if v.from >= l.At {
		v.from = firstWithin(l, l.At, room/2)
	}
	first := firstWithin(l, l.At, room)
	if first > 0 {
		first = firstWithin(l, l.At, room-markWidth(room))
	}
	if v.from < first {
		v.from = firstWithin(l, l.At, room*2/3-markWidth(room))
	}
}

// markWidth is how many of the room's cells show that the line begins further left.
func markWidth(room int) int {
	if room < hiddenRoom {
		return 0
	}
	return 1
}

// firstWithin is the first cluster from which no more than room cells lead up to cluster at.
func firstWithin(l *editor.Line, at, room int) int {
	for at > 0 {
		_, w := glyph(l.Cluster(at - 1))
		if room -= w; room < 0 {
			break
		}
		at--
	}
	return at
}

// draw appends what the viewport shows in room cells, and returns the column of the cursor in it.
func (v *viewport) draw(dst []byte, l *editor.Line, room int) (b []byte, cursor int) {
	column := 0
	if v.from > 0 {
		column = markWidth(room)
		if column > 0 {
			dst = append(dst, hidden)
		}
	}
	cursor = column
	for i := v.from; i < l.Len(); i++ {
		g, w := glyph(l.Cluster(i))
		if column+w > room {
			break
		}
		dst = append(dst, g...)
		column += w
		if i < l.At {
			cursor = column
		}
	}
	return dst, cursor
}

// newlineSign represents a newline in a row. It is ASCII: a plain terminal may support nothing else.
var newlineSign = []byte(`\n`)

// glyph is what a row shows of a cluster and its width, which is never 0. What would join its neighbour on the left,
// as a mark without a letter does, is shown as a question mark: the cursor must be able to stand before it.
func glyph(cluster []byte, w int) ([]byte, int) {
	if len(cluster) == 1 {
		if cluster[0] == '\n' {
			return newlineSign, len(newlineSign)
		}
		return cluster, 1
	}
	r, _ := utf8.DecodeRune(cluster)
	if w == 0 || r == joiner || r == nonJoiner || unicode.Is(unicode.M, r) {
		return questionMark, 1
	}
	return cluster, w
}

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
// is shown as a question mark, since terminals differ in how they would break it.
func cut(b []byte, limit int) (row, more []byte) {
	if len(b) <= limit { // a byte is at most one cell
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
		return questionMark, b[len(cluster):]
	}
	return b, nil
}

var questionMark = []byte{'?'}

// The two format characters that texts keep: they shape the letters or emoji around them and take no room.
const (
	joiner    = '\u200d'
	nonJoiner = '\u200c'
)

// cells is how many columns b takes on a terminal, by grapheme cluster. It is never more than len(b):
// a character that is two columns wide has at least three bytes.
func cells(b []byte) int { return displaywidth.Bytes(b) }
