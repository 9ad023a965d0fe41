package alias

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestExpand(t *testing.T) {
	for _, c := range []struct{ text, args, want string }{
		{"good morning", "", "good morning"},
		{"good morning", "all", "good morning all"},
		{"/msg bob hello", "  there  and here ", "/msg bob hello there  and here"},
		{"/msg $1 see $2", "bob this that", "/msg bob see this"},
		{"/msg $1 see $2", "bob", "/msg bob see "},
		{"$* indeed", "yes yes", "yes yes indeed"},
		{"it costs $$5", "", "it costs $5"},
		{"it costs $$5", "or so", "it costs $5 or so"},
		{"it costs 5$", "", "it costs 5$"},
		{"$x$", "", "$x$"},
		{"$1", "$2 $1", "$2"}, // what comes in is not expanded
		{"$9", "1 2 3 4 5 6 7 8 nine", "nine"},
		{"$0 $10", "a", "$0 a0"},
		{"日本 $1", "語", "日本 語"},
	} {
		if got, err := (Alias{"x", c.text}).Expand(c.args); got != c.want || err != nil {
			t.Errorf("%q with %q is %q, %v; want %q", c.text, c.args, got, err, c.want)
		}
	}
	if _, err := (Alias{"x", strings.Repeat("$*", MaxText/2)}).Expand(strings.Repeat("x", 4000)); !errors.Is(err, ErrLong) {
		t.Errorf("a line that is too long: %v", err)
	}
	if _, err := (Alias{"x", "x"}).Expand(strings.Repeat("x", MaxLine)); !errors.Is(err, ErrLong) {
		t.Errorf("a line that is too long: %v", err)
	}
}

func TestAliases(t *testing.T) {
	var as Aliases
	for _, a := range []Alias{{"b", "/me waves"}, {"A", ` one; two\ = three `}, {"b", "replaced"}, {"c-3_x", "=;\\;"}} {
		var err error
		if as, err = as.With(a); err != nil {
			t.Fatal(err)
		}
	}
	want := Aliases{{"a", `one; two\ = three`}, {"b", "replaced"}, {"c-3_x", "=;\\;"}}
	if !slices.Equal(as, want) {
		t.Errorf("%q, want %q", as, want)
	}
	if got := Parse(as.String()); !slices.Equal(got, as) {
		t.Errorf("%q, kept as %q, is read as %q", as, as.String(), got)
	}
	if a, ok := as.Find("B"); !ok || a.Text != "replaced" {
		t.Errorf("B is %q, %v", a, ok)
	}
	if fewer, ok := as.Without("b"); !ok || len(fewer) != 2 || len(as) != 3 {
		t.Errorf("without b: %q, %v", fewer, ok)
	}
	if _, ok := as.Without("d"); ok {
		t.Error("an alias that is not there was removed")
	}
	for _, c := range []struct {
		a   Alias
		err error
	}{
		{Alias{"", "x"}, ErrName}, {Alias{"1a", "x"}, ErrName}, {Alias{"a b", "x"}, ErrName}, {Alias{"ä", "x"}, ErrName},
		{Alias{strings.Repeat("a", 33), "x"}, ErrName}, {Alias{"a", " "}, ErrText}, {Alias{"a", "one\ntwo"}, ErrText},
		{Alias{"a", strings.Repeat("x", MaxText+1)}, ErrText},
	} {
		if _, err := as.With(c.a); !errors.Is(err, c.err) {
			t.Errorf("%q: %v, want %v", c.a, err, c.err)
		}
	}
	for i := len(as); i < MaxCount; i++ {
		as, _ = as.With(Alias{fmt.Sprintf("n%d", i), "x"})
	}
	if _, err := as.With(Alias{"onemore", "x"}); !errors.Is(err, ErrCount) || len(as) != MaxCount {
		t.Errorf("%d aliases, and one more: %v", len(as), err)
	}
}

// FuzzAlias expands and keeps whatever it is: lines are bounded, and what is kept is read as it was.
func FuzzAlias(f *testing.F) {
	f.Add(`a=/msg $1 x\;y;b=$*`, "one two")
	f.Add(`\;;=;a=\`, "")
	f.Add("a=$*$*$$$1", strings.Repeat("x", 5000))
	f.Fuzz(func(t *testing.T, kept, args string) {
		as := Parse(kept)
		if again := Parse(as.String()); !slices.Equal(again, as) {
			t.Errorf("%q is kept as %q, which is %q", as, as.String(), again)
		}
		if len(as) > MaxCount {
			t.Errorf("%d aliases", len(as))
		}
		for _, a := range as {
			if line, err := a.Expand(args); len(line) > MaxLine || err != nil && line != "" {
				t.Errorf("%d bytes, %v", len(line), err)
			}
		}
	})
}
