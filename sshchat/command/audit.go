package command

import (
	"context"
	"strconv"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// auditLines is how many lines audit shows where it is not told.
const auditLines = 50

var _ = add(&Command{
	Name: "audit", Args: "[N]", Brief: "show what moderators and admins did", Faces: Both, List: true, Role: chat.Admin, Words: 1,
	More: "Every line holds the hash of the one before, and the host key signs the last when the server starts and stops.\n" +
		"--verify checks all lines and that signature, and prints how many there are. Whoever has the host key as well\n" +
		"can make another log: keep a hash elsewhere.",
	Flags: func(f *pflag.FlagSet) {
		jsonFlag(f)
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
		acts, err := c.acts()
		if err != nil {
			return err
		}
		for _, act := range acts {
			if c.json() {
				c.printJSON(act)
				continue
			}
			c.Printf("%s  %s  %s %s%s, %s\n", act.At.Format("2006-01-02 15:04:05"), orServer(act.By), act.Do, act.On, afterColon(act.Text), act.Result)
		}
		return nil
	},
})

// acts are those that were asked for.
func (c *Call) acts() ([]chat.Act, error) {
	n, since := auditLines, time.Time{}
	if len(c.Args) == 1 {
		var err error
		if n, err = strconv.Atoi(c.Args[0]); err != nil || n < 1 || n > 10_000 {
			return nil, c.usage("say how many lines, 1 to 10000")
		}
	}
	if word, _ := c.Flags.GetString("since"); word != "" {
		d, err := chat.ParseDuration(word)
		if err != nil {
			return nil, c.usage("--since: %v", err)
		}
		if d > 0 {
			since = time.Now().Add(-d)
		}
		if len(c.Args) == 0 {
			n = 10_000
		}
	}
	return c.Services.Audit.Acts(since, n)
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
