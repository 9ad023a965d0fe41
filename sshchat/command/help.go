package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

var help = &Command{
	Name: "help", Aliases: []string{"?"}, Args: "[COMMAND]", Brief: "list the commands, or explain one",
	Faces: Both, Words: 2,
	Run: func(_ context.Context, c *Call) error {
		if len(c.Args) == 0 {
			c.Printf("%s", c.Commands.list(c))
			return nil
		}
		cmd, _, err := c.Commands.Find(c.Face, strings.TrimPrefix(strings.Join(c.Args, " "), "/"))
		if err != nil {
			return &Error{ExitNotFound, err.Error()}
		}
		c.Printf("%s", cmd.help(c.Face))
		return nil
	},
}

// list is the help of all commands the caller may use in this face.
func (r *Registry) list(c *Call) string {
	var b strings.Builder
	for _, cmd := range r.commands {
		if cmd.Faces&c.Face == 0 || (cmd.Role != "" && !c.Account.Role.AtLeast(cmd.Role)) {
			continue
		}
		fmt.Fprintf(&b, "%-28s %s\n", cmd.usage(c.Face), cmd.Brief)
	}
	if c.Face == Chat {
		b.WriteString("//text sends a line that begins with a slash. Tab completes.\n")
	}
	return b.String()
}

// usage is how the command is typed in a face.
func (cmd *Command) usage(face Face) string {
	u := cmd.Name
	if face == Chat {
		u = "/" + u
	}
	if cmd.Args != "" {
		u += " " + cmd.Args
	}
	return u
}

func (cmd *Command) help(face Face) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n    %s\n", cmd.usage(face), cmd.Brief)
	if cmd.More != "" {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(cmd.More, "\n", "\n    "))
	}
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "    also: %s\n", strings.Join(cmd.Aliases, ", "))
	}
	if cmd.Flags != nil {
		flags := pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
		cmd.Flags(flags)
		b.WriteString(flags.FlagUsages())
	}
	return b.String()
}
