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
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"

	"charm.land/ssh"
)

// session is one shell or one command of one client. Its goroutine owns it: it takes what is typed, acts on it, and draws.
type session struct {
	caller
	display
	typing

	answer  *lines      // what the running command has printed, or nil
	asking  atomic.Bool // a command waits for an answer
	asked   bool        // the command that runs has asked something
	isExec  bool        // it runs one command and ends
	leaving bool        // the session ends after what it is at
	code    int         // what it ends with, of itself: a script's is that of its last refusal
	absence string      // what to tell who was away for so long that nothing was sealed for them
	said    string      // to somebody who was just registering
}

// errStopping is why a session ends when the server does.
var errStopping = &chat.Refusal{Code: chat.Failed, Text: "the server is stopping; connect again in a moment"}

// session is the wish middleware that serves every shell and every command.
func (s *Server) session(ssh.Handler) ssh.Handler {
	return func(lib ssh.Session) {
		g := lib.Context().Value(guardKey{}).(*guard)
		defer g.exit(int(chat.Failed)) // after a panic; a session that ends well has exited before
		if !s.begin() {
			io.WriteString(g.Stderr(), errStopping.Text+"\r\n")
			return
		}
		defer s.sessions.Done()
		defer s.contain("session", g.conn.source)
		if why := g.conn.refused(); why != nil {
			io.WriteString(g.Stderr(), why.Text+"\r\n")
			g.exit(int(why.Code))
			return
		}
		sess, err := s.newSession(lib, g)
		if err != nil {
			s.troubles.write(slog.LevelError, g.conn.from, "session refused", "source", g.conn.source, "err", err)
			io.WriteString(g.Stderr(), "this session cannot begin; please reconnect\r\n")
			return
		}
		ctx, cancel := context.WithCancelCause(lib.Context())
		defer cancel(nil)
		sess.end = cancel
		defer sess.delist()
		unhook := context.AfterFunc(s.stop, func() {
			g.hurry()
			cancel(errStopping)
		})
		defer unhook()
		s.stats.Sessions.Add(1)
		defer s.stats.Sessions.Add(-1)
		g.exit(sess.run(ctx, lib.RawCommand()))
	}
}

func (s *Server) newSession(lib ssh.Session, g *guard) (*session, error) {
	l, err := loginOf(lib.Permissions().Permissions)
	if err != nil {
		return nil, err
	}
	name, err := text.ParseName(lib.User())
	if err != nil {
		return nil, err
	}
	sess := &session{
		caller:  caller{server: s, conn: g.conn, name: name},
		display: display{guard: g, room: chat.General, began: time.Now(), frame: newTimer()},
		typing:  typing{in: newInput(), escape: newTimer(), pace: newTimer()},
	}
	sess.who = &sess.caller
	sess.prove(l)
	if l.newKey != "" {
		key, err := s.services.Accounts.ParseKey(l.newKey)
		if err != nil {
			return nil, fmt.Errorf("the key that logged in: %w", err)
		}
		sess.key = &key
	}
	return sess, nil
}

// run serves the session and returns its exit code.
func (s *session) run(ctx context.Context, line string) int {
	s.isExec = line != ""
	s.kind = s.kindOf()
	var a chat.Account
	if !s.login.provisional() {
		var err error
		if a, err = s.admit(ctx); err != nil {
			s.server.keptOut(s.conn, s.name, err)
			return s.refuse(err)
		}
	}
	s.ui = s.newUI(s.isExec)
	s.kind = s.kindOf()
	if !s.login.provisional() {
		s.enlist(a) // with its UI
	}
	s.patient = line != "" || s.ui.Kind == view.KindPipe
	if line != "" {
		return s.exec(ctx, line)
	}
	go s.readInput(ctx, s.throttled(ctx, s.guard))
	return s.chat(ctx)
}

// admit begins the session of an account, if its login is admitted. The session is listed before that is decided: so a ban
// that comes meanwhile finds it, or is found.
func (s *session) admit(ctx context.Context) (chat.Account, error) {
	a, _ := s.server.view().ByID(s.login.id)
	s.prove(s.login.restricted(a))
	s.enlist(a)
	a, err := s.admitted()
	if err != nil {
		return a, err
	}
	if only := s.login.only; len(only) > 0 && !s.isExec {
		return a, &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("this key is for %s alone, as: ssh %s COMMAND", only, s.reach())}
	}
	s.settings = command.ParseSettings(a.Settings)
	s.absence = s.noteDay(ctx, a)
	return a, nil
}

// readInput is the session's second goroutine. It ends with the channel, or with ctx.
func (s *session) readInput(ctx context.Context, r io.Reader) {
	defer s.server.contain("input", s.conn.source)
	s.in.read(ctx, r)
}

// refuse ends the session with words; with those that it was ended with, if it was.
func (s *session) refuse(err error) int {
	if why := s.terminated.Load(); why != nil {
		err = &chat.Refusal{Code: chat.Denied, Text: *why}
	}
	text, _ := command.Text(err)
	fmt.Fprintf(s.guard.Stderr(), "%s\r\n", text)
	return command.ExitCode(err)
}

// command runs a command from within the session. Its answer is private.
func (s *session) command(ctx context.Context, face command.Face, line string) error {
	return s.dispatch(ctx, face, line, s.server.services.Commands.Run)
}

// dispatch has the registry take a line that was typed, by its Run or its Say.
func (s *session) dispatch(ctx context.Context, face command.Face, line string, take func(context.Context, string, command.Call) error) error {
	out := &lines{print: func(text string) {
		if s.inbox == nil {
			s.said = text
		}
		s.ui.Print(text)
	}}
	s.answer = out
	defer func() { out.end(); s.answer = nil }()
	call, err := s.call(face)
	if err != nil {
		s.leave(err)
		return err
	}
	call.Out, call.Err, call.In, call.Next = out, out, strings.NewReader(""), command.Chat
	return take(ctx, line, call)
}

// call is what a command gets to know of the session, with the account as it stands now.
func (s *session) call(face command.Face) (command.Call, error) {
	call := command.Call{
		Services: s.server.services, Face: face, At: s.conn.LocalAddr(), Name: s.name, Key: s.key,
		Source: s.conn.source, Session: s, Caller: &s.caller, Who: s.asks,
	}
	var err error
	call.Account, err = s.admitted()
	return call, err
}

// leave ends the session after the one thing that it is at, since its login is no longer good for any.
func (s *session) leave(err error) {
	s.leaving = true
	s.code = command.ExitCode(err)
}

// explain shows a refusal to its author. What is not worded for people goes to the log. A script reads no words: its
// session ends with the code of what was refused last.
func (s *session) explain(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	if s.ui.Kind == view.KindPipe {
		s.code = command.ExitCode(err)
	}
	text, meant := command.Text(err)
	if !meant {
		s.trouble(slog.LevelError, "command failed", "err", err)
	}
	s.ui.Fail(text)
}

// offerAccount asks a name without an account whether it wants one: it may be mistyped.
func (s *session) offerAccount(ctx context.Context) error {
	_, _, pty := s.guard.size()
	services := s.server.services
	if !pty {
		return &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("no account named %s here; make it with: ssh %s register", s.name, s.reach())}
	}
	if !services.Entrance().Registration {
		return &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("no account named %s here, and registration is closed", s.name)}
	}
	if services.Entrance().ByInvite {
		return s.askInvite(ctx, fmt.Sprintf("No account named %s here. The code of your invite: ", s.name))
	}
	if s.name.Reserved() {
		return s.command(ctx, command.Exec, "register") // which refuses, and says why
	}
	full := func() bool { return s.server.accountsWait(s.conn) != "" }
	if full() {
		return s.askInviteInstead(ctx)
	}
	answer, err := s.Ask(ctx, fmt.Sprintf("No account named %s here. Create it? [y/N] ", s.name), true)
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return &chat.Refusal{Code: chat.Denied, Text: "No account made. Goodbye."}
	}
	if full() { // others were faster to answer
		return s.askInviteInstead(ctx)
	}
	return s.command(ctx, command.Exec, "register")
}

// askInviteInstead says why no account can be made without an invite now, and asks for one.
func (s *session) askInviteInstead(ctx context.Context) error {
	s.ui.Print(fmt.Sprintf("No account named %s here: %s.", s.name, s.server.accountsWait(s.conn)))
	return s.askInvite(ctx, "The code of your invite, if you have one: ")
}

// askInvite is offerAccount for somebody who needs an invite.
func (s *session) askInvite(ctx context.Context, question string) error {
	code, err := s.Ask(ctx, question, true)
	if err != nil {
		return err
	}
	if fields := strings.Fields(code); len(fields) == 1 {
		return s.command(ctx, command.Exec, "register "+fields[0])
	}
	return &chat.Refusal{Code: chat.Denied, Text: "No account made. Goodbye."}
}
