package sshchat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/drafts"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"

	"charm.land/ssh"
)

// session is one shell or one command of one client. Its goroutine owns it: it takes what is typed, acts on it, and draws.
type session struct {
	caller
	display
	typing

	job     *job           // what is under way; nil: nothing
	asking  atomic.Bool    // a command waits for an answer
	unbegun []drafts.Draft // lines that were acted on, and not begun when the session ended
	cut     int            // lines that were under way and not done when the session ended
	isExec  bool           // it runs one command and ends
	ending  bool           // the session ends after what it is at
	left    bool           // its person has ended it
	code    int            // what it ends with, of itself: a script's is that of its last refusal
	absence string         // the notice after an absence in which nothing was sealed to the user
	said    string         // a notice to somebody who just registered
}

// stopping is why a session ends when the server does.
func (s *Server) stopping() *chat.Refusal {
	if Ending(s.ending.Load()) == Restarts {
		return &chat.Refusal{Code: chat.Failed, Text: "the server is restarting; you can reconnect at once"}
	}
	return &chat.Refusal{Code: chat.Failed, Text: "the server is stopping; connect again in a moment"}
}

// session is the wish middleware that serves every shell and every command.
func (s *Server) session(ssh.Handler) ssh.Handler {
	return func(lib ssh.Session) {
		g := lib.Context().Value(filterKey{}).(*channelFilter)
		defer g.exit(int(chat.Failed)) // after a panic; a session that ends well has exited before
		if !s.addSession() {
			io.WriteString(g.Stderr(), s.stopping().Text+"\r\n")
			return
		}
		defer s.sessions.Done()
		defer s.recoverPanic("session", g.conn.source)
		if why := g.conn.refused(); why != nil {
			io.WriteString(g.Stderr(), why.Text+"\r\n")
			g.exit(int(why.Code))
			return
		}
		sess, err := s.newSession(lib, g)
		if err != nil {
			s.sessionLog.write(slog.LevelError, g.conn.from, "session refused", "source", g.conn.source, "err", err)
			io.WriteString(g.Stderr(), "this session cannot start; please reconnect\r\n")
			return
		}
		ctx, cancel := context.WithCancelCause(lib.Context())
		defer cancel(nil)
		sess.end = cancel
		defer sess.delist()
		defer sess.abandon()
		unhook := context.AfterFunc(s.stop, func() {
			g.shortenDeadline()
			cancel(s.stopping())
		})
		defer unhook()
		defer sess.endWhenIdle(lib.RawCommand() != "")()
		s.stats.Sessions.Add(1)
		defer s.stats.Sessions.Add(-1)
		g.exit(sess.run(ctx, lib.RawCommand()))
	}
}

func (s *Server) newSession(lib ssh.Session, g *channelFilter) (*session, error) {
	l, err := loginOf(lib.Permissions().Permissions)
	if err != nil {
		return nil, err
	}
	name, err := text.ParseName(lib.User())
	if err != nil {
		return nil, err
	}
	sess := &session{
		caller:  caller{server: s, conn: g.conn, name: name, waker: g.waker},
		display: display{channel: g, room: chat.General, began: time.Now(), frame: newTimer(g.waker, frameDue), marks: marksTimer{timer: newTimer(g.waker, marksDue)}},
		typing:  typing{in: newInput(g.waker), escape: newTimer(g.waker, escapeDue), pace: newTimer(g.waker, actionDue)},
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

// endWhenIdle ends the session once nothing came or went for as long as is set for its kind.
func (s *session) endWhenIdle(isCommand bool) (stop func()) {
	after := s.server.limits().IdleShell
	if isCommand {
		after = s.server.limits().IdleCommand
	}
	return s.channel.whenIdle(after, func() {
		s.terminate(chat.Denied, fmt.Sprintf("This session ended: nothing was sent or received for %s.", approx(after)))
	})
}

// run serves the session and returns its exit code.
func (s *session) run(ctx context.Context, line string) int {
	s.isExec = line != ""
	s.kind = s.kindOf()
	var a chat.Account
	if !s.login().provisional() {
		var err error
		if a, err = s.admit(ctx); err != nil {
			s.server.recordKeptOut(s.conn, s.name, err)
			return s.endRefused(err)
		}
	}
	s.ui = s.newUI(s.isExec)
	s.kind = s.kindOf()
	if !s.login().provisional() {
		s.enlist(a) // with its UI
	}
	s.patient = line != "" || s.ui.Kind == view.KindPipe
	defer context.AfterFunc(ctx, func() { s.waker.Wake(ended) })()
	if line != "" {
		return s.exec(ctx, line)
	}
	go s.readInput(ctx, s.throttled(ctx, s.channel))
	return s.chat(ctx)
}

// admit begins the session of an account, if its login is admitted. The session is listed before that is decided: so a ban
// that comes meanwhile finds it, or is found.
func (s *session) admit(ctx context.Context) (chat.Account, error) {
	a, _ := s.server.view().ByID(s.login().id)
	s.prove(s.login().restricted(a))
	s.enlist(a)
	if !s.isExec { // a command waits by itself. The process may have been frozen since the login
		if err := s.server.services.Fence.Wait(ctx, fence.Login); err != nil {
			return a, err
		}
	}
	a, err := s.admitted()
	if err != nil {
		return a, err
	}
	if only := s.login().only; len(only) > 0 && !s.isExec {
		return a, &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("this key may only be used for %s, as in: ssh %s COMMAND", only, s.reach())}
	}
	s.settings = command.ParseSettings(a.Settings)
	s.absence = s.recordVisit(ctx, a)
	return a, nil
}

// readInput is the session's second goroutine. It ends with the channel, or with ctx.
func (s *session) readInput(ctx context.Context, r io.Reader) {
	defer s.server.recoverPanic("input", s.conn.source)
	s.in.read(ctx, r)
}

// endRefused ends the session with words; with those that it was ended with, if it was.
func (s *session) endRefused(err error) int {
	if why := s.terminated.Load(); why != nil {
		err = why
	}
	text, _ := command.Text(err)
	fmt.Fprintf(s.channel.Stderr(), "%s\r\n", text)
	return command.ExitCode(err)
}

// leave ends the session after the one thing that it is at, since its login is no longer good for any.
func (s *session) endAfterJob(err error) {
	s.ending = true
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
		s.logPaced(slog.LevelError, "command failed", "err", err)
	}
	s.ui.Fail(text)
}

// waiting are the lines that were sent to the session and not begun, in order, each with its room.
func waiting(s *session) []drafts.Draft {
	lines, room := slices.Clone(s.unbegun), s.room
	for _, a := range s.actions {
		switch a.Kind {
		case view.Line:
			lines = append(lines, drafts.Draft{Room: room, Text: a.Text})
		case view.Go:
			room = a.Room
		}
	}
	return lines
}

// keepDrafts keeps what was being typed when the session ended, if its person has not left, for their next one, and before it the lines
// that waited. It returns how many of these it keeps. Of a line with a secret nothing is kept.
func (s *session) keepDrafts(waited []drafts.Draft) (kept int) {
	if s.left || s.ui.Kind == view.KindPipe || s.login().provisional() || s.server.draining.Load() {
		return 0
	}
	if _, err := s.admitted(); err != nil {
		return 0
	}
	var typed []drafts.Draft
	for _, d := range s.ui.Drafts(s.room) {
		typed = append(typed, drafts.Draft(d))
	}
	secret := func(d drafts.Draft) bool { return s.server.services.Commands.Secret(strings.TrimPrefix(d.Text, "/")) }
	unsent, kept := drafts.Join(slices.DeleteFunc(waited, secret), slices.DeleteFunc(typed, secret), isCommand)
	if len(unsent) == 0 {
		return 0
	}
	last := s.typed
	if last.IsZero() { // they come from a session before it
		last = s.began
	}
	s.server.drafts.Keep(s.login().id, unsent, last)
	s.server.reviewDrafts(s.server.view()) // for what was decided meanwhile
	s.server.wakeForDrafts(s.login().id)
	return kept
}

func isCommand(line string) bool {
	_, is := command.Typed(line)
	return is
}

// reviewDrafts forgets the drafts of people who may not log in, and of rooms that are deleted.
func (s *Server) reviewDrafts(now chat.View) {
	s.drafts.Review(func(account string, room chat.RoomName) bool {
		a, exists := now.ByID(account)
		_, banned := now.Banned(a.Name, netip.Addr{}, "")
		_, there := now.Room(room)
		return exists && !a.Disabled && !banned && (there || room.IsDirect())
	})
}

// restoreDrafts gives back what was being typed when the connection was lost, in the rooms that the person is still in. If the loss is
// noticed only after they have reconnected, it is called again then.
func (s *session) restoreDrafts() {
	if s.ui.Kind == view.KindPipe || s.login().provisional() {
		return
	}
	var back []view.Draft
	var rooms []string
	for _, d := range s.server.drafts.Take(s.login().id, s.began) {
		if d.Room.IsDirect() || s.server.services.Hub.In(s.name, d.Room) {
			back = append(back, view.Draft(d))
			rooms = append(rooms, d.Room.For(s.name))
		}
	}
	if len(back) == 0 {
		return
	}
	s.ui.Restore(s.room, back)
	switch {
	case len(back) > 1:
		s.ui.Print("Your drafts are back: " + strings.Join(rooms, ", ") + ".")
	case back[0].Room != s.room:
		s.ui.Print("Your draft in " + rooms[0] + " is back.")
	default:
		s.ui.Print("Your draft is back.")
	}
}
