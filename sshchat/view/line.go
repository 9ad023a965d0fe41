package view

import (
	"slices"
	"sort"

	"sshchat/sshchat/text"

	"github.com/clipperhouse/displaywidth"
	"github.com/clipperhouse/uax29/v2/graphemes"
)

// line is a text being edited and a cursor in it. It is counted in grapheme clusters, which a cursor never enters.
type line struct {
	text []byte
	ends []uint16 // where each cluster ends in text; maxLine fits
	at   int      // the cluster the cursor is before; len(ends) at the end
	bad  bool     // bytes that were typed into it were not UTF-8, and are not in it
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

// newLine returns b, which must be clean, as a line of its own with the cursor at its end.
func newLine(b []byte) line {
	l := line{text: b}
	for g := graphemes.FromBytes(b); g.Next(); {
		l.ends = append(l.ends, uint16(g.End()))
	}
	l.at = len(l.ends)
	return l
}

// part copies the clusters from to to.
func (l *line) part(from, to int) line {
	first := l.start(from)
	p := line{text: slices.Clone(l.text[first:l.start(to)]), ends: slices.Clone(l.ends[from:to])}
	shift(p.ends, -first)
	return p
}

// splice puts p in place of the clusters from to to, and the cursor after it. It finds clusters anew only where
// the pieces meet, so that a key costs little however long the line is.
func (l *line) splice(from, to int, p line) {
	first, last := l.start(from), l.start(to)
	l.text = slices.Replace(l.text, first, last, p.text...)
	l.ends = slices.Replace(l.ends, from, to, p.ends...)
	shift(l.ends[from:from+len(p.ends)], first)
	shift(l.ends[from+len(p.ends):], len(p.text)-(last-first))
	l.mend(from + len(p.ends))
	l.mend(from)
	l.at = sort.Search(len(l.ends), func(i int) bool { return l.start(i) >= first+len(p.text) })
}

// mend joins what belongs together where cluster i-1 ends and cluster i begins. What follows is right again
// as soon as a cluster ends where one did before: no rule for clusters looks back past a boundary.
func (l *line) mend(i int) {
	if i == 0 || i == len(l.ends) {
		return
	}
	offset := l.start(i - 1)
	stale := i - 1
	var fresh []uint16
	for g := graphemes.FromBytes(l.text[offset:]); g.Next(); {
		end := uint16(offset + g.End())
		for stale < len(l.ends) && l.ends[stale] < end {
			stale++
		}
		fresh = append(fresh, end)
		if l.ends[stale] == end {
			stale++
			break
		}
	}
	l.ends = slices.Replace(l.ends, i-1, stale, fresh...)
}

func shift(ends []uint16, by int) {
	for i := range ends {
		ends[i] = uint16(int(ends[i]) + by)
	}
}

// wipe empties the line and overwrites what it held.
func (l *line) wipe() {
	clear(l.text[:cap(l.text)])
	*l = line{}
}

// What is kept of the lines sent, for each session.
const (
	maxHistory      = 100      // lines
	maxHistoryBytes = 16 << 10 // bytes of them
)

// history is the lines sent, oldest first, and a place in them. Past the newest is the draft.
type history struct {
	lines []string
	bytes int
	back  int    // how many lines back from the draft; 0 is the draft
	draft string // while back is not 0
}

// add remembers a line and returns to the draft, which is now empty. What was too long to be said is not kept.
func (h *history) add(s string) {
	h.rest()
	if n := len(h.lines); n > 0 && h.lines[n-1] == s || len(s) > text.MaxText {
		return
	}
	h.lines = append(h.lines, s)
	h.bytes += len(s)
	drop := 0
	for ; len(h.lines)-drop > maxHistory || h.bytes > maxHistoryBytes; drop++ {
		h.bytes -= len(h.lines[drop])
	}
	if drop > 0 {
		h.lines = append(h.lines[:0], h.lines[drop:]...)
		clear(h.lines[len(h.lines) : len(h.lines)+drop]) // let go of the strings
	}
}

// forget lets go of all lines like s.
func (h *history) forget(s string) {
	h.lines = slices.DeleteFunc(h.lines, func(line string) bool {
		if line == s {
			h.bytes -= len(line)
		}
		return line == s
	})
	h.back = min(h.back, len(h.lines))
}

// older steps back from now, which is kept where it is the draft; ok is false at the oldest line.
func (h *history) older(now string) (s string, ok bool) {
	if h.back == len(h.lines) {
		return "", false
	}
	if h.back == 0 {
		h.draft = now
	}
	h.back++
	return h.lines[len(h.lines)-h.back], true
}

// rest returns to the draft without showing it.
func (h *history) rest() { h.back, h.draft = 0, "" }

// newer steps forward, at last to the draft; ok is false there.
func (h *history) newer() (s string, ok bool) {
	switch h.back {
	case 0:
		return "", false
	case 1:
		h.back = 0
		s, h.draft = h.draft, ""
		return s, true
	}
	h.back--
	return h.lines[len(h.lines)-h.back], true
}
