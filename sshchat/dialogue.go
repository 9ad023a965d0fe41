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

// This file is the session as commands see it, command.Session, beside what they see of its display; and its dialogues.

var _ command.Session = (*session)(nil)

func (s *session) Quit() { s.leaving = true }

// Show implements command.Session: what was printed before comes before it.
func (s *session) Show(title, text string) {
	if s.answer != nil {
		s.answer.end()
	}
	s.ui.Show(title, text)
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
		s.takeInput(s.ui.Keyboard)
	}
}
