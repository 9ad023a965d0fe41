package command

import (
	"context"
	"io"
	"time"

	"sshchat/sshchat/chat"

	"filippo.io/age"
)

// Accounts makes what accounts consist of, as it is stored. It decides nothing: what it makes is for chat.Hub.Decide.
// Refusals that a person can do something about come as errors whose text is for that person.
type Accounts interface {
	// Seen notes that the account was used today: nothing is sealed for who has not been here for long. Where that was
	// so, since tells from when on; it is zero where it was not.
	Seen(id string) (since time.Time, err error)
	// NewAccount makes an account, for chat.CreateAccount. The password may be nil.
	NewAccount(ctx context.Context, name chat.Name, role chat.Role, keys []chat.Key, password []byte) (chat.Account, error)
	// ParseKey reads a public key as its owner has it.
	ParseKey(line string) (chat.Key, error)
	// NewKey makes a key as it is kept, for chat.AddKeys.
	NewKey(k chat.Key) (chat.Key, error)
	// NewInvite makes an invite for so many uses, until then (zero: for ever). The code is not kept in clear.
	NewInvite(by chat.Name, uses int, until time.Time) (in chat.MakeInvite, code string, err error)
	// InviteHash is how a code is kept.
	InviteHash(code string) string
	// CleanSetting returns a setting's value as it is kept, for chat.SetSetting. Which names there are and what they may
	// hold is for the caller to know.
	CleanSetting(name, value string) (string, error)
	// Recipients is what the account reads a room's history with.
	Recipients(room chat.RoomName, name chat.Name) []age.Recipient
}

// Passwords opens passwords and makes new ones.
type Passwords interface {
	// CheckPolicy refuses a password that would be refused as a new one.
	CheckPolicy(name chat.Name, password []byte) error
	// NewPassword replaces old, or makes a first password where the account has none.
	NewPassword(ctx context.Context, id string, old, new []byte) (chat.SetPassword, error)
	// NewReset makes a password without the old one. What was sealed to that alone is lost unless it is remembered.
	NewReset(ctx context.Context, id string, new []byte) (chat.ResetPassword, error)
	// Recovered has the present password open, too, what an earlier one did that an admin replaced.
	Recovered(ctx context.Context, id string, present, earlier []byte) (chat.SetPassword, error)
	// Unlock returns the identities that the password opens, to read history with. The password is wiped. It refuses as
	// a login does, with one refusal for a wrong password and for none.
	Unlock(ctx context.Context, id string, password []byte) ([]age.Identity, error)
	// Identity returns the account's password identity as an armored age passphrase file.
	Identity(id string) ([]byte, error)
	// Wrong reports whether an error says that a password or a code is wrong, and not that nobody looked.
	Wrong(err error) bool
}

// SecondFactor is one-time codes by time (RFC 6238), asked for after the password.
type SecondFactor interface {
	// NewSecret draws the secret of one.
	NewSecret() []byte
	// NewFactor makes one of a secret, if code is one of the secret's, and codes that each serve once instead.
	NewFactor(id string, secret []byte, code string) (in chat.SetFactor, recovery []string, err error)
	// CheckBoth checks the password and returns the secret that it opens; nil where there is none.
	CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error)
	// CheckCode takes a code, once.
	CheckCode(id string, secret []byte, code string) error
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
