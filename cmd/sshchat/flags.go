package main

import (
	"fmt"
	"os"
	"strings"

	"sshchat/sshchat"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the server's flags. Each has a twin in the environment: --log-format is SSHCHAT_LOG_FORMAT.
type settings struct {
	listen       string
	data         string
	admins       []string
	registration string
	name         string
	address      string
	logFormat    string
	minPassword  int
	window       int
	workFactor   int
	limits       sshchat.Limits
}

func (s *settings) flags(f *pflag.FlagSet) {
	s.limits = sshchat.DefaultLimits
	f.StringVar(&s.listen, "listen", ":2222", "address to listen on")
	f.StringVar(&s.data, "data", "data", "folder for accounts, history and the host key; made when missing")
	f.StringArrayVar(&s.admins, "admin", nil, "NAME=KEYFILE: make this admin with the keys in the file, unless the account exists (repeatable)")
	f.StringVar(&s.registration, "registration", "open", "who may make an account: open, invite or closed")
	f.StringVar(&s.name, "name", "sshchat", "the server's name, shown to people")
	f.StringVar(&s.address, "address", "", `how people reach it, shown in help, as "-p 2222 NAME@chat.host"`)
	f.StringVar(&s.logFormat, "log-format", "text", "text or json, on standard error")
	f.IntVar(&s.minPassword, "min-password", 15, "shortest password, in characters; not below 8")
	f.IntVar(&s.window, "window", 0, "messages sealed under one set of heads; 0 means as many as the room has members, at least 200")
	f.IntVar(&s.workFactor, "work-factor", 16, "scrypt work factor of password identities, log2")
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
	allowance(f, &s.limits.Messages, "message", "messages of one person")
	allowance(f, &s.limits.Commands, "command", "commands of one person")
	allowance(f, &s.limits.Input, "input", "bytes of input of one session")
}

// allowance adds the two flags of a pace: so many at once, and then so many a second.
func allowance(f *pflag.FlagSet, a *sshchat.Allowance, name, what string) {
	f.IntVar(&a.Burst, name+"-burst", a.Burst, what+" that may come at once")
	f.Float64Var(&a.Rate, name+"-rate", a.Rate, what+" a second after that")
}

// environment gives each flag that was not set the value of its twin, if there is one.
// Several values of a repeatable flag are separated by commas.
func environment(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		twin := "SSHCHAT_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, set := os.LookupEnv(twin)
		if !set || f.Changed || failed != nil {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := cmd.Flags().Set(f.Name, v); err != nil {
				failed = fmt.Errorf("%s: %w", twin, err)
			}
		}
	})
	return failed
}

// check refuses settings that contradict themselves.
func (s *settings) check() error {
	switch s.registration {
	case "open", "invite", "closed":
	default:
		return fmt.Errorf("--registration is open, invite or closed, not %q", s.registration)
	}
	switch s.logFormat {
	case "text", "json":
	default:
		return fmt.Errorf("--log-format is text or json, not %q", s.logFormat)
	}
	for _, a := range []sshchat.Allowance{s.limits.Messages, s.limits.Commands, s.limits.Input} {
		if a.Burst < 1 || a.Rate <= 0 {
			return fmt.Errorf("a --…-burst of %d and a --…-rate of %g let nothing through; a very high one lets everything", a.Burst, a.Rate)
		}
	}
	if s.minPassword < 8 {
		return fmt.Errorf("--min-password is %d; NIST SP 800-63B-4 allows no less than 8", s.minPassword)
	}
	return nil
}
