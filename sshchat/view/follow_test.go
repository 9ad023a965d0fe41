package view

import (
	"slices"
	"strings"
	"testing"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Keys that come in one packet do what they do in one each: what is typed after a room's key is typed for that room. A
// slow line, mosh and tmux send many at once.
func TestKeysInOnePacket(t *testing.T) {
	bobs := text.Direct(ann, bob)
	for _, c := range []struct {
		keys   []string
		drafts map[chat.RoomName]string
		said   []string
	}{
		{[]string{"\x1b3", "to bob"}, map[chat.RoomName]string{bobs: "to bob"}, nil},
		{[]string{"to all", "\x1b3", "to bob", "\x1b2", "to dev", "\x1b1", "!"}, map[chat.RoomName]string{chat.General: "to all!", dev: "to dev", bobs: "to bob"}, nil},
		{[]string{"\x0e", "\x0e", "x"}, map[chat.RoomName]string{bobs: "x"}, nil},
		{[]string{"\x10", "\x10", "x", "\x0e", "y"}, map[chat.RoomName]string{dev: "x", bobs: "y"}, nil},
		{[]string{"\x1b3", "to bob", "\r", "\x1b2", "to dev", "\r", "\x1b1", "x"}, map[chat.RoomName]string{chat.General: "x"}, []string{"to bob", "to dev"}},
	} {
		for _, packets := range [][]string{c.keys, {strings.Join(c.keys, "")}} {
			s := newStage(t, 60, 16, "xterm-256color")
			s.enter(Room{Name: chat.General}, Room{Name: dev}, Room{Name: bobs})
			var said []string
			for _, p := range packets {
				for _, a := range s.Input([]byte(p)) {
					switch a.Kind {
					case Go:
						s.Enter(a.Room)
					case Line:
						said = append(said, a.Text)
					}
				}
			}
			if !slices.Equal(said, c.said) {
				t.Errorf("%q says %q", packets, said)
			}
			drafts := make(map[chat.RoomName]string)
			for _, room := range []chat.RoomName{chat.General, dev, bobs} {
				s.Enter(room)
				drafts[room] = string(s.Full.input.edit.Text)
			}
			for room, got := range drafts {
				if got != c.drafts[room] {
					t.Errorf("%q leaves %q in %s", packets, got, room)
				}
			}
		}
	}
}
