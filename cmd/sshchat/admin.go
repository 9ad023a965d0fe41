package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
)

// makeAdmins makes the accounts of --admin that do not exist yet, so that automation needs no claim code. The hub must run.
func makeAdmins(ctx context.Context, s *settings, hub *chat.Hub, users *accounts.Store, logger *slog.Logger) error {
	for _, value := range s.admins {
		if err := makeAdmin(ctx, value, hub, users, logger); err != nil {
			return fmt.Errorf("--admin %s: %w", value, err)
		}
	}
	return nil
}

func makeAdmin(ctx context.Context, value string, hub *chat.Hub, users *accounts.Store, logger *slog.Logger) error {
	word, file, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("write NAME=KEYFILE")
	}
	name, err := text.ParseName(word)
	if err != nil {
		return err
	}
	if _, exists := hub.View().ByName(name); exists {
		return nil
	}
	keys, err := readKeys(file)
	if err != nil {
		return err
	}
	a, err := users.NewAccount(ctx, name, chat.Admin, keys, nil)
	if err != nil {
		return err
	}
	if err := hub.Decide(ctx, chat.TheServer, chat.CreateAccount{Account: a}, nil); err != nil {
		return err
	}
	logger.Info("created the admin", "account", name, "keys", len(keys), "file", file)
	return users.Checkpoint()
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
		return nil, fmt.Errorf("%s contains no key", file)
	}
	return keys, nil
}
