package sshchat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/past"
	"sshchat/sshchat/text"
	"sshchat/sshchat/view"
)

// job is a command, or a message, that is under way. It runs in a goroutine of its own, so that the session's goroutine never
// waits for the disk, for a password check or for the keys of a large room: it goes on drawing and taking keys. A session
// has one job at a time, and what is typed meanwhile waits its turn.
//
// It implements command.Session. State that belongs to the session's goroutine is only used by functions that it hands to do.
type job struct {
	session *session
	answer  *lines        // what the command has printed; nil: it prints by itself
	room    chat.RoomName // the current room when the line was typed
	says    bool          // it is a message, which asks nothing
	inline  bool          // it runs in the session's goroutine, which has nothing else to do
	gone    chan struct{} // closed when the session's goroutine has panicked; nil if inline

	mu     sync.Mutex
	posted []func() // guarded by mu; for the session's goroutine to do

	// Owned by the session's goroutine:

	question *question // what it asks; nil: nothing
	asked    bool      // it has asked something
	drains   bool      // what is typed is taken, and dropped when it ends
	listened time.Time // when it began, or was last answered
}

var _ command.Session = (*job)(nil)

// question waits for what is typed next.
type question struct {
	text  string
	echo  bool
	reply chan reply // with room for one
}

// reply is what was typed, or why it is no answer.
type reply struct {
	text string
	err  error
}

// errPanicked is what a job that panicked ended with.
var errPanicked = errors.New("internal error: the command failed")

// start runs a job in a new goroutine. The session's goroutine calls then with its error.
func (s *session) start(ctx context.Context, run func(context.Context, *job) error, then func(error)) {
	j := &job{session: s, room: s.room, gone: make(chan struct{}), listened: time.Now()}
	s.job = j
	go func() {
		err := errPanicked
		defer func() {
			j.post(func() {
				s.job = nil
				then(err)
			})
		}()
		defer s.server.recoverPanic("command", s.conn.source)
		err = run(ctx, j)
	}()
}

// await waits until the job is over, and serves it meanwhile. Nothing is drawn.
func (s *session) await() {
	for s.job != nil {
		if s.job.serve(); s.job != nil { // first what was posted before: the loop may have woken up for it, and for its end
			s.waker.Wait(^jobPosted)
		}
	}
}

// post makes the session's goroutine call f, and does not wait for it.
func (j *job) post(f func()) {
	j.mu.Lock()
	j.posted = append(j.posted, f)
	j.mu.Unlock()
	j.session.waker.Wake(jobPosted)
}

// do makes the session's goroutine call f, and waits for it.
func (j *job) do(f func()) {
	if j.inline {
		f()
		return
	}
	done := make(chan struct{})
	j.post(func() {
		defer close(done)
		f()
	})
	select {
	case <-done:
	case <-j.gone:
	}
}

// abandon leaves a job that is under way to itself, after a panic in the session's goroutine.
func (s *session) abandon() {
	if s.job != nil {
		close(s.job.gone)
	}
}

// serve calls what the job has posted.
func (j *job) serve() {
	j.mu.Lock()
	calls := j.posted
	j.posted = nil
	j.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// command runs a command from within the session. Its answer is private.
func (j *job) command(ctx context.Context, ui command.UI, line string) error {
	return j.dispatch(ctx, ui, line, j.session.server.services.Commands.Run)
}

// dispatch passes a line that was typed to the registry's Run or Say.
func (j *job) dispatch(ctx context.Context, ui command.UI, line string, take func(context.Context, string, command.Call) error) error {
	s := j.session
	j.answer = &lines{print: func(text string) {
		j.do(func() {
			if s.inbox == nil {
				s.said = text
			}
			s.ui.Print(text)
		})
	}}
	defer func() { j.answer.end(); j.answer = nil }()
	call, err := j.call(ui)
	if err != nil {
		j.do(func() { s.endAfterJob(err) })
		return err
	}
	call.Out, call.Err, call.In, call.Next = j.answer, j.answer, strings.NewReader(""), command.Chat
	return take(ctx, line, call)
}

// call describes the session to a command, with the account as it is now.
func (j *job) call(ui command.UI) (command.Call, error) {
	s := j.session
	call := command.Call{
		Services: s.server.services, UI: ui, At: s.conn.LocalAddr(), Name: s.name, Key: s.key,
		Source: s.conn.source, Session: j, Past: j, Caller: &s.caller, Who: s.asks, Notification: s.channel.notification().String(),
	}
	var err error
	call.Account, err = s.admitted()
	return call, err
}

// Room implements command.Session.
func (j *job) Room() chat.RoomName { return j.room }

// SetRoom implements command.Session.
func (j *job) SetRoom(room chat.RoomName) {
	j.room = room
	j.do(func() { j.session.SetRoom(room) })
}

// Sent implements command.Session. All but a full screen show what is said in any room.
func (j *job) Sent(room chat.RoomName, note string) {
	j.do(func() {
		if s := j.session; s.full() && s.room != room {
			s.ui.Print(note)
		}
	})
}

// Standing implements command.Session.
func (j *job) Standing() (rooms []chat.InboxRoom, before chat.RoomName) {
	j.do(func() {
		if j.session.inbox != nil {
			rooms = j.session.inbox.List()
		}
		before = j.session.before
	})
	return rooms, before
}

// Correspondent implements command.Session.
func (j *job) Correspondent() (name chat.Name) {
	j.do(func() { name = j.session.correspondent })
	return name
}

// Quit implements command.Session.
func (j *job) Quit() { j.do(func() { j.session.ending, j.session.left = true, true }) }

// Show implements command.Session: what was printed before comes before it.
func (j *job) Show(title, text string) {
	if j.answer != nil {
		j.answer.end()
	}
	j.do(func() { j.session.ui.Show(title, text) })
}

// PreviewThemes shows all themes, if there is a full screen.
func (j *job) PreviewThemes(title string) (shown bool) {
	j.do(func() {
		if f, full := j.session.ui.Display.(*view.Full); full {
			f.PreviewThemes(title)
			shown = true
		}
	})
	return shown
}

// Clear implements command.Session.
func (j *job) Clear() { j.do(func() { j.session.ui.Clear() }) }

// Focus implements command.Session.
func (j *job) Focus() (people []chat.Name) {
	j.do(func() { people = j.session.focus })
	return people
}

// SetFocus implements command.Session.
func (j *job) SetFocus(people []chat.Name) { j.do(func() { j.session.setFocus(people) }) }

// Unlocked implements command.Unlocked.
func (j *job) Unlocked() (p *past.Past) {
	j.do(func() {
		if j.session.unlocked != nil {
			p = j.session.unlocked.Past
		}
	})
	return p
}

// SetUnlocked implements command.Unlocked.
func (j *job) SetUnlocked(p *past.Past) { j.do(func() { j.session.setUnlocked(p) }) }

// Zone implements command.Session.
func (j *job) Zone() *time.Location { return j.session.zone() }

// Ask implements command.Session: it waits for what is typed next.
func (j *job) Ask(ctx context.Context, text string, echo bool) (string, error) {
	s := j.session
	if j.answer != nil {
		j.answer.end()
	}
	s.asking.Store(true)
	defer s.asking.Store(false)
	ctx, late := s.untilLate(ctx)
	defer late()
	q := &question{text, echo, make(chan reply, 1)}
	nobody := false
	j.do(func() {
		if _, _, pty := s.channel.size(); !pty || s.ui.Kind == "" {
			nobody = true
			return
		}
		s.ui.Ask(text, echo)
		j.question, j.asked = q, true
	})
	if nobody {
		return "", command.ErrNobodyToAsk
	}
	select {
	case r := <-q.reply:
		return r.text, r.err
	case <-ctx.Done():
		j.do(func() { j.question = nil })
		if late, ok := context.Cause(ctx).(*chat.Refusal); ok {
			return "", late
		}
		return "", ctx.Err()
	}
}

// take gives an action to the question that is asked.
func (j *job) take(a view.Action) {
	s, q := j.session, j.question
	r := reply{err: command.ErrCancelled}
	switch a.Kind {
	case view.Line:
		if !q.echo {
			s.ui.Forget(a.Text)
		}
		r = reply{text: a.Text}
	case view.Refused:
		s.ui.Fail(a.Text)
		s.ui.Ask(q.text, q.echo)
		return
	case view.Quit:
		s.ending = s.ended // no more keys will come, also after the dialogue
	}
	j.question, j.listened = nil, time.Now()
	q.reply <- r
}

// A command that asks questions asks the first at once, and the next soon after an answer. Until then no input is taken: a
// password that is typed ahead would be shown. Afterwards keys work as usual.
const askWithin = 500 * time.Millisecond

// mayAsk is how long input has to wait for a question that may come; 0: it is taken now.
func (j *job) mayAsk() time.Duration {
	if j.says || j.question != nil || j.drains {
		return 0
	}
	return max(0, askWithin-time.Since(j.listened))
}

// answered reports whether a question was just answered. Another may follow, or what was typed ahead is about to be dropped:
// until that is known, nothing is drawn that would look like a prompt.
func (j *job) answered() bool { return j.drains || j.asked && j.mayAsk() > 0 }

// typedAhead is how long what was typed during a dialogue may be on its way through the server.
const typedAhead = 50 * time.Millisecond

// conclude ends a dialogue, if the command that ended with err asked anything. What was typed for the dialogue must not be
// said in the room: after one wrong answer too many, what is typed up to the next Enter is swallowed, and lines that were
// typed ahead are dropped.
func (j *job) conclude(ctx context.Context, err error) {
	s := j.session
	asked := false
	j.do(func() { asked = j.asked && !s.ending })
	if !asked {
		return
	}
	if err != nil && !errors.Is(err, command.ErrCancelled) && !errors.Is(err, command.ErrDeclined) {
		if _, err := j.Ask(ctx, "What you type now is not sent. Enter goes back to the chat: ", false); err != nil {
			j.do(func() { s.explain(err) })
		}
	}
	if err != nil { // what comes after a dialogue that succeeded was typed after it
		j.do(func() { j.drains = true })
		late := time.NewTimer(typedAhead)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ctx.Done():
		}
	}
	j.do(func() { s.dropLines() })
}

// dropLines drops the lines that were typed and not acted on.
func (s *session) dropLines() {
	var rest []view.Action
	for _, a := range s.actions {
		if a.Kind == view.Line {
			s.ui.Forget(a.Text)
		} else {
			rest = append(rest, a)
		}
	}
	if n := len(s.actions) - len(rest); n > 0 {
		s.ui.Fail(fmt.Sprintf("%s typed before the question was answered: not sent.", text.Count(n, "line")))
	}
	s.actions = rest
}
