package accounts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"sshchat/sshchat/chat"
)

// NewAccount makes an account, for chat.CreateAccount. The password may be nil. It refuses early what that would refuse
// anyway, before the cost of a password.
//
// Errors: chat.ErrNameTaken, chat.ErrNoLogin, ErrKey, ErrPolicy, ErrBusy, or ctx's.
func (u *Store) NewAccount(
	ctx context.Context, name chat.Name, role chat.Role, keys []chat.Key, password []byte,
) (chat.Account, error) {
	fail := func(err error) (chat.Account, error) {
		return chat.Account{}, fmt.Errorf("create account %s: %w", name, err)
	}
	if name.IsZero() || !validRole(role) {
		return fail(fmt.Errorf("internal error: name %q, role %q", name, role))
	}
	if u.durable.Load().Taken(name) {
		return fail(chat.ErrNameTaken)
	}
	id := make([]byte, 16)
	rand.Read(id) // never fails
	a := chat.Account{
		ID: hex.EncodeToString(id), Name: name, Role: role, Created: u.second(), Seen: u.clock.Read().Latest.Format(time.DateOnly),
	}
	for _, k := range keys {
		key, err := u.NewKey(k)
		if err != nil {
			return fail(err)
		}
		a.Keys = append(a.Keys, key)
	}
	if password != nil {
		made, err := u.firstPassword(ctx, name, password)
		if err != nil {
			return fail(err)
		}
		a = a.WithPassword(made.Recipient, made.secret())
	}
	if !a.LogsIn() {
		return fail(chat.ErrNoLogin)
	}
	return a, nil
}

func validRole(r chat.Role) bool { return r == chat.User || r == chat.Mod || r == chat.Admin }
