// Package markup reads what people write in messages: *bold*, _italic_, `code`, links and :emoji:. It knows nothing of rows or
// terminals.
package markup

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark-emoji/definition"

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

// Parse reads the light markup of a line: *bold*, _italic_, `code` and links. Other text stays as it was typed; with
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
	endless := "" // signs that are not closed any more
	for i := 0; i < len(line); i = max(i+1, plain) {
		c := line[i]
		switch {
		case strings.IndexByte("*_`", c) >= 0 && strings.IndexByte(endless, c) < 0 && opens(line, i):
			end, ok := closing(line, i)
			switch {
			case !ok:
				endless += string(c)
			case keep:
				put(i, end+1, Span{Text: line[i : end+1], Style: signs[c]})
			default:
				put(i, end+1, Span{Text: line[i+1 : end], Style: signs[c]})
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

var signs = map[byte]theme.Style{'*': theme.Bold, '_': theme.Italic, '`': theme.Code}

// opens reports whether the sign at i can begin something: it stands at the start of a word, and before its text.
func opens(line string, i int) bool {
	return wordStart(line, i) && i+1 < len(line) && line[i+1] != line[i] && line[i+1] != ' '
}

// closing finds the sign that ends what the one at i begins: after its text, at the end of a word.
func closing(line string, i int) (end int, ok bool) {
	c := line[i]
	for j := i + 2; j < len(line); j++ {
		if line[j] != c || line[j-1] == ' ' && c != '`' {
			continue
		}
		if r, _ := utf8.DecodeRuneInString(line[j+1:]); c == '`' || j+1 == len(line) || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != rune(c) {
			return j, true
		}
	}
	return 0, false
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

// emojiNames are the names of GitHub's emoji, made on first use.
var emojiNames = sync.OnceValue(func() definition.Emojis { return definition.Github() })

// maxEmojiName is longer than any name.
const maxEmojiName = 48

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
		end := strings.IndexByte(s[start+1:min(len(s), start+1+maxEmojiName)], ':')
		if end < 1 {
			b.WriteString(s[:start+1])
			s = s[start+1:]
			continue
		}
		name := s[start+1 : start+1+end]
		if e, ok := emojiNames().Get(name); ok && e.IsUnicode() {
			b.WriteString(s[:start])
			b.WriteString(string(e.Unicode))
			s = s[start+end+2:]
		} else {
			b.WriteString(s[:start+1+end]) // the second colon may begin a name
			s = s[start+1+end:]
		}
	}
	b.WriteString(s)
	return b.String()
}
