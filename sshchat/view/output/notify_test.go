package output

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sshchat/sshchat/text"
)

func TestWhichTerminalsAreNotified(t *testing.T) {
	for _, c := range []struct {
		term, program, chosen string
		want                  Notification
	}{
		{"xterm-kitty", "", "", OSC99}, {"foot", "", "", OSC777}, {"foot-extra", "", "", OSC777}, {"xterm-ghostty", "", "", OSC777},
		{"wezterm", "", "", OSC777}, {"rxvt-unicode-256color", "", "", OSC777}, {"contour", "", "", OSC777},
		{"xterm-256color", "iTerm.app", "", OSC9}, {"xterm-256color", " iTerm2", "", OSC9}, {"xterm-256color", "WezTerm", "", OSC777},
		{"xterm-256color", "ghostty", "", OSC777}, {"xterm-256color", "WarpTerminal", "", OSC9},
		{"xterm-256color", "", "", NoNotification}, {"xterm", "", "", NoNotification}, {"xterm-256color", "Apple_Terminal", "", NoNotification},
		{"xterm-256color", "vscode", "", NoNotification}, {"alacritty", "", "", NoNotification}, {"rxvt", "", "", NoNotification},
		{"xterm-256color", "", "osc777", OSC777}, {"xterm-256color", "", "OSC9", OSC9}, {"alacritty", "", "osc99", OSC99},
		{"xterm-kitty", "", "off", NoNotification}, {"xterm-kitty", "", "osc4", OSC99}, {"xterm-kitty", "", "osc9", OSC9},
		// Never there, whatever is asked for.
		{"linux", "", "osc9", NoNotification}, {"linux", "iTerm.app", "", NoNotification}, {"dumb", "", "osc9", NoNotification},
		{"", "", "osc9", NoNotification}, {"vt100", "", "osc9", NoNotification}, {"vt220", "kitty", "", NoNotification},
		{"tmux-256color", "", "osc777", NoNotification}, {"screen-256color", " iTerm2", "", NoNotification}, {"screen.xterm-256color", "", "osc9", NoNotification},
		{"xterm-kitty", "tmux", "", NoNotification},
	} {
		if got := NotificationFor(c.term, c.program, c.chosen); got != c.want {
			t.Errorf("TERM %q of %q, asked for %q: %q, not %q", c.term, c.program, c.chosen, got, c.want)
		}
	}
}

func TestNotifications(t *testing.T) {
	for _, c := range []struct {
		kind        Notification
		title, said string
		want        string
	}{
		{NoNotification, "chat", "bob in #dev", ""},
		{OSC9, "chat", "bob in #dev", "\x1b]9;chat: bob in #dev\x1b\\"},
		{OSC9, "4;3;50", "bob in #dev", "\x1b]9; 4,3,50: bob in #dev\x1b\\"}, // else it would be a progress bar
		{OSC9, "", "3 messages in #dev", "\x1b]9;: 3 messages in #dev\x1b\\"},
		{OSC99, "chat", "bob in #dev", "\x1b]99;i=sshchat:d=0:o=unfocused;chat\x1b\\\x1b]99;i=sshchat:o=unfocused:p=body;bob in #dev\x1b\\"},
		{OSC777, "chat; of ours", "bob in #dev", "\x1b]777;notify;chat, of ours;bob in #dev\x1b\\"},
		{OSC777, "\x1b]0;x\a", "\x1b\\\x9c\u009c\r\n", "\x1b]777;notify;]0,x;\\\ufffd\x1b\\"},
	} {
		var w Buffer
		w.Notify(c.kind, c.title, c.said)
		if got := string(w.Take()); got != c.want {
			t.Errorf("%q, %q by %q: %q, not %q", c.title, c.said, c.kind, got, c.want)
		}
	}
}

// Whatever a notification says, it is one, and its text is printable.
func FuzzNotify(f *testing.F) {
	f.Add("chat", "bob in #dev")
	f.Add("4;1", "\x1b\\\x1b[2J")
	f.Add("9", ";\a\u009c\xff")
	f.Fuzz(func(t *testing.T, title, said string) {
		for kind, n := range map[Notification]int{OSC9: 1, OSC99: 2, OSC777: 1} {
			var w Buffer
			w.Notify(kind, title, said)
			out := string(w.Take())
			if !utf8.ValidString(out) || strings.Count(out, "\x1b]") != n || strings.Count(out, "\x1b") != 2*n || !strings.HasSuffix(out, StringEnd) {
				t.Fatalf("%s: %q", kind, out)
			}
			for part := range strings.SplitSeq(out, "\x1b") {
				for _, r := range part {
					if !text.Printable(r) {
						t.Fatalf("%s lets %q through: %q", kind, r, out)
					}
				}
			}
			if rest, ok := strings.CutPrefix(out, "\x1b]9;"); ok && rest[0] >= '0' && rest[0] <= '9' {
				t.Fatalf("a command of ConEmu: %q", out)
			}
		}
	})
}
