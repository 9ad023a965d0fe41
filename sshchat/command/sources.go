package command

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sshchat/sshchat/chat"
)

// Sources is where connections come from, as far as something is counted against it. A source is an IPv4 address, or the
// /64 of an IPv6 address.
type Sources interface {
	// LimitedSources lists the sources against which something is counted, those that are refused first.
	LimitedSources() []Source
	// Forgive forgets all that is counted against the source of the address, and reports whether there was anything.
	Forgive(addr netip.Addr) bool
}

// Source is one of them, as a copy.
type Source struct {
	Source      string    `json:"source"`
	State       string    `json:"state"`          // one of the States
	Until       time.Time `json:"until,omitzero"` // the end of that
	Refusals    int       `json:"refusals"`       // how often it was refused lately, each within a day of the last
	Known       bool      `json:"known"`          // somebody logged in to an account from there within 30 days
	Accounts    int       `json:"accounts"`       // made from there within an hour
	Registering int       `json:"registering"`    // logins without an account
}

// States of a source.
const (
	SourceRefused = "refused" // its connections are, for what it did
	SourceWaits   = "waits"   // its passwords are not looked at; it is known, so that it is not refused
	SourceOwes    = "owes"    // a little more, and it is refused
	SourceFree    = "free"
)

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
