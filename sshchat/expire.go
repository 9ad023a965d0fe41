package sshchat

import (
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

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
			s.log.Error("remove expired bans", "err", err)
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
