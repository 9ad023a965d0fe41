// Package command holds everything a person can tell the server to do, each command in a file of its own.
// One registry serves them all in both faces, "/join #dev" in the chat and "ssh host join #dev", and their help.
// It knows nothing of SSH, terminals or files: what it needs of the server it names as interfaces.
package command

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

// Face is where a command can be given.
type Face int

const (
	Chat Face = 1 << iota // a line that begins with '/' in a session
	Exec                  // ssh host COMMAND
	Both = Chat | Exec
)

// Command is one entry of the registry. What a caller may do is checked before Run, never in it.
type Command struct {
	Name     string   // one word, or two as in "key add"
	Aliases  []string // other names, in either face
	Args     string   // shown in usage: "ROOM TEXT"; a [ROOM] may be left out in the chat
	Brief    string   // one line of help, at most 46 cells
	More     string   // what else there is to know; commands that it names stand in backquotes
	ExecMore string   // what else there is to know by exec: standard input, and what to do without a terminal
	Faces    Face
	Group    Group            // where help lists it
	List     bool             // what it prints is for reading: shown over the messages, where there is a screen
	Role     chat.Role        // the least that may use it; empty: everyone
	RoomAt   int              // which word is the room that it acts in, counted from 1; 0: none is
	InRoom   bool             // that room's moderators may use it as well
	Effect   Effect           // what it does to the state of the chat; required
	Audit    bool             // the audit log has a line for each use, where Effect and Role do not decide that already
	Says     func(*Call) bool // whether the call has others see words of the caller's; nil: if Effect is Speaks
	Person   bool             // its words are people, not rooms
	Harmless bool             // it tells nothing and does nothing: also a restricted key may run it
	Free     bool             // it may be used however often: it does nothing, or says something, which is counted as that
	Secret   bool             // its words are nobody's to read: the audit log has its name alone
	Account  bool             // an account is needed; without it whoever is about to register may use it too

	// How what follows the name is read. Words: so many single words, then Text: the rest of the line
	// exactly as it came, quotes included; flags come before it. Without Text everything is words, split as a shell
	// does, and flags. A room that is one of the words, or the next after them, is with RoomAt.
	Words     int
	Text      bool
	WordsOnly bool // the text is single words: its flags may stand among them
	Flags     func(*pflag.FlagSet)

	// Bytes reports whether what the call prints is for a program, byte by byte, as a tar is: then it is refused on a
	// terminal. nil: it prints text, and the registry sees that it does.
	Bytes func(*Call) bool

	Run func(ctx context.Context, c *Call) error
}

// Effort is what somebody has the server do, as far as it matters how often.
type Effort int

const (
	Message Effort = iota + 1 // something is said
	Work                      // a command is run
	Change                    // one without a role does what the audit log tells
)

// Call is one use of a command.
type Call struct {
	*Services
	Command    *Command
	Face       Face
	Next       Face         // where the caller will be typing after this command; zero: in Face
	At         net.Addr     // the address of the server that the connection came to
	Account    chat.Account // who calls; the zero Account while registering
	Name       chat.Name    // the name of the login; that of Account where there is one
	Terminal   bool         // it was asked for on a terminal, which changes bytes: it ends lines in its own way
	Key        *chat.Key    // the key proven in this login, if it was by key and has no account
	Source     string       // where the connection comes from, for the log
	Args       []string     // the words; a room that was left out is among them
	Text       string       // the rest of the line
	Flags      *pflag.FlagSet
	endOfFlags bool      // -- was among the flags
	roomWord   string    // what RoomAt says, as it was typed; empty for the session's room
	In         io.Reader // what a script sends; empty in chat
	Out        io.Writer // data
	Err        io.Writer // words for a person
	Session    Session
	Caller     Caller
	// Who is who asks, as the session stands now: a command may change what its login has to prove.
	Who func() chat.Caller

	unwritten int  // refusals before this one that the audit log does not have
	warned    bool // that what is said is sealed to nobody
}

// Session is the caller's session, for commands that act on it.
type Session interface {
	// Room is where what is typed goes; #general in exec.
	Room() chat.RoomName
	// Enter makes room the one where what is typed goes.
	Enter(room chat.RoomName)
	// Correspondent is who last sent the caller a direct message in this session; zero if nobody did.
	Correspondent() chat.Name
	// Ask asks a question and waits for the answer. It fails with ErrNobodyToAsk where there is no terminal.
	// With echo false the answer is not shown.
	Ask(ctx context.Context, question string, echo bool) (string, error)
	// Quit ends the session after the command.
	Quit()

	// The rest is for the chat alone, but for Zone.

	// Show shows a text of many lines that the caller asked for by title, over the messages where there is a screen.
	Show(title, text string)
	// Clear forgets what is on the screen, where there is one.
	Clear()
	// Focus is whom alone this session shows in rooms; nobody: everybody.
	Focus() []chat.Name
	SetFocus(people []chat.Name)
	// Zone is that of times for who chose none.
	Zone() *time.Location
}

// Caller is who calls: what they proved when they logged in, what is counted against them, and how fast they may act.
type Caller interface {
	// Guess runs look, which checks a password of the caller's account, under the count of its wrong ones. It returns
	// look's error, or a refusal where too many were wrong.
	Guess(look func() error) error
	// MayRegister refuses, in words, while too many accounts have been made lately.
	MayRegister() error
	// CountRegistration counts an account that is about to be made, or refuses as MayRegister does. giveBack is to be called
	// if it is not made after all.
	CountRegistration() (giveBack func(), err error)
	// MayClaim counts a code that is shown to become the first admin. It refuses, in words, sources that showed many.
	MayClaim() error
	// Registered tells the session that it now is the account's as it stands: only this one, not others of its connection.
	Registered(a chat.Account)
	// Renew runs change, which changes the password or second factor of the caller's account, and has this session, and no
	// other, go on as one that proved what change returns: the generation of a password, and whether a second factor. After
	// a login by key it only runs change.
	Renew(change func() (generation string, second bool, err error)) error
	// Pace is called before text is said, or the command line text is run. Who is too fast is refused, in words that
	// hold the text, or where nobody would read them waits. Its error is for the caller's caller.
	Pace(ctx context.Context, what Effort, text string) error
	// Denied reports whether the audit log is to have a line of something that was refused to the caller for want of rights,
	// and how many it was not to have since the last.
	Denied() (unwritten int, due bool)
}

// Services is what the commands work on.
type Services struct {
	Hub          *chat.Hub
	Accounts     Accounts
	Passwords    Passwords
	SecondFactor SecondFactor
	History      History
	Readers      *Readers // who reads it at once; nil: as many as like
	Audit        Audit
	Live         Live
	Tries        Tries
	Sources      Sources
	Motd         Motd
	HostKeys     HostKeys
	Backup       func(ctx context.Context, w io.Writer, hostKeys bool) error // a tar of the data folder
	Reload       func(context.Context) (done []string, err error)            // takes what was changed by hand in the data folder
	Claim        *Claim
	Commands     *Registry
	ServerName   string   // shown to people
	Themes       []string // names of the colours a screen can have, the usual one first
	Address      string   // as people reach it, "-p 2222 NAME@chat.host"; if empty, where each of them connected to
	Version      string
	Registration bool                                 // strangers may register
	ByInvite     bool                                 // and need the code of an invite for it
	Sign         func(message []byte) ([]byte, error) // SSHSIG by the host key, namespace sshchat-history
	Log          Logger
}

// Logger takes what the operator should know.
type Logger interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Printf writes data.
func (c *Call) Printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// Notef writes words for a person.
func (c *Call) Notef(format string, args ...any) { fmt.Fprintf(c.Err, format+"\n", args...) }
