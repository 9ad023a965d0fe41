package sshchat

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/chat/journaltest"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
)

// A session is ended because the allowlist leaves its account out. Its connection is closed two seconds later, if the account
// is still left out or the session is still there, as its client reads nothing. If it has ended and the account was put on
// the list again, the connection stays: new sessions have begun in it.
func TestConnectionOfAnEndedSession(t *testing.T) {
	for what, c := range map[string]struct{ listedAgain, still, closed bool }{
		"left out":                        {closed: true},
		"left out, and still there":       {still: true, closed: true},
		"listed again":                    {listedAgain: true},
		"listed again, but not ended yet": {listedAgain: true, still: true, closed: true},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := journaltest.NewMemory(chat.NewState(chat.Parts{Accounts: []chat.Account{{ID: "1", Password: true}}}))
				node, state, _ := log.Join()
				hub := chat.NewHub(chat.Config{Journal: node, State: state, Clock: journaltest.Now, Log: slog.New(slog.DiscardHandler)})
				running, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- hub.Run(running) }()
				defer func() { stop(); <-ended }()
				list := func(listed bool) {
					log.Put(func(p *chat.Parts) { p.Allowlist.On = !listed })
					synctest.Wait()
				}
				s := &Server{
					liveSessions: liveSessions{live: make(map[*caller]command.LiveSession)}, services: &command.Services{Hub: hub},
					admission: limit.NewAdmission(limit.AdmissionLimits{}, nil),
				}
				mine, theirs := net.Pipe()
				defer theirs.Close()
				ctx, end := context.WithCancelCause(t.Context())
				sess := &caller{server: s, conn: &conn{Conn: mine, server: s}, end: end}
				sess.prove(login{id: "1"})
				s.live[sess] = command.LiveSession{}
				if s.follow(1, hub.View(), hub.View()); ctx.Err() != nil {
					t.Fatal("it ended while it was listed")
				}
				list(false)
				if s.follow(1, hub.View(), hub.View()); ctx.Err() == nil {
					t.Fatal("it did not end")
				}
				if !c.still {
					sess.delist()
				}
				list(c.listedAgain)
				time.Sleep(2 * hangUpAfter)
				synctest.Wait()
				mine.SetReadDeadline(time.Now().Add(time.Second))
				_, err := mine.Read(make([]byte, 1))
				if closed := errors.Is(err, io.ErrClosedPipe); closed != c.closed {
					t.Errorf("closed: %v (%v)", closed, err)
				}
			})
		})
	}
}
