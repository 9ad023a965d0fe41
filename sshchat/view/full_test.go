package view

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/vt"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// stage is a Full, the rooms it draws from, and the screen it draws on.
type stage struct {
	*Full
	t      testing.TB
	o      Options
	past   map[chat.RoomName][]chat.Message
	order  uint64
	screen *vt.Emulator
	fresh  *vt.Emulator // of checkRedraw
	wrote  string
	modes  map[string]bool // private modes, by number
	titles int             // put aside and not put back
}

func newStage(t testing.TB, width, height int, term string) *stage {
	t.Helper()
	s := &stage{t: t, past: make(map[chat.RoomName][]chat.Message), screen: newEmulator(width, height), modes: make(map[string]bool)}
	s.o = Options{
		Me: ann, Width: width, Height: height, Term: term, Server: "chat.example", Lines: &Lines{}, Past: pastOf(s.before),
		Complete: func(line string, cursor int) (int, []string) {
			start := strings.LastIndexByte(line[:cursor], ' ') + 1
			var found []string
			for _, w := range []string{"/join", "/msg", "bob", "carol"} {
				if strings.HasPrefix(w, line[start:cursor]) {
					found = append(found, w)
				}
			}
			return start, found
		},
	}
	s.Full = NewFull(s.o)
	t.Cleanup(s.release)
	return s
}

// release gives back the screens of a stage that is not used any more, before its test ends.
func (s *stage) release() {
	reuse(s.screen, s.fresh)
	s.screen, s.fresh = nil, nil
}

func (s *stage) before(room chat.RoomName, before uint64, n int) []chat.Message {
	return lastBefore(s.past[room], before, n)
}

// pastOf is a Past of all that it returns.
type pastOf func(room chat.RoomName, before uint64, n int) []chat.Message

func (p pastOf) First() uint64 { return 0 }

func (p pastOf) Before(room chat.RoomName, before uint64, n int) []chat.Message {
	return p(room, before, n)
}

func (p pastOf) After(room chat.RoomName, after uint64, n int) ([]chat.Message, bool) {
	ms := p(room, 0, 1<<20)
	i, found := find(ms, after)
	if found {
		i++
	}
	return ms[i:min(i+n, len(ms))], false
}

// lastBefore returns up to n messages of a room that come before a place in the order, or the newest if that is 0.
func lastBefore(ms []chat.Message, before uint64, n int) []chat.Message {
	if before > 0 {
		i, _ := find(ms, before)
		ms = ms[:i]
	}
	return ms[max(0, len(ms)-n):]
}

// says adds a message to its room and delivers it.
func (s *stage) says(m chat.Message) {
	s.order++
	m.DisplaySeq = s.order
	if m.Kind.Stored() && m.Seq == 0 {
		m.Seq = 1
		for _, old := range slices.Backward(s.past[m.Room]) {
			if old.Seq > 0 {
				m.Seq = old.Seq + 1
				break
			}
		}
	}
	s.past[m.Room] = append(s.past[m.Room], m)
	s.Deliver(spansOf(m))
}

func (s *stage) types(text string) []Action {
	did := s.Input([]byte(text))
	s.flush()
	return did
}

// flush writes to the screen what there is, and looks at every byte of it.
func (s *stage) flush() {
	s.t.Helper()
	p := s.Flush()
	s.wrote = string(p)
	s.inspect(s.wrote)
	if _, err := s.screen.Write(p); err != nil {
		s.t.Fatal(err)
	}
}

// inspect refuses every byte and sequence that a full screen has no use for.
func (s *stage) inspect(out string) {
	s.t.Helper()
	if what := s.foreign(out); what != "" {
		s.t.Fatal(what)
	}
}

// foreign is the first such byte or sequence, and "" if there is none.
func (s *stage) foreign(out string) string {
	for i := 0; i < len(out); {
		switch c := out[i]; {
		case c == 0x1b:
			n := output.Sequence(out[i:])
			if n == 0 {
				n = s.control(out[i:])
			}
			if n == 0 {
				return fmt.Sprintf("a sequence that is not known: %q", out[i:min(i+20, len(out))])
			}
			i += n
		case c < ' ' && c != '\n' && c != '\r' && c != '\a' || c == 0x7f:
			return fmt.Sprintf("a control byte: %q", out[max(0, i-20):min(i+20, len(out))])
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(out[i:])
			if r == utf8.RuneError && n == 1 || r < 0xa0 {
				return fmt.Sprintf("not text: %q", out[i:min(i+20, len(out))])
			}
			i += n
		default:
			i++
		}
	}
	return ""
}

// control is the length of a sequence that moves, erases, scrolls, sets a mode or a title; 0 for anything else.
func (s *stage) control(out string) int {
	if rest, ok := strings.CutPrefix(out, "\x1b]0;"); ok {
		return len("\x1b]0;") + strings.IndexByte(rest, '\a') + 1
	}
	if !strings.HasPrefix(out, "\x1b[") {
		return 0
	}
	end := 2 + strings.IndexFunc(out[2:], func(r rune) bool { return r >= '@' && r <= '~' })
	params, final := out[2:end], out[end]
	if strings.Trim(params, "?;0123456789") != "" || !strings.ContainsRune("HJKrhlt", rune(final)) {
		return 0
	}
	switch {
	case out[:end+1] == "\x1b[22;0t":
		s.titles++
	case out[:end+1] == "\x1b[23;0t":
		s.titles--
	case final == 't': // a question, or another window's size
		return 0
	}
	if number, private := strings.CutPrefix(params, "?"); private {
		for n := range strings.SplitSeq(number, ";") {
			s.modes[n] = final == 'h'
		}
	}
	return end + 1
}

// rows is what the screen shows, without blanks at the ends of rows.
func (s *stage) text() string {
	var rows []string
	for y := range s.screen.Height() {
		var b strings.Builder
		for x := 0; x < s.screen.Width(); x++ {
			c := s.screen.CellAt(x, y)
			if c == nil || c.Width == 0 && c.Content == "" {
				if c == nil {
					b.WriteByte(' ')
				}
				continue
			}
			b.WriteString(c.Content)
			if c.Content == "" {
				b.WriteByte(' ')
			}
		}
		rows = append(rows, strings.TrimRight(b.String(), " "))
	}
	return strings.Join(rows, "\n")
}

func (s *stage) shows(words ...string) {
	s.t.Helper()
	for _, w := range words {
		if !strings.Contains(s.text(), w) {
			s.t.Errorf("the screen does not show %q:\n%s", w, s.text())
		}
	}
}

func (s *stage) hides(words ...string) {
	s.t.Helper()
	for _, w := range words {
		if strings.Contains(s.text(), w) {
			s.t.Errorf("the screen shows %q:\n%s", w, s.text())
		}
	}
}

// checkRedraw checks that the differences add up to what a new UI would draw.
func (s *stage) checkRedraw() {
	s.t.Helper()
	if s.fresh == nil {
		s.fresh = newEmulator(s.cols, s.rows)
	}
	fresh := s.fresh
	reset(fresh, s.cols, s.rows)
	again := screen{hasTitle: s.Full.screen.hasTitle}
	var w output.Buffer
	keptTail, keptBars := s.messages.tail, s.bars
	s.messages.tail = tail{} // everything is laid out again, too
	s.bars.invalidate()
	again.draw(&w, s.compose(), s.preferences.Mouse)
	s.messages.tail, s.bars = keptTail, keptBars
	if _, err := fresh.Write(w.Take()); err != nil {
		s.t.Fatal(err)
	}
	for y := range s.rows {
		for x := range s.cols {
			if a, b := s.screen.CellAt(x, y), fresh.CellAt(x, y); a != nil && b != nil && *a == *b {
				continue // as nearly all are
			}
			got, want := cellOf(s.screen, x, y), cellOf(fresh, x, y)
			if got != want {
				s.t.Fatalf("row %d, column %d: %q, and redrawn %q; last written %q\n%s", y, x, got, want, s.wrote, s.text())
			}
		}
	}
	if got, want := s.screen.CursorPosition(), fresh.CursorPosition(); got != want {
		s.t.Fatalf("the cursor is at %v, and drawn anew at %v\n%s", got, want, s.text())
	}
}

func cellOf(e *vt.Emulator, x, y int) string {
	c := e.CellAt(x, y)
	if c == nil || c.Content == "" && c.Width == 0 {
		return ""
	}
	return fmt.Sprint(strings.TrimRight(c.Content, " "), c.Style.String(), c.Link.URL)
}

func at(d chat.Message, when time.Time) chat.Message {
	d.At = when
	return d
}

// enter has the person come in where rooms stand so.
func (s *stage) enter(rooms ...Room) {
	s.Full.Enter(chat.General)
	s.Full.Rooms(rooms)
	s.flush()
}

var dev, _ = text.ParseRoomName("#dev")

// golden compares the screen with testdata/screens/name.txt, or writes it with SSHCHAT_UPDATE=1.
func (s *stage) golden(name string) {
	s.t.Helper()
	path := filepath.Join("testdata", "screens", name+".txt")
	got := s.text() + "\n"
	if os.Getenv("SSHCHAT_UPDATE") == "1" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != string(want) {
		s.t.Errorf("%s: the screen is\n%s\nand was\n%s", name, got, want)
	}
}

// evening is a conversation that has a bit of everything.
func (s *stage) evening() {
	general := Room{Name: chat.General, Topic: "what we build", Here: 2, Members: 5}
	s.enter(general, Room{Name: dev, Unread: 3}, Room{Name: text.Direct(ann, bob), Unread: 1, Mentions: 1})
	s.says(at(said(chat.General, bob, "good evening, *everybody*"), noon.Add(-24*time.Hour)))
	s.says(said(chat.General, ann, "hello :wave: see https://example.org/a/rather/long/path/to/wrap/around?with=query&and=more"))
	s.says(happened(chat.General, chat.PresenceChange, chat.Name{}, "carol joined"))
	s.says(happened(chat.General, chat.Me, bob, "waves at Ann"))
	s.says(said(chat.General, bob, "```go\nfunc main() {\n\tprintln(\"hi\")\n}\n```\nthat was it"))
	for _, spoken := range texttest.Scripts {
		s.says(said(chat.General, bob, spoken))
	}
	s.flush()
}

func TestScreens(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		term          string
		then          func(s *stage)
	}{
		{"wide", 100, 30, "xterm-256color", func(s *stage) { s.types("a line that is being typed") }},
		{"compact", 100, 30, "xterm-256color", func(s *stage) { s.Set(Preferences{Compact: true}); s.flush() }},
		{"markup", 70, 26, "xterm-256color", func(s *stage) {
			s.says(said(chat.General, bob, "a list, **bold** and ~~struck~~:\n- one that is long enough to go on in a second row of this screen, below its text\n  - nested\n2. two"))
			s.says(said(chat.General, ann, "> what bob said, of which so much is quoted that it takes two rows\nyes, with `code`"))
			s.says(said(chat.General, bob, "before\n```sh\nif true; then\n\techo yes\nfi\n```\nafter\n```\nopen"))
			s.says(said(chat.General, ann, "```ls -l```, and\n```ls -l\nis no language\n```\n```"))
			s.says(said(chat.General, mustName("somebody-with-a-long-name"), "and a name that is too long for its column, but nobody else's"))
			s.flush()
		}},
		{"code", 70, 16, "xterm-256color", func(s *stage) {
			s.says(said(chat.General, bob, "```go\n// wide lines wrap, and their colors go on in the next row, as in this comment\nfunc f() string { return `a\nb` }\n```"))
			s.says(said(chat.General, ann, "```diff\n-old\n+new\n```\n```nosuch\nif 1 // plain\n```"))
			s.flush()
		}},
		{"empty", 70, 12, "xterm-256color", func(s *stage) {
			s.Full.Enter(dev)
			s.flush()
		}},
		{"narrow", 40, 20, "xterm", func(s *stage) {}},
		{"tiny", 20, 5, "linux", func(s *stage) {}},
		{"huge", 500, 60, "xterm-kitty", func(s *stage) {}},
		{"mono", 80, 24, "vt100", func(s *stage) {}},
		{"scrolled", 60, 16, "xterm", func(s *stage) { s.types("\x1b[5~") }},
		{"top", 60, 16, "xterm", func(s *stage) {
			s.Full.Rooms([]Room{{Name: chat.General, Topic: "what we build", Sealed: 1234}})
			s.types("\x1b[5~\x1b[5~\x1b[5~\x1b[5~")
		}},
		{"error", 60, 12, "xterm", func(s *stage) { s.Fail("unknown command /jion; did you mean /join? For a list: /help"); s.flush() }},
		{"help", 60, 16, "xterm", func(s *stage) {
			s.types("/help\r")
			s.Print(strings.Repeat("/join #room   join a room, or create it\n", 40))
			s.flush()
		}},
		{"question", 60, 12, "xterm", func(s *stage) { s.Ask("Really?\nYour password: ", false); s.types("secret"); s.flush() }},
		{"question-long", 40, 12, "xterm", func(s *stage) {
			s.Ask("Messages sealed only to the old password of carol cannot be opened without it. Continue? [y/N] ", true)
			s.types("ye")
			s.flush()
		}},
		{"question-tiny", 20, 5, "linux", func(s *stage) { s.Ask("Reset the password of carol? [y/N] ", true); s.flush() }},
		{"box", 60, 18, "xterm", func(s *stage) { s.types("\x1b[200~" + strings.Repeat("pasted line\n", 200) + "\x1b[201~") }},
		{"unread", 60, 16, "xterm", func(s *stage) {
			for i := range 4 {
				s.says(said(dev, bob, fmt.Sprint("message ", i+1)))
			}
			s.Full.Rooms([]Room{{Name: chat.General}, {Name: dev, Unread: 2, Mark: 2}})
			s.Full.Enter(dev)
			s.flush()
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.width, c.height, c.term)
			s.evening()
			c.then(s)
			s.checkRedraw()
			s.golden(c.name)
		})
	}
}

// What to do in an empty room is there until somebody says something.
func TestEmptyRoom(t *testing.T) {
	s := newStage(t, 80, 12, "xterm")
	s.enter(Room{Name: chat.General}, Room{Name: text.Direct(ann, bob)})
	s.shows("No messages yet", "#general. /topic TEXT")
	s.Full.Enter(text.Direct(ann, bob))
	s.flush()
	s.shows("goes to @bob")
	s.Full.Enter(chat.General)
	s.flush()
	s.says(said(chat.General, bob, "hello"))
	s.flush()
	s.shows("hello")
	s.hides("No messages yet")
	s.checkRedraw()
	s.Clear()
	s.flush()
	s.hides("No messages yet", "hello")
}

// anyUI is a UI of any kind.
type anyUI interface {
	Display
	Keyboard
	Output
}

// Code is in the colors of its language where there are colors: those of its own, in each row, and what it says stays the same.
func TestCodeHasColors(t *testing.T) {
	m := said(chat.General, bob, "```go\n// a comment\nfunc f() string { return \"a\", 1 }\n```\n```text\n// func 1\n```")
	for _, c := range []struct {
		term    string
		colored bool
	}{{"xterm-256color", true}, {"xterm", true}, {"vt100", false}} {
		p := newRenderer(&Options{Me: ann, Term: c.term}, Preferences{})
		rows := strings.Join(p.message(&m, 79, 0, beside{}), "\n")
		for style, text := range map[theme.Style]string{theme.CodeComment: "// a comment", theme.CodeKeyword: "func", theme.CodeString: `"a"`, theme.CodeNumber: "1"} {
			if strings.Contains(rows, p.styles.Of(style)+text) != c.colored && c.colored {
				t.Errorf("%s: %q is not in its color in %q", c.term, text, rows)
			}
		}
		if !c.colored && strings.Contains(rows, "\x1b[3") {
			t.Errorf("%s has colors: %q", c.term, rows)
		}
		if !strings.Contains(rows, "// func 1") {
			t.Errorf("%s: a language that is not known: %q", c.term, rows)
		}
	}
}
