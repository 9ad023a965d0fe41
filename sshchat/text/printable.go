package text

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable reports whether r may go to a terminal as part of a text. Controls, bidirectional and other format
// characters, tags, line separators, invisible letters, private use and unassigned code points are not.
func Printable(r rune) bool { return isJoiner(r) || !isInvisible(r) }

func notPrintable(r rune) bool { return !Printable(r) }

// IsPrintable reports whether there is nothing in s that AppendPrintable would leave out or change.
func IsPrintable(s string) bool {
	return IsPrintableASCII(s) || utf8.ValidString(s) && strings.IndexFunc(s, notPrintable) < 0
}

// IsPrintableASCII reports whether every byte is a printable ASCII character.
func IsPrintableASCII[T string | []byte](s T) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// AppendPrintable appends the printable part of s to dst: what every output does with what it cannot know to be clean.
// A tab becomes a space, bytes that are not UTF-8 are left out, and what breaks a line becomes a newline where lines is
// set, else a space.
func AppendPrintable(dst []byte, s string, lines bool) []byte {
	if IsPrintableASCII(s) {
		return append(dst, s...)
	}
	for i, r := range s {
		switch {
		case r == '\t':
			dst = append(dst, ' ')
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case breaksLine(r) && lines:
			dst = append(dst, '\n')
		case breaksLine(r):
			dst = append(dst, ' ')
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"): // a byte that is no UTF-8
		case Printable(r):
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// EscapeJSON returns a JSON text with what is not printable in its strings written as \uXXXX: another spelling of the
// same value, which no terminal takes for an order.
func EscapeJSON(json []byte) []byte {
	if IsPrintableASCII(json) {
		return json
	}
	var out []byte
	for _, r := range string(json) {
		switch {
		case Printable(r):
			out = utf8.AppendRune(out, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
