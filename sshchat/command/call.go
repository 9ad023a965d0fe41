package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// Call is one use of a command.
type Call struct {
	*Services
	Command    *Command
	UI         UI
	Next       UI           // where the caller will be typing after this command; zero: in UI
	At         net.Addr     // the address of the server that the connection came to
	Account    chat.Account // the caller's; the zero Account while registering
	Name       chat.Name    // the login name; Account's name if there is one
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
	Err        io.Writer // for people
	Session    Session
	Caller     Caller
	Past       Unlocked // of the session
	// Who returns the caller as the session is now: a command may change what its login has to prove.
	Who func() chat.Caller
	// Notification is how the session's terminal shows notifications, as "OSC 9"; empty if it is not known to.
	Notification string

	opened    int           // bytes of unlocked history that were read and not paid for
	unwritten int           // refusals before this one that the audit log does not have
	recorded  bool          // the audit log has a line: it was stored with what was decided
	sessions  []LiveSession // as glanced found them; nil: it did not look
	warned    bool          // it was warned that messages are sealed to nobody
}

// Unlocked is the part of a session that holds what is unlocked of a room's history.
type Unlocked interface {
	// Unlocked returns it; nil for nothing.
	Unlocked() *past.Past
	// SetUnlocked has p be it, nil for nothing, and wipes what was.
	SetUnlocked(p *past.Past)
}

// Session is the caller's session, for commands that act on it.
type Session interface {
	// Room is the current room, to which typed messages go; #general in exec.
	Room() chat.RoomName
	// SetRoom changes the current room.
	SetRoom(room chat.RoomName)
	// Sent shows note if what was just sent to the room is not to be seen where the caller is.
	Sent(room chat.RoomName, note string)
	// Standing is how the rooms of this session stand, in the order they are shown in, and the room that was left for this one;
	// zero if there is none.
	Standing() (rooms []chat.InboxRoom, before chat.RoomName)
	// Correspondent is who last sent the caller a direct message in this session; zero if nobody did.
	Correspondent() chat.Name
	// Ask asks a question and waits for the answer. It fails with ErrNobodyToAsk if there is no terminal. With echo false
	// the answer is not shown.
	Ask(ctx context.Context, question string, echo bool) (string, error)
	// Quit ends the session after the command.
	Quit()

	// The rest is for the chat alone, but for Zone.

	// Show shows a long text with a title, over the messages on a full screen.
	Show(title, text string)
	// Clear clears the screen, if there is one.
	Clear()
	// Focus returns the only people that this session shows in rooms; empty: everybody.
	Focus() []chat.Name
	SetFocus(people []chat.Name)
	// Zone is the default time zone of the session.
	Zone() *time.Location
}

// Caller is the calling user: what they proved at login, what is counted against them, and how fast they may act.
type Caller interface {
	// CheckPassword runs check, which checks a password of the caller's account, and counts wrong ones. It returns
	// check's error, or a refusal after too many wrong passwords.
	CheckPassword(look func() error) error
	// MayRegister returns a refusal while too many accounts have been created lately.
	MayRegister() error
	// CountRegistration counts an account that is about to be made, or refuses as MayRegister does. Call giveBack if it
	// is not created after all.
	CountRegistration() (giveBack func(), err error)
	// MayClaim counts a code entered to become the first admin. It refuses sources that entered many.
	MayClaim() error
	// Registered makes this session, and no other of its connection, a session of the new account.
	Registered(a chat.Account)
	// Renew runs change, which changes the password or second factor of the caller's account. This session, and no other,
	// then continues as one that proved what change returns: a password's generation, and whether there was a second
	// factor. After a login by key it only runs change.
	Renew(change func() (generation string, second bool, err error)) error
	// Pace is called before posting text, or running the command line text. A caller who is too fast is refused with an
	// error that contains the text; a program waits instead. Its error is to be returned.
	Pace(ctx context.Context, what Effort, text string) error
	// Denied reports whether to write a refusal for lack of rights to the audit log, and how many were left out since the
	// last line.
	Denied() (unwritten int, due bool)
}

// Printf writes to standard output.
func (c *Call) Printf(format string, args ...any) { fmt.Fprintf(c.Out, format, args...) }

// Notef writes a line for people to standard error.
func (c *Call) Notef(format string, args ...any) { fmt.Fprintf(c.Err, format+"\n", args...) }

// printSecret writes a secret that was made: for a person with what it is, for a script alone on its line.
func (c *Call) printSecret(what string, secret []byte) {
	if c.UI == Chat || c.Terminal {
		c.Printf("%s: ", what)
	}
	c.Printf("%s\n", secret)
}

// json reports whether --json was given.
func (c *Call) json() bool {
	on, err := c.Flags.GetBool("json")
	return err == nil && on
}

// printJSON writes v as one line, with < > & as they are: it is read by jq, not by a browser.
func (c *Call) printJSON(v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("internal error: encode " + err.Error()) // all that is printed is plain data
	}
	c.Out.Write(b.Bytes())
}

// table is rows of words that are printed in columns as wide as what is in them, two blanks apart. The last is as long as
// it is.
type table [][]string

func (t *table) row(words ...string) { *t = append(*t, words) }

// print prints the rows.
func (t table) print(c *Call) {
	var widths []int
	for _, row := range t {
		for i, word := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(word))
		}
	}
	for _, row := range t {
		var b strings.Builder
		for i, word := range row {
			b.WriteString(word)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(word)+2))
			}
		}
		c.Printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// usage refuses arguments, and shows how the command is used in the UI it was called from.
func (c *Call) usage(format string, args ...any) error {
	said := fmt.Sprintf(format, args...)
	if strings.HasPrefix(said, c.Command.Name) {
		said = c.UI.Type(said)
	}
	return refuse(chat.Usage, "%s\nusage: %s", []any{said, c.Command.usage(c.UI)})
}

// need refuses fewer arguments than n.
func (c *Call) need(n int) error {
	if len(c.Args) < n {
		return c.missing()
	}
	return nil
}

// missing refuses a call that lacks arguments, and names all that the command needs.
func (c *Call) missing() error {
	said := c.Command.Name + " needs " + c.Command.required() + c.instead()
	if c.Command.Hint != "" && c.UI == Chat && len(c.Args) > 0 {
		said += "; " + c.UI.words(strings.Replace(c.Command.Hint, "USER", c.Args[0], 1))
	}
	return c.usage("%s", said)
}

// instead ends a refusal with what to do instead, if it has one.
func (c *Call) instead() string {
	if c.Command.Instead == "" {
		return ""
	}
	return "; " + c.UI.words(c.Command.Instead)
}

// empty says that a list has no entries. Programs that read JSON see that by themselves.
func (c *Call) empty(entries int, said string) {
	if entries == 0 && !c.json() {
		c.Notef("%s", said)
	}
}

// target is the room that the command acts in.
func (c *Call) target() (chat.RoomName, error) { return c.room(c.roomWord) }

// room reads a room as its user writes it: "#dev", "dev", "@bob" for the direct room with bob.
// An empty word is the session's room.
func (c *Call) room(word string) (chat.RoomName, error) {
	if word == "" {
		return c.Session.Room(), nil
	}
	if rest, direct := strings.CutPrefix(word, "@"); direct {
		other, err := c.person(rest)
		if err != nil {
			return chat.RoomName{}, err
		}
		return text.Direct(c.Account.Name, other), nil
	}
	name, err := text.ParseRoomName(word)
	if err != nil {
		return chat.RoomName{}, c.usage("%v", err)
	}
	return name, nil
}

// person parses the name of an existing account, with or without @.
func (c *Call) person(word string) (chat.Name, error) {
	name, err := c.personName(word)
	if err != nil {
		return chat.Name{}, err
	}
	if _, ok := c.Hub.View().ByName(name); !ok {
		return chat.Name{}, notFound("no account named %s", name)
	}
	return name, nil
}

// personName reads a name, with or without @.
func (c *Call) personName(word string) (chat.Name, error) {
	name, err := text.ParseName(strings.TrimPrefix(word, "@"))
	if err != nil {
		return chat.Name{}, c.usage("%v", err)
	}
	return name, nil
}

// account returns the account of that name, with or without @.
func (c *Call) account(word string) (chat.Account, error) {
	name, err := c.personName(word)
	if err != nil {
		return chat.Account{}, err
	}
	a, ok := c.Hub.View().ByName(name)
	if !ok {
		return a, notFound("no account named %s", name)
	}
	return a, nil
}

// accountMeant returns the account that the first word names. It refuses a call with fewer than n words.
func accountMeant(c *Call, n int) (chat.Account, error) {
	if err := c.need(n); err != nil {
		return chat.Account{}, err
	}
	return c.account(c.Args[0])
}

// zone is the time zone for times shown to the caller.
func (c *Call) zone() *time.Location {
	if zone := c.settings().Zone; zone != nil {
		return zone
	}
	return c.Session.Zone()
}

// decide submits the caller's intent. When it returns nil the decision holds everywhere, but for nodes that it says did not answer, and
// the command's line in the audit log, if any, is written.
func (c *Call) decide(ctx context.Context, in chat.Intent) error {
	_, err := decideEnding(ctx, c, in)
	return err
}

// decideEnding is decide, which also returns how many sessions have ended by it.
func decideEnding(ctx context.Context, c *Call, in chat.Intent) (ended int, err error) {
	before, after := c.Hub.View(), c.Hub.Applied()
	if err := submit(ctx, c, in); err != nil {
		return 0, err
	}
	if _, own := in.(chat.LeaveRoom); own { // who leaves a room may do so
		return 0, nil
	}
	return settle(ctx, c, before, after), nil
}

// settle waits, if anything was taken from somebody since then, until no node serves who may no longer be served, and returns how many
// sessions have ended. Nodes that do not answer are named.
func settle(ctx context.Context, c *Call, before chat.View, after uint64) (ended int) {
	if c.Live == nil || !c.Hub.View().TakesFrom(before) {
		return 0
	}
	ended, silent := c.Live.Settle(ctx, after, c.Hub.Applied())
	if len(silent) > 0 && ctx.Err() == nil {
		c.Notef("No answer from %s. A node that does not know of this yet lets nobody in and takes no messages.\n"+
			"People who are connected there can read what was said before for up to 30 seconds.", inWords("node", silent))
	}
	return ended
}

// renew is Caller.Renew, with a change that submits something, and waits for others after it: the session has what it has to prove then,
// so that it is none of those that are waited for.
func renew(ctx context.Context, c *Call, change func() (generation string, second bool, err error)) error {
	before, after := c.Hub.View(), c.Hub.Applied()
	err := c.Caller.Renew(change)
	if err == nil {
		settle(ctx, c, before, after)
	}
	return err
}

// inWords lists names of things: "node n2", or "nodes n2 and n3".
func inWords(thing string, names []string) string {
	if len(names) > 1 {
		thing += "s"
	}
	return thing + " " + text.List(names)
}

// submit is decide without waiting for others.
func submit(ctx context.Context, c *Call, in chat.Intent) error {
	var line *chat.AuditEntry
	if c.Command.audited() && c.Services.Audit != nil && !c.recorded {
		entry := c.act(nil)
		line = &entry
	}
	err := c.Hub.Decide(ctx, c.Who(), in, line)
	if err == nil && line != nil {
		c.recorded = true
	}
	return err
}

// may refuses what would be refused if it were to be decided now: before an answer is asked for, or time is spent on it.
func (c *Call) may(in chat.Intent) error {
	_, err := c.Hub.View().Check(c.Who(), in)
	return err
}

// says submits an intent that shows others the text, at the rate of messages.
func (c *Call) says(ctx context.Context, text string, in chat.Intent) error {
	if err := c.may(in); err != nil {
		return err
	}
	if err := c.Caller.Pace(ctx, Message, text); err != nil {
		return err
	}
	return c.decide(ctx, in)
}

// How commands read standard input, which a person names by a single -.

// eachLine calls f with each line of standard input, without its end, until f fails. A line of more than max bytes, or that
// is not UTF-8, is an error, and so is one that was cut off by the end of the session: only the end of input ends the last.
func eachLine(c *Call, max int, f func(line string) error) error {
	in := bufio.NewReaderSize(c.In, max+len("\r\n"))
	for number := 1; ; number++ {
		b, err := in.ReadSlice('\n')
		last := errors.Is(err, io.EOF)
		switch {
		case last && len(b) == 0:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			return failed("line %d of standard input is longer than %d bytes", number, max)
		case err != nil && !last:
			return err
		}
		line := string(trimEnd(b))
		if number == 1 {
			line = strings.TrimPrefix(line, text.BOM)
		}
		if err := text.Check(line); err != nil {
			return failed("line %d of standard input: %v", number, err)
		}
		if err := f(line); err != nil {
			return err
		}
		if last {
			return nil
		}
	}
}

// trimEnd takes away the end of a line, as Unix or Windows write it.
func trimEnd(b []byte) []byte {
	for _, end := range []byte("\n\r") {
		if n := len(b); n > 0 && b[n-1] == end {
			b = b[:n-1]
		}
	}
	return b
}

// readAll reads standard input to its end: text of at most max bytes.
func readAll(c *Call, max int) (string, error) {
	b, err := io.ReadAll(io.LimitReader(c.In, int64(max)+1))
	if err != nil {
		return "", err
	}
	if len(b) > max {
		return "", failed("standard input is longer than %d bytes", max)
	}
	if err := text.Check(string(b)); err != nil {
		return "", failed("standard input: %v", err)
	}
	return strings.TrimPrefix(string(b), text.BOM), nil
}
