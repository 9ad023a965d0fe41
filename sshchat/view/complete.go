package view

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

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
