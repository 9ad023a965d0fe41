package code

import (
	"strconv"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/theme"
)

// signs stand around what is in a style.
var signs = map[theme.Style]string{
	theme.CodeComment: "#", theme.CodeString: "\"", theme.CodeNumber: "0", theme.CodeKeyword: "k", theme.CodeAdded: "+", theme.CodeRemoved: "-",
}

// read is the text with a sign and brackets around each span that is in a style.
func read(language, text string) string {
	r := New(language)
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\n") {
		for _, s := range r.Line(line) {
			if sign, ok := signs[s.Style]; ok {
				b.WriteString(sign + "[" + s.Text + "]")
			} else {
				b.WriteString(s.Text)
			}
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestLanguages(t *testing.T) {
	for _, c := range []struct{ language, text, want string }{
		{"go", "x := \"a\\\"b\" // one", `x := "["a\"b"] #[// one]`},
		{"Go", "func f(r rune) { return r == '\\'' || 'x' }", `k[func] f(r rune) { k[return] r == "['\''] || "['x'] }`},
		{"go", "a := `raw \\` + 0x1F /* b\nc */ + 1.5e3", "a := \"[`raw \\`] + 0[0x1F] #[/* b]\n#[c */] + 0[1.5e3]"},
		{"go", "`a\nb` nil", "\"[`a]\n\"[b`] k[nil]"},
		{"go", "\"not ended\nvar x1, func2", "\"[\"not ended]\nk[var] x1, func2"},
		{"rust", "fn f<'a>(x: &'a str) -> char { 'x' } // é", `k[fn] f<'a>(x: &'a k[str]) -> k[char] { "['x'] } #[// é]`},
		{"c", "int n = 42; /* a */ char c = 'a';", `k[int] n = 0[42]; #[/* a */] k[char] c = "['a'];`},
		{"ts", "const f = async () => `a ${x}\nb`; // c", "k[const] f = k[async] () => \"[`a ${x}]\n\"[b`]; #[// c]"},
		{"java", "String s = \"\"\"\n\"a\"\n\"\"\"; return;", "String s = \"[\"\"\"]\n\"[\"a\"]\n\"[\"\"\"]; k[return];"},
		{"py", "def f():\n    '''doc\n    more''' # no\n    return None", "k[def] f():\n    \"['''doc]\n\"[    more'''] #[# no]\n    k[return] k[None]"},
		{"sh", "if [ $# -gt 0 ]; then echo \"a\nb\" 'c\\'; fi # done", "k[if] [ $# -gt 0[0] ]; k[then] k[echo] \"[\"a]\n\"[b\"] \"['c\\']; k[fi] #[# done]"},
		{"sql", "SELECT a FROM t WHERE b = 'it''s' AND c = 1 -- all", `k[SELECT] a k[FROM] t k[WHERE] b = "['it''s'] k[AND] c = 0[1] #[-- all]`},
		{"json", `{"a": [1, true, "b"], "c" : null}`, `{k["a"]: [0[1], k[true], "["b"]], k["c"] : k[null]}`},
		{"yaml", "- name: \"x\" # y\n  a: true\nurl: http://h#1", "k[- name]: \"[\"x\"] #[# y]\nk[  a]: k[true]\nk[url]: http://h#0[1]"},
		{"toml", "[a.b]\nname = 'x' # y\nn = 1", "k[[a.b]]\nk[name ]= \"['x'] #[# y]\nk[n ]= 0[1]"},
		{"diff", "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same", "#[--- a]\n#[+++ b]\n#[@@ -1 +1 @@]\n-[-old]\n+[+new]\n same"},
		{"lua", "--[[ a\nb ]] local x -- c", "#[--[[ a]\n#[b ]]] k[local] x #[-- c]"},
		{"rb", "def f; \"a\" end # b", `k[def] f; "["a"] k[end] #[# b]`},
		{"go", "", ""}, {"go", "日本 := \"語\" + 'é'", `日本 := "["語"] + "['é']`},
	} {
		if got := read(c.language, c.text); got != c.want {
			t.Errorf("%s:\n%s\nnot\n%s", c.language, got, c.want)
		}
	}
	for _, unknown := range []string{"", "text", "brainfuck", "go2", " go"} {
		if New(unknown) != nil {
			t.Errorf("%q is known", unknown)
		}
	}
}

// names is one name of each language.
func names() (all []string) {
	seen := make(map[*language]bool)
	for name, l := range languages {
		if !seen[l] {
			seen[l] = true
			all = append(all, name)
		}
	}
	return all
}

// FuzzLine: whatever the text, the spans are all of it, none is empty, no two neighbors have one style, and none begins within
// a grapheme cluster.
func FuzzLine(f *testing.F) {
	for _, s := range texttest.Scripts {
		f.Add(s + "\n\"" + s + "\" /* " + s)
	}
	for _, s := range hard {
		f.Add(strings.Repeat(s, 20))
	}
	f.Add("'\\\"`#/*--[[]]=:{\n\"\u0301'\u0301é1\u0301/*\u0301*/\u0301")
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "?")
		for _, language := range names() {
			r := New(language)
			for line := range strings.SplitSeq(text, "\n") {
				at, style := 0, theme.Style(-1)
				ends := make(map[int]bool)
				for g, end := displaywidth.StringGraphemes(line), 0; g.Next(); {
					end += len(g.Value())
					ends[end] = true
				}
				for _, s := range r.Line(line) {
					if s.Text == "" || s.Style == style || !strings.HasPrefix(line[at:], s.Text) {
						t.Fatalf("%s: %q at %d of %q, after style %d", language, s.Text, at, line, style)
					}
					at, style = at+len(s.Text), s.Style
					if !ends[at] && !strings.ContainsAny(line, "\r") {
						t.Fatalf("%s: %q ends within a cluster of %q", language, s.Text, line)
					}
				}
				if at != len(line) {
					t.Fatalf("%s: %d of %d bytes of %q", language, at, len(line), line)
				}
			}
		}
	})
}

// hard is what makes lexers of regular expressions slow: chroma's take 60 ms to 2.6 s for 4 000 bytes of one of these.
var hard = []string{"[", "\"\\", "`", "a a ", "/*", "''", "\"\"\"", "--[[", "a:", "=", "\" ", "'a", "{\"", "#", "1.", "é"}

// BenchmarkLength is the same text in lines of different lengths: the time for a byte stays the same.
func BenchmarkLength(b *testing.B) {
	for _, n := range []int{1000, 4000, 16000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var texts []string
			for _, s := range hard {
				texts = append(texts, strings.Repeat(s, n/len(s)))
			}
			for b.Loop() {
				for _, language := range names() {
					for _, s := range texts {
						New(language).Line(s)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n*len(texts)*len(languages)), "ns/byte")
		})
	}
}

func BenchmarkHard(b *testing.B) {
	for _, language := range names() {
		b.Run(language, func(b *testing.B) {
			for b.Loop() {
				for _, s := range hard {
					New(language).Line(strings.Repeat(s, 4000/len(s)))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(hard)), "µs/text")
		})
	}
}

func BenchmarkGo(b *testing.B) {
	text := strings.Split(strings.Repeat("func main() {\n\tx := 1 // one\n\tprintln(\"hi\", x)\n}\n", 80), "\n")
	b.SetBytes(4000)
	b.ReportAllocs()
	for b.Loop() {
		r := New("go")
		for _, line := range text {
			r.Line(line)
		}
	}
}
