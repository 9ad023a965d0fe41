package view

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/keys"
)

// lines are the texts of the lines among the actions.
func lines(did []Action) []string {
	var texts []string
	for _, a := range did {
		if a.Kind == Line {
			texts = append(texts, a.Text)
		}
	}
	return texts
}

// TestKeys types into a fresh line and then Enter: what comes out is what the keys made of it.
func TestKeys(t *testing.T) {
	for _, c := range []struct{ name, typed, want string }{
		{"text", "hello", "hello"},
		{"left", "helo\x1b[Dl", "hello"},
		{"right", "helo\x1b[D\x1b[D\x1b[Cl", "hello"},
		{"application mode arrows", "helo\x1bODl", "hello"},
		{"ctrl+b and ctrl+f", "helo\x02\x02\x06l", "hello"},
		{"home and end", "ello\x1b[Hh\x1b[F!", "hello!"},
		{"home and end of other terminals", "ello\x1b[1~h\x1b[4~!", "hello!"},
		{"ctrl+a and ctrl+e", "ello\x01h\x05!", "hello!"},
		{"rub out", "hellox\x7f", "hello"},
		{"ctrl+h", "hellox\x08", "hello"},
		{"delete", "xhello\x01\x1b[3~", "hello"},
		{"ctrl+d in a line", "xhello\x01\x04", "hello"},
		{"rub out takes a whole family", "a👩‍👩‍👧‍👦\x7fb", "ab"},
		{"rub out takes a flag", "🇩🇪🇫🇷\x7f", "🇩🇪"},
		{"left passes a letter with its marks", "ne\u0301\x1b[Dx", "nxe\u0301"},
		{"ctrl+w", "one two-three\x17x", "one x"},
		{"alt+backspace", "one two-three\x1b\x7fx", "one two-x"},
		{"alt+d", "one two\x01\x1bd", " two"},
		{"alt+b and alt+f", "one two\x1bb\x1bbx\x1bfy", "xoney two"},
		{"ctrl+left", "one two\x1b[1;5Dx", "one xtwo"},
		{"escape then b, as readline has it", "one two\x1bbx", "one xtwo"},
		{"ctrl+u and ctrl+y", "one two\x15x\x19", "xone two"},
		{"ctrl+k", "one two\x1bb\x0bx", "one x"},
		{"ctrl+t", "hlelo\x01\x06\x06\x14", "hello"},
		{"alt+enter", "one\x1b\rtwo", "one\ntwo"},
		{"a command has one line", "/me\x1b\r", "/me"},
		{"two slashes are no command", "//one\x1b\rtwo", "//one\ntwo"},
		{"bracketed paste", "\x1b[200~one\r\ntwo\nthree\tfour\x1b[201~", "one\ntwo\nthree    four"},
		{"a paste obeys nothing", "\x1b[200~one\x04\x01\x7f\x1b[Atwo\x1b[201~", "onetwo"},
		{"answers of a terminal, each in one piece", "a\x1b[?62;c\x1b]11;rgb:0/0/0\x1b\\\x1bP1$r0m\x1b\\b\x1b[24;80R\x1b]0;x\ac", "abc"},
		{"the Linux console's F3", "a\x1b[[Cb", "ab"},
		{"ctrl+z, ctrl+s, F5 and unknown", "a\x1a\x13\x1b[15~\x1b[99;99Z\x1b\x1b[Zb", "ab"},
		{"spelled-out keys", "a\x1b[98u\x1b[27;5;97~x", "xab"},
		{"8-bit controls", "a\xc2\x9b2Jb\xc2\x9b", "a2Jb"},
		{"bidi and zero width", "a\u202eb\u200bc\ufeff", "abc"},
	} {
		m := newTerminal(t, 40)
		m.Enter(chat.General)
		sizes := []int{1, 1000} // byte by byte, then at once
		if strings.Contains(c.name, "in one piece") {
			sizes = sizes[1:]
		}
		for _, n := range sizes {
			var did []Action
			for part := range slices.Chunk([]byte(c.typed+"\r"), n) {
				did = append(did, m.typed(string(part))...)
			}
			if got := lines(did); len(got) != 1 || got[0] != c.want {
				t.Errorf("%s, %d at a time: %q made %q, want %q", c.name, n, c.typed, got, c.want)
			}
		}
	}
}

// What a terminal that is not set to UTF-8 sends: the line is refused with its reason, one after the other, and what comes
// next is taken. Where a question is asked, it stays.
func TestAttackBytesAreNotTyped(t *testing.T) {
	row := attack.On(t, attack.Room, "bytes that are not UTF-8, typed on a terminal with another encoding")
	typed := []struct {
		typed string
		want  []string
		told  int
	}{
		{"café\r", []string{"café"}, 0},
		{"caf\xe9\r", nil, 1},
		{"caf\xe9", nil, 0},
		{"\xe9\r", nil, 1},
		{"caf\xe9\rfine\r", []string{"fine"}, 1},
		{"caf\xe9s\rth\xe9\rfine\r", []string{"fine"}, 2},
		{"/topic caf\xe9\r", nil, 1},
		{"caf\xe9\x15fine\r", []string{"fine"}, 0},                  // all of it was rubbed out
		{"caf\xe9\r\x1b[A\r", []string{"caf"}, 1},                   // what is left, sent by who has read what is missing
		{"\x1b[200~one\ncaf\xe9\n\x1b[201~\rx\r", []string{"x"}, 1}, // a paste
		{"a\x9b2Jb\r", nil, 1},
	}
	for _, c := range typed {
		for _, n := range []int{1, 1000} {
			full := newStage(t, 80, 24, "xterm").Full
			plain := newTerminal(t, 80)
			said := ""
			for name, f := range map[string]struct {
				anyUI
				said func() string
			}{
				"plain": {plain, func() string { said += string(plain.Flush()); return said }},
				"full": {full, func() (said string) {
					for _, n := range full.messages.notes.list {
						said += n.text
					}
					return said
				}},
			} {
				f.Enter(chat.General)
				var got []string
				for part := range slices.Chunk([]byte(c.typed), n) {
					got = append(got, lines(f.Input(part))...)
				}
				if told := strings.Count(f.said(), "not sent: the terminal sent bytes that are not UTF-8"); !slices.Equal(got, c.want) || told != c.told {
					t.Errorf("%s, %d at a time: %q made %q and was told %d times; want %q, %d", name, n, c.typed, got, told, c.want, c.told)
				}
				f.Ask("Name?", true)
				if got := lines(f.Input([]byte("caf\xe9\rcaf\r"))); !slices.Equal(got, []string{"caf"}) {
					t.Errorf("%s: the answer is %q", name, got)
				}
			}
		}
	}
	row.Tried("%d inputs, on both screens, byte by byte and at once", len(typed))
	row.Held("the line is refused with the reason")
	row.Control("the same in UTF-8 is accepted")
}

func TestLineEnds(t *testing.T) {
	for _, c := range []struct {
		reads []string
		want  []string
	}{
		{[]string{"a\rb\nc\r\nd\r"}, []string{"a", "b", "c", "d"}},
		{[]string{"a\r", "\nb\r"}, []string{"a", "b"}},
		{[]string{"a", "\n", "b\r"}, []string{"a\nb"}}, // Ctrl+J
		{[]string{"/who", "\n"}, []string{"/who"}},
		{[]string{"\r\r \r"}, nil},
	} {
		m := newTerminal(t, 40)
		m.Enter(chat.General)
		var got []string
		for _, r := range c.reads {
			got = append(got, lines(m.typed(r))...)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q made %q, want %q", c.reads, got, c.want)
		}
	}
}

func TestQuitAndInterrupt(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	if did := m.typed("abc\x03\x04"); !slices.Equal(did, []Action{{Kind: Quit}}) {
		t.Errorf("did %v", did)
	}
	if did := m.typed("\x1b"); did != nil {
		t.Errorf("escape did %v", did)
	}
}

func TestSentLinesComeBack(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.typed("one\rtwo\rtwo\rdraft")
	for _, c := range []struct{ key, want string }{
		{"\x1b[A", "two"}, {"\x1b[A", "one"}, {"\x1b[A", "one"}, {"\x1b[B", "two"}, {"\x1b[B", "draft"}, {"\x1b[B", "draft"},
	} {
		if m.typed(c.key); string(m.input.edit.Text) != c.want {
			t.Errorf("after %q: %q, want %q", c.key, m.input.edit.Text, c.want)
		}
	}
	for range 3 * editor.MaxHistory {
		m.typed(strings.Repeat("x", 300) + "\r" + "y\r")
	}
	if lines, bytes := m.input.edit.Sent.Size(); lines > editor.MaxHistory || bytes > editor.MaxHistoryBytes {
		t.Errorf("%d lines and %d bytes are kept", lines, bytes)
	}
}

func TestDraftOfEachRoom(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.typed("to all")
	m.Enter(other)
	m.shows("#other>")
	m.typed("to some")
	m.Enter(chat.General)
	m.shows("#general> to all")
	m.Enter(text.Direct(ann, bob))
	m.shows("@bob>")
	m.Enter(other)
	m.shows("#other> to some")
}

func TestDraftsAreBounded(t *testing.T) {
	var ds drafts
	for _, room := range []chat.RoomName{chat.General, other, text.Direct(ann, bob)} {
		ds.store(room, editor.NewLine([]byte(strings.Repeat("x", editor.MaxLine))))
	}
	if l := ds.take(chat.General); len(l.Text) != 0 || len(ds) != 2 {
		t.Errorf("the oldest of %d drafts is kept", len(ds)+1)
	}
}

func TestQuestions(t *testing.T) {
	m := newTerminal(t, 60)
	m.Enter(chat.General)
	m.typed("draft")
	m.Ask("No account named alcie.\nCreate it? [y/N]", true)
	m.Deliver(spansOf(said(chat.General, bob, "hi")))
	if got := lines(m.typed("\r")); !slices.Equal(got, []string{""}) {
		t.Errorf("an empty answer is %q", got)
	}
	m.shows("No account named alcie.", "12:34 bob: hi", "Create it? [y/N]", "#general> draft")
	m.Ask("Name?", true)
	m.typed("x\x03")
	m.shows("No account named alcie.", "12:34 bob: hi", "Create it? [y/N]", "Name?", "#general> draft")
}

func TestSecretsLeaveNoTrace(t *testing.T) {
	m := newTerminal(t, 60)
	m.Enter(chat.General)
	m.Ask("Password:", false)
	var wrote []byte
	for _, keys := range []string{"hunter1", "\x15hunter2", "\x17", "\x19hunter2", "\t", "\x1b[A", "\x0c"} {
		m.typed(keys)
		wrote = append(wrote, m.wrote...)
	}
	if got := lines(m.typed("\r")); !slices.Equal(got, []string{"hunter2"}) {
		t.Errorf("the answer is %q", got)
	}
	wrote = append(wrote, m.wrote...)
	m.typed("\x19\x1b[A")
	wrote = append(wrote, m.wrote...)
	if s := string(wrote); strings.ContainsAny(strings.NewReplacer("Password: ", "", "#general> ", "").Replace(s), "hunter12") {
		t.Errorf("wrote %q", s)
	}
	if len(m.input.edit.Text) > 0 || len(m.input.edit.Killed()) > 0 {
		t.Errorf("kept %q and %q", m.input.edit.Text, m.input.edit.Killed())
	}
}

// What was typed ahead for a question was taken for a line, and does not come back.
func TestForgottenLines(t *testing.T) {
	for kind, y := range typists(t) {
		y.Input([]byte("one\rhunter2\rtwo\rhunter2\r"))
		y.Forget("hunter2")
		for _, want := range []string{"two", "one", "one"} {
			y.Input([]byte("\x1b[A"))
			if got := y.shown(); !strings.Contains(got, want) || strings.Contains(got, "hunter2") {
				t.Errorf("%s shows %q, without %q", kind, got, want)
			}
			y.Input([]byte("\f"))
		}
	}
}

func TestCompletion(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.Plain.complete = func(line string, cursor int) (int, []string) {
		start := strings.LastIndexByte(line[:cursor], ' ') + 1
		var found []string
		for _, c := range []string{"/join", "/kick", "/kickban", "bert", "bernd", "björn"} {
			if strings.HasPrefix(c, line[start:cursor]) {
				found = append(found, c)
			}
		}
		return start, found
	}
	m.typed("/j\t")
	m.shows("#general> /join")
	m.typed("\x15/k\t")
	m.shows("#general> /kick")
	m.typed("\t")
	m.shows("/kick  /kickban", "#general> /kick")
	m.typed(" be\t")
	m.shows("/kick  /kickban", "#general> /kick ber")
	m.typed("\x15zzz\t")
	if !strings.Contains(string(m.wrote), "\a") {
		t.Errorf("nothing to complete, but wrote %q", m.wrote)
	}
}

func TestCommandsStayMessagesReturn(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.typed("/topic\rhello\r")
	m.Print("no topic")
	m.Deliver(spansOf(said(chat.General, ann, "hello")))
	m.shows("#general> /topic", "no topic", "12:34 ann: hello", "#general>")
	m.typed("/topic " + strings.Repeat("x", 40) + "\r")
	m.shows("#general> /topic", "no topic", "12:34 ann: hello", "#general> /topic", "  "+strings.Repeat("x", 37), "  xxx", "#general>")
}

func TestLongLineIsBounded(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.typed(strings.Repeat("日", editor.MaxLine))
	if len(m.input.edit.Text) > editor.MaxLine || !strings.Contains(string(m.wrote), "\a") {
		t.Errorf("%d bytes, wrote %q", len(m.input.edit.Text), m.wrote)
	}
	m.typed("x\x7f\x7f\x01")
	if got := m.line(0); !strings.HasPrefix(got, "#general> 日日") {
		t.Errorf("shows %q", got)
	}
}

func TestAttackUnterminatedInput(t *testing.T) {
	row := attack.On(t, attack.Room, "endless pastes and sequences, in the decoder")
	begins := []string{"\x1b[200~", "\x1b]0;", "\x1bP", "\x1b_", "\x1b[", "\x1bO"}
	most := 0
	for _, begin := range begins {
		m := newTerminal(t, 40)
		m.Enter(chat.General)
		m.Input([]byte(begin))
		for range 100 {
			m.Input([]byte(strings.Repeat("1", 16<<10)))
		}
		m.Input([]byte{3})
		m.Input([]byte{0x15})
		if m.keys.Held() > 2*keys.MaxSequence || m.input.edit.Size() > 2*editor.MaxLine {
			t.Errorf("%q: %d and %d bytes are kept", begin, m.keys.Held(), m.input.edit.Size())
		}
		most = max(most, m.keys.Held()+m.input.edit.Size())
		if got := lines(m.Input([]byte("free\r"))); !slices.Equal(got, []string{"free"}) {
			t.Errorf("after %q and Ctrl+C: %q", begin, got)
		}
	}
	for _, ended := range []string{"\x1b[200~free\x1b[201~\r", "\x1b]0;title\afree\r", "\x1bP1$r\x1b\\free\r", "free\x1b[D\x1b[C\r"} {
		m := newTerminal(t, 40)
		m.Enter(chat.General)
		if got := lines(m.Input([]byte(ended))); !slices.Equal(got, []string{"free"}) {
			t.Errorf("control: %q made %q", ended, got)
		}
	}
	row.Tried("%d kinds, 1 600 KiB each", len(begins))
	row.Held("at most %d KiB are kept, and Ctrl+C works", (most+1023)/1024)
	row.Control("if they end, each is decoded correctly")
}

func TestLeaveAndScroll(t *testing.T) {
	m := newTerminal(t, 20)
	m.Enter(chat.General)
	m.typed("abcdefghijklmnopqrstuvwxyz")
	if got := m.line(0); !strings.HasPrefix(got, "> <") || !strings.HasSuffix(got, "xyz") {
		t.Errorf("shows %q", got)
	}
	m.typed("\x01")
	if got := m.line(0); !strings.Contains(got, "> abc") {
		t.Errorf("shows %q", got)
	}
	m.typed("\x0b")
	m.Close()
	m.shows("", "")
	m.Print("last words")
	m.shows("last words", "")
}
