package accounts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
)

const maxLabel = 64 // runes

// All keys of an account read: an age header must hold as many. It does not compile otherwise.
const _ = uint(agesplit.MaxRecipients - chat.MaxKeys)

// ErrKey is wrapped by every refusal of a key. Its text is for the person who offers the key.
var ErrKey = &chat.Refusal{Code: chat.Failed, Text: "key not accepted"}

// ParseKey reads a public key as agesplit.ParseKey does. The comment becomes the Label. Errors: ErrKey.
func ParseKey(line string) (chat.Key, error) {
	if err := text.Check(line); err != nil { // in the comment, where agesplit does not look
		return chat.Key{}, ErrKey.With("%v", err)
	}
	k, err := checkKey(line)
	return chat.Key{Line: k.Line, Fingerprint: k.Fingerprint, Label: cleanLabel(k.Comment), Reads: k.Recipient != nil}, err
}

// NewKey makes a key as it is kept, for chat.AddKeys. It is checked as if it came from outside: chat.Key is plain data,
// and proves nothing. Only k's Line, Label, Added and Only are used. Errors: ErrKey.
func (u *Store) NewKey(k chat.Key) (chat.Key, error) {
	checked, err := checkKey(k.Line)
	if err != nil {
		return chat.Key{}, fmt.Errorf("create a key: %w", err)
	}
	added := k.Added.UTC().Truncate(time.Second)
	if k.Added.IsZero() {
		added = u.second()
	}
	return keptKey(checked, k.Label, added, k.Only), nil
}

// keptKey is a key as it is kept.
func keptKey(k agesplit.Key, label string, added time.Time, only chat.Only) chat.Key {
	return chat.Key{
		Line: k.Line, Fingerprint: k.Fingerprint, Label: cleanLabel(cmp.Or(label, k.Comment)), Added: added,
		Only: append(chat.Only(nil), only...), Reads: k.Recipient != nil && readsSomewhere(only),
	}
}

// readsSomewhere reports whether a key that is restricted to these things may read history of any room.
func readsSomewhere(only chat.Only) bool {
	history := func(entry string) bool { return entry == "history" || strings.HasPrefix(entry, "history:") }
	return len(only) == 0 || slices.ContainsFunc(only, history)
}

// checkKey is agesplit.ParseKey with its refusal for the person who offers the key.
func checkKey(line string) (agesplit.Key, error) {
	k, err := agesplit.ParseKey(line)
	if err != nil {
		return agesplit.Key{}, ErrKey.With("%v", err)
	}
	return k, nil
}

// cleanLabel makes a comment one short line, fit to be shown on any terminal.
func cleanLabel(s string) string {
	whole, err := text.ParseLine(s, agesplit.MaxKeyLine)
	if err != nil {
		return ""
	}
	runes := []rune(whole.String())
	short, err := text.ParseLine(string(runes[:min(len(runes), maxLabel)]), agesplit.MaxKeyLine) // the cut may leave half a cluster
	if err != nil {
		return ""
	}
	return short.String()
}
