package sshchat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

const (
	// deliverBatch is how many messages of a room a session takes at once; what is left it takes after writing these.
	deliverBatch = 64
	// replay is how many of the last lines of #general someone who comes in is shown, and of every room those that
	// are unread, up to replayUnread.
	replay       = 20
	replayUnread = 200
	// frameTime is the least between two frames of one session: what happens within it is drawn together.
	frameTime = time.Second / 30
)

// chat is the session of a person: what is said comes in, what is typed goes out.
func (s *session) chat(ctx context.Context) int {
	defer func() { // also after a panic: the terminal is given back
		s.ui.Leave()
		s.flush() // fails only where nobody is left to see it
	}()
	if s.login.provisional() {
		if err := s.offerAccount(ctx); err != nil {
			if ctx.Err() != nil {
				return s.farewell()
			}
			s.explain(err)
			return command.ExitCode(err)
		}
	}
	hub := s.server.services.Hub
	hub.Enter(s.name)
	defer hub.Leave(s.name)
	reader := hub.Reader(s.name, s.begin())
	defer reader.Close()
	s.inbox = chat.NewInbox(s.name, hub)
	s.settle()
	s.greet()
	for {
		if !s.resting || s.leaving {
			switch err := s.draw(reader); {
			case errors.Is(err, errOver):
				return s.farewell()
			case err != nil:
				return int(chat.Failed)
			}
		}
		if s.leaving {
			return s.code
		}
		signals := []<-chan struct{}{s.pace.signal()}
		if !s.resting {
			signals = append(signals, reader.Grown()...)
		}
		if err := s.step(ctx, signals); err != nil {
			return s.farewell()
		}
		s.act(ctx)
		s.rest()
	}
}

// step waits for what comes first, of the client, the clocks and the given signals, and takes it in. It fails when ctx ends.
func (s *session) step(ctx context.Context, signals []<-chan struct{}) error {
	typed := s.in.ready
	if s.ended || s.holding {
		typed = nil
	}
	fired, err := chat.Wait(ctx, append([]<-chan struct{}{typed, s.guard.resized, s.frame.signal(), s.escape.signal()}, signals...)...)
	if err != nil {
		return err
	}
	switch fired {
	case 0:
		s.takeInput(s.ui.Keyboard)
	case 1:
		width, height, _ := s.guard.size()
		s.ui.Resize(width, height)
	case 2:
		s.frame.stop()
		s.resting = false
	case 3:
		s.expire(s.ui.Keyboard)
	}
	return nil
}

// act does what was typed, in order. It stops at the end of the session.
func (s *session) act(ctx context.Context) {
	for len(s.actions) > 0 && !s.leaving && !s.held() {
		a := s.actions[0]
		s.actions = s.actions[1:]
		switch a.Kind {
		case view.Line:
			s.enterLine(ctx, a.Text)
		case view.Refused:
			s.explain(&chat.Refusal{Code: chat.Failed, Text: a.Text})
		case view.Quit:
			s.leaving = true
		case view.Go:
			s.Enter(a.Room)
		case view.Interrupt:
			s.ui.Print("Ctrl+D or /quit ends the session.")
		}
	}
}

// enterLine does one typed line: a command, or a message for the room.
func (s *session) enterLine(ctx context.Context, line string) {
	if text, isCommand := strings.CutPrefix(line, "/"); isCommand && !strings.HasPrefix(text, "/") {
		err := s.command(ctx, command.Chat, text)
		s.explain(err)
		s.concluded(ctx, err)
		return
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	line = strings.TrimPrefix(line, "/") // "//text" says "/text"
	s.explain(s.dispatch(ctx, command.Chat, line, s.server.services.Commands.Say))
}

// greet tells who comes in where they are.
func (s *session) greet() {
	s.Enter(chat.General)
	if _, _, pty := s.guard.size(); !pty {
		s.tellAbsence(s.guard.Stderr())
		return
	}
	services := s.server.services
	if text := services.Motd.Get().String(); text != "" {
		s.ui.Print(text)
	}
	if m := s.conn.missed; m.Count > 0 {
		s.ui.Fail(m.String())
	}
	if s.absence != "" {
		s.ui.Print(s.absence)
	}
	if s.full() { // the room, its topic and what is sealed are on the screen
		for line := range strings.SplitSeq(s.said, "\n") { // of an account just made: the screen before is covered
			if line != "" {
				s.ui.Print(line)
			}
		}
		s.said = ""
		s.ui.Print("Welcome, " + s.name.String() + ". /help lists the commands.")
		return
	}
	s.ui.Print(fmt.Sprintf("Welcome to %s, %s. /help lists the commands, Ctrl+D ends the session.", services.ServerName, s.name))
	info, err := services.Hub.Room(s.name, chat.General)
	if err != nil {
		return
	}
	if info.Topic != "" {
		s.ui.Print("#general: " + info.Topic)
	}
	if n := services.Above(s.name, chat.General, replay); n > 0 {
		s.ui.Print(fmt.Sprintf("%s sealed; your key opens them: ssh %s history --tar general", text.Are(n, "older line"), s.reach()))
	}
}

// farewell is said when the session ends from the server's side. It returns the exit code, which is never that of a
// session that ended as it should: what runs ssh in a loop is to connect again.
func (s *session) farewell() int {
	if why := s.terminated.Load(); why != nil {
		s.ui.Print(*why)
		return int(chat.Denied)
	}
	if s.server.draining.Load() {
		s.ui.Print("The server is stopping. What was shown is stored. Goodbye.")
		if n := s.unsaid(); n > 0 {
			s.ui.Fail(fmt.Sprintf("Lines that came too late, and were neither said nor done: %d.", n))
		}
	}
	return int(chat.Failed)
}
