package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// Registry is the commands by name.
type Registry struct {
	commands []*Command // sorted by name
	byName   map[UI]map[string]*Command
}

// NewRegistry returns the registry of all commands. It panics on two of one name in one UI: a mistake made while
// programming.
func NewRegistry() *Registry {
	r := &Registry{byName: map[UI]map[string]*Command{Chat: {}, Exec: {}}}
	for _, c := range all {
		r.commands = append(r.commands, c)
		for ui, byName := range r.byName {
			for _, name := range append([]string{c.Name}, c.Aliases...) {
				if c.UIs&ui == 0 {
					continue
				}
				if byName[name] != nil {
					panic("internal error: two commands named " + name)
				}
				byName[name] = c
			}
		}
	}
	slices.SortFunc(r.commands, func(a, b *Command) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(b.UIs, a.UIs)) // two of one name are of two UIs
	})
	return r
}

// Find returns the command that line begins with, in this UI, and the rest of the line.
// Two words are tried before one.
func (r *Registry) Find(ui UI, line string) (*Command, string, error) {
	word, rest := cutWord(line)
	second, rest2 := cutWord(rest)
	if c := r.byName[ui][strings.ToLower(word+" "+second)]; second != "" && c != nil {
		return c, rest2, nil
	}
	if c := r.byName[ui][strings.ToLower(word)]; c != nil {
		return c, rest, nil
	}
	return nil, "", r.unknown(ui, chat.Admin, word)
}

// Run runs the command that line begins with. call needs everything but Command, Args, Text and Flags.
func (r *Registry) Run(ctx context.Context, line string, call Call) error {
	cmd, rest, err := r.Find(call.UI, line)
	if err != nil {
		word, rest := cutWord(line)
		if next, _ := cutWord(rest); next == "-h" || next == "--help" {
			if help := r.helpUnder(&call, word); help != "" {
				call.Printf("%s", help)
				return nil
			}
		}
		return r.notHere(&call, line)
	}
	call.Command = cmd
	d := &dispatch{Call: &call, line: line}
	if err := checkAccount(&call); err != nil {
		d.recordDenial(err)
		return err
	}
	err = parseLine(&call, rest) // before the rights: some depend on the room
	if refused := checkRights(&call, call.Account); refused != nil {
		return d.deny(ctx, refused)
	}
	if errors.Is(err, pflag.ErrHelp) {
		call.Printf("%s", cmd.help(call.UI))
		return nil
	}
	if err != nil {
		return err
	}
	return d.run(ctx)
}

// Say says a line that is no command in the session's room. Of call it needs what Run does.
func (r *Registry) Say(ctx context.Context, line string, call Call) error {
	call.Command, call.Text = r.byName[Exec]["say"], line
	call.Args = []string{call.Session.Room().For(call.Account.Name)} // for the audit log
	d := &dispatch{Call: &call, line: line}
	if refused := checkRights(&call, call.Account); refused != nil {
		return d.deny(ctx, refused)
	}
	return d.run(ctx)
}

// Secret reports whether a line begins with a command, of either UI, and has words after it that are nobody's to read: a code, or
// a password that it would ask for.
func (r *Registry) Secret(line string) bool {
	isSecret := func(ui UI) bool {
		cmd, words, err := r.Find(ui, line)
		return err == nil && cmd.Secret && words != ""
	}
	return isSecret(Chat) || isSecret(Exec)
}

// under lists the second words of the commands that begin with word, sorted.
func (r *Registry) under(ui UI, word string) []string {
	var next []string
	for _, c := range r.commands {
		if second, ok := strings.CutPrefix(c.Name, word+" "); ok && c.UIs&ui != 0 {
			next = append(next, second)
		}
	}
	return next
}

// Names lists the names that can be typed in a UI, aliases included, sorted.
func (r *Registry) Names(ui UI) []string {
	return slices.Sorted(maps.Keys(r.byName[ui]))
}

// What is said to somebody who types a command that is not there: what they may have meant.

// elsewhere are the names that commands have in other programs.
var elsewhere = map[string]string{
	"man": "help", "commands": "help", "logout": "quit", "logoff": "quit", "bye": "quit", "disconnect": "quit",
	"dm": "msg", "pm": "msg", "whisper": "msg", "ls": "rooms", "cd": "join",
}

// unknown refuses a command that is not there, and names what may have been meant among the commands of a role.
func (r *Registry) unknown(ui UI, role chat.Role, word string) error {
	word = strings.ToLower(word)
	if next := r.under(ui, word); len(next) > 0 {
		return refuse(chat.Usage, "%s needs one of: %s", []any{ui.Type(word), strings.Join(next, ", ")})
	}
	said := "unknown command " + ui.Type(text.Clean(word, 40))
	near := r.meant(ui, role, word)
	if near == "" {
		if about := topicOf(word); about != nil && about.text != "" {
			line, _, _ := strings.Cut(ui.words(about.text), "\n")
			return refuse(chat.Usage, "%s. %s For more: %s", []any{said, line, ui.Type("help " + word)})
		}
		near = Nearest(word, r.usableNames(ui, role))
	}
	if near == "" {
		return refuse(chat.Usage, "%s. For a list: %s", []any{said, ui.Type("help")})
	}
	return refuse(chat.Usage, "%s; did you mean %s? For a list: %s", []any{said, ui.Type(near), ui.Type("help")})
}

// meant is the command that the word names in other programs, or begins; empty if there is none, or more than one.
func (r *Registry) meant(ui UI, role chat.Role, word string) string {
	if name := elsewhere[word]; r.byName[ui][name] != nil {
		return name
	}
	if len(word) < 3 {
		return ""
	}
	found := ""
	for _, name := range r.usableNames(ui, role) {
		first, _, _ := strings.Cut(name, " ")
		switch {
		case !strings.HasPrefix(name, word) || first == found:
		case found != "":
			return ""
		default:
			found = first
		}
	}
	return found
}

// usableNames are the names that can be typed in a UI by somebody with that role, aliases included, sorted.
func (r *Registry) usableNames(ui UI, role chat.Role) []string {
	return slices.DeleteFunc(r.Names(ui), func(name string) bool { return !role.AtLeast(r.byName[ui][name].Role) })
}

// notHere refuses a line that begins with no command of the caller's UI. If it is one of the other UI, it says where it works.
func (r *Registry) notHere(c *Call, line string) error {
	if cmd := r.inOtherUI(c, line); cmd != nil {
		if c.UI == Chat {
			return refuse(chat.Usage, "%s %s", []any{cmd.Name, cmd.worksIn(c)})
		}
		return refuse(chat.Usage, "unknown command %s: it %s", []any{cmd.Name, cmd.worksIn(c)})
	}
	word, _ := cutWord(line)
	return r.unknown(c.UI, c.Account.Role, word)
}

// inOtherUI is the command that the line begins with in the UI that the caller is not in; nil if there is none that they
// may use.
func (r *Registry) inOtherUI(c *Call, line string) *Command {
	cmd, _, err := r.Find(Both&^c.UI, line)
	if err != nil || !c.Account.Role.AtLeast(cmd.Role) {
		return nil
	}
	return cmd
}

// worksIn says where a command works that is not for the caller's UI.
func (cmd *Command) worksIn(c *Call) string {
	if c.UI == Chat {
		return fmt.Sprintf("works over ssh only: ssh %s %s", c.Login(), cmd.usage(Exec))
	}
	return fmt.Sprintf("works in the chat only: ssh -t %s, then %s", c.Login(), cmd.usage(Chat))
}

// Nearest is the name that a word may have been meant for; empty if none is near.
func Nearest(word string, names []string) (near string) {
	best := 2 // one slip: a short word with two is near to everything
	if len(word) >= 6 {
		best = 3
	} else if len(word) < 2 {
		return ""
	}
	for _, name := range names {
		if len(name) < 2 {
			continue // near to every short word
		}
		d := distance(word, name)
		if d < best || d == best && near != "" && near[0] != word[0] && name[0] == word[0] { // the first letter is rarely wrong
			best, near = d, name
		}
	}
	return near
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

// Completion is what can stand in place of the word that is being typed in the chat.
type Completion struct {
	Start  int      // the word's byte offset in the line
	Words  []string // it can be one of these,
	Rooms  bool     // a room,
	People bool     // or a person
}

// Typed returns the command that a line typed into a chat is, without its slash; ok is false for a message. A message that is to
// begin with a slash begins with two.
func Typed(line string) (body string, ok bool) {
	body, ok = strings.CutPrefix(line, "/")
	return body, ok && !strings.HasPrefix(body, "/")
}

// Complete finds what the last word of line can be, which a person with that account is typing. What a command takes follows from
// its entry in the registry.
func (r *Registry) Complete(s *Services, a chat.Account, line string) Completion {
	c := Completion{Start: strings.LastIndexAny(line, " \n") + 1}
	body, isCommand := Typed(line)
	switch {
	case !isCommand:
		c.People = true
		return c
	case c.Start == 0:
		for _, word := range r.firstWords(a) {
			c.Words = append(c.Words, "/"+word)
		}
		for _, one := range Aliases(a) {
			if !r.takes(one.Name) {
				c.Words = append(c.Words, "/"+one.Name)
			}
		}
		return c
	}
	before := strings.Fields(body[:c.Start-1])
	if len(before) == 1 {
		c.Words = r.secondWords(a, before[0])
	}
	cmd, rest, err := r.Find(Chat, strings.Join(before, " "))
	if err != nil {
		return c
	}
	isFlag := func(word string) bool { return strings.HasPrefix(word, "-") }
	given := slices.DeleteFunc(strings.Fields(rest), isFlag)
	switch {
	case isFlag(line[c.Start:]) && cmd.Flags != nil:
		c.Words = append(c.Words, cmd.flagNames()...)
	case cmd.Choices != nil:
		c.Words = append(c.Words, cmd.Choices(s, a, given)...)
	default:
		c.expect(cmd, len(given))
	}
	return c
}

// usable reports whether a command is offered to a person: its role is theirs, or may be in one of their rooms.
func (cmd *Command) usable(a chat.Account) bool {
	return cmd.UIs&Chat != 0 && (a.Role.AtLeast(cmd.Role) || cmd.InRoom)
}

// firstWords are the first words of the commands that are offered to a person, sorted.
func (r *Registry) firstWords(a chat.Account) (words []string) {
	for _, name := range r.Names(Chat) {
		first, _, _ := strings.Cut(name, " ")
		if r.byName[Chat][name].usable(a) && !slices.Contains(words, first) {
			words = append(words, first)
		}
	}
	return words
}

// secondWords are the words that can follow the first word of a command.
func (r *Registry) secondWords(a chat.Account, first string) (words []string) {
	for _, name := range r.Names(Chat) {
		if second, ok := strings.CutPrefix(name, strings.ToLower(first)+" "); ok && r.byName[Chat][name].usable(a) {
			words = append(words, second)
		}
	}
	return words
}

// flagNames are the names of the command's flags.
func (cmd *Command) flagNames() (names []string) {
	flags := pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
	cmd.Flags(flags)
	flags.VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return names
}

var (
	literal = regexp.MustCompile(`^[a-z]+$`)
	goesOn  = regexp.MustCompile(`TEXT|REASON|…`) // an argument of many words
)

// expect adds what the command takes as its word after n others, by how its usage names it. One that may be left out may be the
// next.
func (c *Completion) expect(cmd *Command, n int) {
	args := cmd.arguments()
	if last := len(args) - 1; last >= 0 && n > last && goesOn.MatchString(args[last]) {
		n = last
	}
	for i := n; i < len(args); i++ {
		bare := strings.Trim(args[i], "[]…$|")
		for alternative := range strings.SplitSeq(bare, "|") {
			switch alternative = strings.Trim(alternative, "[]…"); {
			case alternative == "ROOM":
				c.Rooms = true
			case alternative == "NAME":
				c.Rooms, c.People = true, true
			case alternative == "USER", alternative == "TEXT", alternative == "REASON":
				c.People = true
			case literal.MatchString(alternative):
				c.Words = append(c.Words, alternative)
			}
		}
		if !strings.HasPrefix(args[i], "[") {
			return
		}
	}
}

// arguments are the words of Args without flags.
func (cmd *Command) arguments() (args []string) {
	inFlag := false
	for _, word := range strings.Fields(cmd.Args) {
		inFlag = inFlag || strings.HasPrefix(word, "[--")
		if !inFlag {
			args = append(args, word)
		}
		inFlag = inFlag && !strings.HasSuffix(word, "]")
	}
	return args
}

// helpTopics are the words that help takes, and then those that can follow the first.
func helpTopics(s *Services, a chat.Account, before []string) (words []string) {
	switch len(before) {
	case 0:
		words = s.Commands.firstWords(a)
		for i := range topics {
			first, _, _ := strings.Cut(topics[i].words, " ")
			words = append(words, first)
		}
		slices.Sort(words)
		return slices.Compact(words)
	case 1:
		return s.Commands.secondWords(a, before[0])
	}
	return nil
}

// settingNames are the names of the settings, and then the values of the one that was named.
func settingNames(s *Services, _ chat.Account, before []string) (words []string) {
	switch len(before) {
	case 0:
		for _, one := range settings {
			words = append(words, one.name)
		}
	case 1:
		if one := settingNamed(before[0]); one != nil {
			return one.choices(s)
		}
	}
	return words
}
