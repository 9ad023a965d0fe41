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
