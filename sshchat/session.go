package sshchat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/view"

	"charm.land/ssh"
)

const (
	// deliverBatch is how many messages of a room a session takes at once; what is left it takes after writing these.
	deliverBatch = 64
	// replay is how many of a room's last lines someone who comes in is shown.
	replay = 20
)

// session is one shell or one command of one client. Its goroutine owns it, draws, and is the only one to write.
type session struct {
	server  *Server
	guard   *guard
	log     *slog.Logger
	face    view.Face // nil for a command without a terminal
	in      *input
	actions []view.Action // typed, and not acted on yet
	ended   bool          // input has come to its end
	leaving bool          // the person quits
	asking  atomic.Bool   // a command waits for an answer

	login         login
	key           *chat.Key // proven in this login, while it has no account
	name          chat.Name
	room          chat.RoomName // where what is typed goes
	correspondent chat.Name     // who last wrote to this person alone
}

// session is the wish middleware that serves every shell and every command.
func (s *Server) session(ssh.Handler) ssh.Handler {
	return func(lib ssh.Session) {
		g := lib.Context().Value(guardKey{}).(*guard)
		defer g.exit(command.ExitFailed) // after a panic; a session that ends well has exited before
		if !s.begin() {
			io.WriteString(g.Stderr(), "the server is stopping; come back in a moment\r\n")
			return
		}
		defer s.sessions.Done()
		defer s.contain("session", g.conn.source)
		sess, err := s.newSession(lib, g)
		if err != nil {
			s.log.Error("session refused", "source", g.conn.source, "err", err)
			io.WriteString(g.Stderr(), "this session cannot begin; please reconnect\r\n")
			return
		}
		ctx, cancel := context.WithCancel(lib.Context())
		defer cancel()
		unhook := context.AfterFunc(s.stop, cancel)
		defer unhook()
		g.exit(sess.run(ctx, lib.RawCommand()))
	}
}

func (s *Server) newSession(lib ssh.Session, g *guard) (*session, error) {
	l, err := loginOf(lib.Permissions().Permissions)
	if err != nil {
		return nil, err
	}
	name, err := chat.ParseName(lib.User())
	if err != nil {
		return nil, err
	}
	sess := &session{server: s, guard: g, login: l, name: name, room: chat.General, in: newInput()}
	sess.log = s.log.With("source", g.conn.source, "name", name.String())
	if l.provisional() && l.key != "" {
		key, err := s.services.Accounts.ParseKey(l.key)
		if err != nil {
			return nil, fmt.Errorf("the key that logged in: %w", err)
		}
		sess.key = &key
	}
	return sess, nil
}

// run serves the session and returns its exit code.
func (s *session) run(ctx context.Context, line string) int {
	if !s.login.provisional() {
		a, err := s.server.account(s.login)
		if err != nil {
			return s.refuse(err)
		}
		if err := s.server.services.Accounts.Seen(a.ID); err != nil {
			s.log.Error("note the day", "err", err) // it is written again tomorrow
		}
	}
	s.face = s.newFace(line != "")
	if line != "" {
		return s.exec(ctx, line)
	}
	go s.readInput(ctx, s.guard.Channel)
	return s.chat(ctx)
}

// readInput is the session's second goroutine. It ends with the channel, or with ctx.
func (s *session) readInput(ctx context.Context, r io.Reader) {
	defer s.server.contain("input", s.guard.conn.source)
	s.in.read(ctx, r)
}

// newFace is full of terminal where there is one. A command without one has none.
func (s *session) newFace(isCommand bool) view.Face {
	width, height, pty := s.guard.size()
	term := s.guard.terminal()
	o := view.Options{Me: s.name, Width: width, Height: height, Term: term, Complete: s.complete}
	if zone, err := time.LoadLocation(s.guard.getenv("TZ")); err == nil && !strings.HasPrefix(s.guard.getenv("TZ"), "/") {
		o.Look.Zone = zone
	}
	switch {
	case pty && term != "bot":
		return view.NewPlain(o)
	case isCommand:
		return nil
	}
	return view.NewPipe(o)
}

// refuse ends the session with words.
func (s *session) refuse(err error) int {
	text, _ := command.Text(err)
	fmt.Fprintf(s.guard.Stderr(), "%s\r\n", text)
	return command.ExitCode(err)
}

// chat is the session of a person: what is said comes in, what is typed goes out.
func (s *session) chat(ctx context.Context) int {
	defer s.flush()
	defer s.face.Leave()
	if s.login.provisional() {
		if err := s.offerAccount(ctx); err != nil {
			s.explain(err)
			return command.ExitCode(err)
		}
	}
	hub := s.server.services.Hub
	hub.Enter(s.name)
	defer hub.Leave(s.name)
	back := replay
	if _, _, pty := s.guard.size(); !pty {
		back = 0 // a script asks for the past when it wants it
	}
	reader := hub.Reader(s.name, chat.From{Back: back})
	defer reader.Close()
	s.greet()
	for {
		s.deliver(reader.Next(deliverBatch))
		if err := s.flush(); err != nil {
			return command.ExitFailed
		}
		if s.leaving {
			return command.ExitDone
		}
		signals := append([]<-chan struct{}{s.in.ready, s.guard.resized}, reader.Grown()...)
		if err := s.step(ctx, signals); err != nil {
			s.farewell()
			return command.ExitDone
		}
		s.act(ctx)
	}
}

// step waits for whatever comes first and takes in input and sizes. It fails when ctx ends.
func (s *session) step(ctx context.Context, signals []<-chan struct{}) error {
	if s.ended {
		signals[0] = nil
	}
	fired, err := chat.Wait(ctx, signals...)
	switch {
	case err != nil:
		return err
	case fired == 0:
		chunk, err := s.in.take()
		s.actions = append(s.actions, s.face.Input(chunk)...)
		if err != nil {
			s.ended = true
			s.actions = append(s.actions, s.face.End()...)
		}
		s.in.next()
	case fired == 1:
		width, height, _ := s.guard.size()
		s.face.Resize(width, height)
	}
	return nil
}

// deliver shows what was pulled, and notes who wrote and what was missed.
func (s *session) deliver(ds []chat.Delivery) {
	if len(ds) == 0 {
		return
	}
	for _, d := range ds {
		if d.Gap.Count() > 0 {
			s.server.add(&s.server.stats.Skipped, d.Gap.Count())
			s.log.Info("reader lagged", "room", d.Room.String(), "missed", d.Gap.Count())
		}
		if d.Kind.Stored() && d.Room.IsDirect() && d.From != s.name {
			s.correspondent = d.From
		}
		if d.Kind == chat.Parted && d.Room == s.room {
			s.Enter(chat.General)
		}
	}
	s.face.Deliver(ds)
}

// flush writes everything the face has, in one piece for each stream.
func (s *session) flush() error {
	if !s.face.Pending() {
		return nil
	}
	if p := s.face.FlushErr(); len(p) > 0 {
		if _, err := s.guard.Stderr().Write(p); err != nil {
			return err
		}
	}
	if p := s.face.Flush(); len(p) > 0 {
		if _, err := s.guard.Write(p); err != nil {
			return err
		}
	}
	return nil
}

// act does what was typed, in order. It stops at the end of the session.
func (s *session) act(ctx context.Context) {
	for len(s.actions) > 0 && !s.leaving {
		a := s.actions[0]
		s.actions = s.actions[1:]
		switch a.Kind {
		case view.Line:
			s.enterLine(ctx, a.Text)
		case view.Quit:
			s.leaving = true
		case view.Interrupt:
			s.face.Print("Ctrl+D or /quit ends the session.")
		}
	}
}

// enterLine does one typed line: a command, or a message for the room.
func (s *session) enterLine(ctx context.Context, line string) {
	if text, isCommand := strings.CutPrefix(line, "/"); isCommand && !strings.HasPrefix(text, "/") {
		s.explain(s.command(ctx, command.Chat, text))
		return
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	if _, err := s.server.account(s.login); err != nil {
		s.explain(err)
		s.leaving = true
		return
	}
	line = strings.TrimPrefix(line, "/") // "//text" says "/text"
	_, err := s.server.services.Post(ctx, s.name, s.room, chat.Say, line)
	s.explain(s.server.services.Explain(s.name, s.room, err))
}

// command runs a command from within the session. Its answer is private.
func (s *session) command(ctx context.Context, face command.Face, line string) error {
	out := &lines{print: s.face.Print}
	defer out.end()
	call, err := s.call(face)
	if err != nil {
		s.leaving = true
		return err
	}
	call.Out, call.Err, call.In = out, out, strings.NewReader("")
	return s.server.services.Commands.Run(ctx, line, call)
}

// call is what a command gets to know of the session, with the account as it stands now.
func (s *session) call(face command.Face) (command.Call, error) {
	call := command.Call{
		Services: s.server.services, Face: face, Name: s.name, Key: s.key,
		Source: s.guard.conn.source, Session: s,
	}
	if s.login.provisional() {
		if _, taken := s.server.services.Accounts.ByName(s.name); taken {
			return call, errStale // made in another session: this one proved nothing for it
		}
		return call, nil
	}
	var err error
	call.Account, err = s.server.account(s.login)
	return call, err
}

// explain shows a refusal to its author. What is not worded for people goes to the log.
func (s *session) explain(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	text, meant := command.Text(err)
	if !meant {
		s.log.Error("command failed", "err", err)
	}
	s.face.Fail(text)
}

// greet tells who comes in where they are.
func (s *session) greet() {
	s.Enter(chat.General)
	if _, _, pty := s.guard.size(); !pty {
		return
	}
	services := s.server.services
	s.face.Print(fmt.Sprintf("Welcome to %s, %s. /help lists the commands, Ctrl+D ends the session.", services.ServerName, s.name))
	info, err := services.Hub.Room(s.name, chat.General)
	if err != nil {
		return
	}
	if info.Topic != "" {
		s.face.Print("#general: " + info.Topic)
	}
	if n := services.Above(s.name, chat.General, replay); n > 0 {
		s.face.Print(fmt.Sprintf("%d older lines are sealed; your key opens them: ssh %s history --tar general", n,
			strings.Replace(services.Address, "NAME", s.name.String(), 1)))
	}
}

// farewell is said when the session ends from the server's side.
func (s *session) farewell() {
	if s.server.draining.Load() {
		s.face.Print("The server is stopping. What was shown is stored. Goodbye.")
	}
}

// offerAccount asks a name without an account whether it wants one: it may be mistyped.
func (s *session) offerAccount(ctx context.Context) error {
	_, _, pty := s.guard.size()
	services := s.server.services
	if !pty {
		return &command.Error{Code: command.ExitDenied, Text: fmt.Sprintf("no account named %s here; make it with: ssh %s register",
			s.name, strings.Replace(services.Address, "NAME", s.name.String(), 1))}
	}
	if !services.Registration {
		return &command.Error{Code: command.ExitDenied, Text: fmt.Sprintf("no account named %s here, and registration is closed", s.name)}
	}
	answer, err := s.Ask(ctx, fmt.Sprintf("No account named %s here. Create it? [y/N] ", s.name), true)
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return &command.Error{Code: command.ExitDenied, Text: "No account made. Goodbye."}
	}
	return s.command(ctx, command.Exec, "register")
}
