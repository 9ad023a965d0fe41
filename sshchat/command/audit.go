package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// What the audit log and the sources of connections show to admins.

// auditLines is how many lines audit shows by default.
const auditLines = 50

var _ = add(&Command{
	Name: "audit", Args: "[N]", Brief: "show what moderators and admins have done", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 1,
	More: "Each line has the hash of the line before it, and the host key signs the last one when the server starts and stops.\n" +
		"--verify checks every line and the signature, and prints the number of lines. Anyone who has the host key can forge\n" +
		"a log, so keep a copy of the hash somewhere else.\n" +
		"Of many lines in a row by one ordinary user only the first three are shown; --by NAME and --json show all.",
	Flags: func(f *pflag.FlagSet) {
		jsonFlag(f)
		f.String("by", "", "show only what the person `NAME` did")
		f.String("since", "", "go back this `TIME`, such as 2h or 7d")
		f.Bool("verify", false, "check the chain of hashes")
	},
	Run: func(_ context.Context, c *Call) error {
		if verify, _ := c.Flags.GetBool("verify"); verify {
			lines, err := c.Services.Audit.Verify()
			if err != nil {
				return failed("the audit log is not intact: %v", err)
			}
			tip, err := c.Services.Audit.Signed()
			if err != nil {
				return failed("the audit log does not match its signature: %v", err)
			}
			c.Printf("%s, hash chain intact\n", text.Count(int(lines), "line"))
			c.Printf("first %d signed by %s at server %s, %s; hash %s\n", tip.Lines, tip.By, tip.When,
				tip.At.In(c.zone()).Format(listedTime), orNone(tip.Hash))
			return nil
		}
		n, since, err := parseAuditArgs(c)
		if err != nil {
			return err
		}
		by, _ := c.Flags.GetString("by")
		acts, err := c.Services.Audit.Entries(since, maxEntries)
		if err != nil {
			return err
		}
		acts = slices.DeleteFunc(acts, func(a chat.AuditEntry) bool { return by != "" && a.By != strings.ToLower(strings.TrimPrefix(by, "@")) })
		if c.json() {
			for _, entry := range acts[max(0, len(acts)-n):] {
				c.printJSON(entry)
			}
			return nil
		}
		runs := foldEntries(acts, func(name string) bool { return by == "" && hasNoRole(c, name) })
		for _, run := range runs[max(0, len(runs)-n):] {
			printEntries(c, run)
		}
		return nil
	},
})

// How many lines of the log are read, and how many in a row by one person without a role are shown.
const (
	maxEntries = 10_000
	shownOfRun = 3
)

// entryRun is one line of the log, or several in a row by one person after the first few.
type entryRun struct {
	last  chat.AuditEntry
	count int
}

// foldEntries folds runs of lines by one person without a role after the first few: they must not hide other people's lines.
func foldEntries(acts []chat.AuditEntry, fold func(by string) bool) []entryRun {
	var runs []entryRun
	inRow := 0
	for i, entry := range acts {
		if i > 0 && entry.By == acts[i-1].By && entry.By != "" && fold(entry.By) {
			inRow++
		} else {
			inRow = 0
		}
		if inRow > shownOfRun {
			runs[len(runs)-1].last = entry
			runs[len(runs)-1].count++
			continue
		}
		runs = append(runs, entryRun{entry, 1})
	}
	return runs
}

// hasNoRole reports whether the name is not that of a moderator or admin of today.
func hasNoRole(c *Call, word string) bool {
	name, err := text.ParseName(word)
	if err != nil {
		return false
	}
	a, _ := c.Hub.View().ByName(name)
	return !a.Role.AtLeast(chat.Mod)
}

func printEntries(c *Call, run entryRun) {
	entry := run.last
	at := entry.At.In(c.zone()).Format(listedTime)
	if run.count > 1 {
		c.Printf("%s  %s  ... and %d more in a row; to see them: %s --by %s\n", at, entry.By, run.count, c.typed("audit"), entry.By)
		return
	}
	said := strings.TrimSuffix(strings.TrimSpace(entry.Do+" "+entry.On)+afterColon(entry.Text), ".")
	c.Printf("%s  %s  %s, %s\n", at, orServer(entry.By), said, entry.Result)
}

// parseAuditArgs is how many lines were asked for, and since when.
func parseAuditArgs(c *Call) (n int, since time.Time, err error) {
	n = auditLines
	if len(c.Args) == 1 {
		if n, err = strconv.Atoi(c.Args[0]); err != nil || n < 1 || n > maxEntries {
			return 0, since, c.usage("the number of lines must be 1 to %d", maxEntries)
		}
	}
	if word, _ := c.Flags.GetString("since"); word != "" {
		d, err := chat.ParseDuration(word)
		if err != nil {
			return 0, since, c.usage("--since: %v", err)
		}
		if d > 0 {
			since = time.Now().Add(-d)
		}
		if len(c.Args) == 0 {
			n = maxEntries
		}
	}
	return n, since, nil
}

// listedTime is how lists show a moment: with the zone, since the reader may be anywhere.
const listedTime = "2006-01-02 15:04:05 MST"

func orNone(hash string) string {
	if hash == "" {
		return "none"
	}
	return hash
}

func orServer(by string) string {
	if by == "" {
		return "the server"
	}
	return by
}

var _ = add(&Command{
	Name: "sources list", Aliases: []string{"sources"}, Brief: "list addresses that are refused or limited",
	More: "An address that sends wrong passwords or wastes connections is refused for a while, unless somebody has logged in\n" +
		"from it in the last 30 days. From such a known address only passwords are delayed, after many wrong ones. Keys are\n" +
		"never delayed, nor are passwords of people who have logged in from it.",
	UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		list := c.Sources.LimitedSources()
		for _, s := range list {
			if c.json() {
				c.printJSON(s)
				continue
			}
			c.Printf("%s\n", sourceLine(c, s))
		}
		if len(list) == 0 && !c.json() {
			c.Notef("No address is refused or limited.")
		}
		return nil
	},
})

func sourceLine(c *Call, s Source) string {
	until := s.Until.In(c.zone()).Format("15:04:05 MST")
	line := map[string]string{
		SourceRefused: "refused until " + until, SourceDelayed: "passwords delayed until " + until,
		SourceCharged: "not refused, counted until " + until, SourceFree: "not refused",
	}[s.State]
	words := []string{line}
	if s.Refusals > 0 {
		words = append(words, counted(s.Refusals, "refusal", "refusals"))
	}
	if s.Accounts > 0 {
		words = append(words, counted(s.Accounts, "new account", "new accounts")+" within an hour")
	}
	if s.Registering > 0 {
		words = append(words, counted(s.Registering, "person", "people")+" registering")
	}
	if s.Known {
		words = append(words, "known")
	}
	return fmt.Sprintf("%-20s  %s", s.Source, strings.Join(words, ", "))
}

// counted is a number of things.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

var _ = add(&Command{
	Name: "sources forgive", Args: "ADDRESS", Brief: "stop refusing or limiting an address",
	More: "Its penalties are cleared, and accounts can be created from it again. unix is all connections through Unix sockets.\n" +
		"Wrong passwords still count against the accounts they were tried on; `user unlock` clears those.",
	UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		addr, err := netip.ParseAddr(c.Args[0])
		if prefix, whole := netip.ParsePrefix(c.Args[0]); whole == nil { // as sources list has it
			addr, err = prefix.Addr(), nil
		}
		if c.Args[0] == unixSocket {
			addr, err = netip.IPv4Unspecified(), nil // as limit.Unix is written
		}
		if err != nil {
			return c.usage("sources forgive needs an address, such as 192.0.2.1 or 2001:db8::1, or unix")
		}
		shown := addr.String()
		if addr == netip.IPv4Unspecified() {
			shown = unixSocket
		}
		if !c.Sources.Forgive(addr.Unmap()) {
			return notFound("nothing is recorded against %s", shown)
		}
		c.Log.Info("source forgiven", "source", shown, "by", c.Account.Name)
		c.Notef("%s is no longer refused or limited.", shown)
		return nil
	},
})
