package accounts

import (
	"errors"
	"regexp"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// maxSetting is how many bytes one value may have. All of them are in memory, and in each write of the file.
const maxSetting = 4096

var settingPattern = regexp.MustCompile(`^[a-z]{1,16}$`)

// CleanSetting checks the name of a setting and returns the value as it is kept, cleaned to one line, for chat.SetSetting.
// Which names there are and what they may hold is not known here. Errors wrap chat.ErrSetting.
func CleanSetting(name, value string) (string, error) {
	clean, err := cleanSetting(name, value)
	if err != nil {
		return "", chat.ErrSetting.Because("%v", err)
	}
	return clean, nil
}

func cleanSetting(name, value string) (string, error) {
	if !settingPattern.MatchString(name) {
		return "", errors.New("the name must be 1 to 16 letters from a to z")
	}
	if value == "" {
		return "", nil
	}
	said, err := text.ParseLine(value, maxSetting)
	return said.String(), err
}
