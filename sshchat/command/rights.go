package command

import (
	"cmp"
	"context"
	"io"
	"strings"

	"sshchat/sshchat/chat"
)

// This file enforces a command's rights while it runs. It may wait for minutes: for input, an answer, its turn, a large
// room. Meanwhile its login's key may be removed, or the caller may lose a role. So the dispatcher checks the rights
// again after every wait. Chat's rules check each change once more when it is made. No command does so itself.

// checkAccount refuses callers without an account if the command needs one.
func checkAccount(c *Call) error {
	if !c.Command.Account && c.Command.Role == "" || c.Account.ID != "" {
		return nil
	}
	if !c.Entrance().Registration {
		return denied("no account named %s", c.Name)
	}
	refused, _ := c.NoAccount(c.Who(), c.Login())
	return refused
}

// NoAccount refuses a login whose name has no account, while people may register. It says how to create the account; or, if possible
// is false, why nobody can.
func (s *Services) NoAccount(who chat.Caller, reach string) (refused *chat.Refusal, possible bool) {
	said := "no account named " + who.Name.String()
	if err := s.mayRegister(who); err != nil {
		words, _ := Text(err)
		return &chat.Refusal{Code: chat.Denied, Text: said + "; " + words}, false
	}
	said += "; to create it: ssh " + reach + " register"
	if s.Entrance().ByInvite {
		said += " CODE, with an invite code from an admin"
	}
	return &chat.Refusal{Code: chat.Denied, Text: said}, true
}

// checkRights checks the rights of the caller, whose account is now a: here and nowhere else. Rights that depend on the
// target are checked by chat.
func checkRights(c *Call, a chat.Account) error {
	if only := c.Who().Login.Only; !c.Command.Harmless && !only.Allows(c.Command.Name, targetsOf(c)) {
		return denied("this key may only be used for %s", only)
	}
	if err := checkRole(c, a); err != nil {
		return err
	}
	if speaks(c) {
		return c.may(chat.Speak{})
	}
	return nil
}

// checkRole refuses a caller whose account is a, and has not the role that the command needs.
func checkRole(c *Call, a chat.Account) error {
	role := c.Command.Role
	switch {
	case role == "":
		return nil
	case a.Role.AtLeast(role) && c.Who().Verified:
		return checkRoom(c, a)
	case c.Command.InRoom && moderates(c):
		return nil
	case a.Role.AtLeast(role):
		return denied("%s needs a login by key or with a second factor: use %s or %s, then reconnect",
			c.typed(c.Command.Name), c.typed("key add"), c.typed("totp enable"))
	case c.Command.InRoom && role == chat.Mod:
		return denied("only moderators of the room, server moderators and admins can use %s", c.typed(c.Command.Name))
	case role == chat.Mod:
		return denied("only moderators and admins can use %s%s", c.typed(c.Command.Name), c.UI.words(c.Command.Yours))
	}
	return denied("only admins can use %s", c.typed(c.Command.Name))
}

// targetsOf are what the command names to act on, as keys are restricted to.
func targetsOf(c *Call) []string {
	words := c.Args
	if c.Command.ID && len(words) > 0 { // the message's room
		room, _, _ := strings.Cut(words[0], "/")
		words = []string{room}
	}
	targets := make([]string, len(words))
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "@"), c.Command.Person:
			targets[i] = "@" + strings.ToLower(strings.TrimPrefix(word, "@"))
		default:
			targets[i] = "#" + strings.ToLower(strings.TrimPrefix(word, "#"))
		}
	}
	return targets
}

// checkRoom refuses to let anyone but an admin moderate a private room that they are not in: they do not learn that it
// exists.
func checkRoom(c *Call, a chat.Account) error {
	if !c.Command.InRoom || a.Role.AtLeast(chat.Admin) {
		return nil
	}
	room, err := c.target()
	if err != nil || room.IsDirect() {
		return nil // which Run says
	}
	_, err = c.Hub.Room(a.Name, room)
	return err
}

// moderates reports whether the caller moderates the room that the command acts in.
func moderates(c *Call) bool {
	room, err := c.target()
	maker, mod := c.Hub.View().RoomRole(c.Account.Name, room)
	return err == nil && (maker || mod)
}

// What counts as speaking: all that one has others see. The dispatcher refuses it to the muted, before the command runs,
// after each wait and at the place of each change; and it comes no faster than messages may (Caller.Pace).
//
//	                              | slow rooms slow it | who ignores the author
//	a message, /me, an edit       |        yes         | does not see it
//	a topic                       |        yes         | does not see its notice
//	an invitation                 |         -          | does not see its notice
//	a reason for putting one out  |         -          | does not see its notice
//	a reason for a ban or a mute  |         -          | sees it
//	a reason for being away       |         -          | sees it on asking
//	the name of a new room        |         -          | sees it on asking
//	an announcement               |         -          | sees it
//	the message of the day        |         -          | sees it
//
// Deleting a message says nothing, and coming and going neither.

// speaks reports whether the call has others see words of the caller's.
func speaks(c *Call) bool {
	if says := c.Command.Says; says != nil {
		return says(c)
	}
	return c.Command.Effect == Speaks
}

// Admitted returns the account of a login as it stands now, the zero Account if it has none yet; or why the login is not
// admitted any more.
func (s *Services) Admitted(who chat.Caller) (chat.Account, error) {
	now := s.Hub.View()
	if who.Login.Account == "" {
		return chat.Account{}, now.AdmitStranger(who)
	}
	return now.Admit(who)
}

// watch makes everything that the call waits for or prints check its rights again.
func (d *dispatch) watch(ctx context.Context) {
	d.In = &watchedInput{ctx, d.In, d.Call}
	if d.Command.Role != "" {
		d.Out = &watchedOutput{d.Out, d}
	}
	d.Session, d.Caller = &watchedSession{d.Session, d.Call}, &watchedCaller{d.Caller, d.Call}
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

// watchedOutput is standard output for privileged callers: they may lose their rights while a slow client reads.
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

// watchedSession is a call's session. Its methods that wait check the call's rights afterwards.
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

// PreviewThemes implements previewer, if the session does.
func (w *watchedSession) PreviewThemes(title string) (shown bool) {
	p, ok := w.Session.(previewer)
	return ok && p.PreviewThemes(title)
}

// watchedCaller is a call's caller. Its methods that wait check the call's rights afterwards.
type watchedCaller struct {
	Caller
	call *Call
}

func (w *watchedCaller) CheckPassword(check func() error) error {
	if err := w.Caller.CheckPassword(check); err != nil {
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
