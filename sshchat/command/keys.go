package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/command/keylist"
	"sshchat/sshchat/text"

	"filippo.io/age"
	"github.com/spf13/pflag"
)

var _ = add(&Command{
	Name: "key list", Aliases: []string{"keys"}, Brief: "list your keys", Group: Yours,
	UIs: Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
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
				reads = "login only"
			}
			kind, _ := cutWord(k.Line)
			if !strings.Contains(k.Line, " ") {
				kind = "age"
			}
			t.row(k.Fingerprint, kind, reads, k.Added.Format("2006-01-02"), k.Label)
		}
		t.print(c)
		c.empty(len(c.Account.Keys), "No keys.")
		return nil
	},
})

var _ = add(&Command{
	Name: "key add", Args: "[--only LIST] KEY|-", Brief: "add a public key, or an age1… recipient", Group: Yours,
	More: "KEY is the line in id_ed25519.pub. If one of several is refused, none is added.\n" +
		newKeyOpens + "\n" +
		"Restrict a bot's key to what it needs: --only say:#ci,follow:#ci.\n" +
		"Such a key opens no history unless the list has history, or history:#ci for one room.",
	ExecMore: "With -, keys are read from standard input, one per line.",
	Flags: func(f *pflag.FlagSet) {
		f.String("only", "", "allow the key only the commands in `LIST`, each with a room or a person")
	},
	UIs: Both, Effect: ChangesAccount, Account: true, Text: true,
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
			if only, err = parseOnly(c, words); err != nil {
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
				c.Notef("It opens messages from now on, and those still in memory; to let it open older ones: %s", c.typed("key share"))
			}
			noteUseOf(c, key)
		}
		return nil
	},
})

// newKeyOpens is what a key opens that an account gets.
const newKeyOpens = "A new key opens messages from now on, and those that the server still has in memory."

// parseOnly is chat.ParseOnly for somebody who types it: each entry must be something that the key can do. Aliases become
// the names that rights are checked by.
func parseOnly(c *Call, words string) (chat.Only, error) {
	only, err := chat.ParseOnly(words)
	for i, entry := range only {
		name, target, has := strings.Cut(entry, ":")
		cmd, rest, unknown := c.Commands.Find(Exec, name)
		if unknown != nil { // or one of the chat alone
			if cmd, rest, err = c.Commands.Find(Chat, name); err != nil {
				return nil, unknown
			}
		}
		switch {
		case rest != "":
			return nil, failed("%q: put a colon before the room or person, as in %s:#%s", name, cmd.Name, rest)
		case has && cmd.Args == "":
			return nil, failed("%q: %s acts on no room or person; use %s", entry, cmd.Name, cmd.Name)
		case has:
			only[i] = cmd.Name + ":" + target
		default:
			only[i] = cmd.Name
		}
	}
	return only, err
}

// addKeys gives an account all of the keys, or none.
func addKeys(ctx context.Context, c *Call, a chat.Account, keys []chat.Key) error {
	kept, err := newKeys(c, keys)
	if err != nil {
		return err
	}
	return c.decide(ctx, chat.AddKeys{ID: a.ID, Keys: kept})
}

// newKeys returns the keys as they are kept.
func newKeys(c *Call, keys []chat.Key) (kept []chat.Key, err error) {
	kept = make([]chat.Key, len(keys))
	for i, key := range keys {
		if kept[i], err = c.Accounts.NewKey(key); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// noteUseOf warns if an added key cannot open history although one might expect it to.
func noteUseOf(c *Call, key chat.Key) {
	if !key.Reads && len(key.Only) == 0 {
		c.Notef("This key can log in but cannot open sealed history: only ed25519, RSA and age1… keys can.")
	}
}

var _ = add(&Command{
	Name: "key remove", Args: "FINGERPRINT", Brief: "remove a key", Group: Yours,
	More: "The key can no longer log in or open new messages.\n" +
		"Anyone who has the key and a copy of the history can still open older ones.",
	UIs: Both, Effect: ChangesAccount, Account: true, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if len(c.Args) != 1 {
			return c.usage("key remove needs a fingerprint; for a list: %s", c.typed("key list"))
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
	case c.Text == "-" && c.UI == Exec:
		lines = nil
		err := eachKeyLine(c, maxKeyLines, ", which is more than an account can have", func(_ int, line string) {
			lines = append(lines, line)
		})
		if err != nil {
			return nil, err
		}
		if len(lines) == 0 {
			return nil, failed("no key on standard input")
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

// eachKeyLine calls f with the number and text of each line of standard input that is neither empty nor a comment. It refuses more than
// most, and why is what follows that in the refusal.
func eachKeyLine(c *Call, most int, why string, f func(number int, line string)) error {
	number, keys := 0, 0
	return eachLine(c, maxKeyLine, func(line string) error {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			return nil
		}
		if keys++; keys > most {
			return failed("standard input has more than %d keys%s", most, why)
		}
		f(number, line)
		return nil
	})
}

// removeKey takes a key off an account.
func removeKey(ctx context.Context, c *Call, a chat.Account, fingerprint string) error {
	err := c.decide(ctx, chat.RemoveKey{ID: a.ID, Fingerprint: fingerprint})
	if errors.Is(err, chat.ErrNoKey) {
		return notFound("%s has no key %s", a.Name, text.Clean(fingerprint, 80))
	}
	if err == nil {
		c.Log.Info("key removed", "account", a.Name, "key", fingerprint, "by", c.Account.Name, "source", c.Source)
		c.Notef("Removed the key %s.", text.Clean(fingerprint, 80))
	}
	return err
}

var _ = add(&Command{
	Name: "key share", Aliases: []string{"keys share"}, Brief: "let new keys open old messages (needs ssh -t)", Group: Yours,
	More: "Asks for your password, and seals what it opens to all your current keys.\n" +
		"New keys cannot open what the password cannot.",
	UIs: Both, Effect: ChangesAccount, Secret: true, Account: true, Words: 0,
	Run: func(ctx context.Context, c *Call) error {
		if !c.Account.Password {
			return failed("you have no password, so the server cannot open old messages; only your older keys can")
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
		c.Notef("All your keys can now open %s.", text.Count(opened, "message"))
		if closed > 0 {
			c.Notef("%s from before you had this password can be opened only by your older keys.", text.Count(closed, "message"))
		}
		return nil
	},
})

// shareRooms shares a room at a time, each in the caller's turn, as long as the caller may.
func shareRooms(ctx context.Context, c *Call, ids []age.Identity) (opened, closed int, err error) {
	for _, room := range c.Hub.RoomsOf(c.Account.Name) {
		err := readStored(ctx, c, func() error {
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

// What admins do with keys.

var _ = add(&Command{
	Name: "user add-key", Args: "NAME KEY|-", Brief: "add public keys to an account",
	More: "The user is notified. " + newKeyOpens, UIs: Both, Effect: ChangesOthers, Role: chat.Admin, Words: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		a, err := c.account(c.Args[0])
		if err != nil {
			return err
		}
		keys, err := readKeys(c)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return c.usage("user add-key needs a key")
		}
		if err := addKeys(ctx, c, a, keys); err != nil {
			return err
		}
		for _, key := range keys {
			c.Log.Info("key added", "account", a.Name, "key", key.Fingerprint, "by", c.Account.Name, "source", c.Source)
			c.Printf("%s\n", key.Fingerprint)
			noteUseOf(c, key)
		}
		c.Hub.NotifyUser(a.Name, "%s added a key to your account.", c.Account.Name)
		return nil
	},
})

var _ = add(&Command{
	Name: "user remove-key", Args: "NAME FINGERPRINT", Brief: "remove a key from an account",
	More: "Sessions that used it end at once. Anyone who has the key and a copy of the history can still open older messages.",
	UIs:  Both, Effect: ChangesOthers, Role: chat.Admin, Words: 2,
	Run: func(ctx context.Context, c *Call) error {
		a, err := accountMeant(c, 2)
		if err != nil {
			return err
		}
		return removeKey(ctx, c, a, c.Args[1])
	},
})

var _ = add(&Command{
	Name: "user import", Args: "[NAME] -", Brief: "create accounts and add keys from a list",
	More: "With NAME, standard input is NAME's authorized_keys: a public key on each line, as a forge has it at /NAME.keys.\n" +
		"Without, each line is a name and a public key: NAME ssh-ed25519 AAAA… [COMMENT]. A person can have several lines.\n" +
		"Accounts are created for people who have none; others get the keys that they lack, and are notified. If a line is\n" +
		"refused, nothing is imported.",
	UIs: Exec, Effect: ChangesOthers, Role: chat.Admin, Words: 2, Flags: jsonFlag,
	Run: runImport,
})

// maxImported is how many lines are imported at once, and so, people.
const maxImported = 1000

// imported is somebody in a list of keys, and what came of it.
type imported struct {
	Name    chat.Name `json:"name"`
	Created bool      `json:"created"`
	Added   []string  `json:"added"` // fingerprints
	Kept    int       `json:"kept"`  // keys that the account has already
}

func runImport(ctx context.Context, c *Call) error {
	if n := len(c.Args); n == 0 || c.Args[n-1] != "-" {
		return c.usage("user import reads keys from standard input: end the line with -")
	}
	list, err := readImport(c)
	if err != nil {
		return err
	}
	var in chat.Import
	var people []imported
	var names []string
	for _, p := range list {
		a, i, err := importOf(ctx, c, p)
		if err != nil {
			return chat.About(p.Name, err)
		}
		in.People, people = append(in.People, a), append(people, i)
		names = append(names, p.Name.String())
	}
	if len(c.Args) == 1 {
		c.Text = strings.Join(names, " ") // for the audit log
	}
	if err := c.decide(ctx, in); err != nil {
		return err
	}
	if err := c.Accounts.Checkpoint(); err != nil {
		c.Log.Warn("imported accounts are stored but not yet in users.json", "err", err)
	}
	var t table
	for _, p := range people {
		c.Log.Info("account imported", "account", p.Name, "created", p.Created, "keys", p.Added, "by", c.Account.Name, "source", c.Source)
		if !p.Created && len(p.Added) > 0 {
			c.Hub.NotifyUser(p.Name, "%s added %s to your account.", c.Account.Name, text.Count(len(p.Added), "key"))
		}
		if c.json() {
			c.printJSON(p)
			continue
		}
		t.row(p.Name.String(), p.String())
	}
	t.print(c)
	return nil
}

// String says what came of it.
func (p imported) String() string {
	switch {
	case p.Created:
		return "created with " + text.Count(len(p.Added), "key")
	case len(p.Added) == 0:
		return "has " + text.Count(p.Kept, "key") + " of these already"
	case p.Kept == 0:
		return text.Count(len(p.Added), "key") + " added"
	}
	return fmt.Sprintf("%s added, %d already there", text.Count(len(p.Added), "key"), p.Kept)
}

// importOf returns the account that is to be created for somebody, or gets keys, and what the import will have done.
func importOf(ctx context.Context, c *Call, p *keylist.Person) (a chat.Account, i imported, err error) {
	known, exists := c.Hub.View().ByName(p.Name)
	i = imported{Name: p.Name, Created: !exists, Added: []string{}}
	var added []chat.Key
	for _, k := range p.Keys {
		if known.HasKey(k.Fingerprint) {
			i.Kept++
			continue
		}
		added = append(added, k)
		i.Added = append(i.Added, k.Fingerprint)
	}
	if !exists {
		a, err = c.Accounts.NewAccount(ctx, p.Name, chat.User, added, nil)
		return a, i, err
	}
	a.Name = p.Name
	a.Keys, err = newKeys(c, added)
	return a, i, err
}

// readImport reads the people and keys of standard input, or says which lines are wrong.
func readImport(c *Call) ([]*keylist.Person, error) {
	owner := ""
	if len(c.Args) == 2 {
		owner = c.Args[0]
	}
	list := keylist.New(owner, c.Accounts.ParseKey)
	err := eachKeyLine(c, maxImported, "; import them in parts", list.Add)
	switch {
	case err != nil:
		return nil, err
	case len(list.Wrong) > 0:
		const shown = 10
		for _, w := range list.Wrong[:min(len(list.Wrong), shown)] {
			words, _ := Text(w.Err)
			if errors.Is(w.Err, keylist.ErrNameless) {
				words += "; for the keys of one person: " + c.typed("user import") + " NAME -"
			}
			c.Notef("line %d: %s", w.Line, words)
		}
		return nil, failed("nothing is imported, because %s cannot be used", text.Count(len(list.Wrong), "line"))
	case len(list.People) == 0:
		return nil, failed("no key on standard input")
	}
	return list.People, nil
}
