package keylist

import (
	"errors"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

var errKey = &chat.Refusal{Code: chat.Failed, Text: "no key"}

// parse takes "key ONE" for a key with the fingerprint ONE, and nothing else.
func parse(line string) (chat.Key, error) {
	one, ok := strings.CutPrefix(line, "key ")
	if !ok {
		return chat.Key{}, errKey
	}
	return chat.Key{Line: line, Fingerprint: one}, nil
}

func show(l *List) string {
	var b strings.Builder
	for _, p := range l.People {
		b.WriteString(p.Name.String())
		for _, k := range p.Keys {
			b.WriteString(" " + k.Fingerprint)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestAdd(t *testing.T) {
	t.Parallel()
	l := New("", parse)
	for i, line := range []string{"bob key one", "ann \t key two", "@bob key three", "bob key one"} {
		l.Add(i+1, line)
	}
	if got := show(l); got != "bob one three\nann two\n" || l.Wrong != nil {
		t.Errorf("%q, %v", got, l.Wrong)
	}
	for _, c := range []struct {
		owner, line string
		err         error
		said        string
	}{
		{"", "bob", errKey, "no key"},
		{"", "bob kay one", errKey, "no key"},
		{"", "key one", ErrNameless, "put the name before the key"},
		{"", "Jane.Doe key one", errNoName, "Jane.Doe: a line is a name and a public key"},
		{"", "\x1b[2J key one", errNoName, ""},
		{"ann", "ann key one", errKey, "no key"},
		{"a n", "key one", errNoName, "a n: a line is a name and a public key"},
	} {
		l := New(c.owner, parse)
		l.Add(7, c.line)
		if len(l.Wrong) != 1 || len(l.People) != 0 || l.Wrong[0].Line != 7 || !errors.Is(l.Wrong[0].Err, c.err) || c.said != "" && l.Wrong[0].Err.Error() != c.said {
			t.Errorf("%q of %q: %v, %v; want %v", c.line, c.owner, l.Wrong, l.People, c.err)
		}
	}
	l = New("ann", parse)
	l.Add(1, "key one")
	l.Add(2, "key two")
	if got := show(l); got != "ann one two\n" || l.Wrong != nil {
		t.Errorf("%q, %v", got, l.Wrong)
	}
}

// FuzzAdd reads whatever it is: each line is somebody's key or wrong, and what is said of it can be shown.
func FuzzAdd(f *testing.F) {
	f.Add("", "bob key one")
	f.Add("ann", "key one")
	f.Add("", "\x1b[2J key one")
	f.Fuzz(func(t *testing.T, owner, line string) {
		l := New(owner, parse)
		l.Add(1, line)
		if len(l.Wrong)+len(l.People) != 1 {
			t.Fatalf("%q: %d wrong, %d people", line, len(l.Wrong), len(l.People))
		}
		for _, w := range l.Wrong {
			if said := w.Err.Error(); text.Clean(said, len(said)) != said {
				t.Errorf("%q is shown", said)
			}
		}
	})
}
