package view

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// lunch is a conversation with a reply and reactions, in which originals can be found.
func lunch(t *testing.T, width, height int, term string) *stage {
	t.Helper()
	s := newStage(t, width, height, term)
	s.messages.find = func(room chat.RoomName, seq uint64) (chat.Message, bool) {
		i := slices.IndexFunc(s.past[room], func(m chat.Message) bool { return m.Seq == seq })
		if i < 0 {
			return chat.Message{}, false
		}
		return s.past[room][i], true
	}
	s.enter(Room{Name: chat.General, Topic: "what we build", Here: 2, Members: 5})
	s.says(said(chat.General, bob, "lunch at noon?"))
	s.says(said(chat.General, carol, "fine"))
	reply := said(chat.General, bob, "*one* is better, and this is a line that goes on for so long that it takes more than a row")
	reply.Of = 1
	s.says(reply)
	s.says(said(chat.General, ann, "see you there"))
	s.react(carol, 3, "👍")
	s.react(ann, 3, "👍")
	s.react(bob, 3, "🎉")
	s.flush()
	return s
}

// react has somebody react to a message, as the log does: in a copy of it.
func (s *stage) react(by chat.Name, of uint64, emoji string) {
	s.t.Helper()
	e, err := text.ParseEmoji(emoji)
	if err != nil {
		s.t.Fatal(err)
	}
	m := chat.Message{Room: chat.General, From: by, Kind: chat.React, Of: of, Text: e, At: noon}
	log := slices.Clone(s.past[chat.General])
	for i := range log {
		if log[i].Seq == of {
			log[i].Reactions = log[i].Reactions.After(&m)
		}
	}
	s.past[chat.General] = log
	s.says(m)
}

func TestSelectionScreens(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		term, types   string
	}{
		{"reply", 100, 16, "xterm-256color", ""},
		{"reply-compact", 50, 16, "xterm", ""},
		{"reply-mono", 80, 16, "vt100", "\x1b[1;3A\x1b[1;3A"},
		{"selected", 100, 16, "xterm-256color", "\x1b[1;3A\x1b[1;3A"},
		{"selected-compact", 50, 16, "xterm", "\x1b[1;3A\x1b[1;3A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lunch(t, c.width, c.height, c.term)
			s.types(c.types)
			if c.types == "" { // the mark is no part of what is drawn anew
				s.checkRedraw()
			}
			s.golden(c.name)
		})
	}
}

// What a key does with the selected message is a command, which is given, or stands in the line to be finished.
func TestSelectionKeys(t *testing.T) {
	const up, down = "\x1b[1;3A", "\x1b[1;3B"
	for _, c := range []struct{ name, types, gives, line string }{
		{"reply", up + "r", "", "/reply-to general/4 "},
		{"reply to another", up + up + "r", "", "/reply-to general/3 "},
		{"and down again", up + up + up + down + "r", "", "/reply-to general/3 "},
		{"with a draft", "a draft" + up + "r", "", "/reply-to general/4 a draft"},
		{"react", up + up + "+", "", "/react general/3 "},
		{"react at once", up + up + up + "1", "/react general/2 👍", ""},
		{"take it back", up + up + "1", "/unreact general/3 👍", ""},
		{"with what others did", up + up + "4", "/react general/3 🎉", ""},
		{"edit", up + "e", "", "/edit-id general/4 see you there"},
		{"edit another's", up + up + "e", "", "e"},
		{"delete", up + "d", "", "/delete general/4"},
		{"pin", up + "p", "/pin general/4", ""},
		{"the original", up + up + "gr", "", "/reply-to general/1 "},
		{"the original by Enter", up + up + "\rr", "", "/reply-to general/1 "},
		{"no original", up + "gr", "", "/reply-to general/4 "},
		{"Esc ends", up + "\x1b[27u" + "r", "", "r"},
		{"typing ends it", up + "xr", "", "xr"},
		{"down alone is no selection", down + "r", "", "r"},
		{"above the first there is none", strings.Repeat(up, 9) + "r", "", "/reply-to general/1 "},
		{"nor below the last", up + down + down + "r", "", "/reply-to general/4 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := lunch(t, 80, 16, "xterm")
			did := s.types(c.types)
			given := ""
			for _, a := range did {
				given += a.Text
			}
			if line := string(s.input.edit.Text); line != c.line || given != c.gives {
				t.Errorf("gives %q, with %q in the line; want %q, %q", given, line, c.gives, c.line)
			}
		})
	}
}

// The ID is copied where terminals do that, and shown everywhere.
func TestSelectionCopiesTheID(t *testing.T) {
	for term, want := range map[string]string{"xterm-256color": "\x1b]52;c;Z2VuZXJhbC80\a", "vt100": ""} {
		s := lunch(t, 80, 16, term)
		s.Input([]byte("\x1b[1;3Ac"))
		out := string(s.Flush())
		if strings.Contains(out, "\x1b]52") != (want != "") || !strings.Contains(out, want) || !strings.Contains(out, "general/4") {
			t.Errorf("%s: %q", term, out)
		}
	}
}

// A selected message stays in sight, whatever comes, and its room has none when one comes back.
func TestSelectionStaysInSight(t *testing.T) {
	s := newStage(t, 60, 10, "xterm")
	s.enter(Room{Name: chat.General})
	for range 30 {
		s.says(said(chat.General, bob, "a message"))
	}
	s.flush()
	for range 25 {
		s.types("\x1b[1;3A")
	}
	s.shows("general/6")
	if !strings.Contains(s.text(), ">") {
		t.Errorf("the selected message is out of sight:\n%s", s.text())
	}
	s.says(said(chat.General, bob, "another"))
	s.flush()
	s.shows("general/6")
	for range 30 {
		s.types("\x1b[1;3B")
	}
	s.shows("general/31", "another")
	m := &s.past[chat.General][30]
	m.Text, m.Deleted = chat.Text{}, true
	s.says(chat.Message{Room: chat.General, Kind: chat.Delete, From: bob, Of: 31})
	s.flush()
	s.shows("The message is gone")
	s.types("\x1b[27u")
	s.hides("The message is gone")
}
