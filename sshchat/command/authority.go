package command

import (
	"net/netip"

	"sshchat/sshchat/chat"
)

// This file is whom commands act on.

// account reads the name, with or without @, of somebody who has an account.
func (c *Call) account(word string) (chat.Account, error) {
	name, err := c.personName(word)
	if err != nil {
		return chat.Account{}, err
	}
	a, ok := c.Hub.View().ByName(name)
	if !ok {
		return a, notFound("no account named %s", name)
	}
	return a, nil
}

// staffSeen is where moderators and admins are connected from, or lately were, by account: what a ban of addresses must
// not hit is for chat's rules to say.
func staffSeen(c *Call) map[string][]netip.Prefix {
	seen := make(map[string][]netip.Prefix)
	for _, s := range c.Live.Sessions() {
		seen[s.Account] = append(seen[s.Account], netip.PrefixFrom(s.Addr, s.Addr.BitLen()))
	}
	for a := range c.Hub.View().Accounts() {
		if a.Role.AtLeast(chat.Mod) {
			seen[a.ID] = append(seen[a.ID], c.Tries.Sources(a.Name)...)
		}
	}
	return seen
}

// need refuses fewer arguments than n.
func (c *Call) need(n int) error {
	if len(c.Args) < n {
		return c.usage("%s: something is missing", c.Command.Name)
	}
	return nil
}
