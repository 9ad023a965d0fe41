package command

import (
	"cmp"
	"context"
	"io"
	"net/netip"

	"sshchat/sshchat/chat"
)

// This file keeps a command to its rights for as long as it runs. It may wait for minutes: for input, an answer, its turn,
// a large room. Meanwhile the key of its login may be removed, or its admin be one no more. So the dispatcher looks at them
// again after every wait, and has each change look once more at its place. No command does so itself.

// Rolls are what decides whether a login is admitted and may speak, as they stand at one moment.
type Rolls interface {
	ByID(id string) (chat.Account, bool)
	ByName(name chat.Name) (chat.Account, bool)
	// Banned returns the ban that hits that person, that address or that key, each of which may be zero.
	Banned(name chat.Name, addr netip.Addr, key string) (chat.Sanction, bool)
	// Allowed reports whether the allowlist, if it is on, lets them in.
	Allowed(a chat.Account, addr netip.Addr, key string) bool
	// Muted returns the mute of that person.
	Muted(name chat.Name) (chat.Sanction, bool)
}

// watch has everything that the call waits for or changes look at its rights again.
func (c *Call) watch(ctx context.Context) context.Context {
	if c.Admit == nil {
		return ctx
	}
	c.In = &watchedInput{ctx, c.In, c}
	if c.Command.Role != "" {
		c.Out = &watchedOutput{c.Out, c}
	}
	c.Session, c.Caller = &watchedSession{c.Session, c}, &watchedCaller{c.Caller, c}
	services := *c.Services
	services.Accounts = services.Accounts.Under(c.still)
	c.Services = &services
	return chat.WithCheck(ctx, func() error { return c.still(services.Accounts) })
}

// still refuses if the caller may not run the command any more, or a condition of it holds no more.
func (c *Call) still(now Rolls) error {
	a, err := c.Admit(now)
	if err != nil {
		return err
	}
	if err := c.allowed(now, a); err != nil {
		return err
	}
	for _, holds := range c.conditions {
		if err := holds(now); err != nil {
			return err
		}
	}
	return nil
}

// require refuses if a condition does not hold, now or at the place of a change that the command makes.
func (c *Call) require(holds func(Rolls) error) error {
	if err := holds(c.Accounts); err != nil {
		return err
	}
	c.conditions = append(c.conditions, holds)
	return nil
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
		refused = w.call.still(w.call.Accounts)
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
	call *Call
}

func (w *watchedOutput) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err == nil {
		err = w.call.still(w.call.Accounts)
		w.call.cut = cmp.Or(w.call.cut, err)
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
		err = w.call.still(w.call.Accounts)
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
	return w.call.still(w.call.Accounts)
}

func (w *watchedCaller) Pace(ctx context.Context, what Effort, text string) error {
	if err := w.Caller.Pace(ctx, what, text); err != nil {
		return err
	}
	return w.call.still(w.call.Accounts)
}
