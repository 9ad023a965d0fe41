package command

import (
	"context"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"

	"sshchat/sshchat/chat"

	"filippo.io/age"
	"github.com/boombuler/barcode/qr"
)

// What people log in and read with beside keys: passwords and the second factor.

var _ = add(&Command{
	Name: "passwd", Brief: "set or change your password (needs ssh -t)", Group: Yours,
	More: "The new password opens all your history. The old one does not open new messages.",
	UIs:  Both, Effect: ChangesAccount, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.Hub.MayChangeKeys(c.Account.Name); err != nil {
			return err
		}
		if err := changePassword(ctx, c); err != nil {
			return err
		}
		c.Log.Info("password changed", "account", c.Account.Name, "source", c.Source)
		c.Notef("Password changed. Your other sessions that used the old one have ended.")
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
			if old, err = askSecret(ctx, c, "Current password: "); err != nil {
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
		return c.Caller.CheckPassword(func() error {
			return renew(ctx, c, func() (string, bool, error) {
				in, err := c.Passwords.NewPassword(ctx, c.Account.ID, old, fresh)
				if err == nil {
					err = submit(ctx, c, in)
				}
				return c.Account.WithPassword(in.Recipient, in.Secret).Generation, c.Account.TOTP, err
			})
		})
	})
}

var _ = add(&Command{
	Name: "passwd recover", Brief: "read old messages after a reset (needs ssh -t)", Group: Yours,
	More: "After an admin has reset your password: asks for the new one and the one before it.\n" +
		"The new password then also opens what the old one did.",
	UIs: Both, Effect: ChangesAccount, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password; to set one: %s", c.typed("passwd"))
		}
		err := askAgain(c, func() error {
			present, err := askSecret(ctx, c, "Current password: ")
			if err != nil {
				return err
			}
			defer clear(present)
			earlier, err := askSecret(ctx, c, "Previous password: ")
			if err != nil {
				return err
			}
			defer clear(earlier)
			return c.Caller.CheckPassword(func() error {
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
		c.Notef("Your password now also opens what the previous one did.")
		return nil
	},
})

var _ = add(&Command{
	Name: "identity", Brief: "print your identity for opening history", Group: Yours,
	More: "An age identity file, encrypted with your password.\nssh … identity > me.age, then: ssh … history general | age -d -i me.age",
	UIs:  Exec, Effect: Reads, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		armored, err := c.Passwords.Identity(c.Account.ID)
		if err != nil {
			return err
		}
		c.Out.Write(armored)
		return nil
	},
})

var _ = add(&Command{
	Name: "totp enable", Brief: "require a code after your password", Group: Yours,
	More: "An authenticator app shows the code, a new one every 30 seconds. Keys log in without it. SSH clients must support\n" +
		"keyboard-interactive, as nearly all do. It needs ssh -t.",
	UIs: Both, Effect: ChangesAccount, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		switch {
		case !c.Account.Password:
			return failed("a second factor needs a password, and you have none; to set one: %s", c.typed("passwd"))
		case c.Account.TOTP:
			return failed("you already have a second factor; to remove it: %s", c.typed("totp disable"))
		}
		if err := provePassword(ctx, c, false); err != nil {
			return err
		}
		secret := c.SecondFactor.NewSecret()
		defer clear(secret)
		var recovery []string
		question := secretText(c, secret) + "Code from your authenticator: "
		err := askAgain(c, func() error {
			code, err := c.Session.Ask(ctx, question, true)
			if err != nil {
				return err
			}
			question = "Code: "
			return renew(ctx, c, func() (string, bool, error) {
				in, codes, err := c.SecondFactor.NewFactor(c.Account.ID, secret, code)
				if err == nil {
					recovery, err = codes, submit(ctx, c, in)
				}
				return c.Account.Generation, true, err
			})
		})
		if err != nil {
			return err
		}
		return noteSecondFactor(c, recovery)
	},
})

// noteSecondFactor ends totp enable: the session has proven both.
func noteSecondFactor(c *Call, recovery []string) error {
	c.Log.Info("second factor on", "account", c.Account.Name, "source", c.Source)
	c.Notef("Second factor on: your password now needs a code. Each of these recovery codes can be used once instead of one.\nWrite them down; they are not shown again.")
	for _, code := range recovery {
		c.Printf("%s\n", code)
	}
	return nil
}

// secretText is the secret as authenticators take it: as a picture to point a camera at, as a link, and as letters.
func secretText(c *Call, secret []byte) string {
	letters := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	link := "otpauth://totp/" + url.PathEscape(c.ServerName+":"+c.Account.Name.String()) + "?secret=" + letters + "&issuer=" + url.QueryEscape(c.ServerName)
	return fmt.Sprintf("Scan this with your authenticator, or enter the link or the secret:\n%s%s\nsecret %s\n", picture(link), link, letters)
}

// picture is a QR code in half blocks, dark on light whatever the terminal's colors; empty if the text is too long.
func picture(text string) string {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return ""
	}
	const quiet = 2 // modules of margin
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		if x < 0 || y < 0 || x >= size || y >= size {
			return true
		}
		r, _, _, _ := code.At(x, y).RGBA()
		return r > 0
	}
	var b strings.Builder
	for y := -quiet; y < size+quiet; y += 2 {
		for x := -quiet; x < size+quiet; x++ {
			b.WriteString(map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}[[2]bool{light(x, y), light(x, y+1)}])
		}
		b.WriteString("\n")
	}
	return b.String()
}

var _ = add(&Command{
	Name: "totp disable", Brief: "remove the second factor", Group: Yours,
	More: "It asks for your password and a code, or a recovery code. It needs ssh -t.",
	UIs:  Both, Effect: ChangesAccount, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.TOTP {
			return failed("you have no second factor")
		}
		if err := provePassword(ctx, c, true); err != nil {
			return err
		}
		err := renew(ctx, c, func() (string, bool, error) {
			return c.Account.Generation, false, submit(ctx, c, chat.SetFactor{ID: c.Account.ID})
		})
		if err != nil {
			return err
		}
		c.Log.Info("second factor off", "account", c.Account.Name, "source", c.Source)
		c.Notef("Second factor off: your password no longer needs a code.")
		return nil
	},
})

// provePassword asks for the caller's password, and for a code as well.
func provePassword(ctx context.Context, c *Call, code bool) error {
	return askAgain(c, func() error { return provePasswordOnce(ctx, c, code) })
}

func provePasswordOnce(ctx context.Context, c *Call, code bool) error {
	password, err := askSecret(ctx, c, "Password: ")
	if err != nil {
		return err
	}
	defer clear(password)
	second := ""
	if code {
		if second, err = c.Session.Ask(ctx, "Code: ", true); err != nil {
			return err
		}
	}
	return c.Caller.CheckPassword(func() error {
		a, secret, err := c.SecondFactor.CheckBoth(ctx, c.Account.Name, password)
		defer clear(secret)
		if err == nil && code {
			err = c.Hub.Decide(ctx, chat.TheServer, c.SecondFactor.Spend(a.ID, secret, second), nil)
		}
		return err
	})
}

// Common parts of dialogues. If a wrong answer ended one, the next answer would be posted in the room: so the question is
// repeated, and the session discards the line after the last attempt.

// tries is how often a question is asked that is answered wrongly.
const tries = 3

var (
	// ErrCancelled ends a dialogue by Ctrl+C or Ctrl+D.
	ErrCancelled = &chat.Refusal{Code: chat.Failed, Text: "cancelled"}
	// ErrDeclined ends a dialogue whose question was answered with no.
	ErrDeclined = &chat.Refusal{Code: chat.Failed, Text: "cancelled; nothing was changed"}
)

// askAgain repeats a dialogue while a password or code is wrong, tries times in all.
func askAgain(c *Call, dialogue func() error) error {
	for n := 1; ; n++ {
		err := dialogue()
		if err == nil || n == tries || !c.Passwords.Wrong(err) {
			return err
		}
		said, _ := Text(err)
		c.Notef("%s. Please try again.", said)
	}
}

// askSecret asks for what is not shown. The caller clears it; the string that it was typed as cannot be wiped.
func askSecret(ctx context.Context, c *Call, question string) ([]byte, error) {
	answer, err := c.Session.Ask(ctx, question, false)
	return []byte(answer), err
}

// askIdentities asks for the caller's password, and returns what it opens.
func askIdentities(ctx context.Context, c *Call) (ids []age.Identity, err error) {
	err = askAgain(c, func() error {
		password, err := askSecret(ctx, c, "Password: ")
		if err != nil {
			return err
		}
		return c.Caller.CheckPassword(func() (err error) { ids, err = c.Passwords.Unlock(ctx, c.Account.ID, password); return err })
	})
	return ids, err
}

// confirm asks a question until the answer is one of yes, or one of no: none at all is one.
func confirm(ctx context.Context, c *Call, question string, yes, no []string) error {
	for range tries {
		answer, err := c.Session.Ask(ctx, question, true)
		if err != nil {
			return err
		}
		answer = strings.ToLower(strings.TrimSpace(answer))
		for _, word := range yes {
			if answer == word {
				return nil
			}
		}
		for _, word := range append(no, "") {
			if answer == word {
				return ErrDeclined
			}
		}
		c.Notef("Please type %s, or press Enter to cancel.", yes[0])
	}
	return failed("cancelled; nothing was changed")
}
