package view

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
)

func TestPlainMessages(t *testing.T) {
	m := newTerminal(t, 60)
	m.Enter(chat.General)
	m.typed("dra")
	m.Deliver(slices.Concat(spansOf(
		said(chat.General, bob, "hello"),
		said(other, bob, "hi"),
		said(text.Direct(ann, bob), bob, "psst"),
		happened(chat.General, chat.Me, bob, "waves"),
		happened(chat.General, chat.Notice, chat.Name{}, "bob joined"),
		happened(other, chat.Notice, chat.Name{}, "bob left"),
		happened(chat.RoomName{}, chat.Notice, chat.Name{}, "stopping"),
	), []chat.Span{{Room: chat.General, Gap: chat.Gap{From: 3, To: 39}}}, spansOf(
		chat.Message{Room: other, Kind: chat.Joined},
		chat.Message{Room: other, Kind: chat.Parted},
		chat.Message{Room: other, Kind: chat.DirectNotice},
	)))
	m.typed("ft")
	m.shows(
		"12:34 bob: hello",
		"12:34 #other bob: hi",
		"12:34 @bob bob: psst",
		"12:34 * bob waves",
		"-- bob joined",
		"-- #other: bob left",
		"-- stopping",
		"-- 37 messages in #general not shown: they came faster than",
		"  this terminal could show them",
		"-- you are now in #other",
		"-- you are no longer in #other",
		"#general> draft",
	)
}

// A reply and a reaction name what they are about, as it is now.
func TestPlainQuotes(t *testing.T) {
	m := newTerminal(t, 100)
	originals := map[uint64]chat.Message{
		1: said(chat.General, bob, "shall we?"), 2: said(chat.General, ann, strings.Repeat("long ", 20)+"\nand more"), 3: {From: bob, Deleted: true},
		4: said(chat.General, carol, "tomorrow\x1b[2J"),
	}
	edited := originals[4]
	edited.Edited = true
	originals[4] = edited
	m.find = func(_ chat.RoomName, seq uint64) (chat.Message, bool) { o, ok := originals[seq]; return o, ok }
	m.Enter(chat.General)
	about := func(kind chat.Kind, room chat.RoomName, of uint64, words string) chat.Message {
		reply := said(room, bob, words)
		reply.Kind, reply.Of = kind, of
		return reply
	}
	gone := about(chat.React, chat.General, 1, "👍")
	gone.Text, gone.Deleted = chat.Text{}, true
	m.Deliver(spansOf(
		about(chat.Say, chat.General, 1, "yes"), about(chat.Say, chat.General, 2, "no"), about(chat.Say, other, 3, "why?"), about(chat.Say, chat.General, 9, "hm"),
		about(chat.React, chat.General, 4, "👍"), about(chat.React, other, 2, "🎉"), about(chat.Unreact, chat.General, 4, "👍"), gone,
	))
	m.shows(
		`12:34 bob replies to bob "shall we?": yes`,
		`12:34 bob replies to you "long long long long long long long long long long long long…": no`,
		`12:34 #other bob replies to bob (deleted): why?`,
		`12:34 bob replies to an earlier message: hm`,
		`-- bob reacted with 👍 to carol "tomorrow[2J" (edited)`,
		`-- #other: bob reacted with 🎉 to you "long long long long long long long long long long long`,
		`  long…"`,
		`#general>`,
	)
}

func TestForgedLines(t *testing.T) {
	m := newTerminal(t, 40)
	m.Enter(chat.General)
	forged := "x\n-- the server is stopping\n12:34 ann: I quit\r\b\x1b[2J\n" + strings.Repeat("y", 50) + " 12:34 ann: no"
	m.Deliver(spansOf(said(chat.General, bob, forged)))
	m.Print("one\ntwo\x1b]0;title\x07")
	m.Fail("no\x9b31m")
	m.flush()
	for y := range rowsOfScreen {
		switch got := m.line(y); {
		case y == 0 && got == "12:34 (to you) bob: x", got == "one", got == "two]0;title", got == "! no31m", got == "#general>", got == "":
		case !strings.HasPrefix(got, "  "):
			t.Errorf("row %d can be taken for a line: %q", y, got)
		}
	}
}

func TestLeastOutput(t *testing.T) {
	m := newTerminal(t, 60)
	m.Enter(chat.General)
	m.flush()
	for _, c := range []struct{ typed, want string }{
		{"a", "a"},
		{"b", "b"},
		{"\x7f", "\b \b"},
		{"日", "日"},
		{"\x7f", "\b\b  \b\b"},
		{"c\x1b[D", "c\b"},
		{"b", "bc\b"},
		{"\x1b[C", "c"},
		{"\x1b[99;99Z\x1a\x1b", ""},
		{"[H", "\b\b\b"},
		{"\x05", "abc"},
	} {
		if m.typed(c.typed); string(m.wrote) != c.want {
			t.Errorf("%q wrote %q, want %q", c.typed, m.wrote, c.want)
		}
	}
}

func TestTypedScripts(t *testing.T) {
	for _, width := range []int{2, 3, 4, 5, 7, 12, 20, 33, 80} {
		for _, s := range texttest.Scripts {
			m := newTerminal(t, width)
			m.Enter(chat.General)
			for i := range len(s) {
				m.typed(s[i : i+1])
			}
			if got := string(m.input.edit.Text); got != s {
				t.Errorf("typed %q, has %q", s, got)
			}
			for _, key := range []string{"\x1b[D", "\x1b[D", "x", "\x1b[C", "日", "\x7f", "\x01", "\x1b[3~", "\x05", "\x7f", "\x7f", "\x19"} {
				m.typed(key)
				m.Deliver(spansOf(said(chat.General, bob, s+" "+s)))
				m.flush()
			}
			m.release()
		}
	}
}
