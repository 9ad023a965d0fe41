package command

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

const durations = "A duration is 30s, 10m, 2h, 7d, 4w or forever, which it is where none is given."

var _ = add(&Command{
	Name: "ban", Args: "USER|ip=CIDR|key=FP [DUR] [WHY]", Brief: "keep somebody, addresses or a key out",
	More: durations + "\nTheir sessions end now, and nothing more is sealed to them. --address bans where they are as well,\n" +
		"where that is theirs alone. --force bans addresses that include a loopback one.",
	Faces: Both, Effect: ChangesOthers, Says: withReason, Role: chat.Mod, Words: 1, Text: true,
	Flags: func(f *pflag.FlagSet) {
		f.Bool("address", false, "ban the addresses they are connected from, too")
		f.Bool("force", false, "also where it bans loopback addresses")
	},
	Run: func(ctx context.Context, c *Call) error {
		s, err := parseSanction(c)
		if err != nil {
			return err
		}
		if err := c.may(banOf(c, s)); err != nil {
			return err
		}
		bans := []chat.Sanction{s}
		if with, _ := c.Flags.GetBool("address"); with {
			bans = append(bans, addressesOf(c, s)...)
		}
		for _, s := range bans {
			if err := banOne(ctx, c, s); err != nil {
				return err
			}
		}
		return nil
	},
})

// parseSanction reads who, how long and why.
func parseSanction(c *Call) (chat.Sanction, error) {
	s, err := chat.ParseTarget(c.Args[0])
	if err != nil {
		return s, c.usage("%v", err)
	}
	word, why := cutWord(c.Text)
	if word != "" {
		d, err := chat.ParseDuration(word)
		if err != nil {
			return s, c.usage("%v", err)
		}
		if d > 0 {
			s.Until = time.Now().Add(d).UTC().Truncate(time.Second)
		}
	}
	s.By, s.Why = c.Account.Name, text.Clean(why, maxAudited)
	return s, nil
}

// banOf is a ban, with what chat's rules have to know of who is connected.
func banOf(c *Call, s chat.Sanction) chat.Ban {
	force, _ := c.Flags.GetBool("force")
	return chat.Ban{Sanction: s, Force: force, Seen: staffSeen(c)}
}

// addressesOf are the addresses a banned person is connected from, as far as they are surely theirs: no loopback or
// private address, which a proxy or a whole house may have, and none that anybody else is connected from.
func addressesOf(c *Call, s chat.Sanction) []chat.Sanction {
	shared := make(map[netip.Addr]bool)
	var theirs []netip.Addr
	for _, live := range c.Live.Sessions() {
		addr := live.Addr
		if live.Name != s.User {
			shared[addr] = true
		} else if !slices.Contains(theirs, addr) {
			theirs = append(theirs, addr)
		}
	}
	var bans []chat.Sanction
	for _, addr := range theirs {
		if shared[addr] || addr == c.Who().Addr || !addr.IsGlobalUnicast() || addr.IsPrivate() || addr.IsLoopback() {
			c.Notef("%s is not banned: others may be there as well.", addr)
			continue
		}
		also := s
		also.User, also.Net = chat.Name{}, netip.PrefixFrom(addr, addr.BitLen())
		if err := c.may(banOf(c, also)); err != nil {
			c.Notef("%s is not banned: %v.", addr, err)
			continue
		}
		bans = append(bans, also)
	}
	return bans
}

// banOne bans, and says what came of it.
func banOne(ctx context.Context, c *Call, s chat.Sanction) error {
	before := c.Live.Ended()
	if err := c.decide(ctx, banOf(c, s)); err != nil {
		return err
	}
	c.Log.Info("ban", "on", s.Target(), "until", s.Until, "by", c.Account.Name, "source", c.Source)
	c.Notef("%s is banned %s; %s ended.", s.Target(), s.Lasts(), text.Count(c.Live.Ended()-before, "session"))
	return nil
}

var _ = add(&Command{
	Name: "unban", Args: "USER|ip=CIDR|key=FP", Brief: "lift a ban", Faces: Both, Effect: ChangesOthers, Role: chat.Mod, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		s, err := chat.ParseTarget(c.Args[0])
		if err != nil {
			return c.usage("%v", err)
		}
		if err := c.decide(ctx, chat.Unban{Target: s.Target()}); err != nil {
			return err
		}
		c.Log.Info("ban lifted", "on", s.Target(), "by", c.Account.Name, "source", c.Source)
		c.Notef("%s is not banned any more.", s.Target())
		return nil
	},
})

var _ = add(&Command{
	Name: "banned", Aliases: []string{"bans"}, Brief: "list bans and mutes", Faces: Both, Effect: Reads, List: true, Role: chat.Mod, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		now := c.Hub.View()
		printSanctions(c, "ban", now.Bans())
		printSanctions(c, "mute", now.Mutes())
		return nil
	},
})

func printSanctions(c *Call, kind string, list []chat.Sanction) {
	for _, s := range list {
		if c.json() {
			c.printJSON(struct {
				Kind string `json:"kind"`
				chat.Sanction
			}{kind, s})
			continue
		}
		c.Printf("%-4s  %s  %s, by %s on %s%s\n", kind, s.Target(), s.Lasts(), s.By, s.At.Format("2006-01-02"), s.Reason())
	}
}
