package main

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the server's flags. Each has a twin in the environment: --log-format is SSHCHAT_LOG_FORMAT.
type settings struct {
	listen       []string
	data         string
	admins       []string
	registration string
	name         string
	address      string
	logFormat    string
	minPassword  int
	window       int
	rotate       size
	keep         keep
	dormant      days
	workFactor   int
	dumpable     bool
	metrics      string
	limits       sshchat.Limits
	twins        map[string]bool   // flags that the environment set
	unknown      map[string]string // what looks in the environment as if it did, and what it may have been meant for
}

func (s *settings) flags(f *pflag.FlagSet) {
	s.limits = sshchat.DefaultLimits
	f.StringArrayVar(&s.listen, "listen", []string{":2222"}, "address to listen on (repeatable)")
	f.StringVar(&s.data, "data", "data", "folder for accounts, history and the host key; made when missing")
	f.StringArrayVar(&s.admins, "admin", nil, "NAME=KEYFILE: make this admin with the keys in the file, unless the account exists (repeatable)")
	f.StringVar(&s.registration, "registration", "open", "who may make an account: open, invite or closed")
	f.StringVar(&s.name, "name", "sshchat", "the server's name, shown to people")
	f.StringVar(&s.address, "address", "", `how people reach it, shown in hints, as "-p 2222 NAME@chat.host"; if empty, the address they connected to`)
	f.StringVar(&s.logFormat, "log-format", "text", "text or json, on standard error")
	f.StringVar(&s.metrics, "metrics", "", "loopback address where Prometheus reads metrics, as 127.0.0.1:9222; none where empty")
	f.IntVar(&s.minPassword, "min-password", 15, "shortest password, in characters; not below 8")
	f.IntVar(&s.window, "window", 0, "messages sealed under one set of heads; 0 means as many as the room has members, at least 200")
	s.rotate = 32 << 20
	f.Var(&s.rotate, "history-rotate", "size from which on the history goes on in a new file and the old one becomes an archive; 0: never")
	f.Var(&s.keep, "history-keep", "archives to keep: a time, as 365d, a size, as 1GiB, or both as 365d,1GiB; older ones are deleted")
	s.dormant = days(90 * 24 * time.Hour)
	f.Var(&s.dormant, "dormant", "absence, as 90d, after which nothing is sealed for somebody but direct messages; 0: it always is")
	f.BoolVar(&s.dumpable, "dumpable", false, "let debuggers and core dumps see the server's memory, and the keys in it")
	f.IntVar(&s.workFactor, "work-factor", 16, "scrypt work factor of password identities, log2")
	f.IntVar(&s.limits.Starting, "starting", s.limits.Starting, "connections that have not logged in")
	f.IntVar(&s.limits.Reserved, "starting-reserved", s.limits.Reserved, "places among them for sources that logged in within 30 days")
	f.IntVar(&s.limits.StartingSource, "starting-source", s.limits.StartingSource, "such connections of one source, an IPv4 address or an IPv6 /64")
	f.IntVar(&s.limits.DropFrom, "starting-drop-from", s.limits.DropFrom, "so many of them before strangers are turned away at random")
	f.Float64Var(&s.limits.DropRate, "starting-drop-rate", s.limits.DropRate, "the chance of that at first; it grows to 1")
	f.IntVar(&s.limits.AccountConns, "account-connections", s.limits.AccountConns, "connections of one account")
	f.IntVar(&s.limits.SourceConns, "source-connections", s.limits.SourceConns, "connections of one source that have logged in")
	f.Var((*prefixes)(&s.limits.Exempt), "exempt", "CIDR: addresses whose source is not counted or charged, as those of a monitor (repeatable)")
	f.IntVar(&s.limits.RegistrationsSource, "registrations-source", s.limits.RegistrationsSource, "logins without an account from one source at once")
	f.IntVar(&s.limits.NewAccounts, "new-accounts", s.limits.NewAccounts, "accounts that people make in ten minutes")
	f.IntVar(&s.limits.NewAccountsSource, "new-accounts-source", s.limits.NewAccountsSource, "accounts made from one source in an hour")
	f.DurationVar(&s.limits.Handshake, "login-time", s.limits.Handshake, "time to log in")
	f.DurationVar(&s.limits.KeyExchange, "key-exchange-time", s.limits.KeyExchange, "of that, time to agree on keys")
	f.DurationVar(&s.limits.FirstChannel, "channel-time", s.limits.FirstChannel, "time a connection may be without a session")
	f.DurationVar(&s.limits.FirstCommand, "command-time", s.limits.FirstCommand, "time a session may be without a shell or command")
	f.DurationVar(&s.limits.Registration, "registration-time", s.limits.Registration, "time to make an account")
	f.DurationVar(&s.limits.Keepalive, "keepalive", s.limits.Keepalive, "silence after which a client is asked for a sign of life")
	f.DurationVar(&s.limits.WriteStall, "write-stall", s.limits.WriteStall, "time after which a client that reads nothing is cut off")
	f.IntVar(&s.limits.Sessions, "sessions", s.limits.Sessions, "sessions in one connection")
	f.IntVar(&s.limits.Passwords, "passwords", s.limits.Passwords, "passwords tried in one connection")
	f.IntVar(&s.limits.Guesses, "guesses", s.limits.Guesses, "wrong passwords for one name in a row before the next has to wait, 1 s, then 2 s, up to 15 min")
	f.IntVar(&s.limits.MostGuesses, "most-guesses", s.limits.MostGuesses, "in a row, after which its passwords are heard from known sources alone")
	f.DurationVar(&s.limits.Failure, "failure-time", s.limits.Failure, "a wrong password is answered no earlier than this")
	f.BoolVar(&s.limits.Penalties, "penalties", s.limits.Penalties, "keep sources away for a while that guess passwords or waste connections")
	f.IntVar(&s.limits.Registrations, "registrations", s.limits.Registrations, "logins without an account at once")
	allowance(f, &s.limits.KeyQueries, "key-query", "keys that one source asks about")
	allowance(f, &s.limits.Messages, "message", "messages of one person")
	allowance(f, &s.limits.Commands, "command", "commands of one person")
	allowance(f, &s.limits.Input, "input", "bytes of input of one session")
}

// entrance is how people come to the server.
func (s *settings) entrance() command.Entrance {
	return command.Entrance{Address: s.address, Registration: s.registration != "closed", ByInvite: s.registration == "invite"}
}

// allowance adds the two flags of a pace: so many at once, and then so many a second.
func allowance(f *pflag.FlagSet, a *limit.Allowance, name, what string) {
	f.IntVar(&a.Burst, name+"-burst", a.Burst, what+" that may come at once")
	f.Float64Var(&a.Rate, name+"-rate", a.Rate, what+" a second after that")
}

// prefixes is a repeatable flag of addresses.
type prefixes []netip.Prefix

func (p *prefixes) Set(word string) error {
	prefix, err := netip.ParsePrefix(word)
	if addr, alone := netip.ParseAddr(word); alone == nil {
		prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	if err != nil || prefix.Addr().Is4In6() {
		return fmt.Errorf("%q is not an address, as 192.0.2.1, or a network, as 192.0.2.0/24", word)
	}
	*p = append(*p, prefix.Masked())
	return nil
}

func (p *prefixes) Type() string { return "stringArray" }

func (p *prefixes) String() string {
	words := make([]string, len(*p))
	for i, prefix := range *p {
		words[i] = prefix.String()
	}
	return strings.Join(words, ",")
}

// twin is the name that a flag has in the environment.
func twin(flag string) string {
	return "SSHCHAT_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// forTests are variables of this project's own tests, which run servers beside them.
var forTests = []string{"LONG", "UPDATE", "REQUIRE_CLIENTS", "READS", "ORDER", "KILLS", "CUTS", "SEED", "JQ", "BENCH_PROFILE"}

// unknownTwins are the variables in an environment that look like a flag's twin and are none, each with the twin that it may
// have been meant for, or an empty string.
func unknownTwins(environ []string, flags *pflag.FlagSet) map[string]string {
	known := make(map[string]bool)
	for _, name := range forTests {
		known["SSHCHAT_"+name] = true
	}
	var twins []string
	flags.VisitAll(func(f *pflag.Flag) { twins = append(twins, twin(f.Name)); known[twin(f.Name)] = true })
	unknown := make(map[string]string)
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, "SSHCHAT_")
		if ours && !known[name] && !strings.HasPrefix(rest, "TEST_") {
			unknown[name] = command.Nearest(name, twins)
		}
	}
	return unknown
}

// warnOfUnknown logs each SSHCHAT_ variable that sets nothing, since the person who set it expects an effect.
func (s *settings) warnOfUnknown(logger *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(s.unknown)) {
		args := []any{"name", name}
		if near := s.unknown[name]; near != "" {
			args = append(args, "did you mean", near)
		}
		logger.Warn("unknown environment variable: it sets nothing", args...)
	}
}

// environment gives each flag that was not set the value of its twin, if there is one.
// Several values of a repeatable flag are separated by commas.
func (s *settings) environment(cmd *cobra.Command) error {
	s.twins, s.unknown = make(map[string]bool), unknownTwins(os.Environ(), cmd.Flags())
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, set := os.LookupEnv(twin(f.Name))
		if !set || f.Changed || failed != nil {
			return
		}
		s.twins[f.Name] = true
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				failed = &badSetting{fmt.Sprintf("%s: %s", twin(f.Name), command.FlagValueError(err))}
			}
		}
	})
	return failed
}
