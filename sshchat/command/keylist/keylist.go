// Package keylist reads lists of public keys: lines with a name and a key, or the keys of one person. It knows nothing of commands,
// of accounts, or of where the lines come from.
package keylist

import (
	"slices"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// Errors of a line, besides those of its key.
var (
	errNoName = &chat.Refusal{Code: chat.Failed, Text: "a line is a name and a public key"}

	// ErrNameless refuses a key without a name before it.
	ErrNameless = &chat.Refusal{Code: chat.Failed, Text: "put the name before the key"}
)

// Person is somebody in a list.
type Person struct {
	Name chat.Name
	Keys []chat.Key // each once
}

// Wrong is a line that cannot be used.
type Wrong struct {
	Line int
	Err  error // for the person who has the list, if it is a chat.Refusal
}

// List is what was read so far.
type List struct {
	People []*Person // in the order of their first lines
	Wrong  []Wrong

	byName map[chat.Name]*Person
	owner  string
	parse  func(key string) (chat.Key, error)
}

// New returns an empty list of keys that parse reads. All are owner's; if it is empty, each line begins with a name.
func New(owner string, parse func(key string) (chat.Key, error)) *List {
	return &List{byName: make(map[chat.Name]*Person), owner: owner, parse: parse}
}

// Add reads the line of that number, without spaces around it.
func (l *List) Add(number int, line string) {
	name, key, err := l.read(line)
	if err != nil {
		l.Wrong = append(l.Wrong, Wrong{number, err})
		return
	}
	p := l.byName[name]
	if p == nil {
		p = &Person{Name: name}
		l.byName[name], l.People = p, append(l.People, p)
	}
	if !slices.ContainsFunc(p.Keys, func(k chat.Key) bool { return k.Fingerprint == key.Fingerprint }) {
		p.Keys = append(p.Keys, key)
	}
}

func (l *List) read(line string) (name chat.Name, key chat.Key, err error) {
	word, named := l.owner, l.owner == ""
	if named {
		word, line = cutWord(line)
	}
	if name, err = text.ParseName(strings.TrimPrefix(word, "@")); err != nil {
		return name, key, errNoName.With("%s: %s", text.Clean(word, 40), errNoName.Text)
	}
	if key, err = l.parse(line); err != nil && named {
		if _, bare := l.parse(word + " " + line); bare == nil {
			err = ErrNameless
		}
	}
	return name, key, err
}

func cutWord(line string) (word, rest string) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimSpace(line[i:])
}
