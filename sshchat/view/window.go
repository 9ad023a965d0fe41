package view

import (
	"unicode"
	"unicode/utf8"
)

// window is the part of a line that a row has room for. It moves by more than a cluster at a time,
// so that most keys change one character of the row and not all of it.
type window struct {
	from int // the first cluster shown
}

const (
	hidden     = '<' // shown first where the line begins further left
	hiddenRoom = 8   // cells a row must have to spend one on that
)

// fit moves the window so that the cursor is within room cells.
func (v *window) fit(l *line, room int) {
	if l.at == 0 {
		v.from = 0
		return
	}
	if v.from >= l.at {
		v.from = reach(l, l.at, room/2)
	}
	first := reach(l, l.at, room)
	if first > 0 {
		first = reach(l, l.at, room-mark(room))
	}
	if v.from < first {
		v.from = reach(l, l.at, room*2/3-mark(room))
	}
}

// mark is how many cells of room tell that the line begins further left.
func mark(room int) int {
	if room < hiddenRoom {
		return 0
	}
	return 1
}

// reach is the first cluster from which no more than room cells lead up to cluster at.
func reach(l *line, at, room int) int {
	for at > 0 {
		_, w := glyph(l.cluster(at - 1))
		if room -= w; room < 0 {
			break
		}
		at--
	}
	return at
}

// draw appends what the window shows in room cells, and returns the column of the cursor in it.
func (v *window) draw(dst []byte, l *line, room int) (b []byte, cursor int) {
	column := 0
	if v.from > 0 {
		column = mark(room)
		if column > 0 {
			dst = append(dst, hidden)
		}
	}
	cursor = column
	for i := v.from; i < len(l.ends); i++ {
		g, w := glyph(l.cluster(i))
		if column+w > room {
			break
		}
		dst = append(dst, g...)
		column += w
		if i < l.at {
			cursor = column
		}
	}
	return dst, cursor
}

// newlineSign stands for a newline in a row. It is ASCII: a plain terminal may have nothing else.
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
		return question, 1
	}
	return cluster, w
}
