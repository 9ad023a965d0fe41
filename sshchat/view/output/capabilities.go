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
	case term == "" || term == "dumb" || isVT(term) || term == "ansi-mono":
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

// HasLines reports whether a terminal can be expected to draw lines: it is not one of those whose font or character set may
// have none.
func HasLines(term string) bool {
	term = strings.ToLower(term)
	return term != "" && term != "dumb" && term != "linux" && !strings.HasPrefix(term, "ansi") && !isVT(term)
}

// isVT reports whether a terminal is one of DEC's, like vt100 and vt220.
func isVT(term string) bool {
	return len(term) > 2 && strings.HasPrefix(term, "vt") && term[2] >= '0' && term[2] <= '9'
}

// HasTitle reports whether a terminal has a window with a title, and does not show the sequence instead.
func HasTitle(term string) bool {
	return hasAny(strings.ToLower(term), "xterm", "rxvt", "tmux", "kitty", "alacritty", "foot", "wezterm", "ghostty", "konsole", "vte", "putty", "st-")
}

// Notification is the escape sequence by which a terminal shows notifications on the desktop.
type Notification int

const (
	NoNotification Notification = iota // it does not, or is not known to
	OSC9                               // iTerm2's
	OSC99                              // kitty's
	OSC777                             // rxvt-unicode's, which other terminals know, too
)

var notificationNames = [...]string{OSC9: "OSC 9", OSC99: "OSC 99", OSC777: "OSC 777"}

func (n Notification) String() string { return notificationNames[n] }

// NotificationFor is how a terminal shows notifications, by its TERM, and by the name of its program, which the variables
// TERM_PROGRAM or LC_TERMINAL have. A terminal that is not known gets none: some print what they do not know. chosen, of
// the variable SSHCHAT_NOTIFY, decides instead. In tmux and screen there are none: they keep such sequences to themselves.
func NotificationFor(term, program, chosen string) Notification {
	term = strings.ToLower(term)
	terminal := term + " " + strings.ToLower(program)
	if term == "" || term == "dumb" || term == "linux" || isVT(term) || hasAny(terminal, "tmux", "screen") {
		return NoNotification
	}
	switch strings.ToLower(chosen) {
	case "osc9":
		return OSC9
	case "osc99":
		return OSC99
	case "osc777":
		return OSC777
	case "off":
		return NoNotification
	}
	switch {
	case strings.Contains(terminal, "kitty"):
		return OSC99
	case hasAny(terminal, "ghostty", "wezterm", "foot", "rxvt-unicode", "contour"):
		return OSC777
	case hasAny(terminal, "iterm", "warpterminal"):
		return OSC9
	}
	return NoNotification
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
