package chat

import "time"

// Role is what an account may do on the whole server.
type Role string

const (
	User  Role = "user"
	Mod   Role = "mod"
	Admin Role = "admin"
)

// Key is a public key of an account. It is data: checking and sealing are the store's.
type Key struct {
	Line        string    // "ssh-ed25519 AAAA…" without a comment, or "age1…"
	Fingerprint string    // "SHA256:…" of an SSH key; of an age recipient the recipient itself
	Label       string    // shown in lists; may be empty
	Added       time.Time // UTC
	Only        Only      // what it is restricted to
	Reads       bool      // age can seal to it: ssh-ed25519, ssh-rsa and age1…; false for ecdsa and sk- keys
}

// Account is one person's account, as a copy: changing it changes nothing.
type Account struct {
	ID         string // random, never reused: what a login is bound to
	Name       Name
	Role       Role
	Created    time.Time
	Seen       string // the day of the last session, UTC, 2006-01-02; empty for one that never was
	Disabled   bool   // nobody logs in to it
	Keys       []Key
	Password   bool              // a password is set
	TOTP       bool              // a second factor is asked for after the password
	Generation string            // names the current password; changes with it; empty without one
	Settings   map[string]string // what the person chose, by name; nil where nothing
}

// Reads reports whether anything the account has can open sealed history.
func (a Account) Reads() bool {
	if a.Password {
		return true
	}
	for _, k := range a.Keys {
		if k.Reads {
			return true
		}
	}
	return false
}

// AtLeast reports whether r may do all that least may.
func (r Role) AtLeast(least Role) bool { return r.rank() >= least.rank() }

func (r Role) rank() int {
	switch r {
	case Admin:
		return 2
	case Mod:
		return 1
	}
	return 0
}
