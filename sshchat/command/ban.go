package command

import (
	"context"
	"fmt"
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
		s, err := c.sanction()
		if err != nil {
			return err
		}
		if err := c.mayBan(s); err != nil {
			return err
		}
		bans := []chat.Sanction{s}
		if with, _ := c.Flags.GetBool("address"); with {
			bans = append(bans, c.addressesOf(s)...)
		}
		for _, s := range bans {
			if err := c.impose(ctx, s); err != nil {
				return err
			}
		}
		return nil
	},
})

// sanction reads who, how long and why.
func (c *Call) sanction() (chat.Sanction, error) {
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

// mayBan refuses a ban of oneself, of somebody higher, of what somebody higher banned otherwise, and of what is many
// people's by accident.
func (c *Call) mayBan(s chat.Sanction) error {
	force, _ := c.Flags.GetBool("force")
	switch {
	case !s.User.IsZero():
		if _, err := c.subject(s.User.String(), chat.RoomName{}); err != nil {
			return err
		}
	case s.Net.IsValid() && s.Net.Contains(c.addr()):
		return denied("you are connected from there yourself")
	case s.Net.IsValid() && s.Net.Overlaps(loopback[s.Net.Addr().Is4()]) && !force:
		return denied("%s includes loopback addresses, which a proxy's clients may all come from; --force bans them all the same", s.Net)
	case s.Key != "" && slices.ContainsFunc(c.Account.Keys, func(k chat.Key) bool { return k.Fingerprint == s.Key }):
		return denied("that key is yours")
	}
	if err := c.mayBeHit(s); err != nil {
		return err
	}
	return c.mayReplace(s, c.Accounts.Bans())
}

// mayReplace refuses to put a sanction in the place of one that the caller may not lift.
func (c *Call) mayReplace(s chat.Sanction, list []chat.Sanction) error {
	for _, old := range list {
		if old.Target() == s.Target() {
			return c.mayLift(old)
		}
	}
	return nil
}

// loopback are the addresses of the machine itself, by whether they are IPv4.
var loopback = map[bool]netip.Prefix{true: netip.MustParsePrefix("127.0.0.0/8"), false: netip.MustParsePrefix("::1/128")}

// addressesOf are the addresses a banned person is connected from, as far as they are surely theirs: no loopback or
// private address, which a proxy or a whole house may have, and none that anybody else is connected from.
func (c *Call) addressesOf(s chat.Sanction) []chat.Sanction {
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
		if shared[addr] || addr == c.addr() || !addr.IsGlobalUnicast() || addr.IsPrivate() || addr.IsLoopback() {
			c.Notef("%s is not banned: others may be there as well.", addr)
			continue
		}
		also := s
		also.User, also.Net = chat.Name{}, netip.PrefixFrom(addr, addr.BitLen())
		if err := c.mayBan(also); err != nil {
			c.Notef("%s is not banned: %v.", addr, err)
			continue
		}
		bans = append(bans, also)
	}
	return bans
}

// impose bans, and ends what the ban hits: sessions, and windows of history that the keys would open.
func (c *Call) impose(ctx context.Context, s chat.Sanction) error {
	if err := c.Accounts.Ban(s); err != nil {
		return err
	}
	c.Log.Info("ban", "on", s.Target(), "until", s.Until, "by", c.Account.Name, "source", c.Source)
	ended := c.Live.Review(banned(s))
	if err := c.Reseal(ctx, s, chat.Revoke); err != nil {
		return err
	}
	c.Notef("%s is banned %s; %s ended.", s.Target(), until(s), text.Count(ended, "session"))
	return nil
}

// Reseal has what is said from now on sealed to those whom a ban hits, as they may read now: after it was imposed
// (chat.Revoke), or has ended (chat.Rekey).
func (s *Services) Reseal(ctx context.Context, ban chat.Sanction, change chat.Change) error {
	for _, a := range s.Accounts.Accounts() {
		if !ban.HitsReader(a) {
			continue
		}
		if err := s.Hub.Rekey(ctx, a.Name, change); err != nil {
			return err
		}
	}
	return nil
}

func until(s chat.Sanction) string {
	if s.Until.IsZero() {
		return "for ever"
	}
	return "until " + s.Until.Format("2006-01-02 15:04 MST")
}

// banned is what the banned are told.
func banned(s chat.Sanction) string { return fmt.Sprintf("You are banned %s%s.", until(s), reason(s)) }

func reason(s chat.Sanction) string {
	if s.Why == "" {
		return ""
	}
	return ": " + s.Why
}

// Banned refuses whoever a ban hits.
func Banned(s chat.Sanction) error { return &chat.Refusal{Code: chat.Denied, Text: banned(s)} }

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
		bans := c.Accounts.Bans()
		i := slices.IndexFunc(bans, func(b chat.Sanction) bool { return b.Target() == s.Target() })
		if i < 0 {
			return notFound("%s is not banned", s.Target())
		}
		if err := c.mayLift(bans[i]); err != nil {
			return err
		}
		if err := c.Accounts.Unban(s.Target()); err != nil {
			return err
		}
		c.Log.Info("ban lifted", "on", s.Target(), "by", c.Account.Name, "source", c.Source)
		c.Notef("%s is not banned any more.", s.Target())
		return c.Reseal(ctx, s, chat.Rekey)
	},
})

var _ = add(&Command{
	Name: "banned", Aliases: []string{"bans"}, Brief: "list bans and mutes", Faces: Both, Effect: Reads, List: true, Role: chat.Mod, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		c.printSanctions("ban", c.Accounts.Bans())
		c.printSanctions("mute", c.Accounts.Mutes())
		return nil
	},
})

func (c *Call) printSanctions(kind string, list []chat.Sanction) {
	for _, s := range list {
		if c.json() {
			c.printJSON(struct {
				Kind string `json:"kind"`
				chat.Sanction
			}{kind, s})
			continue
		}
		c.Printf("%-4s  %s  %s, by %s on %s%s\n", kind, s.Target(), until(s), s.By, s.At.Format("2006-01-02"), reason(s))
	}
}
