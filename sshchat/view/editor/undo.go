package editor

import (
	"slices"
	"sort"
	"strings"

	"sshchat/sshchat/text"
)

// What is kept of the changes of a line, to undo them: so many, and so many bytes of what they removed.
const (
	MaxUndo      = 100
	MaxUndoBytes = 16 << 10
)

// UndoLog is the changes of a line, the newest last. nil has none.
type UndoLog struct {
	changes []change
	bytes   int // that they removed
}

// change is one change of a line, as far as it is needed to undo it.
type change struct {
	at, added int    // where it is, and how many bytes it put there
	removed   string // what was there
	cursor    int    // the cursor's byte offset before it
	invalid   bool   // Line.invalid before it
	typed     bool   // it is part of a word that was typed
	recalled  bool   // the line was replaced by one that was sent before
}

// splice is Line.splice, and can be undone.
func (e *Editor) splice(from, to int, p Line) {
	record(e, change{at: e.start(from), removed: string(e.Text[e.start(from):e.start(to)]), added: len(p.Text)})
	e.Line.splice(from, to, p)
}

// recall puts a line that was sent before in place of the line.
func recall(e *Editor, s string) {
	record(e, change{removed: string(e.Text), added: len(s), recalled: true})
	e.Line = NewLine([]byte(s))
}

// PutAside empties the line. Undo brings it back. So does Up, unless kept is false: it is blank, too long, or was not UTF-8.
func (e *Editor) PutAside() (kept bool) {
	said := string(e.Text)
	record(e, change{removed: said})
	if kept = !e.invalid && len(said) <= text.MaxText && strings.TrimSpace(said) != ""; kept {
		e.Sent.add(said)
	}
	e.Line, e.lost = Line{}, lost{}
	return kept
}

// record notes a change that is about to be made. What is typed up to the next space is one change, and so is what is deleted
// key by key.
func record(e *Editor, c change) {
	if e.Secret || c.added == 0 && c.removed == "" {
		return
	}
	if e.Undone == nil {
		e.Undone = new(UndoLog)
	}
	c.cursor, c.invalid = e.cursor(), e.invalid
	u := e.Undone
	if n := len(u.changes); n > 0 && !c.recalled {
		last := &u.changes[n-1]
		switch {
		case last.recalled || last.invalid != c.invalid:
		case c.typed && last.typed && c.at == last.at+last.added && !endsWord(e.Text[:c.at]):
			last.added += c.added
			return
		case c.added == 0 && last.added == 0 && c.at+len(c.removed) == last.at && c.at+len(c.removed) == c.cursor:
			u.bytes += len(c.removed)
			last.at, last.removed = c.at, c.removed+last.removed
			u.bound()
			return
		}
	}
	u.changes = append(u.changes, c)
	u.bytes += len(c.removed)
	u.bound()
}

// endsWord reports whether a space or a newline is last.
func endsWord(b []byte) bool { return len(b) > 0 && strings.IndexByte(" \n", b[len(b)-1]) >= 0 }

// bound drops the oldest changes, if they are too many.
func (u *UndoLog) bound() {
	drop := 0
	for ; drop < len(u.changes) && (len(u.changes)-drop > MaxUndo || u.bytes > MaxUndoBytes); drop++ {
		u.bytes -= len(u.changes[drop].removed)
	}
	if drop > 0 {
		u.changes = slices.Delete(u.changes, 0, drop)
	}
}

// undo undoes the last change.
func undo(e *Editor) {
	if e.Undone == nil || len(e.Undone.changes) == 0 {
		return
	}
	u := e.Undone
	last := len(u.changes) - 1
	c := u.changes[last]
	u.changes[last] = change{}
	u.changes = u.changes[:last]
	u.bytes -= len(c.removed)
	e.Line = NewLine(slices.Concat(e.Text[:c.at], []byte(c.removed), e.Text[c.at+c.added:]))
	e.At = sort.Search(len(e.ends), func(i int) bool { return e.start(i) >= c.cursor })
	e.invalid = c.invalid
	if c.recalled {
		e.Sent.Reset()
	}
}

// Size is how many changes can be undone, and how many bytes are kept for that.
func (u *UndoLog) Size() (changes, bytes int) {
	if u == nil {
		return 0, 0
	}
	return len(u.changes), u.bytes
}

// SetLine goes on with another line, of which nothing can be undone. A search and a choice of completions end.
func (e *Editor) SetLine(l Line) {
	e.Cancel()
	e.Line, e.Undone = l, nil
}
