package command

import (
	"context"
	"strings"
	"time"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

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
