package sshchat

import (
	"net/netip"
	"time"

	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// Limits bounds what clients can make the server hold or do. Start from DefaultLimits: a zero allows nothing.
type Limits struct {
	limit.AdmissionLimits
	limit.NewcomerLimits
	limit.PenaltyLimits

	Handshake           time.Duration   // from accept to a successful login
	KeyExchange         time.Duration   // the part of it for key exchange
	FirstChannel        time.Duration   // a connection without a channel is closed after this, whenever that is
	FirstCommand        time.Duration   // a channel without a shell or a command ends its connection after this
	IdleShell           time.Duration   // a session without a command ends when nothing comes or goes for so long; 0: never
	IdleCommand         time.Duration   // the same of a session with one
	Registration        time.Duration   // a login without an account has this long to make one
	Keepalive           time.Duration   // silence after which the client is asked for a sign of life
	KeepaliveMax        int             // unanswered asks, after which the connection is closed
	WriteStall          time.Duration   // a write that makes no progress for this long closes the connection
	Sessions            int             // channels of one connection
	Passwords           int             // passwords tried in one connection
	PasswordDelayAfter  int             // wrong passwords for one name in a row, before the next has to wait
	MaxPasswordFailures int             // in a row, after which passwords for the name are heard from known sources alone
	FailDelay           time.Duration   // a failed password is answered no earlier than this after it came
	AuthTries           int             // login attempts in one connection; high, for agents with many keys
	ProxyFrom           []netip.Prefix  // load balancers: their connections begin with a PROXY protocol header, and nobody else's
	Env                 int             // environment variables of one session
	EnvBytes            int             // their size
	SendBuffer          int             // kernel's buffer toward one client, bytes
	KeyQueries          limit.Allowance // keys that one source asks about; more are answered later
	Messages            limit.Allowance // what one person says, in all sessions together
	Commands            limit.Allowance // commands of one person that do work
	Input               limit.Allowance // bytes of input of one session
}

// isProxy reports whether connections from the address begin with a PROXY protocol header.
func (l *Limits) isProxy(addr netip.Addr) bool { return limit.Includes(l.ProxyFrom, addr) }

// DefaultLimits are the limits of a server without other settings.
var DefaultLimits = Limits{
	AdmissionLimits: limit.DefaultAdmission, NewcomerLimits: limit.DefaultNewcomers, PenaltyLimits: limit.DefaultPenalties,
	Handshake: 120 * time.Second, KeyExchange: 15 * time.Second,
	FirstChannel: 30 * time.Second, FirstCommand: 10 * time.Second, Registration: 120 * time.Second,
	Keepalive: 30 * time.Second, KeepaliveMax: 3, WriteStall: 30 * time.Second,
	Sessions: 4, Passwords: 3, PasswordDelayAfter: 5, MaxPasswordFailures: 100, FailDelay: 300 * time.Millisecond, AuthTries: 20, Env: 16, EnvBytes: 4096, SendBuffer: 64 << 10,
	KeyQueries: limit.Allowance{Burst: 60, Rate: 10},
	Messages:   limit.Allowance{Burst: 5, Rate: 2}, Commands: limit.Allowance{Burst: 20, Rate: 4}, Input: limit.Allowance{Burst: 64 << 10, Rate: 4 << 10},
}

// Sizes that no client needs to exceed.
const (
	maxWidth, maxHeight = 500, 200         // of a terminal, in cells
	maxTerm             = 64               // bytes of TERM
	maxRequest          = 2 << 10          // bytes of a channel request
	maxExec             = 4 * text.MaxText // bytes of a command line: a message, quoted in the worst way
	maxRefusing         = 64               // channels of one connection whose refusals are being sent
	rekeyAfter          = 1 << 30          // bytes under one set of keys
)

// How long accepting waits when the machine has run out of files or memory.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
)

// algorithms are what ssh-audit finds nothing to fail in. The last of each are for libraries that bots are made with, as
// paramiko before 3, libssh2 before 1.11 and conch, which have no AES-GCM and no encrypt-then-MAC.
func algorithms(config *gossh.ServerConfig) {
	config.KeyExchanges = []string{gossh.KeyExchangeMLKEM768X25519, gossh.KeyExchangeCurve25519}
	config.Ciphers = []string{gossh.CipherChaCha20Poly1305, gossh.CipherAES256GCM, gossh.CipherAES128GCM,
		gossh.CipherAES256CTR, gossh.CipherAES192CTR, gossh.CipherAES128CTR}
	config.MACs = []string{gossh.HMACSHA256ETM, gossh.HMACSHA512ETM, gossh.HMACSHA256, gossh.HMACSHA512}
	config.PublicKeyAuthAlgorithms = []string{
		gossh.KeyAlgoED25519, gossh.KeyAlgoSKED25519, gossh.KeyAlgoSKECDSA256,
		gossh.KeyAlgoECDSA256, gossh.KeyAlgoECDSA384, gossh.KeyAlgoECDSA521,
		gossh.KeyAlgoRSASHA512, gossh.KeyAlgoRSASHA256,
	}
	config.RekeyThreshold = rekeyAfter
}
