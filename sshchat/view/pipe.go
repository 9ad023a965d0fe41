package view

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/editor"
	"sshchat/sshchat/view/output"
)

// Pipe is the UI for programs: each line of input is a message or a command, each message is a line of output.
// Answers to commands, refusals and gaps go to the error stream, so that a script reads messages and nothing else.
// Presence changes are not shown.
type Pipe struct {
	me    chat.Name
	first chat.RoomName // messages of other rooms are prefixed with theirs
	asked bool          // the next line is an answer, even an empty one

	line []byte // a line begun, at most maxLine+1 bytes
	over bool   // it was longer; the rest of it is dropped

	dropped int // bytes of the last Input

	shared         *Lines
	output, errors output.Buffer
}

// NewPipe returns a UI that shows messages from the first room it enters without that room's name.
func NewPipe(o Options) *Pipe { return &Pipe{me: o.Me, shared: o.Lines} }

// Rooms implements Display: a program can ask for them.
func (p *Pipe) Rooms([]Room) {}

// Set implements Display: messages are shown to a program as they are.
func (p *Pipe) Set(Preferences) {}

// Show implements Display.
func (p *Pipe) Show(_, text string) { p.Print(text) }

// Following implements Display: a program may read without anybody present.
func (p *Pipe) Following() bool { return false }

// Clear implements Display.
func (p *Pipe) Clear() {}

// Waiting implements Keyboard: a pipe has no keys.
func (p *Pipe) Waiting() time.Duration { return 0 }

// Expire implements Keyboard.
func (p *Pipe) Expire() []Action { return nil }

// Forget implements Keyboard: nothing comes back.
func (p *Pipe) Forget(string) {}

// Drafts implements Keyboard: what a program has not ended is no line.
func (p *Pipe) Drafts(chat.RoomName) []Draft { return nil }

// Restore implements Keyboard.
func (p *Pipe) Restore(chat.RoomName, []Draft) {}

// Dropped implements Keyboard.
func (p *Pipe) Dropped() int { return p.dropped }

// Deliver implements Display.
func (p *Pipe) Deliver(spans []chat.Span) {
	chat.Spans(spans).InOrder(p.gap, p.entry)
}

func (p *Pipe) gap(s *chat.Span) {
	writeLines(&p.errors, nil, gapText(s, p.me)+": they came faster than they were read")
}

// entry shows an entry of a log.
func (p *Pipe) entry(m *chat.Message) {
	switch {
	case m.Kind.Stored() && !m.Deleted:
		p.message(m)
	case m.Kind == chat.Notice && m.Room.IsZero(): // meant for this person, or for everybody
		writeLines(&p.errors, []byte("-- "), m.Text.String())
	}
}

func (p *Pipe) message(m *chat.Message) {
	p.output.Open()
	key := encodedKey{order: m.DisplaySeq, variant: roomVariant(m, p.me, p.first), format: pipeFormat}
	if e := p.shared.line(&key, pipeHash, m, p.write); e != nil {
		p.output.Append(e.bytes)
		return
	}
	p.write(&p.output, m)
}

// All pipes show a message alike.
var (
	pipeFormat = format{kind: KindPipe}
	pipeHash   = pipeFormat.hash()
)

// write writes a message, with its room if that is not the first.
func (p *Pipe) write(w *output.Buffer, m *chat.Message) {
	var buf [128]byte // a room and a name fit
	head := buf[:0]
	if m.Room != p.first {
		head = append(m.Room.AppendFor(head, p.me), ' ')
	}
	switch m.Kind {
	case chat.Me:
		head = append(append(append(head, "* "...), m.From.String()...), ' ')
	case chat.Edit:
		head = fmt.Appendf(head, "%s edits %d: ", m.From, m.Of)
	case chat.Delete:
		head = fmt.Appendf(head, "%s deletes %d", m.From, m.Of)
	case chat.React:
		head = fmt.Appendf(head, "%s reacts to %d: ", m.From, m.Of)
	case chat.Unreact:
		head = fmt.Appendf(head, "%s removes a reaction to %d: ", m.From, m.Of)
	default:
		head = append(head, m.From.String()...)
		if m.Of > 0 {
			head = fmt.Appendf(head, " replies to %d", m.Of)
		}
		head = append(head, ": "...)
	}
	writeLines(w, head, m.Text.String())
}

// writeLines writes head and text; all lines but the first are indented, so that no text can imitate a message of another person.
func writeLines(w *output.Buffer, head []byte, said string) {
	var buf [256]byte // most lines fit
	b := append(buf[:0], head...)
	for line := range strings.SplitSeq(said, "\n") {
		b = text.AppendPrintable(b, line, false)
		w.Text(b)
		w.EndLine()
		b = append(b[:0], "  "[:indent]...)
	}
}

// Print implements Display. The lines go out as they are.
func (p *Pipe) Print(text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		writeLines(&p.errors, nil, line)
	}
}

// Fail implements Display.
func (p *Pipe) Fail(text string) { writeLines(&p.errors, nil, text) }

// Input implements Keyboard.
func (p *Pipe) Input(b []byte) []Action {
	p.dropped = 0
	var did []Action
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			p.gather(b)
			return did
		}
		p.gather(b[:i])
		did = p.submit(did)
		b = b[i+1:]
	}
}

// gather adds to the line begun, as far as a line may go.
func (p *Pipe) gather(b []byte) {
	// One byte more is for a carriage return at the end.
	if room := editor.MaxLine + 1 - len(p.line); len(b) > room {
		p.over = true
		p.dropped += len(b) - room
		b = b[:room]
	}
	p.line = append(p.line, b...)
}

// submit ends the line begun. An empty one is ignored, except as an answer.
func (p *Pipe) submit(did []Action) []Action {
	b := bytes.TrimSuffix(p.line, []byte{'\r'})
	over := p.over || len(b) > editor.MaxLine
	bad := text.Check(string(b))
	line := string(b)
	if !p.asked {
		line = strings.ReplaceAll(line, "\t", text.Tab)
	}
	said := string(text.AppendPrintable(nil, line, false))
	p.line, p.over = p.line[:0], false
	switch {
	case over:
		return append(did, Action{Kind: Refused, Text: fmt.Sprintf("not sent: the line was longer than %d bytes", editor.MaxLine)})
	case bad != nil:
		return append(did, Action{Kind: Refused, Text: "not sent: " + bad.Error()})
	case strings.TrimSpace(said) == "" && !p.asked:
		return did
	}
	p.asked = false
	return append(did, Action{Kind: Line, Text: said})
}

// End implements Keyboard: what was written without a newline is a line too.
func (p *Pipe) End() []Action {
	var did []Action
	if len(p.line) > 0 {
		did = p.submit(did)
	}
	return append(did, Action{Kind: Quit})
}

// Resize implements Display; a pipe has no size.
func (p *Pipe) Resize(width, height int) {}

// Enter implements Display.
func (p *Pipe) Enter(room chat.RoomName) {
	if p.first.IsZero() {
		p.first = room
	}
}

// Ask implements Display. A pipe never echoes.
func (p *Pipe) Ask(question string, echo bool) {
	p.Print(question)
	p.asked = true
}

// Pending implements Output.
func (p *Pipe) Pending() bool { return p.output.Len() > 0 || p.errors.Len() > 0 }

// Flush implements Output.
func (p *Pipe) Flush() []byte { return p.output.Take() }

// FlushErr implements Output.
func (p *Pipe) FlushErr() []byte { return p.errors.Take() }

// Done implements Output.
func (p *Pipe) Done() {
	p.output.Done()
	p.errors.Done()
}

// Notify implements Output: a program reads no notifications.
func (p *Pipe) Notify(output.Notification, string, string) {}

// Close implements Output: a pipe has nothing to restore.
func (p *Pipe) Close() {}
