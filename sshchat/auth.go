package sshchat

import (
	"context"
	"errors"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/limit"
	"sshchat/sshchat/text"

	"charm.land/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// instruction is shown with the password prompt: what a banner would say, without spoiling the output of commands.
func (s *Server) instruction() string {
	if s.services.ByInvite {
		return "A chat server. Log in with a key or the password of your account.\nNo account yet? With the code of an invite an unused name is let in to make one."
	}
	if s.services.Registration {
		return "A chat server. Log in with a key or the password of your account.\nNo account yet? Any unused name is let in to make one."
	}
	return "A chat server. Log in with a key or the password of your account.\nNo account yet? Ask an admin for one."
}

var (
	errLogin    = errors.New("permission denied")
	errTooMany  = errors.New("too many passwords in one connection")
	errDraining = errors.New("the server is stopping")
)

// config makes the SSH configuration of one connection. It is made anew each time: the library adds to it.
func (s *Server) config(ctx ssh.Context) *gossh.ServerConfig {
	c := connOf(ctx)
	config := &gossh.ServerConfig{
		MaxAuthTries: s.limits.AuthTries,
		PreAuthConnCallback: func(gossh.ServerPreAuthConn) {
			c.within(s.limits.Handshake) // the keys are agreed on; the rest of the time is for logging in
		},
		PublicKeyCallback: func(m gossh.ConnMetadata, key gossh.PublicKey) (*gossh.Permissions, error) {
			return s.offerKey(c, m.User(), key)
		},
		PasswordCallback: func(m gossh.ConnMetadata, password []byte) (*gossh.Permissions, error) {
			defer clear(password)
			return s.tryPassword(ctx, c, m.User(), password, nil)
		},
		KeyboardInteractiveCallback: func(m gossh.ConnMetadata, ask gossh.KeyboardInteractiveChallenge) (*gossh.Permissions, error) {
			answers, err := ask("", s.instruction(), []string{"Password: "}, []bool{false})
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
func (s *Server) offerKey(c *conn, user string, key gossh.PublicKey) (*gossh.Permissions, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	c.triesLogin()
	name, err := text.ParseName(user)
	if err != nil {
		return nil, errLogin
	}
	a, ok := s.services.Accounts.ByName(name)
	if !ok {
		return s.stranger(c, strings.TrimSpace(string(gossh.MarshalAuthorizedKey(key))))
	}
	fingerprint := gossh.FingerprintSHA256(key)
	for _, k := range a.Keys {
		if k.Fingerprint == fingerprint {
			return login{id: a.ID, key: fingerprint}.permissions(), nil
		}
	}
	return nil, errLogin
}

// tryPassword checks a password. Whether the account exists, has a password or not, is looked at or not because too many
// were wrong, the check takes the same way and as long, and the answer is the same words. askCode asks for the code of a
// second factor; nil where the method cannot, and then the password of who has one is as good as wrong.
func (s *Server) tryPassword(ctx context.Context, c *conn, user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	if s.draining.Load() {
		return nil, errDraining
	}
	c.triesLogin()
	if s.limits.Penalties && !c.exempt && s.penalties.Refused(c.from) { // since it was let in
		c.Close()
		return nil, errTooMany
	}
	if c.passwords++; c.passwords > s.limits.Passwords {
		c.Close()
		return nil, errTooMany
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

// guess looks at a password, if it may.
func (s *Server) guess(ctx context.Context, c *conn, user string, password []byte, askCode func() (string, error)) (*gossh.Permissions, error) {
	name, err := text.ParseName(user)
	if err != nil {
		c.charge(limit.AuthFail)
		return nil, errLogin
	}
	whose, look := name, s.attempts.Try(name, c.from)
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
		return login{id: a.ID, proof: a.Generation, second: a.TOTP}.permissions(), nil
	}
	if _, exists := s.services.Accounts.ByName(name); !exists {
		if p, err := s.stranger(c, ""); err == nil {
			s.attempts.Forget(name)
			return p, nil
		}
	}
	if !s.passwords.Wrong(err) && !errors.Is(err, errLogin) {
		if look {
			s.attempts.Withdraw(name)
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

// stranger lets a name without an account in to make one, if strangers may and there is a slot.
// Nobody becomes an account by this: the session asks first.
func (s *Server) stranger(c *conn, key string) (*gossh.Permissions, error) {
	claimable := s.services.Claim != nil && s.services.Claim.Code() != ""
	if !s.services.Registration && !claimable || s.newcomers.Wait(c.from, c.exempt) > 0 && !claimable || !c.takeSlot() {
		return nil, errLogin
	}
	return login{key: key}.permissions(), nil
}

// logLogin writes one line for each login and each failure: the source first, then the name, shortened and quoted,
// so that nobody can forge a line with it. Keys that were only asked about are not failures.
func (s *Server) logLogin(c *conn, m gossh.ConnMetadata, method string, err error) {
	name := text.Clean(m.User(), text.MaxName)
	switch {
	case err == nil:
		s.log.Info("login", "source", c.source, "method", method, "name", name)
		c.client = string(m.ClientVersion())
		s.loggedIn(c, m.User(), method)
	case method == "password" || method == "keyboard-interactive":
		s.count(&s.stats.Failures)
		s.failures.failed(c, method, name)
	}
}

// loggedIn sets the clock for what must follow a login. One into an account ends the count of its wrong passwords.
func (s *Server) loggedIn(c *conn, user, method string) {
	c.mu.Lock()
	provisional := c.provisional
	c.in = true
	c.mu.Unlock()
	c.leaveStart()
	name, err := text.ParseName(user)
	if provisional || err != nil {
		s.count(&s.stats.Strangers)
		c.within(s.limits.Registration)
		return
	}
	if a, exists := s.services.Accounts.ByName(name); exists {
		s.count(&s.stats.Logins)
		c.becomes(a.ID)
		s.ruled(c, a, method)
		c.missed = s.attempts.Succeeded(name, c.from)
	}
	c.within(s.limits.FirstChannel)
}
