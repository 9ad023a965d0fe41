package accounts

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/agesplit"
	"sshchat/store/strictjson"
)

var idPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// readAccount reads an account. What somebody wrote from the idea of the file is refused with the command that does it.
func (r *reader) readAccount(v strictjson.Value) error {
	var a chat.Account
	err := v.Refuse(r.readAccountInto(&a, v))
	switch {
	case err == nil:
		r.parts.Accounts = append(r.parts.Accounts, a)
		r.ids[a.ID], r.names[a.Name] = true, true
	case errors.Is(err, errPasswordText) && a.ID != "":
		err = fmt.Errorf("%w: remove it, start the server, and let an admin run: user reset-password %s", err, cmp.Or(a.Name.String(), "NAME"))
	case a.ID == "" || errors.Is(err, errPasswordText):
		err = fmt.Errorf("%w. Only the server can create accounts: remove this entry, start the server, and let an admin run: user create %s. "+
			"To create the first admin: sshchat --admin NAME=KEYFILE", err, cmp.Or(a.Name.String(), "NAME"))
	}
	return err
}

// errPasswordText refuses a password that somebody wrote into the file.
var errPasswordText = errors.New("passwords are stored sealed, never as text")

func (r *reader) readAccountInto(a *chat.Account, v strictjson.Value) error {
	var keys []strictjson.Value
	var factor *chat.Factor
	err := v.Switch(func(key string, v strictjson.Value) (known bool, err error) {
		switch key {
		case "id":
			err = v.Into(&a.ID)
		case "name":
			err = v.Into(&a.Name)
		case "role":
			err = v.Into(&a.Role)
		case "created":
			err = v.Into(&a.Created)
		case "seen":
			err = v.Into(&a.Seen)
		case "disabled":
			err = v.Into(&a.Disabled)
		case "keys":
			keys = []strictjson.Value{v}
		case "password":
			err = readPassword(a, v)
		case "totp":
			factor, err = readFactor(v)
		case "settings":
			a.Settings, err = readSettings(v)
		default:
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	*a = a.WithFactor(factor)
	for _, v := range keys {
		if err := v.Items(func(v strictjson.Value) error { return readKey(a, v) }); err != nil {
			return err
		}
	}
	switch {
	case !idPattern.MatchString(a.ID):
		return errors.New("a user needs an id of 32 hexadecimal digits")
	case a.Name.IsZero():
		return errors.New("a user needs a name")
	case !validRole(a.Role):
		return fmt.Errorf("the role is %q; it must be user, mod or admin", a.Role)
	case a.Created.IsZero():
		return errors.New("a user needs a creation time")
	case r.ids[a.ID]:
		return fmt.Errorf("another user has the ID %s", a.ID)
	case r.names[a.Name]:
		return fmt.Errorf("another user has the name %s", a.Name)
	case len(a.Keys) > chat.MaxKeys:
		return fmt.Errorf("a user can have at most %d keys", chat.MaxKeys)
	}
	if _, err := time.Parse(time.DateOnly, a.Seen); err != nil && a.Seen != "" {
		return fmt.Errorf("seen is %q; it must be a day like 2006-01-02", a.Seen)
	}
	return nil
}

func readKey(a *chat.Account, v strictjson.Value) error {
	var k storedKey
	err := v.Switch(func(key string, v strictjson.Value) (bool, error) {
		switch key {
		case "key":
			return true, v.Into(&k.Line)
		case "label":
			return true, v.Into(&k.Label)
		case "added":
			return true, v.Into(&k.Added)
		case "only":
			return true, v.Into(&k.Only)
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	key, err := agesplit.ParseCheckedKey(k.Line)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if slices.ContainsFunc(a.Keys, func(other chat.Key) bool { return other.Fingerprint == key.Fingerprint }) {
		return errors.New("the user already has this key")
	}
	a.Keys = append(a.Keys, keptKey(key, k.Label, k.Added, k.Only))
	return nil
}

func readPassword(a *chat.Account, v strictjson.Value) error {
	if v.IsText() {
		return errPasswordText
	}
	var p storedPassword
	err := v.Fields(map[string]func(strictjson.Value) error{
		"recipient": strictjson.To(&p.Recipient), "sealed": strictjson.To(&p.Sealed), "retired": strictjson.To(&p.Retired),
	})
	if err != nil {
		return err
	}
	if _, err := age.ParseX25519Recipient(p.Recipient); err != nil {
		return errors.New("the recipient is not an age recipient")
	}
	for _, sealed := range append([]string{p.Sealed}, p.Retired...) {
		if err := agesplit.CheckSealed(sealed); err != nil {
			return err
		}
	}
	*a = a.WithPassword(p.Recipient, p.secret())
	return nil
}

func readFactor(v strictjson.Value) (*chat.Factor, error) {
	var f storedFactor
	err := v.Fields(map[string]func(strictjson.Value) error{
		"sealed": strictjson.To(&f.Sealed), "codes": strictjson.To(&f.Codes), "used": strictjson.To(&f.Used),
	})
	if err != nil {
		return nil, err
	}
	for _, c := range f.Codes {
		if b, err := hex.DecodeString(c); err != nil || len(b) != sha256.Size {
			return nil, v.Refuse(errors.New("a recovery code must be 64 hexadecimal digits"))
		}
	}
	if len(f.Codes) > recoveryCodes || len(f.Sealed) > maxSealedTOTP || f.Used < 0 {
		return nil, v.Refuse(errors.New("the second factor is malformed"))
	}
	return &chat.Factor{Secret: chat.NewOpaque(f.Sealed), Codes: append([]string(nil), f.Codes...), Used: f.Used}, nil
}

func readSettings(v strictjson.Value) (map[string]string, error) {
	if err := v.Object(); err != nil {
		return nil, err
	}
	settings := make(map[string]string)
	err := v.Walk(func(name string, field strictjson.Value) error {
		var raw string
		if err := field.Into(&raw); err != nil {
			return field.Refuse(fmt.Errorf("%s: %w", text.Clean(name, 16), err))
		}
		clean, err := cleanSetting(name, raw)
		_, twice := settings[name]
		switch {
		case err != nil:
		case clean == "":
			err = errors.New("it is empty")
		case twice:
			err = errors.New("it is listed twice")
		case len(settings) == chat.MaxSettings:
			err = fmt.Errorf("a user can have at most %d", chat.MaxSettings)
		}
		if err != nil {
			return field.Refuse(fmt.Errorf("%s: %w", text.Clean(name, 16), err))
		}
		settings[name] = clean
		return nil
	})
	if len(settings) == 0 {
		settings = nil
	}
	return settings, err
}
