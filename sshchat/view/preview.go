package view

import (
	"slices"

	"github.com/charmbracelet/colorprofile"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// PreviewThemes shows all themes, each in its own colors on the terminal's background, over the messages.
func (f *Full) PreviewThemes(title string) {
	o, chosen := &f.options, f.preferences.Theme
	colors := output.Profile(o.Term, o.ColorTerm, o.NoColor)
	f.overlay = &overlay{title: title, preview: func(p *renderer, width int) []string {
		var rows []string
		for i, name := range theme.Names() {
			q := *p
			q.styles = theme.For(name, colors)
			rows = append(rows, q.sample(name, name == chosen || i == 0 && !slices.Contains(theme.Names(), chosen), width)...)
		}
		if colors <= colorprofile.Ascii {
			rows = append(rows, p.text("Your client asks for no colors, or its terminal has none: all themes look like mono here.", theme.Notice, width)...)
		}
		return append(rows, p.text("To choose a theme: /theme NAME. The color of your name: /color NAME, or /color auto.", theme.Notice, width)...)
	}}
	f.stale = true
}

// sample is the rows that show the renderer's theme, as far as they fit in width cells.
func (p *renderer) sample(name string, current bool, width int) []string {
	var rows []string
	var row styledRow
	begin := func() { row = styledRow{renderer: p, width: width} }
	end := func() { rows = append(rows, row.String()) }

	begin()
	row.add(theme.Title, " "+name+" ")
	if current {
		row.add(theme.Bold, " <- your theme")
	}
	end()

	begin()
	row.add(theme.Time, " 12:34 ")
	row.addName("ann", chat.NameColor(len(chat.NameColors)))
	row.add(theme.Rule, " "+p.ruler().down+" ")
	row.add(theme.Text, "hello, ")
	row.add(theme.Mention, "a mention")
	row.add(theme.Text, ", ")
	row.add(theme.Code, "code")
	row.add(theme.Text, ", ")
	row.add(theme.Link, "a link")
	row.add(theme.Text, " ")
	row.add(theme.UnreadBadge, " 3 ")
	row.add(theme.MentionBadge, " 1! ")
	end()

	begin()
	row.add(theme.Text, " ")
	row.add(theme.Notice, "-- a notice")
	row.add(theme.Text, "  ")
	row.add(theme.Presence, "-- bob joined")
	row.add(theme.Text, "  ")
	row.add(theme.Error, "! an error")
	end()

	begin()
	for i, color := range chat.NameColors { // as many rows as it takes: each can be chosen
		if row.used+len(" ")+len(color) > width && row.used > 0 {
			end()
			begin()
		}
		row.add(theme.Text, " ")
		row.addName(color, chat.NameColor(i+1))
	}
	end()
	return append(rows, "")
}

// addName adds a name.
func (r *styledRow) addName(name string, color chat.NameColor) {
	name = fitRow(name, r.width-r.used)
	r.used += len(name)
	r.WriteString(r.renderer.styles.Name(name, int(color)) + name + plainStyle)
}
