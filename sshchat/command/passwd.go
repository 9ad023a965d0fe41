package command

import "context"

var _ = add(&Command{
	Name: "passwd", Brief: "set or change your password (needs ssh -t)", Group: Yours,
	More:  "The new password opens all your history, the old one nothing said from now on.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.Hub.MayChangeKeys(c.Account.Name); err != nil {
			return err
		}
		if err := changePassword(ctx, c); err != nil {
			return err
		}
		c.Log.Info("password changed", "account", c.Account.Name, "source", c.Source)
		c.Notef("Your password is changed. Other sessions that came in with the old one have ended.")
		return nil
	},
})

// changePassword asks for the password that is, if there is one, and for another. What is asked again is only the first.
func changePassword(ctx context.Context, c *Call) error {
	var fresh []byte
	defer func() { clear(fresh) }()
	return askAgain(c, func() error {
		var old []byte
		if c.Account.Password {
			var err error
			if old, err = askSecret(ctx, c, "Present password: "); err != nil {
				return err
			}
			defer clear(old)
		}
		if fresh == nil {
			var err error
			if fresh, err = askNewPassword(ctx, c); err != nil {
				return err
			}
		}
		return c.Caller.Guess(func() error {
			return c.Caller.Renew(func() (string, bool, error) {
				in, err := c.Passwords.NewPassword(ctx, c.Account.ID, old, fresh)
				if err == nil {
					err = c.decide(ctx, in)
				}
				return c.Account.WithPassword(in.Recipient, in.Secret).Generation, c.Account.TOTP, err
			})
		})
	})
}

var _ = add(&Command{
	Name: "passwd recover", Brief: "add what the last one opened (needs ssh -t)", Group: Yours,
	More: "After an admin has given you a new password: asks for it, and for the one\n" +
		"before. From then on the new one opens what both did.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password; %s sets one", c.typed("passwd"))
		}
		err := askAgain(c, func() error {
			present, err := askSecret(ctx, c, "Present password: ")
			if err != nil {
				return err
			}
			defer clear(present)
			earlier, err := askSecret(ctx, c, "The one before it: ")
			if err != nil {
				return err
			}
			defer clear(earlier)
			return c.Caller.Guess(func() error {
				in, err := c.Passwords.Recovered(ctx, c.Account.ID, present, earlier)
				if err != nil {
					return err
				}
				return c.decide(ctx, in)
			})
		})
		if err != nil {
			return err
		}
		c.Log.Info("password recovered", "account", c.Account.Name, "source", c.Source)
		c.Notef("Your password opens what the one before it did, too.")
		return nil
	},
})
