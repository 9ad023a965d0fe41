package accounts

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"sshchat/sshchat/chat"
)

// Reload reads a hand edit of users.json while the server runs, applies it as a chat.EditByHand, and rewrites the file.
// It returns how many accounts are affected in how they can log in or read: by their keys, password or restrictions, and
// by bans. If the file is malformed or refused, neither it nor the server's State changes.
//
// The change that decide makes must have been appended, with EditByHand.File as its Change.Edit, when that returns nil.
func (u *Store) Reload(decide func(chat.EditByHand) error) (changed int, err error) {
	in, info, err := u.files.edit()
	if err == nil && in.Edited != nil {
		if err = decide(in); err == nil {
			u.files.take(info)
			at := u.View().At
			changed = changedLogins(chat.View{State: in.Base, At: at}, chat.View{State: in.Edited, At: at})
		}
	}
	if err == nil {
		err = u.files.write()
	}
	if err != nil {
		return 0, fmt.Errorf("reload users.json: %w", err)
	}
	return changed, nil
}

// edit reads the file if it was edited, else Edited is nil.
func (c *checkpoints) edit() (in chat.EditByHand, info fs.FileInfo, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err = c.stat(c.path)
	if errors.Is(err, fs.ErrNotExist) { // it was moved away
		c.written, c.taken = nil, true
		return in, nil, nil
	}
	if err != nil || sameFile(info, c.written) {
		return in, info, err
	}
	g, info, err := c.load()
	if err != nil {
		return in, info, err
	}
	now := c.now()
	if g.b > now.b {
		return in, info, fmt.Errorf(`"upto" is %d, but only %d changes were made: the file is from another server or another time. `+
			`To use it as it is, set "upto" to %d`, g.b, now.b, now.b)
	}
	own, err := c.wrote(g.sum)
	if err != nil {
		return in, info, err
	}
	base, ok, err := c.at(g.b)
	switch {
	case err != nil:
		return in, info, err
	case own && g.b < now.b:
		return in, info, fmt.Errorf("it is as the server wrote it after change %d, without edits. Move it away and run reload to have it rewritten. "+
			`Or, to go back to it, without the %d changes since, set "upto" in it to %d`, g.b, now.b-g.b, now.b)
	case !ok && g.b == now.b:
		base = now.State
	case !ok:
		return in, info, fmt.Errorf("it was edited by hand after change %d, and after %d changes its previous version is no longer known. "+
			"Move it away and run reload to have a new one written, which you can edit. "+
			`Or, to use it as it is, without the changes since, set "upto" in it to %d`, g.b, now.b, now.b)
	}
	return chat.EditByHand{Base: base, Edited: g.State, File: g.sum}, info, nil
}

// wrote reports whether the server wrote a users.json with that SHA-256, as far as it remembers.
func (c *checkpoints) wrote(sum string) (bool, error) {
	content, err := c.changes.Read()
	if err != nil {
		return false, err
	}
	_, named := content.Named(sum)
	return named, nil
}

// take overwrites the edited file, if it has not changed since.
func (c *checkpoints) take(info fs.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.written, c.warned, c.taken = info, nil, true
}

// changedLogins counts the accounts that log in or read otherwise than before, or not any more.
func changedLogins(before, after chat.View) (n int) {
	for was := range before.Accounts() {
		is, ok := after.ByID(was.ID)
		if !ok || !sameLogins(was, is) || after.HistoryKeys(is).Change(before.HistoryKeys(was)) != chat.NoChange {
			n++
		}
	}
	return n
}

// sameLogins reports whether the same keys and password log in, and are for the same.
func sameLogins(a, b chat.Account) bool {
	return a.Disabled == b.Disabled && a.Role == b.Role && a.Secret.Equal(b.Secret) && a.TOTP == b.TOTP &&
		slices.EqualFunc(a.Keys, b.Keys, chat.Key.SameUse)
}
