package editor

import (
	"slices"
	"sort"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
	"github.com/clipperhouse/uax29/v2/graphemes"

	"sshchat/sshchat/text"
)

// Line is a text being edited and a cursor in it. It is counted in grapheme clusters, which a cursor never enters.
type Line struct {
	Text    []byte
	ends    []uint16 // where each cluster ends in Text; MaxLine fits
	At      int      // the cluster the cursor is before; len(ends) at the end
	invalid bool     // bytes that were typed into it were not UTF-8, and are not in it
}

// start is where cluster i begins in text; of the cluster past the last, the length of text.
func (l *Line) start(i int) int {
	if i == 0 {
		return 0
	}
	return int(l.ends[i-1])
}

// Len is how many clusters the line has.
func (l *Line) Len() int { return len(l.ends) }

// Size is how many bytes of memory the text takes.
func (l *Line) Size() int { return cap(l.Text) }

// ClusterBytes returns cluster i.
func (l *Line) ClusterBytes(i int) []byte { return l.Text[l.start(i):l.ends[i]] }

// cursor is the cursor's byte offset.
func (l *Line) cursor() int { return l.start(l.At) }

// Cluster returns cluster i and its width in cells.
func (l *Line) Cluster(i int) ([]byte, int) {
	b := l.ClusterBytes(i)
	return b, displaywidth.Bytes(b)
}

// NewLine returns b, which must be clean, as a line of its own with the cursor at its end.
func NewLine(b []byte) Line {
	l := Line{Text: b}
	for g := graphemes.FromBytes(b); g.Next(); {
		l.ends = append(l.ends, uint16(g.End()))
	}
	l.At = len(l.ends)
	return l
}

// splice puts p in place of the clusters from to to, and the cursor after it. It recomputes clusters only where
// the pieces meet, so that a key costs little however long the line is.
func (l *Line) splice(from, to int, p Line) {
	first, last := l.start(from), l.start(to)
	l.Text = slices.Replace(l.Text, first, last, p.Text...)
	l.ends = slices.Replace(l.ends, from, to, p.ends...)
	shift(l.ends[from:from+len(p.ends)], first)
	shift(l.ends[from+len(p.ends):], len(p.Text)-(last-first))
	l.rejoin(from + len(p.ends))
	l.rejoin(from)
	l.At = sort.Search(len(l.ends), func(i int) bool { return l.start(i) >= first+len(p.Text) })
}

// rejoin recomputes the clusters where cluster i-1 ends and cluster i begins. The rest is correct as soon as a cluster ends
// where one did before: no rule for clusters looks back past a boundary.
func (l *Line) rejoin(i int) {
	if i == 0 || i == len(l.ends) {
		return
	}
	offset := l.start(i - 1)
	stale := i - 1
	var fresh []uint16
	for g := graphemes.FromBytes(l.Text[offset:]); g.Next(); {
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

// shift adds by to each end.
func shift(ends []uint16, by int) {
	for i := range ends {
		ends[i] = uint16(int(ends[i]) + by)
	}
}

func (l *Line) left()  { l.At = max(l.At-1, 0) }
func (l *Line) right() { l.At = min(l.At+1, len(l.ends)) }
func (l *Line) home()  { l.At = 0 }
func (l *Line) end()   { l.At = len(l.ends) }

func (l *Line) wordLeft()  { l.At = l.before(l.word) }
func (l *Line) wordRight() { l.At = l.after(l.word) }

// maxWord is how many clusters a key looks for the end of a word. Scripts without spaces have none,
// and a key must not cost what a whole line does.
const maxWord = 256

// before is where the word left of the cursor begins, made of clusters that isPart accepts.
func (l *Line) before(isPart func(i int) bool) int {
	i, first := l.At, max(l.At-maxWord, 0)
	for i > first && !isPart(i-1) {
		i--
	}
	for i > first && isPart(i-1) {
		i--
	}
	return i
}

// after is where the word right of the cursor ends.
func (l *Line) after(isPart func(i int) bool) int {
	i, last := l.At, min(l.At+maxWord, len(l.ends))
	for i < last && !isPart(i) {
		i++
	}
	for i < last && isPart(i) {
		i++
	}
	return i
}

// word reports whether cluster i is a letter or a digit.
func (l *Line) word(i int) bool {
	r, _ := utf8.DecodeRune(l.Text[l.start(i):])
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// nonSpace reports whether cluster i is not white space.
func (l *Line) nonSpace(i int) bool {
	r, _ := utf8.DecodeRune(l.Text[l.start(i):])
	return !unicode.IsSpace(r)
}

// Wipe empties the line and overwrites its memory.
func (l *Line) Wipe() {
	clear(l.Text[:cap(l.Text)])
	*l = Line{}
}

// What is kept of the lines sent, for each session.
const (
	MaxHistory      = 100      // lines
	MaxHistoryBytes = 16 << 10 // bytes of them
)

// History is the lines sent, oldest first, and a place in them. Past the newest is the draft.
type History struct {
	lines []string
	bytes int
	back  int    // how many lines back from the draft; 0 is the draft
	draft string // while back is not 0
}

// add remembers a line and returns to the draft, which is now empty. A line that is too long to be sent is not kept.
func (h *History) add(s string) {
	h.Reset()
	if n := len(h.lines); n > 0 && h.lines[n-1] == s || len(s) > text.MaxText {
		return
	}
	h.lines = append(h.lines, s)
	h.bytes += len(s)
	drop := 0
	for ; len(h.lines)-drop > MaxHistory || h.bytes > MaxHistoryBytes; drop++ {
		h.bytes -= len(h.lines[drop])
	}
	if drop > 0 {
		h.lines = append(h.lines[:0], h.lines[drop:]...)
		clear(h.lines[len(h.lines) : len(h.lines)+drop]) // so that the strings are freed
	}
}

// Size is how many lines are kept, and how many bytes they have.
func (h *History) Size() (lines, bytes int) { return len(h.lines), h.bytes }

// Forget removes all lines that equal s.
func (h *History) Forget(s string) {
	h.lines = slices.DeleteFunc(h.lines, func(line string) bool {
		if line == s {
			h.bytes -= len(line)
		}
		return line == s
	})
	h.back = min(h.back, len(h.lines))
}

// older steps back from now, which is kept where it is the draft; ok is false at the oldest line.
func (h *History) older(now string) (s string, ok bool) {
	if h.back == len(h.lines) {
		return "", false
	}
	if h.back == 0 {
		h.draft = now
	}
	h.back++
	return h.lines[len(h.lines)-h.back], true
}

// Reset returns to the draft without showing it.
func (h *History) Reset() { h.back, h.draft = 0, "" }

// newer steps forward, at last to the draft; ok is false there.
func (h *History) newer() (s string, ok bool) {
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
