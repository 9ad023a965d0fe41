package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// An account of one's own: made, shown and deleted.

var _ = add(&Command{
	Name: "register", Args: "[CODE]", Brief: "create an account for your login name", Group: Yours,
	More: "The key you logged in with becomes the account's key. Without one you are asked for a password, which needs ssh -t.\n" +
		"CODE is an invite code. You need one if the server is invite-only, or if too many accounts were created from your\n" +
		"address lately.",
	UIs: Exec, Effect: ChangesOwn, Secret: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if c.Account.ID != "" {
			return failed("you already have an account: %s", c.Account.Name)
		}
		if err := c.mayRegister(c.Who()); err != nil { // before a password is asked for
			return err
		}
		code, err := inviteCode(c)
		if err != nil {
			return err
		}
		a, err := registerAccount(ctx, c, chat.User, code)
		if err != nil {
			return err
		}
		noteCreated(c, a, "Welcome, %s. Your account is ready; you are in #general.")
		return nil
	},
})

// mayRegister refuses somebody who cannot create an account, as far as that is known before they show a code and choose a password.
func (s *Services) mayRegister(who chat.Caller) error {
	account := chat.Account{Name: who.Name, Role: chat.User, Password: true}
	_, err := s.Hub.View().Check(who, chat.CreateAccount{Account: account, Setting: s.configured().registration()})
	if errors.Is(err, chat.ErrInviteOnly) {
		return nil
	}
	return err
}

// ErrInvite refuses an invite code.
var ErrInvite = &chat.Refusal{Code: chat.Denied, Text: "the invite code is wrong, expired or used up"}

// inviteCode is the hash of the code of an invite that the caller shows; empty if they show none and need none.
func inviteCode(c *Call) (code string, err error) {
	switch {
	case len(c.Args) > 0 && c.Hub.View().Invited(c.Accounts.InviteHash(c.Args[0])):
		return c.Accounts.InviteHash(c.Args[0]), nil
	case len(c.Args) > 0:
		return "", ErrInvite
	case c.Entrance().ByInvite:
		return "", chat.ErrInviteOnly
	}
	return "", c.Caller.MayRegister()
}

// registerAccount creates the account of the login's name, with the key it proved or a password typed twice. code is the
// hash of an invite code, or empty.
func registerAccount(ctx context.Context, c *Call, role chat.Role, code string) (chat.Account, error) {
	var keys []chat.Key
	var password []byte
	if c.Key != nil {
		keys = []chat.Key{*c.Key}
	} else {
		var err error
		if password, err = askNewPassword(ctx, c); err != nil {
			return chat.Account{}, err
		}
		defer clear(password)
	}
	a, err := createAccount(ctx, c, role, keys, password, code)
	if err != nil {
		return chat.Account{}, err
	}
	c.Log.Info("account created", "account", a.Name, "source", c.Source)
	c.Caller.Registered(a)
	return a, nil
}

// noteCreated says that somebody has an account now, how to join, if the session ends, and last what opens their history.
func noteCreated(c *Call, a chat.Account, created string) {
	if c.Next == Chat { // whose session welcomes them
		created = "Created the account %s."
	}
	c.Notef(created, a.Name)
	if c.Next != Chat {
		c.Notef("To join: ssh %s", c.Login())
	}
	noteReading(c, a)
}

// makeAccount makes an account, and returns once it is in users.json as well, if that can be written.
func (c *Call) makeAccount(ctx context.Context, in chat.CreateAccount) error {
	if err := c.decide(ctx, in); err != nil {
		return err
	}
	if err := c.Accounts.Checkpoint(); err != nil {
		c.Log.Warn("the new account is stored but not yet in users.json", "account", in.Account.Name, "err", err)
	}
	return nil
}

// createAccount makes an account; one that people make by themselves counts among those of its source.
func createAccount(ctx context.Context, c *Call, role chat.Role, keys []chat.Key, password []byte, code string) (chat.Account, error) {
	giveBack := func() {}
	if role == chat.User && code == "" {
		var err error
		if giveBack, err = c.Caller.CountRegistration(); err != nil {
			return chat.Account{}, err
		}
	}
	a, err := c.Accounts.NewAccount(ctx, c.Name, role, keys, password)
	if err == nil {
		err = c.makeAccount(ctx, chat.CreateAccount{Account: a, Code: code, Setting: c.configured().registration()})
	}
	if err != nil {
		giveBack()
	}
	return a, err
}

// askNewPassword asks for a new password, twice.
func askNewPassword(ctx context.Context, c *Call) ([]byte, error) {
	for range 3 {
		first, err := c.Session.Ask(ctx, "New password: ", false)
		if err != nil {
			return nil, err
		}
		if err := c.Passwords.CheckPolicy(c.Name, []byte(first)); err != nil {
			c.Notef("%v", err)
			continue
		}
		again, err := c.Session.Ask(ctx, "Repeat the password: ", false)
		if err != nil {
			return nil, err
		}
		if first == again {
			return []byte(first), nil
		}
		c.Notef("The passwords do not match.")
	}
	return nil, failed("no password set")
}

// noteReading says what opens the account's history.
func noteReading(c *Call, a chat.Account) {
	switch {
	case !a.Reads():
		c.Notef("Your key can log in but cannot open sealed history (only ed25519 and RSA keys can).")
		c.Notef("Set a password too (%s), or add an ed25519, RSA or age1… key (%s).", c.typed("passwd"), c.typed("key add"))
	case len(a.Keys) > 0:
		c.Notef("Your key opens your history: ssh %s history general | age -d -i %s", c.Login(), cmp.Or(identityFile(a, ""), "YOUR_KEY"))
	default:
		c.Notef("Your password opens your history: ssh %s identity > me.age", c.Login())
		c.Notef("then: ssh %s history general | age -d -i me.age", c.Login())
	}
}

// Claim is the right to become the first admin with the code that the server printed. Wrong codes do not end it: nobody
// guesses 80 bits, and otherwise an attacker could lock the operator out.
type Claim struct {
	mu    sync.Mutex
	code  string // guarded by mu; empty while there is nothing to claim
	codes int    // guarded by mu; how many there were
}

// NewClaim draws a code.
func NewClaim() *Claim {
	c := &Claim{}
	c.Renew()
	return c
}

// Renew draws another code of at least 80 bits; the one before it serves no more.
func (c *Claim) Renew() { c.Set(strings.ToLower(rand.Text()[:20])) }

// Set has this code serve, and no other. An empty one ends the claim: there is an admin.
func (c *Claim) Set(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = code
	c.codes++
}

// Code is what must be shown; empty when there is nothing to claim.
func (c *Claim) Code() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.code
}

// take uses the code up if it is the right one. Between take and a failed make, keep returns it.
func (c *Claim) take(code string) (keep func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == "" || subtle.ConstantTimeCompare([]byte(c.code), []byte(strings.ToLower(strings.TrimSpace(code)))) != 1 {
		return nil, false
	}
	taken, codes := c.code, c.codes
	c.code = ""
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.codes == codes { // else there is another, or an admin
			c.code = taken
		}
	}, true
}

var _ = add(&Command{
	Name: "claim", Args: "CODE", Brief: "become the first admin", Group: Yours,
	More: "The server prints the code when it starts, and a new one on SIGHUP while there is no admin. It works once.",
	UIs:  Exec, Effect: ChangesAccount, Secret: true, Words: 1,
	Run: runClaim,
})

func runClaim(ctx context.Context, c *Call) error {
	if len(c.Args) != 1 {
		return c.usage("claim needs a code")
	}
	if c.Claim == nil || c.Claim.Code() == "" {
		return denied("this server already has an admin")
	}
	if err := c.Caller.MayClaim(); err != nil {
		return err
	}
	keep, ok := c.Claim.take(c.Args[0])
	if !ok {
		return denied("wrong code; the server prints it when it starts, and a new one on SIGHUP")
	}
	account, err := c.Account, error(nil)
	fresh := account.ID == ""
	if fresh {
		account, err = registerAccount(ctx, c, chat.Admin, "")
	} else {
		err = c.decide(ctx, chat.ClaimAdmin{ID: account.ID})
	}
	if err != nil {
		keep()
		return err
	}
	c.Log.Info("first admin", "account", account.Name, "source", c.Source)
	const done = "You are now the admin of this server, %s."
	if fresh {
		noteCreated(c, account, done)
	} else {
		c.Notef(done, account.Name)
	}
	if len(account.Keys) == 0 {
		c.Notef("Admin commands need a login by key or with a second factor: %s, or %s.", c.typed("key add"), c.typed("totp enable"))
	}
	return nil
}

var _ = add(&Command{
	Name: "whoami", Brief: "show your account", Group: Yours, UIs: Both, Effect: Reads, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		a := c.Account
		if c.json() {
			c.printJSON(struct {
				Name     chat.Name `json:"name"`
				Role     chat.Role `json:"role"`
				Keys     int       `json:"keys"`
				Password bool      `json:"password"`
				TOTP     bool      `json:"totp"`
				Reads    bool      `json:"reads"`
			}{a.Name, a.Role, len(a.Keys), a.Password, a.TOTP, a.Reads()})
			return nil
		}
		c.Printf("%s (%s), %s\n", a.Name, a.Role, loginsOf(a, a.Reads()))
		return nil
	},
})

// loginsOf says how an account logs in, and whether that opens history: "1 key, no password, can open history".
func loginsOf(a chat.Account, reads bool) string {
	said := text.Count(len(a.Keys), "key")
	if len(a.Keys) == 0 {
		said = "no keys"
	}
	switch {
	case !a.Password:
		said += ", no password"
	case a.TOTP:
		said += ", a password and a second factor"
	default:
		said += ", a password"
	}
	if !reads {
		return said + ", cannot open history"
	}
	return said + ", can open history"
}

var _ = add(&Command{
	Name: "account delete", Brief: "permanently delete your account", Group: Yours,
	More: "The name is never given out again. Your messages stay in the rooms' histories. It needs ssh -t.",
	UIs:  Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		err := confirm(ctx, c, "This permanently deletes your account. Type its name to continue: ", []string{c.Account.Name.String()}, []string{"n", "no"})
		if err != nil {
			return err
		}
		return deleteAccount(ctx, c, c.Account, true)
	},
})
