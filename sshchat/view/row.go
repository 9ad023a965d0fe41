package view

import (
	"bytes"

	"github.com/clipperhouse/displaywidth"
)

// row is the one row of a terminal that is written over: the prompt and what is typed. It knows what the terminal
// shows, so that painting it anew writes only the difference, and needs no more than backspaces to do it.
type row struct {
	shown []byte
	at    int // the cursor's column
}

// paint has the row show want, with the cursor in the given column, which must be a cluster's.
func (r *row) paint(w *wire, want []byte, cursor int) {
	same := commonClusters(r.shown, want)
	if same < len(r.shown) || same < len(want) {
		keep := cells(r.shown[:same])
		old := cells(r.shown[same:])
		r.move(w, keep)
		w.text(want[same:])
		fresh := cells(want[same:])
		w.spaces(old - fresh)
		r.shown = append(r.shown[:same], want[same:]...)
		r.at = keep + max(old, fresh)
	}
	r.move(w, cursor)
}

// erase leaves the row blank and the cursor at its start.
func (r *row) erase(w *wire) {
	if len(r.shown) > 0 {
		w.home()
		w.spaces(cells(r.shown))
	}
	if r.at > 0 || len(r.shown) > 0 {
		w.home()
	}
	r.forget()
}

// leave keeps what is shown and goes on to the next row.
func (r *row) leave(w *wire) {
	w.newline()
	r.forget()
}

// forget tells the row that the cursor stands at the start of a blank one.
func (r *row) forget() { *r = row{shown: r.shown[:0]} }

// move takes the cursor to a column by the shorter way. To the right that is writing what is there already.
func (r *row) move(w *wire, column int) {
	if column < r.at {
		if n := r.offset(column); n+1 < r.at-column {
			w.home()
			w.text(r.shown[:n])
		} else {
			w.back(r.at - column)
		}
	} else if column > r.at {
		w.text(r.shown[r.offset(r.at):r.offset(column)])
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
