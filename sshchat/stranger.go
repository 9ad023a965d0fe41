package sshchat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	gossh "golang.org/x/crypto/ssh"
)

// This file handles logins with a name that has no account: a newcomer, or a typing error. Neither is guessing. They are
// let in to create an account, or to learn why they cannot.

// takesStrangers reports whether names without an account are let in. Whether a name has one is public then.
func (a *authentication) takesStrangers() bool {
	return a.server.services.Entrance().Registration || a.server.services.Claim != nil && a.server.services.Claim.Code() != ""
}

// isStranger reports whether the name cannot be an account's: no account has it, and that is public; or accounts cannot
// have such a name, but people elsewhere do.
func (a *authentication) isStranger(user string) bool {
	name, err := text.ParseName(user)
	if err != nil {
		return imaginable(user)
	}
	_, exists := a.server.view().ByName(name)
	return !exists && a.takesStrangers()
}

// imaginable reports whether a name is one that people have elsewhere: jane.doe, 4real, DOMAIN\Jane Doe, josé, o'neill. What is
// no name anywhere is refused like a wrong password, and guesses nobody's either.
func imaginable(user string) bool {
	const longest = 64 // bytes
	odd := func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(` ._-@\+$'`, r)
	}
	return strings.TrimSpace(user) != "" && len(user) <= longest && text.IsPrintable(user) && !strings.ContainsFunc(user, odd)
}

// letIn lets a stranger in. A place for registering is taken only now that they have proven what they log in with.
// Nobody becomes an account by this: the session asks first.
func (a *authentication) letIn(user string, l login) *gossh.Permissions {
	a.proved = l
	a.conn.setRefusal(nil)
	if _, err := text.ParseName(user); err != nil {
		a.conn.setRefusal(a.impossible(user))
	} else if why := a.conn.acquireRegistration(); why != nil {
		a.conn.setRefusal(why)
	}
	return l.permissions()
}

// impossible explains why no account has the name, and what a name is.
func (a *authentication) impossible(user string) *chat.Refusal {
	words := fmt.Sprintf("No account can be named %s: a name is a letter followed by up to %d of a-z, 0-9, _ and -.", user, text.MaxName-1)
	if like := possible(user); like != "" {
		words += fmt.Sprintf(" Try: ssh %s", a.server.services.Reach(like, a.conn.LocalAddr()))
	}
	return &chat.Refusal{Code: chat.Denied, Text: words}
}

// possible is a name like the one that cannot be; empty if none comes to mind.
func possible(user string) string {
	if _, after, domain := strings.Cut(user, `\`); domain {
		user = after
	}
	user, _, _ = strings.Cut(user, "@")
	user = strings.Map(func(r rune) rune {
		switch r {
		case '.', '+', ' ':
			return '-'
		case '\'':
			return -1
		}
		return r
	}, strings.TrimSpace(user))
	name, err := text.ParseName(strings.TrimLeft(user, "0123456789_-"))
	if err != nil {
		return ""
	}
	return name.String()
}

// acquireRegistration takes a registration slot, or returns why there is none.
func (c *conn) acquireRegistration() *chat.Refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.registering || c.closed {
		return nil
	}
	who := "too many people"
	switch c.server.newcomers.Reserve(c.from, c.exempt) {
	case limit.Room:
		c.registering = true
		return nil
	case limit.SourceFull:
		who = "too many people from your address"
	}
	return &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("%s are creating an account right now; each has %s for it. Please try again then.",
		who, approx(c.server.limits().Registration))}
}

// untilLate ends what a login without an account waits for a moment before its connection is closed, with the reason as the
// context's cause.
func (who *caller) untilLate(ctx context.Context) (context.Context, context.CancelFunc) {
	if !who.login().provisional() {
		return ctx, func() {}
	}
	c, all := who.conn, who.server.limits().Registration
	c.mu.Lock()
	by := c.registerBy
	c.mu.Unlock()
	return context.WithDeadlineCause(ctx, by.Add(-min(all/10, 2*time.Second)), &chat.Refusal{Code: chat.Failed, Text: fmt.Sprintf(
		"no account was created within %s. Please connect again.", approx(all))})
}

// registered gives the place back: the login has an account now.
func (c *conn) registered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.provisional = false
	c.releaseRegistration()
}

// releaseRegistration is called with mu held.
func (c *conn) releaseRegistration() {
	if c.registering {
		c.server.newcomers.Release(c.from)
		c.registering = false
	}
}

// claimTries is how often a source may show a code that makes the first admin.
var claimTries = limit.Allowance{Burst: 10, Rate: 1.0 / 60}

// accountsWait is why no account can be created from that source now, and for how long; empty if one can.
func (n *sourceCounts) accountsWait(c *conn) string {
	return newcomersWords(n.newcomers.Wait(c.from, c.exempt))
}

func newcomersWords(wait time.Duration, bySource bool) string {
	switch {
	case wait <= 0:
		return ""
	case bySource:
		return fmt.Sprintf("too many accounts were created from your address in the last hour; the next can be created in %s, or now with an invite", approx(wait))
	}
	return fmt.Sprintf("too many accounts were created in the last ten minutes; the next can be created in %s, or now with an invite", approx(wait))
}

// offerAccount asks a name without an account whether it wants one: it may be mistyped.
func (j *job) offerAccount(ctx context.Context) error {
	s := j.session
	_, _, pty := s.channel.size()
	services := s.server.services
	if !services.Entrance().Registration {
		return &chat.Refusal{Code: chat.Denied, Text: fmt.Sprintf("no account named %s, and registration is closed", s.name)}
	}
	if refused, possible := services.NoAccount(s.asks(), s.reach()); !pty || !possible { // before an invite code is asked for
		return refused
	}
	if services.Entrance().ByInvite {
		return j.askInvite(ctx, fmt.Sprintf("No account named %s. This server is invite-only. Invite code: ", s.name))
	}
	full := func() bool { return s.server.accountsWait(s.conn) != "" }
	if full() {
		return j.askInviteInstead(ctx)
	}
	answer, err := j.Ask(ctx, fmt.Sprintf("No account named %s. Create it? [y/N] ", s.name), true)
	if err != nil {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return &chat.Refusal{Code: chat.Denied, Text: "No account created. Goodbye."}
	}
	if full() { // others were faster to answer
		return j.askInviteInstead(ctx)
	}
	return j.command(ctx, command.Exec, "register")
}

// askInviteInstead says why no account can be made without an invite now, and asks for one.
func (j *job) askInviteInstead(ctx context.Context) error {
	s := j.session
	why := fmt.Sprintf("No account named %s: %s.", s.name, s.server.accountsWait(s.conn))
	j.do(func() { s.ui.Print(why) })
	return j.askInvite(ctx, "Invite code, if you have one: ")
}

// inviteTries is how many invite codes can be typed in one session: they are long, and easily mistyped.
const inviteTries = 3

// askInvite is offerAccount for people who need an invite.
func (j *job) askInvite(ctx context.Context, question string) error {
	for n := 1; ; n++ {
		code, err := j.Ask(ctx, question, true)
		if err != nil {
			return err
		}
		fields := strings.Fields(code)
		if len(fields) == 0 {
			return &chat.Refusal{Code: chat.Denied, Text: "No account created. Goodbye."}
		}
		err = command.ErrInvite
		if len(fields) == 1 {
			err = j.command(ctx, command.Exec, "register "+fields[0])
		}
		if !errors.Is(err, command.ErrInvite) || n == inviteTries {
			return err
		}
		question = "The invite code is wrong, expired or used up. Invite code: "
	}
}
