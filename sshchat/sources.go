package sshchat

import (
	"context"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/lists"
)

// This file counts what sources do: wasted connections and wrong passwords, which sources are refused, which are exempt,
// and what admins see of it (command.Sources).

var _ command.Sources = (*Server)(nil)

// sourceCounts are what is counted against sources, and the wrong passwords of names.
type sourceCounts struct {
	current *atomic.Pointer[Limits] // the limits of the server
	others  *limit.Teller           // to the servers that count the same; nil: this one is alone

	attempts   *limit.LoginAttempts
	penalties  *limit.Penalties
	newcomers  *limit.Newcomers
	spared     *limit.RateLimiter[limit.Source] // wrong passwords from known sources, which are not refused
	keyQueries *limit.RateLimiter[limit.Source] // keys that clients offer
	claims     *limit.RateLimiter[limit.Source] // codes entered to become the first admin
}

func newSourceCounts(l Limits) sourceCounts {
	n := sourceCounts{
		current:  &atomic.Pointer[Limits]{},
		attempts: limit.NewLoginAttempts(time.Now, l.PasswordDelayAfter, l.MaxPasswordFailures), penalties: limit.NewPenalties(time.Now),
		newcomers: limit.NewNewcomers(l.NewcomerLimits, time.Now), spared: limit.NewRateLimiter[limit.Source](knownSourceAttempts),
		keyQueries: limit.NewRateLimiter[limit.Source](l.KeyQueries), claims: limit.NewRateLimiter[limit.Source](claimTries),
	}
	n.setLimits(l)
	return n
}

// setLimits changes what bounds sources. What is counted stays.
func (n *sourceCounts) setLimits(l Limits) {
	n.current.Store(&l)
	n.attempts.SetLimits(l.PasswordDelayAfter, l.MaxPasswordFailures)
	n.penalties.SetLimits(l.PenaltyLimits)
	n.newcomers.SetLimits(l.NewcomerLimits)
	n.keyQueries.SetAllowance(l.KeyQueries)
}

// limits are those in use now. They are not to be changed, but by SetLimits.
func (n *sourceCounts) limits() *Limits { return n.current.Load() }

// LimitedSources implements command.Sources.
func (n *sourceCounts) LimitedSources() []command.Source {
	found := make(map[limit.Source]*command.Source)
	of := func(from limit.Source) *command.Source {
		if found[from] == nil {
			found[from] = &command.Source{Source: from.String(), State: command.SourceFree, Known: n.attempts.Known(from)}
		}
		return found[from]
	}
	now := time.Now()
	for _, o := range n.penalties.List() {
		c := of(o.Source)
		c.Refusals = o.Penalties
		switch {
		case c.Known || !now.Before(o.Until):
		case o.Refused:
			c.State, c.Until = command.SourceRefused, o.Until
		default:
			c.State, c.Until = command.SourceCharged, o.Until
		}
	}
	for from, wait := range n.spared.Delayed(now) {
		c := of(from)
		c.State, c.Until = command.SourceDelayed, now.Add(wait)
	}
	accounts, logins := n.newcomers.Made()
	for from, n := range accounts {
		of(from).Accounts = n
	}
	for from, n := range logins {
		of(from).Registering = n
	}
	list := make([]command.Source, 0, len(found))
	for _, c := range found {
		c.Until = c.Until.UTC().Truncate(time.Second)
		list = append(list, *c)
	}
	lists.Sort(list, func(a, b command.Source) int {
		if d := urgency[a.State] - urgency[b.State]; d != 0 {
			return d
		}
		return strings.Compare(a.Source, b.Source)
	})
	return list
}

// urgency is the order of what is listed.
var urgency = map[string]int{command.SourceRefused: 0, command.SourceDelayed: 1, command.SourceCharged: 2, command.SourceFree: 3}

// Forgive implements command.Sources.
func (n *sourceCounts) Forgive(addr netip.Addr) bool {
	from := limit.SourceOfAddr(addr)
	n.tell(limit.Forgiven, from)
	return n.forgive(from)
}

func (n *sourceCounts) forgive(from limit.Source) bool {
	now := time.Now()
	any := n.penalties.Forgive(from)
	for _, l := range []*limit.RateLimiter[limit.Source]{n.spared, n.keyQueries, n.claims} {
		any = l.Forget(from, now) || any
	}
	return n.newcomers.Forgive(from) > 0 || any
}

// penaltyLeft is how long the connection's source is still refused for what it did; 0 if it is not. Known sources are
// exempt: a class behind one address is not refused because one person mistyped.
func (n *sourceCounts) penaltyLeft(c *conn) time.Duration {
	if !n.limits().Penalties || c.exempt || n.attempts.Known(c.from) {
		return 0
	}
	return n.penalties.Wait(c.from)
}

func failedLogins(wait time.Duration) string {
	return "too many failed logins from your address; please try again in " + approx(wait)
}

// knownSourceAttempts is how many wrong passwords may come from a known source. More are not checked, except for names
// that log in from there: otherwise anybody with an account, which everybody can have, could guess without end.
var knownSourceAttempts = limit.Allowance{Burst: 30, Rate: 1.0 / 60}

// passwordDelay is how long until a password from a known source is checked; 0 if it is checked now.
func (n *sourceCounts) passwordDelay(c *conn) time.Duration {
	if !n.limits().Penalties || c.exempt {
		return 0
	}
	return n.spared.Delay(c.from, time.Now())
}

// tryPassword reports whether a password for the name may be checked, and counts it. The error is that it is not known whether it is
// counted, after fence.Login at most.
func (n *sourceCounts) tryPassword(ctx context.Context, c *conn, name chat.Name) (check bool, err error) {
	if n.passwordDelay(c) > 0 && !n.attempts.Knows(name, c.from) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fence.Login)
	defer cancel()
	return n.attempts.Try(ctx, name, c.from)
}

// Others are the servers that share the hub's log with this one.
type Others interface {
	// Hear has f be given what Tell tells of a kind on another server. It may be called from several goroutines at once.
	Hear(kind string, f func([]byte) error)
	// Tell tells the others that are there now. It returns when each has answered, or does not; nothing is told twice.
	Tell(kind string, b []byte)
}

// toldKind is the kind of what is counted by all servers.
const toldKind = "counted"

// shareWith has what is counted here be counted by the others as well, and what they count here.
func (n *sourceCounts) shareWith(others Others) {
	n.others = limit.NewTeller(func(b []byte) { others.Tell(toldKind, b) })
	others.Hear(toldKind, func(b []byte) error {
		all, err := limit.ReadTold(b)
		for _, told := range all {
			n.hear(told)
		}
		return err
	})
}

// tell tells the others of a source.
func (n *sourceCounts) tell(what limit.Event, from limit.Source) {
	n.others.Tell(limit.Told{Event: what, Source: netip.Prefix(from)})
}

// hear counts what another server has counted.
func (n *sourceCounts) hear(told limit.Told) {
	from, now := limit.Source(told.Source), time.Now()
	switch told.Event {
	case limit.Offended:
		n.penalties.Add(from, told.Offence)
	case limit.Spared:
		n.spared.Take(from, now)
	case limit.Registered:
		n.newcomers.Add(from)
	case limit.GivenBack:
		n.newcomers.GiveBack(from)
	case limit.Claimed:
		n.claims.Take(from, now)
	case limit.Forgiven:
		n.forgive(from)
	case limit.Notified:
		n.attempts.NotifyDue(told.Name)
	}
}
