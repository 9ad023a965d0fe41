package view

import (
	"strings"

	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/keys"
)

// Input implements Keyboard.
func (p *Plain) Input(b []byte) []Action {
	p.stale = true
	return p.decode(b, p.handleKey)
}

// Expire implements Keyboard.
func (p *Plain) Expire() []Action {
	p.stale = true
	return p.expire(p.handleKey)
}

// handleKey performs a key's function, and appends the actions that result.
func (p *Plain) handleKey(did []Action, k keys.Key) []Action {
	taken, ok, again := p.input.modeKey(k)
	if !ok {
		p.output.Bell()
	}
	if taken {
		return did
	}
	switch k.Name {
	case "":
		if !p.input.edit.Insert(k.Text) {
			p.output.Bell()
		}
	case "pasted":
		p.complain(p.input.edit.ReportLost())
	case "enter":
		return p.submit(did)
	case "ctrl+j", "alt+enter":
		if p.input.question != nil || editor.IsCommand(p.input.edit.Text) { // they have one line
			return p.submit(did)
		}
		if !p.input.edit.Insert("\n") {
			p.output.Bell()
		}
	case "ctrl+c":
		return p.interrupt(did, again)
	case "ctrl+r":
		if !p.input.edit.BeginSearch() {
			p.output.Bell()
		}
	case "ctrl+d":
		if len(p.input.edit.Text) == 0 {
			return append(did, Action{Kind: Quit})
		}
		p.input.edit.DeleteNext()
	case "ctrl+l":
		p.row.erase(&p.output)
	case "alt+g":
		if p.input.question == nil {
			p.input.beginGo()
		}
	case "alt+a", "alt+m", "alt+o":
		if p.input.question == nil {
			return append(did, Action{Kind: Line, Text: goKeys[k.Name]})
		}
	case "f1":
		if p.input.question == nil {
			return append(did, Action{Kind: Line, Text: helpLine})
		}
	case "tab", "shift+tab":
		p.tab(k)
	default:
		p.input.edit.HandleKey(k.Name)
	}
	return did
}

// boundOnPlain is editor.Bound for a plain terminal.
func boundOnPlain(name string) bool { return goKeys[name] != "" || editor.Bound(name) }

// submit sends what is typed. A message's row is cleared: it appears among the others once it is stored.
// A command or an answer stays, above its result.
func (p *Plain) submit(did []Action) []Action {
	if why := p.input.edit.Refused(); why != "" {
		p.complain(why)
		return did
	}
	if p.input.question == nil && len(strings.TrimSpace(string(p.input.edit.Text))) == 0 {
		p.input.edit.Clear()
		return did
	}
	if p.input.isHelpMark() {
		p.echo("?")
		p.input.edit.Clear()
		return append(did, Action{Kind: Line, Text: helpLine})
	}
	secret := p.input.edit.Secret
	text := p.input.edit.Take()
	if p.input.question == nil {
		p.input.resume()
	}
	switch {
	case secret:
		p.echo("")
	case p.input.question != nil || editor.IsCommand([]byte(text)):
		p.echo(text)
	default:
		p.row.erase(&p.output)
	}
	if p.input.question != nil {
		p.answered()
	}
	return append(did, Action{Kind: Line, Text: text})
}

// complain shows why input was refused, if it was.
func (p *Plain) complain(why string) {
	if why != "" {
		p.Fail(why)
		p.output.Bell()
	}
}

// echo leaves the prompt and text behind as a line. If the row shows them already, nothing is written twice.
func (p *Plain) echo(said string) {
	b := text.AppendPrintable(append(p.scratch[:0], p.prompt...), said, true)
	p.scratch = b[:0]
	if width := cells(b); width <= p.cols && !strings.Contains(said, "\n") && p.active() {
		p.row.update(&p.output, b, width)
		p.row.commit(&p.output)
		return
	}
	p.writeAbove(string(p.prompt), said)
}

// interrupt is the function of Ctrl+C. Instead of an answer it is an action; with again, it was the last key as well.
func (p *Plain) interrupt(did []Action, again bool) []Action {
	if p.input.question != nil {
		p.echo("")
		p.answered()
		return append(did, Action{Kind: Interrupt})
	}
	if p.input.interrupt(again) {
		return append(did, Action{Kind: Quit})
	}
	if p.input.leaving != "" {
		p.Print(p.input.leaving)
	}
	return did
}

// tab completes the word before the cursor, or lists what it could be. One that came with other input is text.
func (p *Plain) tab(k keys.Key) {
	if k.More {
		if !p.input.edit.PasteTab(nil) {
			p.output.Bell()
		}
		return
	}
	list, ok := p.input.edit.Complete(p.complete, direction(k))
	switch {
	case !ok:
		p.output.Bell()
	case len(list) > 0:
		p.writeAbove("", editor.ListCandidates(list))
	}
}
