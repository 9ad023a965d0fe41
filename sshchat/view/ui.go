// Package view is what a session shows and how it is typed into: state machines from deliveries and input bytes
// to output bytes and actions. It knows nothing of SSH, files, goroutines, clocks, or what a command does.
//
// Every UI obeys two laws. Nothing reaches a terminal but printable text and the control bytes the UI itself
// means: all output goes through output.Buffer. And no row uses the last column: terminals differ in what they do there.
package view

import (
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view/output"
)

// The limits of a terminal's size, in cells, whatever the client says.
const (
	MaxWidth  = 500
	MaxHeight = 200

	minWidth      = 2
	defaultWidth  = 80 // if the client says 0, as many without a real terminal do
	defaultHeight = 24
)

// UI turns what happens in a session into bytes for one client, and the client's bytes into actions. It belongs to one
// goroutine. The zero UI means that there is no UI, as for a command without a terminal.
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
	// Show shows a long text that the person asked for, like a list: a full screen shows it over the messages.
	Show(title, text string)
	// Ask asks a question: the next Line is its answer. With echo false the answer is neither shown nor kept.
	// An Interrupt withdraws the question.
	Ask(question string, echo bool)

	// Resize sets the terminal's size in cells; 0 means unknown.
	Resize(width, height int)
	// Rooms sets the person's rooms, in the order of display: at the start and whenever one changes.
	Rooms(rooms []Room)
	// Set applies the person's preferences, at the start and whenever they change.
	Set(p Preferences)
	// Following reports whether the end of the room is visible, so that new messages are seen as they arrive.
	Following() bool
	// Clear empties the screen. Nothing is deleted: scrolling up shows the messages again, but not private answers.
	Clear()
	// Enter switches to a room: lines that are typed go there. Each room keeps its own unsent draft.
	Enter(room chat.RoomName)
}

// Keyboard is what a client sends.
type Keyboard interface {
	// Input takes bytes as they arrived and returns the actions. A sequence cut off at the end of p is kept for the next
	// call. It does not keep p.
	Input(p []byte) []Action
	// Waiting is how long to wait for more input before calling Expire, as after an Esc; 0 if nothing is incomplete.
	Waiting() time.Duration
	// Expire reports that nothing arrived for that long. Call Waiting again after it.
	Expire() []Action
	// Dropped is how many bytes of the last Input were dropped, as when a paste is too long.
	Dropped() int
	// End reports the end of input; the last action is Quit.
	End() []Action
	// Forget removes a line from those that Up brings back: it was typed before a question was asked, and may be a password.
	Forget(text string)
	// Drafts returns what is typed and not sent in each room, the current room's first. An answer to a question is no draft.
	Drafts(current chat.RoomName) []Draft
	// Restore gives drafts back to rooms in which nothing is typed.
	Restore(current chat.RoomName, drafts []Draft)
}

// Draft is the unsent line of a room.
type Draft struct {
	Room chat.RoomName
	Text string
}

// Output is the bytes for the client. They are held until Flush, so flush before delivering more.
type Output interface {
	// Pending reports whether Flush may have something.
	Pending() bool
	// Flush returns everything to write, to be written in one piece. The bytes are lent: they are valid until Done.
	Flush() []byte
	// FlushErr is Flush for the error stream, which only a pipe has.
	FlushErr() []byte
	// Done returns the memory of the last Flush and FlushErr, once it is written, for other sessions to use. Memory that is
	// not returned is never reused.
	Done()
	// Notify has the terminal show a notification on the desktop, in its way.
	Notify(kind output.Notification, title, said string)
	// Close makes the next Flush the last one: it restores the terminal.
	Close()
}

// terminalOutput is the part of Output that full and plain screens share.
type terminalOutput struct{ output output.Buffer }

// Notify implements Output.
func (t *terminalOutput) Notify(kind output.Notification, title, said string) {
	t.output.Open()
	t.output.Notify(kind, title, said)
}

// Done implements Output.
func (t *terminalOutput) Done() { t.output.Done() }

// FlushErr implements Output: a terminal has one stream.
func (t *terminalOutput) FlushErr() []byte { return nil }

// ActionKind is what a person did.
type ActionKind int

const (
	Line      ActionKind = iota + 1 // submitted Text: a command, a message, which may have many lines, or an answer
	Quit                            // asked to leave, or the input has ended
	Interrupt                       // Ctrl+C instead of an answer
	Go                              // asked to switch to Room
	Refused                         // submitted something that is not a valid line; Text says why
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
	Here     int32 // members who are online
	Members  int32
	Unread   int          // messages after Mark
	Mentions int32        // of these, messages that mention the person; in a direct room all of them, unless it is hushed
	Dim      int32        // of the unread messages, those that are not to draw attention, as in a hushed room
	Mark     uint64       // Seq of the last message the person has read; the unread line stands below it
	Other    string       // of a direct room: whether the other person is online, as in "away (lunch)"; empty if it is unknown
	Sealed   int          // older messages that are not in memory, and that the person can decrypt
	People   *chat.Roster // who is in it, for the pane beside its messages; nil if there is none
	Unlocked *Unlocked    // of such messages, those that are unlocked in this session; they are not among Sealed
}

// Unlocked is what is unlocked of a room in this session. It is not changed: another one shows a change.
type Unlocked struct {
	Opening bool // Past does not have the first of the messages yet
}

// Preferences is how a person wants the chat to look. The zero value is the default.
type Preferences struct {
	Zone  *time.Location // of times; nil for UTC
	Clock string         // layout of the time before a message, as in time.Format; empty for "15:04", "off" for none
	Theme string         // one of theme.Names; empty for the first
	Bell  string         // "off", "mention" or "all"; empty for "mention"
	Mouse bool           // the wheel scrolls, and the terminal's own selection needs Shift
	Away  bool           // shown in the bar

	Compact bool // names stand before messages; else, on full screens of 60 columns and more, in a column of their own
}

// news is how many unread messages the person wants to know of.
func (r *Room) news() int { return r.Unread - int(r.Dim) }

// Past is the messages of rooms, by their DisplaySeq. A full screen draws from it, and keeps no messages. The messages are
// shared, and good until the next call of the UI.
type Past interface {
	// Before returns up to n messages of a room from before a DisplaySeq, the newest last; 0 is the room's end.
	Before(room chat.RoomName, before uint64, n int) []chat.Message
	// After returns up to n messages of a room from after a DisplaySeq, the oldest first. If it returns none, more reports
	// whether there are any that are not here yet.
	After(room chat.RoomName, after uint64, n int) (messages []chat.Message, more bool)
	// First is the first DisplaySeq of messages in memory. Those before it are unlocked for this session alone.
	First() uint64
}

// Find returns message seq of a room as it is now; ok is false if it is not in memory, or not to be shown to the person.
type Find func(room chat.RoomName, seq uint64) (m chat.Message, ok bool)

// quote is how a message is named that another one refers to: by whom it is, and the beginning of what it says now.
func (find Find) quote(room chat.RoomName, seq uint64, me chat.Name) string {
	const most = 60 // bytes
	if find == nil {
		return "an earlier message"
	}
	m, ok := find(room, seq)
	if !ok {
		return "an earlier message"
	}
	by := m.From.String()
	if m.From == me {
		by = "you"
	}
	if m.Deleted {
		return by + " (deleted)"
	}
	said, rest, _ := strings.Cut(m.Text.String(), "\n")
	cut := text.Clean(said, most)
	if len(cut) < len(said) || rest != "" {
		cut += "…"
	}
	quoted := by + " \"" + cut + "\""
	if m.Edited {
		quoted += " (edited)"
	}
	return quoted
}

// Options describe the user and the terminal.
type Options struct {
	Me            chat.Name
	Width, Height int    // cells; 0 where unknown
	Term          string // the client's TERM
	ColorTerm     string // the client's COLORTERM; "truecolor" and "24bit" promise any color
	NoColor       bool   // the client's NO_COLOR is set
	ASCII         bool   // the client's locale is not in UTF-8: no lines are drawn
	Server        string // the server's name, shown to people
	Preferences   Preferences
	Since         time.Time           // when the session began: older messages do not ring
	Past          Past                // needed by a full screen
	Lines         *Lines              // rendered messages, shared by the sessions of a server; nil if they are not shared
	Find          Find                // what messages refer to; nil: nothing of it is shown
	Filter        func() *chat.Filter // what the person hides, by which reactions are counted, and what mentions them; nil: nothing

	// Complete returns candidates that could replace line[start:cursor]. start and cursor are byte offsets. It may be nil.
	Complete func(line string, cursor int) (start int, candidates []string)
}

// filter is the person's; nil for none.
func (o *Options) filter() *chat.Filter { return filterOf(o.Filter) }

func filterOf(filter func() *chat.Filter) *chat.Filter {
	if filter == nil {
		return nil
	}
	return filter()
}

// size is the size that a UI uses for a client that reports width and height.
func size(width, height int) (int, int) {
	if width <= 0 {
		width = defaultWidth
	}
	if height <= 0 {
		height = defaultHeight
	}
	return min(max(width, minWidth), MaxWidth), min(height, MaxHeight)
}
