package view

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/editor"
)

const (
	keyUp     = "\x1b[A"
	keyUndo   = "\x1f" // Ctrl+_
	keySearch = "\x12" // Ctrl+R
)

// A first Ctrl+C puts what is typed aside, and says how to leave; a second one right after it leaves.
func TestInterruptKeepsTheDraft(t *testing.T) {
	quit := []Action{{Kind: Quit}}
	for _, c := range []struct {
		name  string
		steps []any
		did   []Action
		shown string // at the end; empty: nothing is left
	}{
		{"once", []any{"a thought\x03"}, nil, "Ctrl+C again leaves. Up brings back what you typed."},
		{"and Up", []any{"a thought\x03", keyUp}, nil, "> a thought"},
		{"and undo", []any{"a thought\x03", keyUndo}, nil, "> a thought"},
		{"many lines", []any{"a thought\x1b\rand more\x03", keyUp}, nil, "and more"},
		{"twice", []any{"a thought\x03", "\x03"}, quit, ""},
		{"twice at once", []any{"a thought\x03\x03"}, quit, ""},
		{"with nothing typed", []any{"\x03"}, nil, "Ctrl+C again leaves"},
		{"twice with nothing typed", []any{"\x03\x03"}, quit, ""},
		{"with something between", []any{"a thought\x03", keyUp, "\x03"}, nil, "Ctrl+C again leaves"},
		{"with a line between", []any{"\x03", "hello\r", "\x03"}, []Action{{Kind: Line, Text: "hello"}}, "Ctrl+C again leaves"},
		{"too long for Up", []any{strings.Repeat("x", 5000), "\x03", keyUndo}, nil, "xxx"},
		{"too long says what brings it back", []any{strings.Repeat("x", 5000), "\x03"}, nil, "Ctrl+_ brings back what you typed."},
		{"what Alt+G began is not kept", []any{"a thought", "\x1bg", "dev\x03"}, nil, "> a thought"},
	} {
		for kind, y := range typists(t) {
			if did := y.plays(c.steps...); !slices.Equal(did, c.did) {
				t.Errorf("%s, %s: %v, want %v", kind, c.name, did, c.did)
			}
			if seen := y.shown(); c.shown != "" && !strings.Contains(seen, c.shown) {
				t.Errorf("%s, %s: %q is not in\n%s", kind, c.name, c.shown, seen)
			}
		}
	}
	for kind, y := range typists(t) { // a question is cancelled, and nobody leaves by that
		y.Input([]byte("draft"))
		y.Ask("Password:", false)
		if did := y.plays("x\x03"); !slices.Equal(did, []Action{{Kind: Interrupt}}) {
			t.Errorf("%s: Ctrl+C instead of an answer does %v", kind, did)
		}
		if did := y.plays("\x03"); len(did) > 0 || !strings.Contains(y.shown(), "Ctrl+C again leaves. Up") {
			t.Errorf("%s: a second one does %v", kind, did)
		}
	}
}

func TestUndo(t *testing.T) {
	for _, c := range []struct{ name, typed, want string }{
		{"a word", "one two" + keyUndo, "one two"[:0]},
		{"Ctrl+W", "one two\x17" + keyUndo, "one two"},
		{"Ctrl+U", "one two\x15" + keyUndo, "one two"},
		{"readline's other keys", "one two\x15\x18\x15", "one two"},
		{"Ctrl+X alone", "one two\x18x\x15y", "y"},
		{"Ctrl+K, then more", "one two\x01\x0bx" + keyUndo + keyUndo, "one two"},
		{"keys that delete are one change", "one\x7f\x7f" + keyUndo, "one"},
		{"delete forwards", "one\x01\x04" + keyUndo, "one"},
		{"the cursor goes back, too", "one two\x1bb\x0b" + keyUndo + "x", "one xtwo"},
		{"yank", "one\x15\x19\x19" + keyUndo, "one"},
		{"transpose", "ab\x14" + keyUndo, "ab"},
		{"a family", "👩‍👩‍👧‍👦\x7f" + keyUndo, "👩‍👩‍👧‍👦"},
		{"a mark that joined", "e" + "\x1b[C\u0301" + keyUndo + "e", "e"},
		{"nothing to undo", "a" + keyUndo + keyUndo + keyUndo + "b", "b"},
		{"a line that was sent does not come back", "sent\r" + keyUndo + "x", "x"},
		{"a line that came back by Up", "sent\rdraft" + keyUp + keyUndo, "draft"},
		{"its change", "sent\r" + keyUp + "!" + keyUndo, "sent"},
	} {
		m := newTerminal(t, 40)
		m.Enter(chat.General)
		m.typed(c.typed)
		if got := string(m.input.edit.Text); got != c.want {
			t.Errorf("%s: %q made %q, want %q", c.name, c.typed, got, c.want)
		}
	}
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	for _, key := range []string{"o", "n", "e", " ", "t", "w", "o"} {
		m.typed(key)
	}
	for _, want := range []string{"one ", "", ""} { // a word at a time
		if m.typed(keyUndo); string(m.input.edit.Text) != want {
			t.Errorf("undo leaves %q, want %q", m.input.edit.Text, want)
		}
	}
}

// What undo keeps is bounded, and nothing of a secret.
func TestUndoIsBounded(t *testing.T) {
	for kind, y := range typists(t) {
		edit := y.edit()
		for i := range 500 {
			y.Input([]byte(fmt.Sprintf("%d %s\x01\x0b\x19", i, strings.Repeat("x", i))))
		}
		if changes, bytes := edit.Undone.Size(); changes > editor.MaxUndo || bytes > editor.MaxUndoBytes || changes == 0 {
			t.Errorf("%s: %d changes and %d bytes are kept", kind, changes, bytes)
		}
		y.Ask("Password:", false)
		y.Input([]byte("hunter2\x15hunter3\x17"))
		if changes, _ := edit.Undone.Size(); changes != 0 {
			t.Errorf("%s: %d changes of a password are kept", kind, changes)
		}
		if y.Input([]byte(keyUndo)); len(edit.Text) != 0 {
			t.Errorf("%s: undo brings back %q", kind, edit.Text)
		}
	}
}

func (y typist) edit() *editor.Editor {
	switch f := y.anyUI.(type) {
	case *terminal:
		return &f.Plain.input.edit
	case *stage:
		return &f.Full.input.edit
	}
	return nil
}

func TestSearchOfSentLines(t *testing.T) {
	sent := "the first line\rwords of Bob\rthe second line\rthe second line\r/topic words\r"
	for _, c := range []struct {
		name, typed string
		line        string // at the end
		shown       string
	}{
		{"begins", keySearch, "", "(search) '':"},
		{"finds the newest", keySearch + "words", "/topic words", "(search) 'words': /topic words"},
		{"as it is typed", keySearch + "w" + "o", "/topic words", "(search) 'wo': /topic words"},
		{"further back", keySearch + "words" + keySearch, "words of Bob", "(search) 'words': words of Bob"},
		{"no further", keySearch + "words" + keySearch + keySearch, "words of Bob", "(not found) 'words': words of Bob"},
		{"forward again", keySearch + "words" + keySearch + "\x13", "/topic words", "(search) 'words': /topic words"},
		{"what is not there", keySearch + "words" + keySearch + "!", "words of Bob", "(not found) 'words!': words of Bob"},
		{"in any case", keySearch + "bOB", "words of Bob", "(search) 'bOB': words of Bob"},
		{"equal lines are one", keySearch + "line" + keySearch, "the first line", "'line': the first line"},
		{"backspace", keySearch + "secoz\x7f", "the second line", "(search) 'seco': the second line"},
		{"backspace, to nothing", "draft" + keySearch + "x\x7f", "draft", "(search) '': draft"},
		{"Enter takes it", "draft" + keySearch + "bob\r", "words of Bob", "> words of Bob"},
		{"and undo brings back the draft", "draft" + keySearch + "bob\r" + keyUndo, "draft", "> draft"},
		{"Esc cancels", "draft" + keySearch + "bob\x1b", "draft", "> draft"},
		{"Ctrl+G cancels", "draft" + keySearch + "bob\x07", "draft", "> draft"},
		{"Ctrl+C cancels, and no more", "draft" + keySearch + "bob\x03", "draft", "> draft"},
		{"an editing key takes it", keySearch + "bob\x05!", "words of Bob!", "> words of Bob!"},
		{"the cursor is where the words are", keySearch + "bob\x1b[Cx", "words of Bxob", "> words of Bxob"},
		{"a question mark is looked for", keySearch + "?", "", "(not found) '?':"},
		{"a paste is one line", keySearch + "\x1b[200~of\nBob\x1b[201~", "words of Bob", "(search) 'of Bob': words of Bob"},
	} {
		for kind, y := range typists(t) {
			y.Input([]byte(sent))
			if did := y.plays(c.typed, cutTime); len(did) > 0 {
				t.Errorf("%s, %s: %v", kind, c.name, did)
			}
			if got := string(y.edit().Text); got != c.line {
				t.Errorf("%s, %s: the line is %q, want %q", kind, c.name, got, c.line)
			}
			if seen := y.shown(); !strings.Contains(seen, c.shown) {
				t.Errorf("%s, %s: %q is not in\n%s", kind, c.name, c.shown, seen)
			}
		}
	}
	for kind, y := range typists(t) {
		y.Input([]byte(sent + keySearch + "bob\r"))
		if got := lines(y.Input([]byte("\r"))); !slices.Equal(got, []string{"words of Bob"}) {
			t.Errorf("%s: a second Enter sends %q", kind, got)
		}
		y.Input([]byte("draft" + keySearch + "first"))
		y.Enter(dev) // as Ctrl+N does
		if y.Enter(chat.General); string(y.edit().Text) != "draft" {
			t.Errorf("%s: after another room the draft is %q", kind, y.edit().Text)
		}
		y.Ask("Password:", false)
		y.Input([]byte(keySearch + "first"))
		if _, _, ok := y.edit().Searching(); ok {
			t.Errorf("%s: the answer to a question is searched for", kind)
		}
		if got := lines(y.Input([]byte("\r"))); !slices.Equal(got, []string{"first"}) {
			t.Errorf("%s: the answer is %q", kind, got)
		}
		y.Input([]byte(keySearch + "draft"))
		y.Forget("words of Bob")
		if y.Input([]byte(keySearch + "bob")); strings.Contains(string(y.edit().Text), "Bob") {
			t.Errorf("%s: a line that was forgotten is found", kind)
		}
	}
}

// offering has Tab offer words for the word before the cursor.
func (y typist) offering(words ...string) {
	complete := func(line string, cursor int) (int, []string) {
		start := strings.LastIndexAny(line[:cursor], " \n") + 1
		return start, slices.DeleteFunc(slices.Clone(words), func(c string) bool { return !strings.HasPrefix(c, line[start:cursor]) })
	}
	switch f := y.anyUI.(type) {
	case *terminal:
		f.Plain.complete = complete
	case *stage:
		f.options.Complete = complete
	}
}

const keyTabBack = "\x1b[Z"

// Tab completes what is common, lists what the word could be, and then puts one after the other in its place.
func TestCompletionCycles(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []any
		line  string
	}{
		{"one candidate", []any{"hi c", "\t"}, "hi carol "},
		{"what is common", []any{"hi b", "\t"}, "hi be"},
		{"a list", []any{"hi be", "\t"}, "hi be"},
		{"the first", []any{"hi be", "\t", "\t"}, "hi bernd"},
		{"the second", []any{"hi be", "\t", "\t", "\t"}, "hi bert"},
		{"the third", []any{"hi be", "\t", "\t", "\t", "\t"}, "hi beß"},
		{"round", []any{"hi be", "\t", "\t", "\t", "\t", "\t"}, "hi be"},
		{"and again", []any{"hi be", "\t", "\t", "\t", "\t", "\t", "\t"}, "hi bernd"},
		{"backwards", []any{"hi be", "\t", keyTabBack}, "hi beß"},
		{"forth and back", []any{"hi be", "\t", "\t", "\t", keyTabBack}, "hi bernd"},
		{"Shift+Tab lists, too", []any{"hi be", keyTabBack, keyTabBack}, "hi beß"},
		{"going on", []any{"hi be", "\t", "\t", " !"}, "hi bernd !"},
		{"Esc brings back the word", []any{"hi be", "\t", "\t", "\x1b", cutTime}, "hi be"},
		{"in the middle", []any{"be you", "\x01\x06\x06", "\t", "\t"}, "bernd you"},
		{"undo", []any{"hi be", "\t", "\t", keyUndo}, "hi be"},
		{"another word is completed anew", []any{"hi be", "\t", "\t", " c", "\t"}, "hi bernd carol "},
		{"nothing", []any{"hi zzz", "\t", "\t"}, "hi zzz"},
	} {
		for kind, y := range typists(t) {
			y.offering("bernd", "bert", "beß", "carol")
			y.plays(c.steps...)
			if got := string(y.edit().Text); got != c.line {
				t.Errorf("%s, %s: the line is %q, want %q", kind, c.name, got, c.line)
			}
		}
	}
	for kind, y := range typists(t) {
		y.offering("bernd", "bert")
		y.plays("be", "\t", "\t") // what is common, and a list
		if seen := y.shown(); !strings.Contains(seen, "bernd  bert") {
			t.Errorf("%s: the candidates are not in\n%s", kind, seen)
		}
		y.plays("n", "\t", "\r")
		if seen := y.shown(); kind == "full" && strings.Contains(seen, "bert") {
			t.Errorf("the candidates are still in\n%s", seen)
		}
		y.Ask("Password:", false)
		if y.plays("be", "\t", "\t"); string(y.edit().Text) != "be" {
			t.Errorf("%s: an answer is completed", kind)
		}
	}
}

// The candidates stand over the bar, and not among the messages, which go on.
func TestCompletionScreens(t *testing.T) {
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("name%02d", i+1))
	}
	for _, c := range []struct {
		name          string
		width, height int
		tabs          int
	}{
		{"choices", 80, 16, 1},
		{"choices-chosen", 80, 16, 32},
		{"choices-last", 40, 10, 61},
		{"choices-tiny", 20, 5, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.width, c.height, "vt100")
			s.evening()
			typist{anyUI: s}.offering(names...)
			s.types("hi name")
			for range c.tabs {
				s.types("\t")
			}
			s.checkRedraw()
			s.says(said(chat.General, bob, "a message meanwhile"))
			s.flush()
			s.shows("meanwhile")
			s.golden(c.name)
			s.checkRedraw()
			s.Full.Rooms([]Room{{Name: chat.General}, {Name: dev, Unread: 7}})
			s.flush()
			s.checkRedraw()
			s.types("\x1b")
			s.Expire()
			s.flush()
			s.hides("name02")
			s.checkRedraw()
		})
	}
}

func TestWritingScreens(t *testing.T) {
	sent := "see https://example.org/a/long/link for the plan\rgood evening\r"
	for _, c := range []struct {
		name          string
		width, height int
		term, typed   string
	}{
		{"interrupt", 60, 12, "xterm", "half a thought\x03"},
		{"interrupt-tiny", 20, 5, "linux", "half a thought\x03"},
		{"search", 80, 14, "xterm-256color", sent + "half a thought" + keySearch + "plan"},
		{"search-narrow", 40, 10, "xterm", sent + keySearch + "nobody said"},
		{"search-tiny", 20, 5, "linux", sent + keySearch + "plan"},
		{"box-tall", 60, 40, "xterm", "\x1b[200~" + strings.Repeat("one row\n", 30) + "\x1b[201~"},
		{"box-cursor", 60, 40, "xterm", "\x1b[200~" + strings.Repeat("one row\n", 30) + "\x1b[201~" + strings.Repeat(keyUp, 20) + "HERE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.width, c.height, c.term)
			s.evening()
			s.types(c.typed)
			s.checkRedraw()
			s.golden(c.name)
		})
	}
}

// The box never takes more than a third of the rows, nor more than ten.
func TestBoxGrows(t *testing.T) {
	for height, want := range map[int]int{5: 1, 10: 3, 24: 8, 30: 10, 100: 10} {
		s := newStage(t, 60, height, "xterm")
		s.enter(Room{Name: chat.General})
		s.Input([]byte("\x1b[200~" + strings.Repeat("x\n", 40) + "\x1b[201~"))
		if box, row, _ := s.input.box(s.renderer, s.width(), height); len(box) != want || row >= want {
			t.Errorf("of %d rows the box has %d, want %d; the cursor is in row %d", height, len(box), want, row)
		}
	}
}

// FuzzWriting edits, undoes and searches in any order: what is kept is bounded, the line stays whole, and a cancelled search
// changes nothing.
func FuzzWriting(f *testing.F) {
	for i, s := range texttest.Scripts {
		f.Add(s+"\r"+keySearch+s, uint8(i))
		f.Add("\x15"+s+"\x17"+keyUndo+s+keyUp+keyUndo+"\x03"+keyUp, uint8(i))
	}
	f.Fuzz(func(t *testing.T, typed string, width uint8) {
		m := newTerminal(t, 10+int(width))
		m.Enter(chat.General)
		m.Input([]byte("one\rtwo words\r/topic İstanbul\r"))
		for part := range slices.Chunk([]byte(typed), 3) {
			m.Input(part)
			m.flush()
		}
		m.Enter(other)
		m.Enter(chat.General)
		edit := &m.input.edit
		if m.Input([]byte(keySearch)); m.input.searching() {
			before := string(edit.Text)
			m.Input([]byte(text.AppendPrintable(nil, typed, false)))
			if words, _, _ := edit.Searching(); len(words) > editor.MaxWords {
				t.Errorf("%d bytes are searched for", len(words))
			}
			m.Enter(other)
			if m.Enter(chat.General); string(edit.Text) != before {
				t.Errorf("a cancelled search left %q of %q", edit.Text, before)
			}
		}
		for range editor.MaxUndo {
			changes, bytes := edit.Undone.Size()
			if changes > editor.MaxUndo || bytes > editor.MaxUndoBytes || len(edit.Text) > editor.MaxLine {
				t.Fatalf("%d changes and %d bytes are kept of %d", changes, bytes, len(edit.Text))
			}
			m.Input([]byte(keyUndo))
		}
		if _, bytes := edit.Undone.Size(); bytes != 0 && len(edit.Text) == 0 {
			t.Errorf("%d bytes are counted when all is undone", bytes)
		}
	})
}
