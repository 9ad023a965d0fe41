package chat

import (
	"regexp"
	"slices"
	"strings"

	"sshchat/sshchat/text"
)

// maxOnly is how many things a restricted key may be for.
const maxOnly = 32

// ErrOnly refuses what a key cannot be restricted to, worded for the person who typed it.
var ErrOnly = &Refusal{Code: Usage, Text: `a key is restricted to commands, with a room or a person each, as in say:#ci,msg:@bob,follow:#ci or whoami`}

var onlyPattern = regexp.MustCompile(`^[a-z][a-z-]*( [a-z][a-z-]*)?(:[#@][a-z0-9][a-z0-9_-]{0,31})?$`)

// Only is what a restricted key is for: commands, each alone or with what it may act on, as "say:#ci". Empty: everything.
type Only []string

// ParseOnly reads a list with commas between. Errors wrap ErrOnly.
func ParseOnly(words string) (Only, error) {
	list := strings.Split(words, ",")
	if len(list) > maxOnly {
		return nil, ErrOnly.With("%s; at most %d", ErrOnly.Text, maxOnly)
	}
	for _, entry := range list {
		if !onlyPattern.MatchString(entry) {
			return nil, ErrOnly.With("%q: %s", text.Clean(entry, 80), ErrOnly.Text)
		}
	}
	return list, nil
}

// Allows reports whether a key that is for o may run the command on all of the targets, rooms as "#ci" and people as "@bob".
// A command that names no target may act on any, which only an entry without one allows.
func (o Only) Allows(command string, targets []string) bool {
	if len(o) == 0 || slices.Contains(o, command) {
		return true
	}
	for _, target := range targets {
		if !slices.Contains(o, command+":"+target) {
			return false
		}
	}
	return len(targets) > 0
}

func (o Only) String() string { return strings.Join(o, ",") }
