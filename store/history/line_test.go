package history

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

func TestLineIsAsSpecified(t *testing.T) {
	t.Parallel()
	l := Line{time.Date(2026, 11, 23, 21, 38, 56, 120e6, time.UTC), chat.General, 1, 2, mustName(t, "alice"), chat.Say, 0, "a <b> & \"c\"\n"}
	got, err := l.encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"at":"2026-11-23T21:38:56.120Z","room":"general","w":1,"seq":2,"from":"alice","kind":"say","text":"a <b> & \"c\"\n"}`
	if strings.TrimRight(string(got), " \n") != want {
		t.Errorf("%s", got)
	}
	if back, err := parseLine(got); err != nil || back != l {
		t.Errorf("%v, %v", back, err)
	}
}

func TestLineLengthsAreSteps(t *testing.T) {
	t.Parallel()
	for n := range 300 {
		l := Line{time.Unix(0, 0).UTC(), chat.General, 1, 2, mustName(t, "alice"), chat.Say, 0, strings.Repeat("x", n)}
		b, err := l.encode()
		if err != nil || len(b)%lineStep != 0 || b[len(b)-1] != '\n' {
			t.Fatalf("%d: %d bytes, %v", n, len(b), err)
		}
	}
	longest := Line{time.Unix(0, 0), mustRoom(t, "@"+strings.Repeat("a", 32)+"+"+strings.Repeat("a", 32)), 1<<64 - 1, 1<<64 - 1,
		mustName(t, strings.Repeat("a", 32)), chat.Edit, 1<<64 - 1, strings.Repeat("\x01", text.MaxText)}
	if b, err := longest.encode(); err != nil {
		t.Errorf("the longest line: %v", err)
	} else if len(b) != maxLine && len(b) < maxLine-512 {
		t.Errorf("the longest line is %d bytes, far from %d", len(b), maxLine)
	}
}

// A line is as encoding/json has it, whatever is said.
func FuzzLineIsAsJSONHasIt(f *testing.F) {
	for _, s := range []string{"", "hello", "a <b> & \"c\" \\ \n\t", "\x00\x1f\x7f", "ä 你 🙂", "\u2028\u2029\ufffd", "\xff\xc3", "x\"\xf0\x9f"} {
		f.Add(s, s, uint64(len(s)))
	}
	f.Fuzz(func(t *testing.T, text, kind string, of uint64) {
		l := Line{time.Unix(0, 0), chat.General, 1 << 40, 2, mustName(t, "alice"), chat.Kind(kind), of, text}
		got, err := l.encode()
		if err != nil {
			return
		}
		var want bytes.Buffer
		e := json.NewEncoder(&want)
		e.SetEscapeHTML(false)
		if err := e.Encode(lineJSON{l.At.UTC().Format(lineTime), l.Room, l.W, l.Seq, l.From, l.Kind, l.Of, l.Text}); err != nil {
			t.Fatal(err)
		}
		if len(got)%lineStep != 0 || string(bytes.TrimRight(got, " \n"))+"\n" != want.String() {
			t.Errorf("%q, not %q", got, &want)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(`{"at":"2026-11-23T21:38:56.120Z","room":"general","w":1,"seq":2,"from":"alice","kind":"say","text":"x"}   ` + "\n"))
	f.Add([]byte(`{"at":"2026-11-23T21:38:56.120Z","room":"general","w":1,"seq":2,"from":"alice","kind":"edit","of":1,"text":"x"}`))
	f.Add([]byte(`{"at":"2026-11-23T21:38:56Z","room":"@a+b","w":1,"seq":2,"from":"alice","kind":"me","text":""}{}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := parseLine(b)
		if err != nil {
			return
		}
		if again, err := l.encode(); err == nil {
			back, err := parseLine(again)
			l.Text, back.Text = strings.ToValidUTF8(l.Text, "\ufffd"), strings.ToValidUTF8(back.Text, "\ufffd")
			l.At = l.At.Truncate(time.Millisecond)
			if err != nil || back != l {
				t.Errorf("%v became %v, %v", l, back, err)
			}
		}
	})
}

func FuzzParseHead(f *testing.F) {
	f.Add(Head{Room: chat.General, W: 3, Seq: 412, N: 977, Tip: [32]byte{1}}.Line())
	f.Add([]byte(`{"format":"sshchat-head/1","room":"general","w":0,"seq":0,"n":0,"tip":""}`))
	f.Add([]byte(`{"format":"sshchat-head/2"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHead(b)
		if err != nil {
			return
		}
		line := h.Line()
		if again, err := ParseHead(line); err != nil || again != h || !json.Valid(line) || bytes.Count(line, []byte("\n")) != 1 {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzParseTarName(f *testing.F) {
	f.Add(tarName{chat.General, 1, 2, 3}.String())
	f.Add("../000000000001-000000000001-000000000001.age")
	f.Add("@bob+alice/000000000001-000000000001-000000000001.age")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseTarName(s); err == nil && (n.String() != s || strings.Contains(s, "..")) {
			t.Errorf("%q is read as %q", s, n)
		}
	})
}

func TestAmendedLines(t *testing.T) {
	t.Parallel()
	line := func(seq uint64, kind chat.Kind, of uint64, said string) []byte {
		b, err := Line{time.Unix(0, 0).UTC(), chat.General, 1, seq, mustName(t, "alice"), kind, of, said}.encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	parsed, err := text.ParseText(`new "kind":"edit","of":5,`)
	if err != nil {
		t.Fatal(err)
	}
	before := [][]byte{line(5, chat.Say, 0, "five"), line(6, chat.Say, 0, `"kind":"edit","of":5,`), line(7, chat.Edit, 5, "5"), line(8, chat.Edit, 6, "six")}
	texts := func(lines [][]byte) string {
		var out []string
		for _, b := range lines {
			l, err := parseLine(b)
			if err != nil || len(b)%lineStep != 0 {
				t.Fatalf("%q: %v", b, err)
			}
			out = append(out, l.Text)
		}
		return strings.Join(out, "|")
	}
	was := texts(before)
	for _, c := range []struct {
		kind chat.Kind
		of   uint64
		want string
	}{
		{chat.Edit, 5, parsed.String() + `|"kind":"edit","of":5,|5|six`},
		{chat.Delete, 5, `|"kind":"edit","of":5,||six`},
		{chat.Delete, 6, `five||5|`},
		{chat.Delete, 4, was}, {chat.Delete, 9, was}, {chat.Delete, 1 << 63, was}, // not in this window
	} {
		m := &chat.Message{Kind: c.kind, Of: c.of}
		if c.kind == chat.Edit {
			m.Text = parsed
		}
		after, err := amend(before, 5, m)
		if err != nil || texts(after) != c.want {
			t.Errorf("%s of %d: %s, %v; want %s", c.kind, c.of, texts(after), err, c.want)
		}
		if texts(before) != was {
			t.Error("the lines that a failed write falls back on were written to")
		}
	}
}
