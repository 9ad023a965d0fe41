// Package alias keeps the short names that a person gives to lines they type often, and expands them. It knows nothing of
// commands: what an alias stands for is a typed line like any other.
package alias

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sshchat/sshchat/text"
)

// The limits of a person's aliases. All of them together are kept as one setting, which has a limit of its own.
const (
	MaxCount = 50
	MaxText  = 512              // bytes of one's text
	MaxLine  = 2 * text.MaxText // bytes of an expanded line
)

var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Errors, whose text is for the person.
var (
	ErrName  = errors.New("an alias is 1 to 32 letters, digits, - or _, and begins with a letter")
	ErrText  = fmt.Errorf("an alias stands for a line of at most %d bytes", MaxText)
	ErrCount = fmt.Errorf("you can have at most %d aliases", MaxCount)
	ErrLong  = fmt.Errorf("the line that the alias stands for would have more than %d bytes", MaxLine)
)

// Alias is a name and the line it stands for: a message, or a command with its slash.
type Alias struct{ Name, Text string }

// Aliases are a person's, sorted by name.
type Aliases []Alias

// Parse reads aliases as String keeps them. It drops what nobody could have kept.
func Parse(kept string) (as Aliases) {
	for entry := range entries(kept) {
		name, line, ok := strings.Cut(entry, "=")
		if more, err := as.With(Alias{name, line}); ok && err == nil {
			as = more
		}
	}
	return as
}

// entries are the parts of kept between semicolons that have no backslash before them, with their backslashes resolved.
func entries(kept string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		var entry []byte
		for i := 0; i < len(kept); i++ {
			switch c := kept[i]; {
			case c == '\\' && i+1 < len(kept):
				i++
				entry = append(entry, kept[i])
			case c == ';':
				if !yield(string(entry)) {
					return
				}
				entry = entry[:0]
			default:
				entry = append(entry, c)
			}
		}
		yield(string(entry))
	}
}

// String is how the aliases are kept, in one line: name=text;name=text, with a backslash before semicolons and backslashes.
func (as Aliases) String() string {
	escape := strings.NewReplacer(`\`, `\\`, `;`, `\;`)
	kept := make([]string, len(as))
	for i, a := range as {
		kept[i] = a.Name + "=" + escape.Replace(a.Text)
	}
	return strings.Join(kept, ";")
}

// Find returns the alias of that name, in upper or lower case.
func (as Aliases) Find(name string) (Alias, bool) {
	i, ok := as.place(strings.ToLower(name))
	if !ok {
		return Alias{}, false
	}
	return as[i], true
}

func (as Aliases) place(name string) (int, bool) {
	return slices.BinarySearchFunc(as, name, func(a Alias, name string) int { return strings.Compare(a.Name, name) })
}

// With returns the aliases with a, in place of one of its name. Errors: ErrName, ErrText, ErrCount.
func (as Aliases) With(a Alias) (Aliases, error) {
	a.Name, a.Text = strings.ToLower(a.Name), strings.TrimSpace(a.Text)
	switch {
	case !namePattern.MatchString(a.Name):
		return nil, ErrName
	case a.Text == "" || len(a.Text) > MaxText || strings.Contains(a.Text, "\n"):
		return nil, ErrText
	}
	i, ok := as.place(a.Name)
	if ok {
		with := slices.Clone(as)
		with[i] = a
		return with, nil
	}
	if len(as) >= MaxCount {
		return nil, ErrCount
	}
	return slices.Insert(slices.Clone(as), i, a), nil
}

// Without returns the aliases without the one of that name; ok is false if there is none.
func (as Aliases) Without(name string) (without Aliases, ok bool) {
	i, ok := as.place(strings.ToLower(name))
	if !ok {
		return as, false
	}
	return slices.Delete(slices.Clone(as), i, i+1), true
}

// Expand is the line that the alias stands for with args after its name. $1 to $9 are single words of them, $* all, and $$ is a
// dollar sign. If the text has none but that, args come after it. Errors: ErrLong.
func (a Alias) Expand(args string) (string, error) {
	args = strings.TrimSpace(args)
	words := strings.Fields(args)
	var line strings.Builder
	placed := false
	for i := 0; i < len(a.Text); i++ {
		c := a.Text[i]
		if c != '$' || i+1 == len(a.Text) {
			line.WriteByte(c)
			continue
		}
		switch next := a.Text[i+1]; {
		case next == '$':
			line.WriteByte('$')
		case next == '*':
			placed = true
			line.WriteString(args)
		case next >= '1' && next <= '9':
			placed = true
			if n := int(next - '1'); n < len(words) {
				line.WriteString(words[n])
			}
		default:
			line.WriteByte(c)
			continue
		}
		i++
		if line.Len() > MaxLine {
			return "", ErrLong
		}
	}
	if !placed && args != "" {
		line.WriteString(" " + args)
	}
	if line.Len() > MaxLine {
		return "", ErrLong
	}
	return line.String(), nil
}
