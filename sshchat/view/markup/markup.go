// Package markup reads what people write in messages: *bold*, **bold**, _italic_, ~~struck~~, `code`, links and :emoji:. It knows nothing of rows or
// terminals.
package markup

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"sshchat/sshchat/emoji"
	"sshchat/sshchat/view/theme"
)

// Span is a piece of a message in one style.
type Span struct {
	Text  string
	Style theme.Style
	Link  string // the target, if it is a link
}

// Fence begins and ends a block of code, alone on its line but for the name of a language after the first.
const Fence = "```"

// maxLanguage is how long the name of a language is at most, in bytes.
const maxLanguage = 20

// IsFence reports whether a line can begin a block of code. What people write behind a fence that is no language is code itself,
// which must not get lost.
func IsFence(line string) bool {
	language, ok := strings.CutPrefix(strings.TrimRight(line, " "), Fence)
	return ok && len(language) <= maxLanguage && !strings.ContainsFunc(language, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+-#._", r)
	})
}

// Language is the language that a line which begins a block of code names; empty for none.
func Language(line string) string { return strings.TrimPrefix(strings.TrimRight(line, " "), Fence) }

// Parse reads the light markup of a line: *bold* and **bold**, _italic_, ~~struck~~, `code` and links. Other text stays as it was typed; with
// keep the signs do too, for a terminal that has no styles. Its time is linear.
func Parse(line string, keep bool) []Span {
	var out []Span
	plain := 0 // where the text begins that is not in out yet
	put := func(from, to int, s Span) {
		if plain < from {
			out = append(out, Span{Text: line[plain:from]})
		}
		out = append(out, s)
		plain = to
	}
	endless := 0 // signs that are not closed any more, a bit for each
	for i := 0; i < len(line); i = max(i+1, plain) {
		c := line[i]
		s := signAt(line, i)
		switch {
		case s >= 0 && endless&(1<<s) == 0 && opens(line, i, len(signs[s].text)):
			n := len(signs[s].text)
			end, ok := closing(line, i, n)
			switch {
			case !ok:
				endless |= 1 << s
			case keep:
				put(i, end+n, Span{Text: line[i : end+n], Style: signs[s].style})
			default:
				put(i, end+n, Span{Text: line[i+n : end], Style: signs[s].style})
			}
			if !ok {
				i += n - 1 // what a doubled sign does not begin, a single one does not either
			}
		case c == 'h' && wordStart(line, i):
			if n := linkLength(line[i:]); n > 0 {
				put(i, i+n, Span{line[i : i+n], theme.Link, line[i : i+n]})
			}
		}
	}
	if plain < len(line) {
		out = append(out, Span{Text: line[plain:]})
	}
	return out
}

// signs are what stands around a text; those of which others are a part come first.
var signs = []struct {
	text  string
	style theme.Style
}{{"**", theme.Bold}, {"~~", theme.Struck}, {"*", theme.Bold}, {"_", theme.Italic}, {"`", theme.Code}}

// signAt is the index of the sign at i; -1 if there is none.
func signAt(line string, i int) int {
	if strings.IndexByte("*~_`", line[i]) < 0 {
		return -1
	}
	for s := range signs {
		if strings.HasPrefix(line[i:], signs[s].text) {
			return s
		}
	}
	return -1
}

// opens reports whether the sign of n bytes at i can begin something: it stands at the start of a word, and before its text.
func opens(line string, i, n int) bool {
	return wordStart(line, i) && i+n < len(line) && line[i+n] != line[i] && line[i+n] != ' '
}

// closing finds the sign of n bytes that ends what the one at i begins: after its text, at the end of a word.
func closing(line string, i, n int) (end int, ok bool) {
	c, sign := line[i], line[i:i+n]
	for j := i + n + 1; j+n <= len(line); j++ {
		if line[j] != c || line[j:j+n] != sign || line[j-1] == ' ' && c != '`' {
			continue
		}
		if r, _ := utf8.DecodeRuneInString(line[j+n:]); c == '`' || j+n == len(line) || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != rune(c) {
			return j, true
		}
	}
	return 0, false
}

// Block is what a line of a message is, by what it begins with.
type Block int

const (
	Paragraph Block = iota
	Quotation       // "> text"
	Bullet          // "- text" or "* text"
	Numbered        // "1. text"
)

// maxIndent is how deep a list can be indented, in bytes.
const maxIndent = 8

// Line reads what a line begins with: how many bytes that has, with the blanks after it.
func Line(line string) (b Block, n int) {
	if strings.HasPrefix(line, "> ") {
		return Quotation, len("> ")
	}
	at := len(line) - len(strings.TrimLeft(line, " "))
	if at > maxIndent {
		return Paragraph, 0
	}
	rest := line[at:]
	if strings.HasPrefix(rest, "- ") || strings.HasPrefix(rest, "* ") {
		return Bullet, at + len("- ")
	}
	digits := 0
	for digits < min(len(rest), 3) && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 && strings.HasPrefix(rest[digits:], ". ") {
		return Numbered, at + digits + len(". ")
	}
	return Paragraph, 0
}

// wordStart reports whether no letter, digit or sign stands right before i.
func wordStart(line string, i int) bool {
	if i == 0 {
		return true
	}
	r, _ := utf8.DecodeLastRuneInString(line[:i])
	return unicode.IsSpace(r) || strings.ContainsRune("([{<\"'„“‚‘«—–-,;:", r)
}

// linkLength is how long the link is that s begins with, without the punctuation of the sentence around it.
func linkLength(s string) int {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return 0
	}
	end := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '<' || r == '>' || r == '"' || r == '`' })
	if end < 0 {
		end = len(s)
	}
	for end > 0 {
		c := s[end-1]
		if strings.IndexByte(".,;:!?'*_", c) < 0 && !(c == ')' && strings.Count(s[:end], "(") < strings.Count(s[:end], ")")) {
			break
		}
		end--
	}
	if end <= len("https://") {
		return 0
	}
	return end
}

// Emojis replaces the :names: in s with their characters. Unknown names stay.
func Emojis(s string) string {
	if strings.Count(s, ":") < 2 {
		return s
	}
	var b strings.Builder
	for {
		start := strings.IndexByte(s, ':')
		if start < 0 {
			break
		}
		end := strings.IndexByte(s[start+1:min(len(s), start+1+emoji.MaxName)], ':')
		if end < 1 {
			b.WriteString(s[:start+1])
			s = s[start+1:]
			continue
		}
		name := s[start+1 : start+1+end]
		if e, ok := emoji.Named(name); ok {
			b.WriteString(s[:start])
			b.WriteString(e)
			s = s[start+end+2:]
		} else {
			b.WriteString(s[:start+1+end]) // the second colon may begin a name
			s = s[start+1+end:]
		}
	}
	b.WriteString(s)
	return b.String()
}
