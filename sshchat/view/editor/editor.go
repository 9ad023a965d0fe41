// Package editor edits one input line as readline does: a text and a cursor, killed text, completion, and the lines that were
// sent. It knows nothing of terminals or of how the line is shown.
package editor

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// Editor edits an input line as readline does. It knows nothing of how the line is shown.
type Editor struct {
	Line
	Sent   History  // the lines that were sent
	killed string   // what Ctrl+Y puts back
	Undone *UndoLog // the changes of the line
	search *search  // under way, or nil
	choice *choice  // under way, or nil
	prefix bool     // Ctrl+X came before the next key

	lost    lost // since the last ReportLost
	Dropped int  // bytes that did not fit, since the caller reset it

	Single bool // an answer: one line, with no history
	Secret bool // an answer that must not be kept
}

// MaxLine is the longest text in bytes: twice what a message may have, so that a paste that is too long is refused by
// the check of messages, which says so.
const MaxLine = 2 * text.MaxText

// lost counts input that did not fit.
type lost struct{ bytes, lines int }

// bindings are the keys that edit. Sending, completing and leaving are for the UI.
var bindings = map[string]func(*Editor){
	"left":          (*Editor).left,
	"ctrl+b":        (*Editor).left,
	"right":         (*Editor).right,
	"ctrl+f":        (*Editor).right,
	"home":          (*Editor).home,
	"ctrl+a":        (*Editor).home,
	"end":           (*Editor).end,
	"ctrl+e":        (*Editor).end,
	"alt+b":         (*Editor).wordLeft,
	"ctrl+left":     (*Editor).wordLeft,
	"alt+left":      (*Editor).wordLeft,
	"alt+f":         (*Editor).wordRight,
	"ctrl+right":    (*Editor).wordRight,
	"alt+right":     (*Editor).wordRight,
	"backspace":     (*Editor).deleteBefore,
	"ctrl+h":        (*Editor).deleteBefore,
	"delete":        (*Editor).DeleteNext,
	"ctrl+d":        (*Editor).DeleteNext,
	"ctrl+w":        (*Editor).killBlankWord,
	"alt+backspace": (*Editor).killWordLeft,
	"ctrl+alt+h":    (*Editor).killWordLeft,
	"alt+d":         (*Editor).killWordRight,
	"ctrl+u":        (*Editor).killToStart,
	"ctrl+k":        (*Editor).killToEnd,
	"ctrl+y":        (*Editor).yank,
	"ctrl+t":        (*Editor).transpose,
	"ctrl+_":        undo, // as terminals send Ctrl+/, too
	"ctrl+/":        undo,
	"ctrl+x":        func(e *Editor) { e.prefix = true },
	"up":            (*Editor).Older,
	"down":          (*Editor).Newer,
}

// Bound reports whether a key, which may begin with Alt, has a function.
func Bound(name string) bool { return bindings[name] != nil || name == "alt+enter" }

// HandleKey performs the function of the named key, if it has one.
func (e *Editor) HandleKey(name string) {
	if e.prefix && name == "ctrl+u" { // as readline's other key for it
		name = "ctrl+_"
	}
	e.prefix = false
	if do := bindings[name]; do != nil {
		do(e)
		e.invalid = e.invalid && len(e.Text) > 0
	}
}

// Insert puts the printable part of s, with its newlines, before the cursor. An answer has one line, and a secret
// ignores a line end that was copied with it. If the line would exceed MaxLine, it takes what fits and reports false.
func (e *Editor) Insert(s string) bool {
	e.prefix = false
	if len(e.Text) >= MaxLine {
		e.lose(s)
		return false
	}
	if e.Secret && s == "\n" {
		return true
	}
	e.invalid = e.invalid || text.Check(s) != nil
	b := text.AppendPrintable(nil, s, !e.Single)
	fits := len(e.Text)+len(b) <= MaxLine
	if !fits {
		n := MaxLine - len(e.Text)
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		e.lose(string(b[n:]))
		b = b[:n]
	}
	record(e, change{at: e.cursor(), added: len(b), typed: true})
	e.Line.splice(e.At, e.At, NewLine(b))
	if e.Secret {
		clear(b)
	}
	return fits
}

// lose counts input that did not fit.
func (e *Editor) lose(s string) {
	e.lost.bytes += len(s)
	e.lost.lines += strings.Count(s, "\n")
	e.Dropped += len(s)
}

// ReportLost says how much of a paste did not fit, if any, and resets the count.
func (e *Editor) ReportLost() string {
	l := e.lost
	e.lost = lost{}
	if l.bytes == 0 {
		return ""
	}
	return fmt.Sprintf("the paste is too long: dropped its last %s (%s). A message can have at most %s",
		text.Count(l.lines+1, "line"), text.Count(l.bytes, "byte"), text.Count(text.MaxText, "byte"))
}

// tooLong says why the line cannot be sent if it is too long.
func (e *Editor) tooLong() string {
	size := len(e.Text)
	if size <= text.MaxText || e.Single || IsCommand(e.Text) {
		return ""
	}
	return fmt.Sprintf("too long: %d bytes; the limit is %d. Nothing was sent.", size, text.MaxText)
}

// Refused says why the line cannot be sent; "" if it can. A line that is too long stays, to be shortened. A line with bytes
// that were not UTF-8 goes to the history: more such lines may follow, and must not be mixed with its rest.
func (e *Editor) Refused() string {
	if why := e.tooLong(); why != "" || !e.invalid {
		return why
	}
	if e.Single {
		e.Wipe()
		return "The terminal sent bytes that are not UTF-8. Set it to UTF-8 and answer again."
	}
	if strings.TrimSpace(e.Take()) == "" {
		return "not sent: the terminal sent bytes that are not UTF-8. Set it to UTF-8."
	}
	return "not sent: the terminal sent bytes that are not UTF-8. Set it to UTF-8; Up brings back the rest of the line."
}

// Clear empties the line, for good.
func (e *Editor) Clear() { e.Line, e.lost, e.Undone = Line{}, lost{}, nil }

// Take returns the line and begins a new one.
func (e *Editor) Take() string {
	e.prefix = false
	s := string(e.Text)
	if e.Single {
		e.Wipe()
		return s
	}
	if strings.TrimSpace(s) != "" {
		e.Sent.add(s)
	}
	e.Clear()
	return s
}

func (e *Editor) deleteBefore() { e.splice(max(e.At-1, 0), e.At, Line{}) }

// DeleteNext deletes the cluster at the cursor.
func (e *Editor) DeleteNext() { e.splice(e.At, min(e.At+1, len(e.ends)), Line{}) }

func (e *Editor) killBlankWord() { e.kill(e.before(e.nonSpace), e.At) }
func (e *Editor) killWordLeft()  { e.kill(e.before(e.word), e.At) }
func (e *Editor) killWordRight() { e.kill(e.At, e.after(e.word)) }
func (e *Editor) killToStart()   { e.kill(0, e.At) }
func (e *Editor) killToEnd()     { e.kill(e.At, len(e.ends)) }

func (e *Editor) yank() {
	if len(e.Text)+len(e.killed) <= MaxLine {
		e.splice(e.At, e.At, NewLine([]byte(e.killed)))
	}
}

// kill removes the clusters from to to and keeps them for yank.
func (e *Editor) kill(from, to int) {
	if from == to {
		return
	}
	if !e.Secret {
		e.killed = string(e.Text[e.start(from):e.start(to)])
	}
	e.splice(from, to, Line{})
}

// transpose swaps the clusters around the cursor; at the end the last two.
func (e *Editor) transpose() {
	at := min(e.At, len(e.ends)-1)
	if at < 1 {
		return
	}
	a, _ := e.Cluster(at - 1)
	b, _ := e.Cluster(at)
	e.splice(at-1, at+1, NewLine(slices.Concat(b, a)))
}

// Killed is the text that Ctrl+Y puts back.
func (e *Editor) Killed() string { return e.killed }

// Older brings back the line that was sent before.
func (e *Editor) Older() {
	if e.Single {
		return
	}
	if s, ok := e.Sent.older(string(e.Text)); ok {
		recall(e, s)
	}
}

// Newer brings back the line that was sent after, at last the one that was being typed.
func (e *Editor) Newer() {
	if e.Single {
		return
	}
	if s, ok := e.Sent.newer(); ok {
		recall(e, s)
	}
}

// Hint says how large an input is that is only partly visible, and how to clear it.
func (e *Editor) Hint() string {
	lines, size := 1+bytes.Count(bytes.TrimSuffix(e.Text, []byte("\n")), []byte("\n")), len(e.Text)
	switch {
	case size > text.MaxText:
		return fmt.Sprintf("[%s, %d bytes; the limit is %d. Ctrl+C clears]", text.Count(lines, "line"), size, text.MaxText)
	case lines == 1:
		return fmt.Sprintf("[%d bytes: Enter sends them, Ctrl+C clears]", size)
	}
	return fmt.Sprintf("[%d lines: Enter sends them as one message, Ctrl+C clears]", lines)
}

// IsCommand reports whether a line is a command: it begins with a slash, and not with two.
func IsCommand(b []byte) bool { return len(b) > 0 && b[0] == '/' && (len(b) == 1 || b[1] != '/') }
