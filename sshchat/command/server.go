package command

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// The server itself: its message of the day, host keys, sessions and figures, the nodes of its cluster, backup and reload.

var _ = add(&Command{
	Name: "motd", Aliases: []string{"motd get"}, Brief: "show the message of the day", Group: Reading, UIs: Both, Effect: Reads, List: true, Account: true, Words: 0,
	Run: func(_ context.Context, c *Call) error {
		if text := c.Hub.View().Motd().String(); text != "" {
			c.Printf("%s\n", text)
			return nil
		}
		c.Notef("There is no message of the day.")
		return nil
	},
})

var _ = add(&Command{
	Name: "motd set", Args: "[TEXT|-]", Brief: "set the message of the day", More: "Without a text, the message is removed.", ExecMore: "With -, it is read from standard input.",
	UIs: Both, Effect: ChangesServer, Says: withText, Role: chat.Admin, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		said := c.Text
		if said == "-" && c.UI == Exec {
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
		if err := c.decide(ctx, chat.SetMotd{Text: clean}); err != nil {
			return err
		}
		if clean.IsEmpty() {
			c.Notef("The message of the day is removed.")
			return nil
		}
		c.Notef("The message of the day is set.")
		return nil
	},
})

var _ = add(&Command{
	Name: "announce", Args: "TEXT", Brief: "send a notice to everyone online", More: "Notices are not stored.",
	UIs: Both, Effect: Speaks, Role: chat.Mod, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		announced, err := text.ParseText(c.Text)
		if err != nil {
			return c.usage("announce: %v", err)
		}
		if err := c.Caller.Pace(ctx, Message, c.Text); err != nil {
			return err
		}
		c.Hub.Announce(announced.After(c.Account.Name.String() + " to everyone: "))
		if c.UI == Exec {
			c.Notef("Sent to everyone online.")
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "version", Brief: "show the server's version", UIs: Both, Effect: Reads, Words: 0, Flags: jsonFlag,
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
	Name: "stats", Brief: "show counters since the server started",
	More: `connections          open now, logged in or not; sessions: shells and commands that are running now
logging-in           connections that have not logged in yet
blocked-sources      addresses that are refused now for what came from them; see ` + "`sources list`" + `
logins               logins into an account; new-logins: with a name that has no account yet
wrong-passwords      including unchecked-passwords: those refused unchecked, after too many wrong ones
refused-full         connections refused because too many were logging in
refused-limit        connections refused because the account or address had too many
refused-penalty      connections refused from blocked sources; refused-banned: from banned addresses
refused-proxy        connections from load balancers refused without a valid PROXY protocol header
refused-channels     channels refused, such as port forwarding, or more sessions than allowed
closed-stalled       connections closed because the client read nothing
closed-dead          connections closed because the client did not answer
closed-late          connections closed because the client missed a deadline
deliveries           messages and notices shown; skipped: not shown to sessions that lagged
too-fast             messages and commands refused as too fast; slowed: delayed
panics               sessions ended by a fault in the server`,
	UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		for _, f := range c.Live.Figures() {
			if c.json() {
				c.printJSON(f)
				continue
			}
			c.Printf("%-20s %d\n", f.Name, f.Value)
		}
		if !c.json() {
			c.Notef("%s", c.registration())
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "sessions", Brief: "list who is connected, and from where",
	More: "With the kind of screen, how they logged in, since when, in a cluster on which node, and their SSH client.\n" +
		"--json also has the fingerprints of keys. Nodes that do not answer are named.",
	UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(ctx context.Context, c *Call) error {
		var t table
		list, silent := c.Live.Sessions(ctx)
		defer noteSilent(c, silent, "sessions there are not listed")
		for _, s := range list {
			if c.json() {
				c.printJSON(s)
				continue
			}
			by := "password"
			if s.Key != "" {
				by = "key"
			}
			row := []string{s.Name.String(), shownAddr(s.Addr), s.UI, by, s.Since.In(c.zone()).Format("2006-01-02 15:04 MST")}
			if s.Node != "" {
				row = append(row, s.Node)
			}
			t.row(append(row, strings.TrimPrefix(s.Client, "SSH-2.0-"))...)
		}
		t.print(c)
		return nil
	},
})

// glance is how long a command that asks for the sessions only on its way waits for nodes.
const glance = 500 * time.Millisecond

// glanced lists all sessions as they are at the command's first look, as far as nodes answer at once. The others are named.
func glanced(ctx context.Context, c *Call) []LiveSession {
	if c.sessions == nil {
		ctx, cancel := context.WithTimeout(ctx, glance)
		defer cancel()
		list, silent := c.Live.Sessions(ctx)
		noteSilent(c, silent, "where people there are connected from is not known")
		c.sessions = append([]LiveSession{}, list...)
	}
	return c.sessions
}

// noteSilent says which nodes did not answer, if any, and what that means.
func noteSilent(c *Call, silent []string, so string) {
	if len(silent) > 0 {
		c.Notef("No answer from %s: %s.", inWords("node", silent), so)
	}
}

const hostKeyNext = "next"

var _ = add(&Command{
	Name: "hostkey list", Aliases: []string{"hostkey"}, Brief: "list the server's host keys", Group: Reading,
	More: "Includes SSHFP records for DNS: put the server's name before them.",
	UIs:  Both, Effect: Reads, List: true, Account: true, Words: 0, Flags: jsonFlag,
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
	c.Printf("%-7s  %s  since %s\n", k.State, k.Fingerprint, k.At.In(c.zone()).Format("2006-01-02 15:04 MST"))
	if k.State != "former" {
		c.Printf("         %s\n         %s\n", k.Key, k.SSHFP)
	}
}

var _ = add(&Command{
	Name: "hostkey records", Brief: "print signatures by former host keys", Group: Reading,
	More: "For each rotation, one line that names the old and the new key, and its signature by the old one\n" +
		"(SSHSIG, namespace sshchat-hostkey): if you trust an old key, or a head it signed, you can trust the current one.\n" +
		"Check them as `head` describes. With --json, record and signature are two strings of an object.",
	UIs: Exec, Effect: Reads, Bytes: func(c *Call) bool { return !c.json() }, Account: true, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		records := c.HostKeys.Records()
		c.empty(len(records), "No host key has been replaced.")
		for _, record := range records {
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
	Name: "hostkey rotate", Args: "[--now]", Brief: "rotate the host key, in two steps",
	More: "First run it without --now: it creates the next key and announces it to clients that connect (OpenSSH remembers it,\n" +
		"with UpdateHostKeys, its default). Days later, run it with --now to switch to that key. Clients that have not\n" +
		"connected in between will warn that the host key has changed. The old private key is destroyed.",
	UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) { f.Bool("now", false, "switch to the announced key") },
	Run: func(ctx context.Context, c *Call) error {
		now, _ := c.Flags.GetBool("now")
		if now {
			return changeHostKey(ctx, c)
		}
		made, lack, err := c.HostKeys.Prepare(ctx)
		if err != nil {
			return err
		}
		next, _, err := nextHostKey(c)
		if err != nil {
			return err
		}
		printHostKey(c, next)
		noteLacking(c, lack, "It announces that key")
		if made {
			c.Notef("Clients that connect from now on learn it. To switch to it, some days later: %s --now", c.typed("hostkey rotate"))
			return nil
		}
		c.Notef("It is already announced. To switch to it: %s --now", c.typed("hostkey rotate"))
		return nil
	},
})

// noteLacking says which nodes do not have the key yet, and what they do.
func noteLacking(c *Call, lack []string, does string) {
	for _, node := range lack {
		c.Notef("Node %s does not answer. %s when it runs again and has it from another node.", node, does)
	}
}

func changeHostKey(ctx context.Context, c *Call) error {
	next, ok, err := nextHostKey(c)
	if err != nil {
		return err
	}
	if !ok {
		return failed("there is no next host key; to create and announce one: %s", c.typed("hostkey rotate"))
	}
	lack, err := c.HostKeys.Rotate(ctx)
	if err != nil {
		return err
	}
	c.Log.Info("host key rotated", "by", c.Account.Name, "source", c.Source, "to", next.Fingerprint)
	c.Notef("%s is now the host key. Existing connections keep the old one.", next.Fingerprint)
	noteLacking(c, lack, "It serves that key, and nobody before,")
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

// errNoCluster refuses commands about nodes.
var errNoCluster = &chat.Refusal{Code: chat.Failed, Text: "this server is not part of a cluster"}

var _ = add(&Command{
	Name: "node list", Aliases: []string{"node"}, Brief: "list the nodes of the cluster",
	More: "With the state of each, the last entry of the log that it has applied, its version and its key. The leader\n" +
		"orders what is posted and decided on all nodes.",
	UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if c.Cluster == nil {
			return errNoCluster
		}
		known := make(map[string]NodeStatus)
		for _, status := range c.Cluster.Nodes() {
			known[status.Name] = status
		}
		var t table
		for _, n := range c.Hub.View().Nodes() {
			status := known[n.Name]
			status.Leader = status.Leader && status.Alive
			if c.json() {
				c.printJSON(struct {
					chat.Node
					NodeStatus
				}{n, status})
				continue
			}
			applied := "-"
			if status.Applied > 0 {
				applied = strconv.FormatUint(status.Applied, 10)
			}
			t.row(n.Name, status.state(c.zone()), applied, cmp.Or(status.Version, "-"), n.Key)
		}
		t.print(c)
		c.empty(len(c.Hub.View().Nodes()), "No nodes.")
		return nil
	},
})

// state is what the node does, in a few words.
func (n NodeStatus) state(zone *time.Location) string {
	does := "online"
	switch {
	case n.Heard.IsZero() && !n.Alive:
		return "not heard from"
	case !n.Alive:
		return "last heard " + n.Heard.In(zone).Format("2006-01-02 15:04:05 MST")
	case n.Leader:
		does = "leader"
	}
	if n.Here {
		return does + ", this node"
	}
	return does
}

var _ = add(&Command{
	Name: "node add", Args: "NODE KEY", Brief: "let a node take part in the cluster",
	More: "KEY is the node's public key, which it shows when it is started without being listed. To replace the key of a node,\n" +
		"remove the node first.",
	UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 2,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(2); err != nil {
			return err
		}
		n := chat.Node{Name: c.Args[0], Key: c.Args[1]}
		if err := changeNodes(ctx, c, chat.AddNode{Node: n}); err != nil {
			return err
		}
		c.Log.Info("node added", "node", n.Name, "key", n.Key, "by", c.Account.Name, "source", c.Source)
		c.Notef("Added node %s. It can be started now.", n.Name)
		return nil
	},
})

var _ = add(&Command{
	Name: "node remove", Args: "NODE", Brief: "keep a node out of the cluster",
	More: "It gets nothing of what is posted or decided from then on, and its sessions end. What it has stored, it keeps.",
	UIs:  Both, Effect: ChangesServer, Role: chat.Admin, Words: 1,
	Choices: func(s *Services, _ chat.Account, before []string) (names []string) {
		if s.Cluster == nil || len(before) > 0 {
			return nil
		}
		for _, n := range s.Hub.View().Nodes() {
			names = append(names, n.Name)
		}
		return names
	},
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		if isOnlyOne(c, c.Args[0]) {
			return errOnlyNode.With(errOnlyNode.Text, c.Args[0])
		}
		if err := changeNodes(ctx, c, chat.RemoveNode{Name: c.Args[0]}); err != nil {
			return err
		}
		c.Log.Info("node removed", "node", c.Args[0], "by", c.Account.Name, "source", c.Source)
		c.Notef("Removed node %s.", c.Args[0])
		return nil
	},
})

// errOnlyNode refuses to remove the node that everybody is on: without it nobody could log in, to add another.
var errOnlyNode = &chat.Refusal{Code: chat.Failed, Text: "%s is the only node that runs; start another one before you remove it. To leave the cluster, stop the server and run: sshchat cluster leave"}

// isOnlyOne reports whether a node is this one, and no other node is heard that is listed.
func isOnlyOne(c *Call, name string) bool {
	if c.Cluster == nil {
		return false
	}
	here, others := false, false
	for _, n := range c.Cluster.Nodes() {
		_, listed := c.Hub.View().Node(n.Name)
		here = here || n.Here && n.Name == name
		others = others || !n.Here && n.Alive && listed
	}
	return here && !others
}

// changeNodes changes which nodes there are, if there is a cluster.
func changeNodes(ctx context.Context, c *Call, in chat.Intent) error {
	if c.Cluster == nil {
		return errNoCluster
	}
	return c.decide(ctx, in)
}

var _ = add(&Command{
	Name: "backup", Args: "[--with-host-keys]", Brief: "print a backup of the data folder as a tar",
	More: "A consistent snapshot, taken while the server runs. To restore it: sshchat restore FOLDER <FILE.\n" +
		"History stays sealed. Host keys are included only on request: anyone who has them can impersonate the server.",
	UIs: Exec, Effect: Reads, Audit: true, Bytes: bytesOut, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) { f.Bool("with-host-keys", false, "include the private host keys") },
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
			c.Notef("The private host keys are not included. A server restored from this backup has a new one, which every client refuses\n" +
				"until the old key is put back. To include them: backup --with-host-keys")
		}
		return nil
	},
})

var _ = add(&Command{
	Name: "reload", Brief: "reload files that were edited by hand", UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	More: "Reads the configuration file, users.json, the message of the day and the host keys. Settings that need a restart\n" +
		"are listed. A file with errors is reported and changes nothing.\n" +
		"With --restart, the server starts its program anew, which may be a newer version. Everyone is disconnected and can\n" +
		"reconnect at once. On Linux, the rooms keep their scrollback.",
	Flags: func(f *pflag.FlagSet) { f.Bool("restart", false, "restart the server") },
	Run: func(ctx context.Context, c *Call) error {
		if again, _ := c.Flags.GetBool("restart"); again {
			return restart(ctx, c)
		}
		before, after := c.Hub.View(), c.Hub.Applied()
		done, err := c.Services.Reload(ctx)
		settle(ctx, c, before, after) // what was edited may end sessions, also if something else failed
		for _, line := range done {
			c.Notef("%s", line)
		}
		if err != nil {
			c.Log.Error("reload failed", "done", strings.Join(done, "; "), "by", c.Account.Name, "source", c.Source, "err", err)
			return failed("%v", err)
		}
		c.Log.Info("reload", "done", strings.Join(done, "; "), "by", c.Account.Name, "source", c.Source)
		return nil
	},
})

// restart restarts the server. The answer comes before that begins: it ends this session too.
func restart(ctx context.Context, c *Call) error {
	c.Args = []string{"restart"} // for the audit log
	if c.Services.Restart == nil {
		return failed("the server cannot restart itself here")
	}
	begin, err := c.Services.Restart(ctx)
	if err != nil {
		c.Log.Warn("restart failed", "by", c.Account.Name, "source", c.Source, "err", err)
		return failed("the server goes on as it is: %v", err)
	}
	c.Log.Info("restart", "by", c.Account.Name, "source", c.Source)
	c.Notef("The server is restarting. You can reconnect at once.")
	begin()
	return nil
}
