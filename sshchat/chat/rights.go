package chat

import (
	"net/netip"
	"slices"
)

// This file is who may do what: each rule once, as a pure function of what was decided. Nothing here reads a clock, takes
// a lock or knows a command. A rule is asked before something is done, after each wait, and at the place of the change.

// Login is what a connection proved.
type Login struct {
	Account    string // the account's ID; empty: it has none yet
	Key        string // fingerprint of the proven key; empty after a password
	Only       Only   // what that key was restricted to when the session began
	Generation string // of the proven password; empty with a key
	Second     bool   // a second factor was proven as well
}

// Denial is why a login is not admitted. The zero Denial is none.
type Denial int

const (
	Admitted Denial = iota
	Stale           // account, key, its restriction, or password is not what it was
	Banned
	Disabled
	NotListed
)

// Admit decides whether a login is still valid for the account, which is the zero Account if no account has that ID.
// banned is whether a ban hits its name, address or key, listed whether the allowlist lets it in.
//
//	login          | account                                            | denial
//	any            | deleted                                            | Stale
//	by key         | without the key, or it is restricted otherwise     | Stale
//	by password    | without one, with another, second factor on or off | Stale
//	any            | a ban hits name, address or key                    | Banned
//	any            | disabled                                           | Disabled
//	any            | not on the allowlist                               | NotListed
func Admit(l Login, a Account, banned, listed bool) Denial {
	switch {
	case l.Account == "" || l.Account != a.ID || !l.proves(a):
		return Stale
	case banned:
		return Banned
	case a.Disabled:
		return Disabled
	case !listed:
		return NotListed
	}
	return Admitted
}

// proves reports whether the account still has the key or password that the login proved.
func (l Login) proves(a Account) bool {
	if l.Key == "" {
		return a.Password && l.Generation == a.Generation && l.Second == a.TOTP
	}
	return slices.ContainsFunc(a.Keys, func(k Key) bool { return k.Fingerprint == l.Key && slices.Equal(k.Only, l.Only) })
}

// Rank is how high somebody stands on the server, and, below a moderator of the server, in one room.
type Rank int

const (
	RankMember Rank = iota
	RankRoomMod
	RankCreator
	RankMod
	RankAdmin
)

// RankOf is the rank of an account with that role. creator and mod say whether it created or moderates the room in
// question; false if there is no room.
func RankOf(role Role, creator, mod bool) Rank {
	switch {
	case role == Admin:
		return RankAdmin
	case role == Mod:
		return RankMod
	case creator:
		return RankCreator
	case mod:
		return RankRoomMod
	}
	return RankMember
}

// Outranks reports whether somebody of rank r may act against somebody else of rank other: ban, mute, kick, remove as a
// moderator, delete a message of theirs, ban an address or key that they use.
//
//	r \ other    | member  moderator of the room  its maker  moderator  admin
//	RankMember   |   -              -                 -          -        -
//	RankRoomMod  |  yes             -                 -          -        -
//	RankCreator    |  yes            yes                -          -        -
//	RankMod      |  yes            yes               yes         -        -
//	RankAdmin    |  yes            yes               yes        yes      yes
func (r Rank) Outranks(other Rank) bool { return r > other || r == RankAdmin }

// MayLift reports whether somebody of rank r may lift, shorten or replace a sanction that somebody else imposed who has
// rank imposer now. An imposer who is no longer a moderator or admin, or was deleted, may have been an admin: only an
// admin lifts theirs. Nobody lifts a sanction on themselves.
//
//	r \ imposer  | moderator  admin  anybody else
//	below        |     -        -         -
//	RankMod      |    yes       -         -
//	RankAdmin    |    yes      yes       yes
func (r Rank) MayLift(imposer Rank) bool {
	return r == RankAdmin || r == RankMod && imposer == RankMod
}

// Whereabouts are by what bans find somebody.
type Whereabouts struct {
	Name  Name
	Rank  Rank
	Addrs []netip.Prefix // where they are connected from, or lately were
	Keys  []string       // fingerprints
}

// Protected returns the first of the people whom the ban would affect and somebody of rank by does not outrank. ok is
// false if there is nobody.
func (s Sanction) Protected(by Rank, people []Whereabouts) (name Name, ok bool) {
	for _, p := range people {
		if by.Outranks(p.Rank) {
			continue
		}
		addr := s.Net.IsValid() && slices.ContainsFunc(p.Addrs, s.Net.Overlaps)
		if addr || s.Key != "" && slices.Contains(p.Keys, s.Key) || !s.User.IsZero() && s.User == p.Name {
			return p.Name, true
		}
	}
	return Name{}, false
}

// widest is the most of the network that a ban takes, in bits of the prefix, by rank and by whether it is IPv4.
var widest = map[Rank]map[bool]int{RankMod: {true: 16, false: 32}, RankAdmin: {true: 8, false: 16}}

// Widest is the shortest prefix that somebody of rank r may ban: a moderator a /16 or an IPv6 /32, an admin a /8 or /16.
func (r Rank) Widest(ipv4 bool) int {
	if bits, ok := widest[r]; ok {
		return bits[ipv4]
	}
	return 128
}

// MayClose reports whether somebody of rank r on the server may close a room: put everybody out of it, and forget what was
// decided about it. maker is whether they made it, also if they have left it since; others is how many are in it beside them.
//
//	             | others in it | nobody else
//	anybody      |      -       |      -
//	who made it  |      -       |     yes
//	RankAdmin    |     yes      |     yes
func (r Rank) MayClose(creator bool, others int) bool {
	return r == RankAdmin || creator && others == 0
}

// MayJoin reports whether somebody who is not in the room may know of it and join it.
//
//	room     | invited | not invited
//	public   |   yes   |    yes
//	private  |   yes   |     -
func (r Rules) MayJoin(name Name) bool { return !r.Private || slices.Contains(r.Invited, name) }
