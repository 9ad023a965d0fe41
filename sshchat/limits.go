package sshchat

import (
	"net/netip"
	"time"

	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// Limits bounds what clients can make the server hold or do. Start from DefaultLimits: a zero allows nothing.
type Limits struct {
	Starting       int            // connections that have not logged in
	Reserved       int            // places among them for sources that have logged in within 30 days
	StartingSource int            // such connections of one source
	DropFrom       int            // so many of them are there before any stranger is turned away at random
	DropRate       float64        // the chance of it then; it grows to 1 where all places are taken
	AccountConns   int            // connections of one account
	SourceConns    int            // connections of one source that have logged in
	Exempt         []netip.Prefix // addresses whose source is not counted or charged; names are all the same

	RegistrationsSource int // logins without an account from one source at once
	NewAccounts         int // accounts made in ten minutes
	NewAccountsSource   int // accounts made from one source in an hour

	Handshake     time.Duration // from accept to a successful login
	KeyExchange   time.Duration // of that, until the keys are agreed on
	FirstChannel  time.Duration // a connection without a channel is closed after this, whenever that is
	FirstCommand  time.Duration // a channel without a shell or a command ends its connection after this
	Registration  time.Duration // a login without an account has this long to make one
	Keepalive     time.Duration // silence after which the client is asked for a sign of life
	KeepaliveMax  int           // unanswered asks, after which the connection is closed
	WriteStall    time.Duration // a write that makes no progress for this long closes the connection
	Sessions      int           // channels of one connection
	Passwords     int           // passwords tried in one connection
	Guesses       int           // wrong passwords for one name in a row, before the next has to wait
	MostGuesses   int           // in a row, after which passwords for the name are heard from known sources alone
	Failure       time.Duration // a failed password is answered no earlier than this after it came
	Penalties     bool          // sources that guess, or waste connections, are kept away for a while
	AuthTries     int           // login attempts in one connection; high, for agents with many keys
	Registrations int           // logins without an account at once
	Env           int           // environment variables of one session
	EnvBytes      int           // their size
	SendBuffer    int           // kernel's buffer toward one client, bytes
	Messages      Allowance     // what one person says, in all sessions together
	Commands      Allowance     // commands of one person that do work
	Input         Allowance     // bytes of input of one session
}

// DefaultLimits are the limits of a server that was told nothing else.
var DefaultLimits = Limits{
	Starting: 100, Reserved: 20, StartingSource: 10, DropFrom: 10, DropRate: 0.3, AccountConns: 16, SourceConns: 256,
	RegistrationsSource: 2, NewAccounts: 30, NewAccountsSource: 3,
	Handshake: 120 * time.Second, KeyExchange: 15 * time.Second,
	FirstChannel: 30 * time.Second, FirstCommand: 10 * time.Second, Registration: 120 * time.Second,
	Keepalive: 30 * time.Second, KeepaliveMax: 3, WriteStall: 30 * time.Second,
	Sessions: 4, Passwords: 3, Guesses: 5, MostGuesses: 100, Failure: 300 * time.Millisecond, Penalties: true, AuthTries: 20, Registrations: 20, Env: 16, EnvBytes: 4096, SendBuffer: 64 << 10,
	Messages: Allowance{5, 2}, Commands: Allowance{20, 4}, Input: Allowance{64 << 10, 4 << 10},
}

// Sizes that no client needs to exceed.
const (
	maxWidth, maxHeight = 500, 200         // of a terminal, in cells
	maxTerm             = 64               // bytes of TERM
	maxRequest          = 2 << 10          // bytes of a channel request
	maxExec             = 4 * text.MaxText // bytes of a command line: a message, quoted in the worst way
	maxRefusing         = 64               // channels of one connection that wait to be told they are refused
	rekeyAfter          = 1 << 30          // bytes under one set of keys
)

// How long accepting waits when the machine has run out of files or memory.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
)

// algorithms are what ssh-audit finds nothing to fail in, and what every client of the last years can do.
func algorithms(config *gossh.ServerConfig) {
	config.KeyExchanges = []string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519}
	config.Ciphers = []string{gossh.CipherChaCha20Poly1305, gossh.CipherAES256GCM, gossh.CipherAES128GCM}
	config.MACs = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM}
	config.PublicKeyAuthAlgorithms = []string{
		gossh.KeyAlgoED25519, gossh.KeyAlgoSKED25519, gossh.KeyAlgoSKECDSA256,
		gossh.KeyAlgoECDSA256, gossh.KeyAlgoECDSA384, gossh.KeyAlgoECDSA521,
		gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256,
	}
	config.RekeyThreshold = rekeyAfter
}
