package view

import (
	"slices"
	"sort"

	"github.com/clipperhouse/displaywidth"
	"github.com/clipperhouse/uax29/v2/graphemes"
)

// line is a text being edited and a cursor in it. It is counted in grapheme clusters, which a cursor never enters.
type line struct {
	text []byte
	ends []uint16 // where each cluster ends in text; maxLine fits
	at   int      // the cluster the cursor is before; len(ends) at the end
}

// start is where cluster i begins in text; of the cluster past the last, the length of text.
func (l *line) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(l.ends[i-1])
}

// cursor is the cursor's byte offset.
func (l *line) cursor() int { return l.start(l.at) }

// cluster returns cluster i and its width in cells.
func (l *line) cluster(i int) ([]byte, int) {
	b := l.text[l.start(i):l.ends[i]]
	return b, displaywidth.Bytes(b)
}

// splice puts b, which must be clean, in place of the clusters from to to, and the cursor after it.
func (l *line) splice(from, to int, b []byte) {
	first, last := l.start(from), l.start(to)
	l.text = slices.Replace(l.text, first, last, b...)
	l.segment(max(from-1, 0), to, first+len(b), len(b)-(last-first))
	// What was put in may have joined the cluster after it: the cursor goes past both.
	l.at = sort.Search(len(l.ends), func(i int) bool { return int(l.ends[i]) >= first+len(b) })
	if first+len(b) > 0 {
		l.at++
	}
}

// segment finds the clusters anew after the text changed from cluster from up to offset changed; the old cluster
// to began there before the text grew by grown. Cluster rules never look back past a boundary, so counting starts
// at a boundary before the change and ends as soon as it meets an old one behind it.
func (l *line) segment(from, to, changed, grown int) {
	var fresh []uint16
	offset := l.start(from)
	for g := graphemes.FromBytes(l.text[offset:]); g.Next(); {
		end := offset + g.End()
		for to < len(l.ends) && int(l.ends[to])+grown < end {
			to++
		}
		fresh = append(fresh, uint16(end))
		if end >= changed && to < len(l.ends) && int(l.ends[to])+grown == end {
			to++
			break
		}
		if end == len(l.text) {
			to = len(l.ends)
		}
	}
	if offset == len(l.text) {
		to = len(l.ends)
	}
	for i := to; i < len(l.ends); i++ {
		l.ends[i] = uint16(int(l.ends[i]) + grown)
	}
	l.ends = slices.Replace(l.ends, from, to, fresh...)
}

// set makes b, which must be clean, the whole text.
func (l *line) set(b []byte) { l.splice(0, len(l.ends), b) }

// wipe empties the line and overwrites what it held.
func (l *line) wipe() {
	clear(l.text[:cap(l.text)])
	*l = line{}
}
