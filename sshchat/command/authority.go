package command

import (
	"net/netip"

	"sshchat/sshchat/chat"
)

// over refuses to act on somebody who is as high as the caller, or who is the caller: moderators act on users, admins on
// everybody else.
func (c *Call) over(a chat.Account) error {
	switch {
	case a.ID == c.Account.ID:
		return denied("%s is yourself", a.Name)
	case !(c.Verified && c.Account.Role == chat.Admin) && a.Role.AtLeast(chat.Mod):
		return denied("%s is a %s; that takes an admin", a.Name, a.Role)
	}
	return nil
}

// account reads the name, with or without @, of somebody who has an account.
func (c *Call) account(word string) (chat.Account, error) {
	name, err := c.personName(word)
	if err != nil {
		return chat.Account{}, err
	}
	a, ok := c.Accounts.ByName(name)
	if !ok {
		return a, notFound("no account named %s", name)
	}
	return a, nil
}

// subject is account for somebody the caller may act on.
func (c *Call) subject(word string) (chat.Account, error) {
	a, err := c.account(word)
	if err == nil {
		err = c.over(a)
	}
	return a, err
}

// addr is where the caller connects from.
func (c *Call) addr() netip.Addr {
	a, err := netip.ParseAddr(c.Source)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// need refuses fewer arguments than n.
func (c *Call) need(n int) error {
	if len(c.Args) < n {
		return c.usage("%s: something is missing", c.Command.Name)
	}
	return nil
}
