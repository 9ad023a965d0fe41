package text

import (
	"errors"
	"unicode"
)

// ErrNotEmoji refuses what is not one emoji.
var ErrNotEmoji = errors.New("that is not one emoji")

// maxPictographs is how many a ZWJ sequence has at most: a family of four, or two people, a heart and a kiss.
const maxPictographs = 4

// ParseEmoji reads one emoji (UTS #51): a pictograph with its skin tone, several of these that are joined, a flag of two letters,
// or a keycap. It is one grapheme cluster. Spaces around it go. One pictograph has one spelling, so that it is counted as one: with
// VS16 if that makes it an emoji, as of a heart, and without it if it is one anyway. Errors wrap ErrNotUTF8 or ErrNotEmoji.
func ParseEmoji(s string) (Text, error) {
	if err := Check(s); err != nil {
		return Text{}, err
	}
	if len(s) > MaxText { // no emoji has blanks that long around it
		return Text{}, ErrNotEmoji
	}
	s = trimLine(clean(s, asOneLine))
	runes := []rune(s)
	switch {
	case len(runes) == 2 && isFlagLetter(runes[0]) && isFlagLetter(runes[1]):
		return Text{s}, nil
	case len(runes) == 3 && runes[1] == vs16 && runes[2] == keycap: // clean leaves VS16 there only after what has a keycap
		return Text{s}, nil
	case len(runes) == 1 && isPictograph(runes[0]) && !isEmojiAlone(runes[0]):
		return Text{s + string(vs16)}, nil
	case len(runes) == 2 && runes[1] == vs16 && isPictograph(runes[0]) && isEmojiAlone(runes[0]):
		return Text{string(runes[0])}, nil
	case !isPictographs(runes):
		return Text{}, ErrNotEmoji
	}
	return Text{s}, nil
}

// IsEmoji reports whether t is what ParseEmoji returns.
func (t Text) IsEmoji() bool {
	e, err := ParseEmoji(t.s)
	return err == nil && e == t
}

// isPictographs reports whether it is a pictograph, or several joined by ZWJ, each with a skin tone or VS16 or neither.
func isPictographs(runes []rune) bool {
	for n := 1; n <= maxPictographs && len(runes) > 0 && isPictograph(runes[0]); n++ {
		runes = runes[1:]
		if len(runes) > 0 && isEmojiPart(runes[0]) {
			runes = runes[1:]
		}
		if len(runes) == 0 {
			return true
		}
		if runes[0] != zwj {
			return false
		}
		runes = runes[1:]
	}
	return false
}

func isFlagLetter(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// isEmojiAlone reports whether the pictograph is an emoji without VS16: of the first plane those of Emoji_Presentation, of the
// others all that are not known to be signs.
func isEmojiAlone(r rune) bool {
	if r <= 0xFFFF {
		return unicode.Is(emojiAlone, r)
	}
	return !unicode.Is(signsBeyond, r)
}

// From emoji-data.txt of Unicode 15; neither grows any more.
var (
	emojiAlone = &unicode.RangeTable{R16: []unicode.Range16{
		{0x231A, 0x231B, 1}, {0x23E9, 0x23EC, 1}, {0x23F0, 0x23F0, 1}, {0x23F3, 0x23F3, 1}, {0x25FD, 0x25FE, 1},
		{0x2614, 0x2615, 1}, {0x2648, 0x2653, 1}, {0x267F, 0x267F, 1}, {0x2693, 0x2693, 1}, {0x26A1, 0x26A1, 1},
		{0x26AA, 0x26AB, 1}, {0x26BD, 0x26BE, 1}, {0x26C4, 0x26C5, 1}, {0x26CE, 0x26CE, 1}, {0x26D4, 0x26D4, 1},
		{0x26EA, 0x26EA, 1}, {0x26F2, 0x26F3, 1}, {0x26F5, 0x26F5, 1}, {0x26FA, 0x26FA, 1}, {0x26FD, 0x26FD, 1},
		{0x2705, 0x2705, 1}, {0x270A, 0x270B, 1}, {0x2728, 0x2728, 1}, {0x274C, 0x274C, 1}, {0x274E, 0x274E, 1},
		{0x2753, 0x2755, 1}, {0x2757, 0x2757, 1}, {0x2795, 0x2797, 1}, {0x27B0, 0x27B0, 1}, {0x27BF, 0x27BF, 1},
		{0x2B1B, 0x2B1C, 1}, {0x2B50, 0x2B50, 1}, {0x2B55, 0x2B55, 1},
	}}
	signsBeyond = &unicode.RangeTable{R32: []unicode.Range32{
		{0x1F170, 0x1F171, 1}, {0x1F17E, 0x1F17F, 1}, {0x1F202, 0x1F202, 1}, {0x1F237, 0x1F237, 1}, {0x1F321, 0x1F321, 1},
		{0x1F324, 0x1F32C, 1}, {0x1F336, 0x1F336, 1}, {0x1F37D, 0x1F37D, 1}, {0x1F396, 0x1F397, 1}, {0x1F399, 0x1F39B, 1},
		{0x1F39E, 0x1F39F, 1}, {0x1F3CB, 0x1F3CE, 1}, {0x1F3D4, 0x1F3DF, 1}, {0x1F3F3, 0x1F3F3, 1}, {0x1F3F5, 0x1F3F5, 1},
		{0x1F3F7, 0x1F3F7, 1}, {0x1F43F, 0x1F43F, 1}, {0x1F441, 0x1F441, 1}, {0x1F4FD, 0x1F4FD, 1}, {0x1F549, 0x1F54A, 1},
		{0x1F56F, 0x1F570, 1}, {0x1F573, 0x1F579, 1}, {0x1F587, 0x1F587, 1}, {0x1F58A, 0x1F58D, 1}, {0x1F590, 0x1F590, 1},
		{0x1F5A5, 0x1F5A5, 1}, {0x1F5A8, 0x1F5A8, 1}, {0x1F5B1, 0x1F5B2, 1}, {0x1F5BC, 0x1F5BC, 1}, {0x1F5C2, 0x1F5C4, 1},
		{0x1F5D1, 0x1F5D3, 1}, {0x1F5DC, 0x1F5DE, 1}, {0x1F5E1, 0x1F5E1, 1}, {0x1F5E3, 0x1F5E3, 1}, {0x1F5E8, 0x1F5E8, 1},
		{0x1F5EF, 0x1F5EF, 1}, {0x1F5F3, 0x1F5F3, 1}, {0x1F5FA, 0x1F5FA, 1}, {0x1F6CB, 0x1F6CB, 1}, {0x1F6CD, 0x1F6CF, 1},
		{0x1F6E0, 0x1F6E5, 1}, {0x1F6E9, 0x1F6E9, 1}, {0x1F6F0, 0x1F6F0, 1}, {0x1F6F3, 0x1F6F3, 1},
	}}
)
