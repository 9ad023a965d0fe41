package sshchat

import (
	"errors"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command"

	gossh "golang.org/x/crypto/ssh"
)

// loginKey is where the permissions of a connection hold what it proved: one login, and nothing else. x/crypto keeps the
// permissions of the method that succeeded, with the key that was proven, and drops those of keys that were merely asked
// about (CVE-2024-45337).
type loginKey struct{}

// login is what a connection proved. It names an account by its id, never by its name: a name can be taken
// by another account while a connection is open, an id cannot.
type login struct {
	id     string // the account's; empty while there is none
	key    string // the fingerprint of the account's key that was proven; empty without an account, and after a password
	newKey string // the key that was proven, as an authorized_keys line, while there is no account
	proof  string // the generation of the password proven; empty with a key
	second bool   // and the second factor

	only chat.Only // what the key was restricted to when the session began; not in the permissions
}

// errStale is returned for a login whose account, key or password is no longer what it was.
var errStale = &chat.Refusal{Code: chat.Denied, Text: "this login is no longer valid: the account, key or password has changed. Please reconnect"}

// errDisabled and errNotListed are returned for logins that are valid and unwanted.
var (
	errDisabled  = &chat.Refusal{Code: chat.Denied, Text: "this account is disabled; ask an admin"}
	errNotListed = &chat.Refusal{Code: chat.Denied, Text: "only those on its list may use this server now; ask an admin"}
)

func (l login) provisional() bool { return l.id == "" }

// restricted is the login of a session that begins: its key is for what it is for now.
func (l login) restricted(a chat.Account) login {
	for _, k := range a.Keys {
		if k.Fingerprint == l.key {
			l.only = k.Only
		}
	}
	return l
}

// verified reports whether the login is worth an admin's rights: a guessed password is not.
func (l login) verified() bool { return l.key != "" || l.second }

// permissions are what an auth callback returns for the login.
func (l login) permissions() *gossh.Permissions {
	return &gossh.Permissions{ExtraData: map[any]any{loginKey{}: l}}
}

// loginOf is what the connection with these permissions proved.
func loginOf(p *gossh.Permissions) (login, error) {
	if p != nil {
		if l, ok := p.ExtraData[loginKey{}].(login); ok {
			return l, nil
		}
	}
	return login{}, errors.New("internal error: a connection without a login")
}

// account returns the login's account as it stands in the rolls: it is asked for at the session's start, at each command,
// and wherever one changes something. Whoever is kept out learns why only here, after having proven who they are.
func (s *Server) account(now command.Rolls, c *conn, l login) (chat.Account, error) {
	switch a, ban, denial := admit(now, c, l); denial {
	case chat.Admitted:
		return a, nil
	case chat.Banned:
		return chat.Account{}, command.Banned(ban)
	case chat.Disabled:
		return chat.Account{}, errDisabled
	case chat.NotListed:
		return chat.Account{}, errNotListed
	}
	return chat.Account{}, errStale
}

// admit asks chat's rule about the login, and returns its account and the ban that hits it, if there are.
func admit(now command.Rolls, c *conn, l login) (chat.Account, chat.Sanction, chat.Denial) {
	a, _ := now.ByID(l.id)
	ban, banned := now.Banned(a.Name, c.addr, l.key)
	return a, ban, chat.Admit(l.proven(), a, banned, now.Allowed(a, c.addr, l.key))
}

// proven is the login as chat's rules take it.
func (l login) proven() chat.Login {
	if l.provisional() {
		return chat.Login{}
	}
	return chat.Login{Account: l.id, Key: l.key, Only: l.only, Generation: l.proof, Second: l.second}
}

// admitStranger refuses a login without an account if somebody has made one of its name meanwhile, for which it proved
// nothing, if its key or address is banned, and if only others are let in.
func (s *Server) admitStranger(now command.Rolls, c *conn, name chat.Name, key *chat.Key) error {
	if _, taken := now.ByName(name); taken {
		return errStale
	}
	fingerprint := ""
	if key != nil {
		fingerprint = key.Fingerprint
	}
	if ban, hit := now.Banned(chat.Name{}, c.addr, fingerprint); hit {
		return command.Banned(ban)
	}
	if !now.Allowed(chat.Account{Name: name}, c.addr, fingerprint) {
		return errNotListed
	}
	return nil
}

// registered is the login of a session whose account has just been made.
func (l login) registered(a chat.Account, key *chat.Key) login {
	switch {
	case l.provisional() && key != nil:
		return login{id: a.ID, key: key.Fingerprint}
	case l.provisional():
		return login{id: a.ID, proof: a.Generation, second: a.TOTP}
	}
	return l
}
