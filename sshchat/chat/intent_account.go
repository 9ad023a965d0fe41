package chat

import (
	"fmt"
	"maps"
	"slices"
)

// This file is what can be decided about accounts. Whose intents they may be:
//
//	intent                     | stranger          | the account's own | admin             | the server
//	CreateAccount              | a user's, of the  |        -          | yes               | yes
//	                           | name; the first   |                   |                   |
//	                           | admin's           |                   |                   |
//	ClaimAdmin                 |        -          | while there is    |                   |
//	                           |                   | no admin          |                   |
//	SetRole, Import            |        -          |        -          | yes               | yes
//	Disable                    |        -          |        -          | others'           | yes
//	DeleteAccount, AddKeys,    |        -          | yes               | yes               | yes
//	RemoveKey                  |                   |                   |                   |
//	SetPassword, SetFactor,    |        -          | yes               |        -          | yes
//	SetSetting                 |                   |                   |                   |
//	ResetPassword              |        -          |        -          | yes               | yes
//	SpendCode, Visit,          |        -          |        -          |        -          | yes
//	ResetAdmin                 |                   |                   |                   |
//
// No intent may leave the server without an admin.

// What one account may have.
const (
	MaxKeys     = 16 // all of them read
	MaxSettings = 32
)

// Refusals about accounts.
var (
	ErrNameTaken       = &Refusal{Code: Failed, Text: "the name is taken, or looks too much like one that is"}
	ErrNoAccount       = &Refusal{Code: NotFound, Text: "no such account"}
	ErrNoLogin         = &Refusal{Code: Failed, Text: "an account needs an SSH key or a password to log in with"}
	ErrLastAdmin       = &Refusal{Code: Failed, Text: "the server would be left without an admin"}
	ErrKeyTaken        = &Refusal{Code: Failed, Text: "the account already has this key"}
	ErrTooManyKeys     = &Refusal{Code: Failed, Text: "too many keys"}
	ErrNoKey           = &Refusal{Code: NotFound, Text: "the account has no such key"}
	ErrLastLogin       = &Refusal{Code: Failed, Text: "that is the account's last way to log in"}
	ErrSetting         = &Refusal{Code: Failed, Text: "invalid setting"}
	ErrPasswordChanged = &Refusal{Code: Failed, Text: "the password has been changed in the meantime"}
	ErrNoPassword      = &Refusal{Code: Failed, Text: "the account has no password"}
	ErrTOTP            = &Refusal{Code: Failed, Text: "the account already has a second factor"}
	ErrNoTOTP          = &Refusal{Code: Failed, Text: "the account has no second factor"}
	ErrCode            = &Refusal{Code: Failed, Text: "wrong code"}
)

// CreateAccount makes an account, which belongs to #general from the message Since on. Keys and secrets are checked by
// the code that makes them. A stranger who presents an invite's code uses it once.
type CreateAccount struct {
	Account Account
	Since   uint64
	Code    string       // hash of the code; empty: none is shown
	Setting Registration // who may register, if nothing else was decided; empty: nobody
}

func (in CreateAccount) decide(tx *transaction) error {
	a := in.Account
	switch {
	case tx.who.Server, tx.me != nil:
		if err := tx.needs(Admin); err != nil {
			return err
		}
	case a.Name != tx.who.Name || a.Role != User && (a.Role != Admin || tx.HasAdmin()):
		return denied("only an admin can do that")
	case a.Role == User && a.Name.Reserved():
		return denied("the name %s is reserved, because people would take it for the server or an admin; log in with another name", a.Name)
	}
	switch {
	case tx.Taken(a.Name):
		return ErrNameTaken
	case !a.LogsIn():
		return ErrNoLogin
	case len(a.Keys) > MaxKeys:
		return ErrTooManyKeys.Because("an account can have at most %d", MaxKeys)
	}
	for i, k := range a.Keys {
		if a.key(k.Fingerprint) != i {
			return ErrKeyTaken
		}
	}
	if !tx.who.Server && tx.me == nil && a.Role == User {
		if err := tx.registration.Or(in.Setting).admits(in.Code); err != nil {
			return err
		}
	}
	if in.Code != "" {
		if err := tx.redeem(in.Code); err != nil {
			return err
		}
	}
	if !tx.who.Server && tx.me == nil && a.Role == Admin {
		claimed(tx)
	}
	tx.addAccount(a)
	tx.setMember(tx.general(), Member{Name: a.Name, Since: in.Since})
	return nil
}

// Import makes accounts of people who have none, which belong to #general from the message Since on, and gives those who have one the
// keys that they lack: all of it or nothing.
type Import struct {
	People []Account // of somebody who has an account only the name and the keys matter
	Since  uint64
}

func (in Import) decide(tx *transaction) error {
	if err := tx.needs(Admin); err != nil {
		return err
	}
	for _, p := range in.People {
		if err := in.person(tx, p); err != nil {
			return About(p.Name, err)
		}
	}
	return nil
}

func (in Import) person(tx *transaction, p Account) error {
	known := tx.named(p.Name)
	switch {
	case known == nil && p.ID == "": // somebody has deleted it meanwhile
		return ErrNoAccount
	case known == nil:
		return CreateAccount{Account: p, Since: in.Since}.decide(tx)
	}
	lacks := slices.DeleteFunc(slices.Clone(p.Keys), func(k Key) bool { return known.HasKey(k.Fingerprint) })
	if len(lacks) == 0 {
		return nil
	}
	return AddKeys{ID: known.ID, Keys: lacks}.decide(tx)
}

// ClaimAdmin makes the caller's account the first admin's. That they may is proven by a code, which is not checked here.
type ClaimAdmin struct{ ID string }

func (in ClaimAdmin) decide(tx *transaction) error {
	a, err := tx.own(in.ID)
	switch {
	case err != nil:
		return err
	case tx.HasAdmin():
		return denied("this server already has an admin")
	}
	a.Role = Admin
	tx.putAccount(a)
	claimed(tx)
	return nil
}

// SetRole changes what an account may do.
type SetRole struct {
	ID   string
	Role Role
}

func (in SetRole) decide(tx *transaction) error {
	a, err := tx.anybodys(in.ID)
	switch {
	case err != nil:
		return err
	case in.Role != User && in.Role != Mod && in.Role != Admin:
		return fmt.Errorf("internal error: role %q", in.Role)
	case in.Role != Admin && tx.lastAdmin(a):
		return ErrLastAdmin
	}
	a.Role = in.Role
	tx.putAccount(a)
	return nil
}

// ResetAdmin makes an account an admin account that the keys can log in to: for the owner of a server who has lost the last key of an
// admin, and may write its data folder. What kept the account out ends: it is enabled, and bans of its name and of the keys are
// lifted. Restrictions of keys that it had are gone.
type ResetAdmin struct {
	ID   string
	Keys []Key
	Only bool // nothing else opens the account any more: no other key, and no password
}

func (in ResetAdmin) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the owner of the server can do that, on its machine")
	}
	a, err := tx.owner(in.ID)
	if err != nil {
		return err
	}
	if in.Only {
		a = a.WithPassword("", Opaque{}).WithFactor(nil)
		a.Keys = nil
	}
	a.Keys = slices.DeleteFunc(slices.Clone(a.Keys), func(k Key) bool {
		return slices.ContainsFunc(in.Keys, func(n Key) bool { return n.Fingerprint == k.Fingerprint })
	})
	a.Keys = append(a.Keys, in.Keys...)
	a.Role, a.Disabled = Admin, false
	lifted := func(s Sanction) bool {
		return s.User == a.Name || s.Key != "" && slices.ContainsFunc(in.Keys, func(k Key) bool { return k.Fingerprint == s.Key })
	}
	for _, list := range []*sanctions{&tx.bans, &tx.mutes} {
		if len(list.of(tx.at, lifted)) > 0 {
			*list = newSanctions(slices.DeleteFunc(list.holding(tx.at), lifted))
		}
	}
	switch {
	case len(a.Keys) > MaxKeys:
		return ErrTooManyKeys.Because("an account can have at most %d", MaxKeys)
	case !slices.ContainsFunc(in.Keys, Key.LogsIn):
		return ErrNoLogin
	}
	tx.putAccount(a)
	return nil
}

// Disable keeps everybody from logging in to an account, or ends that.
type Disable struct {
	ID       string
	Disabled bool
}

func (in Disable) decide(tx *transaction) error {
	a, err := tx.anybodys(in.ID)
	if err == nil {
		err = tx.over(a, RoomName{})
	}
	switch {
	case err != nil:
		return err
	case in.Disabled && tx.lastAdmin(a):
		return ErrLastAdmin
	}
	a.Disabled = in.Disabled
	tx.putAccount(a)
	return nil
}

// DeleteAccount removes the account of somebody else, or one's own, from everywhere. Its name stays reserved: nobody
// inherits what it was trusted with.
type DeleteAccount struct {
	ID  string
	Own bool // it is the caller's; so that nobody deletes their own by accident
}

func (in DeleteAccount) decide(tx *transaction) error {
	a, err := tx.owner(in.ID)
	switch {
	case err == nil && in.Own:
		_, err = tx.own(in.ID)
	case err == nil:
		err = tx.over(a, RoomName{})
	}
	switch {
	case err != nil:
		return err
	case tx.lastAdmin(a):
		return ErrLastAdmin
	}
	tx.removeAccount(a)
	return nil
}

// AddKeys gives an account more public keys: all of them or none. That they are keys, and belong to the caller, is
// checked by the code that makes them.
type AddKeys struct {
	ID   string
	Keys []Key
}

func (in AddKeys) decide(tx *transaction) error {
	a, err := tx.owner(in.ID)
	if err != nil {
		return err
	}
	a.Keys = slices.Clip(a.Keys)
	for _, k := range in.Keys {
		switch {
		case a.HasKey(k.Fingerprint):
			return ErrKeyTaken
		case len(a.Keys) >= MaxKeys:
			return ErrTooManyKeys.Because("an account can have at most %d", MaxKeys)
		}
		a.Keys = append(a.Keys, k)
	}
	tx.putAccount(a)
	return nil
}

// RemoveKey takes a public key from an account. Messages already sealed to it can still be opened with it.
type RemoveKey struct{ ID, Fingerprint string }

func (in RemoveKey) decide(tx *transaction) error {
	a, err := tx.owner(in.ID)
	if err != nil {
		return err
	}
	i := a.key(in.Fingerprint)
	if i < 0 {
		return ErrNoKey
	}
	could, last := a.LogsIn(), tx.lastAdmin(a)
	a.Keys = removeAt(a.Keys, i)
	if could && !a.LogsIn() || last && !tx.view().canLogIn(&a) {
		return ErrLastLogin
	}
	tx.putAccount(a)
	return nil
}

// SetSetting keeps a value under a name for an account's person; an empty value takes the setting away. The caller checks
// names and values.
type SetSetting struct{ ID, Name, Value string }

func (in SetSetting) decide(tx *transaction) error {
	a, err := tx.own(in.ID)
	if err != nil {
		return err
	}
	settings := clone(a.Settings)
	if settings[in.Name] = in.Value; in.Value == "" {
		delete(settings, in.Name)
	}
	if len(settings) > MaxSettings {
		return ErrSetting.Because("an account can have at most %d", MaxSettings)
	}
	if maps.Equal(settings, a.Settings) {
		return nil
	}
	a.Settings = settings
	tx.putAccount(a)
	return nil
}

// SetPassword gives the account of the caller another password, made from what it had: Was.
type SetPassword struct {
	ID        string
	Was       Opaque
	Recipient string
	Secret    Opaque
}

func (in SetPassword) decide(tx *transaction) error {
	a, err := tx.own(in.ID)
	switch {
	case err != nil:
		return err
	case !a.Secret.Equal(in.Was):
		return ErrPasswordChanged
	}
	tx.putAccount(a.WithPassword(in.Recipient, in.Secret))
	return nil
}

// ResetPassword gives somebody's account a password without the old one. A second factor, which that opened, goes with it.
type ResetPassword SetPassword

func (in ResetPassword) decide(tx *transaction) error {
	a, err := tx.anybodys(in.ID)
	switch {
	case err != nil:
		return err
	case !a.Secret.Equal(in.Was):
		return ErrPasswordChanged
	}
	tx.putAccount(a.WithPassword(in.Recipient, in.Secret).WithFactor(nil))
	return nil
}

// SetFactor gives the account of the caller a second factor, or with nil takes it away. Was is the password that it is
// sealed to.
type SetFactor struct {
	ID     string
	Was    Opaque
	Factor *Factor
}

func (in SetFactor) decide(tx *transaction) error {
	a, err := tx.own(in.ID)
	switch {
	case err != nil:
		return err
	case in.Factor == nil && a.Factor == nil:
		return ErrNoTOTP
	case in.Factor != nil && a.Factor != nil:
		return ErrTOTP
	case in.Factor != nil && !a.Password:
		return ErrNoPassword
	case in.Factor != nil && !a.Secret.Equal(in.Was):
		return ErrPasswordChanged
	}
	tx.putAccount(a.WithFactor(in.Factor))
	return nil
}

// SpendCode takes a code of an account's second factor, once: that of a step, or the recovery code with that hash.
type SpendCode struct {
	ID   string
	Step int64  // 0: it is the code of no step near now
	Hash string // of the code, if it is a recovery code
}

func (in SpendCode) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server marks codes as used")
	}
	a, err := tx.owner(in.ID)
	switch {
	case err != nil:
		return err
	case a.Factor == nil:
		return ErrNoTOTP
	}
	next := *a.Factor
	i := slices.Index(next.Codes, in.Hash)
	switch {
	case in.Step > next.Used:
		next.Used = in.Step
	case i >= 0:
		next.Codes = removeAt(next.Codes, i)
	default:
		return ErrCode
	}
	tx.putAccount(a.WithFactor(&next))
	return nil
}

// Visit notes that the account's person is here on that day, 2006-01-02. What is noted never goes back.
type Visit struct{ ID, Day string }

func (in Visit) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server records visits")
	}
	a, err := tx.owner(in.ID)
	if err != nil {
		return err
	}
	if a.Seen < in.Day {
		a.Seen = in.Day
		tx.putAccount(a)
	}
	return nil
}

// EditByHand merges a hand edit of users.json into the present State: Edited is the edited file, Base the State that was
// edited, and File the SHA-256 of the file, in hexadecimal. Rooms and their members must be the same in both.
type EditByHand struct {
	Base, Edited *State
	File         string
}

// ErrRoomsEdited refuses a hand edit of the rooms.
var ErrRoomsEdited = &Refusal{Code: Failed, Text: "rooms or their members were edited by hand; undo that, and use commands instead"}

func (in EditByHand) decide(tx *transaction) error {
	if !tx.who.Server {
		return denied("only the server reads files that were edited by hand")
	}
	if edit := in.Edited.Since(in.Base); len(edit.Rooms)+len(edit.RoomsRemoved) > 0 {
		return ErrRoomsEdited
	}
	merged, err := tx.Edited(in.Base, in.Edited)
	if err != nil {
		return &Refusal{Code: Failed, Text: fmt.Sprintf("it conflicts with changes made since: %v", err)}
	}
	after := View{merged, tx.at}
	if slices.ContainsFunc(tx.accounts, tx.view().canLogIn) && !slices.ContainsFunc(merged.accounts, after.canLogIn) {
		return ErrLastAdmin
	}
	if len(tx.nodes) > 0 && len(merged.nodes) == 0 {
		return ErrLastNode
	}
	tx.State = *merged
	return nil
}
