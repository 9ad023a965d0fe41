package sshchat

import (
	"context"
	"fmt"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// This file is how fast a person may act. At a screen who is too fast is told so at once, with what was not done, so that
// it can be done again. A program cannot be told: it waits, and by it whoever writes to it.

// maxEcho is how much of a text its author is shown when it is refused, in bytes. Up brings back all of it.
const maxEcho = 200

// Pace implements command.Session.
func (s *session) Pace(ctx context.Context, what command.Effort, text string) error {
	f, noun, done := s.server.messages, "messages", "sent"
	if what == command.Work {
		f, noun, done = s.server.works, "commands", "done"
	}
	wait := f.Take(s.name, time.Now())
	if wait == 0 {
		return nil
	}
	if s.patient {
		s.server.count(&s.server.stats.Slowed)
		return f.Wait(ctx, s.name, wait)
	}
	s.server.count(&s.server.stats.TooFast)
	return &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf(
		"you are faster than %g %s a second; this one was not %s, and Up brings it back: %s",
		f.Allowed.Rate, noun, done, echo(text))}
}

func echo(said string) string {
	shown := text.Clean(said, maxEcho)
	if len(said) > maxEcho {
		shown += "…"
	}
	return shown
}

func isPipe(face view.Face) bool {
	_, ok := face.(*view.Pipe)
	return ok
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
