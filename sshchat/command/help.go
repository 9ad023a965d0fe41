package command

import (
	"context"
	"fmt"
	"strings"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "help", Aliases: []string{"?"}, Args: "[TOPIC]", Brief: "list the commands, or explain one",
	More:  "TOPIC is a command, or a word such as keys, format, user, room or history.",
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
		if asked == "keys" && c.Face == Chat { // there it is an alias as well
			c.Printf("%s", c.Commands.explain(c, asked))
			return nil
		}
		cmd, _, err := c.Commands.Find(c.Face, asked)
		if err == nil {
			c.Printf("%s", cmd.help(c.Face))
			return nil
		}
		if help := c.Commands.explain(c, asked); help != "" {
			c.Printf("%s", help)
			return nil
		}
		return &chat.Refusal{Code: chat.NotFound, Text: err.Error()}
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
	Talking Group = "Send messages"
	Rooms   Group = "Find, join and create rooms"
	People  Group = "See who is here"
	Reading Group = "Read older messages"
	Looks   Group = "Change how the chat looks"
	Yours   Group = "Manage your account"
	others  Group = "Other commands"
	ruling  Group = "Moderate and administer" // those that need a role
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
	if c.Face == Chat {
		b.WriteString("Type a message and press Enter to send it. Commands begin with a slash.\n" +
			"For more about a command or a topic: /help join, /help keys, /help format.\nKeys\n" + keysHelp)
	}
	for _, group := range groups {
		heading := string(group) + "\n"
		for _, cmd := range r.commands {
			if cmd.group() != group || cmd.Faces&c.Face == 0 || !c.Account.Role.AtLeast(cmd.Role) {
				continue
			}
			b.WriteString(heading)
			heading = ""
			writeBrief(&b, cmd, c.Face)
		}
	}
	if c.Face == Chat {
		b.WriteString("Rooms begin with #: /topic #dev hi. The default is the room you are in.\n//text sends a line that begins with a slash.\n")
	} else {
		b.WriteString("ROOM is a room, with or without #, or @NAME for direct messages.\n" +
			"For more about a command or a topic: help join, help history, help user.\n")
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

// argNames are the words of Args, as people call them.
var argNames = map[string]string{
	"USER": "a name", "NAME": "a name", "ROOM": "a room", "TEXT": "a text", "TEXT|-": "a text", "WORDS": "a word", "ID": "an ID",
	"KEY": "a key", "KEY|-": "a key", "CODE": "a code", "FINGERPRINT": "a fingerprint", "ADDRESS": "an address", "on|off": "on or off",
	"10s|off": "a duration or off", "user|mod|admin": "a role", "USER|ip=CIDR|key=FP": "a name, ip=ADDRESS or key=FINGERPRINT",
}

// required are the arguments that the command cannot do without, as a sentence lists them.
func (cmd *Command) required() string {
	var names []string
	for _, word := range strings.Fields(cmd.Args) {
		if strings.HasPrefix(word, "[") {
			continue
		}
		name, ok := argNames[word]
		switch {
		case !ok:
			continue // a flag's value
		case cmd.Effect == Speaks && strings.HasPrefix(word, "TEXT"):
			name = "a message"
		}
		names = append(names, name)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// more is More, and what follows from the rest of the entry.
func (cmd *Command) more(face Face) string {
	more := cmd.More
	if face == Exec && cmd.ExecMore != "" {
		more += "\n" + cmd.ExecMore
	}
	if cmd.Bytes != nil {
		more += "\nRedirect the output to a file or a pipe: it is refused on a terminal (ssh -t)."
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
