package chat

import (
	"net/netip"
	"time"
)

// Tally is what is kept of the passwords tried for a name: how many were wrong, and from where the right one, or a key,
// came. It may be some seconds old after a crash.
type Tally struct {
	Wrong    int           `json:"wrong,omitempty"`   // in a row
	Asked    int           `json:"asked,omitempty"`   // of these, in sessions of the account, since the last right one
	Forgiven time.Time     `json:"forgiven,omitzero"` // when a login last ended a long count
	Next     time.Time     `json:"next,omitzero"`     // when a password is looked at again
	Missed   int           `json:"missed,omitempty"`  // since the last login
	From     string        `json:"from,omitempty"`    // the address of the last of them
	At       time.Time     `json:"at,omitzero"`       // and when it came
	Known    []KnownSource `json:"known,omitempty"`   // the latest last
}

// KnownSource is where somebody logged in from.
type KnownSource struct {
	Source netip.Prefix `json:"source"`
	At     time.Time    `json:"at"`
}

// Tallies keeps them, so that they outlive the server. It may lose the last few seconds in a crash.
type Tallies interface {
	// Tally replaces what is kept of the name; a zero one takes it away. It returns at once.
	Tally(name Name, t Tally)
	// Tallies returns all that is kept, as a copy.
	Tallies() map[Name]Tally
}

// Act is one line of the audit log: what somebody did as an admin or moderator, or what happened to security.
type Act struct {
	N      uint64    `json:"n"`  // counts lines from 1, across files
	At     time.Time `json:"at"` // UTC
	By     string    `json:"by"` // an account's name; empty: the server
	Source string    `json:"source,omitempty"`
	Face   string    `json:"face,omitempty"`   // "chat" or "exec"
	Do     string    `json:"do"`               // the command, or the event's name
	On     string    `json:"on,omitempty"`     // whom or what it was done to
	Text   string    `json:"text,omitempty"`   // what else was said with it
	Result string    `json:"result,omitempty"` // "done", "denied" or "failed"
	Prev   string    `json:"prev"`             // SHA-256 of the line before, without its newline; empty in the first
}
