package sshchat

import (
	"context"
	"errors"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// This file is the session as commands see it: command.Session.

var (
	_ command.Session = (*session)(nil)
	_ command.Caller  = (*session)(nil)
)

func (s *session) Room() chat.RoomName { return s.room }

func (s *session) Enter(room chat.RoomName) {
	s.room = room
	if s.ui.Kind != "" {
		s.ui.Enter(room)
	}
}

func (s *session) Correspondent() chat.Name { return s.correspondent }

func (s *session) Quit() { s.leaving = true }

// Show implements command.Session: what was printed before comes before it.
func (s *session) Show(title, text string) {
	if s.answer != nil {
		s.answer.end()
	}
	s.ui.Show(title, text)
}

func (s *session) Clear() { s.ui.Clear() }

func (s *session) Focus() []chat.Name { return s.focus }

func (s *session) SetFocus(people []chat.Name) {
	s.focus = people
	s.settle()
}

// Guess implements command.Caller.
func (s *session) Guess(look func() error) error {
	attempts := s.server.attempts
	if !attempts.TryPrompt(s.name) {
		s.server.count(&s.server.stats.Unheard)
		return &chat.Refusal{Code: chat.Denied, Text: "too many wrong passwords were tried here; try again in a while"}
	}
	err := look()
	switch {
	case err == nil:
		attempts.Answered(s.name)
	case s.server.passwords.Wrong(err):
		s.server.count(&s.server.stats.Failures)
		s.server.wrongPassword(s.guard.conn, s.name)
	default:
		attempts.WithdrawPrompt(s.name)
	}
	return err
}

// MayRegister implements command.Caller.
func (s *session) MayRegister() error {
	if why := s.server.accountsWait(s.guard.conn); why != "" {
		return &chat.Refusal{Code: chat.Failed, Text: why}
	}
	return nil
}

// CountRegistration implements command.Caller.
func (s *session) CountRegistration() (giveBack func(), err error) {
	newcomers, c := s.server.newcomers, s.guard.conn
	if why := newcomersWords(newcomers.Take(c.from, c.exempt)); why != "" {
		return nil, &chat.Refusal{Code: chat.Failed, Text: why}
	}
	return func() { newcomers.GiveBack(c.from) }, nil
}

// MayClaim implements command.Caller.
func (s *session) MayClaim() error {
	c := s.guard.conn
	if wait := s.server.claims.Take(c.from, time.Now()); wait > 0 && !c.exempt {
		return &chat.Refusal{Code: chat.Failed, Text: "too many wrong codes came from your address; try again in " + approx(wait)}
	}
	return nil
}

// Registered makes this session the account's, and it alone: whoever else came in on the name must log in again.
func (s *session) Registered(a chat.Account) {
	s.prove(s.login.registered(a, s.key))
	s.enlist(a)
	s.server.review(s, "") // they may have been banned since the account was made
	s.guard.conn.hasAccount()
	s.guard.conn.becomes(a.ID)
	s.server.attempts.Succeeded(a.Name, s.guard.conn.from)
	s.guard.conn.onTime()
}

// Renew implements command.Caller. Until the session has what it must prove now, nobody ends it for not having it.
func (s *session) Renew(change func() (generation string, second bool, err error)) error {
	s.renewal.Store(true)
	generation, second, err := change()
	if l := s.login; err == nil && l.key == "" {
		l.proof, l.second = generation, second
		s.prove(l)
	}
	s.renewal.Store(false)
	s.server.review(s, "") // for what came meanwhile
	return err
}

// Ask waits for an answer while everything else waits: what is said meanwhile stays in the rooms' logs.
func (s *session) Ask(ctx context.Context, question string, echo bool) (string, error) {
	if _, _, pty := s.guard.size(); !pty || s.ui.Kind == "" {
		return "", command.ErrNobodyToAsk
	}
	s.asking.Store(true)
	defer s.asking.Store(false)
	if s.answer != nil {
		s.answer.end()
	}
	ctx, late := s.untilLate(ctx)
	defer late()
	s.ui.Ask(question, echo)
	s.asked = true
	for {
		for len(s.actions) > 0 {
			a := s.actions[0]
			s.actions = s.actions[1:]
			switch a.Kind {
			case view.Line:
				if !echo {
					s.ui.Forget(a.Text)
				}
				return a.Text, nil
			case view.Refused:
				s.ui.Fail(a.Text)
				s.ui.Ask(question, echo)
				continue
			case view.Quit:
				s.leaving = s.ended // no more keys will come, also after the dialogue
			}
			return "", command.ErrCancelled
		}
		if err := s.flush(); err != nil { // not before an answer is taken: what the UI shows next may be for nobody to type at
			return "", err
		}
		if err := s.step(ctx, nil); err != nil {
			if late, ok := context.Cause(ctx).(*chat.Refusal); ok {
				return "", late
			}
			return "", err
		}
	}
}

// typedAhead is how long what was typed during a dialogue may be on its way through the server.
const typedAhead = 50 * time.Millisecond

// concluded ends a dialogue, if the command that ended with err asked anything. What was typed for it must not be said in
// the room: after an answer that was wrong once too often, whoever types on without looking types to nobody, up to the
// next Enter; and lines that were typed ahead are dropped.
func (s *session) concluded(ctx context.Context, err error) {
	if !s.asked || s.leaving {
		return
	}
	if err != nil && !errors.Is(err, command.ErrCancelled) && !errors.Is(err, command.ErrDeclined) {
		if _, err := s.Ask(ctx, "What you type now is not sent. Enter goes back to the chat: ", false); err != nil {
			s.explain(err)
		}
	}
	s.asked = false
	if err != nil { // what comes after a dialogue that succeeded was typed after it
		s.takeTypedAhead(ctx)
	}
	dropped := 0
	s.actions = slices.DeleteFunc(s.actions, func(a view.Action) bool {
		if a.Kind == view.Line {
			s.ui.Forget(a.Text)
			dropped++
		}
		return a.Kind == view.Line
	})
	if dropped > 0 {
		s.ui.Fail(text.Count(dropped, "line") + " typed before the question was answered: not sent.")
	}
}

// takeTypedAhead takes the input that is still on its way through the server.
func (s *session) takeTypedAhead(ctx context.Context) {
	late := newTimer()
	late.in(typedAhead)
	defer late.stop()
	for !s.ended {
		if fired, err := chat.Wait(ctx, s.in.ready, late.signal()); err != nil || fired > 0 {
			return
		}
		s.takeInput()
	}
}
