package sshchat

import (
	"context"
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

// This file is about bans that end by themselves. Nobody decides anything then, but what is said from that moment on is to
// be sealed to the banned again.

// How long it takes at most until that is noticed. A clock that has been set may end a ban at any time.
const (
	lapseAtLeast = time.Second
	lapseAtMost  = time.Minute
)

// lapses seals again to those whose ban has ended by itself. It ends with the server, and takes no time while no ban has an end.
func (s *Server) lapses() {
	held := s.timedBans()
	timer := time.NewTimer(untilLapse(held, time.Now()))
	defer timer.Stop()
	for {
		select {
		case <-s.decided: // there may be other bans now
		case <-timer.C:
		case <-s.stop.Done():
			return
		}
		now := s.timedBans()
		for _, ban := range held {
			if ban.Over(time.Now()) && !slices.ContainsFunc(now, func(b chat.Sanction) bool { return b.Target() == ban.Target() }) {
				s.lapsed(ban)
			}
		}
		held = now
		timer.Reset(untilLapse(held, time.Now()))
	}
}

func (s *Server) lapsed(ban chat.Sanction) {
	ctx, cancel := context.WithCancel(s.stop)
	defer cancel()
	if err := s.services.Reseal(ctx, ban, chat.Rekey); err != nil && ctx.Err() == nil {
		s.log.Error("seal again after a ban", "on", ban.Target(), "err", err)
		return
	}
	s.log.Info("ban ended", "on", ban.Target())
}

// timedBans are the bans that hold now and have an end.
func (s *Server) timedBans() []chat.Sanction {
	return slices.DeleteFunc(s.services.Accounts.Bans(), func(b chat.Sanction) bool { return b.Until.IsZero() })
}

// untilLapse is when to look again; without a ban that ends, when there may be one.
func untilLapse(bans []chat.Sanction, now time.Time) time.Duration {
	if len(bans) == 0 {
		return 1<<63 - 1
	}
	first := slices.MinFunc(bans, func(a, b chat.Sanction) int { return a.Until.Compare(b.Until) })
	return min(max(first.Until.Sub(now), lapseAtLeast), lapseAtMost)
}
