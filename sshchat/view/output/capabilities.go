package output

import (
	"strings"

	"github.com/charmbracelet/colorprofile"
)

// Profile is what colors a terminal shows, by what its client says of it: TERM, COLORTERM and NO_COLOR. The terminal itself
// is not queried: an answer that comes late would be typed into whatever comes next.
func Profile(term, colorTerm string, noColor bool) colorprofile.Profile {
	term = strings.ToLower(term)
	switch {
	case noColor:
		return colorprofile.Ascii
	case colorTerm == "truecolor" || colorTerm == "24bit":
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

// KnowsLinks reports whether a terminal is known to understand links (OSC 8), or at least to ignore them.
func KnowsLinks(term string) bool {
	return hasAny(strings.ToLower(term), "xterm-", "kitty", "alacritty", "foot", "wezterm", "ghostty", "tmux", "contour", "rio", "konsole", "vte", "iterm")
}

// HasTitle reports whether a terminal has a window with a title, and does not show the sequence instead.
func HasTitle(term string) bool {
	return hasAny(strings.ToLower(term), "xterm", "rxvt", "tmux", "kitty", "alacritty", "foot", "wezterm", "ghostty", "konsole", "vte", "putty", "st-")
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
