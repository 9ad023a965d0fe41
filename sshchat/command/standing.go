package command

import (
	"cmp"
	"context"
	"io"

	"sshchat/sshchat/chat"
)

// This file keeps a command to its rights for as long as it runs. It may wait for minutes: for input, an answer, its turn,
// a large room. Meanwhile the key of its login may be removed, or its admin be one no more. So the dispatcher looks at them
// again after every wait. What a command changes is looked at once more at its place, by chat's rules. No command does so
// itself.

// Admitted returns the account of a login as it stands now, the zero Account if it has none yet; or why the login is not
// admitted any more.
func (s *Services) Admitted(who chat.Caller) (chat.Account, error) {
	now := s.Hub.View()
	if who.Login.Account == "" {
		return chat.Account{}, now.AdmitStranger(who)
	}
	return now.Admit(who)
}

// decide has something decided that the caller asks for. When it returns nil it holds everywhere.
func (c *Call) decide(ctx context.Context, in chat.Intent) error {
	return c.Hub.Decide(ctx, c.Who(), in)
}

// may refuses what would be refused if it were to be decided now: before an answer is asked for, or time is spent on it.
func (c *Call) may(in chat.Intent) error {
	_, err := c.Hub.View().Check(c.Who(), in)
	return err
}

// watch has everything that the call waits for or says look at its rights again.
func (d *dispatch) watch(ctx context.Context) context.Context {
	d.In = &watchedInput{ctx, d.In, d.Call}
	if d.Command.Role != "" {
		d.Out = &watchedOutput{d.Out, d}
	}
	d.Session, d.Caller = &watchedSession{d.Session, d.Call}, &watchedCaller{d.Caller, d.Call}
	return chat.WithCheck(ctx, d.still)
}

// still refuses if the caller may not run the command any more.
func (c *Call) still() error {
	a, err := c.Admitted(c.Who())
	if err != nil {
		return err
	}
	return checkRights(c, a)
}

// watchedInput is standard input. Its end with the session is an error, and not the end of what was sent.
type watchedInput struct {
	ctx context.Context
	io.Reader
	call *Call
}

func (w *watchedInput) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	refused := w.ctx.Err()
	if refused == nil {
		refused = w.call.still()
	}
	if refused != nil {
		clear(p[:n]) // it may be a password
		return 0, refused
	}
	return n, err
}

// watchedOutput is standard output of who has more rights than others: they may go while a slow client takes what there is.
type watchedOutput struct {
	io.Writer
	of *dispatch
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil {
		err = w.of.still()
		w.of.cut = cmp.Or(w.of.cut, err)
	}
	return n, err
}

// watchedSession is the session of a call, whose methods that wait look at the call's rights afterwards.
type watchedSession struct {
	Session
	call *Call
}

func (w *watchedSession) Ask(ctx context.Context, question string, echo bool) (string, error) {
	answer, err := w.Session.Ask(ctx, question, echo)
	if err == nil {
		err = w.call.still()
	}
	if err != nil {
		return "", err
	}
	return answer, nil
}

// watchedCaller is the caller, whose methods that wait look at the call's rights afterwards.
type watchedCaller struct {
	Caller
	call *Call
}

func (w *watchedCaller) Guess(look func() error) error {
	if err := w.Caller.Guess(look); err != nil {
		return err
	}
	return w.call.still()
}

func (w *watchedCaller) Pace(ctx context.Context, what Effort, text string) error {
	if err := w.Caller.Pace(ctx, what, text); err != nil {
		return err
	}
	return w.call.still()
}
