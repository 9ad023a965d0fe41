package text

import (
	"errors"
	"strings"
	"testing"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

func TestParseEmoji(t *testing.T) {
	for in, want := range map[string]string{
		"👍": "👍", " 👍 ": "👍", "👍🏽": "👍🏽", "👍\uFE0F": "👍", // one spelling of each
		"❤": "❤\uFE0F", "❤\uFE0F": "❤\uFE0F", "🌶": "🌶\uFE0F", "⌚": "⌚", "✅": "✅",
		"🇩🇪": "🇩🇪", "1\uFE0F\u20E3": "1\uFE0F\u20E3", "❤\uFE0F\u200D🔥": "❤\uFE0F\u200D🔥",
		"👨\u200D👩\u200D👧\u200D👦": "👨\u200D👩\u200D👧\u200D👦", "👩🏻\u200D❤\uFE0F\u200D💋\u200D👨🏻": "👩🏻\u200D❤\uFE0F\u200D💋\u200D👨🏻",
		"\u202E👍\u200B": "👍", "🏴\U000E0067\U000E007F": "🏴", // as anything that is said
	} {
		if got, err := ParseEmoji(in); err != nil || got.String() != want {
			t.Errorf("%+q: %+q, %v; want %+q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", " ", "a", "1", "#", "ok", "👍👍", "👍 👍", "👍x", "x👍", "🇩", "🇩🇪🇫", "\u200D", "\uFE0F", "👍\n👍", "é", "字", "👍\u0301", "1\u20E3",
		"👍🏽🏽", ":thumbsup:", strings.Repeat("👍\u200D", 5) + "👍", strings.Repeat(" ", MaxText) + "👍", "\x1b[31m👍",
	} {
		if got, err := ParseEmoji(in); !errors.Is(err, ErrNotEmoji) {
			t.Errorf("%+q: %+q, %v", in, got, err)
		}
	}
	if _, err := ParseEmoji("\xff"); !errors.Is(err, ErrNotUTF8) {
		t.Error(err)
	}
}

// What is taken for an emoji is one sign on every screen, and short, whatever was sent.
func FuzzParseEmoji(f *testing.F) {
	for _, s := range []string{"👍", "❤", "👨\u200D👩\u200D👧", "🇩🇪", "1\uFE0F\u20E3", "a", "👍\u0301\u0302"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEmoji(s)
		if err != nil {
			if e != (Text{}) {
				t.Fatalf("%+q: %+q beside %v", s, e, err)
			}
			return
		}
		if got := e.String(); graphemes.FromString(got).First() != got || len(got) > 48 || !IsPrintable(got) || strings.ContainsAny(got, " \n") {
			t.Fatalf("%+q: %+q is not one cluster", s, got)
		}
		if again, err := ParseEmoji(e.String()); err != nil || again != e || !e.IsEmoji() {
			t.Fatalf("%+q: %+q becomes %+q, %v", s, e, again, err)
		}
		if said, err := ParseText(e.String()); err != nil || said != e {
			t.Fatalf("%+q: %+q is said as %+q, %v", s, e, said, err)
		}
	})
}
