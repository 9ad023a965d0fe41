package accounts

import (
	"context"
	"errors"
	"fmt"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// ErrPassword is all that is said of a login that fails: wrong password, unknown name, no password set.
var ErrPassword = &chat.Refusal{Code: chat.Failed, Text: "wrong name or password"}

// CheckPassword returns the account as it was when the check began: if its password changes meanwhile,
// its Generation is not the current one. What limits guessing sits here, before the semaphore.
//
// An unknown name, or an account without a password, takes the same way as a wrong password and as long.
// Errors: ErrPassword, ErrBusy, or ctx's. The caller's password is neither changed nor kept.
func (u *Store) CheckPassword(ctx context.Context, name chat.Name, password []byte) (chat.Account, error) {
	phrase, err := agesplit.Passphrase(password)
	if err != nil { // it is nobody's, so the quick answer reveals nothing about this account
		return chat.Account{}, ErrPassword
	}
	defer clear(phrase)
	a, plain, err := u.opened(ctx, name, phrase)
	clear(plain)
	return a, err
}

// opened returns the account whose password the phrase is, and the identities it opens, for the caller to clear.
func (u *Store) opened(ctx context.Context, name chat.Name, phrase []byte) (a chat.Account, plain []byte, err error) {
	a, _ = u.durable.Load().ByName(name)
	p, sealed := passwordOf(a), u.dummy
	if a.Password {
		sealed = p.Sealed
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return chat.Account{}, nil, err
	}
	defer u.scrypts.release()
	plain, err = u.open(sealed, phrase)
	if !a.Password {
		clear(plain)
		return chat.Account{}, nil, ErrPassword
	}
	if err == nil {
		err = p.holds(plain)
	}
	if err != nil {
		clear(plain)
		u.damaged(a.ID, err)
		return chat.Account{}, nil, ErrPassword
	}
	return a, plain, nil
}

// Wrong reports whether an error says that a password or a code is wrong, and not that nobody looked.
func (u *Store) Wrong(err error) bool {
	return errors.Is(err, ErrPassword) || errors.Is(err, chat.ErrCode)
}

// Unlock returns the identities of the account that its password opens, newest first, for reading history. It costs as
// much as CheckPassword, returns the same errors, and uses the same semaphore. The password is wiped. age takes
// identities as strings, which cannot be wiped: they remain until their memory is reused. Errors: ErrPassword, also if
// the account has none; ErrBusy, or ctx's.
func (u *Store) Unlock(ctx context.Context, id string, password []byte) ([]age.Identity, error) {
	defer clear(password)
	phrase, err := agesplit.Passphrase(password)
	if err != nil {
		return nil, ErrPassword
	}
	defer clear(phrase)
	a, _ := u.durable.Load().ByID(id)
	sealed := u.dummy
	if a.Password {
		sealed = passwordOf(a).Sealed
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, err
	}
	defer u.scrypts.release()
	plain, err := u.open(sealed, phrase)
	defer clear(plain)
	if !a.Password {
		return nil, ErrPassword
	}
	if err != nil {
		u.damaged(a.ID, err)
		return nil, ErrPassword
	}
	return agesplit.ParseIdentities(plain), nil
}

// holds reports whether the opened file is that of the recipient. In a file put together by hand it may not be,
// and then history would be sealed to something the password does not open.
func (p storedPassword) holds(plain []byte) error {
	recipient, err := agesplit.NewestRecipient(plain)
	if err != nil {
		return err
	}
	if recipient != p.Recipient {
		return errors.New("it does not contain the identity that belongs to the account")
	}
	return nil
}

// damaged logs a sealed file that no password opens.
func (u *Store) damaged(id string, err error) {
	if !errors.Is(err, agesplit.ErrWrongPassphrase) {
		u.opt.Log.Error("a sealed identity is unusable", "account", id, "err", err)
	}
}

// Checks is how many passwords are being checked now, and how many wait for it.
func (u *Store) Checks() (running, waiting int) { return len(u.scrypts.slots), len(u.scrypts.queue) }

// Identity returns the account's sealed identities as a stock age passphrase file, armored: "age -d -i" takes it and
// asks for the password. Errors: chat.ErrNoAccount, chat.ErrNoPassword.
func (u *Store) Identity(id string) (armored []byte, err error) {
	a, ok := u.durable.Load().ByID(id)
	switch {
	case !ok:
		return nil, fmt.Errorf("identity: %w", chat.ErrNoAccount)
	case !a.Password:
		return nil, fmt.Errorf("identity: %w", chat.ErrNoPassword)
	}
	return []byte(passwordOf(a).Sealed), nil
}
