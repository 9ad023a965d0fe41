package command

import (
	"cmp"
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
	slices.SortFunc(r.commands, func(a, b *Command) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(b.Faces, a.Faces)) // two of one name are of two faces
	})
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
		call.Printf("%s", cmd.help(call.Face))
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

// dispatch is a call on its way: it waits its turn, runs for as long as its caller may, and what came of it is recorded.
type dispatch struct {
	*Call
	line string // as it was typed
	cut  error  // why no more is printed, though the command went on
}

// run runs a command that the caller may use, as long as they may, and writes what came of it into the audit log.
func (d *dispatch) run(ctx context.Context) error {
	ctx = d.watch(ctx)
	began, err := d.wait(ctx)
	if err == nil {
		err = d.do(ctx)
	}
	switch {
	case began && d.Command.audited() && (err == nil || d.Account.ID != ""): // a stranger fails as often as they try
		d.record(cause(ctx, err))
	default:
		d.recordDenial(cause(ctx, err))
	}
	return err
}

// wait waits for the call's turn. began is false if it did not come.
func (d *dispatch) wait(ctx context.Context) (began bool, err error) {
	if err := d.fits(); err != nil {
		return false, err
	}
	if !d.Command.Free {
		if err := d.Caller.Pace(ctx, Work, d.line); err != nil {
			return false, err
		}
	}
	if d.Command.audited() && !d.ranked() && d.Account.ID != "" {
		if err := d.Caller.Pace(ctx, Change, d.line); err != nil {
			return false, err
		}
	}
	return ctx.Err() == nil, ctx.Err()
}

// do runs the command.
func (d *dispatch) do(ctx context.Context) error {
	printed := d.output(ctx)
	if d.Command.List && d.Face == Chat {
		return d.show(ctx)
	}
	err := d.Command.Run(ctx, d.Call)
	switch {
	case err == nil && d.cut != nil:
		err = d.cut
	case err == nil && printed.bad:
		err = fmt.Errorf("internal error: %s prints bytes and does not say so", d.Command.Name)
	}
	return err
}

// show runs the command and shows what it prints under the line that asked for it. A few lines are an answer like others.
func (d *dispatch) show(ctx context.Context) error {
	const few = 3
	var list strings.Builder
	out := d.Out
	d.Out = &list
	err := d.Command.Run(ctx, d.Call)
	if said := list.String(); strings.Count(said, "\n") > few {
		d.Session.Show("/"+text.Clean(d.line, 72), said)
	} else {
		io.WriteString(out, said)
	}
	return err
}

// checkAccount refuses whoever has none what needs one.
func checkAccount(c *Call) error {
	if !c.Command.Account && c.Command.Role == "" || c.Account.ID != "" {
		return nil
	}
	if !c.Registration {
		return denied("no account named %s here", c.Name)
	}
	return denied("no account named %s here; make it with: ssh %s register", c.Name, c.Login())
}

// checkRights checks the rights of the caller, whose account is a now: here and nowhere else. What depends on whom the command
// acts on is chat's to check.
func checkRights(c *Call, a chat.Account) error {
	if only := c.Who().Login.Only; !c.Command.Harmless && !only.Allows(c.Command.Name, targetsOf(c)) {
		return denied("this key is for %s alone", only)
	}
	if err := checkRole(c, a); err != nil {
		return err
	}
	if speaks(c) {
		return c.may(chat.Speak{})
	}
	return nil
}

// checkRole refuses a caller whose account is a, and has not the role that the command needs.
func checkRole(c *Call, a chat.Account) error {
	role := c.Command.Role
	switch {
	case role == "":
		return nil
	case a.Role.AtLeast(role) && c.Who().Verified:
		return checkRoom(c, a)
	case c.Command.InRoom && moderates(c):
		return nil
	case a.Role.AtLeast(role):
		return denied("%s takes a login by key, or a second factor: %s or %s, then reconnect",
			c.typed(c.Command.Name), c.typed("key add"), c.typed("totp enable"))
	case c.Command.InRoom:
		return denied("%s is for %ss, and for those of the room", c.typed(c.Command.Name), role)
	}
	return denied("%s is for %ss", c.typed(c.Command.Name), role)
}

// targetsOf are what the command names to act on, as keys are restricted to.
func targetsOf(c *Call) []string {
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

// checkRoom refuses whoever is no admin what runs a private room that they are not in: they do not learn that it is there.
func checkRoom(c *Call, a chat.Account) error {
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
func moderates(c *Call) bool {
	room, err := c.target()
	return err == nil && c.Hub.Moderates(c.Account.Name, room)
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
	if near := Nearest(word, r.Names(face)); near != "" {
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
