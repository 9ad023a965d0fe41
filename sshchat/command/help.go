package command

import (
	"context"
	"fmt"
	"strings"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "help", Aliases: []string{"?"}, Args: "[COMMAND]", Brief: "list the commands, or explain one",
	Faces: Both, Effect: Reads, List: true, Harmless: true, Words: 2,
	Run: func(_ context.Context, c *Call) error {
		if len(c.Args) == 0 {
			c.Printf("%s", c.Commands.list(c))
			return nil
		}
		asked := strings.TrimPrefix(strings.Join(c.Args, " "), "/")
		if help := c.Commands.helpUnder(c, asked); help != "" {
			c.Printf("%s", help)
			return nil
		}
		cmd, _, err := c.Commands.Find(c.Face, asked)
		if err != nil {
			return &chat.Refusal{Code: chat.NotFound, Text: err.Error()}
		}
		c.Printf("%s", cmd.help(c.Face))
		return nil
	},
})

// helpUnder explains the commands that begin with a word which is none itself, as user. It is empty if there are none.
func (r *Registry) helpUnder(c *Call, word string) string {
	word = strings.ToLower(word)
	if r.byName[c.Face][word] != nil {
		return ""
	}
	var b strings.Builder
	for _, cmd := range r.commands {
		if strings.HasPrefix(cmd.Name, word+" ") && cmd.Faces&c.Face != 0 && c.Account.Role.AtLeast(cmd.Role) {
			b.WriteString(cmd.help(c.Face))
		}
	}
	return b.String()
}

// Group is what the commands listed together have in common.
type Group string

// The groups, as they are listed. Commands without one come last.
const (
	Talking Group = "Talking"
	Rooms   Group = "Rooms"
	People  Group = "People"
	Reading Group = "Reading back"
	Looks   Group = "Looks"
	Yours   Group = "Your account"
	others  Group = "Also"
	ruling  Group = "For moderators and admins" // those that need a role
)

var groups = []Group{Talking, Rooms, People, Reading, Looks, Yours, others, ruling}

func (cmd *Command) group() Group {
	switch {
	case cmd.Role != "" && cmd.Role != chat.User:
		return ruling
	case cmd.Group == "":
		return others
	}
	return cmd.Group
}

// usageWidth is where the second column of the list begins, in cells.
const usageWidth = 30

// list is the help of all commands the caller may use in this face.
func (r *Registry) list(c *Call) string {
	var b strings.Builder
	for _, group := range groups {
		heading := string(group) + "\n"
		for _, cmd := range r.commands {
			if cmd.group() != group || cmd.Faces&c.Face == 0 || !c.Account.Role.AtLeast(cmd.Role) {
				continue
			}
			b.WriteString(heading)
			heading = ""
			usage := cmd.usage(c.Face)
			if len([]rune(usage)) > usageWidth-3 {
				fmt.Fprintf(&b, "  %s\n", usage)
				usage = ""
			}
			fmt.Fprintf(&b, "  %-*s %s\n", usageWidth-3, usage, c.Face.words(cmd.Brief))
		}
	}
	if c.Face == Chat {
		b.WriteString("# marks a room: /topic #dev hello. Without one it is the room you are in.\n//text sends a line that begins with a slash. Tab completes.\n")
	} else {
		b.WriteString("ROOM is a room's name, with or without #, or @NAME: yours with that person.\n")
	}
	return b.String()
}

// usage is how the command is typed in a face.
func (cmd *Command) usage(face Face) string {
	u := face.Type(cmd.Name)
	switch {
	case cmd.Args == "":
		return u
	case face == Chat:
		return u + " " + strings.NewReplacer("ROOM", "#room", "KEY|-", "KEY", "TEXT|-", "TEXT", " [-]", "").Replace(cmd.Args) // there is no standard input
	}
	return u + " " + strings.NewReplacer("[ROOM]", "ROOM", "[ID]", "ID").Replace(cmd.Args) // there is no room to leave out
}

// more is More, and what follows from the rest of the entry.
func (cmd *Command) more(face Face) string {
	more := cmd.More
	if face == Exec && cmd.ExecMore != "" {
		more += "\n" + cmd.ExecMore
	}
	if cmd.Bytes != nil {
		more += "\nThe output is for a file or a pipe: it is refused on a terminal, as with ssh -t."
	}
	return face.words(strings.TrimPrefix(more, "\n"))
}

func (cmd *Command) help(face Face) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n    %s\n", cmd.usage(face), face.words(cmd.Brief))
	if more := cmd.more(face); more != "" {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(more, "\n", "\n    "))
	}
	if len(cmd.Aliases) > 0 {
		also := make([]string, len(cmd.Aliases))
		for i, name := range cmd.Aliases {
			also[i] = face.Type(name)
		}
		fmt.Fprintf(&b, "    also: %s\n", strings.Join(also, ", "))
	}
	if cmd.Flags != nil {
		flags := pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
		cmd.Flags(flags)
		b.WriteString(flags.FlagUsages())
	}
	return b.String()
}

// Explained is a command, as a manual tells of it.
type Explained struct {
	Group       Group
	Name, Usage string
	Brief, More string
	Faces       Face
	Flags       *pflag.FlagSet // nil where there are none
}

// Manual returns all commands, by groups.
func (r *Registry) Manual() []Explained {
	var entries []Explained
	for _, group := range groups {
		for _, cmd := range r.commands {
			if cmd.group() != group {
				continue
			}
			usage := cmd.usage(Exec)
			if cmd.Faces == Chat {
				usage = strings.TrimPrefix(cmd.usage(Chat), "/")
			}
			e := Explained{group, cmd.Name, usage, Exec.words(cmd.Brief), cmd.more(Exec), cmd.Faces, nil}
			if len(cmd.Aliases) > 0 {
				e.Brief += "; also " + strings.Join(cmd.Aliases, ", ")
			}
			if cmd.Flags != nil {
				e.Flags = pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
				cmd.Flags(e.Flags)
			}
			entries = append(entries, e)
		}
	}
	return entries
}
