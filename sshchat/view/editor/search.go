package editor

import (
	"strings"

	"sshchat/sshchat/text"
)

// MaxWords is how many bytes a search is for at most.
const MaxWords = 256

// search looks through the lines that were sent, as readline's reverse-i-search does. The line found is the Editor's line.
type search struct {
	words  Line
	at     int // the index of the line found; that of no line at first
	failed bool
	before Line // what was being typed
}

// BeginSearch begins a search, unless the line is an answer.
func (e *Editor) BeginSearch() bool {
	if e.Single {
		return false
	}
	e.choice = nil
	e.search = &search{at: len(e.Sent.lines), before: e.Line}
	return true
}

// Searching reports whether a search is under way: for which words, and whether no line has them.
func (e *Editor) Searching() (words string, failed, ok bool) {
	if e.search == nil {
		return "", false, false
	}
	return string(e.search.words.Text), e.search.failed, true
}

// SearchKey gives a key to the search. Any key that is not its own ends it: the line found is then the line, and the key has its
// usual function. ok is false if there is nothing more to find.
func (e *Editor) SearchKey(name, typed string) (taken, ok bool) {
	s := e.search
	switch name {
	case "":
		return true, s.add(e, typed)
	case "ctrl+r":
		return true, s.find(e, s.at-1, -1)
	case "ctrl+s":
		return true, s.find(e, s.at+1, 1)
	case "backspace", "ctrl+h":
		if s.words.Len() == 0 {
			return true, false
		}
		s.words.splice(s.words.Len()-1, s.words.Len(), Line{})
		return true, s.find(e, len(e.Sent.lines)-1, -1)
	case "pasted", "ctrl+l", "pgup", "pgdown", "shift+up", "shift+down", "wheelup", "wheeldown": // it goes on beside these
		return name == "pasted", true
	case "esc", "ctrl+g", "ctrl+c":
		e.Cancel()
		return true, true
	}
	s.accept(e)
	if taken = name == "enter" || name == "ctrl+j"; taken { // the line goes on as one that Up brought back
		e.end()
	}
	return taken, true
}

// add adds to the words. The line found stays, if it has them.
func (s *search) add(e *Editor, typed string) bool {
	more := text.AppendPrintable(nil, typed, false)
	if len(s.words.Text)+len(more) > MaxWords {
		return false
	}
	s.words.splice(s.words.Len(), s.words.Len(), NewLine(more))
	return s.find(e, min(s.at, len(e.Sent.lines)-1), -1)
}

// find looks for the next line with the words, from that one on. Upper and lower case are the same. A line that is just what is
// found already is skipped.
func (s *search) find(e *Editor, from, by int) bool {
	if s.words.Len() == 0 {
		s.at, s.failed, e.Line = len(e.Sent.lines), false, s.before
		return false
	}
	words, found := strings.ToLower(string(s.words.Text)), string(e.Text)
	for i := from; i >= 0 && i < len(e.Sent.lines); i += by {
		line := e.Sent.lines[i]
		folded := strings.ToLower(line)
		at := strings.Index(folded, words)
		if at < 0 || line == found && i != s.at && s.at < len(e.Sent.lines) {
			continue
		}
		s.at, s.failed, e.Line = i, false, NewLine([]byte(line))
		for len(folded) == len(line) && e.At > 0 && e.cursor() > at { // the cursor shows where the words are
			e.At--
		}
		return true
	}
	s.failed = true
	return false
}

// accept ends the search with the line found. Undo brings back what was being typed.
func (s *search) accept(e *Editor) {
	found := e.Line
	e.Line, e.search = s.before, nil
	if string(found.Text) != string(e.Text) {
		recall(e, string(found.Text))
		e.At = found.At
	}
}

// Cancel ends a search, or a choice among completions, and brings back what was being typed before it.
func (e *Editor) Cancel() {
	if e.search != nil {
		e.Line, e.search = e.search.before, nil
	}
	if e.choice != nil {
		e.replace(e.choice.start, e.choice.word)
		e.choice = nil
	}
}
