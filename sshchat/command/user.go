package command

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command/kept"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// What admins do with accounts.

var _ = add(&Command{
	Name: "user create", Args: "NAME [--admin] [KEY|-]", Brief: "create an account",
	More:     "Without a key it gets a password, which is shown only once. The user should change it with `passwd`.",
	ExecMore: "With -, keys are read from standard input, one per line.",
	UIs:      Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1, Text: true,
	Flags: func(f *pflag.FlagSet) { f.Bool("admin", false, "make the user an admin") },
	Run: func(ctx context.Context, c *Call) error {
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		keys, err := readKeys(c)
		if err != nil {
			return err
		}
		role := chat.User
		if admin, _ := c.Flags.GetBool("admin"); admin {
			role = chat.Admin
		}
		var password []byte
		if len(keys) == 0 {
			password = drawPassword()
			defer clear(password)
		}
		a, err := c.Accounts.NewAccount(ctx, name, role, keys, password)
		if err != nil {
			return err
		}
		if err := c.makeAccount(ctx, chat.CreateAccount{Account: a}); err != nil {
			return err
		}
		c.Log.Info("account created", "account", a.Name, "role", role, "by", c.Account.Name, "source", c.Source)
		if password != nil {
			c.printSecret(a.Name.String()+"'s password", password)
		}
		c.Notef("Created the account %s.", a.Name)
		if !a.Reads() {
			c.Notef("Its keys cannot open sealed history: only ed25519 and RSA keys can.")
			c.Notef("Add such a key (%s %s KEY), or ask %s to set a password too (/passwd).", c.typed("user add-key"), a.Name, a.Name)
		}
		return nil
	},
})

// drawPassword draws a password of 100 bits, in groups that can be read out.
func drawPassword() []byte {
	text := strings.ToLower(rand.Text()[:20])
	return []byte(text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:])
}

var _ = add(&Command{
	Name: "user list", Aliases: []string{"users"}, Args: "[--stale TIME]", Brief: "list the accounts",
	More: "With --stale 90d, only those that nobody has used for 90 days. An account that was never used counts from its\n" +
		"creation.",
	UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) {
		jsonFlag(f)
		f.String("stale", "", "only accounts not used for so long, such as `90d`")
	},
	Run: func(_ context.Context, c *Call) error {
		stale, err := staleFor(c)
		if err != nil {
			return err
		}
		var t table
		states := sanctioned(c)
		listed := 0
		for a := range c.Hub.View().Accounts() {
			if !stale(a) {
				continue
			}
			listed++
			if c.json() {
				c.printJSON(kept.AccountOf(a))
				continue
			}
			t.row(a.Name.String(), string(a.Role), text.Count(len(a.Keys), "key"), seenOn(a), strings.Join(states(a), ", "))
		}
		t.print(c)
		c.empty(listed, "No such accounts.")
		return nil
	},
})

// staleFor returns whether an account is one that --stale means: last used before the day that is so long ago. Without --stale all are.
func staleFor(c *Call) (func(chat.Account) bool, error) {
	if !c.Flags.Changed("stale") {
		return func(chat.Account) bool { return true }, nil
	}
	word, _ := c.Flags.GetString("stale")
	long, err := chat.ParseDuration(word)
	if err != nil || long == 0 {
		return nil, c.usage("--stale: %s is not a time such as 90d", text.Clean(word, 40))
	}
	before := c.Hub.View().At.Wall.UTC().Add(-long).Format(time.DateOnly)
	return func(a chat.Account) bool { return cmp.Or(a.Seen, a.Created.UTC().Format(time.DateOnly)) < before }, nil
}

// sanctioned returns a function that lists what is decided against an account: that it is disabled, banned or muted.
func sanctioned(c *Call) func(chat.Account) []string {
	now := c.Hub.View()
	against := make(map[chat.Name][]string)
	for _, s := range now.Bans() {
		against[s.User] = append(against[s.User], "banned "+s.Lasts())
	}
	for _, s := range now.Mutes() {
		against[s.User] = append(against[s.User], "muted "+s.MuteLasts())
	}
	return func(a chat.Account) []string {
		if a.Disabled {
			return append([]string{"disabled"}, against[a.Name]...)
		}
		return against[a.Name]
	}
}

// seenOn is the last day on which somebody was seen.
func seenOn(a chat.Account) string {
	if a.Seen == "" {
		return "never seen"
	}
	return "seen " + a.Seen
}

var _ = add(&Command{
	Name: "user info", Args: "NAME", Brief: "show an account's details", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 1, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		a, err := accountMeant(c, 1)
		if err != nil {
			return err
		}
		about := kept.AccountOf(a)
		about.Rooms = slices.DeleteFunc(c.Hub.RoomsOf(a.Name), chat.RoomName.IsDirect)
		if c.json() {
			c.printJSON(about)
			return nil
		}
		c.Printf("%s (%s), created %s, last seen %s\n", a.Name, a.Role, a.Created.Format("2006-01-02"), cmp.Or(a.Seen, "never"))
		for _, state := range sanctioned(c)(a) {
			c.Printf("%s\n", state)
		}
		c.Printf("%s\n", loginsOf(a, about.Reads))
		for _, k := range a.Keys {
			c.Printf("key  %s  %s\n", k.Fingerprint, k.Label)
		}
		for _, room := range about.Rooms {
			c.Printf("room #%s\n", room)
		}
		return nil
	},
})

var (
	_ = add(&Command{
		Name: "user export", Args: "NAME", Brief: "print what is kept about a person, as JSON",
		More: "One object a line: the account, its keys, settings and sources, rooms with read marks and with how many messages are\n" +
			"sealed to the person, bans, mutes, invites and pins, and lines of the audit log that name the person. There are no\n" +
			"secrets in it, and no messages: the server cannot open them.",
		UIs: Exec, Effect: Reads, Audit: true, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			a, err := accountMeant(c, 1)
			if err != nil {
				return err
			}
			if err := exportAccount(ctx, c, a, true); err != nil {
				return err
			}
			acts, err := c.Services.Audit.Entries(time.Time{}, maxEntries)
			if err != nil {
				return err
			}
			for _, entry := range acts {
				if name := a.Name.String(); entry.By == name || strings.TrimPrefix(entry.On, "@") == name {
					export(c, "audit", entry)
				}
			}
			return nil
		},
	})
	_ = add(&Command{
		Name: "account export", Brief: "print what is kept about you, as JSON", Group: Yours,
		More: "One object a line: your account, keys, settings and sources, rooms with read marks and with how many messages are\n" +
			"sealed to you, bans, mutes, invites and pins. Your messages are sealed: `history` prints them.",
		UIs: Exec, Effect: Reads, Account: true, Words: 0,
		Run: func(ctx context.Context, c *Call) error { return exportAccount(ctx, c, c.Account, false) },
	})
)

// export prints one thing that is kept, with its kind.
func export(c *Call, kind string, what any) { c.printJSON(map[string]any{kind: what}) }

// exportAccount prints what is kept about somebody but for secrets, with what its rooms hold read in the caller's turn. Who has banned or
// muted somebody, only admins learn.
func exportAccount(ctx context.Context, c *Call, a chat.Account, admin bool) error {
	sealed := func(room chat.RoomName) (n uint64, err error) {
		err = readStored(ctx, c, func() error {
			windows, err := c.History.List(a.Name, room)
			for _, w := range windows {
				if w.Readable {
					n += w.To + 1 - w.From
				}
			}
			return err
		})
		return n, err
	}
	person := kept.Person{Account: a, Hub: c.Hub, Sources: c.LoginAttempts.Sources(a.Name), Sealed: sealed, Banners: admin}
	return person.Each(func(kind string, what any) { export(c, kind, what) })
}

var _ = add(&Command{
	Name: "user delete", Args: "NAME [--yes]", Brief: "permanently delete an account",
	More: "The name is never given out again. Their messages stay in the rooms' histories. To keep a person out and keep the\n" +
		"account, use `user disable`.",
	ExecMore: "It asks for the name again. Use --yes if there is no terminal to ask on.",
	UIs:      Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1, Flags: yesFlag,
	Run: func(ctx context.Context, c *Call) error {
		a, err := accountMeant(c, 1)
		if err != nil {
			return err
		}
		if err := c.may(chat.DeleteAccount{ID: a.ID}); err != nil { // before it asks
			return err
		}
		question := "Permanently delete the account " + a.Name.String() + "? Type its name to continue: "
		if err := askSure(ctx, c, question, a.Name.String()); err != nil {
			return err
		}
		return deleteAccount(ctx, c, a, false)
	},
})

func deleteAccount(ctx context.Context, c *Call, a chat.Account, own bool) error {
	if err := c.decide(ctx, chat.DeleteAccount{ID: a.ID, Own: own}); err != nil {
		return err
	}
	c.Log.Info("account deleted", "account", a.Name, "by", c.Account.Name, "source", c.Source)
	c.Notef("Deleted the account %s.", a.Name)
	return nil
}

var (
	_ = disabling("user disable", "disable an account", true)
	_ = disabling("user enable", "enable a disabled account", false)
)

func disabling(name, brief string, disabled bool) *Command {
	return add(&Command{
		Name: name, Args: "NAME", Brief: brief, UIs: Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			a, err := accountMeant(c, 1)
			if err != nil {
				return err
			}
			if err := c.decide(ctx, chat.Disable{ID: a.ID, Disabled: disabled}); err != nil {
				return err
			}
			c.Log.Info(name, "account", a.Name, "by", c.Account.Name, "source", c.Source)
			if disabled {
				c.Notef("Disabled the account %s.", a.Name)
			} else {
				c.Notef("Enabled the account %s.", a.Name)
			}
			return nil
		},
	})
}

var _ = add(&Command{
	Name: "user set-role", Args: "NAME user|mod|admin", Brief: "change an account's role", UIs: Both, Effect: ChangesOthers, Role: chat.Admin, Words: 2,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(2); err != nil {
			return err
		}
		role := chat.Role(c.Args[1])
		if !slices.Contains([]chat.Role{chat.User, chat.Mod, chat.Admin}, role) {
			return c.usage("the role must be user, mod or admin")
		}
		return setRole(ctx, c, c.Args[0], role)
	},
})

var (
	_ = add(&Command{
		Name: "op", Args: "USER", Brief: "make a person a server moderator", UIs: Chat, Effect: ChangesOthers, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			if err := c.need(1); err != nil {
				return err
			}
			return setRole(ctx, c, c.Args[0], chat.Mod)
		},
	})
	_ = add(&Command{
		Name: "deop", Args: "USER", Brief: "remove a server moderator", UIs: Chat, Effect: ChangesOthers, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			if err := c.need(1); err != nil {
				return err
			}
			return setRole(ctx, c, c.Args[0], chat.User)
		},
	})
)

// setRole changes the role of somebody; it holds from their next command on.
func setRole(ctx context.Context, c *Call, word string, role chat.Role) error {
	a, err := c.account(word)
	if err != nil {
		return err
	}
	if err := c.decide(ctx, chat.SetRole{ID: a.ID, Role: role}); err != nil {
		return err
	}
	c.Log.Info("role", "account", a.Name, "role", role, "by", c.Account.Name, "source", c.Source)
	c.Hub.NotifyUser(a.Name, "%s made you %s.", c.Account.Name, role.Article())
	c.Notef("%s is now %s.", a.Name, role.Article())
	return nil
}

var _ = add(&Command{
	Name: "user reset-password", Args: "NAME [-]", Brief: "reset an account's password",
	More: "The new password is shown only once. Messages stored for the old one alone cannot be opened without\nit. " +
		"Anyone with the new password can log in and read the messages that the server still has in memory.",
	ExecMore: "With -, it is read from standard input. Use --yes if there is no terminal to ask on.",
	UIs:      Both, Effect: ChangesOthers, Role: chat.Admin, Words: 2,
	Flags: yesFlag,
	Run: func(ctx context.Context, c *Call) error {
		a, err := accountMeant(c, 1)
		if err != nil {
			return err
		}
		if err := askSure(ctx, c, fmt.Sprintf("Messages sealed only to the old password of %s cannot be opened without it.\nReset %s's password? [y/N] ", a.Name, a.Name)); err != nil {
			return err
		}
		password, drawn := drawPassword(), true
		if len(c.Args) == 2 {
			if password, err = readSecret(c); err != nil {
				return err
			}
			drawn = false
		}
		defer clear(password)
		in, err := c.Passwords.NewReset(ctx, a.ID, password)
		if err != nil {
			return err
		}
		if err := c.decide(ctx, in); err != nil {
			return err
		}
		c.Log.Info("password reset", "account", a.Name, "by", c.Account.Name, "source", c.Source)
		if drawn {
			c.printSecret(a.Name.String()+"'s new password", password)
		} else {
			c.Notef("Changed %s's password.", a.Name)
		}
		return nil
	},
})

func yesFlag(f *pflag.FlagSet) { f.Bool("yes", false, "do not ask for confirmation") }

// askSure asks for confirmation before what cannot be undone, unless --yes is given. The answer that continues is one of yes; if omitted, y.
func askSure(ctx context.Context, c *Call, question string, yes ...string) error {
	if sure, err := c.Flags.GetBool("yes"); err == nil && sure {
		return nil
	}
	if len(yes) == 0 {
		yes = []string{"y", "yes"}
	}
	err := confirm(ctx, c, question, yes, []string{"n", "no"})
	if errors.Is(err, ErrNobodyToAsk) {
		return &chat.Refusal{Code: chat.Usage, Text: "this asks for confirmation: use ssh -t, or --yes"}
	}
	return err
}

// maxSecret is the most that is read of a password, in bytes.
const maxSecret = 4096

// readSecret reads one line of standard input.
func readSecret(c *Call) ([]byte, error) {
	if c.Args[len(c.Args)-1] != "-" {
		return nil, c.usage("do not give a password as an argument; use - and send it on standard input")
	}
	secret, err := io.ReadAll(io.LimitReader(c.In, maxSecret))
	if err != nil {
		return nil, err
	}
	secret = bytes.TrimPrefix(secret, []byte(text.BOM))
	for i, b := range secret {
		if b == '\n' || b == '\r' {
			clear(secret[i:])
			return secret[:i], nil
		}
	}
	return secret, nil
}

var _ = add(&Command{
	Name: "user unlock", Args: "NAME", Brief: "accept an account's passwords again",
	More: "After many wrong passwords in a row, an account accepts passwords only from addresses it has logged in from before.",
	UIs:  Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		a, err := accountMeant(c, 1)
		if err != nil {
			return err
		}
		wrong, err := c.LoginAttempts.Unlock(ctx, a.Name)
		if err != nil {
			return err
		}
		c.Notef("Unlocked %s: %s cleared.", a.Name, text.Count(wrong, "wrong password"))
		return nil
	},
})
