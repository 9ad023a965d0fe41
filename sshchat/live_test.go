package sshchat

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
)

// listed is chat.Decisions in memory: one account, and whether the allowlist lets it in.
type listed struct {
	account chat.Account
	in      atomic.Bool // also looked at by the clock
}

func (l *listed) View() chat.View {
	return chat.View{State: chat.NewState(chat.Parts{Accounts: []chat.Account{l.account}, Allowlist: chat.Allowlist{On: !l.in.Load()}})}
}
func (l *listed) Decide(chat.Caller, chat.Intent) (*chat.State, error) { panic("nothing is decided") }
func (l *listed) Follow(func(before, after chat.View))                 {}

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
				people := &listed{account: chat.Account{ID: "1", Password: true}}
				people.in.Store(true)
				s := &Server{
					liveSessions: liveSessions{live: make(map[*caller]command.LiveSession)}, services: &command.Services{Hub: chat.NewHub(nil, people, nil, nil, slog.New(slog.DiscardHandler))},
					admission: limit.NewAdmission(limit.AdmissionLimits{}, nil),
				}
				mine, theirs := net.Pipe()
				defer theirs.Close()
				ctx, end := context.WithCancelCause(t.Context())
				sess := &caller{server: s, conn: &conn{Conn: mine, server: s}, end: end}
				sess.prove(login{id: "1"})
				s.live[sess] = command.LiveSession{}
				if s.follow(people.View(), people.View()); ctx.Err() != nil {
					t.Fatal("it ended while it was listed")
				}
				people.in.Store(false)
				if s.follow(people.View(), people.View()); ctx.Err() == nil {
					t.Fatal("it did not end")
				}
				if !c.still {
					sess.delist()
				}
				people.in.Store(c.listedAgain)
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
