package accounts

import (
	"encoding/json"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

// What follows is how a State stands in users.json.

type storedAccount struct {
	ID       string    `json:"id"` // 128 random bits in hex
	Name     chat.Name `json:"name"`
	Role     chat.Role `json:"role"`
	Created  time.Time `json:"created"`            // UTC, in seconds
	Seen     string    `json:"seen,omitempty"`     // the day of the last session, UTC, 2006-01-02
	Disabled bool      `json:"disabled,omitempty"` // nobody logs in to it
}

type storedKey struct {
	Line  string    `json:"key"`
	Label string    `json:"label"`
	Added time.Time `json:"added"`
	Only  chat.Only `json:"only"` // what the key is restricted to; what is not known there allows nothing
}

// storedPassword is a password identity. Its JSON is what chat.Account.Secret holds.
type storedPassword struct {
	Recipient string   `json:"recipient"`         // of the newest identity: new history is sealed to it
	Sealed    string   `json:"sealed"`            // age passphrase file of all identities, newest first
	Retired   []string `json:"retired,omitempty"` // former sealed files, whose passwords an admin's reset replaced
}

// secret is the password as the chat carries it, and as it is written.
func (p storedPassword) secret() chat.Opaque {
	page := &strictjson.Page{}
	page.Value(p)
	b, _ := page.Bytes() // strings are always encoded
	return chat.NewOpaque(string(b))
}

// passwordOf is the account's password; the zero one if it has none.
func passwordOf(a chat.Account) (p storedPassword) {
	if !a.Password {
		return p
	}
	if err := json.Unmarshal([]byte(a.Secret.Sealed()), &p); err != nil { // nobody but secret makes them
		return storedPassword{}
	}
	return p
}

// storedFactor is a second factor: one-time passwords by time (RFC 6238, SHA-1, 6 digits).
type storedFactor struct {
	Sealed string   `json:"sealed"` // age file of the secret, sealed to the password identity it was made under
	Codes  []string `json:"codes"`  // SHA-256 of the recovery codes that are left, in hex
	Used   int64    `json:"used"`   // the step of the last code taken: none is taken twice
}

// storedRoom is a room without its messages. Direct rooms are not stored: their names determine their members.
type storedRoom struct {
	Name chat.RoomName `json:"name"`
	storedSettings
}

type storedSettings struct {
	Topic   string      `json:"topic"`
	Private bool        `json:"private"`
	Slow    int64       `json:"slow,omitempty"` // seconds between two messages of one member
	By      chat.Name   `json:"by,omitzero"`
	Mods    []chat.Name `json:"mods,omitempty"`
	Invited []chat.Name `json:"invited,omitempty"`
}

func settingsOf(topic string, rules chat.Rules, by chat.Name) storedSettings {
	return storedSettings{topic, rules.Private, int64(rules.Slow / time.Second), by, rules.Mods, rules.Invited}
}

type storedInvite struct {
	ID    string    `json:"id"`   // names it in lists
	Hash  string    `json:"hash"` // SHA-256 of the code, in hexadecimal
	Uses  int       `json:"uses"` // that are left
	By    chat.Name `json:"by,omitzero"`
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
}

// storedPin says which message is pinned, and nothing of what it says.
type storedPin struct {
	Room chat.RoomName `json:"room"`
	Seq  uint64        `json:"seq"`
	By   chat.Name     `json:"by,omitzero"`
	At   time.Time     `json:"at"`
}

type storedAllowlist struct {
	On      bool     `json:"on"`
	Entries []string `json:"entries"`
}
