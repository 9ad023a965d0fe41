package view

import (
	"fmt"
	"strings"
	"testing"

	"github.com/clipperhouse/displaywidth"
	"pgregory.net/rapid"

	"sshchat/sshchat/attack"
	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/keys"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// typings are keys and what terminals send besides.
var typings = []string{
	"a", "hello ", "\r", "\x7f", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[5~", "\x1b[6~", "\x1b[1;2A", "\x1b[1;2B", "\x0e", "\x10", "\x1ba", "\x1b1", "\x1b2",
	"\t", "/j\t", "\n", "\x03", "\x0c", "\x1a", "\x15", "\x0b", "\x17", "\x1b[200~two\nlines\x1b[201~", "\x1b[<64;3;3M", "\x1b[<65;3;3M",
	"日本語", "👩‍👩‍👧‍👦", "q", "\x1b", "\x1b]0;title\a", "\x1bP1$r\x1b\\", "\x1b[?1;2c", "e\u0301", "नमस्ते", strings.Repeat("wide 語 ", 40), "```\n*b* _i_ :tada:",
}

// hostile are texts that would do something to a terminal.
var hostile = []string{
	"\x1b[5n", "\x1b]52;c;aGk=\a", "\x1b[?1049;5y", "\x1bP$q\x1b\\", "\x1b[6n", "\x1b(0", "\x9b5m\xff", "a\bb\x00", "\x1b[8;1;1t", "\x1bc", "\x0e",
}

// Whatever happens in whatever order, the differences that were written add up to a full redraw, and whatever
// anybody calls themselves, types or has quoted, a terminal is sent nothing but what a screen takes. The control is the texts
// themselves.
func TestAttackDifferencesComeToTheWhole(t *testing.T) {
	noRaces(t)
	row := attack.On(t, attack.Room, "get escape sequences to a screen")
	rapid.Check(t, func(r *rapid.T) {
		draw := func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(r, label) }
		terms := []string{"xterm-256color", "linux", "vt100", "tmux-256color"}
		s := newStage(t, 10+draw(150, "width"), 3+draw(30, "height"), terms[draw(len(terms), "term")])
		defer s.release()
		rooms := []Room{{Name: chat.General, Topic: "topic", Unread: draw(3, "unread"), Mark: 1}, {Name: dev, Unread: 2, Mentions: 1}, {Name: text.Direct(ann, bob)}}
		s.enter(rooms...)
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			switch draw(10, "what") {
			case 9:
				rooms[draw(3, "room")].People = rosterOf(draw(4, "online"), draw(3, "away"), draw(30, "offline"))
				s.Full.Rooms(rooms)
			case 8:
				bad := hostile[draw(len(hostile), "hostile")]
				rooms[0].Topic = bad
				[]func(){
					func() { s.Print(bad) }, func() { s.Fail(bad) }, func() { s.Show(bad, bad+"\n"+bad) }, func() { s.Full.Rooms(rooms) },
					func() { s.Ask(bad, true) }, func() { s.Input([]byte(bad)) },
				}[draw(6, "where")]()
			case 0, 1, 2:
				kinds := []chat.Kind{chat.Say, chat.Say, chat.Me, chat.PresenceChange, chat.Edit}
				for range 1 + draw(5, "messages") {
					s.says(happened(rooms[draw(3, "room")].Name, kinds[draw(len(kinds), "kind")], bob, texttest.Scripts[draw(len(texttest.Scripts), "text")]+strings.Repeat(" word", draw(30, "words"))))
				}
			case 3, 4:
				for _, a := range s.Input([]byte(typings[draw(len(typings), "key")])) {
					if a.Kind == Go {
						s.Full.Enter(a.Room)
					}
				}
			case 5:
				s.resize(2+draw(160, "width"), 1+draw(40, "height"))
			case 6:
				[]func(){
					func() { s.Print(strings.Repeat("an answer\n", 1+draw(30, "rows"))) }, func() { s.Fail("refused") }, func() { s.Ask("Sure? ", draw(2, "echo") == 1) },
					func() {
						s.Set(Preferences{Theme: theme.Names()[draw(3, "theme")], Clock: []string{"", "off"}[draw(2, "clock")], Mouse: draw(2, "mouse") == 1})
					},
					func() { s.Clear() }, func() { s.Full.Expire() },
					func() { s.Full.Rooms(rooms[:1+draw(3, "rooms")]) },
				}[draw(7, "call")]()
			case 7: // several things in one frame
				continue
			}
			s.flush()
			s.checkRedraw()
		}
		s.Close()
		s.flush()
		for mode, on := range s.modes {
			if on != (mode == "25" || mode == "7") {
				t.Fatalf("mode %s is left %v", mode, on)
			}
		}
	})
	s, found := newStage(t, 80, 24, "xterm"), 0
	for _, bad := range hostile {
		if s.foreign(bad) != "" {
			found++
		}
	}
	if found != len(hostile) {
		t.Errorf("control: %d of %d are found", found, len(hostile))
	}
	row.Tried("%d texts: typed, posted, as topics and in answers, in random messages and keys, checked by a terminal emulator", len(hostile))
	row.Held("only sequences from a fixed list are sent")
	row.Control("none of the %d is on the list", found)
}

// resize has the terminal's size change and the UI hear of it.
func (s *stage) resize(width, height int) {
	s.screen.Resize(width, height)
	s.Full.Resize(width, height)
}

// A terminal that changes its size all the time costs a frame where it stops, and not one each time. The control draws each.
func TestAttackResizeStorm(t *testing.T) {
	row := attack.On(t, attack.Room, "resizes")
	s := newStage(t, 80, 24, "xterm")
	s.evening()
	const storm = 10_000
	for i := range storm {
		s.Full.Resize(i%600, i*7%300)
	}
	s.resize(33, 11)
	s.flush()
	once := len(s.wrote)
	s.checkRedraw()
	each := 0
	for i := range 100 {
		s.resize(33+i%2, 11)
		s.flush()
		each += len(s.wrote)
	}
	if each < 20*once {
		t.Errorf("control: 100 frames are %d bytes, one is %d", each, once)
	}
	row.Tried("%d between two frames", storm)
	row.Held("one frame")
	row.Control("100 with a frame after each: 100 frames")
}

// A row is never wider than it may be, holds its own styles, and shows what the message says.
func TestRowsOfMessages(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom(append([]string{
			"*bold*", "_italic_", "`code`", "snake_case_word", "2*3*4", "*", "__", "https://example.org/" + strings.Repeat("x", 50), ":tada:", ":nothing:", "\n", "```", "\n```go\n", "\n```\n", "\n> ", "\n- ", "\n  12. ", "**b**", "~~s~~", "ann", "",
		}, texttest.Scripts...)), 0, 40).Draw(r, "words")
		d := happened(chat.General, rapid.SampledFrom([]chat.Kind{chat.Say, chat.Me, chat.PresenceChange}).Draw(r, "kind"), bob, strings.Join(words, " "))
		width := rapid.IntRange(1, 120).Draw(r, "width")
		o := Options{Me: ann, Term: rapid.SampledFrom([]string{"xterm-kitty", "linux", "vt100"}).Draw(r, "term")}
		p := newRenderer(&o, Preferences{
			Theme: rapid.SampledFrom(theme.Names()).Draw(r, "theme"), Compact: rapid.Bool().Draw(r, "compact"),
			Clock: rapid.SampledFrom([]string{"", "off", "02 Jan 15:04"}).Draw(r, "clock"),
		})
		v := rapid.SampledFrom([]variant{0, variantContinued, variantContinued | variantSameTime, variantMention}).Draw(r, "variant")
		for _, row := range p.message(&d, width, v, beside{}) {
			var w output.Buffer
			w.Styled(row)
			if written := w.Take(); string(written) != row {
				t.Fatalf("the output buffer would not take %q as it is: %q", row, written)
			}
			visible, links, styled := strip(row)
			if got := displaywidth.String(visible); got > width {
				t.Fatalf("%d cells of %d: %q", got, width, visible)
			}
			if styled || links {
				t.Fatalf("the row does not end as it began: %q", row)
			}
		}
	})
}

// strip returns a row's text, and whether a link or a style is left open at its end.
func strip(row string) (visible string, link, style bool) {
	var b strings.Builder
	for row != "" {
		n := output.Sequence(row)
		switch {
		case n == 0:
			b.WriteByte(row[0])
			n = 1
		case strings.HasPrefix(row, output.LinkStart):
			link = row[:n] != output.LinkStart+";"+output.StringEnd
		default:
			style = row[:n] != plainStyle
		}
		row = row[n:]
	}
	return b.String(), link, style
}

// All rows of a block of code are filled, as wide as its longest line.
func TestBlockIsFilled(t *testing.T) {
	p := newRenderer(&Options{Me: ann, Term: "xterm-256color"}, Preferences{})
	for _, end := range []string{"", "\n```", "\n```\nafter"} {
		d := said(chat.General, bob, "```\na long line\nb"+end)
		widths := []int{}
		for _, row := range p.message(&d, 80, 0, beside{})[:2] {
			visible, _, _ := strip(row)
			widths = append(widths, displaywidth.String(visible))
		}
		if widths[0] != widths[1] {
			t.Errorf("%q: rows of %d cells", end, widths)
		}
	}
}

// Two sessions that look alike render a message once; one whose name is in it renders its own.
func TestLinesAreShared(t *testing.T) {
	l := &Lines{}
	d := said(chat.General, bob, "hello ann")
	d.DisplaySeq = 1
	rows := func(me chat.Name, preferences Preferences) string {
		o := Options{Me: me, Term: "xterm-256color"}
		p := newRenderer(&o, preferences)
		return fmt.Sprintf("%p", l.rows(p, &d, 80, p.variant(&d, 80, turn{}), beside{}))
	}
	carol, dave := mustName("carol"), mustName("dave")
	if rows(carol, Preferences{}) != rows(dave, Preferences{}) {
		t.Error("two alike render twice")
	}
	for name, other := range map[string]string{
		"the one who is named": rows(ann, Preferences{}), "another theme": rows(dave, Preferences{Theme: "mono"}), "another clock": rows(dave, Preferences{Clock: "off"}),
		"another layout": rows(dave, Preferences{Compact: true}),
	} {
		if other == rows(carol, Preferences{}) {
			t.Errorf("%s is shown what carol is", name)
		}
	}
	for i := range 60_000 { // three times what half of the cache holds
		d.DisplaySeq = uint64(i) + 2
		rows(carol, Preferences{})
	}
	if l.bytes > maxLines/2 {
		t.Errorf("%d bytes are kept in half of the cache", l.bytes)
	}
}

// A message comes, and its own bytes go out, not the screen's.
func TestALineCostsItsOwnBytes(t *testing.T) {
	s := newStage(t, 80, 24, "xterm")
	s.enter(Room{Name: chat.General})
	for i := range 100 {
		s.says(said(chat.General, bob, fmt.Sprintf("line %d of the conversation", i)))
	}
	s.flush()
	s.says(said(chat.General, bob, "one more line"))
	s.flush()
	if len(s.wrote) > 200 {
		t.Errorf("%d bytes for a line: %q", len(s.wrote), s.wrote)
	}
	s.shows("one more line")
	s.checkRedraw()
	s.Flush()
	if s.Pending() {
		t.Error("nothing happens, and there is something to write")
	}
}

func TestKeysOfTheScreen(t *testing.T) {
	s := newStage(t, 60, 16, "xterm-256color")
	s.enter(Room{Name: chat.General}, Room{Name: dev, Unread: 2, Mark: 1}, Room{Name: text.Direct(ann, bob), Unread: 1, Mentions: 1})
	goes := func(keys string, want chat.RoomName) {
		t.Helper()
		did := s.types(keys)
		if len(did) != 1 || did[0].Kind != Go || did[0].Room != want {
			t.Errorf("%q does %v", keys, did)
		}
	}
	goes("\x0e", dev)
	goes("\x10", text.Direct(ann, bob))
	goes("\x1ba", text.Direct(ann, bob)) // a mention comes first
	goes("\x1b2", dev)
	if did := s.types("\x1b9"); did != nil || !strings.Contains(s.wrote, "\a") {
		t.Errorf("a room that is not there: %v", did)
	}
	for i := range 60 {
		s.says(said(chat.General, bob, fmt.Sprintf("message %d.", i)))
	}
	s.flush()
	s.shows("message 59.")
	s.types("\x1b[5~")
	s.hides("message 59.")
	s.shows("more below")
	before := strings.Replace(s.text(), "[12 more below: Esc]", "[13 more below: Esc]", 1)
	s.says(said(chat.General, bob, "a new one"))
	s.flush()
	if s.text() != before {
		t.Errorf("the text moved under the reader's eyes:\n%s\n%s", before, s.text())
	}
	if s.Following() {
		t.Error("what comes is seen, and is out of sight")
	}
	for range 3 {
		s.types("\x1b[6~")
	}
	s.shows("a new one")
	if !s.Following() {
		t.Error("the end is in sight, and is not seen")
	}
	if did := s.types("\x1a"); did != nil {
		t.Errorf("Ctrl+Z does %v", did)
	}
	s.types("\x1b")
	if s.Waiting() == 0 {
		t.Error("an Esc is not waited with")
	}
	if did := s.Expire(); did != nil || s.Waiting() == keys.EscapeTime {
		t.Errorf("a lone Esc does %v", did)
	}
	if did := s.types("\x04"); len(did) != 1 || did[0].Kind != Quit {
		t.Errorf("Ctrl+D does %v", did)
	}
}

func TestBell(t *testing.T) {
	for bell, want := range map[string]string{"off": "000", "mention": "011", "": "011", "all": "111"} {
		s := newStage(t, 60, 16, "xterm")
		s.Set(Preferences{Bell: bell})
		s.enter(Room{Name: chat.General})
		got := ""
		for _, d := range []chat.Message{said(chat.General, bob, "hello all"), said(chat.General, bob, "hello Ann"), said(text.Direct(ann, bob), bob, "psst")} {
			s.says(d)
			s.flush()
			got += fmt.Sprint(strings.Count(s.wrote, "\a") - strings.Count(s.wrote, "\x1b]0;"))
		}
		if got != want {
			t.Errorf("bell %q rings %s, not %s", bell, got, want)
		}
		s.says(said(chat.General, ann, "ann says ann"))
		s.flush()
		if strings.Count(s.wrote, "\a") > strings.Count(s.wrote, "\x1b]0;") {
			t.Errorf("bell %q rings for one's own words", bell)
		}
	}
}

// A message that is too long is refused, and stays in the box.
func TestTooLongIsNotLost(t *testing.T) {
	s := newStage(t, 60, 16, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("\x1b[200~" + strings.Repeat("x", text.MaxText+1) + "\x1b[201~")
	if did := s.types("\r"); did != nil {
		t.Fatalf("it was sent: %d bytes", len(did[0].Text))
	}
	s.shows("too long")
	if did := s.types("\x7f\r"); len(did) != 1 || len(did[0].Text) != text.MaxText {
		t.Errorf("one less is sent as %v", did)
	}
}

// Up and Down move within what is typed, and recall what was sent only from its first and last row.
func TestCursorUpAndDown(t *testing.T) {
	s := newStage(t, 21, 16, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("sent before\r")
	s.types("first row\x1b\rsecond 日本語 row that wraps\x1b\rx")
	for _, step := range []struct {
		keys string
		at   int // the cluster the cursor is before
	}{
		{"\x1b[A", 28}, {"\x1b[A", 11}, {"\x1b[A", 0}, {"\x1b[B", 12}, {"\x1b[B", 29},
	} {
		s.types(step.keys)
		if s.input.edit.At != step.at {
			t.Errorf("%q goes to %d, not %d", step.keys, s.input.edit.At, step.at)
		}
		s.checkRedraw()
	}
	if !strings.HasPrefix(string(s.input.edit.Text), "first row") {
		t.Errorf("recalled within the text: %q", s.input.edit.Text)
	}
	s.types("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A")
	if string(s.input.edit.Text) != "sent before" {
		t.Errorf("above the first row stands %q", s.input.edit.Text)
	}
}

// A password is never on the screen.
func TestSecretIsNotShown(t *testing.T) {
	s := newStage(t, 60, 16, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("a draft")
	s.Ask("Password: ", false)
	s.flush()
	did := s.types("hunter2hunter2")
	if strings.Contains(s.wrote, "hunter") || did != nil {
		t.Errorf("written: %q", s.wrote)
	}
	if did = s.types("\r"); len(did) != 1 || did[0].Text != "hunter2hunter2" {
		t.Errorf("the answer is %v", did)
	}
	s.shows("a draft")
	s.hides("hunter")
	if s.types("\x1b[A"); strings.Contains(s.text(), "hunter") {
		t.Error("the password comes back with the lines that were sent")
	}
}

// What was said last reaches the terminal that is left, and it is as it was.
func TestLastWords(t *testing.T) {
	s := newStage(t, 60, 16, "xterm")
	s.enter(Room{Name: chat.General})
	s.Print("The server is stopping.")
	s.Close()
	s.flush()
	if i := strings.Index(s.wrote, "\x1b[?1049l"); i < 0 || !strings.Contains(s.wrote[i:], "The server is stopping.") {
		t.Errorf("written: %q", s.wrote)
	}
	s.Close()
	if p := s.Flush(); len(p) > 0 {
		t.Errorf("left twice: %q", p)
	}
}

func BenchmarkFullNewMessage(b *testing.B) {
	s := newStage(b, 80, 24, "xterm-256color")
	s.enter(Room{Name: chat.General})
	for i := range 4000 {
		s.says(said(chat.General, bob, fmt.Sprintf("line %d of the conversation, as long as lines are", i)))
	}
	s.Flush()
	written := 0
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("a new line of the conversation, %d of them", i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.says(said(chat.General, bob, lines[i%len(lines)]))
		if len(s.past[chat.General]) > 4096 {
			s.past[chat.General] = newerHalf(s.past[chat.General])
		}
		written += len(s.Flush())
	}
	b.ReportMetric(float64(written)/float64(b.N), "B/frame")
}

// newerHalf keeps the newer half.
func newerHalf(ms []chat.Message) []chat.Message {
	return append([]chat.Message(nil), ms[len(ms)/2:]...)
}

func BenchmarkRows(b *testing.B) {
	d := said(chat.General, bob, "see *this* and `that`: https://example.org/path :tada: as people write, eighty cells")
	d.DisplaySeq = 1
	o := Options{Me: ann, Term: "xterm-256color"}
	p := newRenderer(&o, Preferences{})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.message(&d, 80, 0, beside{})
		}
	})
	b.Run("cached", func(b *testing.B) {
		l := &Lines{}
		b.ReportAllocs()
		for b.Loop() {
			l.rows(p, &d, 80, 0, beside{})
		}
	})
	b.Run("4KiB", func(b *testing.B) {
		long := said(chat.General, bob, strings.Repeat("word and *more* ", 250))
		b.ReportAllocs()
		for b.Loop() {
			p.message(&long, 80, 0, beside{})
		}
	})
}
