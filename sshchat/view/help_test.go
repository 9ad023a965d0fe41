package view

import (
	"slices"
	"strings"
	"testing"
)

// TestHelpKeys presses F1, as terminals send it, and ? on an empty line, which open the help; a ? that begins or ends a
// message is sent with it.
func TestHelpKeys(t *testing.T) {
	f1 := map[string]string{"xterm": "\x1bOP", "vt220": "\x1b[11~", "linux": "\x1b[[A", "kitty": "\x1b[P"}
	for _, c := range []struct {
		name  string
		typed []string // packets
		want  []string
	}{
		{"?", []string{"?"}, []string{"/help"}},
		{"? Enter", []string{"?", "\r"}, []string{"/help"}},
		{"? Enter at once", []string{"?\r"}, []string{"/help"}},
		{"?!", []string{"?", "!", "\r"}, []string{"/help", "?!"}},
		{"??", []string{"?", "?", "\r"}, []string{"/help", "??"}},
		{"a question", []string{"why", "?", "\r"}, []string{"why?"}},
		{"in one packet", []string{"?!\r"}, []string{"?!"}},
		{"pasted", []string{"\x1b[200~?\x1b[201~", "x\r"}, []string{"?x"}},
		{"closed by q", []string{"?", "q", "hi\r"}, []string{"/help", "hi"}},
		{"closed by Esc", []string{"?", "\x1b", "", "hi\r"}, []string{"/help", "hi"}},
		{"scrolled", []string{"?", "\x1b[B", "\x1b[6~", "\x1b", "", "hi\r"}, []string{"/help", "hi"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, 40, 10, "xterm")
			if got := s.helped(c.typed); !slices.Equal(got, c.want) {
				t.Errorf("%q did %q, and %q is meant", c.typed, got, c.want)
			}
		})
	}
	for name, key := range f1 {
		for _, ui := range []UI{{Keyboard: NewFull(newStage(t, 40, 10, "xterm").o)}, {Keyboard: NewPlain(Options{Me: ann, Width: 40, Term: "dumb"})}} {
			if got := lines(ui.Input([]byte("hi" + key + "!\r"))); !slices.Equal(got, []string{"/help", "hi!"}) {
				t.Errorf("F1 of %s: %q", name, got)
			}
		}
	}
}

// helped types packets, shows the help that is asked for, and returns the lines that were submitted.
func (s *stage) helped(packets []string) (did []string) {
	for _, p := range packets {
		now := s.Input([]byte(p))
		if p == "" {
			now = s.Expire()
		}
		did = append(did, lines(now)...)
		if slices.Contains(lines(now), "/help") {
			s.Show("/help", strings.Repeat("a command\n", 30))
		}
	}
	return did
}

// TestHelpMarkInLines is the same where lines scroll by: the help would scroll what is read away, so that ? needs Enter.
func TestHelpMarkInLines(t *testing.T) {
	p := NewPlain(Options{Me: ann, Width: 40, Term: "dumb"})
	if got := lines(p.Input([]byte("?\r??\rwhy?\r"))); !slices.Equal(got, []string{"/help", "??", "why?"}) {
		t.Errorf("%q", got)
	}
	p.Ask("Sure? ", true)
	if got := lines(p.Input([]byte("?\r"))); !slices.Equal(got, []string{"?"}) {
		t.Errorf("an answer: %q", got)
	}
}

// TestAnswersKeepTheirColumns prints tables and indented lines, as answers have them: the first line stands as the others do,
// and what has no room goes on below its own first word.
func TestAnswersKeepTheirColumns(t *testing.T) {
	s := newStage(t, 34, 12, "xterm")
	s.Print("* #general\n  #dev\n* #secret")
	s.flush()
	s.shows("\n* #general\n  #dev\n* #secret\n")
	s.Fail("dev needs a topic\nusage: /dev")
	s.flush()
	s.shows("\n! dev needs a topic\n  usage: /dev\n")
	s.Show("/help delete", "/delete\n    delete your last message of those in the room")
	s.flush()
	s.shows("\n/delete\n    delete your last message of\n    those in the room\n")
}

// TestHeaderOfAList reads the first row of a long list at its beginning and its end, on screens wide and narrow.
func TestHeaderOfAList(t *testing.T) {
	for _, c := range []struct {
		width       int
		begins, end string
	}{
		{60, " /help  1-6 of 30, PgDn for more  (Esc closes)", " /help  25-30 of 30  (Esc closes)"},
		{40, " /help  1-6 of 30  (Esc closes)", " /help  25-30 of 30  (Esc closes)"},
		{20, " /help  1-6 of 30", " /help  25-30 of 30"},
		{16, " /hel  1-6 of 30", " /h  25-30 of 30"},
	} {
		s := newStage(t, c.width+1, 10, "xterm")
		s.Show("/help", strings.TrimSuffix(strings.Repeat("a command\n", 30), "\n"))
		s.flush()
		s.shows(c.begins + "\n")
		s.types("\x1b[F")
		s.flush()
		s.shows(c.end + "\n")
	}
}
