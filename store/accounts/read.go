package accounts

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
	"sshchat/store/strictjson"
)

const (
	fileFormat       = "sshchat-users/1"
	fileFormatPrefix = "sshchat-users/"
)

var idPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// parseRoster reads users.json. A refusal names the line. An unknown field is refused: it is a slip of the one who
// edited the file or a later version's word, and either would be lost with the next write.
func parseRoster(b []byte) (*roster, error) {
	doc, err := strictjson.Parse(b)
	if err != nil {
		return nil, err
	}
	r := newRoster()
	var format string
	var users, rooms []strictjson.Value
	err = doc.Fields(map[string]func(strictjson.Value) error{
		"format":    func(v strictjson.Value) error { return readFormat(v, &format) },
		"users":     func(v strictjson.Value) error { users = []strictjson.Value{v}; return nil },
		"rooms":     func(v strictjson.Value) error { rooms = []strictjson.Value{v}; return nil },
		"bans":      readSanctions(&r.bans, false),
		"mutes":     readSanctions(&r.mutes, true),
		"invites":   func(v strictjson.Value) error { return v.Items(r.readInvite) },
		"allowlist": r.readAllowlist,
		"reserved":  strictjson.To(&r.reserved),
	})
	if err != nil {
		return nil, err
	}
	if users == nil {
		return nil, doc.Refuse(errors.New("the list of users is missing"))
	}
	for _, name := range r.reserved {
		r.shapes[name.Skeleton()] = struct{}{}
	}
	// Users before rooms, whichever stands first in the file: members must be users.
	for _, v := range users {
		if err := v.Items(r.readUser); err != nil {
			return nil, err
		}
	}
	for _, v := range rooms {
		if err := v.Items(r.readRoom); err != nil {
			return nil, err
		}
	}
	if format == "" && len(r.users)+len(r.rooms) > 0 { // an empty list without one is how a server begins
		return nil, doc.Refuse(fmt.Errorf("the format is missing: %q is expected", fileFormat))
	}
	return r, nil
}

func readFormat(v strictjson.Value, format *string) error {
	if err := v.Into(format); err != nil {
		return err
	}
	switch {
	case *format == fileFormat:
		return nil
	case strings.HasPrefix(*format, fileFormatPrefix):
		return fmt.Errorf("%q was written by a newer sshchat; this one reads %q", *format, fileFormat)
	}
	return fmt.Errorf("%q is not a list of users; %q is expected", *format, fileFormat)
}

// readUser reads an account. What somebody wrote from the idea of the file is refused with the command that does it.
func (r *roster) readUser(v strictjson.Value) error {
	u := &user{}
	err := v.Refuse(r.readUserInto(u, v))
	switch {
	case err == nil:
		r.add(u)
	case errors.Is(err, errPasswordText) && u.ID != "":
		err = fmt.Errorf("%w: remove it, start the server, and let an admin run: user reset-password %s", err, cmp.Or(u.Name.String(), "NAME"))
	case u.ID == "" || errors.Is(err, errPasswordText):
		err = fmt.Errorf("%w. Accounts are made by the server: remove this entry, start the server, and let an admin run: user create %s. "+
			"The first admin is made by: sshchat --admin NAME=KEYFILE", err, cmp.Or(u.Name.String(), "NAME"))
	}
	return err
}

// errPasswordText refuses a password that somebody wrote into the file.
var errPasswordText = errors.New("a password is kept sealed, never as text")

func (r *roster) readUserInto(u *user, v strictjson.Value) error {
	var keys []strictjson.Value
	err := v.Fields(map[string]func(strictjson.Value) error{
		"id": strictjson.To(&u.ID), "name": strictjson.To(&u.Name), "role": strictjson.To(&u.Role),
		"created": strictjson.To(&u.Created), "seen": strictjson.To(&u.Seen), "disabled": strictjson.To(&u.Disabled),
		"keys":     func(v strictjson.Value) error { keys = []strictjson.Value{v}; return nil },
		"password": func(v strictjson.Value) (err error) { u.password, err = readPassword(v); return err },
		"totp":     func(v strictjson.Value) (err error) { u.totp, err = readTOTP(v); return err },
		"settings": u.readSettings,
	})
	if err != nil {
		return err
	}
	for _, v := range keys {
		if err := v.Items(u.readKey); err != nil {
			return err
		}
	}
	switch {
	case !idPattern.MatchString(u.ID):
		return errors.New("a user needs an id of 32 hexadecimal digits")
	case u.Name.IsZero():
		return errors.New("a user needs a name")
	case !validRole(u.Role):
		return fmt.Errorf("the role is %q; it must be user, mod or admin", u.Role)
	case u.Created.IsZero():
		return errors.New("a user needs the time of creation")
	case r.identified(u.ID) != nil:
		return fmt.Errorf("another user has the id %s", u.ID)
	case r.named(u.Name) != nil:
		return fmt.Errorf("another user is called %s", u.Name)
	case len(u.keys) > MaxKeys:
		return fmt.Errorf("a user has at most %d keys", MaxKeys)
	}
	if _, err := time.Parse(time.DateOnly, u.Seen); err != nil && u.Seen != "" {
		return fmt.Errorf("seen is %q; it must be a day like 2006-01-02", u.Seen)
	}
	return nil
}

func (u *user) readKey(v strictjson.Value) error {
	var k userKey
	err := v.Fields(map[string]func(strictjson.Value) error{
		"key": strictjson.To(&k.Line), "label": strictjson.To(&k.Label), "added": strictjson.To(&k.Added), "only": strictjson.To(&k.Only),
	})
	if err != nil {
		return err
	}
	key, err := agesplit.ParseCheckedKey(k.Line)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if sameKey(u.keys, key.Fingerprint) >= 0 {
		return errors.New("the user has this key already")
	}
	k.Line, k.Label = key.Line, cleanLabel(cmp.Or(k.Label, key.Comment))
	k.fingerprint, k.recipient = key.Fingerprint, key.Recipient
	k.Only = append(chat.Only{}, k.Only...) // left out it would be written as null, which is refused
	u.keys = append(u.keys, k)
	return nil
}

func readPassword(v strictjson.Value) (*password, error) {
	if v.IsText() {
		return nil, errPasswordText
	}
	p := &password{}
	err := v.Fields(map[string]func(strictjson.Value) error{
		"recipient": strictjson.To(&p.Recipient), "sealed": strictjson.To(&p.Sealed), "retired": strictjson.To(&p.Retired),
	})
	if err != nil {
		return nil, err
	}
	if p.recipient, err = age.ParseX25519Recipient(p.Recipient); err != nil {
		return nil, errors.New("the recipient is not an age recipient")
	}
	for _, sealed := range append([]string{p.Sealed}, p.Retired...) {
		if err := agesplit.CheckSealed(sealed); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (r *roster) readRoom(v strictjson.Value) error {
	m := &room{}
	in := make(map[chat.Name]bool)
	err := v.Fields(map[string]func(strictjson.Value) error{
		"name": strictjson.To(&m.Name), "topic": strictjson.To(&m.Topic), "private": strictjson.To(&m.Private), "by": strictjson.To(&m.By),
		"slow": strictjson.To(&m.Slow), "mods": strictjson.To(&m.Mods), "invited": strictjson.To(&m.Invited),
		"members": func(v strictjson.Value) error {
			return v.Items(func(v strictjson.Value) error { return m.readMember(v, r, in) })
		},
	})
	if err != nil {
		return err
	}
	switch {
	case m.Name.IsZero():
		return errors.New("a room needs a name")
	case m.Name.IsDirect():
		return errors.New("direct rooms are not kept here")
	case m.Slow < 0 || m.Slow > maxSlow:
		return fmt.Errorf("slow is %d seconds; it must be 0 to %d", m.Slow, maxSlow)
	case len(m.Mods) > chat.MaxNamed || len(m.Invited) > chat.MaxNamed:
		return fmt.Errorf("more than %d moderators, or invited people", chat.MaxNamed)
	case r.rooms[m.Name] != nil:
		return fmt.Errorf("another room is called %s", m.Name)
	}
	if m.Topic != "" { // edited by hand it may hold what no terminal should see
		said, err := text.ParseLine(m.Topic, text.MaxText)
		if err != nil {
			return fmt.Errorf("topic: %w", err)
		}
		m.Topic = said.String()
	}
	r.rooms[m.Name] = m
	return nil
}

func (m *room) readMember(v strictjson.Value, r *roster, in map[chat.Name]bool) error {
	var member chat.Member
	err := v.Fields(map[string]func(strictjson.Value) error{"name": strictjson.To(&member.Name), "since": strictjson.To(&member.Since)})
	switch {
	case err != nil:
		return err
	case r.named(member.Name) == nil:
		// Kept, the membership would be a present to whoever takes the name next.
		return fmt.Errorf("the member %q is not among the users", member.Name)
	case in[member.Name]:
		return fmt.Errorf("%s is a member already", member.Name)
	case member.Since == 0:
		return errors.New("since counts from 1")
	}
	in[member.Name] = true
	m.members = append(m.members, member)
	return nil
}

func validRole(r chat.Role) bool { return r == chat.User || r == chat.Mod || r == chat.Admin }
