package main

import (
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
	"sshchat/store/accounts"
	"sshchat/store/agesplit"
)

// settings are what an operator decides about the server. The table of them is the only list there is: flags, variables of the
// environment, keys of the configuration file, help, manual, deploy/sshchat.toml and what reload can change are made from it.
type settings struct {
	listen       []string
	data         string
	hostKey      string
	config       string
	admins       []string
	registration string
	name         string
	address      string
	logFormat    string
	logLevel     string
	level        *slog.LevelVar // of the log that runs; set with logLevel
	minPassword  int
	window       int
	rotate       size
	keep         keep
	dormant      time.Duration
	workFactor   int
	dumpable     bool
	metrics      string
	metricsAllow []netip.Prefix
	cluster      clusterSettings
	limits       sshchat.Limits

	given    sources           // where values may come from
	origins  map[string]origin // where each came from, by the setting's name
	warnings []string          // for the log, about how values were given
}

// group is a heading of the help and of the manual.
type group string

// The groups, in the order in which they are shown.
const (
	serverGroup     group = "Server"
	operationGroup  group = "Logs and metrics"
	accountGroup    group = "Accounts"
	loginGroup      group = "Logins"
	connectionGroup group = "Connections"
	sessionGroup    group = "Sessions"
	rateGroup       group = "Rates"
	historyGroup    group = "History"
	clusterGroup    group = "Cluster"
)

// setting is one row of the table. Names are sshd_config(5)'s if it has one for it.
type setting struct {
	name  string // of the flag and of the key; twin is that of the variable
	group group
	value value
	help  string
	first bool  // one of the few that --help shows
	live  bool  // reload can change it; the others take a restart
	old   []old // names it had before, which work for one release
}

// old is a name that a setting had. Where it was a part of what the setting is now, set takes its word instead of the value.
type old struct {
	name string
	set  func(word string) error
}

func was(name string) []old { return []old{{name: name}} }

// newSettings returns the defaults.
func newSettings() *settings {
	return &settings{
		listen: []string{":2222"}, data: "data", registration: "open", name: "sshchat", logFormat: "text", logLevel: "info", level: new(slog.LevelVar),
		minPassword: 15, rotate: 32 << 20, dormant: 90 * 24 * time.Hour, workFactor: 16, limits: sshchat.DefaultLimits,
		cluster: clusterSettings{keep: 24 * time.Hour},
		origins: make(map[string]origin),
	}
}

// table lists the settings, by group. Their values are those of s.
func (s *settings) table() []setting {
	var all []setting
	for _, part := range [][]setting{s.basics(), s.accountSettings(), s.loginSettings(), s.connectionSettings(), s.sessionSettings(), s.historySettings(), s.clusterSettings()} {
		all = append(all, part...)
	}
	return all
}

func (s *settings) basics() []setting {
	return []setting{
		{name: "listen", group: serverGroup, first: true, value: (*addresses)(&s.listen), help: "where to listen: HOST:PORT or unix:PATH (repeatable)"},
		{name: "data", group: serverGroup, first: true, value: &textual{&s.data, "FOLDER", notEmpty("a folder")}, help: "folder of accounts and history; created if missing"},
		{name: "host-key", group: serverGroup, value: &textual{&s.hostKey, "FILE", checkFileName}, help: "private host key (ed25519), which is never changed there: a path, or the name of a credential of the systemd service; if empty, the one in the data folder"},
		{name: "config", group: serverGroup, first: true, value: &textual{&s.config, "FILE", notEmpty("a file")}, help: "configuration file; if omitted, sshchat.toml in the data folder, if there is one"},
		{name: "name", group: serverGroup, first: true, value: &textual{&s.name, "TEXT", checkName}, help: "name of the server, shown to users"},
		{name: "address", group: serverGroup, first: true, live: true, value: &textual{&s.address, "TEXT", checkReach}, help: `how users reach it, shown in hints, such as "-p 2222 NAME@chat.host"; if empty, the address they connected to`},
		{name: "log-format", group: operationGroup, first: true, value: &choice{&s.logFormat, []string{"text", "json"}}, help: "format of the log on standard error"},
		{name: "log-level", group: operationGroup, live: true, value: &choice{&s.logLevel, []string{"error", "warn", "info", "debug"}}, help: "what is logged: error (an admin is needed now), also warn (worth a look), also info (what happens), or all"},
		{name: "metrics", group: operationGroup, first: true, value: &textual{&s.metrics, "ADDRESS", checkMetrics}, help: "address for Prometheus (/metrics) and for checks (/healthz, /readyz), such as 127.0.0.1:9222; if empty, none"},
		{name: "metrics-allow", group: operationGroup, value: (*prefixes)(&s.metricsAllow), help: "addresses and networks that may read the metrics, besides this machine (repeatable)"},
		{name: "dumpable", group: operationGroup, value: yesNo{&s.dumpable}, help: "let debuggers and core dumps read the server's memory, and the keys in it"},
	}
}

func (s *settings) accountSettings() []setting {
	l := &s.limits
	return []setting{
		{name: "registration", group: accountGroup, first: true, live: true, value: &choice{&s.registration, []string{"open", "invite", "closed"}}, help: "who may create an account: everyone, users with an invite, or nobody"},
		{name: "admin", group: accountGroup, first: true, value: &list{&s.admins, "NAME=KEYFILE", checkAdmin}, help: "create this admin with the public keys in KEYFILE if there is no such account (repeatable)"},
		{name: "min-password-length", group: accountGroup, value: &number{n: &s.minPassword, min: accounts.LowestMinPassword, max: 256}, help: "shortest password, in characters", old: was("min-password")},
		{name: "registration-grace-time", group: accountGroup, live: true, value: &span{d: &l.Registration}, help: "time to create an account", old: was("registration-time")},
		{name: "max-registrations", group: accountGroup, live: true, value: atLeast(&l.Registrations, 0), help: "logins without an account at the same time", old: was("registrations")},
		{name: "per-source-max-registrations", group: accountGroup, live: true, value: atLeast(&l.RegistrationsSource, 0), help: "logins without an account at the same time from one source", old: was("registrations-source")},
		{name: "max-new-accounts", group: accountGroup, live: true, value: atLeast(&l.NewAccounts, 0), help: "accounts created without an invite in ten minutes", old: was("new-accounts")},
		{name: "per-source-max-new-accounts", group: accountGroup, live: true, value: atLeast(&l.NewAccountsSource, 0), help: "accounts created without an invite from one source in an hour", old: was("new-accounts-source")},
	}
}

func (s *settings) loginSettings() []setting {
	l := &s.limits
	return []setting{
		{name: "login-grace-time", group: loginGroup, live: true, value: &span{d: &l.Handshake, off: "no limit in OpenSSH"}, help: "time to log in, from the start of the connection", old: was("login-time")},
		{name: "key-exchange-timeout", group: loginGroup, live: true, value: &span{d: &l.KeyExchange}, help: "time to agree on session keys, within login-grace-time", old: was("key-exchange-time")},
		{name: "max-auth-tries", group: loginGroup, live: true, value: atLeast(&l.AuthTries, 1), help: "login attempts in one connection, each key that a client offers included"},
		{name: "max-password-tries", group: loginGroup, live: true, value: atLeast(&l.Passwords, 1), help: "passwords in one connection", old: was("passwords")},
		{name: "password-delay-after", group: loginGroup, live: true, value: atLeast(&l.PasswordDelayAfter, 1), help: "wrong passwords in a row for one name until the next has to wait 1s, then 2s, up to 15m", old: was("guesses")},
		{name: "max-password-failures", group: loginGroup, live: true, value: atLeast(&l.MaxPasswordFailures, 1), help: "wrong passwords in a row for one name until only sources that it has logged in from may try", old: was("most-guesses")},
		{name: "fail-delay", group: loginGroup, live: true, value: &span{d: &l.FailDelay, zero: "none"}, help: "least time until a wrong password is answered", old: was("failure-time")},
		{name: "per-source-penalties", group: loginGroup, live: true, value: penalties{&l.PenaltyLimits}, help: `refuse sources for a while that guess passwords or waste connections; yes is "authfail:5s noauth:1s grace-exceeded:10s min:15s max:10m"`, old: was("penalties")},
		{name: "per-source-penalty-exempt-list", group: loginGroup, live: true, value: (*prefixes)(&l.Exempt), help: "addresses and networks without penalties and limits for their source, such as a monitor's (repeatable)", old: was("exempt")},
		{name: "key-query-burst", group: loginGroup, live: true, value: atLeast(&l.KeyQueries.Burst, 1), help: "keys that clients of one source may ask about at once"},
		{name: "key-query-rate", group: loginGroup, live: true, value: &rate{&l.KeyQueries.Rate}, help: "keys a second that clients of one source may ask about after key-query-burst"},
	}
}

func (s *settings) connectionSettings() []setting {
	l := &s.limits
	return []setting{
		{name: "max-startups", group: connectionGroup, live: true, value: startups{&l.AdmissionLimits}, help: "connections that have not logged in: from START on, RATE percent of those of unknown sources are refused, and more and more up to FULL; one number is FULL", old: s.oldStartups()},
		{name: "max-startups-reserved", group: connectionGroup, live: true, value: atLeast(&l.Reserved, 0), help: "places among those of max-startups for sources that logged in within 30 days; if omitted, 20, but no more than a fifth", old: was("starting-reserved")},
		{name: "per-source-max-startups", group: connectionGroup, live: true, value: &number{n: &l.StartingSource, min: 1, max: math.MaxInt, none: true}, help: "connections of one source, an IPv4 address or an IPv6 /64, that have not logged in", old: was("starting-source")},
		{name: "per-source-max-connections", group: connectionGroup, live: true, value: atLeast(&l.SourceConns, 1), help: "connections of one source that have logged in", old: was("source-connections")},
		{name: "per-account-max-connections", group: connectionGroup, live: true, value: atLeast(&l.AccountConns, 1), help: "connections of one account", old: was("account-connections")},
		{name: "proxy-from", group: connectionGroup, live: true, value: (*prefixes)(&l.ProxyFrom), help: "load balancers, whose connections must begin with a PROXY protocol header, version 2, that names the client (repeatable)"},
		{name: "unused-connection-timeout", group: connectionGroup, live: true, value: &span{d: &l.FirstChannel}, help: "time a connection may have no open session", old: was("channel-time")},
		{name: "client-alive-interval", group: connectionGroup, live: true, value: &span{d: &l.Keepalive, off: "never in OpenSSH"}, help: "silence after which the server asks a client for a sign of life", old: was("keepalive")},
		{name: "client-alive-count-max", group: connectionGroup, live: true, value: atLeast(&l.KeepaliveMax, 1), help: "requests for a sign of life without an answer until the connection is closed"},
		{name: "write-timeout", group: connectionGroup, live: true, value: &span{d: &l.WriteStall}, help: "time after which a client that reads nothing is disconnected", old: was("write-stall")},
	}
}

func (s *settings) sessionSettings() []setting {
	l := &s.limits
	all := []setting{
		{name: "max-sessions", group: sessionGroup, live: true, value: atLeast(&l.Sessions, 1), help: "open sessions in one connection", old: was("sessions")},
		{name: "channel-timeout", group: sessionGroup, live: true, value: channels{&l.IdleShell, &l.IdleCommand}, help: `end sessions when nothing is sent or received for so long, such as "session=12h" or "session:shell=12h session:command=none"`},
		{name: "session-start-timeout", group: sessionGroup, live: true, value: &span{d: &l.FirstCommand}, help: "time a session may be open without a shell or command", old: was("command-time")},
	}
	for _, r := range []struct {
		name, what string
		allowed    *limit.Allowance
	}{
		{"message", "messages of one user", &l.Messages}, {"command", "commands of one user", &l.Commands},
		{"input", "bytes of input of one session", &l.Input},
	} {
		all = append(all,
			setting{name: r.name + "-burst", group: rateGroup, live: true, value: atLeast(&r.allowed.Burst, 1), help: r.what + " that may come at once"},
			setting{name: r.name + "-rate", group: rateGroup, live: true, value: &rate{&r.allowed.Rate}, help: r.what + " a second after " + r.name + "-burst"})
	}
	return all
}

func (s *settings) historySettings() []setting {
	return []setting{
		{name: "history-rotate", group: historyGroup, value: &s.rotate, help: "size at which the history continues in a new file and the old one becomes an archive; 0 means never"},
		{name: "history-keep", group: historyGroup, value: &s.keep, help: "archives to keep: a time, such as 365d, a size, such as 1GiB, or both, such as 365d,1GiB; older ones are deleted"},
		{name: "dormant", group: historyGroup, value: &span{d: &s.dormant, zero: "never"}, help: "absence after which only direct messages are sealed for a user until they return; 0 means never"},
		{name: "window", group: historyGroup, value: atLeast(&s.window, 0), help: "messages sealed with the same heads; 0 means the number of members of the room, at least 200"},
		{name: "work-factor", group: historyGroup, value: &number{n: &s.workFactor, min: 1, max: agesplit.MaxWorkFactor}, help: "scrypt work factor of password identities, as a power of 2"},
	}
}

// oldStartups are the three settings that max-startups was. A rate of less than 1 % becomes 1 %.
func (s *settings) oldStartups() []old {
	l := &s.limits.AdmissionLimits
	whole := func(to func(n int)) func(string) error {
		return func(word string) error {
			n := 0
			if err := atLeast(&n, 0).Set(word); err != nil {
				return err
			}
			to(max(n, 1))
			return nil
		}
	}
	return []old{
		{"starting", whole(func(n int) { l.Starting, l.DropFrom = n, min(l.DropFrom, n) })},
		{"starting-drop-from", whole(func(n int) { l.DropFrom = min(n, l.Starting) })},
		{"starting-drop-rate", func(word string) error {
			var chance float64
			if err := (&rate{&chance}).Set(word); err != nil && word != "0" {
				return err
			}
			if chance > 1 {
				return is(word, "0 to 1")
			}
			l.DropRate = math.Max(math.Round(chance*100), 1) / 100
			return nil
		}},
	}
}

// entrance is how people come to the server.
func (s *settings) entrance() command.Entrance {
	return command.Entrance{Address: s.address, Registration: s.registration != "closed", ByInvite: s.registration == "invite"}
}

// notEmpty accepts a line of text that is what it says.
func notEmpty(what string) func(string) error {
	return func(word string) error {
		if word == "" {
			return notA(word, what)
		}
		return nil
	}
}

const maxName = 64 // bytes, of what is part of lines that people read

func checkName(word string) error {
	if name, err := text.ParseLine(word, maxName); err != nil {
		return err
	} else if name.String() != word {
		return is(fmt.Sprintf("%q", word), "a line of printable text")
	}
	return nil
}

func checkReach(word string) error {
	if reach, err := text.ParseLine(word, 4*maxName); word != "" && (err != nil || reach.String() != word) {
		return is(fmt.Sprintf("%q", word), "a line of printable text of at most %d bytes", 4*maxName)
	}
	return nil
}
