package command

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"

	"github.com/spf13/pflag"
)

// Bans, mutes, the allowlist, and invites to register.

const durations = "TIME is a duration such as 30s, 10m, 2h, 7d or 4w"

var _ = add(&Command{
	Name: "ban", Args: "USER|ip=CIDR|key=FINGERPRINT [TIME] [REASON]", Brief: "ban a person, a range of addresses or a key",
	More: durations + "; the default is forever.\nTheir sessions end at once, and new messages are not sealed to them. They may create another account: --address also\n" +
		"bans the address they are connected from, unless others may use it too. --force allows a range that includes\n" +
		"loopback addresses.",
	UIs: Both, Effect: ChangesOthers, Says: withReason, Role: chat.Mod, Words: 1, Text: true,
	Flags: func(f *pflag.FlagSet) {
		f.Bool("address", false, "also ban the addresses they are connected from")
		f.Bool("force", false, "ban even if the range includes loopback addresses")
	},
	Run: func(ctx context.Context, c *Call) error {
		s, err := parseSanction(c)
		if err != nil {
			return err
		}
		if err := c.may(banOf(ctx, c, s)); err != nil {
			return err
		}
		bans := []chat.Sanction{s}
		if with, _ := c.Flags.GetBool("address"); with {
			bans = append(bans, addressesOf(ctx, c, s)...)
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

// banOf is a ban, with the connections that chat's rules need to know.
func banOf(ctx context.Context, c *Call, s chat.Sanction) chat.Ban {
	force, _ := c.Flags.GetBool("force")
	ban := chat.Ban{Sanction: s, Force: force}
	if s.Net.IsValid() {
		ban.Seen = staffSeen(ctx, c)
	}
	return ban
}

// staffSeen is where moderators and admins are connected from, or lately were, by account: what a ban of addresses must
// not hit is for chat's rules to say.
func staffSeen(ctx context.Context, c *Call) map[string][]netip.Prefix {
	seen := make(map[string][]netip.Prefix)
	for _, s := range glanced(ctx, c) {
		seen[s.Account] = append(seen[s.Account], netip.PrefixFrom(s.Addr, s.Addr.BitLen()))
	}
	for a := range c.Hub.View().Accounts() {
		if a.Role.AtLeast(chat.Mod) {
			seen[a.ID] = append(seen[a.ID], c.LoginAttempts.Sources(a.Name)...)
		}
	}
	return seen
}

// addressesOf are the addresses a banned person is connected from, as far as they are surely theirs: no loopback or
// private address, which a proxy or a whole house may have, and none that anybody else is connected from.
func addressesOf(ctx context.Context, c *Call, s chat.Sanction) []chat.Sanction {
	shared := make(map[netip.Addr]bool)
	var theirs []netip.Addr
	for _, live := range glanced(ctx, c) {
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
			c.Notef("%s was not banned: other people may use that address.", shownAddr(addr))
			continue
		}
		also := s
		also.User, also.Net = chat.Name{}, netip.PrefixFrom(addr, addr.BitLen())
		if err := c.may(banOf(ctx, c, also)); err != nil {
			c.Notef("%s was not banned: %v.", addr, err)
			continue
		}
		bans = append(bans, also)
	}
	return bans
}

// banOne bans, and says what came of it.
func banOne(ctx context.Context, c *Call, s chat.Sanction) error {
	ended, err := decideEnding(ctx, c, banOf(ctx, c, s))
	if err != nil {
		return err
	}
	c.Log.Info("ban", "on", s.Target(), "until", s.Until, "by", c.Account.Name, "source", c.Source)
	c.Notef("%s is banned %s; %s ended.", s.Target(), s.Lasts(), text.Count(ended, "session"))
	return nil
}

var _ = add(&Command{
	Name: "unban", Args: "USER|ip=CIDR|key=FINGERPRINT", Brief: "lift a ban", UIs: Both, Effect: ChangesOthers, Role: chat.Mod, Words: 1,
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
		c.Notef("%s is no longer banned.", s.Target())
		return nil
	},
})

var _ = add(&Command{
	Name: "banned", Aliases: []string{"bans"}, Brief: "list bans and mutes", UIs: Both, Effect: Reads, List: true, Role: chat.Mod, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		now := c.Hub.View()
		bans, mutes := now.Bans(), now.Mutes()
		printSanctions(c, "ban", bans)
		printSanctions(c, "mute", mutes)
		c.empty(len(bans)+len(mutes), "No bans or mutes.")
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
		lasts := s.Lasts()
		if kind == "mute" {
			lasts = s.MuteLasts()
		}
		c.Printf("%-4s  %s  %s, by %s on %s%s\n", kind, s.Target(), lasts, s.By, s.At.Format("2006-01-02"), s.Reason())
	}
}

// toHush is what /mute of a room may have meant.
const toHush = "; to stop alerts from a room, use `hush`"

var _ = add(&Command{
	Name: "mute", Args: "USER [TIME] [REASON]", Brief: "stop a person from posting", More: durations + "; the default is until `unmute`.",
	Yours: toHush,
	UIs:   Both, Effect: ChangesOthers, Says: withReason, Role: chat.Mod, Words: 1, Text: true,
	Run: func(ctx context.Context, c *Call) error {
		if strings.HasPrefix(c.Args[0], "#") {
			return c.usage("mute needs the name of a person%s", c.UI.words(toHush))
		}
		s, err := parseSanction(c)
		if err != nil {
			return err
		}
		if s.User.IsZero() {
			return c.usage("mute needs the name of a person")
		}
		if err := c.decide(ctx, chat.Mute{Sanction: s}); err != nil {
			return err
		}
		c.Log.Info("mute", "on", s.User, "until", s.Until, "by", c.Account.Name, "source", c.Source)
		c.Hub.NotifyUser(s.User, "%s", s.MuteText())
		c.Notef("%s is muted %s.", s.User, s.MuteLasts())
		return nil
	},
})

var _ = add(&Command{
	Name: "unmute", Args: "USER", Brief: "lift a mute", UIs: Both, Effect: ChangesOthers, Role: chat.Mod, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		name, err := c.personName(c.Args[0])
		if err != nil {
			return err
		}
		if err := c.decide(ctx, chat.Unmute{Name: name}); err != nil {
			return err
		}
		c.Log.Info("mute lifted", "on", name, "by", c.Account.Name, "source", c.Source)
		c.Hub.NotifyUser(name, "You are no longer muted.")
		c.Notef("%s is no longer muted.", name)
		return nil
	},
})

// Who may create an account by themselves.
var (
	_ = registration("registration open", "let everyone create an account", chat.Open)
	_ = registration("registration invite", "let people create an account with an invite", chat.InviteOnly)
	_ = registration("registration closed", "let nobody create an account", chat.Closed)
	_ = registration("registration default", "let the setting say who may create an account", "")
)

func registration(name, brief string, to chat.Registration) *Command {
	more := "It takes effect at once, also for people who are creating an account just now, and lasts until\n" +
		"`registration default`, whatever the setting says."
	if to == "" {
		more = "It ends what `registration open`, `registration invite` or `registration closed` decided."
	}
	return add(&Command{
		Name: name, Brief: brief, More: more, UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
		Run: func(ctx context.Context, c *Call) error {
			if err := c.decide(ctx, chat.SetRegistration{To: to}); err != nil {
				return err
			}
			c.Log.Info(name, "by", c.Account.Name, "source", c.Source)
			c.Notef("%s", c.registration())
			return nil
		},
	})
}

// registration says who may register, and what decides that.
func (s *Services) registration() string {
	decided, setting := s.Hub.View().Registration(), s.configured().registration()
	if decided == "" {
		return fmt.Sprintf("Registration is %s, as the setting says.", setting)
	}
	return fmt.Sprintf("Registration is %s, by command; the setting is %s.", decided, setting)
}

var _ = add(&Command{
	Name: "registration", Brief: "show who may create an account",
	More: "To change it: `registration open`, `registration invite` or `registration closed`; to undo that: `registration default`.",
	UIs:  Both, Effect: Reads, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		if c.json() {
			decided, setting := c.Hub.View().Registration(), c.configured().registration()
			c.printJSON(struct {
				Registration chat.Registration `json:"registration"`
				Setting      chat.Registration `json:"setting"`
				Command      chat.Registration `json:"command,omitempty"`
			}{decided.Or(setting), setting, decided})
			return nil
		}
		c.Printf("%s\n", c.registration())
		return nil
	},
})

// While the allowlist is on, only people on it, moderators and admins can log in.
var (
	_ = allowSwitch("allowlist on", "admit only people on the allowlist", true)
	_ = allowSwitch("allowlist off", "admit everyone again", false)
	_ = allowEdit("allowlist add", "add an entry to the allowlist", func(target string) chat.Intent { return chat.Allow{Target: target} })
	_ = allowEdit("allowlist remove", "remove an entry from the allowlist", func(target string) chat.Intent { return chat.Disallow{Target: target} })
)

func allowSwitch(name, brief string, on bool) *Command {
	var flags func(*pflag.FlagSet)
	if on {
		flags = yesFlag
	}
	return add(&Command{
		Name: name, Brief: brief, UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 0, Flags: flags,
		More: "Moderators and admins are always admitted. Sessions of people who are not end at once.",
		Run: func(ctx context.Context, c *Call) error {
			if on && len(c.Hub.View().Allowlist().Entries) == 0 {
				err := askSure(ctx, c, "The allowlist is empty: only moderators and admins can log in. Turn it on? [y/N] ")
				if err != nil {
					return err
				}
			}
			return changeAllowlist(ctx, c, chat.SetAllowlist{On: on})
		},
	})
}

func allowEdit(name, brief string, intent func(target string) chat.Intent) *Command {
	return add(&Command{
		Name: name, Args: "USER|ip=CIDR|key=FINGERPRINT", Brief: brief, UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 1,
		Run: func(ctx context.Context, c *Call) error {
			if err := c.need(1); err != nil {
				return err
			}
			target, err := chat.ParseTarget(c.Args[0])
			if err != nil {
				return c.usage("%v", err)
			}
			return changeAllowlist(ctx, c, intent(target.Target()))
		},
	})
}

// changeAllowlist changes the list, and prints how many sessions ended because of it.
func changeAllowlist(ctx context.Context, c *Call, in chat.Intent) error {
	ended, err := decideEnding(ctx, c, in)
	if err != nil {
		return err
	}
	c.Notef("Done; %s ended.", text.Count(ended, "session"))
	return nil
}

var _ = add(&Command{
	Name: "allowlist list", Brief: "show the allowlist and whether it is on", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		list := c.Hub.View().Allowlist()
		if c.json() {
			c.printJSON(struct {
				On      bool     `json:"on"`
				Entries []string `json:"entries"`
			}{list.On, append([]string{}, list.Entries...)})
			return nil
		}
		if list.On {
			c.Notef("The allowlist is on.")
		} else {
			c.Notef("The allowlist is off.")
		}
		for _, e := range list.Entries {
			c.Printf("%s\n", e)
		}
		c.empty(len(list.Entries), "No entries.")
		return nil
	},
})

var _ = add(&Command{
	Name: "invite create", Args: "[--uses 1] [--expires 7d]", Brief: "create an invite code",
	More: "The code is shown only once, with the command that uses it.",
	UIs:  Both, Effect: ChangesServer, Role: chat.Admin, Words: 0,
	Flags: func(f *pflag.FlagSet) {
		f.Int("uses", 1, "let `N` people use it")
		f.String("expires", "7d", "end it after this `TIME`, such as 2h, 7d or forever")
		jsonFlag(f)
	},
	Run: func(ctx context.Context, c *Call) error {
		uses, _ := c.Flags.GetInt("uses")
		word, _ := c.Flags.GetString("expires")
		d, err := chat.ParseDuration(word)
		if err != nil {
			return c.usage("--expires: %v", err)
		}
		if uses < 1 {
			return c.usage("--uses must be at least 1")
		}
		var end time.Time
		if d > 0 {
			end = time.Now().Add(d)
		}
		in, code, err := c.Accounts.NewInvite(c.Account.Name, uses, end)
		if err != nil {
			return err
		}
		if err := c.decide(ctx, in); err != nil {
			return err
		}
		id := in.Invite.ID
		c.Log.Info("invite created", "id", id, "uses", uses, "by", c.Account.Name, "source", c.Source)
		if c.json() {
			c.printJSON(struct {
				ID   string `json:"id"`
				Code string `json:"code"`
			}{id, code})
			return nil
		}
		c.printSecret("invite code", []byte(code))
		c.Notef("Created the invite %s. To register with it: ssh -t %s register %s", id, c.Reach("NAME", c.At), code)
		return nil
	},
})

var _ = add(&Command{
	Name: "invite list", Brief: "list valid invites", UIs: Both, Effect: Reads, List: true, Role: chat.Admin, Words: 0, Flags: jsonFlag,
	Run: func(_ context.Context, c *Call) error {
		invites := c.Hub.View().Invites()
		for _, i := range invites {
			if c.json() {
				c.printJSON(i)
				continue
			}
			expires := "never expires"
			if !i.Until.IsZero() {
				expires = "expires " + i.Until.Format("2006-01-02 15:04 MST")
			}
			c.Printf("%s  %s left; %s; created by %s\n", i.ID, text.Count(i.Uses, "use"), expires, i.By)
		}
		c.empty(len(invites), "No invites.")
		return nil
	},
})

var _ = add(&Command{
	Name: "invite revoke", Args: "ID", Brief: "revoke an invite", UIs: Both, Effect: ChangesServer, Role: chat.Admin, Words: 1,
	Run: func(ctx context.Context, c *Call) error {
		if err := c.need(1); err != nil {
			return err
		}
		if err := c.decide(ctx, chat.RevokeInvite{ID: c.Args[0]}); err != nil {
			return err
		}
		c.Notef("The invite is revoked.")
		return nil
	},
})
