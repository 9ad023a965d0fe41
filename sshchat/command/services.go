package command

import (
	"context"
	"io"
	"time"

	"sshchat/sshchat/chat"

	"filippo.io/age"
)

// Accounts is who may come in and with what. Each change has survived a power cut when its method returns.
// Refusals that a person can do something about come as errors whose text is for that person.
type Accounts interface {
	Rolls
	// Under returns the accounts as well; but each change of them made by it asks check once more at its place, about
	// what holds there, and is not made if check refuses.
	Under(check func(now Rolls) error) Accounts
	HasAdmin() bool
	// Accounts lists all, in the order they came.
	Accounts() []chat.Account
	// Seen notes that the account was used today: nothing is sealed for who has not been here for long. Where that was
	// so, since tells from when on; it is zero where it was not.
	Seen(id string) (since time.Time, err error)
	// Create makes an account that belongs to #general from the message since on.
	Create(name chat.Name, role chat.Role, keys []chat.Key, password []byte, since uint64) (chat.Account, error)
	// CreateInvited is Create for whoever has the code of an invite, one use of which is gone with it.
	CreateInvited(code string, name chat.Name, keys []chat.Key, password []byte, since uint64) (chat.Account, error)
	// Delete removes the account; its name stays reserved.
	Delete(id string) error
	// Disable has nobody log in to the account, or lets them again.
	Disable(id string, disabled bool) error
	// ResetPassword sets a password without the old one. What was sealed to that alone is lost unless it is remembered.
	ResetPassword(ctx context.Context, id string, new []byte) error
	SetRole(id string, role chat.Role) error
	AddKey(id string, key chat.Key) error
	RemoveKey(id, fingerprint string) error
	ParseKey(line string) (chat.Key, error)
	// SetSetting has the account keep a value under a name; an empty one takes it away.
	// Which names there are and what they may hold is for the caller to know.
	SetSetting(id, name, value string) error
	// SetPassword replaces old, or sets a first password where the account has none. It returns the generation of the new one.
	SetPassword(ctx context.Context, id string, old, new []byte) (generation string, err error)
	// Recover has the present password open, too, what an earlier one did that an admin replaced.
	Recover(ctx context.Context, id string, present, earlier []byte) error
	// Wrong reports whether an error says that a password or a code is wrong, and not that nobody looked.
	Wrong(err error) bool
	// CheckPolicy refuses a password that would be refused as a new one.
	CheckPolicy(name chat.Name, password []byte) error
	// Identity returns the account's password identity as an armored age passphrase file.
	Identity(id string) ([]byte, error)
	// Unlock returns the identities that the password opens, to read history with. The password is wiped. It refuses as
	// a login does, with one refusal for a wrong password and for none.
	Unlock(ctx context.Context, id string, password []byte) ([]age.Identity, error)
	// Recipients is what the account reads a room's history with.
	Recipients(room chat.RoomName, name chat.Name) []age.Recipient
	SecondFactor
	Sanctions
	Entry
}

// SecondFactor is one-time codes by time (RFC 6238), asked for after the password.
type SecondFactor interface {
	// NewSecret draws the secret of one.
	NewSecret() []byte
	// EnableTOTP turns it on, if code is one of the secret's, and returns codes that each serve once instead.
	EnableTOTP(id string, secret []byte, code string) (recovery []string, err error)
	DisableTOTP(id string) error
	// CheckBoth checks the password and returns the secret that it opens; nil where there is none.
	CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error)
	// CheckCode takes a code, once.
	CheckCode(id string, secret []byte, code string) error
}

// Sanctions are bans and mutes. Those that have ended are not among them.
type Sanctions interface {
	Ban(s chat.Sanction) error
	Unban(target string) error
	Mute(s chat.Sanction) error
	Unmute(name chat.Name) error
	Bans() []chat.Sanction
	Mutes() []chat.Sanction
}

// Entry is who may come in beside what an account is.
type Entry interface {
	// Invite makes an invite for so many uses, until then (zero: for ever). The code is not kept in clear.
	Invite(by chat.Name, uses int, until time.Time) (id, code string, err error)
	Revoke(id string) error
	Invites() []chat.Invite
	// Invited reports whether the code is that of an invite which can be used.
	Invited(code string) bool
	Allowlist() (on bool, entries []string)
	SetAllowlist(on bool) error
	Allow(target string) error
	Disallow(target string) error
}

// History is what was said, sealed. Its methods may be called while messages are being stored.
type History interface {
	// Export writes one age file of the room's last lines from since on, sealed anew to the recipients while they
	// are in memory, else as the last closed window has them; later counts lines that are stored but not in it.
	Export(w io.Writer, me chat.Name, room chat.RoomName, since uint64, to []age.Recipient) (later int, err error)
	// ExportWindow writes the window as it was closed.
	ExportWindow(w io.Writer, me chat.Name, room chat.RoomName, window uint64) error
	// Tar writes every sealed file me has a head for, in order; of rooms in after only what is later.
	Tar(w io.Writer, me chat.Name, rooms []chat.RoomName, after map[chat.RoomName]uint64) error
	// Read returns the last n messages before the Seq before that me has heads for and ids open; the newest last.
	// Those before Hub.Since are for the caller to leave out.
	Read(me chat.Name, room chat.RoomName, before uint64, n int, ids []age.Identity) ([]chat.Message, error)
	// Share has all of me's keys open what ids open of the rooms, and returns how many messages they open now, and how
	// many that are sealed to me ids do not open.
	Share(me chat.Name, rooms []chat.RoomName, ids []age.Identity) (opened, closed int, err error)
	List(me chat.Name, room chat.RoomName) ([]Window, error)
	// Head is the newest point of the room's chain of hashes, as the one line that is signed.
	Head(room chat.RoomName) ([]byte, error)
}

// Window is one stretch of a room's sealed history, as listed to somebody.
type Window struct {
	W        uint64 `json:"w"`    // counts the room's windows from 1
	From     uint64 `json:"from"` // Seq of its first message
	To       uint64 `json:"to"`   // Seq of its last
	Closed   bool   `json:"closed"`
	Readable bool   `json:"readable"` // sealed to whoever asked
}
