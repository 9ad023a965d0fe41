package view

import (
	"hash/fnv"
	"image/color"
	"strings"
	"sync"

	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"

	"sshchat/sshchat/chat"
)

// part is a thing on the screen that a theme has a style for.
type part int

const (
	partText part = iota
	partTime
	partNotice
	partError
	partMention
	partBold
	partItalic
	partCode
	partLink
	partTopic
	partBar
	partBarActive
	partBarUnread
	partBarMention
	partUnread
	partDay
	partPrompt
	partTitle
	parts // how many there are
)

// look is how a part appears: a colour as 0xRRGGBB, or none, and emphasis.
type look struct {
	color                                   int // noColor for the terminal's own
	bold, faint, italic, underline, reverse bool
}

const noColor = -1

// theme is a look for each part, and the colours of names.
type theme struct {
	name  string
	looks [parts]look
	names []int
}

// themes are what Look.Theme can name. The colours of names have a contrast of at least 4.5 to 1 (WCAG 2, AA) against
// black for "dark" and white for "light"; a test computes it.
var themes = []theme{
	{
		name: "dark",
		looks: [parts]look{
			partText: {color: noColor}, partTime: {color: 0x8a8f98}, partNotice: {color: 0x8a8f98}, partError: {color: 0xff7a7a},
			partMention: {color: 0xffd75f, bold: true}, partBold: {color: noColor, bold: true}, partItalic: {color: noColor, italic: true},
			partCode: {color: 0xd7af87}, partLink: {color: 0x87afff, underline: true},
			partTopic: {color: noColor, reverse: true}, partBar: {color: 0x9da3ad}, partBarActive: {color: noColor, bold: true, reverse: true},
			partBarUnread: {color: 0xafd7ff, bold: true}, partBarMention: {color: 0xffd75f, bold: true},
			partUnread: {color: 0xff8787}, partDay: {color: 0x8a8f98}, partPrompt: {color: 0x87d787, bold: true}, partTitle: {color: noColor, bold: true, reverse: true},
		},
		names: []int{0xff8787, 0xffaf5f, 0xd7d75f, 0x87d75f, 0x5fd7af, 0x5fd7ff, 0x87afff, 0xaf87ff, 0xff87d7, 0xd7afaf, 0xafd7d7, 0xd7d7ff},
	},
	{
		name: "light",
		looks: [parts]look{
			partText: {color: noColor}, partTime: {color: 0x6c6c6c}, partNotice: {color: 0x6c6c6c}, partError: {color: 0xaf0000},
			partMention: {color: 0x875f00, bold: true}, partBold: {color: noColor, bold: true}, partItalic: {color: noColor, italic: true},
			partCode: {color: 0x875f00}, partLink: {color: 0x005faf, underline: true},
			partTopic: {color: noColor, reverse: true}, partBar: {color: 0x5f5f5f}, partBarActive: {color: noColor, bold: true, reverse: true},
			partBarUnread: {color: 0x005f87, bold: true}, partBarMention: {color: 0xaf0000, bold: true},
			partUnread: {color: 0xaf0000}, partDay: {color: 0x6c6c6c}, partPrompt: {color: 0x005f00, bold: true}, partTitle: {color: noColor, bold: true, reverse: true},
		},
		names: []int{0xaf0000, 0x875f00, 0x5f5f00, 0x005f00, 0x00665f, 0x005f87, 0x0000af, 0x5f00af, 0x87005f, 0x5f3f3f, 0x3f5f5f, 0x3f3f87},
	},
	{
		name: "mono",
		looks: [parts]look{
			partText: {color: noColor}, partTime: {color: noColor, faint: true}, partNotice: {color: noColor, faint: true},
			partError: {color: noColor, bold: true}, partMention: {color: noColor, bold: true}, partBold: {color: noColor, bold: true},
			partItalic: {color: noColor, italic: true}, partCode: {color: noColor}, partLink: {color: noColor, underline: true},
			partTopic: {color: noColor, reverse: true}, partBar: {color: noColor}, partBarActive: {color: noColor, bold: true, reverse: true},
			partBarUnread: {color: noColor, bold: true}, partBarMention: {color: noColor, bold: true, underline: true},
			partUnread: {color: noColor, bold: true}, partDay: {color: noColor, faint: true}, partPrompt: {color: noColor, bold: true},
			partTitle: {color: noColor, bold: true, reverse: true},
		},
		names: []int{noColor},
	},
}

// Themes lists the names of themes; the first is what somebody gets who chose none.
func Themes() []string {
	var names []string
	for _, t := range themes {
		names = append(names, t.name)
	}
	return names
}

// styles is a theme fitted to what a client's terminal can show: the sequence that begins each part, and each name.
// They are shared by all sessions, and never changed.
type styles struct {
	parts [parts]string
	names []string
}

var fitted struct {
	sync.Mutex
	styles map[fitting]*styles // guarded by the mutex
}

type fitting struct {
	theme   int
	profile colorprofile.Profile
}

// fit returns the styles of the named theme, or of the first, for a terminal.
func fit(name string, profile colorprofile.Profile) *styles {
	f := fitting{profile: profile}
	for i, t := range themes {
		if t.name == name {
			f.theme = i
		}
	}
	fitted.Lock()
	defer fitted.Unlock()
	s := fitted.styles[f]
	if s != nil {
		return s
	}
	s = &styles{}
	t := &themes[f.theme]
	for i, l := range t.looks {
		s.parts[i] = l.begin(profile)
	}
	for _, c := range t.names {
		s.names = append(s.names, look{color: c, bold: true}.begin(profile))
	}
	if fitted.styles == nil {
		fitted.styles = make(map[fitting]*styles)
	}
	fitted.styles[f] = s
	return s
}

// begin is the sequence that begins the look on a terminal, empty for one that looks like plain text there.
func (l look) begin(profile colorprofile.Profile) string {
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

// name is the sequence that begins a name: the same in every session of a theme.
func (s *styles) name(n chat.Name) string {
	h := fnv.New32a()
	h.Write([]byte(n.String()))
	return s.names[h.Sum32()%uint32(len(s.names))]
}

// profile is what colours a terminal shows, by what the client says of it. Nothing is asked of the terminal itself:
// an answer that comes late would be typed into whatever comes next.
func profile(o *Options) colorprofile.Profile {
	term := strings.ToLower(o.Term)
	switch {
	case o.NoColor:
		return colorprofile.Ascii
	case o.ColorTerm == "truecolor" || o.ColorTerm == "24bit":
		return colorprofile.TrueColor
	case term == "" || term == "dumb" || strings.HasPrefix(term, "vt") || term == "ansi-mono":
		return colorprofile.Ascii
	case hasAny(term, "-direct", "kitty", "alacritty", "foot", "wezterm", "ghostty", "contour", "rio", "konsole"):
		return colorprofile.TrueColor
	case strings.Contains(term, "256color"):
		return colorprofile.ANSI256
	}
	return colorprofile.ANSI
}

// hasAny reports whether one of the words is in s.
func hasAny(s string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}
