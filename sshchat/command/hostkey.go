package command

import (
	"context"
	"strings"
	"time"

	"sshchat/sshchat/chat"

	"github.com/spf13/pflag"
)

// HostKeys is what the server proves itself with.
type HostKeys interface {
	// List lists the current key, the next if there is one, and former ones, the youngest first.
	List() ([]HostKey, error)
	// Records are the ends of former keys, each signed by the key that went, the oldest first.
	Records() [][]byte
	// Prepare makes the next key, unless there is one, and has clients told of it.
	Prepare() (made bool, err error)
	// Rotate makes the next key the current one.
	Rotate() error
}

// HostKey is one of them.
type HostKey struct {
	State       string    `json:"state"` // current, next or former
	Fingerprint string    `json:"fingerprint"`
	Key         string    `json:"key"`
	SSHFP       string    `json:"sshfp"` // what DNS may say of it, without the name
	At          time.Time `json:"at"`    // when it came to be so
}

const hostKeyNext = "next"

var _ = add(&Command{
	Name: "hostkey list", Aliases: []string{"hostkey"}, Brief: "list the server's host keys", Group: Reading,
	More:  "With what DNS may say of them (SSHFP), for clients that look there: put the server's name before it.",
	Faces: Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		keys, err := c.HostKeys.List()
		if err != nil {
			return err
		}
		for _, k := range keys {
			if c.json() {
				c.printJSON(k)
				continue
			}
			printHostKey(c, k)
		}
		return nil
	},
})

func printHostKey(c *Call, k HostKey) {
	c.Printf("%-7s  %s  since %s\n", k.State, k.Fingerprint, k.At.In(c.zone()).Format("2006-01-02 15:04"))
	if k.State != "former" {
		c.Printf("         %s\n         %s\n", k.Key, k.SSHFP)
	}
}

var _ = add(&Command{
	Name: "hostkey records", Brief: "print what former host keys signed", Group: Reading,
	More: "For each rotation one line that names the key that went and the one that came, and its signature by the first\n" +
		"(SSHSIG, namespace sshchat-hostkey): who trusts an old key, or a head it signed, can trust the current one.\n" +
		"They are checked as a head is, see `head`. With --json, record and signature are two strings of an object.",
	Faces: Exec, Effect: Reads, Bytes: func(c *Call) bool { return !c.json() }, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, record := range c.HostKeys.Records() {
			if !c.json() {
				c.Printf("%s", record)
				continue
			}
			line, signature, _ := strings.Cut(string(record), "\n")
			c.printJSON(struct {
				Record    string `json:"record"` // byte for byte what is signed, but for its newline
				Signature string `json:"signature"`
			}{line, signature})
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "hostkey rotate", Args: "[--now]", Brief: "announce the next host key, or change to it",
	More: "First without --now: the next key is made, and clients that connect are told of it (OpenSSH remembers it, with\n" +
		"UpdateHostKeys, its default). Days later with --now: it becomes the current one. Clients that have not connected\n" +
		"between the two are warned of another key than they know. The old private key is destroyed.",
	Faces: Exec, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) { f.Bool("now", false, "make the next key the current one") },
	Run: func(_ context.Context, c *Call) error {
		now, _ := c.Flags.GetBool("now")
		if now {
			return changeHostKey(c)
		}
		made, err := c.HostKeys.Prepare()
		if err != nil {
			return err
		}
		next, _, err := nextHostKey(c)
		if err != nil {
			return err
		}
		printHostKey(c, next)
		if made {
			c.Notef("It is announced to whoever connects from now on. When those who matter have: %s --now", c.typed("hostkey rotate"))
			return nil
		}
		c.Notef("It is announced already. To change to it: %s --now", c.typed("hostkey rotate"))
		return nil
	},
})

func changeHostKey(c *Call) error {
	next, ok, err := nextHostKey(c)
	if err != nil {
		return err
	}
	if !ok {
		return failed("there is no next host key; %s makes one and announces it", c.typed("hostkey rotate"))
	}
	if err := c.HostKeys.Rotate(); err != nil {
		return err
	}
	c.Log.Info("host key rotated", "by", c.Account.Name, "source", c.Source, "to", next.Fingerprint)
	c.Notef("%s is the current host key now. Connections that there are go on with the old one.", next.Fingerprint)
	return nil
}

// nextHostKey is the one announced, if any.
func nextHostKey(c *Call) (next HostKey, ok bool, err error) {
	keys, err := c.HostKeys.List()
	for _, k := range keys {
		if k.State == hostKeyNext {
			return k, true, nil
		}
	}
	return HostKey{}, false, err
}
