package view

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/editor"
)

// FuzzPlain does whatever the bytes say: each step is an operation, a length and that many bytes for it.
// newTerminal's flush holds every output to the laws of the package.
func FuzzPlain(f *testing.F) {
	f.Add(uint16(80), []byte("\x00\x05hello\x01\x03abc\x00\x01\r"))
	f.Add(uint16(1), []byte("\x00\x05hello\x02\x01\x00\x00\x03abc\x01\x09some text"))
	f.Add(uint16(500), []byte("\x03\x06who? \n\x00\x07secret\r"))
	f.Add(uint16(42), []byte("\x03\x02\u0323")) // a prompt that begins with a mark
	f.Add(uint16(9), []byte("\x00\x20\x1b[200~pasted\nlines\x1b[201~\x1b[A\x1b[B\x02\x01\xff\x05\x00\x06\x00"))
	for i, s := range texttest.Scripts {
		f.Add(uint16(i*3), append([]byte{0, byte(len(s))}, s...))
		f.Add(uint16(i*7), slices.Concat([]byte{0, byte(len(s))}, []byte(s), []byte{0, 5}, []byte("\x1b[D\x7f\x09"), []byte{1, byte(len(s))}, []byte(s)))
	}
	f.Fuzz(func(t *testing.T, width uint16, script []byte) {
		m := newTerminal(t, int(width%600))
		m.Plain.complete = func(line string, cursor int) (int, []string) {
			return strings.LastIndexByte(line[:cursor], ' ') + 1, strings.Fields(line)
		}
		for len(script) > 2 {
			op, n := script[0], min(int(script[1]), len(script)-2)
			b := script[2 : 2+n]
			script = script[2+n:]
			step(m, op, b)
		}
		m.Close()
		m.flush()
		if x := m.screen.CursorPosition().X; x != 0 {
			t.Fatalf("left with the cursor in column %d", x)
		}
	})
}

func step(m *terminal, op byte, b []byte) {
	s := string(b)
	switch op % 8 {
	case 0:
		m.Input(b)
	case 1:
		m.Deliver(spansOf(said(chat.General, bob, s), said(other, ann, s), happened(other, chat.Me, bob, s)))
	case 2:
		m.resize(len(b) * 3)
	case 3:
		m.Ask(s, len(b)%2 == 0)
	case 4:
		m.Print(s)
	case 5:
		m.Enter([]chat.RoomName{chat.General, other, text.Direct(ann, bob)}[len(b)%3])
	case 6:
		m.flush()
	case 7:
		m.Fail(s)
		m.Deliver([]chat.Span{{Room: other, Gap: chat.Gap{From: 1, To: uint64(len(b))}}})
	}
	if len(b)%3 == 0 {
		m.flush()
	}
}

// FuzzWrap checks that rows fit, and that nothing but blanks is lost.
func FuzzWrap(f *testing.F) {
	for _, s := range append(texttest.Scripts, "a https://example.org/"+strings.Repeat("long", 30)+" b", "   x", strings.Repeat(" ", 99)) {
		f.Add(s, uint8(20), uint8(18))
		f.Add(s, uint8(1), uint8(1))
	}
	f.Fuzz(func(t *testing.T, s string, first, rest uint8) {
		b := text.AppendPrintable(nil, s, false)
		limit := max(int(first), 1)
		var kept []byte
		for row := range wrap(b, limit, max(int(rest), 1)) {
			if w := cells(row); w > limit {
				t.Errorf("row %q has %d cells, limit %d", row, w, limit)
			}
			kept = append(kept, row...)
			limit = max(int(rest), 1)
		}
		withoutSpaces := func(b []byte) string { return strings.ReplaceAll(string(b), " ", "") }
		if first > 1 && rest > 1 && withoutSpaces(kept) != withoutSpaces(b) {
			t.Errorf("%q became %q", b, kept)
		}
	})
}

// FuzzPipe checks that only lines come out, and that no line can be taken for another's.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("hello\nworld"), "a\nb: c")
	f.Add([]byte("\xe6\x97\xa5\r\n\x1b[A\x00\n"), "x\r\x1b]0;t\a\u202e")
	f.Add(bytes.Repeat([]byte("x"), editor.MaxLine+1), "\u2028")
	f.Fuzz(func(t *testing.T, in []byte, spoken string) {
		p := NewPipe(Options{Me: ann})
		p.Enter(chat.General)
		p.Deliver(spansOf(said(chat.General, bob, spoken)))
		for i, line := range strings.SplitAfter(string(p.Flush()), "\n") {
			if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !text.Printable(r) }) {
				t.Errorf("forbidden in %q", line)
			}
			if i == 0 && !strings.HasPrefix(line, "bob: ") || i > 0 && line != "" && !strings.HasPrefix(line, "  ") {
				t.Errorf("line %d is forged: %q", i, line)
			}
		}
		var did []Action
		for part := range slices.Chunk(in, 3) {
			did = append(did, p.Input(part)...)
		}
		did = append(did, p.End()...)
		for _, a := range did {
			if len(a.Text) > editor.MaxLine || strings.Contains(a.Text, "\n") || !utf8.ValidString(a.Text) {
				t.Errorf("line %q", a.Text)
			}
		}
	})
}

// FuzzClean checks that nothing survives cleaning that could move a cursor.
func FuzzClean(f *testing.F) {
	f.Add("a\tb\x1b[2J\x9b1m\u202e\u200b\U000E0041\ufeff")
	f.Fuzz(func(t *testing.T, s string) {
		b := text.AppendPrintable(nil, s, false)
		if i := bytes.IndexFunc(b, func(r rune) bool { return !text.Printable(r) }); i >= 0 {
			t.Errorf("%q kept at %d of %q", b[i:], i, b)
		}
		if w := displaywidth.Bytes(b); w > len(b) {
			t.Errorf("%q has %d cells, more than bytes", b, w)
		}
	})
}
