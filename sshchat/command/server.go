package command

import (
	"context"
	"strings"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// The server itself: its message of the day, host keys, sessions and figures, backup and reload.

var _ = add(&Command{
	Name: "motd", Aliases: []string{"motd get"}, Brief: "show the message of the day", Group: Reading, Faces: Both, Effect: Reads, List: true, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if text := c.Motd.Get().String(); text != "" {
			c.Printf("%s\n", text)
			return nil
		}
		c.Notef("There is no message of the day.")
		return nil
	},
})

var _ = add(&Command{
	Name: "motd set", Args: "TEXT|-", Brief: "change what whoever comes in is shown", More: "Without a text there is none.", ExecMore: "With - it comes on standard input.",
	Faces: Both, Effect: ChangesServer, Says: withText, Role: chat.Admin, Text: true,
	Run: func(_ context.Context, c *Call) error {
		said := c.Text
		if said == "-" && c.Face == Exec {
			var err error
			if said, err = readAll(c, 2*text.MaxText); err != nil {
				return err
			}
		}
		var clean chat.Text
		if said != "" {
			var err error
			if clean, err = text.ParseText(said); err != nil {
				return failed("%v", err)
			}
		}
		if err := c.Motd.Set(clean); err != nil {
			return err
		}
		c.Notef("Whoever comes in is shown that from now on.")
		return nil
	},
})

var _ = add(&Command{
	Name: "announce", Args: "TEXT", Brief: "tell everybody who is there something", More: "It is not stored.",
	Faces: Both, Effect: Speaks, Role: chat.Mod, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		announced, err := text.ParseText(c.Text)
		if err != nil {
			return c.usage("announce: %v", err)
		}
		if err := c.Caller.Pace(ctx, Message, c.Text); err != nil {
			return err
		}
		c.Hub.Announce(announced.After(c.Account.Name.String() + " to everybody: "))
		return nil
	},
})

var _ = add(&Command{
	Name: "version", Brief: "show which sshchat this is", Faces: Both, Effect: Reads, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if c.json() {
			c.printJSON(struct {
				Version string `json:"version"`
			}{c.Version})
			return nil
		}
		c.Printf("sshchat %s\n", c.Version)
		return nil
	},
})

var _ = add(&Command{
	Name: "stats", Brief: "show what the server has done since its start", Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, f := range c.Live.Figures() {
			if c.json() {
				c.printJSON(f)
				continue
			}
			c.Printf("%-14s %d\n", f.Name, f.Value)
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "sessions", Brief: "list who is connected, and from where", Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		var t table
		for _, s := range c.Live.Sessions() {
			if c.json() {
				c.printJSON(s)
				continue
			}
			by := "password"
			if s.Key != "" {
				by = s.Key
			}
			t.row(s.Name.String(), s.Addr.String(), "since "+s.Since.Format("2006-01-02 15:04"), s.Face, by, s.Client)
		}
		t.print(c)
		return nil
	},
})

// endOf picks the sessions of one account.
func endOf(id string) func(LiveSession) bool {
	return func(s LiveSession) bool { return s.Account == id }
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

var _ = add(&Command{
	Name: "backup", Args: "[--with-host-keys]", Brief: "print a tar of all the server keeps",
	More: "As it stands at one moment, while people go on. Unpacked into an empty folder of mode 0700 it is a data folder.\n" +
		"Sealed history stays sealed. Host keys are in it only where asked for: who has them can pose as the server.",
	Faces: Exec, Effect: Reads, Audit: true, Bytes: bytesOut, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) { f.Bool("with-host-keys", false, "put the private host keys in, too") },
	Run: func(ctx context.Context, c *Call) error {
		with, _ := c.Flags.GetBool("with-host-keys")
		c.Args = nil
		if with {
			c.Args = []string{"", "with host keys"}
		}
		c.Log.Info("backup", "by", c.Account.Name, "source", c.Source, "host keys", with)
		if err := c.Services.Backup(ctx, c.Out, with); err != nil {
			return err
		}
		if !with {
			c.Notef("The private host keys are not in it. A server restored from it has a new one, which every client refuses\n" +
				"until the old key is put back. To have them in the backup: backup --with-host-keys")
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "reload", Brief: "read again what was changed by hand", Faces: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	More: "The configuration file, users.json, the message of the day and the host keys. Settings that take a restart are named. What cannot be taken is named and changes nothing.",
	Run: func(ctx context.Context, c *Call) error {
		done, err := c.Services.Reload(ctx)
		for _, line := range done {
			c.Notef("%s", line)
		}
		if err != nil {
			c.Log.Error("reload failed", "done", done, "by", c.Account.Name, "source", c.Source, "err", err)
			return failed("%v", err)
		}
		c.Log.Info("reload", "done", done, "by", c.Account.Name, "source", c.Source)
		return nil
	},
})
