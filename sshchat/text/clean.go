package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
	"golang.org/x/text/unicode/norm"
)

// The one law for everything that people or their clients send and others see:
//
//  1. Kept are letters, marks, digits, punctuation, symbols and spaces that the Unicode of this Go knows. So controls
//     (C0, DEL, C1), all format characters (bidi controls, zero-width spaces, tags, soft hyphens), private use,
//     noncharacters and the unassigned go. What breaks lines (UAX #14, class BK, CR, LF and NL: CR, VT, FF, NEL, the line
//     and paragraph separators) breaks them here, or where there is one line is a space: words never join. Letters and marks that are invisible by definition
//     (UAX #44, Default_Ignorable_Code_Point) go too. A flag of tags becomes its base flag. Bytes that are no UTF-8 go
//     from what is only shown, as by Clean; what is to be kept is refused with them, by Check.
//  2. The rest is brought to NFC (UAX #15).
//  3. A letter carries at most maxMarks marks, and a line does not begin with one: it would sit on what we print before.
//     ZWJ, ZWNJ and VS16 stay only where they change what is seen; joiner.go has the rule.
//  4. A grapheme cluster (UAX #29) of more than maxCluster code points is no sign of any language. Terminals and
//     we would differ on its width without bound, so it becomes U+FFFD.
//
// Cleaning what is clean changes nothing, and the time is linear.
const (
	maxMarks   = 4  // Vietnamese and Thai need 2, Hebrew with cantillation 4
	maxCluster = 16 // the longest emoji in use has 10, the longest Sanskrit conjuncts 11

	// Marks on one letter before NFC, which may still join some with it: more than that are decoration. Package norm
	// would cut a run of 30 with a CGJ (UAX #15, stream-safe text), which must not get in this way.
	maxRawMarks = 8
)

// Tab replaces a tab in a text of several lines.
const Tab = "    "

// shape is what becomes of line ends and tabs.
type shape struct{ newline, tab string }

var (
	asLines   = shape{newline: "\n", tab: Tab}
	asOneLine = shape{newline: " ", tab: " "}
)

// clean applies the law. Plain ASCII is returned as it is, at the price of one look.
func clean(s string, as shape) string {
	if isPlain(s, as) {
		return s
	}
	return boundClusters(settle(norm.NFC.String(visible(s, as))))
}

// isPlain reports whether s is ASCII in which there is nothing to clean.
func isPlain(s string, as shape) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && (c != '\n' || as.newline != "\n") || c > '~' {
			return false
		}
	}
	return true
}

// visible drops what is never shown, and keeps joiners for settle to judge.
func visible(s string, as shape) string {
	var out strings.Builder
	out.Grow(len(s))
	marks := 0
	for i, r := range s {
		switch {
		case r == '\r' && strings.HasPrefix(s[i+1:], "\n"):
		case breaksLine(r):
			out.WriteString(as.newline)
			marks = 0
		case r == '\t':
			out.WriteString(as.tab)
			marks = 0
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"): // a byte that is no UTF-8
		case isJoiner(r):
			out.WriteRune(r)
		case isInvisible(r):
		case isMark(r):
			if marks++; marks <= maxRawMarks {
				out.WriteRune(r)
			}
		default:
			out.WriteRune(r)
			marks = 0
		}
	}
	return out.String()
}

// breaksLine reports whether r begins a line where it is obeyed: LF, VT, FF, CR, NEL, and the separators.
func breaksLine(r rune) bool {
	return r >= '\n' && r <= '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}

// isInvisible reports whether r is not to be seen, whatever it stands beside.
func isInvisible(r rune) bool {
	return !unicode.IsGraphic(r) ||
		unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point)
}

// settle keeps those marks and joiners that belong to what stands before them. s is NFC and stays so:
// of a run of marks only the end goes, and with a joiner goes what would combine across the hole.
func settle(s string) string {
	out := make([]byte, 0, len(s))
	marks := maxMarks // a line has not begun: there is nothing to carry one
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		sign := s[:size]
		s = s[size:]
		switch {
		case isJoiner(r):
			if !belongs(out, r, s) {
				s = s[combining(s):]
				continue
			}
		case isMark(r):
			if marks == maxMarks {
				continue
			}
			marks++
		case r == '\n':
			marks = maxMarks
		default:
			marks = 0
		}
		out = append(out, sign...)
	}
	return string(out)
}

// combining is the length of the run at the start of s that normalising may join with what stands before it.
func combining(s string) int {
	n := 0
	for n < len(s) {
		p := norm.NFC.PropertiesString(s[n:])
		if p.BoundaryBefore() {
			break
		}
		n += p.Size()
	}
	return n
}

// boundClusters replaces clusters that are too long. It does not change where the others begin and end:
// U+FFFD joins with nothing before it, and no cluster begins with what would join it from behind.
func boundClusters(s string) string {
	if utf8.RuneCountInString(s) <= maxCluster {
		return s
	}
	var out strings.Builder
	kept := 0
	for clusters := graphemes.FromString(s); clusters.Next(); {
		if len(clusters.Value()) > maxCluster && utf8.RuneCountInString(clusters.Value()) > maxCluster {
			out.WriteString(s[kept:clusters.Start()])
			out.WriteRune(utf8.RuneError)
			kept = clusters.End()
		}
	}
	if kept == 0 {
		return s
	}
	out.WriteString(s[kept:])
	return out.String()
}

// blank reports whether r shows as nothing within a line: a space, or the braille pattern without dots.
func blank(r rune) bool { return r != '\n' && (unicode.IsSpace(r) || r == '\u2800') }

func blankOrNewline(r rune) bool { return r == '\n' || blank(r) }

// trimLines takes away blanks at the ends of lines, and blank lines around the text. Indentation stays.
func trimLines(s string) string {
	s = strings.TrimRightFunc(s, blankOrNewline)
	text := strings.TrimLeftFunc(s, blankOrNewline)
	start := strings.LastIndexByte(s[:len(s)-len(text)], '\n') + 1
	s = s[start:]
	for line := range strings.Lines(s) {
		bare := strings.TrimSuffix(line, "\n")
		if last, _ := utf8.DecodeLastRuneInString(bare); blank(last) {
			return trimEach(s)
		}
	}
	return s
}

func trimEach(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRightFunc(line, blank)
	}
	return strings.Join(lines, "\n")
}

// trimLine takes away what is blank on both sides, and marks that sat on a blank in front.
func trimLine(s string) string {
	s = strings.TrimRightFunc(s, blank)
	if first, _ := utf8.DecodeRuneInString(s); !blank(first) {
		return s
	}
	return strings.TrimLeftFunc(s, func(r rune) bool {
		return blank(r) || isJoiner(r) || isMark(r)
	})
}
