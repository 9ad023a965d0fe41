package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is the longest line of the help, in characters.
const helpWidth = 96

// groups are the headings in their order.
var groups = []group{serverGroup, operationGroup, accountGroup, loginGroup, connectionGroup, sessionGroup, rateGroup, historyGroup, clusterGroup}

// printHelp is --help: what people need first, on one screen.
func printHelp(w io.Writer, root *cobra.Command) {
	fmt.Fprintf(w, "sshchat: %s.\n\nUsage:\n  sshchat [SETTING...] run the server\n", root.Short)
	for _, sub := range subcommands(root) {
		fmt.Fprintf(w, "  sshchat %-12s %s\n", sub.Name(), sub.Short)
	}
	var rest int
	printSettings(w, newSettings().table(), false, func(row setting) bool {
		if !row.first {
			rest++
		}
		return row.first
	})
	fmt.Fprintf(w, `
Every setting is a flag, a variable (--log-format is SSHCHAT_LOG_FORMAT) and a key of the
configuration file (log-format = "json"). Flags override variables, variables override the file.

sshchat --help-all       %d more settings: limits, timeouts, history
sshchat config print     all settings in effect, and where each comes from
sshchat COMMAND --help   the flags of a command
sshchat man | man -l -   the manual
`, rest)
}

// printHelpAll is --help-all.
func printHelpAll(w io.Writer) {
	fmt.Fprint(w, "All settings of sshchat, with their defaults in brackets.\n")
	printSettings(w, newSettings().table(), true, func(setting) bool { return true })
	fmt.Fprintf(w, `
TIME is 30s, 2m, 1h30m or 7d; a number alone is seconds. SIZE is 512KiB, 32MiB or 1GiB.
A source is an IPv4 address or an IPv6 /64. Settings marked * take effect on SIGHUP and the
command reload, the others after a restart.
`)
}

// printSettings prints the settings that are shown, by group; marked: those that reload can change have a mark.
func printSettings(w io.Writer, table []setting, marked bool, shown func(setting) bool) {
	for _, g := range groups {
		heading := string(g)
		for _, row := range table {
			if row.group != g || !shown(row) {
				continue
			}
			if heading != "" {
				fmt.Fprintf(w, "\n%s:\n", heading)
				heading = ""
			}
			printSetting(w, row, marked)
		}
	}
}

// printSetting prints the flag, and what it means beside it, or below it if it is long.
func printSetting(w io.Writer, row setting, marked bool) {
	const column = 34
	name := "  --" + row.name
	if _, alone := row.value.(yesNo); !alone {
		name += " " + row.value.arg()
	}
	if row.live && marked {
		name += " *"
	}
	if len(name) >= column {
		fmt.Fprintln(w, name)
		name = ""
	}
	words := row.help
	if d := row.value.String(); d != "" && d != "no" {
		words += " (" + d + ")"
	}
	for _, line := range wrap(words, helpWidth-column) {
		fmt.Fprintf(w, "%-*s%s\n", column, name, line)
		name = ""
	}
}

// wrap breaks words into lines of at most so many characters.
func wrap(text string, width int) []string {
	var lines []string
	current := ""
	for word := range strings.FieldsSeq(text) {
		if current != "" && len(current)+1+len(word) > width {
			lines = append(lines, current)
			current = ""
		}
		current = strings.TrimPrefix(current+" "+word, " ")
	}
	return append(lines, current)
}
