// Package theme is how the parts of a screen look: themes, and the styles that a theme has on a terminal of given colors.
package theme

import (
	"hash/fnv"
	"image/color"
	"sync"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// Style is the style of a part of the screen, which each theme defines.
type Style int

const (
	Text Style = iota
	Time
	Notice
	Error
	Mention
	Bold
	Italic
	Code
	Link
	Topic
	Bar
	BarActive
	BarUnread
	BarMention
	Unread
	Day
	Prompt
	Title
	styleCount // how many there are
)

// appearance is a color as 0xRRGGBB, or none, and emphasis.
type appearance struct {
	color                                   int // noColor for the terminal's own
	bold, faint, italic, underline, reverse bool
}

const noColor = -1

// theme is an appearance for each style, and the colors of names.
type theme struct {
	name        string
	appearances [styleCount]appearance
	names       []int
}

// themes are all themes. The colors of names have a contrast of at least 4.5 to 1 (WCAG 2, AA) against
// black for "dark" and white for "light"; a test computes it.
var themes = []theme{
	{
		name: "dark",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: 0x8a8f98}, Notice: {color: 0x8a8f98}, Error: {color: 0xff7a7a},
			Mention: {color: 0xffd75f, bold: true}, Bold: {color: noColor, bold: true}, Italic: {color: noColor, italic: true},
			Code: {color: 0xd7af87}, Link: {color: 0x87afff, underline: true},
			Topic: {color: noColor, reverse: true}, Bar: {color: 0x9da3ad}, BarActive: {color: noColor, bold: true, reverse: true},
			BarUnread: {color: 0xafd7ff, bold: true}, BarMention: {color: 0xffd75f, bold: true},
			Unread: {color: 0xff8787}, Day: {color: 0x8a8f98}, Prompt: {color: 0x87d787, bold: true}, Title: {color: noColor, bold: true, reverse: true},
		},
		names: []int{0xff8787, 0xffaf5f, 0xd7d75f, 0x87d75f, 0x5fd7af, 0x5fd7ff, 0x87afff, 0xaf87ff, 0xff87d7, 0xd7afaf, 0xafd7d7, 0xd7d7ff},
	},
	{
		name: "light",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: 0x6c6c6c}, Notice: {color: 0x6c6c6c}, Error: {color: 0xaf0000},
			Mention: {color: 0x875f00, bold: true}, Bold: {color: noColor, bold: true}, Italic: {color: noColor, italic: true},
			Code: {color: 0x875f00}, Link: {color: 0x005faf, underline: true},
			Topic: {color: noColor, reverse: true}, Bar: {color: 0x5f5f5f}, BarActive: {color: noColor, bold: true, reverse: true},
			BarUnread: {color: 0x005f87, bold: true}, BarMention: {color: 0xaf0000, bold: true},
			Unread: {color: 0xaf0000}, Day: {color: 0x6c6c6c}, Prompt: {color: 0x005f00, bold: true}, Title: {color: noColor, bold: true, reverse: true},
		},
		names: []int{0xaf0000, 0x875f00, 0x5f5f00, 0x005f00, 0x00665f, 0x005f87, 0x0000af, 0x5f00af, 0x87005f, 0x5f3f3f, 0x3f5f5f, 0x3f3f87},
	},
	{
		name: "mono",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: noColor, faint: true}, Notice: {color: noColor, faint: true},
			Error: {color: noColor, bold: true}, Mention: {color: noColor, bold: true}, Bold: {color: noColor, bold: true},
			Italic: {color: noColor, italic: true}, Code: {color: noColor}, Link: {color: noColor, underline: true},
			Topic: {color: noColor, reverse: true}, Bar: {color: noColor}, BarActive: {color: noColor, bold: true, reverse: true},
			BarUnread: {color: noColor, bold: true}, BarMention: {color: noColor, bold: true, underline: true},
			Unread: {color: noColor, bold: true}, Day: {color: noColor, faint: true}, Prompt: {color: noColor, bold: true},
			Title: {color: noColor, bold: true, reverse: true},
		},
		names: []int{noColor},
	},
}

// Names lists the names of themes; the first is the default.
func Names() []string {
	var names []string
	for _, t := range themes {
		names = append(names, t.name)
	}
	return names
}

// Styles is a theme converted to a terminal's colors: the sequence that begins each style, and each name.
// They are shared by all sessions, and never changed.
type Styles struct {
	begin [styleCount]string
	names []string
}

var fittedThemes struct {
	sync.Mutex
	styles map[fittingKey]*Styles // guarded by Mutex
}

type fittingKey struct {
	theme   int
	profile colorprofile.Profile
}

// For returns the styles of the named theme, or of the first, for a terminal.
func For(name string, profile colorprofile.Profile) *Styles {
	f := fittingKey{profile: profile}
	for i, t := range themes {
		if t.name == name {
			f.theme = i
		}
	}
	fittedThemes.Lock()
	defer fittedThemes.Unlock()
	s := fittedThemes.styles[f]
	if s != nil {
		return s
	}
	s = &Styles{}
	t := &themes[f.theme]
	for i, l := range t.appearances {
		s.begin[i] = l.begin(profile)
	}
	for _, c := range t.names {
		s.names = append(s.names, appearance{color: c, bold: true}.begin(profile))
	}
	if fittedThemes.styles == nil {
		fittedThemes.styles = make(map[fittingKey]*Styles)
	}
	fittedThemes.styles[f] = s
	return s
}

// begin is the sequence that begins the appearance on a terminal; empty if it is that of plain text.
func (l appearance) begin(profile colorprofile.Profile) string {
	var s ansi.Style
	if l.color != noColor && profile > colorprofile.Ascii {
		s = s.ForegroundColor(profile.Convert(color.RGBA{uint8(l.color >> 16), uint8(l.color >> 8), uint8(l.color), 0xff}))
	}
	for _, e := range []struct {
		on  bool
		add func(ansi.Style) ansi.Style
	}{
		{l.bold, ansi.Style.Bold}, {l.faint, ansi.Style.Faint}, {l.reverse, func(s ansi.Style) ansi.Style { return s.Reverse(true) }},
		{l.italic, func(s ansi.Style) ansi.Style { return s.Italic(true) }},
		{l.underline, func(s ansi.Style) ansi.Style { return s.Underline(true) }},
	} {
		if e.on {
			s = e.add(s)
		}
	}
	if len(s) == 0 {
		return ""
	}
	return s.String()
}

// Of is the sequence that begins a style.
func (s *Styles) Of(p Style) string { return s.begin[p] }

// Name is the sequence that begins a name: the same in every session of a theme.
func (s *Styles) Name(n string) string {
	h := fnv.New32a()
	h.Write([]byte(n))
	return s.names[h.Sum32()%uint32(len(s.names))]
}
