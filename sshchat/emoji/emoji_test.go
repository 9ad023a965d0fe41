package emoji

import (
	"errors"
	"testing"

	"sshchat/sshchat/text"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{"👍": "👍", ":+1:": "👍", ":thumbsup:": "👍", ":heart:": "❤\uFE0F", ":tada:": "🎉", ":de:": "🇩🇪"} {
		if got, err := Parse(in); err != nil || got.String() != want {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", ":", "::", ":nonsense:", "+1", ":+1", "ok", "👍👍"} {
		if got, err := Parse(in); !errors.Is(err, text.ErrNotEmoji) {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

// The names that are completed are those that are known.
func TestBegun(t *testing.T) {
	for in, want := range map[string]int{":tad": 0, "well :tad": 5, "(:tad": 1, "日本 :TAD": 7, ":tada: :tad": 7} {
		if start, found := Begun(in); start != want || len(found) != 1 || found[0] != ":tada:" {
			t.Errorf("%q: %q at %d, want one at %d", in, found, start, want)
		}
	}
	for _, in := range []string{"", ":", "a:tad", "12:3", "::tad", ":tada:", ":nonsense", ":tad a", "tada"} {
		if _, found := Begun(in); len(found) > 0 {
			t.Errorf("%q: %q", in, found)
		}
	}
	all := 0
	for c := 'a'; c <= 'z'; c++ {
		_, found := Begun(":" + string(c))
		for _, name := range found {
			if _, err := Parse(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		all += len(found)
	}
	if all < 1500 {
		t.Errorf("only %d names are completed", all)
	}
}

func FuzzBegun(f *testing.F) {
	f.Add("well :tad")
	f.Add("\xff:\x80:a")
	f.Fuzz(func(t *testing.T, s string) {
		if start, found := Begun(s); len(found) > 0 && (start < 0 || s[start] != ':') {
			t.Errorf("%q: %d of %q", s, start, found)
		}
	})
}
