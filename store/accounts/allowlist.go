package accounts

import (
	"errors"
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

var (
	ErrListed     = &chat.Refusal{Code: chat.Failed, Text: "it is on the list already"}
	ErrNotListed  = &chat.Refusal{Code: chat.NotFound, Text: "it is not on the list"}
	ErrLongEnough = &chat.Refusal{Code: chat.Failed, Text: "the list is full"}
)

// allowlist is who may come in while it is on: people, addresses and keys, written as chat.ParseTarget takes them.
// Moderators and admins always may.
type allowlist struct {
	On      bool     `json:"on"`
	Entries []string `json:"entries"`
}

// Allowlist returns whether the list is on, and its entries.
func (u *Store) Allowlist() (on bool, entries []string) {
	list := u.durable.Load().allowlist
	return list.On, slices.Clone(list.Entries)
}

// SetAllowlist turns the list on or off.
func (u *Store) SetAllowlist(on bool) error {
	return u.changeAllowlist(func(list *allowlist) error { list.On = on; return nil })
}

// Allow puts a target on the list. Errors: ErrListed, ErrLongEnough, ErrEdited, or the disk's.
func (u *Store) Allow(target string) error {
	return u.changeAllowlist(func(list *allowlist) error {
		switch {
		case slices.Contains(list.Entries, target):
			return ErrListed
		case len(list.Entries) >= maxSanctions:
			return ErrLongEnough
		}
		list.Entries = append(slices.Clone(list.Entries), target)
		return nil
	})
}

// Disallow takes a target off the list. Errors: ErrNotListed, ErrEdited, or the disk's.
func (u *Store) Disallow(target string) error {
	return u.changeAllowlist(func(list *allowlist) error {
		i := slices.Index(list.Entries, target)
		if i < 0 {
			return ErrNotListed
		}
		list.Entries = slices.Delete(slices.Clone(list.Entries), i, i+1)
		return nil
	})
}

func (u *Store) changeAllowlist(edit func(*allowlist) error) error {
	if err := u.change(func(r *roster) error { return edit(&r.allowlist) }); err != nil {
		return fmt.Errorf("change the allowlist: %w", err)
	}
	return nil
}

// readAllowlist reads the list; an empty JSON list is how a server begins.
func (r *roster) readAllowlist(v strictjson.Value) error {
	if v.IsList() {
		return v.Items(func(strictjson.Value) error { return errors.New("the entries stand in an object with on and entries") })
	}
	err := v.Fields(map[string]func(strictjson.Value) error{"on": strictjson.To(&r.allowlist.On), "entries": strictjson.To(&r.allowlist.Entries)})
	if err != nil {
		return err
	}
	for _, entry := range r.allowlist.Entries {
		if _, err := chat.ParseTarget(entry); err != nil {
			return err
		}
	}
	return nil
}
