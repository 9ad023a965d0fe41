// Package code reads source code as people paste it into messages, for its colors: comments, strings, numbers, keywords and keys.
// It knows the languages that are pasted most, and each of them roughly. What it does not know stays plain.
//
// Anybody may send anything, which is read on the server, so the time is linear whatever the text is: each byte is looked at
// a bounded number of times, and there are no regular expressions.
package code

import (
	"strings"
	"unicode/utf8"

	"sshchat/sshchat/view/theme"
)

// Span is a piece of a line in one style.
type Span struct {
	Text  string
	Style theme.Style
}

// Reader reads the lines of one block of code.
type Reader struct {
	*language
	until string // what ends the comment or string that goes on from the line before; empty for none
	style theme.Style
	spans []Span
}

// New returns a Reader for the language of that name, in any case; nil if it is not known.
func New(name string) *Reader {
	l := languages[strings.ToLower(name)]
	if l == nil {
		return nil
	}
	return &Reader{language: l}
}

// Line reads the next line. The spans are valid until the next call. No span begins within a grapheme cluster.
func (r *Reader) Line(line string) []Span {
	r.spans = r.spans[:0]
	at := 0
	switch {
	case r.until != "":
		at = r.goOn(line, 0)
	case r.diff:
		r.put(line, 0, len(line), diffStyle(line))
		return r.spans
	case r.key != nil:
		if n := r.key(line); n > 0 {
			at = r.put(line, 0, n, theme.CodeKeyword)
		}
	}
	for at < len(line) {
		at = r.token(line, at)
	}
	return r.spans
}

// put adds line[from:to] in a style, with the letters beyond ASCII behind it: a mark there belongs to what is before it. It
// returns where the next token begins.
func (r *Reader) put(line string, from, to int, style theme.Style) int {
	for to < len(line) && line[to] >= 0x80 {
		to++
	}
	if last := len(r.spans) - 1; last >= 0 && r.spans[last].Style == style {
		r.spans[last].Text = line[from-len(r.spans[last].Text) : to]
	} else if from < to {
		r.spans = append(r.spans, Span{line[from:to], style})
	}
	return to
}

// token reads the token at i, and returns where the next begins.
func (r *Reader) token(line string, i int) int {
	c := line[i]
	if r.open != "" && strings.HasPrefix(line[i:], r.open) {
		return r.begin(line, i, len(r.open), r.end, theme.CodeComment)
	}
	for _, sign := range r.comments {
		if strings.HasPrefix(line[i:], sign) && (sign != "#" || i == 0 || line[i-1] == ' ' || !r.hashAtWord) {
			return r.put(line, i, len(line), theme.CodeComment)
		}
	}
	switch {
	case strings.IndexByte(r.quotes, c) >= 0:
		return r.quoted(line, i)
	case c >= '0' && c <= '9':
		return r.put(line, i, endOfWord(line, i, true), theme.CodeNumber)
	case isWord(c):
		end := endOfWord(line, i, false)
		if r.isKeyword(line[i:end]) {
			return r.put(line, i, end, theme.CodeKeyword)
		}
		return r.put(line, i, end, theme.CodeBlock)
	}
	return r.put(line, i, i+1, theme.CodeBlock)
}

// begin begins what until ends, n bytes after i.
func (r *Reader) begin(line string, i, n int, until string, style theme.Style) int {
	r.until, r.style = until, style
	return r.goOn(line, r.put(line, i, i+n, style))
}

// goOn reads on to the end of what goes on at i, or of the line.
func (r *Reader) goOn(line string, i int) int {
	end := i
	for ; end < len(line); end++ {
		if r.style == theme.CodeString && line[end] == '\\' && strings.IndexByte(r.raw, r.until[0]) < 0 {
			end++
			continue
		}
		if strings.HasPrefix(line[end:], r.until) {
			end += len(r.until)
			r.until = ""
			break
		}
	}
	return r.put(line, i, min(end, len(line)), r.style)
}

// maxCharacter is how long a character in single quotes is at most, where those are for characters alone: '\U0001F600'.
const maxCharacter = 12

// quoted reads the string that begins at i.
func (r *Reader) quoted(line string, i int) int {
	quote := line[i : i+1]
	if quote == "'" && r.characters && !isCharacter(line[i+1:min(len(line), i+1+maxCharacter)]) {
		return r.put(line, i, i+1, theme.CodeBlock) // a lifetime, or an apostrophe
	}
	if r.triple && strings.HasPrefix(line[i:], quote+quote+quote) {
		return r.begin(line, i, 3, line[i:i+3], theme.CodeString)
	}
	spans := len(r.spans)
	end := r.begin(line, i, 1, quote, theme.CodeString)
	if strings.IndexByte(r.multiline, quote[0]) < 0 {
		r.until = "" // it ends with its line
	}
	if r.stringKeys && strings.HasPrefix(strings.TrimLeft(line[end:], " "), ":") && len(r.spans) == spans+1 {
		r.spans[spans].Style = theme.CodeKeyword
	}
	return end
}

// isCharacter reports whether s begins with one character and the quote after it.
func isCharacter(s string) bool {
	if strings.HasPrefix(s, "\\") {
		return len(s) > 2 && strings.IndexByte(s[2:], '\'') >= 0
	}
	_, n := utf8.DecodeRuneInString(s)
	return n > 0 && s[0] != '\'' && strings.HasPrefix(s[n:], "'")
}

func (r *Reader) isKeyword(word string) bool {
	const longest = 16
	if len(word) > longest {
		return false
	}
	if r.anyCase {
		word = strings.ToLower(word)
	}
	return r.keywords[word]
}

// endOfWord is where the word, or the number, ends that begins at i.
func endOfWord(line string, i int, number bool) int {
	for i < len(line) && (isWord(line[i]) || number && line[i] == '.') {
		i++
	}
	return i
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// diffStyle is the style of a line of a patch.
func diffStyle(line string) theme.Style {
	switch {
	case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "@@"), strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "index "):
		return theme.CodeComment
	case strings.HasPrefix(line, "+"):
		return theme.CodeAdded
	case strings.HasPrefix(line, "-"):
		return theme.CodeRemoved
	}
	return theme.CodeBlock
}
