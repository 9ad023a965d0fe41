package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"io"
	"slices"
	"strings"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
)

const (
	cellWidth, cellHeight = 8.43, 18 // of a font of 14 px
	margin                = 14
	together              = 30 * time.Millisecond // what comes within this is one picture
	atTheEnd              = 6 * time.Second       // how long the last picture stays
	background            = "#16181d"
	foreground            = "#d8dade"
)

// piece is something drawn from one time to another: a row of the terminal, or its cursor.
type piece struct {
	from, to time.Duration
	svg      string
}

// render draws the recording as an SVG that moves by CSS alone. Each row is drawn once for as long as it stays the same. Where
// nothing moves, the last picture is shown.
func render(events []event) ([]byte, error) {
	screen := vt.NewEmulator(columns, rows)
	defer screen.Close()
	go io.Copy(io.Discard, screen) // answers to queries; ends when the screen is closed
	styles := &styles{names: map[string]string{}}
	var pieces []piece
	now := make([]piece, rows+1) // the last is the cursor
	for i, e := range events {
		if _, err := screen.Write([]byte(e.data)); err != nil {
			return nil, err
		}
		if i+1 < len(events) && events[i+1].at-e.at < together {
			continue
		}
		for y := range now {
			svg := cursor(screen)
			if y < rows {
				svg = row(screen, y, styles)
			}
			if svg != now[y].svg {
				now[y].to = e.at
				pieces = append(pieces, now[y])
				now[y] = piece{from: e.at, svg: svg}
			}
		}
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("%s is empty", cast)
	}
	end := events[len(events)-1].at + atTheEnd
	for _, p := range now {
		p.to = end
		pieces = append(pieces, p)
	}
	return document(pieces, styles, end), nil
}

// document puts the pieces together.
func document(pieces []piece, styles *styles, end time.Duration) []byte {
	width, height := columns*cellWidth+2*margin, rows*cellHeight+2*margin
	var body, frames bytes.Buffer
	named := map[[2]time.Duration]string{}
	for _, p := range pieces {
		if p.svg == "" || p.to <= p.from {
			continue
		}
		when := [2]time.Duration{p.from, p.to}
		if named[when] == "" {
			named[when] = fmt.Sprintf("k%d", len(named))
			percent := func(d time.Duration) string { return fmt.Sprintf("%.2f%%", 100*d.Seconds()/end.Seconds()) }
			fmt.Fprintf(&frames, "@keyframes %s{0%%{visibility:hidden}%s{visibility:visible}", named[when], percent(p.from))
			if p.to < end {
				fmt.Fprintf(&frames, "%s{visibility:hidden}", percent(p.to))
			}
			frames.WriteString("}\n")
		}
		class := "p"
		if p.to == end {
			class = "p z"
		}
		fmt.Fprintf(&body, "<g class=\"%s\" style=\"animation-name:%s\">%s</g>\n", class, named[when], p.svg)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" role="img" aria-label="A session with sshchat">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&out, "<style>\ntext{font:14px ui-monospace,\"DejaVu Sans Mono\",Menlo,Consolas,monospace;white-space:pre;fill:%s}\n", foreground)
	fmt.Fprintf(&out, ".p{visibility:hidden;animation:%.2fs step-end infinite}\n.z{visibility:visible}\n", end.Seconds())
	out.WriteString("@media (prefers-reduced-motion:reduce){.p{animation:none}}\n")
	out.WriteString(styles.css.String())
	out.Write(frames.Bytes())
	fmt.Fprintf(&out, "</style>\n<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"%s\"/>\n<g transform=\"translate(%d %d)\">\n", background, margin, margin)
	out.Write(body.Bytes())
	out.WriteString("</g>\n</svg>\n")
	return out.Bytes()
}

// cursor is a block where the terminal has its cursor.
func cursor(screen *vt.Emulator) string {
	at := screen.CursorPosition()
	return fmt.Sprintf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" opacity=".6"/>`,
		float64(at.X)*cellWidth, at.Y*cellHeight, cellWidth, cellHeight, foreground)
}

// row draws a row: runs of cells of one style, each at its place, so that it does not matter how wide a font is.
func row(screen *vt.Emulator, y int, styles *styles) string {
	var out strings.Builder
	for x := 0; x < columns; {
		first := screen.CellAt(x, y)
		style := styles.of(first)
		run, cells := "", 0
		for x+cells < columns {
			c := screen.CellAt(x+cells, y)
			if styles.of(c) != style || cells > 0 && (wide(c) || wide(first)) {
				break
			}
			content, width := " ", 1
			if c != nil && c.Content != "" {
				content, width = c.Content, max(1, c.Width)
			}
			run += content
			cells += width
		}
		out.WriteString(styles.draw(style, run, x, y, cells))
		x += cells
	}
	return out.String()
}

func wide(c *uv.Cell) bool { return c != nil && c.Width > 1 }

// styles is the CSS classes of the styles that cells have.
type styles struct {
	names map[string]string // by what they say of text
	css   strings.Builder
}

// style is how a run of cells looks.
type style struct{ text, behind string }

func (s *styles) of(c *uv.Cell) style {
	if c == nil {
		return style{}
	}
	text, behind := hex(c.Style.Fg), hex(c.Style.Bg)
	if c.Style.Attrs&uv.AttrReverse != 0 {
		if text, behind = behind, text; text == "" {
			text = background
		}
		if behind == "" {
			behind = foreground
		}
	}
	var css []string
	if text != "" {
		css = append(css, "fill:"+text)
	}
	for _, a := range []struct {
		is  bool
		say string
	}{
		{c.Style.Attrs&uv.AttrBold != 0, "font-weight:bold"}, {c.Style.Attrs&uv.AttrItalic != 0, "font-style:italic"},
		{c.Style.Attrs&uv.AttrFaint != 0, "opacity:.65"}, {c.Style.Underline != 0, "text-decoration:underline"},
	} {
		if a.is {
			css = append(css, a.say)
		}
	}
	slices.Sort(css)
	return style{strings.Join(css, ";"), behind}
}

// draw is a run of text, with what is behind it.
func (s *styles) draw(st style, run string, x, y, cells int) string {
	out := ""
	if st.behind != "" {
		out = fmt.Sprintf(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`,
			float64(x)*cellWidth, y*cellHeight, float64(cells)*cellWidth, cellHeight, st.behind)
	}
	text := strings.TrimRight(run, " ")
	if text == "" {
		return out
	}
	class := ""
	if st.text != "" {
		if s.names[st.text] == "" {
			s.names[st.text] = fmt.Sprintf("s%d", len(s.names))
			fmt.Fprintf(&s.css, "text.%s{%s}\n", s.names[st.text], st.text)
		}
		class = ` class="` + s.names[st.text] + `"`
	}
	length := ""
	if n := len(strings.TrimRight(run, " ")); n > 1 {
		length = fmt.Sprintf(` textLength="%.1f"`, float64(cells-(len(run)-n))*cellWidth)
	}
	var escaped bytes.Buffer
	xml.EscapeText(&escaped, []byte(text))
	return out + fmt.Sprintf(`<text x="%.1f" y="%d"%s%s>%s</text>`, float64(x)*cellWidth, y*cellHeight+13, length, class, escaped.Bytes())
}

func hex(c color.Color) string {
	if c == nil {
		return ""
	}
	r, g, b, _ := c.RGBA()
	return fmt.Sprintf("#%02x%02x%02x", r>>8, g>>8, b>>8)
}
