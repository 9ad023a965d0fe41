package output

import (
	"testing"

	"sshchat/sshchat/text"
)

// Styled writes nothing but text, colors and links.
func FuzzStyled(f *testing.F) {
	for _, s := range []string{"\x1b[1;31mred\x1b[m", "\x1b[2J", "\x1b]8;id=1;https://x\x1b\\link\x1b]8;;\x1b\\", "\x1b]0;t\a", "\x1b]8;;\x1b[2J", "\x9b2J", "\x1b[m\x1b", "\x1b]8;;\x07"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, row string) {
		var w Buffer
		w.Styled(row)
		for out := string(w.Take()); out != ""; {
			if n := Sequence(out); n > 0 {
				out = out[n:]
				continue
			}
			r := []rune(out)[0]
			if !text.Printable(r) {
				t.Fatalf("%q let %q through", row, r)
			}
			out = out[len(string(r)):]
		}
	})
}
