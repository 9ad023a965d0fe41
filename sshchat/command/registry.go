package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// Registry is the commands by name.
type Registry struct {
	commands []*Command // sorted by name
	byName   map[Face]map[string]*Command
}

// NewRegistry returns the registry of all commands. It panics on two of one name in one face: a mistake made while
// programming.
func NewRegistry() *Registry {
	r := &Registry{byName: map[Face]map[string]*Command{Chat: {}, Exec: {}}}
	for _, c := range all {
		r.commands = append(r.commands, c)
		for face, byName := range r.byName {
			for _, name := range append([]string{c.Name}, c.Aliases...) {
				if c.Faces&face == 0 {
					continue
				}
				if byName[name] != nil {
					panic("internal error: two commands named " + name)
				}
				byName[name] = c
			}
		}
	}
	slices.SortFunc(r.commands, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// Find returns the command that line begins with, in this face, and the rest of the line.
// Two words are tried before one.
func (r *Registry) Find(face Face, line string) (*Command, string, error) {
	word, rest := cutWord(line)
	second, rest2 := cutWord(rest)
	if c := r.byName[face][strings.ToLower(word+" "+second)]; second != "" && c != nil {
		return c, rest2, nil
	}
	if c := r.byName[face][strings.ToLower(word)]; c != nil {
		return c, rest, nil
	}
	return nil, "", r.unknown(face, word)
}

// Run runs the command that line begins with. call needs everything but Command, Args, Text and Flags.
func (r *Registry) Run(ctx context.Context, line string, call Call) error {
	cmd, rest, err := r.Find(call.Face, line)
	if err != nil {
		word, rest := cutWord(line)
		if next, _ := cutWord(rest); next == "-h" || next == "--help" {
			if help := r.helpUnder(&call, word); help != "" {
				call.Printf("%s", help)
				return nil
			}
		}
		return err
	}
	call.Command = cmd
	if err := call.hasAccount(); err != nil {
		return err
	}
	err = call.parse(rest) // before the rights: some depend on the room
	if refused := call.allowed(call.Account); refused != nil {
		return call.deny(ctx, line, refused)
	}
	if errors.Is(err, pflag.ErrHelp) {
		call.Printf("%s", cmd.help(call.Face))
		return nil
	}
	if err != nil {
		return err
	}
	return call.run(ctx, line)
}

// run runs a command that the caller may use, as long as they may.
func (c *Call) run(ctx context.Context, line string) error {
	cmd := c.Command
	printed, err := c.output(ctx)
	if err != nil {
		return err
	}
	ctx = c.watch(ctx)
	if !cmd.Free {
		if err := c.Session.Pace(ctx, Work, line); err != nil {
			return err
		}
	}
	if cmd.audited() && !c.ranked() && c.Account.ID != "" {
		if err := c.Session.Pace(ctx, Change, line); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if cmd.List && c.Face == Chat {
		return c.show(ctx, line)
	}
	err = cmd.Run(ctx, c)
	switch {
	case err == nil && c.cut != nil:
		err = c.cut
	case err == nil && printed.bad:
		err = fmt.Errorf("internal error: %s prints bytes and does not say so", cmd.Name)
	}
	if cmd.audited() {
		c.record(err)
	}
	return err
}

// show runs the command and shows what it prints under the line that asked for it. A few lines are an answer like others.
func (c *Call) show(ctx context.Context, line string) error {
	const few = 3
	var list strings.Builder
	out := c.Out
	c.Out = &list
	err := c.Command.Run(ctx, c)
	if said := list.String(); strings.Count(said, "\n") > few {
		c.Session.Show("/"+text.Clean(line, 72), said)
	} else {
		io.WriteString(out, said)
	}
	return err
}

// hasAccount refuses whoever has none what needs one.
func (c *Call) hasAccount() error {
	if !c.Command.Account && c.Command.Role == "" || c.Account.ID != "" {
		return nil
	}
	if !c.Registration {
		return denied("no account named %s here", c.Name)
	}
	return denied("no account named %s here; make it with: ssh %s register", c.Name, c.Login())
}

// allowed checks the rights of the caller, whose account is a now: here and nowhere else.
func (c *Call) allowed(a chat.Account) error {
	role := c.Command.Role
	if !c.Command.Harmless && !c.Only.Allows(c.Command.Name, c.targets()) {
		return denied("this key is for %s alone", c.Only)
	}
	switch {
	case role == "":
		return nil
	case a.Role.AtLeast(role) && c.Verified:
		return c.knowsRoom(a)
	case c.Command.InRoom && c.moderates():
		return nil
	case a.Role.AtLeast(role):
		return denied("%s takes a login by key, or a second factor: add a key (key add) or see totp enable, and reconnect", c.Command.Name)
	case c.Command.InRoom:
		return denied("%s is for %ss, and for those of the room", c.Command.Name, role)
	}
	return denied("%s is for %ss", c.Command.Name, role)
}

// targets are what the command names to act on, as keys are restricted to.
func (c *Call) targets() []string {
	targets := make([]string, len(c.Args))
	for i, word := range c.Args {
		switch {
		case strings.HasPrefix(word, "@"), c.Command.Person:
			targets[i] = "@" + strings.ToLower(strings.TrimPrefix(word, "@"))
		default:
			targets[i] = "#" + strings.ToLower(strings.TrimPrefix(word, "#"))
		}
	}
	return targets
}

// Login is how the caller's name reaches the server, for examples: "-p 2222 alice@chat.host".
func (c *Call) Login() string { return strings.Replace(c.Address, "NAME", c.Name.String(), 1) }

// knowsRoom refuses whoever is no admin what runs a private room that they are not in: they do not learn that it is there.
func (c *Call) knowsRoom(a chat.Account) error {
	if !c.Command.InRoom || a.Role.AtLeast(chat.Admin) {
		return nil
	}
	room, err := c.target()
	if err != nil || room.IsDirect() {
		return nil // which Run says
	}
	_, err = c.Hub.Room(a.Name, room)
	return err
}

// moderates reports whether the caller moderates the room that the command acts in.
func (c *Call) moderates() bool {
	room, err := c.target()
	return err == nil && c.Hub.Moderates(c.Account.Name, room)
}

// parse reads what follows the command's name.
func (c *Call) parse(rest string) error {
	cmd := c.Command
	c.Flags = pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
	c.Flags.SetOutput(io.Discard)
	c.Flags.Usage = func() {}
	if cmd.Flags != nil {
		cmd.Flags(c.Flags)
	}
	if cmd.Text {
		if word, _ := cutWord(rest); word == "-h" || word == "--help" {
			return pflag.ErrHelp
		}
		rest, err := c.leadingFlags(rest)
		if err != nil {
			return err
		}
		words := cmd.Words
		if !cmd.mayOmitRoom(c.Face) {
			words = max(words, cmd.RoomAt)
		}
		for range words {
			var word string
			if word, rest = cutQuoted(rest); word == "" {
				break
			}
			c.Args = append(c.Args, word)
		}
		if len(c.Args) < cmd.Words && cmd.RoomAt != len(c.Args)+1 {
			return c.usage("%s: something is missing", cmd.Name)
		}
		if cmd.RoomAt > words && strings.HasPrefix(rest, "#") {
			var word string
			word, rest = cutWord(rest)
			c.Args = append(c.Args, word)
		}
		if words > 0 {
			if rest, err = c.leadingFlags(rest); err != nil {
				return err
			}
		}
		c.Text = strings.TrimSpace(rest)
		if err := c.lateFlags(); err != nil {
			return err
		}
		return c.takeRoom()
	}
	words, err := split(rest)
	if err != nil {
		return c.usage("%s: %v", cmd.Name, err)
	}
	if err := c.Flags.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return c.usage("%s: %v", cmd.Name, err)
	}
	c.Args = c.Flags.Args()
	if cmd.Words >= 0 && len(c.Args) > cmd.Words {
		return c.usage("%s: too many arguments", cmd.Name)
	}
	return c.takeRoom()
}

// mayOmitRoom reports whether the command is for the session's room where none is named. By exec there is no such room.
func (cmd *Command) mayOmitRoom(face Face) bool {
	return face == Chat && strings.Contains(cmd.Args, "[ROOM]")
}

// takeRoom finds the room among the words. Which word it is depends on nothing but the command: its # is optional, except
// that in the chat, where the room may be left out, # tells it from the first word of a text.
func (c *Call) takeRoom() error {
	at := c.Command.RoomAt - 1
	switch {
	case at < 0:
		return nil
	case len(c.Args) < at:
		return c.usage("%s: something is missing", c.Command.Name)
	case len(c.Args) > at:
		c.roomWord = c.Args[at]
		if room, err := text.ParseRoomName(c.roomWord); err == nil {
			c.Args[at] = "#" + room.String()
		}
	case c.Command.mayOmitRoom(c.Face):
		c.Args = append(c.Args, c.Session.Room().For(c.Account.Name)) // for the audit log
	default:
		return c.usage("%s needs a room", c.Command.Name)
	}
	return nil
}

// target is the room that the command acts in.
func (c *Call) target() (chat.RoomName, error) { return c.room(c.roomWord) }

// leadingFlags reads the flags before a text, for a command that has any; "--" ends them. It returns the text.
func (c *Call) leadingFlags(rest string) (text string, err error) {
	for c.Command.Flags != nil && !c.endOfFlags {
		word, after := cutWord(rest)
		if !strings.HasPrefix(word, "--") {
			break
		}
		rest = after
		if word == "--" {
			c.endOfFlags = true
			break
		}
		words := []string{word}
		if f := c.Flags.Lookup(word[2:]); f != nil && f.NoOptDefVal == "" { // its value is the next word
			var value string
			if value, rest = cutWord(rest); value != "" {
				words = append(words, value)
			}
		}
		if err := c.Flags.Parse(words); err != nil {
			return "", c.usage("%s: %v", c.Command.Name, err)
		}
	}
	return rest, nil
}

// lateFlags finds flags in a text that come too late, so that none is silently a part of a reason or a key. Where the text
// is single words they are taken. A -- before them makes them text, and is none itself.
func (c *Call) lateFlags() error {
	if c.Command.Flags == nil || c.endOfFlags {
		return nil
	}
	words := strings.Fields(c.Text)
	isFlag := func(word string) bool {
		name, dashed := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		return dashed && c.Flags.Lookup(name) != nil
	}
	if !slices.ContainsFunc(words, isFlag) {
		return nil
	}
	var kept []string
	for i, word := range words {
		switch {
		case word == "--":
			kept = append(kept, words[i+1:]...)
			c.Text = strings.Join(kept, " ")
			return nil
		case !isFlag(word):
			kept = append(kept, word)
		case !c.Command.WordsOnly:
			return c.usage("%s: %s comes before the text; -- ends the flags, if it belongs to it", c.Command.Name, text.Clean(word, 40))
		default:
			if err := c.Flags.Parse([]string{word}); err != nil {
				return c.usage("%s: %v", c.Command.Name, err)
			}
		}
	}
	c.Text = strings.Join(kept, " ")
	return nil
}

// unknown refuses a command that is not there and names the nearest that is.
func (r *Registry) unknown(face Face, word string) error {
	word = strings.ToLower(word)
	slash := ""
	if face == Chat {
		slash = "/"
	}
	said := fmt.Sprintf("no command %s%s", slash, text.Clean(word, 40))
	if next := r.under(face, word); len(next) > 0 {
		return &chat.Refusal{Code: chat.Usage, Text: fmt.Sprintf("%s%s needs one of: %s", slash, word, strings.Join(next, ", "))}
	}
	best, near := min(2, len(word)/2)+1, "" // a word of two letters is near to everything
	for _, name := range r.Names(face) {
		if d := distance(word, name); d < best {
			best, near = d, name
		}
	}
	if near != "" {
		said += fmt.Sprintf("; did you mean %s%s?", slash, near)
	}
	return &chat.Refusal{Code: chat.Usage, Text: fmt.Sprintf("%s (%shelp lists them)", said, slash)}
}

// under lists the second words of the commands that begin with word, sorted.
func (r *Registry) under(face Face, word string) []string {
	var next []string
	for _, c := range r.commands {
		if second, ok := strings.CutPrefix(c.Name, word+" "); ok && c.Faces&face != 0 {
			next = append(next, second)
		}
	}
	return next
}

// Names lists the names that can be typed in a face, aliases included, sorted.
func (r *Registry) Names(face Face) []string {
	return slices.Sorted(maps.Keys(r.byName[face]))
}

// cutWord returns the first word of line and what follows it, without the spaces between.
func cutWord(line string) (word, rest string) {
	line = strings.TrimLeft(line, blanks)
	i := strings.IndexAny(line, blanks)
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], blanks)
}

// cutQuoted is cutWord for a word that may be in quotes, as where a whole command is in others: ssh h "say '#ops' hi".
// What follows is not looked at.
func cutQuoted(line string) (word, rest string) {
	if quoted, after := cutPhrase(line); !strings.ContainsAny(quoted, blanks) {
		return quoted, after
	}
	return cutWord(line)
}

// cutPhrase is cutWord for a word, or several in quotes.
func cutPhrase(line string) (phrase, rest string) {
	phrase, rest = cutWord(line)
	if phrase == "" || phrase[0] != '\'' && phrase[0] != '"' {
		return phrase, rest
	}
	line = strings.TrimLeft(line, blanks)
	quoted, after, closed := strings.Cut(line[1:], line[:1])
	if !closed || after != "" && strings.IndexByte(blanks, after[0]) < 0 {
		return phrase, rest
	}
	return quoted, strings.TrimLeft(after, blanks)
}

// blanks are what words are separated by.
const blanks = " \t\n"

// split splits a line into words; quotes and backslashes work as in a POSIX shell.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		switch r := runes[i]; {
		case r == '\\' && quote != '\'' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && strings.ContainsRune(blanks, r):
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// distance is the number of edits between two words, for words short enough to be commands: a letter more, less or
// another one, or two neighbours the wrong way round (Damerau and Levenshtein, as optimal string alignment).
func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 32
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(next[j]+1, row[j+1]+1, row[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
