// Package view is what a session shows and how it is typed into: state machines from deliveries and input bytes
// to output bytes and actions. It knows nothing of SSH, files, goroutines, clocks, or what a command does.
//
// Every UI obeys two laws. Nothing reaches a terminal but printable text and the control bytes the UI itself
// means: all output passes through wire. And no row is longer than the terminal is wide, less one column:
// what a terminal does in its last column differs from one to the next.
package view

import (
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/output"
)

// What a UI believes of a terminal's size, in cells, whatever the client says.
const (
	MaxWidth  = 500
	MaxHeight = 200

	minWidth      = 2
	defaultWidth  = 80 // where the client says 0, as many without a real terminal do
	defaultHeight = 24
)

// UI is what a client is served with: it turns what happens in a session into bytes for one client, and the client's bytes
// into what the person did. It belongs to one goroutine. The zero UI is none, as for a command without a terminal.
type UI struct {
	Kind Kind
	Display
	Keyboard
	Output
}

// Kind is which UI it is.
type Kind string

const (
	KindFull  Kind = "full"  // a whole screen: Full
	KindPlain Kind = "plain" // lines that scroll by: Plain
	KindPipe  Kind = "pipe"  // for programs: Pipe
)

// New returns a UI of that kind.
func New(kind Kind, o Options) UI {
	switch kind {
	case KindFull:
		f := NewFull(o)
		return UI{kind, f, f, f}
	case KindPipe:
		p := NewPipe(o)
		return UI{kind, p, p, p}
	}
	p := NewPlain(o)
	return UI{KindPlain, p, p, p}
}

// Display is what a person is shown.
type Display interface {
	// Deliver shows what a chat.Reader pulled, and keeps nothing of it.
	Deliver(spans []chat.Span)
	// Print shows the answer to a command. It may have many lines.
	Print(text string)
	// Fail shows a refusal or an error, worded for the person.
	Fail(text string)
	// Show shows a text of many lines that the person asked for, like a list: over the messages where there is a screen.
	Show(title, text string)
	// Ask has the next Line be the answer to the question. With echo false nothing of it is shown or kept.
	// An Interrupt withdraws the question.
	Ask(question string, echo bool)

	// Resize tells the terminal's size in cells; 0 means unknown.
	Resize(width, height int)
	// Rooms tells of the person's rooms, in the order they are shown in: at the start and whenever one changes.
	Rooms(rooms []Room)
	// Set applies what the person chose, at the start and whenever it changes.
	Set(l Preferences)
	// Following reports whether the end of the room is in sight, and what is said there is seen as it comes.
	Following() bool
	// Clear empties the screen. Nothing is deleted: who scrolls up sees the messages again, but not private answers.
	Clear()
	// Enter makes room the one that what is typed goes to. Each room keeps its own unsent draft.
	Enter(room chat.RoomName)
}

// Keyboard is what a client sends.
type Keyboard interface {
	// Input takes bytes as they came and returns what the person did. A sequence cut off at the end of p
	// is kept for the next call. It does not keep p.
	Input(p []byte) []Action
	// Waiting is for how long what the last bytes mean depends on whether more follow, as after an Esc; 0 where it does not.
	Waiting() time.Duration
	// Expire tells that no more followed for so long. Ask Waiting again after it.
	Expire() []Action
	// Dropped is how many bytes of the last Input went nowhere, as those of a paste that is too long.
	Dropped() int
	// End tells that no input follows; the last action is Quit.
	End() []Action
	// Forget takes a line out of those that come back with Up: it was typed ahead for a question, and may be a password.
	Forget(text string)
}

// Output is the bytes for the client. It holds what was written to it until Flush, so flush before delivering more.
type Output interface {
	// Pending reports whether Flush may have something.
	Pending() bool
	// Flush returns everything to write, to be written in one piece. The bytes are lent: they are good until Done.
	Flush() []byte
	// FlushErr is Flush for the error stream, which only a pipe has.
	FlushErr() []byte
	// Done gives back what Flush and FlushErr have returned last, once it is written: another session may have its room
	// then. What is not given back is never used again.
	Done()
	// Leave has the next Flush return the last words: the terminal is left as it was found.
	Close()
}

// terminalOutput is the part of Output that full and plain screens share.
type terminalOutput struct{ output output.Buffer }

// Done implements Output.
func (t *terminalOutput) Done() { t.output.Done() }

// FlushErr implements Output: a terminal has one stream.
func (t *terminalOutput) FlushErr() []byte { return nil }

// ActionKind tells what a person did.
type ActionKind int

const (
	Line      ActionKind = iota + 1 // submitted Text: a command, a message, which may have many lines, or an answer
	Quit                            // asked to leave, or cannot say anything more
	Interrupt                       // Ctrl+C with nothing typed, or instead of an answer
	Go                              // wants to be in Room
	Refused                         // submitted what cannot be a line; Text says why
)

// Action is one thing a person did.
type Action struct {
	Kind ActionKind
	Text string        // of a Refused: why; of a Line: valid UTF-8 without control characters but newlines, at most 2*chat.MaxText bytes
	Room chat.RoomName // of Go
}

// Room is a room as a UI shows it.
type Room struct {
	Name     chat.RoomName
	Topic    string
	Here     int // members who are there now
	Members  int
	Unread   int    // messages after Mark
	Mentions int    // of these, messages that name the person; in a direct room all of them
	Mark     uint64 // Seq of the last message the person has read; the unread line stands below it
	Sealed   int    // messages that came before those in memory, and that the person could open
}

// Look is how a person wants to see things. The zero Look is what somebody gets who chose nothing.
type Preferences struct {
	Zone  *time.Location // of times; nil for UTC
	Clock string         // layout of the time before a message, as in time.Format; empty for "15:04", "off" for none
	Theme string         // a name of Themes; empty for the first
	Bell  string         // "off", "mention" or "all"; empty for "mention"
	Mouse bool           // the wheel scrolls, and the terminal's own selection needs Shift
	Away  bool           // shown in the bar
}

// rings reports whether me wants to hear of a message.
func (l Preferences) rings(m *chat.Message, me text.Name) bool {
	if m.From == me || m.Kind != chat.Say && m.Kind != chat.Me {
		return false
	}
	switch l.Bell {
	case "off":
		return false
	case "all":
		return true
	}
	return m.Mentions(me)
}

// Past returns up to n messages of a room that come before the place before, the newest last: a full screen draws from
// it, so that it keeps none of them. before is a Message's Order; 0 is the room's end. The messages are shared.
type Past func(room chat.RoomName, before uint64, n int) []chat.Message

// Options tell a UI whom it serves, and where.
type Options struct {
	Me            chat.Name
	Width, Height int    // cells; 0 where unknown
	Term          string // the client's TERM
	ColorTerm     string // the client's COLORTERM; "truecolor" and "24bit" promise any colour
	NoColor       bool   // the client's NO_COLOR is set
	Server        string // the server's name, shown to people
	Preferences   Preferences
	Since         time.Time // when the session began: of what was said before no bell rings
	Past          Past      // needed by a full screen
	Lines         *Lines    // rendered messages, shared by the sessions of a server; nil for none shared

	// Complete returns what could stand in place of line[start:cursor]. start and cursor are byte offsets. It may be nil.
	Complete func(line string, cursor int) (start int, candidates []string)
}

// size returns what a UI works with where a client claims width and height.
func size(width, height int) (int, int) {
	if width <= 0 {
		width = defaultWidth
	}
	if height <= 0 {
		height = defaultHeight
	}
	return min(max(width, minWidth), MaxWidth), min(height, MaxHeight)
}
