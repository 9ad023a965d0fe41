package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// account is a user that logs in. It is derived from its name, so that nothing needs to be stored.
type account struct {
	name   string
	signer ssh.Signer
}

func newAccount(name string) (account, error) {
	seed := sha256.Sum256([]byte("sshchat bench " + name)) // guards a folder that lives for minutes, on this machine
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		return account{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	return account{name, signer}, nil
}

// newAccounts makes n accounts named after what they do.
func newAccounts(role string, n int) ([]account, error) {
	all := make([]account, n)
	for i := range all {
		var err error
		if all[i], err = newAccount(role + letters(i)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// letters is a number in distinct letters.
func letters(n int) string {
	const digits = "abcdefghkm"
	return strings.Map(func(r rune) rune { return rune(digits[r-'0']) }, fmt.Sprintf("%04d", n))
}

// writeAccounts makes a data folder in which the accounts have been here today, so that their logins write nothing,
// and in #general since the first message, so that the history is sealed to all of them. Of several rooms they are in all.
func writeAccounts(folder string, all []account, rooms int) error {
	type key struct {
		Key   string    `json:"key"`
		Added time.Time `json:"added"`
	}
	type user struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Role    string    `json:"role"`
		Created time.Time `json:"created"`
		Seen    string    `json:"seen"`
		Keys    []key     `json:"keys"`
	}
	type member struct {
		Name  string `json:"name"`
		Since int    `json:"since"`
	}
	type room struct {
		Name    string   `json:"name"`
		Members []member `json:"members"`
	}
	now := time.Now().UTC().Truncate(time.Second)
	var users []user
	var members []member
	for i, a := range all {
		role := "user"
		if i == 0 { // without an admin the server offers to make one
			role = "admin"
		}
		line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(a.signer.PublicKey())))
		users = append(users, user{
			ID: fmt.Sprintf("%032x", i+1), Name: a.name, Role: role, Created: now, Seen: now.Format(time.DateOnly),
			Keys: []key{{line, now}},
		})
		members = append(members, member{a.name, 1})
	}
	in := []room{{"general", members}}
	for i := 1; i < rooms; i++ {
		in = append(in, room{"room" + letters(i), members})
	}
	b, err := json.Marshal(map[string]any{"format": "sshchat-users/1", "users": users, "rooms": in})
	if err != nil {
		return fmt.Errorf("write the accounts: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, "users.json"), b, 0o600)
}
