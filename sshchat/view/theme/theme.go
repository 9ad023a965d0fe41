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
	Rule // beside the names, and in the header
	Notice
	Presence // who joins and leaves
	Error
	Mention
	Bold
	Italic
	Struck
	Code
	CodeBlock
	CodeComment
	CodeString
	CodeNumber
	CodeKeyword
	CodeAdded // in a patch
	CodeRemoved
	Quote
	Link
	Room  // in the header
	Topic // a header without lines
	Bar
	BarActive
	BarUnread
	BarMention
	UnreadBadge
	MentionBadge
	Unread
	Day
	Prompt
	Secret // the prompt for something that is not shown
	Title
	styleCount // how many there are
)

// appearance is colors as 0xRRGGBB, or none, and emphasis.
type appearance struct {
	color                                           int // noColor for the terminal's own
	background                                      int // 0 for the terminal's own
	bold, faint, italic, underline, struck, reverse bool
}

const noColor = -1

// theme is an appearance for each style, and the colors of names.
type theme struct {
	name        string
	appearances [styleCount]appearance
	names       []int
}

// themes are all themes. Each color has a contrast of at least 4.5 to 1 (WCAG 2, AA) against its own background, or against
// the backgrounds of common terminals that the theme is made for; a test computes it. The colors of names have the same
// lightness, so that no name is louder than another: 80 % in "dark" and 46 % in "light" (OKLCH). Terminals of 16 colors
// show what has a background reversed, or without it.
var themes = []theme{
	{
		name: "dark",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: 0x989898}, Rule: {color: 0x989898}, Notice: {color: 0x8fbcd9}, Presence: {color: 0x989898, italic: true},
			Error: {color: 0xff8a80, bold: true}, Mention: {color: 0xe8d06a, bold: true}, Bold: {color: noColor, bold: true},
			Italic: {color: noColor, italic: true}, Struck: {color: noColor, struck: true}, Code: {color: 0xa5d6a7},
			CodeBlock: {color: 0xa5d6a7, background: 0x23272e}, CodeComment: {color: 0xa0a8b4, background: 0x23272e, italic: true},
			CodeString: {color: 0xf0c674, background: 0x23272e}, CodeNumber: {color: 0xf5a97f, background: 0x23272e},
			CodeKeyword: {color: 0x8ab4f8, background: 0x23272e}, CodeAdded: {color: 0xa5d6a7, background: 0x23272e},
			CodeRemoved: {color: 0xf0a0a8, background: 0x23272e}, Quote: {color: 0xb0b6c0, italic: true}, Link: {color: 0x8ab4f8, underline: true},
			Room: {color: noColor, bold: true}, Topic: {color: noColor, reverse: true},
			Bar: {color: 0xb8bec9, background: 0x23272e}, BarActive: {color: 0x101216, background: 0x8ab4f8, bold: true, reverse: true},
			BarUnread: {color: 0xe6e9ef, background: 0x23272e, bold: true}, BarMention: {color: 0xe8d06a, background: 0x23272e, bold: true},
			UnreadBadge: {color: 0xe6e9ef, background: 0x434c5e, bold: true, reverse: true}, MentionBadge: {color: 0x101216, background: 0xe8d06a, bold: true, reverse: true},
			Unread: {color: 0xff8a80}, Day: {color: 0x989898}, Prompt: {color: 0x93d695, bold: true},
			Secret: {color: 0x101216, background: 0xe8d06a, bold: true, reverse: true}, Title: {color: 0x101216, background: 0x8ab4f8, bold: true, reverse: true},
		},
		names: []int{0xff9f9f, 0xfca67f, 0xedb067, 0xd5bd62, 0xadcb77, 0x86d396, 0x5ad6c0, 0x54d0ec, 0x7bc5ff, 0xa8b8ff, 0xd4a9f5, 0xf39fcf},
	},
	{
		name: "light",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: 0x62666d}, Rule: {color: 0x62666d}, Notice: {color: 0x1f6390}, Presence: {color: 0x62666d, italic: true},
			Error: {color: 0xb00020, bold: true}, Mention: {color: 0x6b5b00, bold: true}, Bold: {color: noColor, bold: true},
			Italic: {color: noColor, italic: true}, Struck: {color: noColor, struck: true}, Code: {color: 0x24612a},
			CodeBlock: {color: 0x24512a, background: 0xeaecef}, CodeComment: {color: 0x555b63, background: 0xeaecef, italic: true},
			CodeString: {color: 0x6b4e00, background: 0xeaecef}, CodeNumber: {color: 0x8a3b00, background: 0xeaecef},
			CodeKeyword: {color: 0x1d4f9c, background: 0xeaecef}, CodeAdded: {color: 0x24512a, background: 0xeaecef},
			CodeRemoved: {color: 0x9b1c2e, background: 0xeaecef}, Quote: {color: 0x50545b, italic: true}, Link: {color: 0x2456a6, underline: true},
			Room: {color: noColor, bold: true}, Topic: {color: noColor, reverse: true},
			Bar: {color: 0x3a3f47, background: 0xe4e7eb}, BarActive: {color: 0xffffff, background: 0x2f5fb3, bold: true, reverse: true},
			BarUnread: {color: 0x1f2937, background: 0xe4e7eb, bold: true}, BarMention: {color: 0x6f4700, background: 0xe4e7eb, bold: true},
			UnreadBadge: {color: 0x1f2937, background: 0xc3cede, bold: true, reverse: true}, MentionBadge: {color: 0xffffff, background: 0x875800, bold: true, reverse: true},
			Unread: {color: 0xb00020}, Day: {color: 0x62666d}, Prompt: {color: 0x1e6b2e, bold: true},
			Secret: {color: 0xffffff, background: 0x875800, bold: true, reverse: true}, Title: {color: 0xffffff, background: 0x2f5fb3, bold: true, reverse: true},
		},
		names: []int{0x91343a, 0x8e3c0b, 0x834800, 0x6e5500, 0x486300, 0x046a2f, 0x006d5b, 0x006783, 0x005c98, 0x454f9c, 0x6d408b, 0x863668},
	},
	{
		name: "mono",
		appearances: [styleCount]appearance{
			Text: {color: noColor}, Time: {color: noColor, faint: true}, Rule: {color: noColor, faint: true}, Notice: {color: noColor},
			Presence: {color: noColor, faint: true}, Error: {color: noColor, bold: true}, Mention: {color: noColor, bold: true},
			Bold: {color: noColor, bold: true}, Italic: {color: noColor, italic: true}, Struck: {color: noColor, struck: true},
			Code: {color: noColor}, CodeBlock: {color: noColor}, CodeComment: {color: noColor}, CodeString: {color: noColor},
			CodeNumber: {color: noColor}, CodeKeyword: {color: noColor}, CodeAdded: {color: noColor}, CodeRemoved: {color: noColor},
			Quote: {color: noColor, italic: true}, Link: {color: noColor, underline: true},
			Room: {color: noColor, bold: true}, Topic: {color: noColor, reverse: true},
			Bar: {color: noColor}, BarActive: {color: noColor, bold: true, reverse: true},
			BarUnread: {color: noColor, bold: true}, BarMention: {color: noColor, bold: true, underline: true},
			UnreadBadge: {color: noColor, bold: true}, MentionBadge: {color: noColor, bold: true, underline: true},
			Unread: {color: noColor, bold: true}, Day: {color: noColor, faint: true}, Prompt: {color: noColor, bold: true},
			Secret: {color: noColor, bold: true, reverse: true}, Title: {color: noColor, bold: true, reverse: true},
		},
		names: []int{noColor},
	},
}

// mono is used on terminals without colors, whatever their users chose.
const mono = "mono"

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
	begin   [styleCount]string
	names   []string
	colored bool
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
	if profile <= colorprofile.Ascii {
		name = mono
	}
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
	t := &themes[f.theme]
	s = &Styles{colored: t.name != mono}
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
	colored, filled := l.color != noColor && profile > colorprofile.Ascii, l.background != 0 && profile > colorprofile.ANSI
	if filled {
		l.reverse = false
	} else if l.background != 0 && l.reverse {
		colored = false
	}
	if colored {
		s = s.ForegroundColor(profile.Convert(rgb(l.color)))
	}
	if filled {
		s = s.BackgroundColor(profile.Convert(rgb(l.background)))
	}
	for _, e := range []struct {
		on  bool
		add func(ansi.Style) ansi.Style
	}{
		{l.bold, ansi.Style.Bold}, {l.faint, ansi.Style.Faint}, {l.reverse, func(s ansi.Style) ansi.Style { return s.Reverse(true) }},
		{l.italic, func(s ansi.Style) ansi.Style { return s.Italic(true) }},
		{l.underline, func(s ansi.Style) ansi.Style { return s.Underline(true) }},
		{l.struck, func(s ansi.Style) ansi.Style { return s.Strikethrough(true) }},
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

func rgb(c int) color.RGBA { return color.RGBA{uint8(c >> 16), uint8(c >> 8), uint8(c), 0xff} }

// Colored reports whether the styles have colors.
func (s *Styles) Colored() bool { return s.colored }

// Of is the sequence that begins a style.
func (s *Styles) Of(p Style) string { return s.begin[p] }

// NameColors is how many colors a name can have.
const NameColors = 12

// Name is the sequence that begins a name: in the color of that number, from 1, or for 0 in one that follows from the name
// and is the same in every session of a theme.
func (s *Styles) Name(n string, color int) string {
	if color > 0 {
		return s.names[(color-1)%len(s.names)]
	}
	h := fnv.New32a()
	h.Write([]byte(n))
	return s.names[h.Sum32()%uint32(len(s.names))]
}
