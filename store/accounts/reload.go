package accounts

import (
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
)

// Reload takes what was changed by hand in users.json while the server runs, as the server's chat.EditByHand. It returns how
// many accounts can log in or read otherwise than before, or not any more: by their keys, password or what those are for, and
// by bans. A file that is malformed or that is refused leaves what the server knows as it is. Changes that wait to be written
// are refused with ErrEdited.
func (u *Store) Reload() (changed int, err error) {
	r := &reload{done: make(chan struct{})}
	select {
	case u.reloads <- r:
		<-r.done
		return r.changed, r.err
	case <-u.done:
		return 0, ErrClosed
	}
}

// reload is one call of Reload, for the writer: the file is its alone.
type reload struct {
	done    chan struct{} // closed by the writer, after the rest is set
	changed int
	err     error
}

func (u *Store) reload(req *reload) {
	defer close(req.done)
	was, written := u.View(), u.file.written
	s, err := u.file.load()
	if err == nil {
		s, err = was.Check(chat.TheServer, chat.EditByHand{State: s})
	}
	if err != nil {
		u.file.written = written // still not ours
		req.err = fmt.Errorf("reload users.json: %w", err)
		return
	}
	waiting := u.startFrom(s)
	u.show(s)
	req.changed = changedLogins(was, u.View())
	if waiting != nil {
		waiting.err = ErrEdited
		close(waiting.done)
	}
}

// changedLogins counts the accounts that log in or read otherwise than before, or not any more.
func changedLogins(before, after chat.View) (n int) {
	for was := range before.Accounts() {
		is, ok := after.ByID(was.ID)
		if !ok || !sameLogins(was, is) || after.Reading(is).Change(before.Reading(was)) != chat.NoChange {
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
