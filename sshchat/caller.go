package sshchat

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
)

// caller is who a session acts for: what their login proved, and what is counted against them. Others end a session by it,
// and list it.
type caller struct {
	server *Server
	conn   *conn
	name   chat.Name
	key    *chat.Key // proven in this login, while it has no account

	login   login                 // changed by prove alone; the session's goroutine's
	proven  atomic.Pointer[login] // the same, for others
	renewal atomic.Bool           // it changes what it has to prove: until that is done its login is not reviewed
	patient bool                  // a program: it waits where a person would be refused for being too fast
	kind    string                // full, plain, pipe or exec, as sessions are listed

	end        context.CancelCauseFunc
	terminated atomic.Pointer[string] // why somebody ended the session; nil: nobody did
}

var _ command.Caller = (*caller)(nil)

// prove has the session act for what that login proves.
func (who *caller) prove(l login) {
	who.login = l
	who.proven.Store(&l)
}

// Guess implements command.Caller.
func (who *caller) Guess(look func() error) error {
	attempts := who.server.attempts
	if !attempts.TryPrompt(who.name) {
		who.server.stats.Unheard.Add(1)
		return &chat.Refusal{Code: chat.Denied, Text: "too many wrong passwords were tried here; try again in a while"}
	}
	err := look()
	switch {
	case err == nil:
		attempts.Answered(who.name)
	case who.server.passwords.Wrong(err):
		who.server.stats.Failures.Add(1)
		who.server.wrongPassword(who.conn, who.name)
	default:
		attempts.WithdrawPrompt(who.name)
	}
	return err
}

// MayRegister implements command.Caller.
func (who *caller) MayRegister() error {
	if why := who.server.accountsWait(who.conn); why != "" {
		return &chat.Refusal{Code: chat.Failed, Text: why}
	}
	return nil
}

// CountRegistration implements command.Caller.
func (who *caller) CountRegistration() (giveBack func(), err error) {
	newcomers, c := who.server.newcomers, who.conn
	if why := newcomersWords(newcomers.Take(c.from, c.exempt)); why != "" {
		return nil, &chat.Refusal{Code: chat.Failed, Text: why}
	}
	return func() { newcomers.GiveBack(c.from) }, nil
}

// MayClaim implements command.Caller.
func (who *caller) MayClaim() error {
	c := who.conn
	if wait := who.server.claims.Take(c.from, time.Now()); wait > 0 && !c.exempt {
		return &chat.Refusal{Code: chat.Failed, Text: "too many wrong codes came from your address; try again in " + approx(wait)}
	}
	return nil
}

// Registered makes this session the account's, and it alone: whoever else came in on the name must log in again.
func (who *caller) Registered(a chat.Account) {
	who.prove(who.login.registered(a, who.key))
	who.enlist(a)
	now := who.server.view()
	who.server.review(who, now, now) // they may have been banned since the account was made
	who.conn.hasAccount()
	who.conn.becomes(a.ID)
	who.server.attempts.Succeeded(a.Name, who.conn.from)
	who.conn.onTime()
}

// Renew implements command.Caller. Until the session has what it must prove now, nobody ends it for not having it.
func (who *caller) Renew(change func() (generation string, second bool, err error)) error {
	before := who.server.view()
	who.renewal.Store(true)
	generation, second, err := change()
	if l := who.login; err == nil && l.key == "" {
		l.proof, l.second = generation, second
		who.prove(l)
	}
	who.renewal.Store(false)
	who.server.review(who, before, who.server.view()) // for what came meanwhile
	return err
}

// reach is how the session's user reaches the server.
func (who *caller) reach() string {
	return who.server.services.Reach(who.name.String(), who.conn.LocalAddr())
}

// logger is the operator's log with who this is. It is made when there is something to tell: kept, it would be a tenth of
// what a session takes.
func (who *caller) logger() *slog.Logger {
	return who.server.log.With("source", who.conn.source, "name", who.name.String())
}

// trouble writes a line of the log that the session's person can cause again and again: at a pace that does not fill the disk.
func (who *caller) trouble(level slog.Level, msg string, args ...any) {
	c := who.conn
	who.server.troubles.write(level, c.from, msg, append([]any{"source", c.source, "name", who.name.String()}, args...)...)
}
