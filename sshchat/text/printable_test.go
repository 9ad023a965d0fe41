package text

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// Whatever goes in, what comes out moves no cursor and is what it was but for that.
func FuzzPrintable(f *testing.F) {
	f.Add("a\tb\nc\x1b[2J\x9b1m\u202e\u200b\U000E0041\ufeff")
	f.Add("\u093f\u200d\ufe0f\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		b := string(AppendPrintable(nil, s, true))
		if !IsPrintable(strings.ReplaceAll(b, "\n", "")) {
			t.Errorf("%q became %q", s, b)
		}
		if again := string(AppendPrintable(nil, b, true)); again != b {
			t.Errorf("%q became %q", b, again)
		}
		if IsPrintable(s) && b != s {
			t.Errorf("%q is printable and became %q", s, b)
		}
		var w bytes.Buffer
		n, err := NewWriter(&w).Write([]byte(s))
		lines := strings.Split(s, "\n")
		for i, line := range lines {
			lines[i] = string(AppendPrintable(nil, line, false))
		}
		if n != len(s) || err != nil || w.String() != strings.Join(lines, "\n") {
			t.Errorf("written: %q, %d, %v", &w, n, err)
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var got, want string
		escaped := EscapeJSON(quoted)
		if json.Unmarshal(quoted, &want) != nil || json.Unmarshal(escaped, &got) != nil || got != want || !IsPrintable(string(escaped)) {
			t.Errorf("%q as JSON: %s", s, escaped)
		}
	})
}
