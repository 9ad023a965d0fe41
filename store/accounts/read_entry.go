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
	err = v.Switch(func(key string, v strictjson.Value) (bool, error) {
		switch key {
		case "user":
			return true, v.Into(&s.User)
		case "ip":
			return true, v.Into(&s.Net)
		case "key":
			return true, v.Into(&s.Key)
		case "by":
			return true, v.Into(&s.By)
		case "at":
			return true, v.Into(&s.At)
		case "until":
			return true, v.Into(&s.Until)
		case "why":
			return true, v.Into(&s.Why)
		}
		return false, nil
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

func readInvite(v strictjson.Value) (invite chat.StoredInvite, err error) {
	var i storedInvite
	err = v.Fields(map[string]func(strictjson.Value) error{
		"id": strictjson.To(&i.ID), "hash": strictjson.To(&i.Hash), "uses": strictjson.To(&i.Uses),
		"by": strictjson.To(&i.By), "at": strictjson.To(&i.At), "until": strictjson.To(&i.Until),
	})
	sum, hexErr := hex.DecodeString(i.Hash)
	switch {
	case err != nil:
	case i.ID == "":
		err = errors.New("an invite needs an id")
	case hexErr != nil || len(sum) != sha256.Size:
		err = errors.New("the hash is not a SHA-256 in hexadecimal")
	case i.Uses < 0:
		err = errors.New("uses is the number of uses left, 1 or more")
	}
	return chat.StoredInvite{Invite: chat.Invite{ID: i.ID, Uses: i.Uses, By: i.By, At: i.At, Until: i.Until}, Hash: i.Hash}, err
}

// readRegistration reads who may register; an empty word leaves it to the setting.
func readRegistration(v strictjson.Value) (to chat.Registration, err error) {
	if err = v.Into(&to); err != nil {
		return "", err
	}
	switch to {
	case "", chat.Open, chat.InviteOnly, chat.Closed:
		return to, nil
	}
	return "", fmt.Errorf("registration is %q; it must be open, invite or closed", to)
}

// readMotd reads the message of the day, which may be empty.
func readMotd(v strictjson.Value) (chat.Text, error) {
	var words string
	if err := v.Into(&words); err != nil {
		return chat.Text{}, err
	}
	said, err := text.ParseText(words)
	if errors.Is(err, text.ErrEmpty) {
		return chat.Text{}, nil
	}
	return said, err
}

func readHostKeys(v strictjson.Value) (k chat.HostKeys, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{
		"current": strictjson.To(&k.Current), "next": strictjson.To(&k.Next), "at": strictjson.To(&k.At),
	})
	if err == nil {
		err = k.Check()
	}
	return k, err
}

// readAllowlist reads the list; an empty JSON list is how a server begins.
func readAllowlist(v strictjson.Value) (a chat.Allowlist, err error) {
	if v.IsList() {
		return a, v.Items(func(strictjson.Value) error { return errors.New("the allowlist must be an object with on and entries") })
	}
	var list storedAllowlist
	err = v.Fields(map[string]func(strictjson.Value) error{"on": strictjson.To(&list.On), "entries": strictjson.To(&list.Entries)})
	if err != nil {
		return a, err
	}
	for _, entry := range list.Entries {
		if _, err := chat.ParseTarget(entry); err != nil {
			return a, err
		}
	}
	return chat.Allowlist{On: list.On, Entries: list.Entries}, nil
}

func readNode(v strictjson.Value) (n chat.Node, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{
		"name": strictjson.To(&n.Name), "key": strictjson.To(&n.Key), "added": strictjson.To(&n.Added),
	})
	if err == nil {
		err = n.Check()
	}
	if err == nil && n.Added.IsZero() {
		err = errors.New("a node needs the time at which it was added")
	}
	return n, err
}

func (r *reader) readNodes(v strictjson.Value) error {
	return v.Items(func(v strictjson.Value) error {
		n, err := readNode(v)
		if err != nil {
			return err
		}
		r.parts.Nodes = append(r.parts.Nodes, n)
		return chat.CheckNodes(r.parts.Nodes)
	})
}
