package command

import (
	"net/netip"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/text"
)

// This file asks chat's rules who may do what to whom. What holds now is looked at again at the place of the change.

// rank is how high the caller stands on the server, and in a room if one is meant. A guessed password is worth no role.
func (c *Call) rank(now Rolls, room chat.RoomName) chat.Rank {
	a := c.Account
	if still, ok := now.ByID(a.ID); ok {
		a = still
	}
	if !c.Verified {
		a.Role = chat.User
	}
	return c.rankOf(a, room)
}

// rankOf is rank for somebody else.
func (c *Call) rankOf(a chat.Account, room chat.RoomName) chat.Rank {
	maker, mod := c.Hub.Standing(a.Name, room)
	return chat.RankOf(a.Role, maker, mod)
}

// over refuses to act on somebody whom the caller does not outrank on the server or in the room, and on the caller.
func (c *Call) over(a chat.Account, room chat.RoomName) error {
	if a.ID == c.Account.ID {
		return denied("%s is yourself", a.Name)
	}
	return c.require(func(now Rolls) error {
		if other, ok := now.ByID(a.ID); ok {
			a = other
		}
		switch rank := c.rankOf(a, room); {
		case c.rank(now, room).Outranks(rank):
			return nil
		case rank >= chat.RankMod:
			return denied("%s is %s; that takes an admin", a.Name, article(a.Role))
		case rank == chat.RankMaker:
			return denied("%s made the room; that takes a moderator of the server", a.Name)
		default:
			return denied("%s moderates the room; that takes who made it, or a moderator of the server", a.Name)
		}
	})
}

// mayLift refuses to lift a sanction, or to put another in its place, if somebody higher imposed it.
func (c *Call) mayLift(s chat.Sanction) error {
	if s.User == c.Account.Name {
		return denied("that is on yourself; another moderator or admin must lift it")
	}
	return c.require(func(now Rolls) error {
		imposer := chat.RankMember
		if by, ok := now.ByName(s.By); ok {
			imposer = chat.RankOf(by.Role, false, false)
		}
		if c.rank(now, chat.RoomName{}).MayLift(imposer) {
			return nil
		}
		return denied("%s imposed that; it takes an admin to lift or change it", s.By)
	})
}

// mayClose refuses to close a room that is neither the caller's and empty, nor an admin's to close.
func (c *Call) mayClose(room chat.RoomName) error {
	if room == chat.General { // the hub refuses that to everyone
		return nil
	}
	return c.require(func(now Rolls) error {
		maker, others := c.Hub.Closing(c.Account.Name, room)
		if c.rank(now, chat.RoomName{}).MayClose(maker, others) {
			return nil
		}
		if maker {
			return denied("#%s has %s; you can close it when nobody else is in it", room, text.Count(others, "other member"))
		}
		if _, err := c.Hub.Room(c.Account.Name, room); err != nil {
			return err
		}
		return denied("#%s can be closed by an admin, or by who made it when nobody else is in it", room)
	})
}

// mayBeHit refuses a ban that would keep out somebody the caller does not outrank: by name, key, or where they are
// connected from or lately were.
func (c *Call) mayBeHit(s chat.Sanction) error {
	return c.require(func(now Rolls) error {
		rank := c.rank(now, chat.RoomName{})
		if s.Net.IsValid() && s.Net.Bits() < rank.Widest(s.Net.Addr().Is4()) {
			return denied("%s is too much of the network; your ban takes a /%d or less", s.Net, rank.Widest(s.Net.Addr().Is4()))
		}
		if rank == chat.RankAdmin { // they outrank everybody
			return nil
		}
		if _, hit := s.HitsNot(rank, c.staff()); hit { // whom is not for the caller to find out
			return denied("%s would keep a moderator or an admin out; that takes an admin", s.Target())
		}
		return nil
	})
}

// staff is where moderators and admins are found by bans.
func (c *Call) staff() []chat.Whereabouts {
	connected := make(map[string][]netip.Prefix)
	for _, s := range c.Live.Sessions() {
		connected[s.Account] = append(connected[s.Account], netip.PrefixFrom(s.Addr, s.Addr.BitLen()))
	}
	var staff []chat.Whereabouts
	for _, a := range c.Accounts.Accounts() {
		if !a.Role.AtLeast(chat.Mod) {
			continue
		}
		w := chat.Whereabouts{Name: a.Name, Rank: chat.RankOf(a.Role, false, false), Addrs: append(connected[a.ID], c.Tries.Sources(a.Name)...)}
		for _, k := range a.Keys {
			w.Keys = append(w.Keys, k.Fingerprint)
		}
		staff = append(staff, w)
	}
	return staff
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

// subject is account for somebody the caller may act on, on the server or in the room.
func (c *Call) subject(word string, room chat.RoomName) (chat.Account, error) {
	a, err := c.account(word)
	if err == nil {
		err = c.over(a, room)
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
