package view

import (
	"slices"
	"strings"
	"time"

	"github.com/clipperhouse/displaywidth"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/keys"
	"sshchat/sshchat/view/theme"
)

// keyboard is the part of Keyboard that full and plain screens share.
type keyboard struct {
	keys  keys.Decoder
	input composer
}

// decode gives the keys that the bytes are to handle, and returns the actions that result.
func (k *keyboard) decode(b []byte, handle func([]Action, keys.Key) []Action) (did []Action) {
	k.input.edit.Dropped = 0
	k.keys.Decode(b, func(key keys.Key) { did = handle(did, key) })
	return did
}

// expire is decode for what is incomplete, and stays so.
func (k *keyboard) expire(handle func([]Action, keys.Key) []Action) (did []Action) {
	k.keys.Expire(func(key keys.Key) { did = handle(did, key) })
	return did
}

// Waiting implements Keyboard.
func (k *keyboard) Waiting() time.Duration { return k.keys.Waiting() }

// Forget implements Keyboard.
func (k *keyboard) Forget(text string) {
	k.input.edit.Cancel() // it may show the line
	k.input.edit.Sent.Forget(text)
}

// Drafts implements Keyboard.
func (k *keyboard) Drafts(current chat.RoomName) (unsent []Draft) {
	k.input.edit.Cancel()
	if l := k.input.typed(); len(l.Text) > 0 {
		unsent = append(unsent, Draft{current, string(l.Text)})
	}
	for _, d := range slices.Backward(k.input.drafts) {
		unsent = append(unsent, Draft{d.room, string(d.line.Text)})
	}
	return unsent
}

// Restore implements Keyboard.
func (k *keyboard) Restore(current chat.RoomName, drafts []Draft) {
	for _, d := range slices.Backward(drafts) {
		l := editor.NewLine(text.AppendPrintable(nil, d.Text, true))
		switch {
		case d.Room != current:
			if now := k.input.drafts.take(d.Room); len(now.Text) > 0 {
				l = now
			}
			k.input.drafts.store(d.Room, l)
		case k.input.question == nil && k.input.aside == nil && len(k.input.edit.Text) == 0:
			k.input.edit.SetLine(l)
		}
	}
}

// Dropped implements Keyboard.
func (k *keyboard) Dropped() int { return k.input.edit.Dropped }

// End implements Keyboard. A line that was not submitted is not sent: on a terminal that takes a key.
func (k *keyboard) End() []Action { return []Action{{Kind: Quit}} }

// composer is what is being typed on a terminal: a line for each room, or the answer to a question.
type composer struct {
	edit     editor.Editor
	drafts   drafts
	question *openQuestion // the question that the next line answers, or nil
	aside    *editor.Line  // what was being typed when Alt+G began a command, or nil
	leaving  string        // what is said after Ctrl+C, if that was the last key; another one leaves
}

// openQuestion is a question that has no answer yet.
type openQuestion struct {
	prompt string
	draft  editor.Line // what was being typed when it was asked
}

// enter switches from one room's line to another's. While a question is open, answered returns to the new one.
func (c *composer) enter(from, to chat.RoomName) {
	c.edit.Cancel()
	c.drafts.store(from, c.typed())
	c.aside = nil
	now := c.drafts.take(to)
	if c.question != nil {
		c.question.draft = now
	} else {
		c.edit.SetLine(now)
	}
	c.edit.Sent.Reset()
}

// typed is what is typed for the room, also while something else is: an answer, or where to go.
func (c *composer) typed() editor.Line {
	switch {
	case c.aside != nil:
		return *c.aside
	case c.question != nil:
		return c.question.draft
	}
	return c.edit.Line
}

// goLine is what Alt+G begins.
const goLine = "/go "

// beginGo begins a command that goes to a room. What was being typed comes back after it.
func (c *composer) beginGo() {
	if strings.HasPrefix(string(c.edit.Text), goLine) {
		return
	}
	if len(c.edit.Text) > 0 {
		draft := c.edit.Line
		c.aside = &draft
	}
	c.edit.SetLine(editor.NewLine([]byte(goLine)))
}

// resume brings back what was being typed when Alt+G began a command, once that is sent or cleared.
func (c *composer) resume() {
	if c.aside != nil {
		c.edit.SetLine(*c.aside)
		c.aside = nil
	}
}

// interrupt is what Ctrl+C does to a line that is no answer: it puts it aside. It reports whether the person leaves: with nothing
// typed, they pressed it right after it did that, or said that it would.
func (c *composer) interrupt(again bool) (leave bool) {
	switch {
	case c.aside != nil || string(c.edit.Text) == goLine || c.isHelpMark():
		c.edit.Clear()
		c.resume()
	case len(c.edit.Text) > 0:
		c.leaving = leavesAgain + ". Ctrl+_ brings back what you typed."
		if c.edit.PutAside() {
			c.leaving = leavesAgain + ". Up brings back what you typed."
		}
	case again:
		return true
	default:
		c.leaving = leavesAgain
	}
	return false
}

// searching reports whether the lines that were sent are being searched.
func (c *composer) searching() bool {
	_, _, ok := c.edit.Searching()
	return ok
}

// modeKey gives a key to what may be under way: a search, a choice of completions, or leaving. It reports whether the key was for
// that, whether it was understood, and whether Ctrl+C came right before it.
func (c *composer) modeKey(k keys.Key) (taken, ok, again bool) {
	ok, again = true, c.leaving != ""
	c.leaving = ""
	if c.searching() {
		if taken, ok = c.edit.SearchKey(k.Name, k.Text); taken {
			return taken, ok, again
		}
	}
	return c.edit.EndChoice(k.Name), ok, again
}

// leavesAgain is how to leave, as it is said after a first Ctrl+C.
const leavesAgain = "Ctrl+C again leaves"

// searchHints say what the keys of a search do, on a wide screen and on a narrow one.
var searchHints = []string{"Enter: take the line. Ctrl+R: search further back. Esc: cancel.", "Enter takes it, Ctrl+R: next, Esc", "Enter takes it"}

// hint is what the next key does, in at most width cells, if that is not what it usually does.
func (c *composer) hint(width int) string {
	hints := []string{c.leaving, leavesAgain}
	if c.searching() {
		hints = searchHints
	} else if c.leaving == "" {
		return ""
	}
	for _, hint := range hints {
		if len(hint) <= width {
			return hint
		}
	}
	return hints[len(hints)-1]
}

// ask makes the next line an answer. The caller sets the question's prompt.
func (c *composer) ask(echo bool) {
	c.edit.Cancel()
	if c.question == nil {
		c.question = &openQuestion{draft: c.edit.Line}
	}
	c.edit.SetLine(editor.Line{})
	c.edit.Single, c.edit.Secret = true, !echo
}

// answered returns from the question to what was being typed.
func (c *composer) answered() {
	c.edit.Wipe()
	c.edit.Single, c.edit.Secret = false, false
	c.edit.SetLine(c.question.draft)
	c.question = nil
}

// maxBox is how many rows of a screen the input has at most.
const maxBox = 10

// box is the input on a screen of so many rows, each with width cells: its rows, and the cursor's position in
// them.
func (c *composer) box(p *renderer, width, screen int) (rows []string, row, column int) {
	lead, prompt := c.promptRows(width)
	rows, row, column = c.answerBox(p, prompt, width, screen)
	lead = lead[max(0, len(lead)-areaHeight(screen, len(rows))):] // a question is shown whole if the screen has room for it
	for i := range lead {
		lead[i] = p.in(c.promptStyle(), lead[i])
	}
	return append(lead, rows...), row + len(lead), column
}

// answerBox is the box below the first rows of a long question.
func (c *composer) answerBox(p *renderer, prompt string, width, screen int) (text []string, row, column int) {
	if c.edit.Secret {
		text = []string{""}
	} else {
		text, row, column = layoutInput(&c.edit.Line, width, displaywidth.String(prompt))
	}
	if row == 0 {
		column += displaywidth.String(prompt)
	}
	height := max(1, min(maxBox, screen/3))
	lines := len(text)
	if lines > height { // the rows around the cursor
		first := min(max(0, row-height/2), lines-height)
		if height < 3 && c.searching() { // what is searched for matters most
			first, row = 0, min(row, height-1)
		}
		if first == 0 {
			text[0] = c.styledPrompt(p, prompt, width) + text[0]
		}
		text, row = text[first:first+height], row-first
		if height > 2 {
			hint := c.edit.Hint()
			if row == height-1 {
				text, row = text[1:], row-1
			} else {
				text = text[:height-1]
			}
			text = append(text, p.in(theme.Notice, fitRow(hint, width)))
		}
		return text, row, min(column, width)
	}
	text[0] = c.styledPrompt(p, prompt, width) + text[0]
	return text, row, min(column, width)
}

// notShown stands behind a prompt for a secret, as far as there is room for it.
const notShown = "  (not shown)"

func (c *composer) promptStyle() theme.Style {
	if c.edit.Secret {
		return theme.Secret
	}
	return theme.Prompt
}

// styledPrompt is the prompt as it is shown. One for a secret looks like nothing else does.
func (c *composer) styledPrompt(p *renderer, prompt string, width int) string {
	asked := strings.TrimRight(prompt, " ")
	row := p.in(c.promptStyle(), asked) + prompt[len(asked):]
	if c.edit.Secret && displaywidth.String(prompt+notShown) <= width {
		row += p.in(theme.Time, notShown)
	}
	return row
}

// promptRows is what stands before what is typed, in rows of width cells: a question has as many as it needs, and leaves
// minTyped cells of the last to the answer.
func (c *composer) promptRows(width int) (lead []string, last string) {
	last = "> "
	if width < 2*minTyped {
		last = ">"
	}
	if c.searching() {
		return nil, c.searchPrompt(width)
	}
	if c.question == nil {
		return nil, last
	}
	if displaywidth.String(c.question.prompt)+minTyped <= width {
		return nil, c.question.prompt
	}
	for row := range wrap([]byte(strings.TrimRight(c.question.prompt, " ")), width, width) {
		lead = append(lead, string(row))
	}
	end := len(lead) - 1
	if displaywidth.String(lead[end])+1+minTyped > width {
		return lead, last
	}
	return lead[:end], lead[end] + " "
}

// searchPrompt is the prompt of a search: for what, and whether there is no such line. It leaves minTyped of width cells to the line
// that was found, if possible.
func (c *composer) searchPrompt(width int) string {
	words, failed, _ := c.edit.Searching()
	lead, end := "(search) '", "': "
	if failed {
		lead = "(not found) '"
	}
	room := width - minTyped - len(lead) - len(end)
	if room < minTyped/2 {
		lead, room = "'", width-minTyped-1-len(end)
	}
	if room <= 0 {
		return "> "
	}
	clusters := editor.NewLine([]byte(words))
	first := clusters.Len()
	for used := 0; first > 0; first-- { // its end, if there is no room for all of it
		_, w := clusters.Cluster(first - 1)
		if used += w; used > room {
			break
		}
	}
	shown := ""
	for i := first; i < clusters.Len(); i++ {
		shown += string(clusters.ClusterBytes(i))
	}
	return lead + shown + end
}

// layoutInput breaks what is typed into rows of width cells, the first with room for the prompt, and finds the cursor.
func layoutInput(l *editor.Line, width, prompt int) (rows []string, row, column int) {
	var b strings.Builder
	eachCluster(l, width, prompt, func(i, y, x int, shown []byte) {
		for len(rows) < y {
			rows = append(rows, b.String())
			b.Reset()
		}
		if i == l.At {
			row, column = y, x
		}
		b.Write(shown)
	})
	return append(rows, b.String()), row, column
}

// eachCluster visits each cluster of what is typed, and the end of it, with its place in rows of width cells.
// In the first row the prompt takes some of the cells.
func eachCluster(l *editor.Line, width, prompt int, visit func(i, row, column int, shown []byte)) {
	row, column, limit := 0, 0, width-prompt
	for i := range l.Len() {
		shown, w := l.ClusterBytes(i), 1
		if len(shown) == 1 && shown[0] == '\n' {
			visit(i, row, column, nil)
			row, column, limit = row+1, 0, width
			continue
		}
		if len(shown) > 1 { // else it is ASCII; measuring is expensive
			shown, w = glyph(l.Cluster(i))
		}
		if column+w > limit {
			row, column, limit = row+1, 0, width
		}
		visit(i, row, column, shown)
		column += w
	}
	if column >= limit && l.At == l.Len() { // the cursor needs a cell of its own
		row, column = row+1, 0
	}
	visit(l.Len(), row, column, nil)
}

// moveRow moves the cursor a row up or down within what is typed, in rows of width cells; false if there is no such row.
func (c *composer) moveRow(by, width int) bool {
	if c.question != nil {
		return false
	}
	_, before := c.promptRows(width)
	prompt := displaywidth.String(before)
	var starts []int // of the rows
	row, want := 0, 0
	eachCluster(&c.edit.Line, width, prompt, func(i, y, x int, _ []byte) {
		for len(starts) <= y {
			starts = append(starts, i)
		}
		if i == c.edit.At {
			row, want = y, x
		}
	})
	to := row + by
	if to < 0 || to >= len(starts) {
		return false
	}
	if row == 0 { // the first row begins after the prompt
		want += prompt
	} else if to == 0 {
		want -= prompt
	}
	at, end := starts[to], c.edit.Len()
	if to+1 < len(starts) {
		end = starts[to+1] - 1
	}
	for ; at < end; at++ {
		_, w := glyph(c.edit.Cluster(at))
		if want -= w; want < 0 {
			break
		}
	}
	c.edit.At = at
	return true
}

// maxDrafts is how many bytes of unsent lines are kept for the other rooms. The oldest are dropped for newer ones.
const maxDrafts = 2 * editor.MaxLine

// drafts are the unsent lines of rooms, the newest last. A room has one or none.
type drafts []draft

type draft struct {
	room chat.RoomName
	line editor.Line
}

// store keeps l as the room's draft, unless it is empty.
func (ds *drafts) store(room chat.RoomName, l editor.Line) {
	ds.take(room)
	if len(l.Text) == 0 {
		return
	}
	*ds = append(*ds, draft{room, l})
	bytes := 0
	for i := len(*ds) - 1; i >= 0; i-- {
		if bytes += len((*ds)[i].line.Text); bytes > maxDrafts {
			*ds = slices.Delete(*ds, 0, i+1)
			return
		}
	}
}

// take returns the room's draft and forgets it.
func (ds *drafts) take(room chat.RoomName) editor.Line {
	for i, d := range *ds {
		if d.room == room {
			*ds = slices.Delete(*ds, i, i+1)
			return d.line
		}
	}
	return editor.Line{}
}
