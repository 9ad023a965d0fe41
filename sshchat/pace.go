package sshchat

import (
	"context"
	"fmt"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// This file is how fast a person may act. At a screen who is too fast is told so at once, with what was not done, so that
// it can be done again. A program cannot be told: it waits, and by it whoever writes to it.

// maxEcho is how much of a text its author is shown when it is refused, in bytes. Up brings back all of it.
const maxEcho = 200

// Pace implements command.Caller.
func (who *caller) Pace(ctx context.Context, what command.Effort, text string) error {
	f, noun, done := who.server.messages, "messages", "sent"
	switch what {
	case command.Work:
		f, noun, done = who.server.works, "commands", "done"
	case command.Change:
		f, noun, done = who.server.changes, "commands of this kind", "done"
	}
	wait := f.Take(who.name, time.Now())
	if wait == 0 {
		return nil
	}
	if who.patient {
		who.server.stats.Slowed.Add(1)
		return f.Wait(ctx, who.name, wait)
	}
	who.server.stats.TooFast.Add(1)
	return &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf(
		"you are faster than %s; this one was not %s, and Up brings it back: %s",
		pace(f.Allowed.Rate, noun), done, echo(text))}
}

// pace is "2 messages a second", or "10 commands a minute".
func pace(rate float64, noun string) string {
	if rate < 1 {
		return fmt.Sprintf("%.3g %s a minute", rate*60, noun)
	}
	return fmt.Sprintf("%g %s a second", rate, noun)
}

// Of the commands that one person has a second, so many are what the audit log tells, or are refused and told there, if the
// person has no role: nobody without one may fill that log, or push everything else out of sight.
const (
	changesAmongCommands = 24  // with the usual limits 10 a minute
	denialsAmongCommands = 240 // 1 a minute
)

// among is what one of so many of an allowance are allowed.
func among(a limit.Allowance, n int) limit.Allowance {
	return limit.Allowance{Burst: a.Burst, Rate: a.Rate / float64(n)}
}

// Denied implements command.Caller.
func (who *caller) Denied() (unwritten int, due bool) {
	if who.login.provisional() { // who can have as many names as they like
		return 0, who.server.nobodies.due(chat.Act{By: who.name.String(), Source: who.conn.source})
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

// held reports whether the next action has to wait, and sets the alarm that ends the wait. Until then nothing more is
// read of the program, but what others say is shown to it.
func (s *session) held() bool {
	s.holding = false
	if s.patient && s.actions[0].Kind == view.Line {
		if wait := s.server.messages.Delay(s.name, time.Now()); wait > 0 {
			s.holding = true
			s.pace.in(wait)
		}
	}
	return s.holding
}
