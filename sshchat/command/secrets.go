package command

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"filippo.io/age"
	"github.com/boombuler/barcode/qr"
	"github.com/spf13/pflag"
)

// What people log in and read with: passwords, the second factor, keys.

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

var _ = add(&Command{
	Name: "identity", Brief: "print what your password opens history with", Group: Yours,
	More:  "An age file that your password opens.\nssh … identity > me.age, then: ssh … history general | age -d -i me.age",
	Faces: Exec, Effect: Reads, Account: true, Words: 0,
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
	Name: "totp enable", Brief: "be asked for a code after your password", Group: Yours,
	More: "An authenticator makes the codes, of 30 seconds each. Your keys log in without one. It needs ssh -t, and clients\n" +
		"that log in by keyboard-interactive, as all do.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		switch {
		case !c.Account.Password:
			return failed("the code comes after a password, and you have none; %s sets one", c.typed("passwd"))
		case c.Account.TOTP:
			return failed("you have a second factor already; %s takes it away", c.typed("totp disable"))
		}
		if err := provePassword(ctx, c, false); err != nil {
			return err
		}
		secret := c.SecondFactor.NewSecret()
		defer clear(secret)
		var recovery []string
		question := tellSecret(c, secret) + "A code that your authenticator makes of it: "
		err := askAgain(c, func() error {
			code, err := c.Session.Ask(ctx, question, true)
			if err != nil {
				return err
			}
			question = "Code: "
			return c.Caller.Renew(func() (string, bool, error) {
				in, codes, err := c.SecondFactor.NewFactor(c.Account.ID, secret, code)
				if err == nil {
					recovery, err = codes, c.decide(ctx, in)
				}
				return c.Account.Generation, true, err
			})
		})
		if err != nil {
			return err
		}
		return tellSecond(c, recovery)
	},
})

// tellSecond ends totp enable: the session has proven both.
func tellSecond(c *Call, recovery []string) error {
	c.Log.Info("second factor on", "account", c.Account.Name, "source", c.Source)
	c.Notef("It is on: your password asks for a code from now on. Each of these serves once in place of a code.\nWrite them down; they are not shown again.")
	for _, code := range recovery {
		c.Printf("%s\n", code)
	}
	return nil
}

// tellSecret is the secret as authenticators take it: as a picture to point a camera at, as a link, and as letters.
func tellSecret(c *Call, secret []byte) string {
	letters := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
	link := "otpauth://totp/" + url.PathEscape(c.ServerName+":"+c.Account.Name.String()) + "?secret=" + letters + "&issuer=" + url.QueryEscape(c.ServerName)
	return fmt.Sprintf("Show this to your authenticator, or give it the link or the secret:\n%s%s\nsecret %s\n", picture(link), link, letters)
}

// picture is a QR code in half blocks, dark on light whatever the terminal's colours; empty where the text is too long.
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
	Name: "totp disable", Brief: "take the second factor away", Group: Yours,
	More:  "It asks for your password and a code, or a recovery code. It needs ssh -t.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.TOTP {
			return failed("you have no second factor")
		}
		if err := provePassword(ctx, c, true); err != nil {
			return err
		}
		err := c.Caller.Renew(func() (string, bool, error) {
			return c.Account.Generation, false, c.decide(ctx, chat.SetFactor{ID: c.Account.ID})
		})
		if err != nil {
			return err
		}
		c.Log.Info("second factor off", "account", c.Account.Name, "source", c.Source)
		c.Notef("Your password asks for no code any more.")
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
	return c.Caller.Guess(func() error {
		a, secret, err := c.SecondFactor.CheckBoth(ctx, c.Account.Name, password)
		defer clear(secret)
		if err == nil && code {
			err = c.SecondFactor.CheckCode(a.ID, secret, second)
		}
		return err
	})
}

var _ = add(&Command{
	Name: "key list", Aliases: []string{"keys"}, Brief: "list your keys", Group: Yours,
	Faces: Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, k := range c.Account.Keys {
			if c.json() {
				c.printJSON(struct {
					Fingerprint string    `json:"fingerprint"`
					Key         string    `json:"key"`
					Label       string    `json:"label"`
					Added       time.Time `json:"added"`
					Only        chat.Only `json:"only,omitempty"`
					Reads       bool      `json:"reads"`
				}{k.Fingerprint, k.Line, k.Label, k.Added, k.Only, k.Reads})
				continue
			}
			reads := "opens history"
			switch {
			case len(k.Only) > 0:
				reads = "for " + k.Only.String() + " only"
			case !k.Reads:
				reads = "logs in only"
			}
			kind, _ := cutWord(k.Line)
			if !strings.Contains(k.Line, " ") {
				kind = "age"
			}
			t.row(k.Fingerprint, kind, reads, k.Added.Format("2006-01-02"), k.Label)
		}
		t.print(c)
		return nil
	},
})

var _ = add(&Command{
	Name: "key add", Args: "[--only LIST] KEY|-", Brief: "add a public key, or an age1… recipient", Group: Yours,
	More: "A key is the line in id_ed25519.pub. Of several, all or none are added.\n" +
		"A new key opens what is said from now on.\n" +
		"A bot's key is restricted to what it is for: --only say:#ci,follow:#ci.\n" +
		"It opens no history, unless the list has history, or history:#ci for one room.",
	ExecMore: "With - keys come on standard input, one a line.",
	Flags: func(f *pflag.FlagSet) {
		f.String("only", "", "commands that the key may run, each with a room or a person")
	},
	Faces: Both, Effect: ChangesAccount, Account: true, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		keys, err := readKeys(c)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return c.usage("key add needs a key")
		}
		var only chat.Only
		if words, _ := c.Flags.GetString("only"); c.Flags.Changed("only") {
			if only, err = chat.ParseOnly(words); err != nil {
				return c.usage("--only: %v", err)
			}
		}
		for i := range keys {
			keys[i].Only = only
		}
		if err := addKeys(ctx, c, c.Account, keys); err != nil {
			return err
		}
		for _, key := range keys {
			c.Log.Info("key added", "account", c.Account.Name, "key", key.Fingerprint, "source", c.Source)
			c.Printf("%s\n", key.Fingerprint)
			if key.Reads && len(key.Only) == 0 && c.Account.Password {
				c.Notef("It opens what is said from now on; %s makes it open what was said before.", c.typed("key share"))
			}
			tellUseOf(c, key)
		}
		return nil
	},
})

// addKeys gives an account all of the keys, or none.
func addKeys(ctx context.Context, c *Call, a chat.Account, keys []chat.Key) error {
	kept := make([]chat.Key, len(keys))
	for i, key := range keys {
		var err error
		if kept[i], err = c.Accounts.NewKey(key); err != nil {
			return err
		}
	}
	return c.decide(ctx, chat.AddKeys{ID: a.ID, Keys: kept})
}

// tellUseOf says of a key that was added if it opens no history, where somebody might think that it does.
func tellUseOf(c *Call, key chat.Key) {
	if !key.Reads && len(key.Only) == 0 {
		c.Notef("This key logs in but cannot open sealed history: age seals to ed25519, RSA and age1… keys only.")
	}
}

var _ = add(&Command{
	Name: "key remove", Args: "FINGERPRINT", Brief: "remove a key", Group: Yours,
	More: "It logs in no more and opens nothing said from now on.\n" +
		"What was sealed to it before stays open to whoever has both the key and a copy of the file.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("key remove needs a fingerprint, as %s shows it", c.typed("key list"))
		}
		return removeKey(ctx, c, c.Account, c.Args[0])
	},
})

// What is read of keys on standard input: an RSA key of 16 384 bits is a line of 2 800 bytes, and an account has 16.
const (
	maxKeyLine  = 8 << 10 // bytes
	maxKeyLines = 64
)

// readKeys reads the public keys of the text: one, or with - those on standard input.
func readKeys(c *Call) ([]chat.Key, error) {
	lines := []string{c.Text}
	switch {
	case c.Text == "":
		return nil, nil
	case c.Text == "-" && c.Face == Exec:
		lines = nil
		err := eachLine(c, maxKeyLine, func(line string) error {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				return nil
			}
			if lines = append(lines, line); len(lines) > maxKeyLines {
				return failed("standard input holds more than %d keys; an account has fewer", maxKeyLines)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(lines) == 0 {
			return nil, failed("no key came on standard input")
		}
	}
	var keys []chat.Key
	for _, line := range lines {
		key, err := c.Accounts.ParseKey(line)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// removeKey takes a key off an account.
func removeKey(ctx context.Context, c *Call, a chat.Account, fingerprint string) error {
	err := c.decide(ctx, chat.RemoveKey{ID: a.ID, Fingerprint: fingerprint})
	if errors.Is(err, chat.ErrNoKey) {
		return notFound("%s has no key %s", a.Name, text.Clean(fingerprint, 80))
	}
	if err == nil {
		c.Log.Info("key removed", "account", a.Name, "key", fingerprint, "by", c.Account.Name, "source", c.Source)
	}
	return err
}

var _ = add(&Command{
	Name: "key share", Aliases: []string{"keys share"}, Brief: "open the past with new keys (needs ssh -t)", Group: Yours,
	More: "Asks for your password, and seals what it opens to all keys you have now.\n" +
		"What it does not open stays closed to new keys.",
	Faces: Both, Effect: ChangesAccount, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password, and the server has no key that opens the past; your older keys do")
		}
		ids, err := askIdentities(ctx, c)
		if err != nil {
			return err
		}
		defer clear(ids)
		opened, closed, err := shareRooms(ctx, c, ids)
		if err != nil {
			return err
		}
		c.Log.Info("history shared with new keys", "account", c.Account.Name, "opened", opened, "closed", closed, "source", c.Source)
		c.Notef("Messages that all your keys open now: %d.", opened)
		if closed > 0 {
			c.Notef("Messages from before you had this password, which only your older keys open: %d.", closed)
		}
		return nil
	},
})

// shareRooms shares a room at a time, each in the caller's turn, as long as the caller may.
func shareRooms(ctx context.Context, c *Call, ids []age.Identity) (opened, closed int, err error) {
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		err := lookUp(ctx, c, func() error {
			n, left, err := c.History.Share(c.Account.Name, []chat.RoomName{room}, ids)
			opened, closed = opened+n, closed+left
			return err
		})
		if err == nil {
			err = c.still()
		}
		if err != nil {
			return opened, closed, err
		}
	}
	return opened, closed, nil
}

// What dialogues have in common. Where one ends because of what was answered, whoever types on would say the
// rest of it in the room: so it asks again, and the session swallows the line after the last try.

// tries is how often a question is asked that is answered wrongly.
const tries = 3

var (
	// ErrCancelled ends a dialogue by Ctrl+C or Ctrl+D.
	ErrCancelled = &chat.Refusal{Code: chat.Failed, Text: "cancelled"}
	// ErrDeclined ends a dialogue by an answer that says so, as n.
	ErrDeclined = &chat.Refusal{Code: chat.Failed, Text: "nothing was done"}
)

// askAgain runs a dialogue anew while a password or a code in it was wrong, tries times in all.
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
		return c.Caller.Guess(func() (err error) { ids, err = c.Passwords.Unlock(ctx, c.Account.ID, password); return err })
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
		c.Notef("Please answer %s, or nothing at all.", yes[0])
	}
	return failed("nothing was done")
}
