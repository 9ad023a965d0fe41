package view

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

// editor edits an input line as readline does. It knows nothing of how the line is shown.
type editor struct {
	line
	past   history
	killed line // what Ctrl+Y puts back
	single bool // an answer: one line, with no history
	secret bool // an answer that nothing may be kept of
}

// bindings are the keys that edit. What sends, completes or leaves is the face's.
var bindings = map[string]func(*editor){
	"left":          (*editor).left,
	"ctrl+b":        (*editor).left,
	"right":         (*editor).right,
	"ctrl+f":        (*editor).right,
	"home":          (*editor).home,
	"ctrl+a":        (*editor).home,
	"end":           (*editor).end,
	"ctrl+e":        (*editor).end,
	"alt+b":         (*editor).wordLeft,
	"ctrl+left":     (*editor).wordLeft,
	"alt+left":      (*editor).wordLeft,
	"alt+f":         (*editor).wordRight,
	"ctrl+right":    (*editor).wordRight,
	"alt+right":     (*editor).wordRight,
	"backspace":     (*editor).rubOut,
	"ctrl+h":        (*editor).rubOut,
	"delete":        (*editor).deleteNext,
	"ctrl+d":        (*editor).deleteNext,
	"ctrl+w":        (*editor).killBlankWord,
	"alt+backspace": (*editor).killWordLeft,
	"ctrl+alt+h":    (*editor).killWordLeft,
	"alt+d":         (*editor).killWordRight,
	"ctrl+u":        (*editor).killToStart,
	"ctrl+k":        (*editor).killToEnd,
	"ctrl+y":        (*editor).yank,
	"ctrl+t":        (*editor).transpose,
	"up":            (*editor).older,
	"down":          (*editor).newer,
}

// press does what the named key is bound to, if anything.
func (e *editor) press(name string) {
	if do := bindings[name]; do != nil {
		do(e)
	}
}

// insert puts the printable part of s, with its newlines, before the cursor.
// Where the line would grow past maxLine it takes what fits and reports false.
func (e *editor) insert(s string) bool {
	b := text.AppendPrintable(nil, s, !e.single)
	fits := len(e.text)+len(b) <= maxLine
	if !fits {
		n := maxLine - len(e.text)
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		b = b[:n]
	}
	e.splice(e.at, e.at, newLine(b))
	if e.secret {
		clear(b)
	}
	return fits
}

// take returns the line and begins a new one.
func (e *editor) take() string {
	s := string(e.text)
	if e.single {
		e.wipe()
		return s
	}
	if strings.TrimSpace(s) != "" {
		e.past.add(s)
	}
	e.line = line{}
	return s
}

func (e *editor) left()  { e.at = max(e.at-1, 0) }
func (e *editor) right() { e.at = min(e.at+1, len(e.ends)) }
func (e *editor) home()  { e.at = 0 }
func (e *editor) end()   { e.at = len(e.ends) }

func (e *editor) wordLeft()  { e.at = e.before(e.word) }
func (e *editor) wordRight() { e.at = e.after(e.word) }

func (e *editor) rubOut()     { e.splice(max(e.at-1, 0), e.at, line{}) }
func (e *editor) deleteNext() { e.splice(e.at, min(e.at+1, len(e.ends)), line{}) }

func (e *editor) killBlankWord() { e.kill(e.before(e.ink), e.at) }
func (e *editor) killWordLeft()  { e.kill(e.before(e.word), e.at) }
func (e *editor) killWordRight() { e.kill(e.at, e.after(e.word)) }
func (e *editor) killToStart()   { e.kill(0, e.at) }
func (e *editor) killToEnd()     { e.kill(e.at, len(e.ends)) }

func (e *editor) yank() {
	if len(e.text)+len(e.killed.text) <= maxLine {
		e.splice(e.at, e.at, e.killed)
	}
}

// kill removes the clusters from to to and keeps them for yank.
func (e *editor) kill(from, to int) {
	if from == to {
		return
	}
	if !e.secret {
		e.killed = e.part(from, to)
	}
	e.splice(from, to, line{})
}

// transpose swaps the clusters around the cursor; at the end the last two.
func (e *editor) transpose() {
	at := min(e.at, len(e.ends)-1)
	if at < 1 {
		return
	}
	a, _ := e.cluster(at - 1)
	b, _ := e.cluster(at)
	e.splice(at-1, at+1, newLine(slices.Concat(b, a)))
}

func (e *editor) older() {
	if e.single {
		return
	}
	if s, ok := e.past.older(string(e.text)); ok {
		e.line = newLine([]byte(s))
	}
}

func (e *editor) newer() {
	if e.single {
		return
	}
	if s, ok := e.past.newer(); ok {
		e.line = newLine([]byte(s))
	}
}

// maxWord is how many clusters a key looks for the end of a word. Scripts without spaces have none,
// and a key must not cost what a whole line does.
const maxWord = 256

// before is where the word left of the cursor begins, made of clusters that are part of one.
func (e *editor) before(part func(i int) bool) int {
	i, first := e.at, max(e.at-maxWord, 0)
	for i > first && !part(i-1) {
		i--
	}
	for i > first && part(i-1) {
		i--
	}
	return i
}

// after is where the word right of the cursor ends.
func (e *editor) after(part func(i int) bool) int {
	i, last := e.at, min(e.at+maxWord, len(e.ends))
	for i < last && !part(i) {
		i++
	}
	for i < last && part(i) {
		i++
	}
	return i
}

// word reports whether cluster i is a letter or a digit.
func (e *editor) word(i int) bool {
	r, _ := utf8.DecodeRune(e.text[e.start(i):])
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// ink reports whether cluster i is not white space.
func (e *editor) ink(i int) bool {
	r, _ := utf8.DecodeRune(e.text[e.start(i):])
	return !unicode.IsSpace(r)
}
