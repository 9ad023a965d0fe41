package view

import (
	"strings"
	"time"

	"sshchat/sshchat/text"
)

// Input implements Keyboard.
func (p *Plain) Input(b []byte) []Action {
	p.input.edit.dropped = 0
	var did []Action
	p.keys.decode(b, func(k key) { did = p.press(did, k) })
	p.stale = true
	return did
}

// Waiting implements Keyboard.
func (p *Plain) Waiting() time.Duration { return p.keys.waiting() }

// Expire implements Keyboard.
func (p *Plain) Expire() []Action {
	var did []Action
	p.keys.expire(func(k key) { did = p.press(did, k) })
	p.stale = true
	return did
}

// Forget implements Keyboard.
func (p *Plain) Forget(text string) { p.input.edit.past.forget(text) }

// Dropped implements Keyboard.
func (p *Plain) Dropped() int { return p.input.edit.dropped }

// End implements Keyboard. A line that was not submitted is not sent: on a terminal that takes a key.
func (p *Plain) End() []Action { return []Action{{Kind: Quit}} }

// press does what a key is for and appends what came of it.
func (p *Plain) press(did []Action, k key) []Action {
	switch k.name {
	case "":
		if !p.input.edit.insert(k.text) {
			p.out.bell()
		}
	case "pasted":
		p.complain(p.input.edit.reportLost())
	case "enter":
		return p.submit(did)
	case "ctrl+j", "alt+enter":
		if p.input.asked != nil || isCommand(p.input.edit.text) { // they have one line
			return p.submit(did)
		}
		if !p.input.edit.insert("\n") {
			p.out.bell()
		}
	case "ctrl+c":
		return p.interrupt(did)
	case "ctrl+d":
		if len(p.input.edit.text) == 0 {
			return append(did, Action{Kind: Quit})
		}
		p.input.edit.deleteNext()
	case "ctrl+l":
		p.row.erase(&p.out)
	case "f1":
		if p.input.asked == nil {
			return append(did, Action{Kind: Line, Text: helpLine})
		}
	case "tab":
		if !k.more {
			p.tab()
		} else if !p.input.edit.pasteTab(k, nil) {
			p.out.bell()
		}
	default:
		p.input.edit.press(k.name)
	}
	return did
}

// submit sends what is typed. A message's row is cleared, for it comes back among the others once it is stored.
// A command or a question's answer stays, above what comes of it.
func (p *Plain) submit(did []Action) []Action {
	if why := p.input.edit.refused(); why != "" {
		p.complain(why)
		return did
	}
	if p.input.asked == nil && len(strings.TrimSpace(string(p.input.edit.text))) == 0 {
		p.input.edit.clear()
		return did
	}
	if p.input.isHelpMark() {
		p.keep("?")
		p.input.edit.clear()
		return append(did, Action{Kind: Line, Text: helpLine})
	}
	secret := p.input.edit.secret
	text := p.input.edit.take()
	switch {
	case secret:
		p.keep("")
	case p.input.asked != nil || isCommand([]byte(text)):
		p.keep(text)
	default:
		p.row.erase(&p.out)
	}
	if p.input.asked != nil {
		p.answered()
	}
	return append(did, Action{Kind: Line, Text: text})
}

// complain says what was wrong with what was typed, if anything.
func (p *Plain) complain(why string) {
	if why != "" {
		p.Fail(why)
		p.out.bell()
	}
}

// keep leaves the prompt and text behind as a line. Where the row shows it already nothing is written twice.
func (p *Plain) keep(said string) {
	b := text.AppendPrintable(append(p.scratch[:0], p.prompt...), said, true)
	p.scratch = b[:0]
	if width := cells(b); width <= p.cols && !strings.Contains(said, "\n") && p.live() {
		p.row.paint(&p.out, b, width)
		p.row.leave(&p.out)
		return
	}
	p.above(string(p.prompt), said)
}

// interrupt clears what is typed. With nothing typed, or instead of an answer, it is an action.
func (p *Plain) interrupt(did []Action) []Action {
	switch {
	case p.input.asked != nil:
		p.keep("")
		p.answered()
	case len(p.input.edit.text) > 0:
		p.input.edit.clear()
		return did
	}
	return append(did, Action{Kind: Interrupt})
}

// tab completes the word before the cursor, or lists what it could be.
func (p *Plain) tab() {
	list, ok := p.input.edit.complete(p.complete)
	switch {
	case !ok:
		p.out.bell()
	case len(list) > 0:
		p.above("", listing(list))
	}
}

// isCommand reports whether a line is a command: it begins with a slash, and not with two.
func isCommand(b []byte) bool { return len(b) > 0 && b[0] == '/' && (len(b) == 1 || b[1] != '/') }
