package accounts

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
)

const (
	MaxKeys  = agesplit.MaxRecipients // of one account: all of them read
	maxLabel = 64                     // runes
)

var (
	ErrKey         = &chat.Refusal{Code: chat.Failed, Text: "key not accepted"}
	ErrKeyTaken    = &chat.Refusal{Code: chat.Failed, Text: "the account has this key already"}
	ErrTooManyKeys = &chat.Refusal{Code: chat.Failed, Text: "too many keys"}
	ErrNoKey       = &chat.Refusal{Code: chat.NotFound, Text: "the account has no such key"}
	ErrLastLogin   = &chat.Refusal{Code: chat.Failed, Text: "it is the account's last way to log in"}
)

// AddKey gives the account another public key. Of k only Line, Label, Added and Only are looked at.
// Errors: ErrNoAccount, ErrKey, ErrKeyTaken, ErrTooManyKeys, ErrEdited, or the disk's.
func (u *Store) AddKey(id string, k chat.Key) error {
	key, err := u.newKey(k)
	if err != nil {
		return fmt.Errorf("add key: %w", err)
	}
	err = u.changeUser(id, func(_ *roster, who *user) error {
		if err := who.fits(key); err != nil {
			return err
		}
		who.keys = append(slices.Clone(who.keys), key)
		return nil
	})
	if err != nil {
		return fmt.Errorf("add key: %w", err)
	}
	return nil
}

// RemoveKey takes a public key from the account. What was sealed to it stays open to whoever has it.
// Errors: ErrNoAccount, ErrNoKey, ErrLastLogin, ErrEdited, or the disk's.
func (u *Store) RemoveKey(id, fingerprint string) error {
	err := u.changeUser(id, func(_ *roster, who *user) error {
		i := sameKey(who.keys, fingerprint)
		if i < 0 {
			return ErrNoKey
		}
		could := who.canLogIn()
		who.keys = slices.Delete(slices.Clone(who.keys), i, i+1)
		if could && !who.canLogIn() {
			return ErrLastLogin
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("remove key: %w", err)
	}
	return nil
}

// ParseKey reads a public key as agesplit.ParseKey does. The comment becomes the Label. Errors: ErrKey.
func ParseKey(line string) (chat.Key, error) {
	if err := text.Check(line); err != nil { // in the comment, where agesplit does not look
		return chat.Key{}, ErrKey.With("%v", err)
	}
	k, err := checkKey(line)
	return chat.Key{Line: k.Line, Fingerprint: k.Fingerprint, Label: cleanLabel(k.Comment), Reads: k.Recipient != nil}, err
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

// newKey checks a key as if it came from outside: chat.Key is plain data, and proves nothing.
func (u *Store) newKey(k chat.Key) (userKey, error) {
	checked, err := checkKey(k.Line)
	if err != nil {
		return userKey{}, err
	}
	added := k.Added.UTC().Truncate(time.Second)
	if k.Added.IsZero() {
		added = u.second()
	}
	return userKey{
		Line: checked.Line, Label: cleanLabel(cmp.Or(k.Label, checked.Comment)), Added: added, Only: append(chat.Only{}, k.Only...),
		fingerprint: checked.Fingerprint, recipient: checked.Recipient,
	}, nil
}

// fits reports whether the user may have that key as well.
func (u *user) fits(key userKey) error {
	if sameKey(u.keys, key.fingerprint) >= 0 {
		return ErrKeyTaken
	}
	if len(u.keys) >= MaxKeys {
		return ErrTooManyKeys.Because("nobody has more than %d", MaxKeys)
	}
	return nil
}

// logsIn reports whether one can log in with the key: it is SSH's, not age's.
func (k userKey) logsIn() bool { return !strings.HasPrefix(k.Line, "age1") }

// sameKey is the place of the key with that fingerprint, -1 where there is none.
func sameKey(keys []userKey, fingerprint string) int {
	return slices.IndexFunc(keys, func(k userKey) bool { return k.fingerprint == fingerprint })
}

// Recipients is what history of the room is sealed to for name: SSH keys and age recipients that read the room, and the
// newest password identity. A key that is banned, or restricted to other things than this room's history, is none. It is
// nil where there is nothing of the kind, for those who are banned or disabled, and, but for direct rooms, for those who have
// not been here for long (Options.Dormant). Whether name belongs to the room is the chat's to know.
func (u *Store) Recipients(room chat.RoomName, name chat.Name) []age.Recipient {
	v := u.view()
	who := v.r.named(name)
	if who == nil || !room.IsDirect() && u.dormant(who) {
		return nil
	}
	var to []age.Recipient
	for _, k := range v.readingKeys(who) {
		if k.reads(room.For(name)) {
			to = append(to, k.recipient)
		}
	}
	if who.password != nil && v.mayRead(who) {
		to = append(to, who.password.recipient)
	}
	return to
}

// mayRead reports whether anything is sealed to the user: they are neither disabled nor banned.
func (v View) mayRead(who *user) bool {
	_, banned := v.Banned(who.Name, netip.Addr{}, "")
	return !who.Disabled && !banned
}

// readingKeys are the user's keys that something may be sealed to.
func (v View) readingKeys(who *user) []userKey {
	if !v.mayRead(who) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(who.keys), func(k userKey) bool {
		_, banned := v.Banned(chat.Name{}, netip.Addr{}, k.fingerprint)
		return banned || k.recipient == nil
	})
}

// dormant reports whether the user has been away for so long that nothing is sealed for them. Whoever was here while this
// process runs has not, whatever the clock shows.
func (u *Store) dormant(who *user) bool {
	now := u.clock.Read()
	if u.opt.Dormant <= 0 || !now.Believed.After(who.dormantFrom(u.opt.Dormant)) {
		return false
	}
	visit, here := u.visits.Load(who.ID)
	return !here || now.Ran-visit.(time.Duration) >= u.opt.Dormant
}
