package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for _, c := range []struct {
		words, said string
		want        bool
	}{
		{"deploy", "we Deploy now", true}, {"DEPLOY", "deploy!", true}, {"deploy", "redeploy", false}, {"deploy", "deployed", false},
		{"deploy", "pre-deploy", false}, {"deploy", "deploy-2", false}, {"deploy", "deploy_2", false}, {"deploy", "(deploy)", true},
		{"deploy", "@deploy", true}, {"deploy", "a\ndeploy", true}, {"deploy", "deploy-", true}, {"deploy", "deployé", false}, {"deploy", "deploy\u0301", false},
		{"a ab abc b bc c", "xabc", false}, {"a ab abc bc", "x abc", true}, {"abcd bc", "abc bc", true}, {"abcd bc", "abcx", false}, {"he she hers", "ushers hers", true},
		{"c++", "c++11 or so", true}, {"c++", "objc++", false}, {".net", "use .NET", true}, {".net", "example.net", true}, {"#4711", "see #4711.", true}, {"#4711", "#47112", false},
		{"v1.2", "v1.2.3", true}, {"v1.2", "v1.25", false},
		{"релиз", "Завтра РЕЛИЗ.", true}, {"релиз", "релизы", false}, {"релиз", "пререлиз", false}, {"σίσυφος", "ΣΊΣΥΦΟΣ", true},
		{"緊急", "これは緊急です", true}, {"緊急", "緊", false}, {"bob", "bobさん", true}, {"版本", "版本2", true},
		{"straße", "STRASSE", false}, {"straße", "Straße", true}, {"K", "\u212a", true}, {"é", "É", true},
		{"x", "", false}, {"", "x", false}, {strings.Repeat("x", MaxWord+1), strings.Repeat("x", MaxWord+1), false}, {strings.Repeat("é", MaxWord), strings.Repeat("É", MaxWord), true},
	} {
		if got := NewWords(strings.Fields(c.words)).In(Text{c.said}); got != c.want {
			t.Errorf("one of %q is in %q: %v", c.words, c.said, got)
		}
	}
	if got := NewWords([]string{"Go", "GO", "go", "x"}).List(); len(got) != 2 || got[0] != "Go" {
		t.Errorf("the words are %q", got)
	}
	if w := NewWords(nil); w != nil || w.List() != nil || w.In(Text{"x"}) {
		t.Error("no words")
	}
}

// found is Words.In as it is explained, and slow.
func found(words []string, said string) bool {
	var letters []int // where each begins, and the end
	for i := range said {
		letters = append(letters, i)
	}
	letters = append(letters, len(said))
	for _, word := range words {
		n := utf8.RuneCountInString(word)
		for i := 0; n > 0 && n <= MaxWord && i+n < len(letters); i++ {
			if from, to := letters[i], letters[i+n]; SameWord(said[from:to], word) && isWord(said, from, to) {
				return true
			}
		}
	}
	return false
}

func FuzzWords(f *testing.F) {
	f.Add("he she hers", "ushers her s")
	f.Add("a aa aaa aaaa", "aaaaa aaaaaa aa")
	f.Add("緊急 c++ É", "これは緊急です C++11 é")
	f.Fuzz(func(t *testing.T, words, said string) {
		if parsed, err := ParseText(said); err == nil {
			list := strings.Fields(strings.ToValidUTF8(words, ""))
			if got, want := NewWords(list).In(parsed), found(list, parsed.String()); got != want {
				t.Errorf("one of %q is in %q: %v", list, parsed, got)
			}
		}
	})
}

// hardWords begin alike and end late, and hardText is all but one of them.
func hardWords() (words []string, said Text) {
	for i := range 20 {
		words = append(words, strings.Repeat("a", MaxWord-1-i)+"b")
	}
	return words, Text{strings.Repeat("a", MaxText)}
}

func TestFindingWordsAllocatesNothing(t *testing.T) {
	list, said := hardWords()
	words := NewWords(list)
	if n := testing.AllocsPerRun(10, func() { words.In(said) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWords(b *testing.B) {
	list, said := hardWords()
	for name, c := range map[string]struct {
		words []string
		said  Text
	}{
		"hard":   {list, said},
		"one":    {[]string{"deploy"}, Text{"a line as people write them, of some eighty bytes or so, all of it about nothing"}},
		"twenty": {list, Text{"a line as people write them, of some eighty bytes or so, all of it about nothing"}},
	} {
		b.Run(name, func(b *testing.B) {
			words := NewWords(c.words)
			b.SetBytes(int64(len(c.said.s)))
			b.ReportAllocs()
			for b.Loop() {
				words.In(c.said)
			}
		})
	}
}
