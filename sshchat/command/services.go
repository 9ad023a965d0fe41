package command

import (
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/past"

	"filippo.io/age"
)

// Services is what the commands work on.
type Services struct {
	Hub           *chat.Hub
	Accounts      Accounts
	Passwords     Passwords
	SecondFactor  SecondFactor
	History       History
	Readers       *Readers // limits concurrent readers; nil: no limit
	Audit         Audit
	Live          Live
	LoginAttempts LoginAttempts
	Sources       Sources
	HostKeys      HostKeys
	Cluster       Cluster                                                     // nil: the server is not part of a cluster
	Backup        func(ctx context.Context, w io.Writer, hostKeys bool) error // a tar of the data folder
	Reload        func(context.Context) (done []string, err error)            // takes what was changed by hand in the data folder
	Restart       func(context.Context) (begin func(), err error)             // checks that the program can be started anew
	Claim         *Claim
	Commands      *Registry
	ServerName    string   // shown to people
	Themes        []string // names of the colors a screen can have, the usual one first
	Version       string
	Fence         *fence.Fence                         // of a server that shares its log with others; nil: it does not
	Sign          func(message []byte) ([]byte, error) // SSHSIG by the host key, namespace sshchat-history
	Log           Logger

	entrance atomic.Pointer[Entrance] // nil: the zero Entrance
}

// Entrance is how people come to the server, which the operator may change while it runs.
type Entrance struct {
	Address      string // as people reach it, "-p 2222 NAME@chat.host"; if empty, where each of them connected to
	Registration bool   // people without an account may register
	ByInvite     bool   // and need an invite code for it
}

// SetEntrance changes how people come to the server, as its settings say.
func (s *Services) SetEntrance(e Entrance) { s.entrance.Store(&e) }

// Entrance is how people come to the server now: as the settings say, but for what the command registration has decided.
func (s *Services) Entrance() Entrance {
	e := s.configured()
	is := s.Hub.View().Registration().Or(e.registration())
	e.Registration, e.ByInvite = is != chat.Closed, is == chat.InviteOnly
	return e
}

func (s *Services) configured() Entrance {
	if e := s.entrance.Load(); e != nil {
		return *e
	}
	return Entrance{}
}

// registration is who may register.
func (e Entrance) registration() chat.Registration {
	switch {
	case !e.Registration:
		return chat.Closed
	case e.ByInvite:
		return chat.InviteOnly
	}
	return chat.Open
}

// Logger takes what the operator should know.
type Logger interface {
	Info(msg string, args ...any)
	Warn(msg string, args ...any)
	Error(msg string, args ...any)
}

// Accounts makes what accounts consist of, as it is stored. It decides nothing: what it makes is for chat.Hub.Decide.
// Refusals that a person can do something about come as errors whose text is for that person.
type Accounts interface {
	// Seen records that the account was used today: nothing is sealed to accounts that are unused for long. If that was
	// the case, since is when it began; otherwise zero.
	Seen(id string, decide func(chat.Visit) error) (since time.Time, err error)
	// Checkpoint returns once the file that people read has all that was decided.
	Checkpoint() error
	// NewAccount makes an account, for chat.CreateAccount. The password may be nil.
	NewAccount(ctx context.Context, name chat.Name, role chat.Role, keys []chat.Key, password []byte) (chat.Account, error)
	// ParseKey reads a public key as its owner has it.
	ParseKey(line string) (chat.Key, error)
	// NewKey makes a key as it is kept, for chat.AddKeys.
	NewKey(k chat.Key) (chat.Key, error)
	// NewInvite makes an invite for that many uses, until then (zero: forever). The code is not kept in clear.
	NewInvite(by chat.Name, uses int, until time.Time) (in chat.CreateInvite, code string, err error)
	// InviteHash is how a code is kept.
	InviteHash(code string) string
	// CleanSetting returns a setting's value as it is kept, for chat.SetSetting. Which names there are and what they may
	// hold is for the caller to know.
	CleanSetting(name, value string) (string, error)
	// Recipients is what the account reads a room's history with in that State; nil: now.
	Recipients(s *chat.State, room chat.RoomName, name chat.Name) []age.Recipient
}

// Passwords opens passwords and makes new ones.
type Passwords interface {
	// CheckPolicy refuses a password that would be refused as a new one.
	CheckPolicy(name chat.Name, password []byte) error
	// NewPassword replaces old, or sets the first password if the account has none.
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
	// CheckBoth checks the password and returns the secret of the second factor; nil if there is none.
	CheckBoth(ctx context.Context, name chat.Name, password []byte) (a chat.Account, secret []byte, err error)
	// Spend is the intent to take a code, of the secret or a recovery code, which is taken once.
	Spend(id string, secret []byte, code string) chat.SpendCode
}

// History is the sealed history. Its methods may be called while messages are being stored.
type History interface {
	// Export writes one age file of the room's last lines from since on, sealed again to the recipients while they are in
	// memory, else from the last closed window; later counts lines that are stored but not in it.
	Export(w io.Writer, me chat.Name, room chat.RoomName, since uint64, to []age.Recipient) (later int, err error)
	// ExportWindow writes the window as it was closed.
	ExportWindow(w io.Writer, me chat.Name, room chat.RoomName, window uint64) error
	// Tar writes every sealed file me has a head for, in order; of rooms in after only what is later.
	Tar(w io.Writer, me chat.Name, rooms []chat.RoomName, after map[chat.RoomName]uint64) error
	// Unlock opens the room's windows that me has heads for, as far as ids open them. It keeps nothing of ids. Messages before
	// Hub.Since are for the caller to leave out.
	Unlock(me chat.Name, room chat.RoomName, ids []age.Identity) (past.Source, error)
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

// Live lists and ends sessions: those of all nodes, if the server is one of a cluster. silent are then the nodes that did not answer.
type Live interface {
	// Sessions lists the open sessions of accounts, the oldest first.
	Sessions(ctx context.Context) (list []LiveSession, silent []string)
	// Figures are what this server has done since it started, and holds now.
	Figures() []Figure
	// Settle waits until all batches up to that one are applied and the sessions have ended whose login is not admitted since: nothing
	// more comes from them or goes to them. ended is how many were ended by the batches after the first up to the second. It waits
	// for a few seconds at most, and not longer than ctx.
	Settle(ctx context.Context, after, upTo uint64) (ended int, silent []string)
	// End ends the sessions of an account, with words to each, and their connections. It returns how many,
	// and does not wait for them.
	End(ctx context.Context, account, why string) (n int, silent []string)
}

// LiveSession is one open session, as a copy.
type LiveSession struct {
	Node    string     `json:"node,omitempty"` // where it is; empty: there is no cluster
	Account string     `json:"-"`              // its id
	Name    chat.Name  `json:"name"`
	Addr    netip.Addr `json:"address"`
	Since   time.Time  `json:"since"`
	Key     string     `json:"key,omitempty"` // the fingerprint of the key that logged in; empty after a password
	UI      string     `json:"face"`          // full, plain, pipe or exec
	Client  string     `json:"client"`        // as it calls itself
}

// MarshalJSON implements json.Marshaler: a connection through a Unix socket has the address "unix".
func (s LiveSession) MarshalJSON() ([]byte, error) {
	type session LiveSession
	if s.Addr.IsValid() {
		return json.Marshal(session(s))
	}
	return json.Marshal(struct {
		session
		Addr string `json:"address"`
	}{session(s), shownAddr(s.Addr)})
}

// Figure is one number of what the server has done or holds.
type Figure struct {
	Name  string `json:"name"`
	Value int    `json:"value"`
}

// LoginAttempts counts the wrong passwords of each name.
type LoginAttempts interface {
	// Unlock resets the count of a name, and returns how many there were in a row. Errors: those of a decision.
	Unlock(ctx context.Context, name chat.Name) (wrong int, err error)
	// Sources are those that somebody logged in to the name from in the last 30 days.
	Sources(name chat.Name) []netip.Prefix
}

// Sources is where connections come from, as far as something is counted against it. A source is an IPv4 address, or the
// /64 of an IPv6 address.
type Sources interface {
	// LimitedSources lists the sources against which something is counted, those that are refused first.
	LimitedSources() []Source
	// Forgive resets everything counted against the address's source, and reports whether there was anything.
	Forgive(addr netip.Addr) bool
}

// Source is one of them, as a copy.
type Source struct {
	Source      string    `json:"source"`
	State       string    `json:"state"`          // one of the States
	Until       time.Time `json:"until,omitzero"` // the end of that
	Refusals    int       `json:"refusals"`       // how often it was refused lately, each within a day of the last
	Known       bool      `json:"known"`          // somebody logged in to an account from there within 30 days
	Accounts    int       `json:"accounts"`       // made from there within an hour
	Registering int       `json:"registering"`    // logins without an account
}

// States of a source.
const (
	SourceRefused = "refused" // its connections are, for what it did
	SourceDelayed = "waits"   // its passwords are delayed; it is a known source, so it is not refused
	SourceCharged = "owes"    // a little more, and it is refused
	SourceFree    = "free"
)

// Audit is the log of what moderators and admins did, and of what happened to security.
type Audit interface {
	// Append returns once the line survives a power cut. It sets N, At and Prev.
	Append(entry chat.AuditEntry) error
	// Note is Append for what strangers do: it does not wait for the disk, which has the line within a second.
	Note(entry chat.AuditEntry) error
	// Entries returns what happened since then, oldest first, but at most the last n.
	Entries(since time.Time, n int) ([]chat.AuditEntry, error)
	// Verify checks the chain, from its first line on. Its error names the first line that does not fit.
	Verify() (lines uint64, err error)
	// Signed is what the host key last signed of the log. It fails if the log does not continue from it.
	Signed() (SignedTip, error)
}

// SignedTip is a point of the audit log that the host key has signed.
type SignedTip struct {
	Lines    uint64
	Hash, By string // of the last line; the key's fingerprint
	At       time.Time
	When     string // "start" or "stop": what the server did then
}

// Cluster is the other nodes, as far as this one hears of them. Which there are is decided (chat.State.Nodes).
type Cluster interface {
	// Nodes returns what is known of the nodes that were heard since this one started, and of itself, in any order.
	Nodes() []NodeStatus
}

// NodeStatus is what a node last said of itself.
type NodeStatus struct {
	Name    string    `json:"-"`
	Here    bool      `json:"here"`             // it is this node
	Leader  bool      `json:"leader"`           // it orders what is said and decided
	Alive   bool      `json:"alive"`            // it has been heard in the last seconds
	Heard   time.Time `json:"heard,omitzero"`   // when it was last heard; zero: never
	Applied uint64    `json:"applied"`          // the last entry of the log that it has applied; 0: not known
	Version string    `json:"version,omitzero"` // of sshchat; empty: not known
}

// HostKeys is what the server proves itself with.
type HostKeys interface {
	// List lists the current key, the next if there is one, and former ones, the youngest first.
	List() ([]HostKey, error)
	// Records are the ends of former keys, each signed by the key that went, the oldest first.
	Records() [][]byte
	// Prepare makes the next key, unless there is one, and announces it to clients. lack is the other nodes of the cluster that do
	// not have it yet, because they do not answer.
	Prepare(ctx context.Context) (made bool, lack []string, err error)
	// Rotate makes the next key the current one, on all nodes of the cluster.
	Rotate(ctx context.Context) (lack []string, err error)
}

// HostKey is one of them.
type HostKey struct {
	State       string    `json:"state"` // current, next or former
	Fingerprint string    `json:"fingerprint"`
	Key         string    `json:"key"`
	SSHFP       string    `json:"sshfp"` // what DNS may say of it, without the name
	At          time.Time `json:"at"`    // when it came to be so
}
