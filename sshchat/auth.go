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
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// instruction is shown with the password prompt: what a banner would say, without spoiling the output of commands.
func (s *Server) instruction(c *conn) string {
	lines := []string{"A chat server. Log in with a key or the password of your account."}
	if wait := s.guessesWait(c); wait > 0 {
		lines = append(lines, fmt.Sprintf("Many wrong passwords came from your address: the next is looked at in %s. Keys, and names that log in from there, do not wait.", approx(wait)))
	}
	account := "Ask an admin for one."
	if wait := s.accountsWait(c); s.services.Registration && wait != "" {
		account = "A name is let in, but " + wait + "."
	} else if s.services.ByInvite {
		account = "With the code of an invite an unused name is let in to make one."
	} else if s.services.Registration {
		account = "Any unused name is let in to make one."
	}
	return strings.Join(append(lines, "No account yet? "+account), "\n")
}

var (
	errLogin    = errors.New("permission denied")
	errTooMany  = errors.New("too many passwords")
	errDraining = errors.New("the server is stopping")
)

// config makes the SSH configuration of one connection. It is made anew each time: the library adds to it.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := connOf(ctx)
	config := &gossh.ServerConfig{
		MaxAuthTries: s.limits.AuthTries,
		PreAuthConnCallback: func(p gossh.ServerPreAuthConn) {
			c.agreed(p)
			c.within(s.limits.Handshake) // the keys are agreed on; the rest of the time is for logging in
		},
		PublicKeyCallback: func(m gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			return s.offerKey(ctx, c, m.User(), key)
		},
		VerifiedPublicKeyCallback: func(m gossh.ConnMetadata, _ gossh.PublicKey, p *gossh.Permissions, _ string) (*gossh.Permissions, error) {
			return s.keyProven(c, m.User(), p)
		},
		PasswordCallback: func(m gossh.ConnMetadata, password []byte) (*gossh.Permissions, error) {
			defer clear(password)
			return s.tryPassword(ctx, c, m.User(), password, nil)
		},
		KeyboardInteractiveCallback: func(m gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge) (*gossh.Permissions, error) {
			answers, err := ask("", s.instruction(c), []string{"Password: "}, []bool{false})
			if err != nil {
				return nil, err
			}
			password := []byte(answers[0]) // the string itself cannot be wiped
			defer clear(password)
			return s.tryPassword(ctx, c, m.User(), password, func() (string, error) {
				answers, err := ask("", "", []string{"Code: "}, []bool{true})
				if err != nil {
					return "", err
				}
				return answers[0], nil
			})
		},
		AuthLogCallback: func(m gossh.ConnMetadata, method string, err error) {
			s.logLogin(c, m, method, err)
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
func (s *Server) offerKey(ctx context.Context, c *conn, user string, key gossh.PublicKey) (*gossh.Permissions, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	c.triesLogin()
	if err := s.paceQuery(ctx, c); err != nil {
		return nil, err
	}
	name, err := text.ParseName(user)
	if s.isStranger(user) {
		l := login{newKey: strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key)))}
		if _, weak := s.services.Accounts.ParseKey(l.newKey); weak != nil && err == nil {
			words, _ := command.Text(weak) // no account could have it, but the client may have another
			c.say(fmt.Sprintf("your key %s is refused: %s", gossh.FingerprintSHA256(key), words))
			return nil, errLogin
		}
		return l.permissions(), nil
	}
	a, _ := s.view().ByName(name)
	fingerprint := gossh.FingerprintSHA256(key)
	for _, k := range a.Keys {
		if k.Fingerprint == fingerprint {
			return login{id: a.ID, key: fingerprint}.permissions(), nil
		}
	}
	return nil, errLogin
}

// paceQuery has a source that asks about very many keys wait for the answers. What leads to a login is given back.
func (s *Server) paceQuery(ctx context.Context, c *conn) error {
	if c.exempt {
		return nil
	}
	c.queries++
	wait := s.keyQueries.Spend(c.from, time.Now())
	if wait <= 0 {
		return nil
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// keyProven is called when the client has proven a key that offerKey took.
func (s *Server) keyProven(c *conn, user string, p *gossh.Permissions) (*gossh.Permissions, error) {
	l, err := loginOf(p)
	if err != nil {
		return nil, err
	}
	if l.provisional() {
		return s.letIn(c, user, l), nil
	}
	c.proved = l
	return p, nil
}

// tryPassword checks a password. Whether the account exists, has a password or not, is looked at or not because too many
// were wrong, the check takes the same way and as long, and the answer is the same words; but for names without an account
// where that is public. askCode asks for the code of a second factor; nil where the method cannot, and then the password of
// who has one is as good as wrong.
func (s *Server) tryPassword(ctx context.Context, c *conn, user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	c.triesLogin()
	if s.isStranger(user) {
		return s.letIn(c, user, login{}), nil
	}
	if wait := s.keptAway(c); wait > 0 { // since it was let in
		return nil, c.hangUp(failedLogins(wait))
	}
	if c.passwords++; c.passwords > s.limits.Passwords {
		return nil, c.hangUp("too many wrong passwords in one connection; please connect again")
	}
	earliest := time.After(s.limits.Failure)
	p, err := s.guess(ctx, c, user, password, askCode)
	if err != nil {
		select {
		case <-earliest:
		case <-ctx.Done():
		}
	}
	return p, err
}

// say shows words to a client that is logging in. There is no banner otherwise: it would spoil what commands print.
func (c *conn) say(words string) {
	if p := c.preAuth(); p != nil {
		p.SendAuthBanner(words + "\r\n") // fails only with the connection
	}
}

// hangUp closes a connection that is logging in, with words.
func (c *conn) hangUp(why string) error {
	c.say(why)
	c.Close()
	return errTooMany
}

// guess looks at a password, if it may.
func (s *Server) guess(ctx context.Context, c *conn, user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	name, err := text.ParseName(user)
	if err != nil {
		return nil, errLogin // no account is so named: it guesses nothing
	}
	whose, look := name, s.mayGuess(c, name) && s.attempts.Try(name, c.from)
	if !look {
		s.count(&s.stats.Unheard)
		whose = chat.Name{} // nobody's: it takes as long
	}
	a, secret, err := s.passwords.CheckBoth(ctx, whose, password)
	defer clear(secret)
	if err == nil && a.TOTP {
		err = s.askSecond(a, secret, askCode)
	}
	if err == nil {
		c.proved = login{id: a.ID, proof: a.Generation, second: a.TOTP}
		return c.proved.permissions(), nil
	}
	if !s.passwords.Wrong(err) && !errors.Is(err, errLogin) {
		if look {
			s.attempts.Withdraw(name, c.from)
		}
		return nil, err
	}
	s.wrongPassword(c, name)
	return nil, errLogin
}

// askSecond asks for the code of a second factor, after the password was right.
func (s *Server) askSecond(a chat.Account, secret []byte, askCode func() (string, error)) error {
	if askCode == nil {
		return errLogin
	}
	code, err := askCode()
	if err != nil {
		return errLogin // whoever knows the password and hangs up has guessed, too
	}
	return s.passwords.CheckCode(a.ID, secret, code)
}

// wrongPassword notes one: for the name, the source, and whoever it concerns.
func (s *Server) wrongPassword(c *conn, name chat.Name) {
	s.attempts.Failed(name, c.source)
	c.charge(limit.AuthFail)
	s.guessed(c, name)
	if s.services.Hub.Here(name) && s.attempts.NotifyDue(name) {
		s.services.Hub.Tell(name, "A wrong password was just tried for your account, from %s.", c.source)
	}
}

// logLogin writes one line for each login and each failure: the source first, then the name, shortened and quoted,
// so that nobody can forge a line with it. Keys that were only asked about are not failures.
func (s *Server) logLogin(c *conn, m gossh.ConnMetadata, method string, err error) {
	name := text.Clean(m.User(), text.MaxName)
	switch {
	case err == nil:
		c.client = string(m.ClientVersion())
		if c.proved.provisional() {
			s.strange.write(slog.LevelInfo, c.from, "login", "source", c.source, "method", method, "name", name, "account", false)
		} else {
			s.logins.write(slog.LevelInfo, c.from, "login", "source", c.source, "method", method, "name", name)
		}
		s.loggedIn(c, method)
	case method == "password" || method == "keyboard-interactive":
		s.count(&s.stats.Failures)
		s.failures.write(slog.LevelWarn, c.from, "login failed", "source", c.source, "method", method, "name", name)
	}
}

// loggedIn sets the clock for what must follow a login, by what was proven in the end and nothing that was only asked about.
// One into an account ends the count of its wrong passwords.
func (s *Server) loggedIn(c *conn, method string) {
	c.mu.Lock()
	c.in, c.provisional = true, c.proved.provisional()
	c.registerBy = time.Now().Add(s.limits.Registration)
	waits := c.place
	c.mu.Unlock()
	s.keyQueries.Refund(c.from, c.queries)
	switch {
	case waits:
		s.count(&s.stats.Strangers)
		c.leaveStart()
		c.within(s.limits.Registration)
		return
	case c.provisional: // it is told why not, and keeps its place among those that have not logged in until then
		s.count(&s.stats.Strangers)
		c.within(s.limits.FirstCommand)
		return
	}
	c.leaveStart()
	if a, exists := s.view().ByID(c.proved.id); exists {
		s.count(&s.stats.Logins)
		c.becomes(a.ID)
		s.ruled(c, a, method)
		c.missed = s.attempts.Succeeded(a.Name, c.from)
	}
	c.within(s.limits.FirstChannel)
}
