package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/keys"
)

// However somebody scrolls, what is shown is a part of all the rows there are, and the part that was asked for.
func TestScrollingShowsAWindow(t *testing.T) {
	noRaces(t)
	rapid.Check(t, func(r *rapid.T) {
		draw := func(n int, label string) int { return rapid.IntRange(0, n-1).Draw(r, label) }
		s := newStage(t, 30+draw(30, "width"), 5+draw(20, "height"), "xterm")
		s.enter(Room{Name: chat.General, Sealed: draw(2, "sealed")})
		for range draw(9, "greeting") {
			s.Fail("told before anything was said")
		}
		for i := range draw(90, "messages") {
			s.says(at(said(chat.General, bob, fmt.Sprint(i, strings.Repeat(" word", draw(40, "words")))), noon.Add(time.Duration(i)*time.Hour)))
			if draw(5, "note") == 0 {
				s.Fail("told alone")
			}
		}
		s.flush()
		rows := s.everything()
		keys := []struct {
			typed string
			by    int // 0: a page
		}{{"\x1b[5~", 0}, {"\x1b[6~", 0}, {"\x1b[1;2A", 1}, {"\x1b[1;2B", -1}, {"\x1b[<64;1;1M", wheel}, {"\x1b[<65;1;1M", -wheel}}
		up := 0 // rows below what is shown
		for range 12 {
			n := draw(len(keys), "key")
			by := keys[n].by
			if by == 0 {
				by = s.messages.page() * []int{1, -1}[n]
			}
			up = max(0, min(up+by, len(rows)-s.messages.height))
			s.types(keys[n].typed)
			end := len(rows) - up
			want := slices.Clone(rows[max(0, end-s.messages.height):end])
			fr := s.compose()
			if got := fr.rows[fr.top : fr.top+len(want)]; !slices.Equal(got, want) {
				t.Fatalf("%d rows up of %d, the area of %d shows\n%s\nand not\n%s", up, len(rows), s.messages.height, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if s.Following() != (up == 0) {
				t.Fatalf("%d rows up, following is %v", up, s.Following())
			}
		}
	})
}

// everything is all rows that scrolling can reach.
func (s *stage) everything() []string {
	var rows []string
	s.messages.walk(0, 0, func(g group) bool {
		for _, row := range slices.Backward(g.rows) {
			rows = append(rows, row)
		}
		return true
	})
	rows = append(rows, s.messages.top(1000)...)
	slices.Reverse(rows)
	return rows
}

// Memory moves on while somebody reads what is oldest: there is still something to read, and a way back.
func TestWhatIsReadIsForgotten(t *testing.T) {
	s := newStage(t, 40, 12, "xterm")
	s.enter(Room{Name: chat.General})
	for i := range 100 {
		s.says(said(chat.General, bob, fmt.Sprintf("message %d.", i)))
	}
	s.flush()
	for range 30 {
		s.types("\x1b[5~")
	}
	s.shows("message 0.")
	s.past[chat.General] = s.past[chat.General][50:]
	s.says(said(chat.General, bob, "new"))
	s.flush()
	s.shows("message 50.", "more below")
	s.checkRedraw()
	for range 30 {
		s.types("\x1b[6~")
	}
	s.shows("new")
	s.hides("more below")
}

// Keys in numbers that no person types cost no more than what they show.
func TestKeysInNumbers(t *testing.T) {
	for name, key := range map[string]string{"a page up": "\x1b[5~", "up within a line": "\x1b[A", "up and down": "\x1b[A\x1b[B"} {
		c := newCrowd(chat.LogLines)
		f := c.full(MaxWidth, MaxHeight)
		f.Input([]byte(strings.Repeat("\U0001F1E9\U0001F1EA", editor.MaxLine/8-1)))
		f.Flush()
		start := processorTime(t)
		f.Input([]byte(strings.Repeat(key, 1000/len(key))))
		f.Flush()
		// A thousand bytes took 8 s when each key laid the line out again for each cluster; they take 30 ms, and 300 ms with
		// the race detector. A busy machine takes longer, and no more of the processor.
		if took := processorTime(t) - start; took > 4*time.Second {
			t.Errorf("%s: %v for a thousand bytes", name, took)
		}
	}
}

// A paste whose end is cut in two by a slow network ends all the same.
func TestPasteEndsLate(t *testing.T) {
	s := newStage(t, 40, 12, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("\x1b[200~pasted\nlines\x1b")
	if s.Waiting() == keys.EscapeTime {
		t.Error("an Esc within a paste is waited with")
	}
	s.Expire()
	s.types("[201~")
	if did := s.types("\r"); len(did) != 1 || did[0].Text != "pasted\nlines" {
		t.Errorf("Enter does %v", did)
	}
}

// A list that is open is laid out once, not for each message that comes meanwhile.
func TestOverlayIsLaidOutOnce(t *testing.T) {
	s := newStage(t, 40, 12, "xterm")
	s.enter(Room{Name: chat.General})
	s.Show("list", strings.Repeat("a line of a list that is long\n", 5000))
	s.flush()
	rows := &s.overlay.rows[0]
	s.says(said(chat.General, bob, "hello"))
	s.types("\x1b[6~x")
	if &s.overlay.rows[0] != rows {
		t.Error("it is laid out for a message")
	}
	s.Set(Preferences{Theme: "mono"})
	s.resize(30, 12)
	s.flush()
	s.checkRedraw()
	if s.overlay.width != s.width() || s.overlay.renderer != s.renderer {
		t.Error("it is not laid out for a new width and theme")
	}
	s.types("\x1b")
	s.Expire()
	if s.overlay != nil {
		t.Error("Esc does not close it")
	}
}

// On a screen with one row for it, a list can be read row by row, without its title.
func TestOverlayOfOneRow(t *testing.T) {
	s := newStage(t, 20, 5, "xterm")
	s.enter(Room{Name: chat.General})
	s.Show("list", "one\ntwo\nthree\n")
	for area, want := range map[int]string{1: "one", 2: " list  1-1 of 3, one", 4: " list  (Esc closes), one, two, three"} {
		var rows []string
		for _, row := range s.overlay.draw(s.renderer, 20, area) {
			visible, _, _ := strip(row)
			rows = append(rows, strings.TrimRight(visible, " "))
		}
		if got := strings.Join(rows, ", "); got != want {
			t.Errorf("in %d rows: %q, want %q", area, got, want)
		}
	}
}

// The cursor goes up and down in what is typed by columns of the terminal, and past its ends to what was sent.
func TestUpAndDownInTheBox(t *testing.T) {
	s := newStage(t, 21, 20, "xterm")
	s.enter(Room{Name: chat.General})
	s.types("sent before\r")
	s.types("\x1b[200~first line of two rows\nshort\n\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\u65e5\u672c\u8a9e\x1b[201~")
	for _, step := range []struct {
		key         string
		row, column int // from the box's top
	}{
		{"", 3, 18}, {"\x1b[A", 2, 5}, {"\x1b[A", 1, 4}, {"\x1b[A", 0, 4}, {"\x1b[B", 1, 4}, {"\x1b[B", 2, 4}, {"\x1b[B", 3, 4},
		{"\x1b[C\x1b[C", 3, 8}, {"\x1b[A", 2, 5}, {"\x1b[B", 3, 4}, {"\x1b[A\x1b[A\x1b[A", 0, 4},
	} {
		s.types(step.key)
		if at := s.screen.CursorPosition(); at.Y-16 != step.row || at.X != step.column {
			t.Fatalf("after %q the cursor is at %d, %d, not %d, %d\n%s", step.key, at.Y-16, at.X, step.row, step.column, s.text())
		}
	}
	s.types("\x1b[A")
	s.shows("> sent before")
	s.types("\x1b[B")
	s.shows("> first line of two")
}
