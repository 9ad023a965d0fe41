package view

import (
	"fmt"
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

	lost    lost // of what was typed or pasted, since the last time it was reported
	dropped int  // bytes of the last Input that went nowhere

	single bool // an answer: one line, with no history
	secret bool // an answer that nothing may be kept of
}

// lost is what there was no room for.
type lost struct{ bytes, lines int }

// bindings are the keys that edit. What sends, completes or leaves is the UI's.
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

// bound reports whether a key that begins with Alt does something where lines are edited.
func bound(name string) bool { return bindings[name] != nil || name == "alt+enter" }

// press does what the named key is bound to, if anything.
func (e *editor) press(name string) {
	if do := bindings[name]; do != nil {
		do(e)
		e.bad = e.bad && len(e.text) > 0
	}
}

// insert puts the printable part of s, with its newlines, before the cursor. An answer has one line, and a secret none
// of the line end that was copied with it. Where the line would grow past maxLine it takes what fits and reports false.
func (e *editor) insert(s string) bool {
	if len(e.text) >= maxLine {
		e.lose(s)
		return false
	}
	if e.secret && s == "\n" {
		return true
	}
	e.bad = e.bad || text.Check(s) != nil
	b := text.AppendPrintable(nil, s, !e.single)
	fits := len(e.text)+len(b) <= maxLine
	if !fits {
		n := maxLine - len(e.text)
		for n > 0 && !utf8.RuneStart(b[n]) {
			n--
		}
		e.lose(string(b[n:]))
		b = b[:n]
	}
	e.splice(e.at, e.at, newLine(b))
	if e.secret {
		clear(b)
	}
	return fits
}

// lose counts what there was no room for.
func (e *editor) lose(s string) {
	e.lost.bytes += len(s)
	e.lost.lines += strings.Count(s, "\n")
	e.dropped += len(s)
}

// reportLost says what of a paste there was no room for, if anything, and forgets it.
func (e *editor) reportLost() string {
	l := e.lost
	e.lost = lost{}
	if l.bytes == 0 {
		return ""
	}
	return fmt.Sprintf("the paste is too long: dropped its last %s (%s). A message can have at most %s",
		text.Count(l.lines+1, "line"), text.Count(l.bytes, "byte"), text.Count(text.MaxText, "byte"))
}

// tooLong says why what is typed cannot be sent, where it cannot: its author makes it shorter.
func (e *editor) tooLong() string {
	size := len(e.text)
	if size <= text.MaxText || e.single || isCommand(e.text) {
		return ""
	}
	return fmt.Sprintf("too long: %d bytes; the limit is %d. Nothing was sent.", size, text.MaxText)
}

// refused says why what is typed cannot be sent, and makes room for another try; "" if it can. What is too long stays, to
// be made shorter. A line that lost bytes is put away: more lines of the same kind may follow, and none may take its rest
// with it.
func (e *editor) refused() string {
	if why := e.tooLong(); why != "" || !e.bad {
		return why
	}
	if e.single {
		e.wipe()
		return "The terminal sent bytes that are not UTF-8. Set it to UTF-8 and answer again."
	}
	if strings.TrimSpace(e.take()) == "" {
		return "not sent: the terminal sent bytes that are not UTF-8. Set it to UTF-8."
	}
	return "not sent: the terminal sent bytes that are not UTF-8. Set it to UTF-8; Up brings back the rest of the line."
}

// clear drops what is typed.
func (e *editor) clear() { e.line, e.lost = line{}, lost{} }

// pasteTab puts in a Tab that came in the middle of more, as in code that is pasted where pastes are not bracketed.
// With complete it still completes a word that there is one completion of.
func (e *editor) pasteTab(k key, ask func(string, int) (int, []string)) bool {
	if e.single {
		return false
	}
	if ask != nil && e.at > 0 && e.ink(e.at-1) {
		if list, ok := e.complete(ask); ok && len(list) == 0 {
			return true
		}
	}
	return e.insert(k.text)
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
	e.clear()
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

// maxCandidates is how many completions are listed; the rest are counted.
const maxCandidates = 100

// complete asks for what could stand before the cursor. One candidate is put in with a space after it; of several,
// what they have in common, and where that is nothing new they are returned to be listed. ok is false where there is none.
func (e *editor) complete(ask func(line string, cursor int) (int, []string)) (list []string, ok bool) {
	if ask == nil || e.single {
		return nil, false
	}
	text, cursor := string(e.text), e.cursor()
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
		return candidates, true
	}
	e.replace(start, common)
	return nil, true
}

// replace puts s in place of the bytes from start, which must be a character's, to the cursor.
func (e *editor) replace(start int, s string) {
	from := e.at
	for from > 0 && e.start(from) > start {
		from--
	}
	s = string(e.text[e.start(from):start]) + s
	if len(e.text)-(e.cursor()-e.start(from))+len(s) > maxLine {
		return
	}
	e.splice(from, e.at, newLine(text.AppendPrintable(nil, s, true)))
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

// listing is candidates in one line.
func listing(candidates []string) string {
	if n := len(candidates) - maxCandidates; n > 0 {
		return fmt.Sprintf("%s  and %d more", strings.Join(candidates[:maxCandidates], "  "), n)
	}
	return strings.Join(candidates, "  ")
}
