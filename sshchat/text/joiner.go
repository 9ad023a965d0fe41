package text

import (
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/norm"
)

// Three invisible characters are part of spelling. Without ZWNJ a Persian plural reads as another word, without ZWJ
// Malayalam, Sinhala and Bengali lose letters and families of emoji fall apart, and VS16 makes a sign an emoji. Anywhere
// else they let two texts look alike and differ, or break a word for searching.
//
// So they are kept only where they change the appearance (RFC 5892, appendix A, for the first two):
//
//   - ZWNJ and ZWJ after a virama: it shows the virama, or chooses the form of the letter before it.
//   - ZWJ between a letter and a virama: Bengali RA with YA-phalaa. (The RFC has no rule for it; names do not need it.)
//   - ZWNJ between two Arabic letters that would join without it.
//   - ZWJ between two pictographs, each with its modifier and VS16: an emoji sequence (UAX #29, GB11).
//   - VS16 after a pictograph, and in a keycap between its digit and U+20E3.
//
// In no case can a second one follow it, so that there is no counting in invisible digits. Scripts that mark nothing
// with them (Latin, Thai, Vietnamese, Hindi but for its viramas) never keep one.
const (
	zwnj   = '\u200C'
	zwj    = '\u200D'
	vs16   = '\uFE0F'
	keycap = '\u20E3'
)

func isJoiner(r rune) bool { return r == zwnj || r == zwj || r == vs16 }

// belongs reports whether the joiner r has its place between the two.
func belongs(before []byte, r rune, after string) bool {
	last, _ := utf8.DecodeLastRune(before)
	next, _ := utf8.DecodeRuneInString(after)
	switch r {
	case vs16:
		return isPictograph(last) || next == keycap && (last >= '0' && last <= '9' || last == '#' || last == '*')
	case zwnj:
		return isVirama(last) || joinsBack(next) && joinsOn(lastBut(before, isMark))
	case zwj:
		return isVirama(last) || unicode.IsLetter(last) && isVirama(next) ||
			isPictograph(next) && isPictograph(lastBut(before, isEmojiPart))
	}
	return false
}

// lastBut returns the last rune of s that is not to be skipped. Runs of skipped runes are short (maxMarks) or end the
// search: a pictograph has two such parts.
func lastBut(s []byte, skip func(rune) bool) rune {
	for range maxMarks + 1 {
		r, size := utf8.DecodeLastRune(s)
		if !skip(r) {
			return r
		}
		s = s[:len(s)-size]
	}
	return utf8.RuneError
}

func isMark(r rune) bool { return unicode.Is(unicode.M, r) }

// isEmojiPart reports whether r is a skin tone or VS16.
func isEmojiPart(r rune) bool { return r == vs16 || r >= 0x1F3FB && r <= 0x1F3FF }

// isVirama reports whether r is a sign that takes away a letter's vowel: canonical combining class 9.
func isVirama(r rune) bool {
	const virama = 9
	var buf [utf8.UTFMax]byte
	return isMark(r) && norm.NFC.Properties(utf8.AppendRune(buf[:0], r)).CCC() == virama
}

// isPictograph reports whether r is Extended_Pictographic. The standard library has no table of these; the one of the
// grapheme rules is asked by what follows from it: a ZWJ holds r to another pictograph and not to a letter.
func isPictograph(r rune) bool {
	if r < '©' {
		return false
	}
	holds := func(s string) bool { return graphemes.FromString(s).First() == s }
	return holds("⌚\u200D"+string(r)) && !holds("a\u200D"+string(r))
}

// joinsOn reports whether r is an Arabic letter that joins the one after it (UAX #44, Joining_Type D).
func joinsOn(r rune) bool { return unicode.Is(dualJoining, r) }

// joinsBack reports whether r is an Arabic letter that joins the one before it (Joining_Type D or R).
func joinsBack(r rune) bool {
	return unicode.Is(unicode.Arabic, r) && unicode.Is(unicode.Lo, r) && !unicode.Is(nonJoining, r)
}

// From ArabicShaping.txt of Unicode 15, the letters of the Arabic script.
var (
	dualJoining = &unicode.RangeTable{R16: []unicode.Range16{
		{0x0620, 0x0620, 1}, {0x0626, 0x0626, 1}, {0x0628, 0x0628, 1}, {0x062A, 0x062E, 1}, {0x0633, 0x063F, 1},
		{0x0641, 0x0647, 1}, {0x0649, 0x064A, 1}, {0x066E, 0x066F, 1}, {0x0678, 0x0687, 1}, {0x069A, 0x06BF, 1},
		{0x06C1, 0x06C2, 1}, {0x06CC, 0x06CC, 1}, {0x06CE, 0x06CE, 1}, {0x06D0, 0x06D1, 1}, {0x06FA, 0x06FC, 1},
		{0x06FF, 0x06FF, 1}, {0x0750, 0x0758, 1}, {0x075C, 0x076A, 1}, {0x076D, 0x0770, 1}, {0x0772, 0x0772, 1},
		{0x0775, 0x0777, 1}, {0x077A, 0x077F, 1}, {0x0886, 0x0886, 1}, {0x0889, 0x088D, 1}, {0x08A0, 0x08A9, 1},
		{0x08AF, 0x08B0, 1}, {0x08B3, 0x08B8, 1}, {0x08BA, 0x08C8, 1},
	}}
	nonJoining = &unicode.RangeTable{
		R16: []unicode.Range16{
			{0x0621, 0x0621, 1}, {0x0674, 0x0674, 1}, {0x0883, 0x0885, 1}, {0x0887, 0x0888, 1}, {0x08AD, 0x08AD, 1},
			{0xFB50, 0xFEFC, 1}, // presentation forms
		},
		R32: []unicode.Range32{{0x1EE00, 0x1EEFF, 1}}, // mathematical letters
	}
)
