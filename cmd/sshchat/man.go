package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sshchat/sshchat/command"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand prints the manual page, made of the flags and commands that there are.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man", Short: "print the manual page, for man -l -", Args: atMost(0),
		Run: func(cmd *cobra.Command, _ []string) {
			manual{cmd.OutOrStdout()}.print(cmd.Root(), command.NewRegistry())
		},
	}
}

// manual writes roff with the macros of man(7).
type manual struct{ w io.Writer }

func (m manual) print(root *cobra.Command, commands *command.Registry) {
	m.macro("TH", "SSHCHAT", "1", "", "sshchat "+version(), "")
	m.macro("SH", "NAME")
	m.text("sshchat - " + root.Short)
	m.macro("SH", "SYNOPSIS")
	m.macro("B", "sshchat")
	m.text("[OPTION]...")
	for _, sub := range subcommands(root) {
		m.macro("br")
		m.macro("B", "sshchat "+sub.Name())
		m.text(strings.TrimSpace(strings.TrimPrefix(sub.Use, sub.Name())))
	}
	m.macro("SH", "DESCRIPTION")
	m.text("Anyone with an SSH client can join: ssh -p 2222 NAME@HOST. Without a command this opens the chat; with one it runs the command. " +
		"Messages are stored sealed to the keys of the people who may read them. The server cannot open them again.")
	m.settings()
	m.macro("SH", "SUBCOMMANDS")
	for _, sub := range subcommands(root) {
		m.macro("SS", "sshchat "+sub.Use)
		m.text(sub.Short + ".")
		m.lines(sub.Long)
		m.flags(sub.LocalNonPersistentFlags())
		for _, part := range sub.Commands() {
			m.item("sshchat "+sub.Name()+" "+part.Use, part.Short)
		}
	}
	m.macro("SH", "COMMANDS OF PEOPLE")
	m.text("Run them as ssh HOST COMMAND or, with a slash in front, in the chat.")
	group := command.Group("")
	for _, e := range commands.Manual() {
		if e.Group != group {
			group = e.Group
			m.macro("SS", string(group))
		}
		m.entry(e)
	}
	m.end()
}

// settings are the flags of the server, and the other ways to give them.
func (m manual) settings() {
	m.macro("SH", "SETTINGS")
	m.text("Every setting is a flag, a variable of the environment (--log-format is " + twin("log-format") + ") and a key of the configuration file. " +
		"Flags override variables, variables override the file. A time is 30s, 2m, 1h30m or 7d; a number alone is seconds. A size is 512KiB, 32MiB or 1GiB. " +
		"A source is an IPv4 address or an IPv6 /64. Defaults are in brackets. Settings marked * take effect on SIGHUP and the command reload, the others after a restart.")
	m.item("--help", "show the settings that people set first")
	m.item("--help-all", "show all settings")
	table := newSettings().table()
	for _, g := range groups {
		m.macro("SS", string(g))
		for _, row := range table {
			if row.group != g {
				continue
			}
			name, words := "--"+row.name, row.help
			if _, alone := row.value.(yesNo); !alone {
				name += " " + row.value.arg()
			}
			if row.live {
				name += " *"
			}
			if d := row.value.String(); d != "" && d != "no" {
				words += " (" + d + ")"
			}
			m.item(name, words)
		}
	}
	m.macro("SH", "CONFIGURATION FILE")
	m.text("The file of --config, or else " + configFile + " in the data folder if there is one. It is TOML, without sections; its keys are the settings, without the dashes:")
	m.lines("listen = [\":2222\", \"[::1]:2022\"]\nregistration = \"invite\"\nlogin-grace-time = \"2m\"\nmax-startups = \"10:30:100\"\nper-source-penalty-exempt-list = [\"192.0.2.0/24\"]")
	m.text("An unknown key or a bad value is refused with its line. config check looks for mistakes, and config print prints the settings in effect and where each comes from. " +
		"In the environment, values that can be repeated are separated by commas.")
}

// subcommands are those with something to say.
func subcommands(root *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(root.Commands()), func(c *cobra.Command) bool { return c.Name() == "help" })
}

// end is what does not follow from flags and commands.
func (m manual) end() {
	m.macro("SH", "EXIT STATUS")
	m.text("Commands over SSH: 0 success, 1 failure, 2 wrong usage, 3 denied, 4 not found. A session without a terminal exits with the code of the last line that was refused. When the server stops, sessions exit with 1; ssh itself exits with 255 if the connection is lost. The server: 0 after a normal stop, 2 if a setting is invalid, 1 for other errors.")
	m.macro("SH", "SIGNALS")
	m.text("SIGTERM and SIGINT stop the server within ten seconds, after telling users and syncing messages to disk. Under systemd, rooms keep their scrollback if it restarts the server. SIGHUP does the same as the command reload, and prints a new code for claim while there is no admin.")
	m.macro("SH", "FILES")
	m.text("In the data folder (--data), which only the server's user may read:")
	for _, file := range [][2]string{
		{"users.json", "accounts, rooms, bans, invites"}, {"changes.jsonl", "changes since users.json was written"}, {"message_history.json", "messages, sealed"},
		{"state.json", "read marks and counts of wrong passwords; up to 5 seconds old after a crash"}, {"audit.jsonl", "what moderators and admins did, as a hash chain; audit.tip is its last line, signed"},
		{"ssh_host_ed25519_key", "the host key; with .next, the announced one; proposed_ssh_host_ed25519_key, one that is not decided yet"}, {"motd", "the message of the day"}, {"clock", "the latest trusted time"},
		{"cluster.json", "of a node of a cluster: which cluster, and how far the folder has come; with cluster.key, its secret, and node.key, the node's own key"},
		{"lock", "locked while a server runs"},
	} {
		m.item(file[0], file[1])
	}
	m.macro("SH", "SEE ALSO")
	m.text("ssh(1), ssh-keygen(1), age(1), jq(1)")
}

func (m manual) entry(e command.Explained) {
	where := ""
	switch e.UIs {
	case command.Chat:
		where = " (in the chat)"
	case command.Exec:
		where = " (over ssh)"
	}
	m.item(e.Usage, e.Brief+where)
	m.macro("RS")
	m.lines(e.More)
	if e.Flags != nil {
		m.flags(e.Flags)
	}
	m.macro("RE")
}

func (m manual) flags(f *pflag.FlagSet) {
	f.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "[]" && f.DefValue != "false" {
			usage += " (" + f.DefValue + ")"
		}
		m.item(strings.TrimSpace(name+" "+value), usage)
	})
}

// item is a word and what it means.
func (m manual) item(word, meaning string) {
	m.macro("TP")
	m.macro("B", word)
	m.text(meaning)
}

// lines is text whose lines stay what they are: examples are among them.
func (m manual) lines(text string) {
	if text == "" {
		return
	}
	m.macro("PP")
	m.macro("nf")
	m.text(text)
	m.macro("fi")
}

func (m manual) text(text string) {
	for line := range strings.Lines(text) {
		line = ascii(roff.Replace(strings.TrimSuffix(line, "\n")))
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		fmt.Fprintln(m.w, line)
	}
}

func (m manual) macro(name string, args ...string) {
	fmt.Fprint(m.w, ".", name)
	for _, arg := range args {
		fmt.Fprintf(m.w, ` "%s"`, strings.ReplaceAll(ascii(roff.Replace(arg)), `"`, `\(dq`))
	}
	fmt.Fprintln(m.w)
}

// ascii names the characters that roff's input does not have.
func ascii(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}

// roff is what must be said otherwise in a manual page: also hyphens, so that what is shown can be copied.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "…", "...", "→", "->")
