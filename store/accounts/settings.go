package accounts

import (
	"errors"
	"fmt"
	"maps"
	"regexp"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/strictjson"
)

// What an account may keep of what its person chose. All of it is in memory, and in each write of the file.
const (
	maxSettings = 32
	maxSetting  = 4096 // bytes of one value
)

// ErrSetting is wrapped by every refusal of a setting. The words are for the person who set it.
var ErrSetting = &chat.Refusal{Code: chat.Failed, Text: "setting not accepted"}

var settingPattern = regexp.MustCompile(`^[a-z]{1,16}$`)

// SetSetting has the account keep value under name, cleaned to one line; an empty value takes the setting away.
// Which names there are and what they may hold is not known here. It writes nothing where nothing changes.
// Errors: ErrNoAccount, ErrSetting, ErrEdited, or the disk's.
func (u *Store) SetSetting(id, name, value string) error {
	value, err := cleanSetting(name, value)
	if err != nil {
		return ErrSetting.Because("%v", err)
	}
	if who := u.durable.Load().identified(id); who != nil && who.settings[name] == value {
		return nil
	}
	err = u.changeUser(id, func(_ *roster, who *user) error {
		settings := maps.Clone(who.settings)
		switch {
		case value == "":
			delete(settings, name)
		case settings == nil:
			settings = map[string]string{name: value}
		default:
			settings[name] = value
		}
		if len(settings) > maxSettings {
			return ErrSetting.Because("nobody has more than %d", maxSettings)
		}
		who.settings = settings
		return nil
	})
	if err != nil {
		return fmt.Errorf("set %s: %w", name, err)
	}
	return nil
}

// cleanSetting checks a name and returns the value as it is kept.
func cleanSetting(name, value string) (string, error) {
	if !settingPattern.MatchString(name) {
		return "", errors.New("a name is 1 to 16 letters from a to z")
	}
	if value == "" {
		return "", nil
	}
	said, err := text.ParseLine(value, maxSetting)
	return said.String(), err
}

// readSettings reads a user's settings from the file.
func (u *user) readSettings(v strictjson.Value) error {
	if err := v.Object(); err != nil {
		return err
	}
	u.settings = make(map[string]string)
	return v.Walk(func(name string, field strictjson.Value) error {
		var raw string
		if err := field.Into(&raw); err != nil {
			return field.Refuse(fmt.Errorf("%s: %w", text.Clean(name, 16), err))
		}
		clean, err := cleanSetting(name, raw)
		_, twice := u.settings[name]
		switch {
		case err != nil:
		case clean == "":
			err = errors.New("it is empty")
		case twice:
			err = errors.New("it is there twice")
		case len(u.settings) == maxSettings:
			err = fmt.Errorf("a user has at most %d", maxSettings)
		}
		if err != nil {
			return field.Refuse(fmt.Errorf("%s: %w", text.Clean(name, 16), err))
		}
		u.settings[name] = clean
		return nil
	})
}
