// Package text is what may be shown of what people and their clients send: the one sanitiser, and names.
package text

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// MaxText is the longest message, in bytes of UTF-8 after cleaning.
const MaxText = 4096

// Refusals of a text, as shown to the person who typed it.
var (
	ErrEmpty   = errors.New("it has no printable characters")
	ErrTooLong = errors.New("too long")
	ErrNotUTF8 = errors.New("this is not UTF-8 text")
)

// BOM is the byte-order mark that some editors write before the first letter of a file. Whoever reads a file or standard
// input takes it away.
const BOM = "\ufeff"

// Check refuses bytes that are not UTF-8. It is the one rule for all input: encodings are never guessed, and nothing of
// invalid input is kept. Errors wrap ErrNotUTF8 and name the first byte that is wrong.
func Check(s string) error {
	if utf8.ValidString(s) {
		return nil
	}
	at := 0
	for {
		r, size := utf8.DecodeRuneInString(s[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return fmt.Errorf("%w (byte %d is 0x%02X): convert it first, for example with iconv", ErrNotUTF8, at+1, s[at])
}

// Text is what somebody said, safe to show on any terminal. Only this package makes one,
// so holding a Text is the proof that it was cleaned. The zero Text is empty.
type Text struct{ s string }

// ParseText cleans s and keeps its lines. Blanks at the end of a line go, and so do blank lines around the text.
// Errors wrap ErrNotUTF8, ErrEmpty or ErrTooLong (more than MaxText bytes).
func ParseText(s string) (Text, error) {
	if err := Check(s); err != nil {
		return Text{}, err
	}
	return limited(trimLines(clean(s, asLines)), MaxText)
}

// Keep appends the text to memory, which must have room for it, and returns the text as it stands there: it is gone when
// that memory is cleared.
func (t Text) Keep(memory []byte) (Text, []byte) {
	at := len(memory)
	if len(t.s) > cap(memory)-at {
		panic("internal error: no room for a text")
	}
	memory = append(memory, t.s...)
	if len(t.s) == 0 {
		return t, memory
	}
	return Text{unsafe.String(&memory[at], len(t.s))}, memory
}

// Clone is the text in memory of its own.
func (t Text) Clone() Text { return Text{strings.Clone(t.s)} }

// After is the text with what the server says before it.
func (t Text) After(words string) Text { return Text{words + t.s} }

// ParseLine cleans s into one line of at most max bytes, for topics, labels and the like.
// Errors wrap ErrNotUTF8, ErrEmpty or ErrTooLong.
func ParseLine(s string, max int) (Text, error) {
	if err := Check(s); err != nil {
		return Text{}, err
	}
	return limited(trimLine(clean(s, asOneLine)), max)
}

func limited(s string, max int) (Text, error) {
	switch {
	case s == "":
		return Text{}, ErrEmpty
	case len(s) > max:
		return Text{}, fmt.Errorf("%w: %d bytes; the limit is %d", ErrTooLong, len(s), max)
	}
	return Text{s}, nil
}

// Clean returns s fit for one line of a log or a terminal, whatever s is: cleaned as ParseLine does, then cut to
// at most max bytes between two grapheme clusters. It is for what clients say of themselves and for showing what
// was refused; it may return "".
func Clean(s string, max int) string {
	s = trimLine(clean(s, asOneLine))
	if len(s) <= max {
		return s
	}
	cut := 0
	for clusters := graphemes.FromString(s); clusters.Next() && clusters.End() <= max; {
		cut = clusters.End()
	}
	s = strings.TrimRight(s[:cut], string(zwnj)+string(zwj)) // it stood between two letters, and one is cut off
	return strings.TrimRightFunc(s, blank)
}

// CleanLines is Clean for a text of several lines, and of any length.
func CleanLines(s string) string { return trimLines(clean(s, asLines)) }

// Sprintf is a text of the server's own, cleaned as a whole whatever the arguments hold.
func Sprintf(format string, args ...any) Text { return Text{CleanLines(fmt.Sprintf(format, args...))} }

func (t Text) String() string { return t.s }

// IsEmpty reports whether t is the zero Text.
func (t Text) IsEmpty() bool { return t.s == "" }
