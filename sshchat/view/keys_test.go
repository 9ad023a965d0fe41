package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
)

// typist is a UI, and time that passes only where a test says so.
type typist struct {
	anyUI
	shown func() string
}

// typists are one of each kind of screen that is typed into.
func typists(t *testing.T) map[string]typist {
	plain := newTerminal(t, 80)
	plain.Enter(chat.General)
	full := newStage(t, 80, 24, "xterm-256color")
	full.enter(Room{Name: chat.General}, Room{Name: dev})
	return map[string]typist{
		"plain": {plain, func() string { plain.flush(); return string(plain.wrote) }},
		"full":  {full, func() string { full.flush(); return full.text() }},
	}
}

// plays types strings, each as one read, with pauses between; it returns what was done.
func (y typist) plays(steps ...any) []Action {
	var did []Action
	for _, step := range steps {
		switch s := step.(type) {
		case string:
			did = append(did, y.Input([]byte(s))...)
		case time.Duration:
			for {
				wait := y.Waiting()
				if wait == 0 || wait > s {
					break
				}
				s -= wait
				did = append(did, y.Expire()...)
			}
		}
	}
	return did
}

const (
	cutTime = 120 * time.Millisecond // what a slow line puts between an Esc and the rest
	thought = 5 * time.Second        // a person who thinks
)

// slowly is s byte by byte, with pauses between.
func slowly(s string, pause time.Duration) []any {
	var steps []any
	for i := range len(s) {
		steps = append(steps, s[i:i+1], pause)
	}
	return steps
}

// What a person types after an Esc is what they typed, and a sequence is its key, however both arrive. Enter comes after
// a while: what is still held back by then is text.
func TestEscAndWhatFollows(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []any
		want  string
	}{
		{"Esc and a command in one packet", []any{"\x1b/msg bob secret"}, "/msg bob secret"},
		{"Esc, then a command", []any{"\x1b", thought, "/msg bob secret"}, "/msg bob secret"},
		{"Esc, and a command right after", []any{"\x1b", "/msg bob secret"}, "/msg bob secret"},
		{"a lone Esc, and the next key", []any{"\x1b", thought, "h", thought, "i"}, "hi"},
		{"Esc twice", []any{"\x1b\x1b", thought, "hi"}, "hi"},
		{"Esc twice and text", []any{"\x1b\x1b/who"}, "/who"},
		{"Esc and a capital", []any{"\x1bHello"}, "Hello"},
		{"Esc and a digit that means nothing", []any{"\x1b0 is nought"}, "0 is nought"},
		{"Esc and beyond ASCII", []any{"\x1bäh", "\x1b", "日本"}, "äh日本"},
		{"Esc and brackets", []any{"\x1b[x] milk"}, "[x] milk"},
		{"Esc and a link", []any{"\x1b[[wiki]] it is"}, "[[wiki]] it is"},
		{"Esc and brackets, slowly", append([]any{"\x1b", thought}, slowly("[Alice] [1] it is", cutTime)...), "[Alice] [1] it is"},
		{"Esc, then brackets at once, slowly", append([]any{"\x1b", cutTime}, slowly("[x] [1] it is", cutTime)...), "[x] [1] it is"},
		{"Esc, then [ and thought", []any{"\x1b", cutTime, "[", thought, "A"}, "[A"},
		{"Esc and Oh", []any{"\x1bOh no", "\x1bOn my way"}, "Oh noOn my way"},
		{"Esc, then Oh, slowly", append([]any{"\x1b", cutTime}, slowly("Oh no", cutTime)...), "Oh no"},
		{"Esc, then O and thought", []any{"\x1b", cutTime, "O", thought, "K"}, "OK"},
		{"Alt and what begins a string", []any{"\x1b]", thought, "x", "\x1bP", thought, "y", "\x1b_z", "\x1bPlease", "\x1b^1", "\x1bX"}, "]xPy_zPlease^1X"},
		{"Alt+[ and Alt+O", []any{"\x1b[", thought, "x", "\x1bO", thought, "y"}, "[xOy"},
		{"Esc in Latin brackets", []any{"\x1b[ä] ", "\x1bOä"}, "[ä] Oä"},
		{"Alt+b still is a word back", []any{"two", "\x1bb", "one "}, "one two"},
		{"an arrow, cut", []any{"helo", "\x1b", cutTime, "[D", "l"}, "hello"},
		{"an arrow, cut twice", []any{"helo", "\x1b", cutTime, "[", cutTime, "D", "l"}, "hello"},
		{"an arrow, cut later", []any{"helo", "\x1b[", cutTime, "D", "l"}, "hello"},
		{"an arrow, cut for a second", []any{"helo", "\x1b", time.Second, "[D", "l"}, "hello"},
		{"an arrow of the application mode, cut", []any{"helo", "\x1b", cutTime, "OD", "l", "\x1bO", cutTime, "D\x1b", cutTime, "O", cutTime, "D"}, "hello"},
		{"Ctrl+Left, cut", []any{"one two", "\x1b", cutTime, "[1;5D", "x"}, "one xtwo"},
		{"Ctrl+Left, slowly", append(append([]any{"one two"}, slowly("\x1b[1;5D", cutTime)...), "x"), "one xtwo"},
		{"Delete, cut in the middle", []any{"xhello\x01", "\x1b[3", cutTime, "~"}, "hello"},
		{"F2 to F5, cut", []any{"a", "\x1b", cutTime, "OQ", "\x1b", cutTime, "[15~", "\x1b", cutTime, "[[B", "b"}, "ab"},
		{"Shift+Tab, cut", []any{"a", "\x1b", cutTime, "[Z", "b"}, "ab"},
		{"focus, cut", []any{"a", "\x1b", cutTime, "[I", "\x1b", cutTime, "[O", "\x1b[", cutTime, "I", "b"}, "ab"},
		{"the mouse, cut", []any{"a", "\x1b", cutTime, "[<0;12;9M", "\x1b", cutTime, "[<0;12;9m", "\x1b[<0;1", cutTime, "2;9M", "b"}, "ab"},
		{"the mouse as X10 has it", []any{"a\x1b[M !!b", "\x1b[M\"\xe9\xf0c"}, "abc"},
		{"the mouse as X10 has it, cut", []any{"a", "\x1b", cutTime, "[M !!b", "\x1b[M", cutTime, " !", cutTime, "!c"}, "abc"},
		{"the mouse as X10 has it, slowly", append(slowly("a\x1b[M !!", cutTime), "b"), "ab"},
		{"answers, cut", []any{"a", "\x1b", cutTime, "[24;80R", "\x1b]11;rgb:0", cutTime, "/0/0\x1b", cutTime, "\\b"}, "ab"},
		{"answers, slowly", append(slowly("a\x1b]11;rgb:0/0/0\x1b\\\x1bP>|term 1.0\x1b\\\x1b[?62;c", cutTime), "b"), "ab"},
		{"a broken sequence", []any{"a\x1b[1;5", thought, "b"}, "ab"},
		{"answers, cut after Esc", []any{"a", "\x1b", cutTime, "]11;rgb:0/0/0\x1b", cutTime, "\\", "\x1b", cutTime, "P>|x\x1b\\b"}, "ab"},
		{"Esc and text like answers", []any{"\x1b", cutTime, "]1 Please", "\x1b", cutTime, "Please ", "\x1b", cutTime, "_Great_", "\x1b]1] ", "\x1bP0 "}, "]1 PleasePlease _Great_]1] P0 "},
		{"a broken string", []any{"a\x1b]0;title", thought, "b"}, "ab"},
		{"a paste, cut", []any{"\x1b", cutTime, "[200~one\rtwo", "\x1b", cutTime, "[201~"}, "one\ntwo"},
		{"a paste, slowly", slowly("\x1b[200~one\r\n/two\x1b[201~", cutTime), "one\n/two"},
		{"a paste, very slowly", slowly("\x1b[200~ab\x1b[201~", 400*time.Millisecond), "ab"},
		{"a paste with Escs in it", []any{"\x1b[200~a\x1b/b\x1b[31mc\x1b\x1bd\x1bOe\x1b[201~"}, "a/bcdOe"},
		{"a paste of pages", []any{"\x1b[200~a\vb\fc\x1b[201~"}, "a\nb\nc"},
		{"a paste of separators", []any{"\x1b[200~a\u2028b\u0085c\u2029d\x1b[201~"}, "a\nb\nc\nd"},
		{"a mark of a paste's end alone", []any{"a\x1b[201~b"}, "ab"},
	} {
		for kind, y := range typists(t) {
			did := y.plays(append(c.steps[:len(c.steps):len(c.steps)], thought, "\r")...)
			if got := lines(did); !slices.Equal(got, []string{c.want}) {
				t.Errorf("%s, %s: %q made %q, want %q", kind, c.name, c.steps, got, c.want)
			}
		}
	}
	for kind, y := range typists(t) { // F1 opens the help
		did := y.plays("a", "\x1b", cutTime, "OP", "\x1b", cutTime, "[11~", "\x1b", cutTime, "[[A", "b", thought, "\r")
		if got := lines(did); !slices.Equal(got, []string{helpLine, helpLine, helpLine, "ab"}) {
			t.Errorf("%s, F1, cut: %q", kind, got)
		}
	}
}

// A list is closed by an Esc, whatever comes with it, and what comes with it is typed.
func TestEscClosesAndTypes(t *testing.T) {
	for _, steps := range [][]any{{"\x1b/who"}, {"\x1b", thought, "/who"}, {"\x1b\x1b/who"}} {
		s := newStage(t, 60, 16, "xterm")
		s.enter(Room{Name: chat.General})
		s.Show("list", "a list")
		y := typist{anyUI: s}
		if did := lines(y.plays(append(steps, "\r")...)); s.overlay != nil || !slices.Equal(did, []string{"/who"}) {
			t.Errorf("%q: the list is open (%v), and %q was typed", steps, s.overlay != nil, did)
		}
	}
}

// A paste that lost its end leaves more than Ctrl+C: after a second, keys that come alone are keys.
func TestPasteWithoutEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []any
		want  []string
	}{
		{"Enter sends it", []any{"\x1b[200~one\ntwo", thought, "\r"}, []string{"one\ntwo"}},
		{"what is typed after it belongs to it", []any{"\x1b[200~one", thought, "!", thought, "\r"}, []string{"one!"}},
		{"Backspace", []any{"\x1b[200~one", thought, "\x7f", "\r"}, []string{"on"}},
		{"Ctrl+C drops it", []any{"\x1b[200~one", "\x03\x03", "two\r"}, []string{"two"}},
		{"Ctrl+U", []any{"\x1b[200~one\ntwo", thought, "\x15", "x\r"}, []string{"x"}},
		{"an arrow", []any{"\x1b[200~oe", thought, "\x1b[D", "n\r"}, []string{"one"}},
		{"an arrow, cut", []any{"\x1b[200~oe", thought, "\x1b", cutTime, "[D", "n\r"}, []string{"one"}},
		{"Esc", []any{"\x1b[200~one", thought, "\x1b", thought, "\r"}, []string{"one"}},
		{"another paste", []any{"\x1b[200~one ", thought, "\x1b[200~two\nlines\x1b[201~", "\r"}, []string{"one two\nlines"}},
		{"its end, late", []any{"\x1b[200~one", thought, "\x1b[201~", "\r"}, []string{"one"}},
		{"its end, late and cut", []any{"\x1b[200~one\x1b", 2 * time.Second, "[201~", "\r"}, []string{"one"}},
		{"more of it, late: nothing is sent", []any{"\x1b[200~one\r", thought, "/quit\rtwo\r", "\rthree", "\x1b[201~", "\r"}, []string{"one\n/quit\ntwo\n\nthree"}},
		{"lines of it while it comes", []any{"\x1b[200~one", cutTime, "\r", cutTime, "two", "\x1b[201~", "\r"}, []string{"one\ntwo"}},
	} {
		for kind, y := range typists(t) {
			if got := lines(y.plays(c.steps...)); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %q made %q, want %q", kind, c.name, c.steps, got, c.want)
			}
		}
	}
}

// Tabs of pasted code are its indentation, and complete no names. A Tab that is pressed completes.
func TestTabs(t *testing.T) {
	complete := func(line string, cursor int) (int, []string) {
		start := strings.LastIndexAny(line[:cursor], " \n") + 1
		return start, slices.DeleteFunc([]string{"annika"}, func(c string) bool { return !strings.HasPrefix(c, line[start:cursor]) })
	}
	for _, c := range []struct {
		name  string
		reads []any
		plain string
		full  string
	}{
		{"pressed", []any{"an", "\t", "x\r"}, "annika x", "annika x"},
		{"typed ahead", []any{"an\t", "x\r"}, "annika x", "annika x"},
		{"in code, without brackets around the paste", []any{"if x {\\\tan\t= 1\r"}, `if x {\    an    = 1`, `if x {\    annika = 1`},
		{"at the start of a line", []any{"\t\tan\r"}, "an", "an"},
		{"in code", []any{"\x1b[200~for {\n\tan\t= 1\n\t\ta()\n}\x1b[201~", "\r"}, "for {\n    an    = 1\n        a()\n}", "for {\n    an    = 1\n        a()\n}"},
	} {
		for kind, want := range map[string]string{"plain": c.plain, "full": c.full} {
			y := typists(t)[kind]
			switch f := y.anyUI.(type) {
			case *terminal:
				f.Plain.complete = complete
			case *stage:
				f.options.Complete = complete
			}
			if got := lines(y.plays(c.reads...)); len(got) != 1 || strings.TrimSpace(got[0]) != want {
				t.Errorf("%s, %s: %q made %q, want %q", kind, c.name, c.reads, got, want)
			}
		}
	}
}

// A paste that is too long is reported with its size, and nothing is sent.
func TestPasteThatIsTooLong(t *testing.T) {
	var paste strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&paste, "line %d of a file that was pasted by accident\n", i)
	}
	for kind, y := range typists(t) {
		dropped := 0
		for part := range slices.Chunk([]byte("\x1b[200~"+paste.String()+"\x1b[201~"), 1<<10) {
			if did := y.Input(part); len(did) > 0 {
				t.Fatalf("%s: did %v", kind, did)
			}
			dropped += y.Dropped()
		}
		if dropped != paste.Len()-editor.MaxLine {
			t.Errorf("%s: %d bytes of %d went nowhere", kind, dropped, paste.Len())
		}
		inBox := strings.Count(paste.String()[:editor.MaxLine], "\n")
		seen := strings.Join(strings.Fields(strings.ReplaceAll(y.shown(), "│", "")), " ")
		if want := fmt.Sprintf("dropped its last %d lines (%d bytes). A message can have at most %d bytes", 5001-inBox, paste.Len()-editor.MaxLine, text.MaxText); !strings.Contains(seen, want) {
			t.Errorf("%s shows\n%s\nwithout %q", kind, seen, want)
		}
		if want := fmt.Sprintf("[%d lines, %d bytes; the limit is", inBox+1, editor.MaxLine); kind == "full" && !strings.Contains(seen, want) {
			t.Errorf("%s shows\n%s\nwithout %q", kind, seen, want)
		}
		if did := y.plays("\r"); len(did) > 0 {
			t.Errorf("%s: Enter does %v", kind, did)
		}
		if seen := y.shown(); !strings.Contains(strings.Join(strings.Fields(seen), " "), "Nothing was sent") {
			t.Errorf("%s shows\n%s", kind, seen)
		}
		if got := lines(y.plays("\x03", "short\r")); !slices.Equal(got, []string{"short"}) {
			t.Errorf("%s: after Ctrl+C %q", kind, got)
		}
	}
}

// The box counts lines, not rows.
func TestBoxCountsLines(t *testing.T) {
	s := newStage(t, 40, 24, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("\x1b[200~" + strings.Repeat(strings.Repeat("wide ", 30)+"\n", 3) + "end\x1b[201~")
	s.flush()
	s.shows("[4 lines: Enter sends")
	s.types("\n")
	s.flush()
	s.shows("[4 lines: Enter sends")
	s.types("\x15\x03" + strings.Repeat("long ", 100))
	s.shows("[500 bytes: Enter sends")
}
