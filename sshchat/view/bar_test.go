package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

func direct(who string) chat.RoomName { return text.Direct(ann, mustName(who)) }

// bottom is the row of the bar.
func (s *stage) bottom() string { return strings.Split(s.text(), "\n")[s.Full.rows-2] }

// Alt+3 is the room that it was, whoever writes and whichever room is left.
func TestRoomNumbersStay(t *testing.T) {
	s := newStage(t, 100, 12, "xterm")
	general, carl := Room{Name: chat.General}, Room{Name: direct("carl")}
	s.enter(general, Room{Name: dev}, carl)
	goes := func(keys string, want chat.RoomName) {
		t.Helper()
		did := s.types(keys)
		if want.IsZero() {
			if did != nil || !strings.Contains(s.wrote, "\a") {
				t.Errorf("%q does %v", keys, did)
			}
			return
		}
		if len(did) != 1 || did[0] != (Action{Kind: Go, Room: want}) {
			t.Errorf("%q does %v, not %v", keys, did, want)
		}
	}
	bar := func(want string) {
		t.Helper()
		s.flush()
		if got := strings.TrimSpace(s.bottom()); got != want {
			t.Errorf("the bar shows %q, not %q", got, want)
		}
	}
	bar("1:#general 2:#dev 3:@carl")
	goes("\x1b3", carl.Name)
	// A stranger whose name comes before all others writes.
	stranger := Room{Name: direct("aaron"), Unread: 1, Mentions: 1}
	s.Full.Rooms([]Room{general, {Name: dev}, stranger, carl})
	bar("1:#general 2:#dev 3:@carl 4:@aaron 1!")
	goes("\x1b3", carl.Name)
	goes("\x1b4", stranger.Name)
	goes("\x0e", dev) // and Ctrl+N goes by the numbers
	// A room is left: its number is nobody's, also when another comes, and it is its own when it comes back.
	s.Full.Rooms([]Room{general, stranger, carl})
	bar("1:#general 3:@carl 4:@aaron 1!")
	goes("\x1b2", chat.RoomName{})
	s.Full.Rooms([]Room{general, {Name: direct("bert")}, stranger, carl})
	bar("1:#general 3:@carl 4:@aaron 1!  5:@bert")
	goes("\x1b2", chat.RoomName{})
	s.Full.Rooms([]Room{general, {Name: dev}, {Name: direct("bert")}, stranger, carl})
	bar("1:#general 2:#dev 3:@carl 4:@aaron 1!  5:@bert")
	// All keys are in use: one that was left is given away.
	rooms := []Room{general, {Name: direct("bert")}, stranger, carl}
	for i := range 5 {
		rooms = append(rooms, Room{Name: direct(fmt.Sprintf("new%c", 'a'+i))})
	}
	s.Full.Rooms(rooms)
	goes("\x1b9", direct("newd"))
	goes("\x1b2", direct("newe"))
}

// Rooms with mentions, then those with unread messages, then direct messages come first in the bar. What has no room in it is
// counted at its end, and a number is never cut off.
func TestBarTellsWhatIsOutOfSight(t *testing.T) {
	for _, c := range []struct {
		width int
		here  int // the room that is shown
		want  string
	}{
		{100, 0, "1:#general 2:@b-writes-much(12!) 3:@quiet 4:#dev(3) 5:@late(1!)"},
		{60, 0, "1:#general 2:@b-writes-much(12!) 4:#dev(3) 5:@late(1!) +1"},
		{56, 0, "1:#general 2:@b-writes-much(12!) 5:@late(1!) +2(3)"},
		{50, 0, "1:#general 2:@b-writes-much(12!) 4:#dev(3) +2(1!)"},
		{31, 0, "1:#general 5:@late(1!) +3(15!)"},
		{30, 0, "1:#general 5:@late(1!) +3!"},
		{20, 0, "1:#general +4!"},
		{50, 3, "2:@b-writes-much(12!) 4:#dev 5:@late(1!) +2"},
		{40, 3, "2:@b-writes-much(12!) 4:#dev +3(1!)"},
		{30, 4, "4:#dev(3) 5:@late +3!"},
		{14, 0, "1:#genera +4!"},
	} {
		for _, term := range []string{"vt100", "xterm"} {
			barTells(t, c.width, c.here, term, c.want)
		}
	}
}

func barTells(t *testing.T, width, here int, term, want string) {
	t.Helper()
	if term == "xterm" { // has badges
		want = strings.TrimRight(strings.NewReplacer("(", " ", ")", " ").Replace(want), " ")
	}
	s := newStage(t, width, 12, term)
	rooms := []Room{
		{Name: chat.General}, {Name: direct("b-writes-much"), Unread: 12, Mentions: 12}, {Name: direct("quiet")},
		{Name: dev, Unread: 3}, {Name: direct("late"), Unread: 1, Mentions: 1},
	}
	s.bars.numbers.arrange(rooms)
	s.Full.Enter(rooms[here].Name)
	s.Full.Rooms(rooms)
	s.flush()
	got := strings.TrimRight(s.bottom(), " ")
	if got != want || displaywidth.String(got) > width-1 {
		t.Errorf("%s, %d wide, in room %d: %q, not %q", term, width, here+1, got, want)
	}
}

// A person in 40 rooms sees those with mentions and direct messages, and how many others there are.
func TestBarOfManyRooms(t *testing.T) {
	s := newStage(t, 80, 12, "xterm")
	rooms := []Room{{Name: chat.General}}
	for i := range 30 {
		name, _ := text.ParseRoomName(fmt.Sprintf("room-%02d", i))
		rooms = append(rooms, Room{Name: name})
	}
	for i := range 9 {
		rooms = append(rooms, Room{Name: direct(fmt.Sprintf("person%d", i))})
	}
	s.enter(rooms...)
	bar := func(want string) {
		t.Helper()
		s.flush()
		if got := strings.TrimSpace(s.bottom()); got != want {
			t.Errorf("the bar shows %q, not %q", got, want)
		}
	}
	bar("1:#general 32:@person0 33:@person1 34:@person2 35:@person3 36:@person4 +34")
	rooms = slices.Clone(rooms)
	rooms[20].Unread, rooms[20].Mentions, rooms[9].Unread = 7, 1, 2
	s.Full.Rooms(rooms)
	bar("1:#general 10:#room-08 2  21:#room-19 7!  32:@person0 33:@person1 +35")
	for i := 1; i <= 30; i++ {
		rooms[i].Unread, rooms[i].Mentions = 10, 1
	}
	s.Full.Rooms(rooms)
	bar("1:#general 2:#room-00 10!  3:#room-01 10!  4:#room-02 10!  +36 270!")
	s.checkRedraw()
}

// Alt+M goes to the next mention and to nothing else, Alt+O to the room before and back again, and Alt+G starts a command
// that keeps what was typed. A room has a number also if it has no key.
func TestKeysToRooms(t *testing.T) {
	s := newStage(t, 100, 12, "xterm")
	rooms := []Room{{Name: chat.General}, {Name: dev, Unread: 3}}
	for i := range 10 {
		rooms = append(rooms, Room{Name: direct(fmt.Sprintf("person%d", i))})
	}
	rooms[5].Unread, rooms[5].Mentions = 1, 1
	s.enter(rooms...)
	goes := func(keys string, want chat.RoomName) {
		t.Helper()
		did := s.types(keys)
		if len(did) != 1 || did[0] != (Action{Kind: Go, Room: want}) {
			t.Fatalf("%q does %v, not %v", keys, did, want)
		}
		s.Full.Enter(want)
		s.flush()
	}
	rings := func(keys string) {
		t.Helper()
		if did := s.types(keys); did != nil || !strings.Contains(s.wrote, "\a") {
			t.Errorf("%q does %v", keys, did)
		}
	}
	rings("\x1bo") // nowhere was before
	goes("\x1bm", direct("person3"))
	goes("\x1bo", chat.General)
	goes("\x1bo", direct("person3"))
	rooms = slices.Clone(rooms)
	rooms[5].Unread, rooms[5].Mentions = 0, 0
	s.Full.Rooms(rooms)
	rings("\x1bm")
	goes("\x1ba", dev)
	goes("/go 12\r", direct("person9"))
	if did := s.types("/go 13\r"); len(did) != 1 || did[0] != (Action{Kind: Line, Text: "/go 13"}) {
		t.Errorf("a number that no room has does %v", did)
	}

	s.types("half a thought\x1bg")
	s.shows("> /go")
	s.hides("half a thought")
	s.types("\x1bg") // once is enough
	if did := s.types("dev\r"); len(did) != 1 || did[0] != (Action{Kind: Line, Text: "/go dev"}) {
		t.Errorf("Alt+G and a name do %v", did)
	}
	s.shows("> half a thought")
	s.types("\x1bg\x03") // Ctrl+C
	s.shows("> half a thought")
	s.types("\x1bgp")
	s.Full.Enter(dev) // as Alt+2 does
	s.Full.Enter(direct("person9"))
	s.flush()
	s.shows("> half a thought")
	rooms = slices.Delete(rooms, 1, 2)
	s.Full.Rooms(rooms)
	rings("\x1bo") // that room was left
	s.checkRedraw()
}

// In a plain terminal the same keys are commands.
func TestPlainKeysToRooms(t *testing.T) {
	m := newTerminal(t, 80)
	m.Enter(chat.General)
	for keys, want := range map[string]string{"\x1ba": "/go", "\x1bm": "/go !", "\x1bo": "/go -", "dra\x1bgdev\r": "/go dev"} {
		did := m.typed(keys)
		if len(did) != 1 || did[0] != (Action{Kind: Line, Text: want}) {
			t.Errorf("%q does %v, not %q", keys, did, want)
		}
	}
	m.flush()
	m.shows("#general> /go dev", "#general> dra")
}

// While scrolled up, the bar counts the messages below, and a narrow one says at least that there are some.
func TestMoreBelowIsCounted(t *testing.T) {
	for width, want := range map[int]string{60: "[away, 7 more below: Esc]", 30: "[away, more below]", 22: ""} {
		s := newStage(t, width, 12, "xterm")
		s.Set(Preferences{Away: true})
		s.enter(Room{Name: chat.General}, Room{Name: dev})
		for i := range 40 {
			s.says(said(chat.General, bob, fmt.Sprintf("m%d.", i)))
		}
		s.says(happened(chat.General, chat.PresenceChange, chat.Name{}, "bob left")) // is no message
		s.flush()
		s.types("\x1b[5~")
		if got := s.bottom(); !strings.HasSuffix(strings.TrimRight(got, " "), want) || want == "" && strings.Contains(got, "[") {
			t.Errorf("%d wide: %q, not %q", width, got, want)
		}
		s.amends(chat.General, true, "")
		s.says(said(dev, bob, "elsewhere"))
		s.flush()
		s.checkRedraw()
		s.types("\x1b")
		s.Expire()
		s.flush()
		s.hides("below")
	}
}

// While a list is open, answers are seen below it, and it closes for what one says.
func TestAnswersWhileAListIsOpen(t *testing.T) {
	s := newStage(t, 60, 14, "xterm")
	s.enter(Room{Name: chat.General})
	list := strings.Repeat("a line of a list\n", 50)
	s.Print("Your key opens your history.")
	s.Show("/help", list)
	s.flush()
	s.shows("a line of a list", "Your key opens") // also what came just before the list
	s.Fail("Too fast")
	s.flush()
	s.shows("a line of a list", "! Too fast")
	s.types("/wh\t")
	s.Print("a long answer, of more than one row of this screen, which is why it is broken")
	s.flush()
	s.shows("a line of a list", "why it is broken")
	if !s.Following() {
		s.types("\x15hello\r")
	}
	s.says(said(chat.General, ann, "hello"))
	s.flush()
	s.shows("ann │ hello")
	s.hides("a line of a list")
	if !s.Following() {
		t.Error("the list is open")
	}
	s.shows("! │ Too fast") // nothing is lost of what was said meanwhile
	s.Show("/help", list)
	s.flush()
	s.hides("Too fast")
	s.checkRedraw()
}

// /clear empties the screen, and scrolling up brings back what was said.
func TestClear(t *testing.T) {
	s := newStage(t, 60, 12, "xterm")
	s.enter(Room{Name: chat.General, Sealed: 5}, Room{Name: dev})
	for i := range 30 {
		s.says(said(chat.General, bob, fmt.Sprintf("message %d.", i)))
	}
	s.says(said(dev, bob, "elsewhere."))
	s.Print("an answer")
	s.flush()
	s.shows("message 29.", "an answer")
	s.Clear()
	s.flush()
	s.hides("message", "an answer", "sealed", "2026")
	s.checkRedraw()
	s.Print("a new answer")
	s.flush()
	s.shows("a new answer")
	s.says(said(chat.General, bob, "hello again"))
	s.flush()
	s.shows("a new answer", "hello again")
	s.hides("message")
	s.checkRedraw()
	if !s.Following() {
		t.Error("the end is not in sight")
	}
	s.Full.Enter(dev)
	s.flush()
	s.shows("elsewhere.")
	s.Full.Enter(chat.General)
	s.flush()
	s.hides("message")
	s.types("\x1b[5~")
	s.shows("message 29.")
	s.hides("an answer")
	s.types("\x1b")
	s.Expire()
	s.flush()
	s.shows("message 29.", "hello again")
	s.checkRedraw()

	m := newTerminal(t, 40)
	m.Enter(chat.General)
	m.Deliver(spansOf(said(chat.General, bob, "hello")))
	m.typed("dra")
	m.shows("12:34 bob: hello", "#general> dra")
	m.Clear()
	m.flush()
	for y := range rowsOfScreen - 1 {
		if got := m.line(y); got != "" {
			t.Errorf("row %d shows %q", y, got)
		}
	}
	if got := m.line(rowsOfScreen - 1); got != "#general> dra" {
		t.Errorf("the last row shows %q", got)
	}
}

// What is unread in a hushed room has a number without emphasis, takes no place from others, is no stop of Alt+A, and does not
// count in the title. A mention there does.
func TestBarOfHushedRooms(t *testing.T) {
	rooms := []Room{{Name: chat.General}, {Name: dev, Unread: 5, Dim: 5}, {Name: other, Unread: 7, Mentions: 1, Dim: 6}, {Name: direct("bob"), Unread: 2, Dim: 2}}
	s := newStage(t, 80, 12, "vt100")
	s.Full.Enter(chat.General)
	s.Full.Rooms(rooms)
	s.flush()
	if got, want := strings.TrimRight(s.bottom(), " "), "1:#general 2:#dev(5) 3:#other(7!) 4:@bob(2)"; got != want {
		t.Errorf("the bar is %q, not %q", got, want)
	}
	if want := "\x1b[m 2:#dev(5) \x1b[1;4m3:#other(7!)\x1b[m 4:@bob(2) "; !strings.Contains(s.bars.status, want) {
		t.Errorf("no %q in %q", want, s.bars.status)
	}
	if got, want := s.bars.title, "(1) #general - chat.example"; got != want {
		t.Errorf("the title is %q, not %q", got, want)
	}
	if did := s.types("\x1ba"); len(did) != 1 || did[0].Room != other {
		t.Errorf("Alt+A does %v", did)
	}
	s.Full.Rooms([]Room{rooms[0], rooms[1], {Name: other}, rooms[3]})
	if did := s.types("\x1ba"); len(did) > 0 && !did[0].Room.IsZero() {
		t.Errorf("Alt+A does %v, with nothing that is news", did)
	}
	s = newStage(t, 21, 12, "vt100")
	s.Full.Enter(chat.General)
	s.Full.Rooms(rooms[:2])
	s.flush()
	if got := strings.TrimRight(s.bottom(), " "); got != "1:#general 2:#dev(5)" && got != "1:#general +1" {
		t.Errorf("the narrow bar is %q", got)
	}
}

// A message with a word of the person's is shown as one that names them, and rings; a hushed room does not.
func TestHighlightsAndHushedRooms(t *testing.T) {
	filter := &chat.Filter{Highlight: text.NewWords([]string{"deploy"}), Hushed: map[chat.RoomName]bool{other: true}}
	messages := []chat.Message{said(chat.General, bob, "Deploy!"), said(chat.General, bob, "deployed"), said(other, bob, "ann, deploy"), said(chat.General, bob, "ann, deploy")}
	m := newTerminal(t, 80)
	m.Plain.Enter(chat.General)
	m.Plain.filter = func() *chat.Filter { return filter }
	s := newStage(t, 80, 12, "xterm-256color")
	s.options.Filter = m.Plain.filter
	s.enter(Room{Name: chat.General}, Room{Name: other})
	s.flush()
	rung := ""
	for _, d := range messages {
		d.At = noon.Add(time.Minute)
		m.Deliver(spansOf(d))
		m.flush()
		s.says(d)
		s.flush()
		rung += fmt.Sprint(strings.Count(string(m.wrote), "\a"), strings.Count(s.wrote, "\a")-strings.Count(s.wrote, "\x1b]0;"), " ")
	}
	if rung != "1 1 0 0 0 0 1 1 " {
		t.Errorf("the bells ring %s", rung)
	}
	m.shows("12:35 (highlight) bob: Deploy!", "12:35 bob: deployed", "12:35 #other (to you) bob: ann, deploy", "12:35 (to you) bob: ann, deploy")
	s.checkRedraw()
	mention := s.renderer.styles.Of(theme.Mention)
	for _, m := range s.past[chat.General] {
		rows := strings.Join(s.options.Lines.rows(s.renderer, &m, 79, s.renderer.variant(&m, 79, turn{}), beside{}), "")
		if want := m.Text.String() != "deployed"; strings.Contains(rows, mention) != want {
			t.Errorf("%q is shown as a mention: %v", m.Text, !want)
		}
	}
}

// A terminal gets a notification as a sequence of its own, on a full screen and on a plain one; a pipe gets none.
func TestNotify(t *testing.T) {
	for _, kind := range []Kind{KindFull, KindPlain, KindPipe} {
		ui := New(kind, Options{Me: ann, Width: 80, Height: 24, Term: "xterm-kitty", Past: pastOf(func(chat.RoomName, uint64, int) []chat.Message { return nil })})
		ui.Enter(chat.General)
		ui.Flush()
		ui.Notify(output.OSC777, "chat", "bob in #general")
		if ui.Pending() != (kind != KindPipe) {
			t.Errorf("%s: pending is %v", kind, ui.Pending())
		}
		got, want := string(ui.Flush()), "\x1b]777;notify;chat;bob in #general\x1b\\"
		if kind == KindPipe {
			want = ""
		}
		if got != want {
			t.Errorf("%s writes %q, not %q", kind, got, want)
		}
	}
}

// A plain terminal rings and marks what names its person: not what is old, and not by what others write.
func TestPlainMentions(t *testing.T) {
	for bell, want := range map[string]string{"off": "000000", "": "010100", "mention": "010100", "all": "110110"} {
		m := newTerminal(t, 80)
		m.Plain.since = noon
		m.Set(Preferences{Bell: bell})
		m.Enter(chat.General)
		m.flush()
		rung := ""
		for _, d := range []chat.Message{
			said(chat.General, bob, "hello all"), said(chat.General, bob, "hello Ann"), said(chat.General, ann, "ann says ann"),
			said(text.Direct(ann, bob), bob, "psst"), happened(other, chat.Me, bob, "waves"), happened(chat.General, chat.PresenceChange, bob, "ann joined"),
		} {
			d.At = noon.Add(time.Minute)
			m.Deliver(spansOf(d))
			m.flush()
			rung += fmt.Sprint(strings.Count(string(m.wrote), "\a"))
		}
		if rung != want {
			t.Errorf("bell %q rings %s, not %s", bell, rung, want)
		}
		m.Deliver(spansOf(said(chat.General, bob, "ann, this is old"))) // from before the session
		m.flush()
		if strings.Contains(string(m.wrote), "\a") {
			t.Errorf("bell %q rings for what is old", bell)
		}
		m.shows("12:35 bob: hello all", "12:35 (to you) bob: hello Ann", "12:35 ann: ann says ann", "12:35 @bob bob: psst", "12:35 #other * bob waves")
	}
}
