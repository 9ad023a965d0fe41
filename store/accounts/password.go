package accounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

var (
	// ErrPassword is all that is said of a login that fails: wrong password, unknown name, no password set.
	ErrPassword = &chat.Refusal{Code: chat.Failed, Text: "wrong name or password"}
	// ErrNoPassword says that the account has none.
	ErrNoPassword = &chat.Refusal{Code: chat.Failed, Text: "the account has no password"}
	// ErrPasswordChanged says that another change of the password came first.
	ErrPasswordChanged = &chat.Refusal{Code: chat.Failed, Text: "the password was changed meanwhile"}
	// ErrPolicy is wrapped by every refusal of a new password. The words are for the person who chose it.
	ErrPolicy = &chat.Refusal{Code: chat.Failed, Text: "password not accepted"}
)

// CheckPassword returns the account as it was when the check began: if its password changes meanwhile,
// its Generation is not the current one. What limits guessing sits here, before the semaphore.
//
// An unknown name, or an account without a password, takes the same way as a wrong password and as long.
// Errors: ErrPassword, ErrBusy, or ctx's. The caller's password is neither changed nor kept.
func (u *Store) CheckPassword(ctx context.Context, name chat.Name, password []byte) (chat.Account, error) {
	phrase, err := agesplit.Passphrase(password)
	if err != nil { // it is nobody's, so the quick answer tells nothing of this account
		return chat.Account{}, ErrPassword
	}
	defer clear(phrase)
	who, plain, err := u.opened(ctx, name, phrase)
	clear(plain)
	if err != nil {
		return chat.Account{}, err
	}
	return who.account(), nil
}

// opened returns the user whose password the phrase is, and the identities it opens, for the caller to clear.
func (u *Store) opened(ctx context.Context, name chat.Name, phrase []byte) (who *user, plain []byte, err error) {
	who, sealed := u.durable.Load().named(name), u.dummy
	if who != nil && who.password != nil {
		sealed = who.password.Sealed
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, nil, err
	}
	defer u.scrypts.release()
	plain, err = u.open(sealed, phrase)
	if who == nil || who.password == nil {
		clear(plain)
		return nil, nil, ErrPassword
	}
	if err == nil {
		err = who.password.holds(plain)
	}
	if err != nil {
		clear(plain)
		u.damaged(who, err)
		return nil, nil, ErrPassword
	}
	return who, plain, nil
}

// Wrong reports whether an error says that a password or a code is wrong, and not that nobody looked.
func (u *Store) Wrong(err error) bool { return errors.Is(err, ErrPassword) || errors.Is(err, ErrCode) }

// Unlock returns the identities of the account that its password opens, newest first, for who is to read history with
// them. It costs what CheckPassword costs, refuses as that does, and waits at the same semaphore. The password is wiped.
// age takes identities as strings, which cannot be: they are gone once nothing holds them and the memory is used again.
// Errors: ErrPassword, also where the account has none; ErrBusy, or ctx's.
func (u *Store) Unlock(ctx context.Context, id string, password []byte) ([]age.Identity, error) {
	defer clear(password)
	phrase, err := agesplit.Passphrase(password)
	if err != nil {
		return nil, ErrPassword
	}
	defer clear(phrase)
	who, sealed := u.durable.Load().identified(id), u.dummy
	if who != nil && who.password != nil {
		sealed = who.password.Sealed
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, err
	}
	defer u.scrypts.release()
	plain, err := u.open(sealed, phrase)
	defer clear(plain)
	if who == nil || who.password == nil {
		return nil, ErrPassword
	}
	if err != nil {
		u.damaged(who, err)
		return nil, ErrPassword
	}
	return agesplit.ParseIdentities(plain), nil
}

// holds reports whether the opened file is that of the recipient. In a file put together by hand it may not be,
// and then history would be sealed to something the password does not open.
func (p *password) holds(plain []byte) error {
	recipient, err := agesplit.NewestRecipient(plain)
	if err != nil {
		return err
	}
	if recipient != p.Recipient {
		return errors.New("it does not hold the identity of the account's recipient")
	}
	return nil
}

// damaged tells the log of a sealed file that no password will open.
func (u *Store) damaged(who *user, err error) {
	if !errors.Is(err, agesplit.ErrWrongPassphrase) {
		u.opt.Log.Error("a sealed identity cannot be used", "account", who.ID, "err", err)
	}
}

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
		return nil, ErrPolicy.Because("it must be at least %d characters long, and has %d", shortest, n)
	}
	if bytes.ContainsFunc(phrase, unicode.IsControl) {
		clear(phrase)
		return nil, ErrPolicy.Because("it holds a control character, which age could not ask you for")
	}
	return phrase, nil
}

// SetPassword changes the account's password, or sets the first one; then old is not looked at. There is a new
// identity, which new history is sealed to; the new password opens it and all before it. An old password opens, in an
// old copy of the file, the past only. It returns the new one's Generation.
//
// Errors: ErrNoAccount, ErrPolicy (of the new one), ErrPassword (the old one is wrong), ErrBusy, ErrPasswordChanged,
// ctx's, ErrEdited, or the disk's.
func (u *Store) SetPassword(ctx context.Context, id string, old, new []byte) (generation string, err error) {
	who := u.durable.Load().identified(id)
	if who == nil {
		return "", fmt.Errorf("set password: %w", ErrNoAccount)
	}
	var made *password
	if who.password == nil {
		made, err = u.firstPassword(ctx, who.Name, new)
	} else {
		made, err = u.nextPassword(ctx, who, old, new)
	}
	if err != nil {
		return "", fmt.Errorf("set password: %w", err)
	}
	if err := u.putPassword(who, made, false); err != nil {
		return "", fmt.Errorf("set password: %w", err)
	}
	return made.generation(), nil
}

// firstPassword makes the identity of an account that has none. It costs one scrypt.
func (u *Store) firstPassword(ctx context.Context, name chat.Name, new []byte) (*password, error) {
	phrase, err := u.newPassphrase(name, new)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, err
	}
	defer u.scrypts.release()
	return u.newIdentity(nil, phrase)
}

// nextPassword makes an identity before those that old opens. It costs two scrypts, one after the other.
func (u *Store) nextPassword(ctx context.Context, who *user, old, new []byte) (*password, error) {
	phrase, err := u.newPassphrase(who.Name, new)
	if err != nil {
		return nil, err
	}
	defer clear(phrase)
	oldPhrase, err := agesplit.Passphrase(old)
	if err != nil {
		return nil, ErrPassword
	}
	defer clear(oldPhrase)
	if bytes.Equal(phrase, oldPhrase) {
		return nil, ErrPolicy.Because("it is the one you have")
	}
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, err
	}
	defer u.scrypts.release()
	plain, err := u.open(who.password.Sealed, oldPhrase)
	defer clear(plain)
	if err != nil {
		u.damaged(who, err)
		return nil, ErrPassword
	}
	made, err := u.newIdentity(plain, phrase)
	if err != nil {
		return nil, err
	}
	made.Retired = who.password.Retired
	return made, nil
}

// ResetPassword gives the account a password without knowing the old one. What was sealed to the old identities alone
// is lost unless the old password is remembered: its file is kept as retired. A second factor goes with it.
// Errors: ErrNoAccount, ErrPolicy, ErrBusy, ErrPasswordChanged, ctx's, ErrEdited, or the disk's.
func (u *Store) ResetPassword(ctx context.Context, id string, new []byte) error {
	who := u.durable.Load().identified(id)
	if who == nil {
		return fmt.Errorf("reset password: %w", ErrNoAccount)
	}
	made, err := u.firstPassword(ctx, who.Name, new)
	if err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	if who.password != nil {
		made.Retired = append(slices.Clone(who.password.Retired), who.password.Sealed)
	}
	if err := u.putPassword(who, made, true); err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	return nil
}

// Recover has the account's password open what one before it did that an admin replaced: earlier is that one. Its
// identities go behind the others, and the retired file is gone with that.
//
// Each retired file costs a scrypt, the newest first, until one opens. Errors: ErrNoAccount, ErrPassword (either is
// wrong), ErrNoRetired, ErrPolicy (too many identities), ErrBusy, ErrPasswordChanged, ctx's, ErrEdited, or the disk's.
func (u *Store) Recover(ctx context.Context, id string, present, earlier []byte) error {
	who := u.durable.Load().identified(id)
	if who == nil {
		return fmt.Errorf("recover: %w", ErrNoAccount)
	}
	if who.password == nil || len(who.password.Retired) == 0 {
		return fmt.Errorf("recover: %w", ErrNoRetired)
	}
	made, err := u.recovered(ctx, who, present, earlier)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if err := u.putPassword(who, made, false); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	return nil
}

func (u *Store) recovered(ctx context.Context, who *user, present, earlier []byte) (*password, error) {
	phrase, err := agesplit.Passphrase(present)
	if err != nil {
		return nil, ErrPassword
	}
	defer clear(phrase)
	earlierPhrase, err := agesplit.Passphrase(earlier)
	if err != nil {
		return nil, ErrPassword
	}
	defer clear(earlierPhrase)
	if err := u.scrypts.acquire(ctx); err != nil {
		return nil, err
	}
	defer u.scrypts.release()
	plain, err := u.open(who.password.Sealed, phrase)
	defer clear(plain)
	if err != nil {
		u.damaged(who, err)
		return nil, ErrPassword
	}
	for i, retired := range slices.Backward(who.password.Retired) {
		found, err := u.open(retired, earlierPhrase)
		if err != nil {
			u.damaged(who, err)
			continue
		}
		defer clear(found)
		made := *who.password
		made.Retired = slices.Delete(slices.Clone(made.Retired), i, i+1)
		made.Sealed, err = u.sealBoth(plain, found, phrase)
		return &made, err
	}
	return nil, ErrPassword
}

// sealBoth seals two sets of identities as one. The caller holds a place of the semaphore.
func (u *Store) sealBoth(newer, older, phrase []byte) (string, error) {
	if bytes.Count(newer, []byte("\n"))+bytes.Count(older, []byte("\n")) > agesplit.MaxIdentities {
		return "", ErrPolicy.Because("with those there would be more than %d identities", agesplit.MaxIdentities)
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
func (u *Store) newIdentity(older, phrase []byte) (*password, error) {
	if bytes.Count(older, []byte("\n")) >= agesplit.MaxIdentities {
		return nil, ErrPolicy.Because("it was changed %d times, which is as often as can be", agesplit.MaxIdentities)
	}
	plain, recipient, err := agesplit.DrawIdentity(older)
	if err != nil {
		return nil, fmt.Errorf("draw an identity: %w", err)
	}
	defer clear(plain)
	sealed, err := u.seal(plain, phrase, u.opt.WorkFactor)
	if err != nil {
		return nil, fmt.Errorf("seal the identity: %w", err)
	}
	return &password{Recipient: recipient.String(), Sealed: sealed, recipient: recipient}, nil
}

// putPassword stores made, which was made from the password that was has. The second factor is opened by any identity
// that the new password opens; where it opens none of the old ones, forget takes it away.
func (u *Store) putPassword(was *user, made *password, forget bool) error {
	return u.changeUser(was.ID, func(_ *roster, who *user) error {
		if who.password != was.password { // never written to, so the same one is at the same place
			return ErrPasswordChanged
		}
		who.password = made
		if forget {
			who.totp = nil
		}
		return nil
	})
}

// Identity returns the account's sealed identities as a stock age passphrase file, armored: "age -d -i" takes it and
// asks for the password. Errors: ErrNoAccount, ErrNoPassword.
func (u *Store) Identity(id string) (armored []byte, err error) {
	who := u.durable.Load().identified(id)
	switch {
	case who == nil:
		return nil, fmt.Errorf("identity: %w", ErrNoAccount)
	case who.password == nil:
		return nil, fmt.Errorf("identity: %w", ErrNoPassword)
	}
	return []byte(who.password.Sealed), nil
}
