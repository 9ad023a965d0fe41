// Package command holds everything a person can tell the server to do; commands that belong together share a file. One
// registry serves them all in both UIs, "/join #dev" in the chat and "ssh host join #dev", and their help. It knows
// nothing of SSH, terminals or files: what it needs of the server it names as interfaces.
package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

// UI is where a command can be given.
type UI int

const (
	Chat UI = 1 << iota // a line that begins with '/' in a session
	Exec                // ssh host COMMAND
	Both = Chat | Exec
)

// Command is one entry of the registry. What a caller may do is checked before Run, never in it.
type Command struct {
	Name     string   // one word, or two as in "key add"
	Aliases  []string // other names, in either UI
	Args     string   // shown in usage: "ROOM TEXT"; a [ROOM] may be left out in the chat
	Brief    string   // one line of help, at most 46 cells
	More     string   // what else there is to know; commands that it names stand in backquotes
	Hint     string   // in the chat, what a call without its text may have meant; USER stands for the first word
	ExecMore string   // what else there is to know by exec: standard input, and what to do without a terminal
	Instead  string   // what to do instead if arguments are missing or name nobody; commands that it names stand in backquotes
	Yours    string   // what somebody without the role may have meant, as the end of the refusal; commands stand in backquotes
	UIs      UI
	Group    Group            // where help lists it
	List     bool             // its output is a list or a text: shown over the messages on a full screen
	Role     chat.Role        // the least that may use it; empty: everyone
	RoomAt   int              // which word is the room that it acts in, counted from 1; 0: none is
	InRoom   bool             // that room's moderators may use it as well
	Effect   Effect           // what it does to the state of the chat; required
	Audit    bool             // the audit log has a line for each use, where Effect and Role do not decide that already
	Says     func(*Call) bool // whether the call has others see words of the caller's; nil: if Effect is Speaks
	ID       bool             // its first word is the ID of a message, which it acts on
	Person   bool             // its words are people, not rooms
	Harmless bool             // it reveals and changes nothing: restricted keys may run it too
	Free     bool             // it may be used however often: it does nothing, or says something, which is counted as that
	Secret   bool             // its words are nobody's to read: the audit log has its name alone, and a session keeps no such line
	Account  bool             // an account is needed; otherwise it can be used while registering, too

	// How the arguments are parsed. Words: this many single words, then Text: the rest of the line exactly as it came,
	// quotes included; flags come before it. Without Text everything is words, split as a shell does, and flags. A room
	// that is one of the words, or the next after them, is with RoomAt.
	Words     int
	Text      bool
	WordsOnly bool // the text is single words: its flags may stand among them
	AsIs      bool // the text may begin like a flag: only flags that the command has, right before a word or the text, are flags
	Flags     func(*pflag.FlagSet)

	// Bytes reports whether what the call prints is for a program, byte by byte, as a tar is: then it is refused on a
	// terminal. nil: it prints text, and the registry sees that it does.
	Bytes func(*Call) bool

	// Choices are what the word after those before it can be, in the chat; nil: what Args says.
	Choices func(s *Services, a chat.Account, before []string) []string

	Run func(ctx context.Context, c *Call) error
}

// Effort is what somebody has the server do, as far as it matters how often.
type Effort int

const (
	Message Effort = iota + 1 // something is said
	Work                      // a command is run
	Change                    // it is audited even without a role
)

// Effect is what a command does to the state of the chat. What the muted, the outranked and others are refused, and what the
// audit log has a line for, follows from it, so every command names one: add panics without it.
//
// Which callers are refused, with exit status 3 and a line in the audit log, except for commands that only read:
//
//	                             | Reads | Speaks | ChangesOwn, ChangesAccount, ChangesServer | ChangesOthers
//	muted                        |   -   |  yes   | if it says something (Command.Says)       | if it says something
//	slowed, in that room         |   -   |  yes   |   -                                       |   -
//	ignored                      |   -   |   -, but who ignores them does not see it         |   -
//	banned, disabled, removed    |  yes  |  yes   |  yes                                      |  yes
//	restricted key, not for it   |  yes  |  yes   |  yes                                      |  yes
//	outranked                    |   -   |   -    |   -                                       | if it acts against somebody
//	without the role,            | if it needs one (Command.Role)
//	or the second factor for it  |
//	rights gone while it waits   |  yes  |  yes   |  yes                                      |  yes
//
// TestAttackEveryCommandInEveryCondition tries each command in each of them.
type Effect int

const (
	Reads          Effect = iota + 1 // it prints something, or changes only the session in which it is used
	Speaks                           // others see words of the caller's
	ChangesOwn                       // it changes what is the caller's: settings, rooms they are in
	ChangesAccount                   // it changes how the caller logs in and reads: keys, password, second factor, role
	ChangesOthers                    // it acts on other people, on their messages, or on a room
	ChangesServer                    // it changes what is everybody's
)

// all is every command. Each is added where it is defined, by var _ = add(…); the registry sorts them.
var all []*Command

// add is not inlined, which would write it out a hundred times: 60 KB of the program.
//
//go:noinline
func add(c *Command) *Command {
	if c.Effect < Reads || c.Effect > ChangesServer {
		panic("internal error: the command " + c.Name + " does not say what its effect is")
	}
	all = append(all, c)
	return c
}

// Values of Says.

func withText(c *Call) bool { return c.Text != "" }

// withReason is withText where a duration comes before the reason.
func withReason(c *Call) bool {
	_, why := cutWord(c.Text)
	return why != ""
}

func always(*Call) bool { return true }

// bytesOut is for Bytes of a command that never prints anything else.
func bytesOut(*Call) bool { return true }

func jsonFlag(f *pflag.FlagSet) { f.Bool("json", false, "print one JSON object per line") }

// mayOmitRoom reports whether the command is for the session's room where none is named. By exec there is no such room.
func (cmd *Command) mayOmitRoom(ui UI) bool {
	return ui == Chat && strings.Contains(cmd.Args, "[ROOM]")
}
