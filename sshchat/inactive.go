package sshchat

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

// This file is about accounts that are unused for so long that nothing is sealed to them any more.

// visitEvery is how often the use of connected accounts is recorded.
const visitEvery = 12 * time.Hour

// recordVisits has accounts that stay connected count as here. It ends with the server.
func (s *Server) recordVisits() {
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, live := range s.Sessions() {
				if _, err := s.seen(s.stop, live.Account); err != nil {
					s.log.Warn("record the visit", "account", live.Account, "err", err) // it is written again later
				}
			}
		case <-s.stop.Done():
			return
		}
	}
}

// seen has noted that the account is here.
func (s *Server) seen(ctx context.Context, id string) (since time.Time, err error) {
	return s.services.Accounts.Seen(id, func(in chat.Visit) error { return s.services.Hub.Decide(ctx, chat.TheServer, in, nil) })
}

// recordVisit records that the account was used. If messages were no longer sealed to it, they are again from now on, and
// absence is the notice for its owner.
func (who *caller) recordVisit(ctx context.Context, a chat.Account) (absence string) {
	since, err := who.server.seen(ctx, a.ID)
	if err != nil {
		who.logger().Warn("record the visit", "err", err) // it is written again tomorrow
	}
	if since.IsZero() {
		return ""
	}
	err = who.server.services.Hub.Reseal(ctx, a.Name)
	if ctx.Err() != nil { // messages are sealed to it even if the client hangs up
		return ""
	}
	if err != nil {
		who.logger().Error("seal again for a user who was away", "account", a.ID, "err", err)
		return ""
	}
	who.logger().Info("user is back after a long time", "account", a.ID, "unsealed since", since)
	return fmt.Sprintf("You were away for a long time: you cannot open messages in rooms from %s until now. "+
		"You can open direct messages, and everything from now on.", since.Format("2 January 2006"))
}

// writeAbsence writes the notice to a program's standard error.
func (s *session) writeAbsence(w io.Writer) {
	if s.absence != "" {
		fmt.Fprintln(w, s.absence)
	}
}

// This file ends bans that expire. No request does that, so the server makes one: later messages are sealed to these
// people again.

// How long it takes at most until that is noticed. A clock that has been set may end a ban at any time.
const (
	expiryAtLeast = time.Second
	expiryAtMost  = time.Minute
)

// expireBans removes expired bans. It ends with the server, and sleeps while no ban has an end.
func (s *Server) expireBans() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.decided: // there may be other bans now
		case <-timer.C:
		case <-s.stop.Done():
			return
		}
		if s.expire() {
			timer.Reset(untilExpiry(s.view()))
		} else {
			timer.Reset(expiryAtMost)
		}
	}
}

// expire removes the bans that have ended. ok is false if that was not stored: it is retried without filling the log.
func (s *Server) expire() (ok bool) {
	now := s.view()
	over := slices.DeleteFunc(slices.Clone(now.AllBans()), func(b chat.Sanction) bool { return !now.At.Over(b) })
	if len(over) == 0 {
		return true
	}
	if err := s.services.Hub.Decide(s.stop, chat.TheServer, chat.Expire{}, nil); err != nil {
		if s.stop.Err() == nil {
			s.log.Warn("remove expired bans", "err", err)
		}
		return false
	}
	for _, b := range over {
		s.log.Info("ban ended", "on", b.Target())
	}
	return true
}

// untilExpiry is when to look again; without a ban that ends, when there may be one.
func untilExpiry(now chat.View) time.Duration {
	timed := func(b chat.Sanction) bool { return !b.Until.IsZero() }
	if !slices.ContainsFunc(now.AllBans(), timed) {
		return 1<<63 - 1
	}
	next := now.NextEnd() // zero: the remaining ones have ended, and could not be removed
	return min(max(next.Sub(now.At.Wall), expiryAtLeast), expiryAtMost)
}
