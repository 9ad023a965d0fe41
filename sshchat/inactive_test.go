package sshchat

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
)

type everything = command.Accounts

// visits is accounts that only learn who was here.
type visits struct {
	everything
	seen map[string]int
}

func (v visits) Seen(id string, _ func(chat.Visit) error) (time.Time, error) {
	v.seen[id]++
	return time.Time{}, nil
}

// A bot that is connected for months is here all the time, and so is sealed for.
func TestWhoStaysConnectedIsHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := visits{seen: make(map[string]int)}
		s := &Server{liveSessions: liveSessions{live: map[*caller]command.LiveSession{{}: {Account: "bot"}, {}: {Account: "other"}}}, log: slog.New(slog.DiscardHandler)}
		s.services = &command.Services{Accounts: v}
		s.stop, s.stopSessions = context.WithCancel(t.Context())
		go s.recordVisits()
		time.Sleep(89 * 24 * time.Hour)
		s.stopSessions()
		synctest.Wait()
		if v.seen["bot"] < 89 || v.seen["other"] < 89 {
			t.Errorf("in 89 days they were here %v times", v.seen)
		}
	})
}
