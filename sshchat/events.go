package sshchat

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
)

// events writes security events into the audit log, besides people's actions: logins of moderators and admins, locked
// passwords, refused sources. Nobody without rights may fill that log: the same event is written once an hour, and all
// together no more than eventsAtOnce and then one a minute. Its methods may be called from any goroutine.
type events struct {
	log command.Logger
	now func() time.Time

	mu      sync.Mutex
	written map[string]time.Time // guarded by mu; when each event was last written
	all     limit.TokenBucket    // guarded by mu
}

const eventEvery = time.Hour

var eventsAtOnce = limit.Allowance{Burst: 60, Rate: 1.0 / 60}

func newEvents(log command.Logger, now func() time.Time) *events {
	return &events{log: log, now: now, written: make(map[string]time.Time)}
}

// due reports whether an event is to be written now.
func (e *events) due(entry chat.AuditEntry) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	what, now := entry.Do+" "+entry.On+" "+entry.By+" "+entry.Source+" "+entry.Result, e.now()
	for old, at := range e.written {
		if now.Sub(at) >= eventEvery {
			delete(e.written, old)
		}
	}
	if _, lately := e.written[what]; lately || e.all.Take(eventsAtOnce, 1, now) > 0 {
		return false
	}
	e.written[what] = now
	return true
}

// recordEvent writes an event, if it is due.
func (s *Server) recordEvent(entry chat.AuditEntry) {
	entry.Result = cmp.Or(entry.Result, "done")
	if s.services.Audit == nil || !s.events.due(entry) {
		return
	}
	if err := s.services.Audit.Note(entry); err != nil {
		s.log.Error("the audit log cannot be written", "do", entry.Do, "err", err)
	}
}

// recordRoleLogin notes the login of an account with rights.
func (a *authentication) recordRoleLogin(account chat.Account, method string) {
	if account.Role.AtLeast(chat.Mod) {
		a.server.recordEvent(chat.AuditEntry{By: account.Name.String(), Source: a.conn.source, Do: "login", Text: string(account.Role) + " by " + method})
	}
}

// recordKeptOut notes the login of an account that is not let in: it is banned or disabled, or not on the allowlist.
func (s *Server) recordKeptOut(c *conn, name chat.Name, why error) {
	words, _ := command.Text(why)
	s.recordEvent(chat.AuditEntry{By: name.String(), Source: c.source, Do: "login", Text: words, Result: "denied"})
}

// passwordsDelayed records that after many wrong passwords an account's next ones are delayed.
func (s *Server) passwordsDelayed(c *conn, name chat.Name) {
	if _, exists := s.view().ByName(name); exists && s.attempts.Delayed(name) {
		s.recordEvent(chat.AuditEntry{Source: c.source, Do: "passwords wait", On: name.String()})
	}
}

// pacedLog writes log lines that anybody can cause at will: one for each event, with the source before anything that a
// client can choose, so that fail2ban can read it and nobody can forge it (deploy/fail2ban). A flood of them must not
// fill the disk: beyond a rate for each source and for all they are only counted, and the next line says how many. Its
// methods may be called from any goroutine.
type pacedLog struct {
	log     *slog.Logger
	now     func() time.Time
	sources *limit.RateLimiter[limit.Source]

	mu      sync.Mutex
	all     limit.TokenBucket // guarded by mu
	pending int               // guarded by mu; events since the last line
}

// How many lines there are at once, and a second after that. So many of a source are more than fail2ban waits for.
var (
	linesOfSource = limit.Allowance{Burst: 20, Rate: 1}
	linesOfAll    = limit.Allowance{Burst: 50, Rate: 10}
)

func newPacedLog(log *slog.Logger, now func() time.Time) *pacedLog {
	return &pacedLog{log: log, now: now, sources: limit.NewRateLimiter[limit.Source](linesOfSource)}
}

// write writes a line, or counts it. The first of the arguments is the source, by the caller's care.
func (p *pacedLog) write(level slog.Level, from limit.Source, msg string, args ...any) {
	now := p.now()
	ofSource := p.sources.Take(from, now) == 0
	p.mu.Lock()
	if !ofSource || p.all.Take(linesOfAll, 1, now) > 0 {
		p.pending++
		p.mu.Unlock()
		return
	}
	unsaid := p.pending
	p.pending = 0
	p.mu.Unlock()
	if unsaid > 0 {
		args = append(args, "unwritten", unsaid)
	}
	p.log.Log(context.Background(), level, msg, args...)
}
