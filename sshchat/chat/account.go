package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/text"
)

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
	Reads       bool      // history of some room is sealed to it: age can, and it is not restricted to other things
}

// Account is one person's account. What it refers to is shared and must not be changed.
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
	Settings   map[string]string // what the person chose, by name; nil if nothing

	Recipient string  // "age1…" of the newest password identity; empty without a password
	Secret    Opaque  // the password's sealed identities; zero without a password
	Factor    *Factor // the second factor; nil: there is none
}

// NameColor is the color of a person's name: a place in NameColors, from 1, or 0 for the one that follows from the name.
type NameColor uint8

// NameColors are those that people can choose. What they look like is for the UI to know.
var NameColors = []string{"red", "orange", "amber", "yellow", "lime", "green", "teal", "cyan", "blue", "indigo", "violet", "pink"}

// ColorSetting is the name of the setting that they are chosen by.
const ColorSetting = "color"

// Color is the color of the account's name.
func (a *Account) Color() NameColor {
	chosen := a.Settings[ColorSetting]
	if chosen == "" {
		return 0
	}
	return NameColor(slices.Index(NameColors, chosen) + 1)
}

// Factor is a second factor: one-time codes by time (RFC 6238), and codes that each serve once instead.
type Factor struct {
	Secret Opaque
	Used   int64    // the step of the last code taken: none is taken twice
	Codes  []string // SHA-256 of the recovery codes that are left, in hexadecimal
}

// WithPassword is the account with that password identity, or without a password if recipient is empty.
func (a Account) WithPassword(recipient string, secret Opaque) Account {
	a.Recipient, a.Secret, a.Password, a.Generation = recipient, secret, recipient != "", ""
	if a.Password {
		sum := sha256.Sum256([]byte(recipient))
		a.Generation = hex.EncodeToString(sum[:16])
	}
	return a.WithFactor(a.Factor)
}

// WithFactor is the account with that second factor, nil for none. Without a password it asks for nothing.
func (a Account) WithFactor(f *Factor) Account {
	a.Factor, a.TOTP = f, f != nil && a.Password
	return a
}

// LogsIn reports whether there is a way in: a password, or a key of SSH's and not of age's.
func (a Account) LogsIn() bool { return a.Password || slices.ContainsFunc(a.Keys, Key.LogsIn) }

// LogsIn reports whether one can log in with the key: it is SSH's, not age's.
func (k Key) LogsIn() bool { return !strings.HasPrefix(k.Line, "age1") }

// SameUse reports whether both are the same key, restricted to the same things.
func (k Key) SameUse(o Key) bool { return k.Line == o.Line && slices.Equal(k.Only, o.Only) }

// ReadsRoom reports whether history of a room is sealed to the key. The room is as the key's owner writes it: #ci, @bob.
func (k Key) ReadsRoom(room string) bool { return k.Reads && k.Only.Allows("history", []string{room}) }

// key returns the place of the account's key with that fingerprint, -1 if there is none.
func (a Account) key(fingerprint string) int {
	return slices.IndexFunc(a.Keys, func(k Key) bool { return k.Fingerprint == fingerprint })
}

// HasKey reports whether the account has a key with that fingerprint.
func (a Account) HasKey(fingerprint string) bool { return a.key(fingerprint) >= 0 }

// Reads reports whether one of the account's keys or its password can open sealed history.
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

// same reports whether nothing about the account is different.
func (a *Account) same(b *Account) bool { return reflect.DeepEqual(a, b) }

// maxOnly is how many things a restricted key may be for.
const maxOnly = 32

// ErrOnly refuses what a key cannot be restricted to, as shown to the person who typed it.
var ErrOnly = &Refusal{Code: Usage, Text: `restrict a key to commands, each with a room or a person, such as say:#ci,msg:@bob,follow:#ci or whoami`}

var onlyPattern = regexp.MustCompile(`^[a-z][a-z-]*( [a-z][a-z-]*)?(:[#@][a-z0-9][a-z0-9_-]{0,31})?$`)

// Only is what a restricted key is for: commands, each alone or with what it may act on, as "say:#ci". Empty: everything.
type Only []string

// ParseOnly reads a list with commas between. Errors wrap ErrOnly.
func ParseOnly(words string) (Only, error) {
	list := strings.Split(words, ",")
	if len(list) > maxOnly {
		return nil, ErrOnly.With("%s; at most %d", ErrOnly.Text, maxOnly)
	}
	for _, entry := range list {
		if !onlyPattern.MatchString(entry) {
			return nil, ErrOnly.With("%q: %s", text.Clean(entry, 80), ErrOnly.Text)
		}
	}
	return list, nil
}

// Allows reports whether a key that is for o may run the command on all of the targets, rooms as "#ci" and people as "@bob".
// A command that names no target may act on any, which only an entry without one allows.
func (o Only) Allows(command string, targets []string) bool {
	if len(o) == 0 || slices.Contains(o, command) {
		return true
	}
	for _, target := range targets {
		if !slices.Contains(o, command+":"+target) {
			return false
		}
	}
	return len(targets) > 0
}

// Names reports whether a key that is for o may run the command on anything.
func (o Only) Names(command string) bool {
	return len(o) == 0 || slices.ContainsFunc(o, func(entry string) bool {
		name, _, _ := strings.Cut(entry, ":")
		return name == command
	})
}

func (o Only) String() string { return strings.Join(o, ",") }

// Opaque is a secret as it is stored, sealed. The chat carries it and compares it, and looks into none: only the package
// that made it does. It is printed, logged and encoded by nobody.
//
// Two are compared by Equal.
type Opaque struct {
	sealed *string // a pointer, since package fmt prints fields of what is nested under a pointer without asking Format
}

// NewOpaque wraps a secret as it is stored. The empty string is no secret.
func NewOpaque(sealed string) Opaque {
	if sealed == "" {
		return Opaque{}
	}
	return Opaque{&sealed}
}

// Sealed is the secret as it is stored, for the package that made it.
func (o Opaque) Sealed() string {
	if o.sealed == nil {
		return ""
	}
	return *o.sealed
}

// IsZero reports whether there is no secret.
func (o Opaque) IsZero() bool { return o.sealed == nil }

// Equal reports whether both are the same secret, as stored.
func (o Opaque) Equal(p Opaque) bool { return o.Sealed() == p.Sealed() }

// Format implements fmt.Formatter: whatever the verb, nothing of the secret is printed.
func (o Opaque) Format(f fmt.State, _ rune) { io.WriteString(f, "(secret)") }

// LogValue implements slog.LogValuer.
func (o Opaque) LogValue() slog.Value { return slog.StringValue("(secret)") }

// MarshalJSON refuses: a secret that is to be stored is written by the package that made it.
func (o Opaque) MarshalJSON() ([]byte, error) {
	return nil, errors.New("internal error: a secret is not encoded")
}

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
	Wrong  int          `json:"wrong,omitempty"` // passwords from there, in a row
	Next   time.Time    `json:"next,omitzero"`   // when a password from there is looked at again
}

// Attempt is something that changes what is kept of a name: a password that is to be looked at, or what became of one.
type Attempt struct {
	Kind   AttemptKind
	Name   Name
	Source netip.Prefix // of a Try, a Success, or what withdraws a Try
	From   string       // of a Failure: the address
	Seen   int          // of a Success: how many failures the owner is shown with it
	Latest time.Time    // and when the last of these was
}

// AttemptKind is what an Attempt is.
type AttemptKind int

const (
	Try            AttemptKind = iota + 1 // a password at a login is to be looked at: it counts as wrong until it proves right
	PromptTry                             // the same at a prompt in a session of the account
	Withdrawal                            // the password of a Try was not looked at after all
	PromptWithdraw                        // the same of a PromptTry
	PromptRight                           // the password of a PromptTry was right
	Failure                               // a password was wrong, or not looked at: the owner is shown how many
	Success                               // somebody logged in, by whatever method
	Unlocking                             // an admin ends the count
)

var (
	// ErrNotChecked refuses a Try or PromptTry: too many before it were wrong.
	ErrNotChecked = &Refusal{Code: Denied, Text: "too many wrong passwords; try again later"}
	// ErrUncounted is the answer to an attempt that changes nothing.
	ErrUncounted = &Refusal{Code: Failed, Text: "nothing is counted"}
)

// Count is what is kept of a name from a batch on.
type Count struct {
	Name  Name
	Tally Tally
}

// Counter is what counts attempts, for hubs that share a log: the one that leads decides what changes, and all take it over in
// the log's order.
type Counter interface {
	// Tally is what is kept of the name.
	Tally(name Name) Tally
	// Count returns what is to be kept of a name after an attempt at a time, where t was before. It changes nothing. Errors:
	// ErrNotChecked, ErrUncounted.
	Count(a Attempt, t Tally, at time.Time) (Tally, error)
	// Take takes over what was counted, at the time of its batch.
	Take(counts []Count, at time.Time)
}

// Tallies keeps them, so that they outlive the server. It may lose the last few seconds in a crash.
type Tallies interface {
	// Tally replaces what is kept of the name; a zero one takes it away. It returns at once.
	Tally(name Name, t Tally)
	// Tallies returns all that is kept, as a copy.
	Tallies() map[Name]Tally
}

// AuditEntry is one line of the audit log: what somebody did as an admin or moderator, or what happened to security.
type AuditEntry struct {
	N      uint64    `json:"n"`  // counts lines from 1, across files
	At     time.Time `json:"at"` // UTC
	By     string    `json:"by"` // an account's name; empty: the server
	Source string    `json:"source,omitempty"`
	UI     string    `json:"face,omitempty"`   // "chat" or "exec"
	Do     string    `json:"do"`               // the command, or the event's name
	On     string    `json:"on,omitempty"`     // whom or what it was done to
	Text   string    `json:"text,omitempty"`   // what else was said with it
	Result string    `json:"result,omitempty"` // "done", "denied" or "failed"
	Prev   string    `json:"prev"`             // SHA-256 of the line before, without its newline; empty in the first
}
