package command

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// parseLine reads what follows the command's name.
func parseLine(c *Call, rest string) error {
	cmd := c.Command
	c.Flags = pflag.NewFlagSet(cmd.Name, pflag.ContinueOnError)
	c.Flags.SetOutput(io.Discard)
	c.Flags.Usage = func() {}
	if cmd.Flags != nil {
		cmd.Flags(c.Flags)
	}
	if cmd.Text {
		return parseText(c, rest)
	}
	words, err := split(rest)
	if err != nil {
		return c.usage("%s: %v", cmd.Name, err)
	}
	if err := c.Flags.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return c.usage("%s: %s", cmd.Name, FlagError(err))
	}
	c.Args = c.Flags.Args()
	if cmd.Words >= 0 && len(c.Args) > cmd.Words {
		return c.usage("%s: too many arguments", cmd.Name)
	}
	return takeRoom(c)
}

// parseText is parseLine for a command whose words are followed by a text.
func parseText(c *Call, rest string) error {
	if word, _ := cutWord(rest); word == "-h" || word == "--help" {
		return pflag.ErrHelp
	}
	cmd, words := c.Command, c.Command.Words
	var err error
	if !cmd.mayOmitRoom(c.UI) {
		words = max(words, cmd.RoomAt)
	}
	for range words {
		var word string
		if rest, err = leadingFlags(c, rest); err != nil {
			return err
		}
		if word, rest = cutQuoted(rest); word == "" {
			break
		}
		c.Args = append(c.Args, word)
	}
	if len(c.Args) < cmd.Words && cmd.RoomAt != len(c.Args)+1 {
		return c.missing()
	}
	if rest, err = leadingFlags(c, rest); err != nil {
		return err
	}
	if cmd.RoomAt > words && !c.endOfFlags && strings.HasPrefix(rest, "#") {
		var word string
		word, rest = cutWord(rest)
		c.Args = append(c.Args, word)
		if rest, err = leadingFlags(c, rest); err != nil {
			return err
		}
	}
	c.Text = strings.TrimSpace(rest)
	if err := lateFlags(c); err != nil {
		return err
	}
	if err := takeRoom(c); err != nil {
		return err
	}
	if c.Text == "" && needsText(cmd) {
		return c.missing()
	}
	return nil
}

// needsText reports whether the command cannot do without its text.
func needsText(cmd *Command) bool {
	return slices.ContainsFunc(strings.Fields(cmd.Args), func(word string) bool { return strings.HasPrefix(word, "TEXT") })
}

// takeRoom finds the room among the words. Its position depends only on the command. The # is optional, except in the
// chat if the room can be omitted: there # distinguishes it from the first word of a text.
func takeRoom(c *Call) error {
	at := c.Command.RoomAt - 1
	switch {
	case at < 0:
		return nil
	case len(c.Args) < at:
		return c.missing()
	case len(c.Args) > at:
		c.roomWord = c.Args[at]
		if room, err := text.ParseRoomName(c.roomWord); err == nil {
			c.Args[at] = "#" + room.String()
		}
	case c.Command.mayOmitRoom(c.UI):
		c.Args = append(c.Args, c.Session.Room().For(c.Account.Name)) // for the audit log
	default:
		return c.usage("%s needs a room", c.Command.Name)
	}
	return nil
}

// looksLikeFlag is what is taken for a flag before a text. Dashes alone, as of a line that is drawn, are text.
var looksLikeFlag = regexp.MustCompile(`^--([a-zA-Z].*)?$`)

// leadingFlags parses the flags before a text; "--" ends them. It returns the text. A message may begin with anything.
// Any other text that begins like a flag is an error, even if the command has no flags.
func leadingFlags(c *Call, rest string) (text string, err error) {
	for (c.Command.Flags != nil || !c.Command.Free) && !c.endOfFlags {
		word, after := cutWord(rest)
		if !looksLikeFlag.MatchString(word) || c.Command.AsIs && !isFlag(c, word) {
			break
		}
		rest = after
		if word == "--" {
			c.endOfFlags = true
			break
		}
		words := []string{word}
		if f := c.Flags.Lookup(strings.TrimPrefix(word, "--")); f != nil && f.NoOptDefVal == "" { // its value is the next word
			var value string
			if value, rest = cutPhrase(rest); value != "" {
				words = append(words, value)
			}
		}
		if err := c.Flags.Parse(words); err != nil {
			if errors.Is(err, pflag.ErrHelp) {
				return "", err
			}
			if errors.As(err, new(*pflag.NotExistError)) {
				return "", c.usage("%s: %s; to send it as text, put -- before it", c.Command.Name, FlagError(err))
			}
			return "", c.usage("%s: %s", c.Command.Name, FlagError(err))
		}
	}
	return rest, nil
}

// lateFlags finds flags that come too late in a text, so that none silently becomes part of a reason or a key. If the
// text consists of single words they are accepted. A -- before them makes them text, and is dropped.
func lateFlags(c *Call) error {
	if c.Command.Flags == nil || c.Command.AsIs || c.endOfFlags {
		return nil
	}
	words := strings.Fields(c.Text)
	isFlag := func(word string) bool { return isFlag(c, word) }
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
			return c.usage("%s: put %s before the text, or -- before the text if it is part of it", c.Command.Name, text.Clean(word, 40))
		default:
			if err := c.Flags.Parse([]string{word}); err != nil {
				return c.usage("%s: %s", c.Command.Name, FlagError(err))
			}
		}
	}
	c.Text = strings.Join(kept, " ")
	return nil
}

// isFlag reports whether the word is one of the command's flags.
func isFlag(c *Call, word string) bool {
	name, dashed := strings.CutPrefix(word, "--")
	name, _, _ = strings.Cut(name, "=")
	return dashed && c.Flags.Lookup(name) != nil
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

// cutQuoted is cutWord for a word that may be quoted, as in a quoted command: ssh h "say '#ops' hi". The rest is not
// parsed.
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
		return nil, fmt.Errorf("missing closing quote %c", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
