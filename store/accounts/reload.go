package accounts

import (
	"bytes"
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

// ErrRoomsEdited refuses an edit of the rooms: what they are is in memory as well, and commands change both.
var ErrRoomsEdited = &chat.Refusal{Code: chat.Failed, Text: "the rooms, or who is in them, were changed by hand; undo that, and use commands for it"}

// Reload takes what was changed by hand in users.json while the server runs, and returns the accounts that can log in or
// read otherwise than before, or not any more: by their keys, password or what those are for, and by bans. A file that is malformed, in which rooms have changed, or that leaves the
// server without the admin it had, is refused, and what the server knows stays as it is. Changes that wait to be written
// are refused with ErrEdited.
func (u *Store) Reload() (changed []chat.Name, err error) {
	r := &reload{done: make(chan struct{})}
	select {
	case u.reloads <- r:
		<-r.done
		return r.changed, r.err
	case <-u.done:
		return nil, ErrClosed
	}
}

// reload is one call of Reload, for the writer: the file is its alone.
type reload struct {
	done    chan struct{} // closed by the writer, after the rest is set
	changed []chat.Name
	err     error
}

func (u *Store) reload(req *reload) {
	defer close(req.done)
	was := u.durable.Load()
	written := u.written
	r, err := u.load()
	if err == nil {
		err = r.follows(was)
	}
	if err != nil {
		u.written = written // still not ours
		req.err = fmt.Errorf("reload users.json: %w", err)
		return
	}
	u.mu.Lock()
	waiting := u.pending
	u.next, u.pending = r, nil
	if waiting != nil {
		<-u.due
	}
	u.mu.Unlock()
	u.durable.Store(r)
	if waiting != nil {
		waiting.err = ErrEdited
		close(waiting.done)
	}
	before, after := View{was, u.clock}, View{r, u.clock}
	for _, who := range was.users {
		if now := r.identified(who.ID); now == nil || !now.sameLogins(who) ||
			before.mayRead(who) != after.mayRead(now) || !slices.EqualFunc(before.readingKeys(who), after.readingKeys(now), sameUse) {
			req.changed = append(req.changed, who.Name)
		}
	}
}

// follows refuses what must not change under a running server.
func (r *roster) follows(was *roster) error {
	if r.admins() == 0 && was.admins() > 0 {
		return ErrLastAdmin
	}
	now, err := r.encodedRooms()
	if err != nil {
		return err
	}
	before, err := was.encodedRooms()
	if err != nil {
		return err
	}
	if !bytes.Equal(now, before) {
		return ErrRoomsEdited
	}
	return nil
}

func (r *roster) encodedRooms() ([]byte, error) {
	p := &strictjson.Page{}
	for _, m := range r.sortedRooms() {
		writeRoom(p, m)
	}
	return p.Bytes()
}

// sameLogins reports whether the same keys and password log in, and are for the same.
func (u *user) sameLogins(old *user) bool {
	if u.Disabled != old.Disabled || u.Role != old.Role || (u.password == nil) != (old.password == nil) || (u.totp == nil) != (old.totp == nil) {
		return false
	}
	if !slices.EqualFunc(u.keys, old.keys, sameUse) {
		return false
	}
	return u.password == nil || u.password.Sealed == old.password.Sealed && u.password.Recipient == old.password.Recipient
}

func sameUse(a, b userKey) bool { return a.Line == b.Line && slices.Equal(a.Only, b.Only) }
