package sshchat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/drafts"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
	"sshchat/sshchat/wake"
)

const (
	// deliverBatch is how many messages of a room a session takes at once; what is left it takes after writing these.
	deliverBatch = 64
	// replay is how many of #general's last lines a new session shows. Of every room it also shows the unread ones, up to
	// replayUnread.
	replay       = 20
	replayUnread = 200
	// frameTime is the least between two frames of one session: what happens within it is drawn together.
	frameTime = time.Second / 30
	// gatherTime is the same for a program that messages reach faster than one by one: a write for many costs little more
	// than a write for one.
	gatherTime = 10 * time.Millisecond
	// maxWaiting is how many lines may wait for the one that is under way before nothing more is read of the client.
	maxWaiting = 16
)

// Why a session's goroutine wakes up.
const (
	newMessages   wake.Reason = 1 << iota // the reader may have something
	inputReady                            // the client has sent something
	resized                               // the client's terminal has another size
	jobPosted                             // the job has something to be done
	ended                                 // the session's context has ended
	frameDue                              // the next frame may be drawn
	escapeDue                             // no more bytes followed an Esc
	actionDue                             // the next action may be done
	marksDue                              // read marks are due to be passed to the hub
	rosterChanged                         // who is in the room that is shown
	noticeDue                             // the next notification may be shown
	lockDue                               // nothing was typed for so long that what is unlocked is locked again
	serverNotice                          // the server has something to tell its sessions
	draftsKept                            // the loss of another session of the account was noticed, and its drafts are kept
)

// chat serves an interactive session: it shows messages, and acts on input.
func (s *session) chat(ctx context.Context) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() { // also after a panic: the terminal is given back
		s.ui.Close()
		s.flush() // fails only if the client is gone
	}()
	if s.login().provisional() {
		if code, ok := s.offer(ctx); !ok {
			return code
		}
	}
	hub := s.server.services.Hub
	if s.ui.Kind == view.KindPipe {
		hub.ProgramOpened(s.name)
		defer hub.ProgramClosed(s.name)
	} else {
		hub.SessionOpened(s.name)
		defer hub.SessionClosed(s.name)
	}
	s.reader = hub.Reader(s.name, s.readerStart())
	defer s.reader.Close()
	s.inbox = chat.NewInbox(s.name, hub)
	defer func() { s.inbox.Flush() }()
	defer func() { s.setUnlocked(nil) }()
	defer func() { s.watched.end() }()
	s.applySettings()
	s.greet()
	s.restoreDrafts()
	s.reader.Listen(s.waker, newMessages)
	err := s.loop(ctx, s.draw)
	cancel()
	s.await()
	waited := waiting(s)
	unsent := len(waited)
	kept := s.keepDrafts(waited)
	switch {
	case errors.Is(err, errOver):
		s.draw() // what has come since the last frame; a terminated session draws nothing. An error: the client is gone
		return s.farewell(unsent, kept)
	case err != nil:
		return int(chat.Failed)
	}
	return s.code
}

// offer asks somebody without an account whether they want one. ok is false if they have none at the end.
func (s *session) offer(ctx context.Context) (code int, ok bool) {
	var refused error
	s.start(ctx, func(ctx context.Context, j *job) error { return j.offerAccount(ctx) }, func(err error) { refused = err })
	err := s.loop(ctx, nil)
	if err != nil {
		s.await()
	}
	switch {
	case err != nil && ctx.Err() == nil:
		return int(chat.Failed), false
	case ctx.Err() != nil:
		return s.farewell(s.pending(), 0), false
	case refused != nil:
		s.explain(refused)
		return command.ExitCode(refused), false
	}
	return 0, true
}

// loop serves the session until its user leaves; without draw, until its job is over. Errors: errOver if the session was
// ended, and what draw returns.
func (s *session) loop(ctx context.Context, draw func() error) error {
	for {
		switch {
		case s.job != nil && s.job.answered(): // the prompt comes when what is typed at it counts
		case draw == nil:
			if err := s.flush(); err != nil {
				return err
			}
		case !s.resting || s.ending:
			s.waker.Unmask(newMessages)
			if err := draw(); err != nil {
				return err
			}
		}
		if s.job == nil && (draw == nil || s.ending) {
			return nil
		}
		if draw != nil {
			s.openMore(ctx)
		}
		if why := s.waker.Wait(s.masked()); why&ended != 0 {
			return errOver
		} else {
			s.step(why)
		}
		s.act(ctx)
		if draw != nil {
			s.rest()
		}
	}
}

// masked are the reasons for which the session does not wake up now.
func (s *session) masked() (masked wake.Reason) {
	if s.resting || s.reader == nil {
		masked |= newMessages
	}
	if s.ended || s.holding || s.busy() {
		masked |= inputReady
	}
	return masked
}

// busy reports whether no input is taken for now: a question may come, or enough lines wait for the job.
func (s *session) busy() bool {
	if s.job == nil || s.job.drains {
		return false
	}
	if wait := s.job.mayAsk(); wait > 0 {
		s.pace.in(wait)
		return true
	}
	return len(s.actions) >= maxWaiting
}

// step handles the reasons for which the session woke up.
func (s *session) step(why wake.Reason) {
	if why&jobPosted != 0 && s.job != nil {
		s.job.serve()
	}
	if why&resized != 0 {
		width, height, _ := s.channel.size()
		s.ui.Resize(width, height)
		s.watched = s.watched.people(&s.display)
	}
	if why&rosterChanged != 0 {
		s.changed = true
	}
	if why&frameDue != 0 && s.frame.fired() {
		s.resting = false
	}
	if why&escapeDue != 0 && s.escape.fired() {
		s.expire(s.ui.Keyboard)
	}
	if why&inputReady != 0 {
		s.takeInput(s.ui.Keyboard)
		s.unlocked.typed(s.server.lockAfter)
		s.notices.typed()
	}
	if why&noticeDue != 0 && s.notices != nil {
		s.notices.due.fired()
	}
	if why&marksDue != 0 && s.marks.fired() {
		s.marks.flush(s.inbox)
	}
	if why&lockDue != 0 {
		s.lockIdle()
	}
	if why&serverNotice != 0 && s.reader != nil {
		if said := s.notice.Swap(nil); said != nil {
			s.ui.Print(*said)
		}
	}
	if why&draftsKept != 0 && s.typed.IsZero() { // else they would come into what is being typed
		s.restoreDrafts()
	}
}

// act does what was typed, in order, as far as that is possible now. It stops at the end of the session.
func (s *session) act(ctx context.Context) {
	for len(s.actions) > 0 && !s.ending && s.may() {
		a := s.actions[0]
		if s.actions = s.actions[1:]; len(s.actions) == 0 {
			s.actions = nil
		}
		switch {
		case s.job != nil && s.job.question != nil:
			s.job.take(a)
		case a.Kind == view.Line:
			s.submitLine(ctx, a.Text)
		case a.Kind == view.Refused:
			s.explain(&chat.Refusal{Code: chat.Failed, Text: a.Text})
		case a.Kind == view.Quit:
			s.ending, s.left = true, !s.ended // the end of a terminal's input is a lost connection
		case a.Kind == view.Go:
			s.SetRoom(a.Room)
		case a.Kind == view.Interrupt:
			s.ui.Print("To quit: Ctrl+D or /quit.")
		}
	}
}

// may reports whether the next action may be done now: it answers a question, or it neither has to wait for the job nor
// comes too soon.
func (s *session) may() bool {
	kind := s.actions[0].Kind
	switch {
	case s.job != nil && s.job.question != nil:
		return true
	case s.job != nil && (kind == view.Line || kind == view.Quit || s.isExec):
		return false
	}
	return !s.held()
}

// submitLine starts one typed line: a command, or a message for the room.
func (s *session) submitLine(ctx context.Context, typed string) {
	sent := drafts.Draft{Room: s.room, Text: typed}
	line, err := s.expanded(typed)
	if err != nil {
		s.done(err, sent)
		return
	}
	if text, isCommand := command.Typed(line); isCommand {
		if s.server.services.Commands.Secret(text) {
			s.ui.Forget(typed)
		}
		s.start(ctx, func(ctx context.Context, j *job) error {
			err := j.command(ctx, command.Chat, text)
			j.do(func() {
				if !j.asked || !errors.Is(err, context.Canceled) { // else it was cut off at a question, and did nothing
					s.done(err, sent)
				}
			})
			j.conclude(ctx, err)
			return nil
		}, func(err error) { s.done(err, sent) })
		return
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	line = strings.TrimPrefix(line, "/") // "//text" says "/text"
	s.start(ctx, func(ctx context.Context, j *job) error {
		return j.dispatch(ctx, command.Chat, line, s.server.services.Commands.Say)
	}, func(err error) { s.done(err, sent) })
	s.job.says = true
}

// expanded is what was typed, or what an alias of the person's stands for if it begins with one.
func (s *session) expanded(typed string) (string, error) {
	text, isCommand := command.Typed(typed)
	if !isCommand {
		return typed, nil
	}
	a, err := s.admitted()
	if err != nil { // the dispatcher says why
		return typed, nil
	}
	return s.server.services.Commands.ExpandAlias(a, text)
}

// done takes note of how a line went.
func (s *session) done(err error, line drafts.Draft) {
	if errors.Is(err, errPanicked) {
		s.ending, s.code = true, int(chat.Failed)
		return
	}
	switch {
	case errors.Is(err, command.ErrNotBegun):
		s.unbegun = append(s.unbegun, line)
	case errors.Is(err, context.Canceled):
		s.cut++
	}
	s.explain(err)
}

// greet shows the greeting of a new session.
func (s *session) greet() {
	s.SetRoom(chat.General)
	if _, _, pty := s.channel.size(); !pty {
		s.writeAbsence(s.channel.Stderr())
		return
	}
	services := s.server.services
	if text := services.Hub.View().Motd().String(); text != "" {
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
	}
	info, err := services.Hub.Room(s.name, chat.General)
	if err != nil {
		return
	}
	for line := range strings.SplitSeq(s.welcome(info.Last), "\n") {
		s.ui.Print(line)
	}
	if s.full() {
		return
	}
	if info.Topic != "" {
		s.ui.Print("#general: " + info.Topic)
	}
	sealed := services.Above(s.name, chat.General, chat.LogLines)
	if n := services.Above(s.name, chat.General, replay) - sealed; n > 0 {
		s.ui.Print(text.Count(n, "older line") + ": /history 200")
	} else if sealed > 0 {
		s.ui.Print(text.Are(sealed, "older line") + " sealed; to read them: /unlock")
	}
}

// welcome says what to do, and to a newcomer why there is nothing to read yet. last is the Seq of #general's last message.
func (s *session) welcome(last uint64) string {
	services, to := s.server.services, ""
	if !s.full() { // whose title has the server's name
		to = " to " + services.ServerName
	}
	if last >= services.Hub.Since(s.name, chat.General) {
		return fmt.Sprintf("Welcome%s, %s. Help: F1 or /help. To quit: Ctrl+D.", to, s.name)
	}
	older := "" // what is said here stays on the screen: it must be true later as well
	if last > 0 {
		older = "Messages sent before you joined can be opened only by people who were members then.\n"
	}
	return fmt.Sprintf("Welcome%s, %s. Type a message and press Enter to send it to #general.\n%s"+
		"Help: F1 or /help. Other rooms: /rooms. To quit: Ctrl+D.", to, s.name, older)
}

// farewells are what people are told when the server ends.
var farewells = map[Ending]string{
	Stops:      "The server is stopping. Everything shown here is stored. Goodbye.",
	MayRestart: "The server is stopping or restarting. Everything shown here is stored. If it restarts, you can reconnect at once.",
	Restarts:   "The server is restarting. Everything shown here is stored. You can reconnect at once.",
}

// farewell is said when the session ends from the server's side. It returns the exit code, which is never that of a
// session that ended as it should: what runs ssh in a loop is to connect again. So many lines were not sent, of which some are kept as
// drafts.
func (s *session) farewell(unsent, kept int) int {
	why := s.terminated.Load()
	switch {
	case why != nil:
		s.ui.Print(why.Text)
	case s.server.draining.Load():
		s.ui.Print(farewells[Ending(s.server.ending.Load())])
	default:
		return int(chat.Failed)
	}
	if unsent > 0 {
		s.ui.Fail(fmt.Sprintf("Arrived too late and not sent: %s.%s", text.Count(unsent, "line"), whereKept(unsent, kept)))
	}
	if s.cut > 0 {
		s.ui.Fail("It is not known whether this was sent or done: " + text.Count(s.cut, "line") + ".")
	}
	if why != nil {
		return int(why.Code)
	}
	return int(chat.Failed)
}

// whereKept says how many of the lines that were not sent are in drafts.
func whereKept(unsent, kept int) string {
	which := "They come"
	switch {
	case kept == 0:
		return ""
	case unsent == 1:
		which = "It comes"
	case kept == 1:
		which = "1 of them comes"
	case kept < unsent:
		which = fmt.Sprintf("%d of them come", kept)
	}
	return " " + which + " back as a draft if you connect to this server within an hour."
}
