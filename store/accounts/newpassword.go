package accounts

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// Refusals of a new password.
var (
	// ErrPolicy is wrapped by every refusal of what somebody chose. The words are for that person.
	ErrPolicy = &chat.Refusal{Code: chat.Failed, Text: "password not accepted"}
	// ErrNoRetired says that there is nothing to recover.
	ErrNoRetired = &chat.Refusal{Code: chat.Failed, Text: "no admin has reset this account's password, or the old one is already recovered"}
)

// CheckPolicy refuses, with ErrPolicy, what would be refused as the new password of name. It costs no scrypt.
func (u *Store) CheckPolicy(name chat.Name, password []byte) error {
	phrase, err := u.newPassphrase(name, password)
	clear(phrase)
	return err
}

// newPassphrase is the password as scrypt gets it, if it may be name's new one. It is a copy, for the caller to clear.
func (u *Store) newPassphrase(name chat.Name, password []byte) ([]byte, error) {
	phrase, err := longPassphrase(password, u.opt.MinPassword)
	if err != nil {
		return nil, err
	}
	if err := resist(phrase, []string{name.String(), u.opt.Server}); err != nil {
		clear(phrase)
		return nil, ErrPolicy.Because("%v", err)
	}
	return phrase, nil
}

// longPassphrase is the password as scrypt gets it, if it may be somebody's new one, which must be at least shortest code points long.
func longPassphrase(password []byte, shortest int) ([]byte, error) {
	phrase, err := agesplit.Passphrase(password)
	if err != nil {
		return nil, ErrPolicy.Because("%v", err)
	}
	if n := utf8.RuneCount(phrase); n < shortest {
		clear(phrase)
		return nil, ErrPolicy.Because("it must have at least %d characters; it has %d", shortest, n)
	}
	if bytes.ContainsFunc(phrase, unicode.IsControl) {
		clear(phrase)
		return nil, ErrPolicy.Because("it has a control character, which cannot be typed into age")
	}
	return phrase, nil
}

// NewPassword makes another password for the account, or the first one; then old is ignored. New history is sealed to a
// new identity; the new password opens it and all earlier ones. An old password opens, with an old copy of the file, only
// the past.
//
// Errors: chat.ErrNoAccount, ErrPolicy (of the new one), ErrPassword (the old one is wrong), ErrBusy, or ctx's.
func (u *Store) NewPassword(ctx context.Context, id string, old, new []byte) (in chat.SetPassword, err error) {
	a, ok := u.durable.Load().ByID(id)
	if !ok {
		return in, fmt.Errorf("create a password: %w", chat.ErrNoAccount)
	}
	var made storedPassword
	if a.Password {
		made, err = u.nextPassword(ctx, a, old, new)
	} else {
		made, err = u.firstPassword(ctx, a.Name, new)
	}
	if err != nil {
		return in, fmt.Errorf("create a password: %w", err)
	}
	return made.replacing(a), nil
}

// NewReset makes a password for an account whose old one is lost. What was sealed only to the old identities cannot be
// opened unless the old password is remembered: its file is kept as retired. Errors: chat.ErrNoAccount, ErrPolicy,
// ErrBusy, or ctx's.
func (u *Store) NewReset(ctx context.Context, id string, new []byte) (in chat.ResetPassword, err error) {
	a, ok := u.durable.Load().ByID(id)
	if !ok {
		return in, fmt.Errorf("create a password: %w", chat.ErrNoAccount)
	}
	made, err := u.firstPassword(ctx, a.Name, new)
	if err != nil {
		return in, fmt.Errorf("create a password: %w", err)
	}
	if a.Password {
		was := passwordOf(a)
		made.Retired = append(was.Retired, was.Sealed)
	}
	return chat.ResetPassword(made.replacing(a)), nil
}

// Recovered makes the account's password open what one before it did that an admin replaced: earlier is that one. Its
// identities go behind the others, and the retired file is gone with that.
//
// Each retired file costs a scrypt, the newest first, until one opens. Errors: chat.ErrNoAccount, ErrPassword (either is
// wrong), ErrNoRetired, ErrPolicy (too many identities), ErrBusy, or ctx's.
func (u *Store) Recovered(ctx context.Context, id string, present, earlier []byte) (in chat.SetPassword, err error) {
	a, ok := u.durable.Load().ByID(id)
	switch {
	case !ok:
		return in, fmt.Errorf("recover: %w", chat.ErrNoAccount)
	case len(passwordOf(a).Retired) == 0:
		return in, fmt.Errorf("recover: %w", ErrNoRetired)
	}
	made, err := u.recovered(ctx, a, present, earlier)
	if err != nil {
		return in, fmt.Errorf("recover: %w", err)
	}
	return made.replacing(a), nil
}

// replacing is the intent that puts p in the place of the password that a had when p was made from it.
func (p storedPassword) replacing(a chat.Account) chat.SetPassword {
	return chat.SetPassword{ID: a.ID, Was: a.Secret, Recipient: p.Recipient, Secret: p.secret()}
}

// firstPassword makes the identity of an account that has none. It costs one scrypt.
func (u *Store) firstPassword(ctx context.Context, name chat.Name, new []byte) (made storedPassword, err error) {
	phrase, err := u.newPassphrase(name, new)
	if err != nil {
		return made, err
	}
	defer clear(phrase)
	if err := u.scrypts.acquire(ctx); err != nil {
		return made, err
	}
	defer u.scrypts.release()
	return u.newIdentity(nil, phrase)
}

// nextPassword makes an identity before those that old opens. It costs two scrypts, one after the other.
func (u *Store) nextPassword(ctx context.Context, a chat.Account, old, new []byte) (made storedPassword, err error) {
	phrase, err := u.newPassphrase(a.Name, new)
	if err != nil {
		return made, err
	}
	defer clear(phrase)
	oldPhrase, err := agesplit.Passphrase(old)
	if err != nil {
		return made, ErrPassword
	}
	defer clear(oldPhrase)
	if bytes.Equal(phrase, oldPhrase) {
		return made, ErrPolicy.Because("it is the same as your current one")
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return made, err
	}
	defer u.scrypts.release()
	was := passwordOf(a)
	plain, err := u.open(was.Sealed, oldPhrase)
	defer clear(plain)
	if err != nil {
		u.damaged(a.ID, err)
		return made, ErrPassword
	}
	made, err = u.newIdentity(plain, phrase)
	made.Retired = was.Retired
	return made, err
}

func (u *Store) recovered(ctx context.Context, a chat.Account, present, earlier []byte) (made storedPassword, err error) {
	phrase, err := agesplit.Passphrase(present)
	if err != nil {
		return made, ErrPassword
	}
	defer clear(phrase)
	earlierPhrase, err := agesplit.Passphrase(earlier)
	if err != nil {
		return made, ErrPassword
	}
	defer clear(earlierPhrase)
	if err := u.scrypts.acquire(ctx); err != nil {
		return made, err
	}
	defer u.scrypts.release()
	made = passwordOf(a)
	plain, err := u.open(made.Sealed, phrase)
	defer clear(plain)
	if err != nil {
		u.damaged(a.ID, err)
		return made, ErrPassword
	}
	for i, retired := range slices.Backward(made.Retired) {
		found, err := u.open(retired, earlierPhrase)
		if err != nil {
			u.damaged(a.ID, err)
			continue
		}
		defer clear(found)
		made.Retired = slices.Delete(made.Retired, i, i+1)
		made.Sealed, err = u.sealBoth(plain, found, phrase)
		return made, err
	}
	return made, ErrPassword
}

// sealBoth seals two sets of identities as one. The caller holds a place of the semaphore.
func (u *Store) sealBoth(newer, older, phrase []byte) (string, error) {
	if bytes.Count(newer, []byte("\n"))+bytes.Count(older, []byte("\n")) > agesplit.MaxIdentities {
		return "", ErrPolicy.Because("that would make more than %d identities", agesplit.MaxIdentities)
	}
	both := append(append(make([]byte, 0, len(newer)+len(older)), newer...), older...)
	defer clear(both)
	sealed, err := u.seal(both, phrase, u.opt.WorkFactor)
	if err != nil {
		return "", fmt.Errorf("seal the identities: %w", err)
	}
	return sealed, nil
}

// newIdentity draws an identity, puts it before the older ones and seals them all. The caller holds a place of the semaphore.
func (u *Store) newIdentity(older, phrase []byte) (made storedPassword, err error) {
	if bytes.Count(older, []byte("\n")) >= agesplit.MaxIdentities {
		return made, ErrPolicy.Because("it has been changed %d times, which is the limit", agesplit.MaxIdentities)
	}
	plain, recipient, err := agesplit.DrawIdentity(older)
	if err != nil {
		return made, fmt.Errorf("create an identity: %w", err)
	}
	defer clear(plain)
	sealed, err := u.seal(plain, phrase, u.opt.WorkFactor)
	if err != nil {
		return made, fmt.Errorf("seal the identity: %w", err)
	}
	return storedPassword{Recipient: recipient.String(), Sealed: sealed}, nil
}
