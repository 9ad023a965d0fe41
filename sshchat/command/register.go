package command

import (
	"context"

	"sshchat/sshchat/chat"
)

var _ = add(&Command{
	Name: "register", Args: "[CODE]", Brief: "make an account of the name you logged in with", Group: Yours,
	More: "The key of this login becomes the account's. Without one a password is asked for, which needs ssh -t.\n" +
		"Where accounts are for the invited, the code is that of an invite.",
	Faces: Exec, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if c.Account.ID != "" {
			return failed("you have an account already: %s", c.Account.Name)
		}
		if !c.Registration {
			return denied("registration is closed here; ask an admin for an account")
		}
		if err := c.Session.MayRegister(); err != nil {
			return err
		}
		code := ""
		if c.ByInvite {
			if len(c.Args) == 0 || !c.Accounts.Invited(c.Args[0]) {
				return denied("accounts here are for the invited: register CODE, with a code that an admin gave you and that is not used up")
			}
			code = c.Args[0]
		}
		a, err := c.register(ctx, chat.User, code)
		if err != nil {
			return err
		}
		c.Notef("Welcome, %s. Your account is made; you are in #general.", a.Name)
		return nil
	},
})

// register makes the account of the name that logged in: by the key it proved, or by a password typed twice.
// A code is that of an invite; without one it needs none.
func (c *Call) register(ctx context.Context, role chat.Role, code string) (chat.Account, error) {
	var keys []chat.Key
	var password []byte
	if c.Key != nil {
		keys = []chat.Key{*c.Key}
	} else {
		var err error
		if password, err = c.newPassword(ctx); err != nil {
			return chat.Account{}, err
		}
		defer clear(password)
	}
	info, err := c.Hub.Room(c.Name, chat.General)
	if err != nil {
		return chat.Account{}, err
	}
	var a chat.Account
	if code == "" {
		a, err = c.Accounts.Create(c.Name, role, keys, password, info.Last+1)
	} else {
		a, err = c.Accounts.CreateInvited(code, c.Name, keys, password, info.Last+1)
	}
	if err != nil {
		return chat.Account{}, err
	}
	// The account is made, so it joins, whoever hangs up while a large room gets ready for that.
	if _, err := c.Hub.Join(chat.Settled(ctx), a.Name, chat.General); err != nil {
		return chat.Account{}, err
	}
	c.Log.Info("account made", "account", a.Name, "source", c.Source)
	c.Session.Registered(a)
	c.tellReading(a)
	return a, nil
}

// newPassword asks for a new password, twice.
func (c *Call) newPassword(ctx context.Context) ([]byte, error) {
	for range 3 {
		first, err := c.Session.Ask(ctx, "New password: ", false)
		if err != nil {
			return nil, err
		}
		if err := c.Accounts.CheckPolicy(c.Name, []byte(first)); err != nil {
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
func (c *Call) tellReading(a chat.Account) {
	switch {
	case !a.Reads():
		c.Notef("Your key can log in but cannot open sealed history (age seals to ed25519 and RSA keys only).")
		c.Notef("Set a password as well (passwd), or add an ed25519, RSA or age1… key (key add).")
	case len(a.Keys) > 0:
		c.Notef("Your key opens your history: ssh %s history general | age -d -i YOUR_KEY", c.Login())
	default:
		c.Notef("Your password opens your history: ssh %s identity > me.age", c.Login())
		c.Notef("then: ssh %s history general | age -d -i me.age", c.Login())
	}
}
