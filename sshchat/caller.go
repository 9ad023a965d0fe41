package sshchat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
	"sshchat/sshchat/wake"

	gossh "golang.org/x/crypto/ssh"
)

// caller is the user a session acts for: what their login proved, and what is counted against them. Other goroutines use
// it to list and end the session.
type caller struct {
	server *Server
	conn   *conn
	name   chat.Name
	key    *chat.Key // proven in this login, while it has no account

	proven  atomic.Pointer[login] // changed by prove alone, in the goroutine of the session or of its command
	renewal atomic.Bool           // it changes what it has to prove: until that is done its login is not reviewed
	patient bool                  // a program: it waits where a person would be refused for being too fast
	kind    string                // full, plain, pipe or exec, as sessions are listed

	notice     atomic.Pointer[string] // what the server tells its sessions, until it is shown; nil: nothing
	waker      *wake.Waker            // wakes the session's goroutine
	end        context.CancelCauseFunc
	terminated atomic.Pointer[chat.Refusal] // why the session was ended, by somebody or by the fence; nil: it was not
}

var _ command.Caller = (*caller)(nil)

// prove makes the session act for what that login proves.
func (who *caller) prove(l login) { who.proven.Store(&l) }

// login is what the session acts for.
func (who *caller) login() login { return *who.proven.Load() }

// CheckPassword implements command.Caller.
func (who *caller) CheckPassword(check func() error) error {
	attempts := who.server.attempts
	ctx, cancel := context.WithTimeout(context.Background(), fence.Login)
	defer cancel()
	switch may, err := attempts.TryPrompt(ctx, who.name); {
	case err != nil:
		who.logPaced(slog.LevelWarn, "password not checked", "err", err)
		return errUncounted
	case !may:
		who.server.stats.Unheard.Add(1)
		return chat.ErrNotChecked
	}
	err := check()
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
	who.server.tell(limit.Registered, c.from)
	return func() {
		newcomers.GiveBack(c.from)
		who.server.tell(limit.GivenBack, c.from)
	}, nil
}

// MayClaim implements command.Caller.
func (who *caller) MayClaim() error {
	c := who.conn
	who.server.tell(limit.Claimed, c.from)
	if wait := who.server.claims.Take(c.from, time.Now()); wait > 0 && !c.exempt {
		return &chat.Refusal{Code: chat.Failed, Text: "too many wrong codes came from your address; try again in " + approx(wait)}
	}
	return nil
}

// Registered makes this session the account's. Other connections that logged in under the name without an account must
// log in again.
func (who *caller) Registered(a chat.Account) {
	who.prove(who.login().registered(a, who.key))
	who.enlist(a)
	now := who.server.view()
	review(who, now, now) // they may have been banned since the account was made
	who.conn.registered()
	who.conn.acquireAccount(a.ID)
	who.server.attempts.Succeeded(a.Name, who.conn.from)
	who.conn.clearDeadline()
}

// Renew implements command.Caller. Until the session has what it must prove now, nobody ends it for not having it.
func (who *caller) Renew(change func() (generation string, second bool, err error)) error {
	before := who.server.view()
	who.renewal.Store(true)
	generation, second, err := change()
	if l := who.login(); err == nil && l.key == "" {
		l.proof, l.second = generation, second
		who.prove(l)
	}
	who.renewal.Store(false)
	review(who, before, who.server.view()) // for what came meanwhile
	return err
}

// reach is how the session's user reaches the server.
func (who *caller) reach() string {
	return who.server.services.Reach(who.name.String(), who.conn.LocalAddr())
}

// logger is the operator's log with the caller's details. It is made when needed: keeping it would add a tenth to a
// session's memory.
func (who *caller) logger() *slog.Logger {
	return who.server.log.With("source", who.conn.source, "name", who.name.String())
}

// logPaced writes a line of the log that the session's person can cause again and again: at a pace that does not fill the disk.
func (who *caller) logPaced(level slog.Level, msg string, args ...any) {
	c := who.conn
	who.server.sessionLog.write(level, c.from, msg, append([]any{"source", c.source, "name", who.name.String()}, args...)...)
}

// The rest limits how fast a person may act. On a screen, an action that is too fast is refused at once with its text, so
// that it can be repeated. A program is delayed instead.

// maxEcho is how much of a text its author is shown when it is refused, in bytes. Up brings back all of it.
const maxEcho = 200

// Pace implements command.Caller.
func (who *caller) Pace(ctx context.Context, what command.Effort, text string) error {
	f, noun, done := who.server.messages, "message", "sent"
	switch what {
	case command.Work:
		f, noun, done = who.server.commands, "command", "done"
	case command.Change:
		f, noun, done = who.server.changes, "such command", "done"
	}
	wait := f.Take(who.name, time.Now())
	if wait == 0 {
		return nil
	}
	if who.patient {
		who.server.stats.Slowed.Add(1)
		if err := f.Wait(ctx, who.name, wait); err != nil {
			return command.ErrNotBegun
		}
		return nil
	}
	who.server.stats.TooFast.Add(1)
	return &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf(
		"Too fast: at most %s. Not %s; press Up to get it back. %s",
		pace(f.Allowance().Rate, noun), done, echo(text))}
}

// pace is "2 messages a second", or "10 commands a minute".
func pace(rate float64, noun string) string {
	if rate < 1 {
		return perTime(rate*60, noun, "minute")
	}
	return perTime(rate, noun, "second")
}

func perTime(n float64, noun, unit string) string {
	if n == 1 {
		return "1 " + noun + " a " + unit
	}
	return fmt.Sprintf("%.3g %ss a %s", n, noun, unit)
}

// A person without a role may cause audit log lines, for changes and for refusals, at these fractions of the rate of
// commands: otherwise they could fill that log and hide everything else in it.
const (
	changesAmongCommands = 24  // with the usual limits 10 a minute
	denialsAmongCommands = 240 // 1 a minute
)

// among is the n-th part of an allowance.
func among(a limit.Allowance, n int) limit.Allowance {
	return limit.Allowance{Burst: a.Burst, Rate: a.Rate / float64(n)}
}

// Denied implements command.Caller.
func (who *caller) Denied() (unwritten int, due bool) {
	if who.login().provisional() { // who can use as many names as they like
		return 0, who.server.strangerDenials.due(chat.AuditEntry{By: who.name.String(), Source: who.conn.source})
	}
	due = who.server.denials.Take(who.name, time.Now()) == 0
	who.server.mu.Lock()
	defer who.server.mu.Unlock()
	if !due {
		who.server.unwritten[who.name]++
		return 0, false
	}
	unwritten = who.server.unwritten[who.name]
	delete(who.server.unwritten, who.name)
	return unwritten, true
}

func echo(said string) string {
	shown := text.Clean(said, maxEcho)
	if len(said) > maxEcho {
		shown += "…"
	}
	return shown
}

// loginKey is where the permissions of a connection hold what it proved: one login, and nothing else. x/crypto keeps the
// permissions of the method that succeeded, with the key that was proven, and drops those of keys that were merely asked
// about (CVE-2024-45337).
type loginKey struct{}

// login is what a connection proved. It names an account by its id, never by its name: a name can be taken
// by another account while a connection is open, an id cannot.
type login struct {
	id     string // the account's; empty while there is none
	key    string // the fingerprint of the account's key that was proven; empty without an account, and after a password
	newKey string // the key that was proven, as an authorized_keys line, while there is no account
	proof  string // the generation of the password proven; empty with a key
	second bool   // and the second factor

	only chat.Only // what the key was restricted to when the session began; not in the permissions
}

func (l login) provisional() bool { return l.id == "" }

// restricted is the login of a session that begins: its key is for what it is for now.
func (l login) restricted(a chat.Account) login {
	for _, k := range a.Keys {
		if k.Fingerprint == l.key {
			l.only = k.Only
		}
	}
	return l
}

// verified reports whether the login is worth an admin's rights: a guessed password is not.
func (l login) verified() bool { return l.key != "" || l.second }

// permissions are what an auth callback returns for the login.
func (l login) permissions() *gossh.Permissions {
	return &gossh.Permissions{ExtraData: map[any]any{loginKey{}: l}}
}

// loginOf is what the connection with these permissions proved.
func loginOf(p *gossh.Permissions) (login, error) {
	if p != nil {
		if l, ok := p.ExtraData[loginKey{}].(login); ok {
			return l, nil
		}
	}
	return login{}, errors.New("internal error: a connection without a login")
}

// proven is the login as chat's rules take it.
func (l login) proven() chat.Login {
	if l.provisional() {
		return chat.Login{}
	}
	return chat.Login{Account: l.id, Key: l.key, Only: l.only, Generation: l.proof, Second: l.second}
}

// asks is the session as chat's rules see it at this moment: its login changes with what it has to prove. It may be
// called from any goroutine.
func (who *caller) asks() chat.Caller {
	l, c := who.proven.Load(), who.conn
	asks := chat.Caller{
		Login: l.proven(), Name: who.name, Addr: c.addr, Key: l.key, Verified: !l.provisional() && l.verified(),
	}
	if l.provisional() {
		if asks.Key = ""; who.key != nil {
			asks.Key = who.key.Fingerprint
		}
	}
	return asks
}

// admitted returns the account of the session's login as it stands now. It is called at the session's start and at each
// command. Refused users learn the reason only here, after proving who they are.
func (who *caller) admitted() (chat.Account, error) { return who.server.services.Admitted(who.asks()) }

// registered is the login of a session whose account has just been made.
func (l login) registered(a chat.Account, key *chat.Key) login {
	switch {
	case l.provisional() && key != nil:
		return login{id: a.ID, key: key.Fingerprint}
	case l.provisional():
		return login{id: a.ID, proof: a.Generation, second: a.TOTP}
	}
	return l
}
