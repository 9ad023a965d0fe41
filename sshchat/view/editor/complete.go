package editor

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// Ask returns what could stand in place of line[start:cursor], in the order in which it is offered.
type Ask func(line string, cursor int) (start int, candidates []string)

// choice is several completions of a word, which Tab puts in its place one after the other.
type choice struct {
	start      int // byte offset of the word
	word       string
	candidates []string
	at         int // the one in its place; of no candidate, their number
}

// Complete completes the word before the cursor. A single candidate is inserted with a space after it; of several, their
// common prefix, or if that is nothing new, they are returned to be listed, and from then on each call puts the next one (by 1)
// or the one before (by -1) in the word's place, in a ring with the word itself. ok is false if there is no candidate.
func (e *Editor) Complete(ask Ask, by int) (list []string, ok bool) {
	if ask == nil || e.Single {
		return nil, false
	}
	if e.choice != nil {
		e.choice.next(e, by)
		return nil, true
	}
	text, cursor := string(e.Text), e.cursor()
	start, candidates := ask(text, cursor)
	if len(candidates) == 0 || start < 0 || start > cursor {
		return nil, false
	}
	common := candidates[0]
	for _, c := range candidates[1:] {
		common = commonPrefix(common, c)
	}
	if len(candidates) == 1 && !strings.HasSuffix(common, " ") {
		common += " "
	}
	word := text[start:cursor]
	if common == word || len(common) < len(word) {
		e.choice = &choice{start, word, candidates, len(candidates)}
		return candidates, true
	}
	e.replace(start, common)
	return nil, true
}

// next puts the next candidate in the word's place.
func (c *choice) next(e *Editor, by int) {
	ring := len(c.candidates) + 1
	c.at = (c.at + by + ring) % ring
	put := c.word
	if c.at < len(c.candidates) {
		put = c.candidates[c.at]
	}
	e.replace(c.start, put)
}

// Choosing reports whether the next Tab puts another candidate in the word's place, and which there are. at is the one that is
// there; of no candidate, their number.
func (e *Editor) Choosing() (candidates []string, at int, ok bool) {
	if e.choice == nil {
		return nil, 0, false
	}
	return e.choice.candidates, e.choice.at, true
}

// EndChoice ends a choice before another key is handled. Esc brings back the word that was typed, and is taken.
func (e *Editor) EndChoice(key string) (taken bool) {
	if e.choice == nil || key == "tab" || key == "shift+tab" {
		return false
	}
	if key == "esc" {
		e.Cancel()
		return true
	}
	e.choice = nil
	return false
}

// PasteTab inserts a Tab that arrived with other input, as in pasted code if pastes are not bracketed. With ask it still
// completes a word that has exactly one completion.
func (e *Editor) PasteTab(ask Ask) bool {
	if e.Single {
		return false
	}
	if ask != nil && e.At > 0 && e.nonSpace(e.At-1) {
		if list, ok := e.Complete(ask, 1); ok && len(list) == 0 {
			return true
		}
		e.choice = nil
	}
	return e.Insert(text.Tab)
}

// replace puts s in place of the bytes from start, which must be a character's, to the cursor.
func (e *Editor) replace(start int, s string) {
	from := e.At
	for from > 0 && e.start(from) > start {
		from--
	}
	s = string(e.Text[e.start(from):start]) + s
	if len(e.Text)-(e.cursor()-e.start(from))+len(s) > MaxLine {
		return
	}
	e.splice(from, e.At, NewLine(text.AppendPrintable(nil, s, true)))
}

// commonPrefix is the longest string of whole characters that a and b begin with.
func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(a) && !utf8.RuneStart(a[n]) {
		n--
	}
	return a[:n]
}

// maxCandidates is how many completions are listed; the rest are counted.
const maxCandidates = 100

// ListCandidates is candidates in one line.
func ListCandidates(candidates []string) string {
	if n := len(candidates) - maxCandidates; n > 0 {
		return fmt.Sprintf("%s  and %d more", strings.Join(candidates[:maxCandidates], "  "), n)
	}
	return strings.Join(candidates, "  ")
}
