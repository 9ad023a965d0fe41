package editor

import (
	"slices"
	"testing"

	"github.com/clipperhouse/uax29/v2/graphemes"

	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
)

// FuzzLine checks the clusters kept while editing against those of the whole text.
func FuzzLine(f *testing.F) {
	for _, s := range texttest.Scripts {
		f.Add(s, "\U0001F1E9", uint8(3), uint8(5))
		f.Add(s, "\u0301\u200d", uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, spoken, put string, from, to uint8) {
		if len(spoken)+len(put) > MaxLine {
			return
		}
		l := NewLine(text.AppendPrintable(nil, spoken, true))
		a := min(int(from), len(l.ends))
		b := min(max(a, int(to)), len(l.ends))
		l.splice(a, b, NewLine(text.AppendPrintable(nil, put, true)))
		var want []uint16
		for g := graphemes.FromBytes(l.Text); g.Next(); {
			want = append(want, uint16(g.End()))
		}
		if !slices.Equal(l.ends, want) {
			t.Errorf("%q: clusters end at %v, want %v", l.Text, l.ends, want)
		}
		if l.At < 0 || l.At > len(l.ends) {
			t.Errorf("cursor at %d of %d", l.At, len(l.ends))
		}
	})
}
