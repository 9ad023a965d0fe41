package theme

import (
	"image/color"
	"math"
	"testing"

	"github.com/charmbracelet/colorprofile"

	"sshchat/sshchat/attack"
)

// terminals are backgrounds that terminals have, by the theme for them: black and white, and those of well-known palettes.
var terminals = map[string][]int{
	"dark":  {0x000000, 0x16181d, 0x1e1e1e, 0x282c34, 0x002b36},
	"light": {0xffffff, 0xfafafa, 0xfdf6e3},
}

// Every color can be read on its own background, or on those of the terminals that its theme is for: as it is, and as it
// becomes on a terminal of 256 colors.
func TestContrast(t *testing.T) {
	checked := 0
	for _, th := range themes {
		var looks []appearance
		for _, a := range th.appearances {
			looks = append(looks, a)
		}
		for _, c := range th.names {
			looks = append(looks, appearance{color: c})
		}
		for i, a := range looks {
			if a.color == noColor {
				if a.background != 0 {
					t.Errorf("%s: style %d has the terminal's color on a background of its own", th.name, i)
				}
				continue
			}
			backgrounds := terminals[th.name]
			if a.background != 0 {
				backgrounds = []int{a.background}
			}
			if len(backgrounds) == 0 {
				t.Errorf("%s: style %d has a color", th.name, i)
			}
			for _, profile := range []colorprofile.Profile{colorprofile.TrueColor, colorprofile.ANSI256} {
				for _, b := range backgrounds {
					checked++
					on := rgb(b)
					if a.background != 0 {
						on = shown(profile, b)
					}
					if r := contrast(shown(profile, a.color), on); r < 4.5 {
						t.Errorf("%s, %s: style %d, %06x, has a contrast of %.2f on %06x", th.name, profile, i, a.color, r, b)
					}
				}
			}
		}
	}
	if checked < 200 {
		t.Errorf("%d colors were checked", checked)
	}
	if r := contrast(rgb(0x6c6c6c), rgb(0x282c34)); r > 4.5 {
		t.Errorf("control: gray on gray has a contrast of %.2f", r)
	}
}

// I choose a color in which my name looks like what the server says: there is none. The control is a terminal of 16 colors,
// where red names have the color of errors, and only the sign before an error, which no name can begin with, differs.
func TestAttackNamesLookLikeTheServer(t *testing.T) {
	row := attack.On(t, attack.Room, "choose a color in which my name looks like what the server says")
	alike := func(p colorprofile.Profile) (n int) {
		for _, th := range themes {
			s := For(th.name, p)
			for color := 1; color <= NameColors && th.name != mono; color++ {
				for _, style := range []Style{Notice, Presence, Error, Secret, Title, Unread} {
					if s.Name("mallory", color) == s.Of(style) {
						n++
						t.Logf("%s, %s: a name of color %d looks like style %d", th.name, p, color, style)
					}
				}
			}
		}
		return n
	}
	if n := alike(colorprofile.TrueColor) + alike(colorprofile.ANSI256); n > 0 {
		t.Errorf("%d names look like what the server says", n)
	}
	row.Tried("%d colors in each theme, on terminals of 256 and of all colors", NameColors)
	row.Held("none is that of notices, errors, joins or prompts, and these begin with a sign that no name can have")
	if alike(colorprofile.ANSI) == 0 {
		t.Error("control: with 16 colors no name has the color of an error")
	}
	row.Control("on terminals of 16 colors red names have the color of errors: the signs differ")
}

// A color that was chosen is that color in each theme, and all of them differ where there are enough colors.
func TestNameColors(t *testing.T) {
	for _, th := range themes {
		s, seen := For(th.name, colorprofile.TrueColor), map[string]bool{}
		for color := 1; color <= NameColors; color++ {
			seen[s.Name("bob", color)] = true
			if s.Name("bob", color) != s.Name("carol", color) {
				t.Errorf("%s: color %d depends on the name", th.name, color)
			}
		}
		if want := NameColors; len(seen) != want && th.name != mono {
			t.Errorf("%s has %d colors for names, not %d", th.name, len(seen), want)
		}
	}
}

// What means different things looks different on terminals of every number of colors.
func TestStylesDiffer(t *testing.T) {
	for _, name := range Names() {
		for _, p := range []colorprofile.Profile{colorprofile.ANSI, colorprofile.ANSI256, colorprofile.TrueColor} {
			s := For(name, p)
			if name != mono && (s.Of(Mention) == s.Of(Error) || s.Of(Code) == s.Of(Error) || s.Of(BarMention) == s.Of(Error)) {
				t.Errorf("%s, %s: something has the look of errors", name, p)
			}
			if s.Of(Notice) == s.Of(Presence) || s.Of(Notice) == s.Of(Error) || s.Of(Secret) == s.Of(Prompt) {
				t.Errorf("%s, %s: notices, presence and errors, or prompts, look alike", name, p)
			}
		}
	}
}

// Without colors there is mono, whatever was chosen, and its styles differ by emphasis alone.
func TestMono(t *testing.T) {
	for _, name := range Names() {
		if s := For(name, colorprofile.Ascii); s.Colored() || s.begin != For(mono, colorprofile.Ascii).begin {
			t.Errorf("%s without colors is not mono", name)
		}
		if colored := For(name, colorprofile.ANSI256).Colored(); colored != (name != mono) {
			t.Errorf("control: %s has colors: %v", name, colored)
		}
	}
	s := For(mono, colorprofile.TrueColor)
	for _, pair := range [][2]Style{{Text, Error}, {Text, Mention}, {Notice, Error}, {Notice, Presence}, {Prompt, Secret}, {Bar, BarActive}, {Bar, BarUnread}, {BarUnread, BarMention}} {
		if s.Of(pair[0]) == s.Of(pair[1]) {
			t.Errorf("styles %d and %d are alike", pair[0], pair[1])
		}
	}
}

// shown is a color as a terminal shows it.
func shown(p colorprofile.Profile, c int) color.RGBA {
	r, g, b, _ := p.Convert(rgb(c)).RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
}

// contrast is that of WCAG 2.2.
func contrast(a, b color.RGBA) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c color.RGBA) float64 {
	sum := 0.0
	for _, channel := range []struct {
		value  uint8
		weight float64
	}{{c.R, 0.2126}, {c.G, 0.7152}, {c.B, 0.0722}} {
		v := float64(channel.value) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += channel.weight * v
	}
	return sum
}
