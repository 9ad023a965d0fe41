package command

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "help", Aliases: []string{"?"}, Args: "[TOPIC]", Brief: "list the commands, or explain one",
	More: "TOPIC is a command, or a word such as keys, format, user, room or history.",
	UIs:  Both, Effect: Reads, List: true, Harmless: true, Words: 2, Choices: helpTopics,
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
		if asked == "keys" && c.UI == Chat { // there it is an alias as well
			c.Printf("%s", c.Commands.explain(c, asked))
			return nil
		}
		cmd, _, err := c.Commands.Find(c.UI, asked)
		if err == nil {
			c.Printf("%s", cmd.help(c.UI))
			return nil
		}
		if help := c.Commands.explain(c, asked); help != "" {
			c.Printf("%s", help)
			return nil
		}
		if cmd := c.Commands.inOtherUI(c, asked); cmd != nil {
			c.Printf("%s    It %s\n", cmd.help(Both&^c.UI), cmd.worksIn(c))
			return nil
		}
		if one, ok := Aliases(c.Account).Find(asked); ok {
			c.Printf("/%s is your alias for: %s\n", one.Name, one.Text)
			return nil
		}
		word, _ := cutWord(asked)
		return &chat.Refusal{Code: chat.NotFound, Text: c.Commands.unknown(c.UI, c.Account.Role, word).Error()}
	},
})

// helpUnder explains the commands that begin with a word which is not a command itself, such as user. It is empty if
// there are none.
func (r *Registry) helpUnder(c *Call, word string) string {
	word = strings.ToLower(word)
	if r.byName[c.UI][word] != nil {
		return ""
	}
	var b strings.Builder
	for _, cmd := range r.commands {
		if strings.HasPrefix(cmd.Name, word+" ") && cmd.isFor(c) {
			b.WriteString(cmd.help(c.UI))
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

// list is the help of all commands the caller may use in this UI.
func (r *Registry) list(c *Call) string {
	var b strings.Builder
	if c.UI == Chat {
		b.WriteString("Type a message and press Enter to send it. Commands begin with a slash.\n" +
			"For more about a command or a topic: /help join, /help keys, /help format.\nKeys\n" + keysHelp)
	}
	for _, group := range groups {
		heading := string(group) + "\n"
		for _, cmd := range r.commands {
			if cmd.group() != group || !cmd.isFor(c) {
				continue
			}
			b.WriteString(heading)
			heading = ""
			writeBrief(&b, cmd, c.UI)
		}
	}
	if c.UI == Chat {
		b.WriteString("Rooms begin with #: /topic #dev hi. The default is the room you are in.\n//text sends a line that begins with a slash.\n")
	} else {
		if only := c.only(); len(only) > 0 {
			fmt.Fprintf(&b, "This key may only be used for %s.\n", only)
		}
		b.WriteString("ROOM is a room, with or without #, or @NAME for direct messages.\n" +
			"For more about a command or a topic: help join, help history, help user.\n")
	}
	return b.String()
}

// isFor reports whether help shows the command to the caller: it is one of their UI, role and key.
func (cmd *Command) isFor(c *Call) bool {
	return cmd.UIs&c.UI != 0 && c.Account.Role.AtLeast(cmd.Role) && (cmd.Harmless || c.only().Names(cmd.Name))
}

// only is what the key of the caller's login is restricted to; empty: nothing.
func (c *Call) only() chat.Only {
	if c.Who == nil {
		return nil
	}
	return c.Who().Login.Only
}

// usage is how the command is typed in a UI.
func (cmd *Command) usage(ui UI) string {
	u := ui.Type(cmd.Name)
	switch {
	case cmd.Args == "":
		return u
	case ui == Chat:
		return u + " " + strings.NewReplacer("ROOM", "#room", "KEY|-", "KEY", "TEXT|-", "TEXT", " [-]", "").Replace(cmd.Args) // there is no standard input
	}
	return u + " " + strings.NewReplacer("[ROOM]", "ROOM", "[ID]", "ID").Replace(cmd.Args) // there is no room to leave out
}

// argNames are the words of Args, as people call them.
var argNames = map[string]string{
	"USER": "a name", "NAME": "a name", "ROOM": "a room", "TEXT": "a text", "TEXT|-": "a text", "WORDS": "a word", "ID": "an ID", "EMOJI": "an emoji",
	"KEY": "a key", "NODE": "the name of a node", "KEY|-": "a key", "CODE": "a code", "FINGERPRINT": "a fingerprint", "ADDRESS": "an address", "on|off": "on or off",
	"10s|off": "a duration or off", "user|mod|admin": "a role", "ID|USER": "an ID or a name", "-": "- for standard input", "USER|ip=CIDR|key=FINGERPRINT": "a name, ip=ADDRESS or key=FINGERPRINT",
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
	return text.List(names)
}

// more is More, and what follows from the rest of the entry.
func (cmd *Command) more(ui UI) string {
	more := cmd.More
	if ui == Exec && cmd.ExecMore != "" {
		more += "\n" + cmd.ExecMore
	}
	if cmd.Bytes != nil {
		more += "\nRedirect the output to a file or a pipe: it is refused on a terminal (ssh -t)."
	}
	return ui.words(strings.TrimPrefix(more, "\n"))
}

func (cmd *Command) help(ui UI) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n    %s\n", cmd.usage(ui), ui.words(cmd.Brief))
	if more := cmd.more(ui); more != "" {
		fmt.Fprintf(&b, "    %s\n", strings.ReplaceAll(more, "\n", "\n    "))
	}
	if len(cmd.Aliases) > 0 {
		also := make([]string, len(cmd.Aliases))
		for i, name := range cmd.Aliases {
			also[i] = ui.Type(name)
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

// Explained is a command, as the manual describes it.
type Explained struct {
	Group       Group
	Name, Usage string
	Brief, More string
	UIs         UI
	Flags       *pflag.FlagSet // nil if there are none
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
			if cmd.UIs == Chat {
				usage = strings.TrimPrefix(cmd.usage(Chat), "/")
			}
			e := Explained{group, cmd.Name, usage, Exec.words(cmd.Brief), cmd.more(Exec), cmd.UIs, nil}
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

// topic is what `help WORD` explains of a word that is no command.
type topic struct {
	words    string // that ask for it
	text     string // commands stand in backquotes, as in Command.More
	commands string // that are listed below the text
}

// keysHelp is how the keyboard is used in the chat.
const keysHelp = `  Enter                      send; Alt+Enter or Ctrl+J starts a new line
  Tab, Shift+Tab             complete a command and what it takes, a room,
                             a name or an :emoji:; again: the next choice
  Up, Down                   bring back what you sent
  Alt+Up, Alt+Down           select a message; then r reply, + react,
                             e edit, d delete, c copy ID, p pin, g original
  PgUp, PgDn                 scroll; Esc goes back to the newest message
  Ctrl+N, Ctrl+P             next, previous room; Alt+1 to Alt+9: by number
  Alt+A, Alt+M               next room with unread messages, with a mention
  Alt+G, Alt+O               go to a room by part of its name, back again
  Ctrl+A, E, W, U, K, Y      edit the line as in a shell
  Ctrl+_ (Ctrl+/)            undo
  Ctrl+R                     search in what you sent; Enter takes the line,
                             and Enter again sends it
  Ctrl+L                     redraw the screen
  F1, or ? on an empty line  this help
  Ctrl+C                     clear the line (Up brings it back); twice: quit
  Ctrl+D on an empty line    quit
`

var topics = []topic{
	{words: "keys keyboard shortcuts shortcut keybindings hotkeys", text: "Keys of the chat. For SSH keys, see `help key`.\n" + keysHelp, commands: "key list"},
	{words: "format formatting markup markdown bold italic code link links", text: "Markup is optional, and shown as styles where the terminal has them:\n" +
		"  *bold*  _italic_  `code`\n" +
		"  ``` on a line of its own begins and ends a block of code; ```go names its language, for its colors\n" +
		"Links are shown in full. //text sends a line that begins with a slash.\n", commands: "me, edit, theme"},
	{words: "user users account accounts profile nick name username rename", text: "The name you log in with is the name of your account. It cannot be changed.\n",
		commands: "whoami, whois, who, msg, ignore, invite, account delete, user create, user list, user info, user delete, user disable, user enable, user set-role, user reset-password, user unlock"},
	{words: "room rooms channel channels group", text: "Everyone is in #general. Each message goes to the room you are in, and only its members see it.\n",
		commands: "rooms, join, part, who, topic, invite, room create, room list, room info, room delete, room set-private, kick, mod, slow"},
	{words: "invite invites invitation register registration signup", text: "`invite` in the chat brings a person into a room. An invite code lets a person create an account: an admin\n" +
		"creates it, and its user runs `register CODE`.\n", commands: "invite, register, invite create, invite list, invite revoke"},
	{words: "key ssh ssh-key pubkey publickey", text: "Your keys log you in, and open the history that was sealed to them.\n", commands: "key list, key add, key remove, key share, user add-key, user remove-key"},
	{words: "lost forgot forgotten stolen", text: "If you lost your key or forgot your password, ask an admin. If somebody else may have one, remove it at once.\n",
		commands: "passwd, passwd recover, key list, key remove, user add-key, user remove-key, user reset-password"},
	{words: "totp 2fa mfa otp factor second authenticator recovery", text: "A second factor is a code that an authenticator app shows. It is asked for after your password.\n", commands: "totp enable, totp disable"},
	{words: "password passwords login", commands: "passwd, passwd recover, totp enable, totp disable, identity, user reset-password, user unlock"},
	{words: "message messages send talk chat dm pm private direct whisper", text: "What you type without a slash is sent to the room you are in.\n", commands: "msg, query, reply, reply-to, react, me, say, edit, delete"},
	{words: "read old older past log scroll scrollback unread export dump", text: "The newest messages of each room are in memory, and shown when you scroll up. Older ones are sealed to the keys of the\n" +
		"people who were members when they were sent.\n", commands: "history, unlock, search, mentions, inbox, head, identity"},
	{words: "privacy security encryption encrypted encrypt seal sealed e2e safe", text: "Messages are encrypted on the way and sealed in storage: only the keys of the people who were members when a message\n" +
		"was sent can open it. The server sees messages while it passes them on.\n", commands: "identity, history, key share"},
	{words: "notification notifications notify sound beep alert highlight", commands: "notify, bell, highlight, hush, mentions, inbox, quiet"},
	{words: "colour colours color colors appearance screen look settings options config preferences", commands: "set, theme, ui, timestamp, tz, mouse, quiet, bell, notify"},
	{words: "time times clock date timezone zone", text: "Times are shown in your time zone.\n", commands: "tz, timestamp"},
	{words: "copy paste select clipboard wheel", text: "To copy, select text with the mouse; hold Shift if wheel scrolling is on. Pasted lines are sent as one message.\n", commands: "mouse"},
	{words: "status presence online offline afk busy", commands: "away, back, who, whois"},
	{words: "block mute spam abuse pest silence", commands: "ignore, hush, focus, mute, ban, kick"},
	{words: "bot bots script api json pipe", text: "Every command also works as ssh HOST COMMAND. Give a bot an account, and restrict its key to what it needs.\n", commands: "say, follow, key add"},
	{words: "file files upload download image picture scp sftp", text: "Files cannot be sent. Paste text, or a link.\n"},
	{words: "emoji emojis smiley reaction reactions", text: "Type or paste emoji as any other text, or type their names, such as :tada:.\n", commands: "react, unreact, shrug"},
	{words: "pinned bookmark bookmarks answer answers thread threads quote", text: "To act on a message, name it by its ID, as `search` lists it.\n", commands: "reply-to, react, pin, pins, unpin"},
	{words: "admin admins administration operator owner moderation moderate moderator moderators role roles", text: "Moderators and admins can remove, mute and ban people. Only admins manage accounts and the server.\n", commands: "delete, kick, ban, unban, banned, mute, unmute, mod, unmod, op, deop, user set-role, slow, invite create, announce, audit"},
	{words: "leave logout disconnect bye close end", commands: "part, quit"},
	{words: "change undo remove correct typo", commands: "edit, edit-id, delete"},
	{words: "cluster nodes", text: "A cluster is several servers, its nodes, that are one chat. Only admins manage it.\n", commands: "node list, node add, node remove"},
	{words: "server host hostkeys fingerprint", commands: "motd, version, hostkey list, head, stats, sessions, sources list, backup, reload"},
}

// topicOf is the topic that a word asks for; nil if there is none.
func topicOf(word string) *topic {
	for i := range topics {
		if slices.Contains(strings.Fields(topics[i].words), word) {
			return &topics[i]
		}
	}
	return nil
}

// explain explains a word that is no command: a topic, or else the commands whose help has the word.
func (r *Registry) explain(c *Call, word string) string {
	word = strings.ToLower(word)
	if t := topicOf(word); t != nil {
		if help := r.topicHelp(c, *t); help != "" {
			return help
		}
	}
	if len(word) < 3 {
		return ""
	}
	var b strings.Builder
	for _, cmd := range r.commands {
		if cmd.isFor(c) && hasWord(cmd.Name+" "+cmd.Brief, word) {
			writeBrief(&b, cmd, c.UI)
		}
	}
	return b.String()
}

// hasWord reports whether the text has a word that is word, or its plural.
func hasWord(text, word string) bool {
	isBetween := func(r rune) bool { return !(r >= 'a' && r <= 'z' || r == '-') }
	return slices.ContainsFunc(strings.FieldsFunc(strings.ToLower(text), isBetween), func(w string) bool {
		return w == word || w == word+"s" || w+"s" == word
	})
}

// topicHelp is the text of a topic, and those of its commands that the caller may use in this UI.
func (r *Registry) topicHelp(c *Call, t topic) string {
	var b strings.Builder
	if strings.HasPrefix(t.words, "format ") {
		b.WriteString(t.text) // its backquotes are markup
	} else {
		b.WriteString(c.UI.words(t.text))
	}
	for name := range strings.SplitSeq(t.commands, ", ") {
		cmd := r.byName[c.UI][name]
		if cmd != nil && cmd.isFor(c) {
			writeBrief(&b, cmd, c.UI)
		}
	}
	return b.String()
}

// writeBrief writes a command's line of a list.
func writeBrief(b *strings.Builder, cmd *Command, ui UI) {
	usage := cmd.usage(ui)
	if len([]rune(usage)) > usageWidth-3 {
		fmt.Fprintf(b, "  %s\n", usage)
		usage = ""
	}
	fmt.Fprintf(b, "  %-*s %s\n", usageWidth-3, usage, ui.words(cmd.Brief))
}
