package accounts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

// Create makes an account and puts it in #general, reading from the Seq since on. The password may be nil.
//
// Errors: ErrTaken, also where the name only looks like a user's or a reserved one; ErrNoLogin; ErrKey, ErrKeyTaken
// or ErrTooManyKeys; ErrPolicy or ErrBusy; ErrEdited; or the disk's.
func (u *Store) Create(
	name chat.Name, role chat.Role, keys []chat.Key, password []byte, since uint64,
) (chat.Account, error) {
	return u.create(name, role, keys, password, since, func(*roster) error { return nil })
}

// CreateInvited is Create by somebody with the code of an invite, one use of which is gone with it.
// Errors: ErrInvite as well.
func (u *Store) CreateInvited(
	code string, name chat.Name, keys []chat.Key, password []byte, since uint64,
) (chat.Account, error) {
	return u.create(name, chat.User, keys, password, since, func(r *roster) error { return u.redeem(r, code) })
}

// create makes an account, if admit lets it into the roster.
func (u *Store) create(
	name chat.Name, role chat.Role, keys []chat.Key, password []byte, since uint64, admit func(*roster) error,
) (chat.Account, error) {
	fail := func(err error) (chat.Account, error) {
		return chat.Account{}, fmt.Errorf("create account %s: %w", name, err)
	}
	if name.IsZero() || !validRole(role) {
		return fail(fmt.Errorf("internal error: name %q, role %q", name, role))
	}
	if u.durable.Load().taken(name) { // known without the cost of a password; asked again when it counts
		return fail(ErrTaken)
	}
	who, err := u.newUser(name, role, keys)
	if err != nil {
		return fail(err)
	}
	if password != nil {
		if who.password, err = u.firstPassword(context.Background(), name, password); err != nil {
			return fail(err)
		}
	}
	if !who.canLogIn() {
		return fail(ErrNoLogin)
	}
	err = u.change(func(r *roster) error {
		if r.taken(name) {
			return ErrTaken
		}
		if err := admit(r); err != nil {
			return err
		}
		r.add(who)
		return r.setMember(chat.General, chat.Member{Name: name, Since: max(since, 1)})
	})
	if err != nil {
		return fail(err)
	}
	return who.account(), nil
}

func (u *Store) newUser(name chat.Name, role chat.Role, keys []chat.Key) (*user, error) {
	id := make([]byte, 16)
	rand.Read(id) // never fails
	who := &user{ID: hex.EncodeToString(id), Name: name, Role: role, Created: u.second(), Seen: u.clock.Read().Latest.Format(time.DateOnly)}
	for _, k := range keys {
		key, err := u.newKey(k)
		if err != nil {
			return nil, err
		}
		if err := who.fits(key); err != nil {
			return nil, err
		}
		who.keys = append(who.keys, key)
	}
	return who, nil
}

// canLogIn reports whether there is a way in.
func (u *user) canLogIn() bool {
	return u.password != nil || slices.ContainsFunc(u.keys, userKey.logsIn)
}

// SetRole changes what the account may do. Errors: ErrNoAccount; ErrLastAdmin, because a server without an admin
// takes the next who registers for one; ErrEdited; or the disk's.
func (u *Store) SetRole(id string, role chat.Role) error {
	if !validRole(role) {
		return fmt.Errorf("internal error: role %q", role)
	}
	err := u.changeUser(id, func(r *roster, who *user) error {
		if role != chat.Admin && u.lastAdmin(r, who) {
			return ErrLastAdmin
		}
		who.Role = role
		return nil
	})
	if err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	return nil
}

// Disable has nobody log in to the account, or lets them again. Errors: ErrNoAccount, ErrLastAdmin, ErrEdited, or the
// disk's.
func (u *Store) Disable(id string, disabled bool) error {
	err := u.changeUser(id, func(r *roster, who *user) error {
		if disabled && u.lastAdmin(r, who) {
			return ErrLastAdmin
		}
		who.Disabled = disabled
		return nil
	})
	if err != nil {
		return fmt.Errorf("disable account: %w", err)
	}
	return nil
}

// Delete removes the account from everywhere. Its name stays reserved: nobody inherits what it was trusted with.
// Errors: ErrNoAccount, ErrLastAdmin, ErrEdited, or the disk's.
func (u *Store) Delete(id string) error {
	err := u.change(func(r *roster) error {
		who := r.identified(id)
		switch {
		case who == nil:
			return ErrNoAccount
		case u.lastAdmin(r, who):
			return ErrLastAdmin
		}
		r.remove(who)
		return nil
	})
	if err != nil {
		return fmt.Errorf("delete account: %w", err)
	}
	u.visits.Delete(id)
	return nil
}

// lastAdmin reports whether who is the only admin that may come in: neither disabled nor banned.
func (u *Store) lastAdmin(r *roster, who *user) bool {
	banned := func(name chat.Name) bool {
		_, hit := View{r, u.clock}.Banned(name, netip.Addr{}, "")
		return hit
	}
	if who.Role != chat.Admin || who.Disabled || banned(who.Name) {
		return false
	}
	for _, other := range r.users {
		if other.ID != who.ID && other.Role == chat.Admin && !other.Disabled && !banned(other.Name) {
			return false
		}
	}
	return true
}

// Seen notes that the account is here today, and was not before: what is noted never goes back, whatever the clock does.
// It writes at most once a day for each account, and waits for the disk only where the account was dormant: then since is from when on nothing was sealed for it, which goes on until its rooms
// are sealed to anew. It is zero where it was not.
func (u *Store) Seen(id string) (since time.Time, err error) {
	now := u.clock.Read()
	who := u.durable.Load().identified(id)
	if who == nil {
		return since, fmt.Errorf("note a visit: %w", ErrNoAccount)
	}
	dormant := u.dormant(who)
	u.visits.Store(id, now.Ran)
	today := now.Believed.Format(time.DateOnly)
	if who.Seen >= today {
		return since, nil
	}
	f, err := u.begun(func(r *roster) error {
		return r.edit(id, func(_ *roster, who *user) error {
			who.Seen = max(who.Seen, today)
			return nil
		})
	})
	if err == nil && dormant {
		<-f.done
		since, err = who.dormantFrom(u.opt.Dormant), f.err
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("note a visit: %w", err)
	}
	return since, nil
}

// changeUser has edit change a copy of the user, and returns when that is durable.
func (u *Store) changeUser(id string, edit func(*roster, *user) error) error {
	return u.change(func(r *roster) error { return r.edit(id, edit) })
}

// edit puts a changed copy of the user in its place.
func (r *roster) edit(id string, edit func(*roster, *user) error) error {
	old := r.identified(id)
	if old == nil {
		return ErrNoAccount
	}
	who := *old
	if err := edit(r, &who); err != nil {
		return err
	}
	r.replace(&who)
	return nil
}

// second is the time as it is stored.
func (u *Store) second() time.Time { return u.clock.Read().Stamp.Truncate(time.Second) }

// lasting is the end of something that lasts until a time of the wall clock, as it is stored. Zero: it has none.
func (u *Store) lasting(until time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	now := u.clock.Read()
	return until.UTC().Add(now.Stamp.Sub(now.Shown))
}
