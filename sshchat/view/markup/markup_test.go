package markup

import (
	"fmt"
	"strings"
	"testing"

	"sshchat/sshchat/view/theme"
)

func TestMarkup(t *testing.T) {
	for line, want := range map[string]string{
		"plain":                        "plain",
		"*bold* and _it_ and `c_o*de`": "<b>bold</b> and <i>it</i> and <c>c_o*de</c>",
		"(*bold*, _it_.)":              "(<b>bold</b>, <i>it</i>.)",
		"snake_case_word 2*3*4 a*b":    "snake_case_word 2*3*4 a*b",
		"* item * two":                 "* item * two",
		"**double** __init__":          "<b>double</b> __init__",
		"~~struck~~ ~not~ ~~ no ~~":    "<s>struck</s> ~not~ ~~ no ~~",
		"**open *it* 2**3 ~~open":      "**open <b>it</b> 2**3 ~~open",
		"**a *b* c**, **":              "<b>a *b* c</b>, **",
		"*open _open `open":            "*open _open `open",
		"*":                            "*", "``": "``", "**": "**",
		"see https://x.org/a_b_c.": "see <l>https://x.org/a_b_c</l>.",
		"(https://x.org/a_(b))":    "(<l>https://x.org/a_(b)</l>)",
		"https://":                 "https://",
		"xhttps://x.org":           "xhttps://x.org",
		"*ü*":                      "<b>ü</b>",
		"`a *b* c`":                "<c>a *b* c</c>",
	} {
		if got := tagged(Parse(line, false)); got != want {
			t.Errorf("%s is read as %s, not %s", line, got, want)
		}
		if got := tagged(Parse(line, true)); strings.NewReplacer("<b>", "", "</b>", "", "<i>", "", "</i>", "", "<c>", "", "</c>", "", "<l>", "", "</l>", "", "<s>", "", "</s>", "").Replace(got) != line {
			t.Errorf("with its signs kept %s is %s", line, got)
		}
	}
}

func tagged(found []Span) string {
	var b strings.Builder
	tags := map[theme.Style]string{theme.Bold: "b", theme.Italic: "i", theme.Code: "c", theme.Link: "l", theme.Struck: "s"}
	for _, s := range found {
		if tag := tags[s.Style]; tag != "" {
			fmt.Fprintf(&b, "<%s>%s</%s>", tag, s.Text, tag)
		} else {
			b.WriteString(s.Text)
		}
	}
	return b.String()
}

func TestLines(t *testing.T) {
	for line, want := range map[string]struct {
		Block
		n int
	}{
		"text": {Paragraph, 0}, "": {Paragraph, 0}, "> said": {Quotation, 2}, ">said": {Paragraph, 0}, "- one": {Bullet, 2}, "* one": {Bullet, 2},
		"  - nested": {Bullet, 4}, "-one": {Paragraph, 0}, "1. one": {Numbered, 3}, "12. one": {Numbered, 4}, "2026. one": {Paragraph, 0},
		"1.5 of it": {Paragraph, 0}, "          - deep": {Paragraph, 0}, "- ": {Bullet, 2},
	} {
		if b, n := Line(line); b != want.Block || n != want.n {
			t.Errorf("%q is %d with %d bytes, not %d with %d", line, b, n, want.Block, want.n)
		}
	}
	for line, want := range map[string]bool{
		"```": true, "```go": true, "```c++ ": true, "``": false, "```ls -l": false, "```x```": false, "a ```": false, "```" + strings.Repeat("x", 21): false,
	} {
		if IsFence(line) != want {
			t.Errorf("%q is a fence: %v", line, !want)
		}
	}
}

// However a line is marked up, its text is there, and reading it takes time in proportion.
func FuzzMarkup(f *testing.F) {
	for _, s := range []string{"*a* _b_ `c`", "https://x.org/(a)", strings.Repeat("*a _b `", 50), "* * *", "_*`", "**a** ~~b~~ ***c*** ~~~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var kept, bare strings.Builder
		for _, s := range Parse(line, true) {
			kept.WriteString(s.Text)
		}
		for _, s := range Parse(line, false) {
			bare.WriteString(s.Text)
		}
		if kept.String() != line {
			t.Fatalf("%q became %q", line, kept.String())
		}
		signless := strings.NewReplacer("*", "", "_", "", "`", "", "~", "")
		if signless.Replace(bare.String()) != signless.Replace(line) {
			t.Fatalf("%q lost text: %q", line, bare.String())
		}
	})
}

func TestEmoji(t *testing.T) {
	for s, want := range map[string]string{
		":tada: done": "🎉 done", "a:tada::wave:b": "a🎉👋b", "12:34:56": "12:34:56", ":no_such_name:": ":no_such_name:", "::": "::", ":": ":",
		"x::tada:": "x:🎉", strings.Repeat(":", 100): strings.Repeat(":", 100), ":" + strings.Repeat("x", 100) + ":": ":" + strings.Repeat("x", 100) + ":",
	} {
		if got := Emojis(s); got != want {
			t.Errorf("%q becomes %q, not %q", s, got, want)
		}
	}
}
