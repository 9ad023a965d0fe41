package text

import (
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"sshchat/sshchat/attack"
)

// survivors are texts that must come through unchanged.
var survivors = map[string]string{
	"ascii":               "hello, world",
	"indented lines":      "func f() {\n    return\n}",
	"french":              "Déjà\u00A0vu\u202F!",
	"vietnamese":          "Tiếng Việt: nghiễm nhiên, ưỡn ẹo, Nguyễn",
	"hindi":               "हिन्दी में कार्त्स्न्य, क्षत्रिय, श्रृंगार",
	"hindi, virama shown": "क्\u200Cष",
	"hindi, half letter":  "क्\u200Dष",
	"marathi eyelash":     "तुर्\u200Dया",
	"malayalam chillu":    "അവന്\u200D വന്നു",
	"sinhala":             "ශ්\u200Dරී ලංකා",
	"bengali ya-phalaa":   "র\u200D্যাব",
	"tamil":               "தமிழ் க்ஷ ஸ்ரீ",
	"thai":                "ภาษาไทย น้ำ ก็ ผู้ใหญ่ กตัญญู",
	"lao":                 "ພາສາລາວ ເຂົ້າ",
	"khmer":               "ភាសាខ្មែរ ស្ត្រី",
	"burmese":             "မြန်မာဘာသာ ကြောင့်",
	"tibetan":             "བསྒྲུབས་ ཧཱུྃ",
	"persian":             "می\u200Cخواهم کتاب\u200Cها را ببینم",
	"persian with marks":  "مِی\u200Cخواهَم",
	"urdu":                "اردو میں خوش آمدید",
	"arabic with harakat": "السَّلَامُ عَلَيْكُمْ",
	"hebrew, cantillated": "בְּרֵאשִׁ֖ית בָּרָ֣א",
	"greek":               "ᾧ ὦ ἄνθρωπε",
	"korean":              "안녕하세요",
	"old korean":          "나랏말〯ᄊᆞ미",
	"japanese":            "カタカナ がぎぐ 漢字　々〆",
	"family":              "👨\u200D👩\u200D👧\u200D👦",
	"astronaut":           "👩🏽\u200D🚀",
	"kiss":                "👩🏽\u200D❤\uFE0F\u200D💋\u200D👨🏿",
	"eye in bubble":       "👁\uFE0F\u200D🗨\uFE0F",
	"pride":               "🏳\uFE0F\u200D🌈",
	"heart":               "❤\uFE0F",
	"keycaps":             "1\uFE0F⃣ #\uFE0F⃣ *\uFE0F⃣",
	"flags":               "🇩🇪🇫🇷",
	"skin tone":           "👍🏿 🏿",
	"math":                "∀x∈ℝ: ⌈x⌉ ≠ x⃗",
	"replacement":         "a\uFFFDb",
}

// What people write survives to the last mark.
func TestParseTextKeeps(t *testing.T) {
	for name, s := range survivors {
		t.Run(name, func(t *testing.T) {
			text, err := ParseText(s)
			if err != nil || text.String() != s {
				t.Errorf("%+q became %+q, %v", s, text, err)
			}
		})
	}
}

func TestAttackParseTextCleans(t *testing.T) {
	row := attack.On(t, attack.Room, "escapes, bidi, zalgo, invisible characters")
	hostile := map[string]struct{ in, want string }{
		"nfc":                          {"e\u0301 \u1100\u1161\u11A8 \u212B", "é 각 Å"},
		"marks in the wrong order":     {"ệ e\u0302\u0323", "ệ ệ"},
		"crlf and cr":                  {"a\r\nb\rc\n\rd", "a\nb\nc\n\nd"},
		"tab":                          {"\tx", "    x"},
		"escape":                       {"a\x1b[31mb\x1b]0;t\x07c", "a[31mb]0;tc"},
		"c0 and del":                   {"a\x00\x01\x08\x0e\x1b\x7fb", "ab"},
		"c1":                           {"a\u009b31m\u0084\u0080b", "a31mb"},
		"bidi":                         {"a\u202e\u202a\u202c\u2066\u2069\u200e\u200f\u061cb", "ab"},
		"zero-width":                   {"a\u200b\u2060\ufeff\u00ad\u180e\u2061b", "ab"},
		"joiners in latin":             {"pay\u200dpal pay\u200cpal", "paypal paypal"},
		"joiner at an end":             {"\u200da\u200d", "a"},
		"joiner after a break":         {"می\n\u200cخ", "می\nخ"},
		"zwnj after dal is invisible":  {"د\u200cا", "دا"},
		"zwnj before hamza":            {"ب\u200cء", "بء"},
		"one joiner at most":           {"می\u200d\u200c\u200cخ क्\u200c\u200d\u200cष", "می\u200cخ क्\u200cष"},
		"zwj between emoji only":       {"👩\u200d \u200d👧 a\u200d👧 👧\u200da", "👩 👧 a👧 👧a"},
		"vs16 elsewhere":               {"a\ufe0fb 1\ufe0f2 ❤\ufe0f\ufe0f", "ab 12 ❤\ufe0f"},
		"other variation selectors":    {"❤\ufe0e a\ufe01 漢\U000E0100", "❤ a 漢"},
		"marks ride a dropped joiner":  {"e\u200c\u0301x a\ufe0f\u0323\u0301b", "ex ab"},
		"jamo over a dropped joiner":   {"\u1100\u200d\u1161x", "\u1100x"},
		"tags":                         {"🏴\U000E0067\U000E0062\U000E007F", "🏴"},
		"separators":                   {"a\u2028b\u2029c", "a\nb\nc"},
		"vertical tab, form feed, NEL": {"one\vtwo\fthree\u0085four", "one\ntwo\nthree\nfour"},
		"breaks beside controls":       {"a\x00\x0b\x08\x0c\u0084\u0085b", "a\n\n\nb"},
		"private use, unassigned":      {"a\uE000\U000F0000\U0010FFFF\uFFFE\uFDD0\u0378b", "ab"},
		"fillers":                      {"a\u3164\u115f\u1160\uffa0\u17b4b", "ab"},
		"zalgo":                        {"a" + strings.Repeat("\u0351\u0328", 50) + "b", "\u0105\u0328\u0328\u0328\u0351b"},
		"marks on nothing":             {"\u0301\u0302a\n\u0301b", "a\nb"},
		"cgj":                          {"a\u034fb", "ab"},
		"no cgj from normalising":      {"x" + strings.Repeat("\u20E3", 64), "x" + strings.Repeat("\u20E3", 4)},
		"endless cluster":              {"x" + strings.Repeat("\u1100", 40) + "y", "x\uFFFDy"},
		"endless family":               {strings.Repeat("👩\u200d", 20) + "👩", "\uFFFD"},
		"blanks around":                {" \n\t\n  a  \n\n b\u00a0\n\u2800\n ", "  a\n\n b"},
	}
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			text, err := ParseText(c.in)
			if err != nil || text.String() != c.want {
				t.Errorf("%+q became %+q, %v; want %+q", c.in, text, err, c.want)
			}
		})
	}
	row.Tried("%d kinds, and fuzzing", len(hostile))
	row.Held("one sanitiser removes them from all text")
	through := 0
	for _, s := range survivors {
		if text, err := ParseText(s); err == nil && text.String() == s {
			through++
		}
	}
	row.Control("%d ordinary texts are unchanged", through)
}

// caf\xe9 from a Latin-1 terminal, or a file that is no text at all: it is refused as a whole. The control is what cleaning
// makes of it, as logs show it: another text, which nobody has written.
func TestAttackBytesThatAreNoText(t *testing.T) {
	row := attack.On(t, attack.Room, "bytes that are not UTF-8")
	bytes := map[string]struct{ in, cleaned, first string }{
		"latin-1":                   {"caf\xe9", "caf", "byte 4 is 0xE9"},
		"invalid utf-8":             {"a\xffb\xe2\x82c\xc0\xafd", "abcd", "byte 2 is 0xFF"},
		"no utf-8 out of its parts": {"\xe2\x82\xff\xacx", "x", "byte 1 is 0xE2"},
		"encoded surrogate":         {"a\xed\xa0\x80b", "ab", "byte 2 is 0xED"},
		"raw c1 byte":               {"a\x9b31mb", "a31mb", "byte 2 is 0x9B"},
		"after a long text":         {strings.Repeat("é", 2000) + "\xe9", strings.Repeat("é", 2000), "byte 4001 is 0xE9"},
		"after a replacement":       {"\ufffd\xff", "\ufffd", "byte 4 is 0xFF"},
		"nothing else":              {"\xff", "", "byte 1 is 0xFF"},
	}
	for name, c := range bytes {
		t.Run(name, func(t *testing.T) {
			for _, parse := range []func(string) (Text, error){ParseText, func(s string) (Text, error) { return ParseLine(s, MaxText) }} {
				if text, err := parse(c.in); !errors.Is(err, ErrNotUTF8) || !strings.Contains(err.Error(), c.first) || !text.IsEmpty() {
					t.Errorf("%+q became %+q, %v; want it refused, since %s", c.in, text, err, c.first)
				}
			}
			if cleaned := CleanLines(c.in); cleaned != c.cleaned {
				t.Errorf("%+q cleaned is %+q, want %+q", c.in, cleaned, c.cleaned)
			}
		})
	}
	row.Tried("%d texts", len(bytes))
	row.Held("refused as a whole, naming the first invalid byte")
	row.Control("cleaned as for a log, they become different texts")
}

func TestParseTextRefuses(t *testing.T) {
	for _, s := range []string{"", " \t\r\n", "\x1b\x00", "\u200b\u200d", "\u00a0\u2800\u3000", "\u0301"} {
		if text, err := ParseText(s); !errors.Is(err, ErrEmpty) {
			t.Errorf("%+q: %+q, %v; want ErrEmpty", s, text, err)
		}
	}
	if _, err := ParseText(strings.Repeat("x", MaxText+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if _, err := ParseText(strings.Repeat("x", MaxText) + "\x00 \n"); err != nil {
		t.Errorf("just long enough after cleaning: %v", err)
	}
}

func TestParseLine(t *testing.T) {
	line, err := ParseLine("\n \u0301one\ttwo\r\nthree\rfour \n", 18)
	if err != nil || line.String() != "one two three four" {
		t.Errorf("%+q, %v", line, err)
	}
	if _, err := ParseLine("one two three four", 17); !errors.Is(err, ErrTooLong) {
		t.Errorf("one byte too long: %v", err)
	}
	if _, err := ParseLine("\n", 17); !errors.Is(err, ErrEmpty) {
		t.Errorf("empty: %v", err)
	}
}

func TestClean(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		max  int
		want string
	}{
		"a forged log line":           {"x\n2026-11-23 login alice ok\r\x1b[2K", 80, "x 2026-11-23 login alice ok [2K"},
		"cut":                         {"hello", 3, "hel"},
		"cut before a blank":          {"ab cd", 3, "ab"},
		"cut between clusters":        {"ab👩🏽\u200d🚀", 10, "ab"},
		"cut in an e with two marks":  {"aệ\u0321\u0322b", 5, "a"},
		"cut off what a joiner joins": {"می\u200cخ", 7, "می"},
		"no room":                     {"hello", 0, ""},
		"less than no room":           {"hello", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(c.in, c.max); got != c.want {
				t.Errorf("Clean(%+q, %d) = %+q, want %+q", c.in, c.max, got, c.want)
			}
		})
	}
}

// The tables of joining Arabic letters agree with those behind RFC 8264 in x/text, for every letter of the script.
func TestArabicJoining(t *testing.T) {
	check := func(s string) bool { _, err := precis.NewFreeform().String(s); return err == nil }
	seen := 0
	for r := rune(0x600); r < 0x1EF00; r++ {
		if !unicode.Is(unicode.Arabic, r) || !unicode.Is(unicode.Lo, r) || !check(string(r)) {
			continue
		}
		seen++
		if got, want := joinsOn(r), check(string(r)+"\u200Cب"); got != want {
			t.Errorf("joinsOn(%U) = %v", r, got)
		}
		if got, want := joinsBack(r), check("ب\u200C"+string(r)); got != want {
			t.Errorf("joinsBack(%U) = %v", r, got)
		}
	}
	if seen < 200 {
		t.Errorf("only %d letters compared", seen)
	}
}

func TestPictographs(t *testing.T) {
	for _, r := range "©❤☎⌚👩🚀🏴🀄🫶" {
		if !isPictograph(r) {
			t.Errorf("%c is a pictograph", r)
		}
	}
	for _, r := range "a1#é🇩🏽あ中\u200D\u094D\uFE0F\uFFFDक" {
		if isPictograph(r) {
			t.Errorf("%U is no pictograph", r)
		}
	}
}

func TestPlainTextAllocatesNothing(t *testing.T) {
	const s = "a line as most are\n    and another"
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseText(s); err != nil {
			t.Fatal(err)
		}
		if Clean("OpenSSH_9.9", 40) == "" {
			t.Fatal("empty")
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// checkClean is the law of clean.go, read backwards.
func checkClean(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
		t.Errorf("%+q is not valid NFC", s)
	}
	marks, last := maxMarks, '\n'
	for _, r := range s {
		switch {
		case r == zwnj || r == zwj || r == vs16:
			if last == zwnj || last == zwj || last == vs16 && r != zwj || last == '\n' {
				t.Errorf("%+q: joiner after %U", s, last)
			}
		case r == '\n':
			marks = maxMarks
		case !unicode.IsGraphic(r) || unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			t.Errorf("%+q: %U", s, r)
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				t.Errorf("%+q: too many marks", s)
			}
		default:
			marks = 0
		}
		last = r
	}
}

var hostileTexts = []string{
	"plain", "a\r\nb\tc  \n\n", "\x1b[31m\u009b\u202e\xff", "e\u0301\u0323", "می\u200cخ", "क्\u200dष", "র\u200d্য",
	"👩🏽\u200d🚀 1\ufe0f⃣", "\u1100\u200d\u1161\u11a8", "a\u094d\u0301\u200cक", "\u0dd9\u0dca\u200d", "e\u200c\u0301",
	" \u0301\u0301\u0301\u0301\u0301x", "🏴\U000E0067\U000E007F🇩🇪🇫", "\u2194\ufe0f\u0338", "\u1100\u1100\u1100\u1161",
	"x\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344\u0344",
}

func FuzzParseText(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, err := ParseText(s)
		if errors.Is(err, ErrNotUTF8) == utf8.ValidString(s) {
			t.Errorf("%+q: %v", s, err)
		}
		if err != nil {
			return
		}
		checkClean(t, text.s)
		if len(text.s) == 0 || len(text.s) > MaxText {
			t.Errorf("%d bytes", len(text.s))
		}
		if again, err := ParseText(text.s); err != nil || again != text {
			t.Errorf("%+q: %+q became %+q, %v", s, text, again, err)
		}
	})
}

func FuzzClean(f *testing.F) {
	for i, s := range hostileTexts {
		f.Add(s, i)
		f.Add(s, 100)
	}
	f.Fuzz(func(t *testing.T, s string, max int) {
		line := Clean(s, max)
		checkClean(t, line)
		if strings.Contains(line, "\n") || len(line) > 0 && len(line) > max {
			t.Errorf("Clean(%+q, %d) = %+q", s, max, line)
		}
		if again := Clean(line, max); again != line {
			t.Errorf("%+q became %+q", line, again)
		}
		if parsed, err := ParseLine(line, len(line)); line != "" && (err != nil || parsed.s != line) {
			t.Errorf("%+q parsed became %+q, %v", line, parsed, err)
		}
	})
}

func BenchmarkParseText(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   strings.Repeat("hello, world ", 20),
		"hindi":   strings.Repeat("हिन्दी में ", 20),
		"hostile": strings.Repeat("\u200d", MaxText*8/3),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if _, err := ParseText(s); err != nil && !errors.Is(err, ErrEmpty) {
					b.Fatal(err)
				}
			}
		})
	}
}

// Short texts of the characters that interact: more telling than bytes at random.
func TestCleaningIsIdempotent(t *testing.T) {
	alphabet := []rune("ab \n\t\r1é😀👩🏽⌚🇩↔ক্রकष़्ाمیخبدءَ۰กำငျ\u200b\u200c\u200d\ufe0f\u20e3\u0301\u0323\u0327\u0344\u0338" +
		"\u1100\u1161\u11a8각\u0dd9\u0dca\u0ddc\u302e\u034f\u0d4e\u2800\u00a0\ufffd\u202e\U000E0067\U0001D165\U0001D15F")
	rapid.Check(t, func(r *rapid.T) {
		s := string(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 40).Draw(r, "text"))
		max := rapid.IntRange(0, 60).Draw(r, "max")
		text, _ := ParseText(s)
		checkClean(t, text.s)
		if again, _ := ParseText(text.s); again != text {
			r.Fatalf("text %+q became %+q", text.s, again.s)
		}
		line := Clean(s, max)
		checkClean(t, line)
		if again := Clean(line, max); again != line || len(line) > max {
			r.Fatalf("line %+q became %+q", line, again)
		}
		if t.Failed() {
			r.Fatalf("by %+q", s)
		}
	})
}
