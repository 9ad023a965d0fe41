package sshchat

import (
	"cmp"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
)

// events writes what happens to security into the audit log, beside what people do: logins of moderators and admins,
// passwords that are not looked at any more, sources that are kept away. Nobody who has no rights may fill that log: the
// same of the same is told once an hour, and of all no more than eventsAtOnce and one a minute after that.
// Its methods may be called from any goroutine.
type events struct {
	log command.Logger
	now func() time.Time

	mu   sync.Mutex
	told map[string]time.Time // guarded by mu; when each event was last written
	all  limit.TokenBucket    // guarded by mu
}

const eventEvery = time.Hour

var eventsAtOnce = limit.Allowance{Burst: 60, Rate: 1.0 / 60}

func newEvents(log command.Logger, now func() time.Time) *events {
	return &events{log: log, now: now, told: make(map[string]time.Time)}
}

// due reports whether an event is to be written now.
func (e *events) due(act chat.Act) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	what, now := act.Do+" "+act.On+" "+act.By+" "+act.Source+" "+act.Result, e.now()
	for old, at := range e.told {
		if now.Sub(at) >= eventEvery {
			delete(e.told, old)
		}
	}
	if _, lately := e.told[what]; lately || e.all.Take(eventsAtOnce, 1, now) > 0 {
		return false
	}
	e.told[what] = now
	return true
}

// happened writes an event, if it is due.
func (s *Server) happened(act chat.Act) {
	act.Result = cmp.Or(act.Result, "done")
	if s.services.Audit == nil || !s.events.due(act) {
		return
	}
	if err := s.services.Audit.Append(act); err != nil {
		s.log.Error("the audit log cannot be written", "do", act.Do, "err", err)
	}
}

// ruled notes the login of an account with rights.
func (a *authentication) ruled(account chat.Account, method string) {
	if account.Role.AtLeast(chat.Mod) {
		a.server.happened(chat.Act{By: account.Name.String(), Source: a.conn.source, Do: "login", Text: string(account.Role) + " by " + method})
	}
}

// keptOut notes the login of an account that is not let in: it is banned or disabled, or not on the allowlist.
func (s *Server) keptOut(c *conn, name chat.Name, why error) {
	words, _ := command.Text(why)
	s.happened(chat.Act{By: name.String(), Source: c.source, Do: "login", Text: words, Result: "denied"})
}

// guessed notes that so many passwords for an account were wrong that the next ones wait.
func (s *Server) guessed(c *conn, name chat.Name) {
	if _, exists := s.view().ByName(name); exists && s.attempts.Delayed(name) {
		s.happened(chat.Act{Source: c.source, Do: "passwords wait", On: name.String()})
	}
}
