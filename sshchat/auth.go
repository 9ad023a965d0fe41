package sshchat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"
	"sshchat/sshchat/fence"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// authentication is the login of one connection. Its methods are called one at a time, by the library, for whatever the
// client tries.
type authentication struct {
	server *Server
	conn   *conn
	ctx    context.Context // the connection's

	passwords int   // tried so far
	prompts   int   // for a password, by keyboard-interactive
	refused   bool  // a key was refused
	accepted  bool  // a key was accepted, though perhaps not proven
	queries   int   // keys that were asked about and paid for
	proved    login // what was proven last
}

// instruction is shown with the password prompt: what a banner would say, without spoiling the output of commands. Lines fit into 80
// columns, except those about waiting. They reveal nothing about an account: whether the name has one only if that is public, of
// keys only what the client was told, and neither whether there is a password nor whether one was checked.
func (a *authentication) instruction(user string) string {
	a.prompts++
	if a.prompts > 1 {
		return strings.Join(append([]string{"Wrong password or code. Please try again."}, a.delay()...), "\n")
	}
	lines := []string{"This is a chat server. Log in with your key or your account's password."}
	if a.isStranger(user) {
		return lines[0] + "\n" + a.toStranger(text.Clean(user, text.MaxName))
	}
	if a.refused && !a.accepted {
		lines = append(lines, fmt.Sprintf("No key you offered is %s's. Lost it? Ask an admin.", text.Clean(user, text.MaxName)))
	}
	return strings.Join(append(append(lines, a.delay()...), "No account yet? "+a.toRegister()), "\n")
}

// toStranger says what a login does whose name has no account. Its password is not checked.
func (a *authentication) toStranger(name string) string {
	entrance := a.server.services.Entrance()
	switch {
	case !entrance.Registration:
		return fmt.Sprintf("No account is named %s.", name)
	case a.server.accountsWait(a.conn) != "":
		return "No account yet? " + a.toRegister()
	case entrance.ByInvite:
		return fmt.Sprintf("No account is named %s. Got an invite? Press Enter.", name)
	}
	return fmt.Sprintf("No account is named %s. New here? Press Enter.", name)
}

// delay says how long the next password has to wait, if it does.
func (a *authentication) delay() (lines []string) {
	if wait := a.server.passwordDelay(a.conn); wait > 0 {
		lines = append(lines, fmt.Sprintf("Too many wrong passwords came from your address: the next one is checked in %s. Keys, and people who have logged in from there before, are not delayed.", approx(wait)))
	}
	return lines
}

// toRegister says what people do who have no account.
func (a *authentication) toRegister() string {
	if wait := a.server.accountsWait(a.conn); a.server.services.Entrance().Registration && wait != "" {
		return "You can log in with an unused name, but " + wait + "."
	} else if a.server.services.Entrance().ByInvite {
		return "With an invite code, log in with any unused name."
	} else if a.server.services.Entrance().Registration {
		return "To create one, log in with any unused name."
	}
	return "Ask an admin for one."
}

var (
	errLogin    = errors.New("permission denied")
	errTooMany  = errors.New("too many passwords")
	errDraining = errors.New("the server is stopping")
)

// config makes the SSH configuration of one connection. It is made for each connection: the library adds to it.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := connOf(ctx)
	a := &authentication{server: s, conn: c, ctx: ctx}
	config := &gossh.ServerConfig{
		MaxAuthTries: s.limits().AuthTries,
		PreAuthConnCallback: func(p gossh.ServerPreAuthConn) {
			c.agreed(p)
			c.setDeadline(time.Until(c.loginBy)) // the keys are agreed on; the rest of the time is for logging in
		},
		PublicKeyCallback: func(m gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			return a.offerKey(m.User(), key)
		},
		VerifiedPublicKeyCallback: func(m gossh.ConnMetadata, _ gossh.PublicKey, p *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			return a.keyProven(m.User(), p)
		},
		PasswordCallback: func(m gossh.ConnMetadata, password []byte) (*gossh.Permissions, error) {
			defer clear(password)
			return a.tryPassword(m.User(), password, nil)
		},
		KeyboardInteractiveCallback: func(m gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge) (*gossh.Permissions, error) {
			answers, err := ask("", a.instruction(m.User()), []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			password := []byte(answers[0]) // the string itself cannot be wiped
			defer clear(password)
			return a.tryPassword(m.User(), password, func() (string, error) {
				answers, err := ask("", "", []string{"Code: "}, []bool{true})
				if err != nil {
					return "", err
				}
				return answers[0], nil
			})
		},
		AuthLogCallback: func(m gossh.ConnMetadata, method string, err error) {
			a.logLogin(m, method, err)
		},
	}
	for _, signer := range s.hostKeys.Signers() {
		config.AddHostKey(signer)
	}
	algorithms(config)
	return config
}

// offerKey decides whether a key would do for a name. The client may only be asking: nothing is done for it here
// but to name the login that a proof of the key will be.
func (a *authentication) offerKey(user string, key gossh.PublicKey) (_ *gossh.Permissions, err error) {
	if a.server.draining.Load() {
		return nil, errDraining
	}
	a.conn.triesLogin()
	if err := a.paceQuery(); err != nil {
		return nil, err
	}
	name, err := text.ParseName(user)
	defer func() { a.refused, a.accepted = a.refused || err != nil, a.accepted || err == nil }()
	if a.isStranger(user) {
		l := login{newKey: strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))}
		if _, weak := a.server.services.Accounts.ParseKey(l.newKey); weak != nil && err == nil {
			words, _ := command.Text(weak) // no account could have it, but the client may have another
			a.conn.sendBanner(fmt.Sprintf("your key %s is not accepted: %s", gossh.FingerprintSHA256(key), words))
			return nil, errLogin
		}
		return l.permissions(), nil
	}
	account, _ := a.server.view().ByName(name)
	fingerprint := gossh.FingerprintSHA256(key)
	for _, k := range account.Keys {
		if k.Fingerprint == fingerprint {
			return login{id: account.ID, key: fingerprint}.permissions(), nil
		}
	}
	return nil, errLogin
}

// paceQuery has a source that asks about very many keys wait for the answers. What leads to a login is given back.
func (a *authentication) paceQuery() error {
	if a.conn.exempt {
		return nil
	}
	a.queries++
	wait := a.server.keyQueries.Spend(a.conn.from, time.Now())
	if wait <= 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-a.ctx.Done():
		return a.ctx.Err()
	}
}

// keyProven is called when the client has proven a key that offerKey took.
func (a *authentication) keyProven(user string, p *gossh.Permissions) (*gossh.Permissions, error) {
	l, err := loginOf(p)
	if err != nil {
		return nil, err
	}
	if err := a.awaitLog(); err != nil {
		return nil, err
	}
	if l.provisional() {
		return a.letIn(user, l), nil
	}
	a.proved = l
	return p, nil
}

// awaitLog waits until the server knows what was decided on others, and ends the connection if that takes too long.
func (a *authentication) awaitLog() error {
	err := a.server.services.Fence.Wait(a.ctx, fence.Login)
	if err != nil && a.ctx.Err() == nil {
		a.conn.hangUp(err.Error())
	}
	return err
}

// tryPassword checks a password. It takes the same path and the same time, and gives the same answer, whether or not the
// account exists, has a password, or is locked after too many wrong ones; except for names without an account if that is
// public. askCode asks for the code of a second factor; nil if the method cannot ask, and then the password of an account
// with a second factor counts as wrong.
func (a *authentication) tryPassword(user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	if a.server.draining.Load() {
		return nil, errDraining
	}
	a.conn.triesLogin()
	if err := a.awaitLog(); err != nil {
		return nil, err
	}
	if a.isStranger(user) {
		return a.letIn(user, login{}), nil
	}
	if wait := a.server.penaltyLeft(a.conn); wait > 0 { // since it was let in
		return nil, a.conn.hangUp(failedLogins(wait))
	}
	if a.passwords++; a.passwords > a.server.limits().Passwords {
		return nil, a.conn.hangUp("too many wrong passwords in one connection; please connect again")
	}
	earliest := time.After(a.server.limits().FailDelay)
	p, err := a.checkPassword(user, password, askCode)
	if err != nil {
		select {
		case <-earliest:
		case <-a.ctx.Done():
		}
	}
	return p, err
}

// sendBanner shows words to a client that is logging in. There is no banner otherwise: it would spoil what commands print.
func (c *conn) sendBanner(words string) {
	if p := c.preAuth(); p != nil {
		p.SendAuthBanner(words + "\r\n") // fails only with the connection
	}
}

// hangUp closes a connection that is logging in, with words.
func (c *conn) hangUp(why string) error {
	c.sendBanner(why)
	c.Close()
	return errTooMany
}

// checkPassword looks at a password, if it may.
func (a *authentication) checkPassword(user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	name, err := text.ParseName(user)
	if err != nil {
		return nil, errLogin // no account is so named: it guesses nothing
	}
	whose := name
	check, err := a.server.tryPassword(a.ctx, a.conn, name)
	if err != nil {
		return nil, a.uncounted(err)
	}
	if !check {
		a.server.stats.Unheard.Add(1)
		whose = chat.Name{} // nobody's: it takes as long
	}
	account, secret, err := a.server.passwords.CheckBoth(a.ctx, whose, password)
	defer clear(secret)
	if err == nil && account.TOTP {
		err = a.askSecond(account, secret, askCode)
	}
	if err == nil {
		a.proved = login{id: account.ID, proof: account.Generation, second: account.TOTP}
		return a.proved.permissions(), nil
	}
	if !a.server.passwords.Wrong(err) && !errors.Is(err, errLogin) {
		if check {
			a.server.attempts.Withdraw(name, a.conn.from)
		}
		return nil, err
	}
	a.server.wrongPassword(a.conn, name)
	return nil, errLogin
}

// uncounted ends a connection whose password is not looked at, because it is not known whether it is counted.
func (a *authentication) uncounted(err error) error {
	if a.ctx.Err() == nil {
		a.server.failureLog.write(slog.LevelWarn, a.conn.from, "password not checked", "source", a.conn.source, "err", err)
		a.conn.hangUp(errUncounted.Text)
	}
	return err
}

// errUncounted is why a password is not looked at.
var errUncounted = &chat.Refusal{Code: chat.Failed, Text: "passwords cannot be checked at the moment; please try again"}

// askSecond asks for the code of a second factor, after the password was right.
func (a *authentication) askSecond(account chat.Account, secret []byte, askCode func() (string, error)) error {
	if askCode == nil {
		return errLogin
	}
	code, err := askCode()
	if err != nil {
		return errLogin // knowing the password and hanging up counts as a guess, too
	}
	return a.server.services.Hub.Decide(a.ctx, chat.TheServer, a.server.passwords.Spend(account.ID, secret, code), nil)
}

// wrongPassword counts one for the name and for the source, and notifies the owner.
func (s *Server) wrongPassword(c *conn, name chat.Name) {
	s.attempts.Failed(name, c.source)
	c.charge(limit.AuthFail)
	s.passwordsDelayed(c, name)
	if s.services.Hub.Online(name) && s.attempts.NotifyDue(name) {
		s.others.Tell(limit.Told{Event: limit.Notified, Name: name})
		s.services.Hub.NotifyUser(name, "A wrong password was just tried for your account, from %s.", c.source)
	}
}

// logLogin writes one line for each login and each failure: the source first, then the name, shortened and quoted,
// so that nobody can forge a line with it. Keys that were only asked about are not failures.
func (a *authentication) logLogin(m gossh.ConnMetadata, method string, err error) {
	name := text.Clean(m.User(), text.MaxName)
	switch {
	case err == nil:
		a.conn.client = string(m.ClientVersion())
		if a.proved.provisional() {
			a.server.strangerLog.write(slog.LevelInfo, a.conn.from, "login", "source", a.conn.source, "method", method, "name", name, "account", false)
		} else {
			a.server.loginLog.write(slog.LevelInfo, a.conn.from, "login", "source", a.conn.source, "method", method, "name", name)
		}
		a.loggedIn(method)
	case method == "password" || method == "keyboard-interactive":
		a.server.stats.Failures.Add(1)
		a.server.failureLog.write(slog.LevelWarn, a.conn.from, "login failed", "source", a.conn.source, "method", method, "name", name)
	}
}

// loggedIn sets the clock for what must follow a login, by what was proven in the end and nothing that was only asked about.
// One into an account ends the count of its wrong passwords.
func (a *authentication) loggedIn(method string) {
	a.conn.mu.Lock()
	a.conn.loggedIn, a.conn.provisional = true, a.proved.provisional()
	a.conn.registerBy = time.Now().Add(a.server.limits().Registration)
	waits := a.conn.registering
	a.conn.mu.Unlock()
	a.server.keyQueries.Refund(a.conn.from, a.queries)
	switch {
	case waits:
		a.server.stats.Strangers.Add(1)
		a.conn.releaseStarting()
		a.conn.setDeadline(a.server.limits().Registration)
		return
	case a.conn.provisional: // its sessions show the reason, and until then it counts among the connections that have not logged in
		a.server.stats.Strangers.Add(1)
		a.conn.setDeadline(a.server.limits().FirstCommand)
		return
	}
	a.conn.releaseStarting()
	if account, exists := a.server.view().ByID(a.proved.id); exists {
		a.server.stats.Logins.Add(1)
		a.conn.acquireAccount(account.ID)
		a.recordRoleLogin(account, method)
		a.conn.missed = a.server.attempts.Succeeded(account.Name, a.conn.from)
	}
	a.conn.setDeadline(a.server.limits().FirstChannel)
}
