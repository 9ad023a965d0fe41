package sshchat

import (
	"errors"

	"sshchat/sshchat/chat"

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

// proven is the login as chat's rules take it.
func (l login) proven() chat.Login {
	if l.provisional() {
		return chat.Login{}
	}
	return chat.Login{Account: l.id, Key: l.key, Only: l.only, Generation: l.proof, Second: l.second}
}

// asks is the session as chat's rules see it at this moment: its login changes with what it has to prove. It may be
// called from any goroutine.
func (who *caller) asks() chat.Caller {
	l, c := who.proven.Load(), who.conn
	asks := chat.Caller{
		Login: l.proven(), Name: who.name, Addr: c.addr, Key: l.key, Verified: !l.provisional() && l.verified(),
	}
	if l.provisional() {
		if asks.Key = ""; who.key != nil {
			asks.Key = who.key.Fingerprint
		}
	}
	return asks
}

// admitted returns the account of the session's login as it stands now. It is asked at the session's start, and at each
// command; whoever is kept out learns why only here, after having proven who they are.
func (who *caller) admitted() (chat.Account, error) { return who.server.services.Admitted(who.asks()) }

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
