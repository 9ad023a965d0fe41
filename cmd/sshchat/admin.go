package main

import (
	"fmt"
	"os"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
)

// makeAdmins makes the accounts of --admin that do not exist yet, so that automation needs no claim code.
func makeAdmins(s settings, st *stores) error {
	for _, value := range s.admins {
		if err := makeAdmin(value, st); err != nil {
			return fmt.Errorf("--admin %s: %w", value, err)
		}
	}
	return nil
}

func makeAdmin(value string, st *stores) error {
	word, file, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("write NAME=KEYFILE")
	}
	name, err := text.ParseName(word)
	if err != nil {
		return err
	}
	if _, exists := st.users.ByName(name); exists {
		return nil
	}
	keys, err := readKeys(file)
	if err != nil {
		return err
	}
	if _, err = st.users.Create(name, chat.Admin, keys, nil, st.history.Last()[chat.General]+1); err != nil {
		return err
	}
	// The history was opened before: it learns of its new reader as of any other.
	return st.history.Commit([]chat.Event{{Room: chat.General, Change: chat.Join, Name: name}})
}

// readKeys reads the public keys of a file, one a line.
func readKeys(file string) ([]chat.Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var keys []chat.Key
	for line := range strings.Lines(strings.TrimPrefix(string(data), text.BOM)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := accounts.ParseKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", file)
	}
	return keys, nil
}
