package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/strictjson"
)

// readSanctions reads a list of bans or, with people, of mutes.
func readSanctions(list *[]chat.Sanction, people bool) func(strictjson.Value) error {
	return func(v strictjson.Value) error {
		return v.Items(func(v strictjson.Value) error {
			s, err := readSanction(v)
			switch {
			case err != nil:
				return err
			case people && s.User.IsZero():
				return errors.New("only a user can be muted")
			case len(*list) == chat.MaxSanctions:
				return chat.ErrTooManySanctions
			}
			*list = append(*list, s)
			return nil
		})
	}
}

func readSanction(v strictjson.Value) (s chat.Sanction, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{
		"user": strictjson.To(&s.User), "ip": strictjson.To(&s.Net), "key": strictjson.To(&s.Key),
		"by": strictjson.To(&s.By), "at": strictjson.To(&s.At), "until": strictjson.To(&s.Until), "why": strictjson.To(&s.Why),
	})
	if err != nil {
		return s, err
	}
	given := 0
	for _, set := range []bool{!s.User.IsZero(), s.Net.IsValid(), s.Key != ""} {
		if set {
			given++
		}
	}
	again, err := chat.ParseTarget(s.Target())
	switch {
	case given != 1:
		return s, errors.New("it needs one of user, ip and key")
	case err != nil:
		return s, err
	case again.Net != s.Net:
		return s, fmt.Errorf("ip is %s; it must be %s", s.Net, again.Net)
	}
	s.Why = text.Clean(s.Why, maxSetting)
	return s, nil
}

func (r *reader) readInvite(v strictjson.Value) error {
	var i storedInvite
	err := v.Fields(map[string]func(strictjson.Value) error{
		"id": strictjson.To(&i.ID), "hash": strictjson.To(&i.Hash), "uses": strictjson.To(&i.Uses),
		"by": strictjson.To(&i.By), "at": strictjson.To(&i.At), "until": strictjson.To(&i.Until),
	})
	sum, hexErr := hex.DecodeString(i.Hash)
	switch {
	case err != nil:
		return err
	case i.ID == "":
		return errors.New("an invite needs an id")
	case hexErr != nil || len(sum) != sha256.Size:
		return errors.New("the hash is not a SHA-256 in hexadecimal")
	case i.Uses < 0:
		return errors.New("uses counts what is left")
	}
	invite := chat.Invite{ID: i.ID, Uses: i.Uses, By: i.By, At: i.At, Until: i.Until}
	r.parts.Invites = append(r.parts.Invites, chat.StoredInvite{Invite: invite, Hash: i.Hash})
	return nil
}

// readAllowlist reads the list; an empty JSON list is how a server begins.
func (r *reader) readAllowlist(v strictjson.Value) error {
	if v.IsList() {
		return v.Items(func(strictjson.Value) error { return errors.New("the entries stand in an object with on and entries") })
	}
	var list storedAllowlist
	err := v.Fields(map[string]func(strictjson.Value) error{"on": strictjson.To(&list.On), "entries": strictjson.To(&list.Entries)})
	if err != nil {
		return err
	}
	for _, entry := range list.Entries {
		if _, err := chat.ParseTarget(entry); err != nil {
			return err
		}
	}
	r.parts.Allowlist = chat.Allowlist{On: list.On, Entries: list.Entries}
	return nil
}
