package view

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/text/texttest"
	"sshchat/sshchat/view/theme"
)

// FuzzFull does whatever the bytes say, as FuzzPlain does. After every flush the emulated terminal shows what drawing
// it again would show, nothing stands in the last column, and after Close the terminal is as it was found.
func FuzzFull(f *testing.F) {
	f.Add(uint16(80), uint16(24), []byte("\x00\x05hello\x01\x03abc\x00\x01\r\x0a\x00\x0b\x02"))
	f.Add(uint16(1), uint16(1), []byte("\x00\x05hello\x02\x02\x00\x00\x03\x03abc\x01\x09some text"))
	f.Add(uint16(20), uint16(5), []byte("\x03\x06who? \n\x00\x07secret\r\x08\x04a\nb\n"))
	f.Add(uint16(500), uint16(200), []byte("\x08\x02\n\n\x00\x04\x1b[5~\x00\x04\x1b[6~\x09\x01x\x0c\x01x"))
	f.Add(uint16(9), uint16(9), []byte("\x00\x20\x1b[200~pasted\nlines\x1b[201~\x1b[A\x1b[B\x02\x02\xff\x05\x05\x00\x06\x00"))
	f.Add(uint16(30), uint16(12), []byte("\x0d\x0fabcdefghijklmno\x00\x04\x1b[5~\x01\x03one\x01\x03two\x00\x04\x1b[5~\x02\x02\x05\x05\x00\x06\x1b[1;2B"))
	for i, s := range texttest.Scripts {
		f.Add(uint16(i*3), uint16(i*2), append([]byte{0, byte(len(s))}, s...))
		f.Add(uint16(i*7), uint16(40-i), slices.Concat([]byte{0, byte(len(s))}, []byte(s), []byte{0, 5}, []byte("\x1b[D\x7f\x09"), []byte{1, byte(len(s))}, []byte(s)))
	}
	f.Fuzz(func(t *testing.T, width, height uint16, script []byte) {
		w, h := size(int(width), int(height))
		s := newStage(t, w, h, []string{"xterm-256color", "linux", "vt100"}[height%3])
		s.enter(Room{Name: chat.General, Topic: "what we build", Here: 2, Members: 5, Sealed: int(width % 3)}, Room{Name: dev})
		for len(script) > 2 {
			op, n := script[0], min(int(script[1]), len(script)-2)
			s.step(op, script[2:2+n])
			script = script[2+n:]
		}
		s.flush()
		s.checkRedraw()
		s.gone()
	})
}

// step is one thing that happens.
func (s *stage) step(op byte, b []byte) {
	spoken := string(b)
	rooms := []chat.RoomName{chat.General, dev, text.Direct(ann, bob)}
	switch op % 16 {
	case 0:
		for _, a := range s.Input(b) {
			if a.Kind == Go {
				s.Full.Enter(a.Room)
			}
		}
	case 1:
		s.says(said(chat.General, bob, spoken))
		s.says(said(dev, bob, spoken))
	case 2:
		s.flush()
		if len(b) > 1 {
			s.resize(size(int(b[0])*2, int(b[1])))
		}
	case 3:
		s.Ask(spoken, len(b)%2 == 0)
	case 4:
		s.Print(spoken)
	case 5:
		s.Full.Enter(rooms[len(b)%3])
	case 6:
		s.flush()
		s.checkRedraw()
	case 7:
		s.Fail(spoken)
		s.Deliver([]chat.Span{{Room: dev, Gap: chat.Gap{From: 1, To: uint64(len(b))}}})
	case 8:
		s.Show(spoken, strings.Repeat(spoken+"\n", len(b)))
	case 9:
		s.Full.Rooms([]Room{{Name: chat.General, Topic: spoken, Unread: len(b), Mark: uint64(len(b) / 2)}, {Name: dev, Unread: len(b) % 3, Mentions: int32(len(b) % 2)}, {Name: rooms[2]}})
	case 10:
		s.Expire()
	case 11:
		s.Set(Preferences{Mouse: len(b)%2 == 0, Theme: theme.Names()[len(b)%len(theme.Names())], Away: len(b)%3 == 0, Compact: len(b)%5 == 0, Clock: []string{"", "off", "15:04:05"}[len(b)%3]})
	case 12:
		s.amends(chat.General, len(b)%2 == 0, spoken)
	case 13:
		for i := range b {
			s.says(at(said(chat.General, []chat.Name{ann, bob}[i%2], spoken[:i+1]), noon.Add(time.Duration(i)*time.Hour)))
		}
	case 14:
		s.forgets(chat.General, len(b))
	case 15:
		s.Clear()
	}
	if len(b)%3 == 0 {
		s.flush()
		s.checkRedraw()
		s.narrow()
	}
}

// narrow checks that the last column is left alone: what terminals do there differs.
func (s *stage) narrow() {
	s.t.Helper()
	for y := range s.rows {
		if c := s.screen.CellAt(s.cols-1, y); c != nil && strings.TrimSpace(c.Content) != "" {
			s.t.Errorf("row %d has %q in its last column\n%s", y, c.Content, s.text())
		}
	}
}

// amends has bob edit or delete what he said last.
func (s *stage) amends(room chat.RoomName, deletes bool, text string) {
	ms := slices.Clone(s.past[room])
	i := len(ms) - 1
	for i >= 0 && (ms[i].Kind != chat.Say || ms[i].Deleted) {
		i--
	}
	if i < 0 {
		return
	}
	d := happened(room, chat.Edit, bob, text)
	if deletes {
		d = happened(room, chat.Delete, bob, "")
	}
	d.Of = ms[i].Seq
	ms[i].Text, ms[i].Edited, ms[i].Deleted = d.Text, true, deletes
	s.past[room] = ms
	s.says(d)
}

// forgets has memory lose the first n messages of a room, as it does when more come.
func (s *stage) forgets(room chat.RoomName, n int) {
	ms := s.past[room]
	s.past[room] = ms[min(n, max(0, len(ms)-1)):]
	s.Input([]byte("\f")) // a UI is not notified: what it shows stays until it redraws
	s.Set(s.preferences)
}

// gone leaves, and checks that the terminal is as it was found.
func (s *stage) gone() {
	s.t.Helper()
	s.Close()
	s.flush()
	for mode, on := range s.modes {
		if on != (mode == "25" || mode == "7") {
			s.t.Errorf("left with mode %s %v", mode, on)
		}
	}
	if s.titles != 0 {
		s.t.Errorf("left with %d titles put aside", s.titles)
	}
	if p := s.Flush(); len(p) > 0 {
		s.t.Error("something was written after the last words")
	}
}
