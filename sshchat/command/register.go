package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "register", Args: "[CODE]", Brief: "make an account of the name you logged in with", Group: Yours,
	More: "The key of this login becomes the account's. Without one a password is asked for, which needs ssh -t.\n" +
		"CODE is that of an invite. It is needed if accounts are only for people with an invite, and lifts the limit of new\n" +
		"accounts if many were made from your address.",
	Faces: Exec, Effect: ChangesOwn, Secret: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if c.Account.ID != "" {
			return failed("you have an account already: %s", c.Account.Name)
		}
		if !c.Registration {
			return denied("registration is closed here; ask an admin for an account")
		}
		if err := c.may(creationOf(c, chat.User)); err != nil { // before a password is asked for
			return err
		}
		code, err := shownInvite(c)
		if err != nil {
			return err
		}
		a, err := registerAccount(ctx, c, chat.User, code)
		if err != nil {
			return err
		}
		c.Notef("Welcome, %s. Your account is made; you are in #general.", a.Name)
		return nil
	},
})

// creationOf is what the caller wants, as far as it is known before a password is chosen.
func creationOf(c *Call, role chat.Role) chat.CreateAccount {
	return chat.CreateAccount{Account: chat.Account{Name: c.Name, Role: role, Password: true}}
}

// shownInvite is the hash of the code of an invite that the caller shows; empty if they show none and need none.
func shownInvite(c *Call) (code string, err error) {
	switch {
	case len(c.Args) > 0 && c.Hub.View().Invited(c.Accounts.InviteHash(c.Args[0])):
		return c.Accounts.InviteHash(c.Args[0]), nil
	case c.ByInvite:
		return "", denied("accounts here are for the invited: register CODE, with a code that an admin gave you and that is not used up")
	case len(c.Args) > 0:
		return "", denied("that is not the code of an invite, or it is used up")
	}
	return "", c.Caller.MayRegister()
}

// registerAccount makes the account of the name that logged in: by the key it proved, or by a password typed twice.
// code is the hash of that of an invite; without one it needs none.
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
	c.Log.Info("account made", "account", a.Name, "source", c.Source)
	c.Caller.Registered(a)
	tellReading(c, a)
	return a, nil
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
		err = c.decide(ctx, chat.CreateAccount{Account: a, Code: code})
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
		again, err := c.Session.Ask(ctx, "The same again: ", false)
		if err != nil {
			return nil, err
		}
		if first == again {
			return []byte(first), nil
		}
		c.Notef("These two were not the same.")
	}
	return nil, failed("no password set")
}

// tellReading says what opens the account's history.
func tellReading(c *Call, a chat.Account) {
	switch {
	case !a.Reads():
		c.Notef("Your key can log in but cannot open sealed history (age seals to ed25519 and RSA keys only).")
		c.Notef("Set a password as well (%s), or add an ed25519, RSA or age1… key (%s).", c.typed("passwd"), c.typed("key add"))
	case len(a.Keys) > 0:
		c.Notef("Your key opens your history: ssh %s history general | age -d -i YOUR_KEY", c.Login())
	default:
		c.Notef("Your password opens your history: ssh %s identity > me.age", c.Login())
		c.Notef("then: ssh %s history general | age -d -i me.age", c.Login())
	}
}
