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

// auditLines is how many lines audit shows where it is not told.
const auditLines = 50

var _ = add(&Command{
	Name: "audit", Args: "[N]", Brief: "show what moderators and admins did", Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 1,
	More: "Every line holds the hash of the one before, and the host key signs the last when the server starts and stops.\n" +
		"--verify checks all lines and that signature, and prints how many there are. Whoever has the host key as well\n" +
		"can make another log: keep a hash elsewhere.\n" +
		"Of many lines in a row by one person without a role the first three are shown; --by NAME and --json show all.",
	Flags: func(f *pflag.FlagSet) {
		jsonFlag(f)
		f.String("by", "", "only what this person did")
		f.String("since", "", "how far back, as in 2h or 7d")
		f.Bool("verify", false, "check the chain of hashes")
	},
	Run: func(_ context.Context, c *Call) error {
		if verify, _ := c.Flags.GetBool("verify"); verify {
			lines, err := c.Services.Audit.Verify()
			if err != nil {
				return failed("the audit log does not verify: %v", err)
			}
			tip, err := c.Services.Audit.Signed()
			if err != nil {
				return failed("the audit log is not what the host key signed: %v", err)
			}
			c.Printf("%s, and each follows from the one before\n", text.Count(int(lines), "line"))
			c.Printf("the first %d were signed by %s at the server's %s, %s; hash %s\n", tip.Lines, tip.By, tip.When,
				tip.At.In(c.zone()).Format("2006-01-02 15:04:05"), orNone(tip.Hash))
			return nil
		}
		n, since, err := whichActs(c)
		if err != nil {
			return err
		}
		by, _ := c.Flags.GetString("by")
		acts, err := c.Services.Audit.Acts(since, mostActs)
		if err != nil {
			return err
		}
		acts = slices.DeleteFunc(acts, func(a chat.Act) bool { return by != "" && a.By != strings.ToLower(strings.TrimPrefix(by, "@")) })
		if c.json() {
			for _, act := range acts[max(0, len(acts)-n):] {
				c.printJSON(act)
			}
			return nil
		}
		runs := foldActs(acts, func(name string) bool { return by == "" && hasNoRole(c, name) })
		for _, run := range runs[max(0, len(runs)-n):] {
			printActs(c, run)
		}
		return nil
	},
})

// How many lines of the log are looked at, and how many in a row by one person without a role are shown.
const (
	mostActs = 10_000
	fewActs  = 3
)

// actRun is one line of the log, or several in a row by one person after the first few.
type actRun struct {
	last  chat.Act
	count int
}

// foldActs makes one of all but the first few lines in a row by a person whose lines are to be folded: who has no role must
// not push out of sight what others do.
func foldActs(acts []chat.Act, fold func(by string) bool) []actRun {
	var runs []actRun
	inRow := 0
	for i, act := range acts {
		if i > 0 && act.By == acts[i-1].By && act.By != "" && fold(act.By) {
			inRow++
		} else {
			inRow = 0
		}
		if inRow > fewActs {
			runs[len(runs)-1].last = act
			runs[len(runs)-1].count++
			continue
		}
		runs = append(runs, actRun{act, 1})
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

func printActs(c *Call, run actRun) {
	act := run.last
	if run.count > 1 {
		c.Printf("%s  %s  ... and %d more in a row; %s --by %s shows them\n", act.At.Format("2006-01-02 15:04:05"), act.By, run.count, c.typed("audit"), act.By)
		return
	}
	c.Printf("%s  %s  %s %s%s, %s\n", act.At.Format("2006-01-02 15:04:05"), orServer(act.By), act.Do, act.On, afterColon(act.Text), act.Result)
}

// whichActs is how many lines were asked for, and since when.
func whichActs(c *Call) (n int, since time.Time, err error) {
	n = auditLines
	if len(c.Args) == 1 {
		if n, err = strconv.Atoi(c.Args[0]); err != nil || n < 1 || n > mostActs {
			return 0, since, c.usage("say how many lines, 1 to %d", mostActs)
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
			n = mostActs
		}
	}
	return n, since, nil
}

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
	More: "An address is refused for a while for wrong passwords and wasted connections, unless somebody has logged in from\n" +
		"there within 30 days. From such a known one only passwords wait, after many wrong ones; keys do not, nor do the\n" +
		"passwords of people who have logged in from there.",
	Faces: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
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
	until := s.Until.In(c.zone()).Format("15:04:05")
	line := map[string]string{
		SourceRefused: "refused until " + until, SourceWaits: "passwords wait until " + until,
		SourceOwes: "not refused, has a count until " + until, SourceFree: "not refused",
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
	More: "What it did is forgotten, and accounts can be made from there again. Wrong passwords stay counted for the names they\n" +
		"were tried for; `user unlock` ends that.",
	Faces: Both, Effect: ChangesServer, Role: chat.Admin, Words: 1,
	Run: func(_ context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		addr, err := netip.ParseAddr(c.Args[0])
		if prefix, whole := netip.ParsePrefix(c.Args[0]); whole == nil { // as sources list has it
			addr, err = prefix.Addr(), nil
		}
		if err != nil {
			return c.usage("sources forgive: an address is as 192.0.2.1 or 2001:db8::1")
		}
		if !c.Sources.Forgive(addr.Unmap()) {
			return notFound("nothing is counted against %s", addr)
		}
		c.Log.Info("source forgiven", "source", addr, "by", c.Account.Name)
		c.Notef("%s is not refused or limited any more.", addr)
		return nil
	},
})
