package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sshchat/sshchat/chat"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configCommand checks and prints settings without starting the server.
func configCommand() *cobra.Command {
	cmd := commandWith("config check or config print", &cobra.Command{
		Use: "config check|print", Short: "check or print the settings: config check, config print",
		Long: "It takes the flags of the server, and reads the environment and the configuration file as the server does.",
	})
	addFlags(cmd.PersistentFlags())
	hideFlags(cmd.PersistentFlags())
	cmd.AddCommand(configCheckCommand(), configPrintCommand())
	return cmd
}

// hideFlags leaves the flags of the server to the server's help, except those that are named.
func hideFlags(flags *pflag.FlagSet, except ...string) {
	flags.VisitAll(func(f *pflag.Flag) { f.Hidden = !slices.Contains(except, f.Name) })
}

func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "check the settings, and report the first mistake and its line",
		Args: atMost(1), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := loadFor(cmd, args)
		if err != nil {
			return err
		}
		if err := s.checkClusterFiles(); err != nil {
			return err
		}
		if s.config == "" {
			fmt.Fprintln(cmd.OutOrStdout(), "The settings are valid. There is no configuration file.")
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "The settings are valid. Configuration file: %s\n", s.config)
		}
		return nil
	}
	return cmd
}

func configPrintCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "print [FILE] [--json]", Short: "print all settings in effect, as a configuration file, and where each comes from",
		Args: atMost(1), SilenceUsage: true, SilenceErrors: true,
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object for each setting")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, err := loadFor(cmd, args)
		if err != nil {
			return err
		}
		if asJSON {
			return s.printJSON(cmd.OutOrStdout())
		}
		s.print(cmd.OutOrStdout())
		return nil
	}
	return cmd
}

// loadFor loads the settings of a command, which may name the configuration file, and prints the warnings that the server would
// log.
func loadFor(cmd *cobra.Command, file []string) (*settings, error) {
	if len(file) > 0 {
		if cmd.Flags().Changed("config") {
			return nil, &badSetting{"config " + cmd.Name() + ": name the file once"}
		}
		if err := cmd.Flags().Set("config", file[0]); err != nil {
			return nil, err
		}
	}
	s, err := sourcesOf(cmd).load()
	if err != nil {
		return nil, err
	}
	s.warn(func(msg string, args ...any) {
		for i := 0; i+1 < len(args); i += 2 {
			msg += fmt.Sprintf("; %v: %v", args[i], args[i+1])
		}
		cmd.PrintErrln("sshchat: warning: " + msg)
	})
	return s, nil
}

// print prints the settings in effect as a configuration file. The file's own name is a comment in it. None is a secret: keys
// are named by their files.
func (s *settings) print(w io.Writer) {
	var g group
	for _, row := range s.table() {
		if row.group != g {
			if g != "" {
				fmt.Fprintln(w)
			}
			g = row.group
			fmt.Fprintf(w, "# %s\n", g)
		}
		comment := ""
		if row.name == "config" {
			comment = "# "
		}
		fmt.Fprintf(w, "%s%s = %s  # %s\n", comment, row.name, tomlWord(row.value), s.origins[row.name].where())
		if is := decided(s.data, row.name); is != "" {
			fmt.Fprintf(w, "# The command registration has set it to %s, which lasts until: registration default\n", is)
		}
	}
}

func (s *settings) printJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, row := range s.table() {
		var v any = row.value.String()
		if several, ok := row.value.(repeated); ok {
			v = append([]string{}, several.words()...)
		}
		from := s.origins[row.name]
		if err := out.Encode(struct {
			Setting string `json:"setting"`
			Value   any    `json:"value"`
			From    layer  `json:"from"`
			As      string `json:"as,omitempty"`      // the flag, variable or file and line
			Command string `json:"command,omitempty"` // what a command decided instead
		}{row.name, v, from.layerName(), from.as(), decided(s.data, row.name)}); err != nil {
			return err
		}
	}
	return nil
}

// decided is what a command decided in the place of a setting, as users.json has it; empty if nothing. A file that cannot be read
// says nothing here: the server reports it.
func decided(data, setting string) string {
	if setting != "registration" {
		return ""
	}
	var users struct{ Registration chat.Registration }
	b, err := os.ReadFile(filepath.Join(data, "users.json"))
	if err != nil || json.Unmarshal(b, &users) != nil {
		return ""
	}
	return string(users.Registration)
}

func (o origin) layerName() layer {
	if !o.set() {
		return "default"
	}
	return o.layer
}

// tomlWord writes a value as the configuration file has it.
func tomlWord(v value) string {
	if several, ok := v.(repeated); ok {
		var words []string
		for _, word := range several.words() {
			words = append(words, tomlText(word))
		}
		return "[" + strings.Join(words, ", ") + "]"
	}
	word := v.String()
	switch v.(type) {
	case *number, *rate:
		if _, err := strconv.ParseFloat(word, 64); err == nil {
			return word
		}
	case yesNo:
		return strconv.FormatBool(word == "yes")
	}
	return tomlText(word)
}

// tomlText writes a basic string of TOML. Text of settings has no control characters but in paths, and JSON's escapes of
// them are TOML's as well.
func tomlText(word string) string {
	var b strings.Builder
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	if out.Encode(word) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// printExample prints deploy/sshchat.toml: each setting with what it is for and its default, all of them commented out.
func printExample(w io.Writer) {
	fmt.Fprint(w, `# The configuration file of sshchat: each setting with its default. Remove the # before a line to change it.
#
# Save it as sshchat.toml in the data folder, where the server finds it, or name it with --config FILE.
# Flags and variables of the environment override it: --log-format and SSHCHAT_LOG_FORMAT are log-format here.
#
#   sshchat config check     reports the first mistake with its line
#   sshchat config print     prints the settings in effect and where each comes from
#
# Settings marked "reload" take effect on SIGHUP (systemctl reload sshchat) and the command reload; the others after a restart.
# Times are "30s", "2m", "1h30m" or "7d"; a number alone is seconds. Sizes are "512KiB", "32MiB" or "1GiB".
`)
	var g group
	for _, row := range newSettings().table() {
		if row.name == "config" {
			continue // which cannot be set in the file
		}
		if row.group != g {
			g = row.group
			fmt.Fprintf(w, "\n# ---- %s ----\n", g)
		}
		words := upperFirst(row.help) + "."
		if row.live {
			words += " (reload)"
		}
		fmt.Fprintln(w)
		for _, line := range wrap(words, 118) {
			fmt.Fprintf(w, "# %s\n", line)
		}
		fmt.Fprintf(w, "#%s = %s\n", row.name, tomlWord(row.value))
	}
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
