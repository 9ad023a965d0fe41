package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mentions reports whether the name stands in t as a word of its own, with or without an @, in either case.
// Only Latin letters run on into a name: "bobさん" and "bob's" speak of bob, "bobby", "bob-2" and "post@bob.example" do not.
func (t Text) Mentions(n Name) bool {
	text, name := t.s, n.s
	for from := 0; from+len(name) <= len(text); from++ {
		if text[from]|0x20 != name[0] { // a name begins with a letter
			continue
		}
		to := from + len(name)
		if strings.EqualFold(text[from:to], name) && beginsAt(text, from) && endsAt(text, to) {
			return true
		}
	}
	return false
}

// beginsAt reports whether a word, or an @ and a word, begins at i.
func beginsAt(text string, i int) bool {
	before := strings.TrimSuffix(text[:i], "@")
	last, size := utf8.DecodeLastRuneInString(before)
	if last == '-' {
		last, _ = utf8.DecodeLastRuneInString(before[:len(before)-size])
	}
	return !ofWord(last)
}

func endsAt(text string, i int) bool {
	next, size := utf8.DecodeRuneInString(text[i:])
	if next == '-' {
		next, _ = utf8.DecodeRuneInString(text[i+size:])
	}
	return !ofWord(next)
}

// ofWord reports whether r may stand in a name, or is near enough to it to make another word of one.
func ofWord(r rune) bool {
	return r == '_' || unicode.Is(unicode.Latin, r) || unicode.IsDigit(r) || isMark(r)
}
