package view

import (
	"strings"
	"testing"

	"github.com/charmbracelet/colorprofile"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/theme"
)

// Each theme is shown in its own colors, and the one in use is marked.
func TestThemePreviews(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		term          string
		noColor       bool
		theme         string
	}{
		{"themes", 80, 24, "xterm-256color", false, "light"}, {"themes-no-color", 80, 24, "xterm-256color", true, "dark"},
		{"themes-console", 80, 24, "vt100", false, ""}, {"themes-tiny", 20, 5, "linux", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.width, c.height, c.term)
			s.o.NoColor, s.o.Preferences.Theme = c.noColor, c.theme
			s.Full = NewFull(s.o)
			s.enter(Room{Name: chat.General})
			s.PreviewThemes("/theme")
			s.flush()
			s.checkRedraw()
			s.narrow()
			s.golden(c.name)
			for _, name := range []string{"dark", "light"} {
				colored := c.width > 20 && c.term == "xterm-256color" && !c.noColor
				if begin := theme.For(name, colorprofile.ANSI256).Of(theme.Code); strings.Contains(s.wrote, begin) != colored {
					t.Errorf("%s is shown in its own colors: %v, want %v", name, !colored, colored)
				}
			}
			s.types("\x1b")
			s.Expire()
			s.flush()
			s.hides("/theme NAME")
		})
	}
}

// A name has the color that its person chose, in messages of both layouts and in the pane; what was said before keeps its own.
func TestNameColor(t *testing.T) {
	if len(chat.NameColors) != theme.NameColors {
		t.Fatalf("%d colors can be chosen, and %d are there", len(chat.NameColors), theme.NameColors)
	}
	for _, compact := range []bool{false, true} {
		s := newStage(t, 120, 16, "xterm-256color")
		s.Set(Preferences{Compact: compact})
		styles := theme.For("dark", colorprofile.ANSI256)
		named := func(color int) string { return styles.Name("bob", color) + "bob" }
		who := chat.Presence{Name: bob, Online: true, Color: 7}
		s.enter(Room{Name: chat.General, People: &chat.Roster{Online: 1, People: []chat.Presence{who}}})
		if !strings.Contains(s.wrote, named(7)) {
			t.Errorf("the pane is %q", s.wrote)
		}
		m := said(chat.General, bob, "hello")
		m.Color = 9
		s.says(m)
		s.flush()
		if !strings.Contains(s.wrote, named(9)) {
			t.Errorf("a message is %q", s.wrote)
		}
		who.Color = 10
		s.Full.Rooms([]Room{{Name: chat.General, People: &chat.Roster{Online: 1, People: []chat.Presence{who}}}})
		s.flush()
		if !strings.Contains(s.wrote, named(10)) {
			t.Errorf("the pane after a change is %q", s.wrote)
		}
		m.Color, m.Kind, m.Seq = 0, chat.Me, 0
		s.says(m)
		s.flush()
		if !strings.Contains(s.wrote, named(0)) {
			t.Errorf("a message in no color of its own is %q", s.wrote)
		}
		s.checkRedraw()
	}
}
