package view

import (
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// The two format characters that texts keep: they shape the letters or emoji around them and take no room.
const (
	joiner    = '\u200d'
	nonJoiner = '\u200c'
)

// printable reports whether r may go to a terminal as part of a text. Controls, bidirectional and other format
// characters, tags, line separators, private use and unassigned code points are not.
func printable(r rune) bool { return unicode.IsGraphic(r) || r == joiner || r == nonJoiner }

func notPrintable(r rune) bool { return !printable(r) }

// plainASCII reports whether every byte is a printable ASCII character.
func plainASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// appendClean appends the printable part of s to dst. A tab becomes a space, bytes that are not UTF-8 are left out,
// and newlines are kept only where lines is set.
func appendClean(dst []byte, s string, lines bool) []byte {
	if plainASCII(s) {
		return append(dst, s...)
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\t':
			dst = append(dst, ' ')
		case r == '\n' && lines:
			dst = append(dst, '\n')
		case r == utf8.RuneError && n == 1:
		case printable(r):
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// cells is how many columns b takes on a terminal, by grapheme cluster. It is never more than len(b):
// whatever is two columns wide has at least three bytes.
func cells(b []byte) int { return displaywidth.Bytes(b) }
