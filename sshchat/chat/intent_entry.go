package chat

import (
	"net/netip"
	"slices"
)

// This file is what can be decided about who comes in and who speaks:
//
//	intent                     | moderator                                      | admin | the server
//	Ban, Mute                  | of whom they outrank; not in the place of what | yes   | yes
//	                           | an admin imposed; of no address or key that    |       |
//	                           | somebody higher uses, nor of a wide network    |       |
//	Unban, Unmute              | what a moderator imposed, not on themselves    | yes   | yes
//	MakeInvite, RevokeInvite   |        -                                       | yes   | yes
//	SetAllowlist, Allow,       |        -                                       | yes   | yes
//	Disallow                   |                                                |       |
//	Expire                     |        -                                       |   -   | yes
//
// Nobody bans themselves, by name, address or key.

// Limits of lists that each connection, or each write of the file, pays for.
const (
	MaxSanctions = 10_000 // bans, mutes, and entries of the allowlist, each
	MaxInvites   = 1000
)

// Refusals about bans, mutes, invites and the allowlist.
var (
	ErrNoSanction       = &Refusal{Code: NotFound, Text: "no such ban or mute"}
	ErrTooManySanctions = &Refusal{Code: Failed, Text: "there are too many bans or mutes; lift some first"}
	ErrInvite           = &Refusal{Code: Failed, Text: "the invite is wrong, expired or used up"}
	ErrNoInvite         = &Refusal{Code: NotFound, Text: "no such invite"}
	ErrTooManyInvites   = &Refusal{Code: Failed, Text: "there are too many invites; revoke some first"}
	ErrListed           = &Refusal{Code: Failed, Text: "it is already on the allowlist"}
	ErrListFull         = &Refusal{Code: Failed, Text: "the allowlist is full"}
)

// Ban keeps somebody, addresses or a key out. Who asks, and when, is noted in it. A ban of the same target is replaced.
type Ban struct {
	Sanction Sanction
	Force    bool                      // also if it bans loopback addresses, which a proxy's clients may all come from
	Seen     map[string][]netip.Prefix // by account ID: where moderators and admins are connected from, or lately were
}

// loopback are the addresses of the machine itself, by whether they are IPv4.
var loopback = map[bool]netip.Prefix{true: netip.MustParsePrefix("127.0.0.0/8"), false: netip.MustParsePrefix("::1/128")}

func (in Ban) decide(d *draft) error {
	s := in.Sanction
	if err := d.needs(Mod); err != nil {
		return err
	}
	switch {
	case !s.User.IsZero():
		a := d.named(s.User)
		if a == nil {
			return ErrNoAccount.With("no account named %s", s.User)
		}
		if err := d.over(*a, RoomName{}); err != nil {
			return err
		}
		if d.lastAdmin(*a) {
			return ErrLastAdmin
		}
	case s.Net.IsValid() && s.Net.Contains(d.who.Addr.Unmap()):
		return denied("you are connected from there yourself")
	case s.Net.IsValid() && s.Net.Overlaps(loopback[s.Net.Addr().Is4()]) && !in.Force:
		return denied("%s includes loopback addresses, which all clients behind a proxy may have; to ban it anyway, use --force", s.Net)
	case s.Key != "" && d.me != nil && d.me.key(s.Key) >= 0:
		return denied("that is your own key")
	}
	if err := d.mayHit(s, in.Seen); err != nil {
		return err
	}
	return d.impose(&d.bans, s)
}

// mayHit refuses a ban that would keep out somebody the caller does not outrank, or too much of the network.
func (d *draft) mayHit(s Sanction, seen map[string][]netip.Prefix) error {
	rank := d.rank(RoomName{})
	if s.Net.IsValid() && !d.who.Server {
		if widest := rank.Widest(s.Net.Addr().Is4()); s.Net.Bits() < widest {
			return denied("%s is too large: you can ban at most a /%d", s.Net, widest)
		}
	}
	if rank == RankAdmin { // they outrank everybody
		return nil
	}
	if _, hit := d.staffHit(s, seen); hit { // whom is not for the caller to find out
		return denied("%s would also ban a moderator or an admin: only an admin can do that", s.Target())
	}
	return nil
}

// staffHit returns somebody whom a ban would keep out, of those that the caller does not outrank. ok is false if there is
// nobody.
func (d *draft) staffHit(s Sanction, seen map[string][]netip.Prefix) (name Name, ok bool) {
	var staff []Whereabouts
	for _, a := range d.accounts {
		if !a.Role.AtLeast(Mod) {
			continue
		}
		w := Whereabouts{Name: a.Name, Rank: RankOf(a.Role, false, false), Addrs: seen[a.ID]}
		for _, k := range a.Keys {
			w.Keys = append(w.Keys, k.Fingerprint)
		}
		staff = append(staff, w)
	}
	return s.HitsNot(d.rank(RoomName{}), staff)
}

// Mute keeps a person from speaking. A mute of the same person is replaced.
type Mute struct{ Sanction Sanction }

func (in Mute) decide(d *draft) error {
	if err := d.needs(Mod); err != nil {
		return err
	}
	a := d.named(in.Sanction.User)
	if a == nil {
		return ErrNoAccount.With("no account named %s", in.Sanction.User)
	}
	if err := d.over(*a, RoomName{}); err != nil {
		return err
	}
	return d.impose(&d.mutes, in.Sanction)
}

// impose adds s to a list, in the place of one of the same target; what has ended goes.
func (d *draft) impose(list *sanctions, s Sanction) error {
	for _, old := range list.of(d.at, s.sameTarget) {
		if err := d.mayLift(old); err != nil {
			return err
		}
	}
	kept := list.list
	if goes := func(old Sanction) bool { return d.at.Over(old) || s.sameTarget(old) }; slices.ContainsFunc(kept, goes) {
		kept = slices.DeleteFunc(slices.Clone(kept), goes)
	}
	if len(kept) >= MaxSanctions {
		return ErrTooManySanctions
	}
	s.At, s.Until = d.at.second(), d.at.lasting(s.Until)
	if d.me != nil {
		s.By = d.me.Name
	}
	if len(kept) < len(list.list) {
		*list = newSanctions(append(kept, s))
		return nil
	}
	var err error
	*list, err = list.with(banKind, Entries[Sanction, string]{Put: []Sanction{s}}) // it is not indexed anew
	return err
}

// Unban lifts the ban of a target, written as ParseTarget takes it.
type Unban struct{ Target string }

func (in Unban) decide(d *draft) error { return d.lift(&d.bans, in.Target, "banned") }

// Unmute lifts a mute.
type Unmute struct{ Name Name }

func (in Unmute) decide(d *draft) error { return d.lift(&d.mutes, in.Name.String(), "muted") }

func (d *draft) lift(list *sanctions, target, how string) error {
	if err := d.needs(Mod); err != nil {
		return err
	}
	is := func(s Sanction) bool { return s.Target() == target }
	all := list.of(d.at, is)
	if len(all) == 0 {
		return ErrNoSanction.With("%s is not %s", target, how)
	}
	for _, old := range all {
		if err := d.mayLift(old); err != nil {
			return err
		}
	}
	*list = newSanctions(slices.DeleteFunc(list.holding(d.at), is))
	return nil
}

// Expire lets go of the bans and mutes that have ended by themselves.
type Expire struct{}

func (Expire) decide(d *draft) error {
	if !d.who.Server {
		return denied("only the server ends bans that have expired")
	}
	for _, list := range []*sanctions{&d.bans, &d.mutes} {
		if held := list.holding(d.at); len(held) < len(list.list) {
			*list = newSanctions(held)
		}
	}
	return nil
}

// MakeInvite makes an invite. Who asks, and when, is noted in it.
type MakeInvite struct{ Invite StoredInvite }

func (in MakeInvite) decide(d *draft) error {
	if err := d.needs(Admin); err != nil {
		return err
	}
	kept := d.keptInvites()
	switch {
	case len(kept) >= MaxInvites:
		return ErrTooManyInvites
	case slices.ContainsFunc(kept, func(i StoredInvite) bool { return i.ID == in.Invite.ID }):
		return ErrInviteID
	}
	i := in.Invite
	i.At, i.Until = d.at.second(), d.at.lasting(i.Until)
	if d.me != nil {
		i.By = d.me.Name
	}
	d.invites = append(kept, i)
	return nil
}

// ErrInviteID refuses an invite whose ID another has: whoever draws IDs draws again.
var ErrInviteID = &Refusal{Code: Failed, Text: "there is already an invite with that ID"}

// RevokeInvite takes an invite back.
type RevokeInvite struct{ ID string }

func (in RevokeInvite) decide(d *draft) error {
	if err := d.needs(Admin); err != nil {
		return err
	}
	kept := d.keptInvites()
	i := slices.IndexFunc(kept, func(i StoredInvite) bool { return i.ID == in.ID })
	if i < 0 {
		return ErrNoInvite
	}
	d.invites = slices.Delete(kept, i, i+1)
	return nil
}

// keptInvites is a copy of those that can be used, or could if the clock is wrong.
func (d *draft) keptInvites() []StoredInvite {
	return slices.DeleteFunc(slices.Clone(d.invites), func(i StoredInvite) bool { return !i.kept(d.at) })
}

// redeem uses up one use of the invite whose code has the hash.
func (d *draft) redeem(hash string) error {
	kept := d.keptInvites()
	i := slices.IndexFunc(kept, func(i StoredInvite) bool { return i.Hash == hash && i.valid(d.at) })
	if i < 0 {
		return ErrInvite
	}
	if kept[i].Uses--; kept[i].Uses == 0 {
		kept = slices.Delete(kept, i, i+1)
	}
	d.invites = kept
	return nil
}

// SetAllowlist turns the allowlist on or off.
type SetAllowlist struct{ On bool }

func (in SetAllowlist) decide(d *draft) error {
	err := d.needs(Admin)
	if err == nil {
		d.allowlist.On = in.On
	}
	return err
}

// Allow puts a target on the allowlist, written as ParseTarget takes it.
type Allow struct{ Target string }

func (in Allow) decide(d *draft) error {
	if err := d.needs(Admin); err != nil {
		return err
	}
	switch {
	case slices.Contains(d.allowlist.Entries, in.Target):
		return ErrListed
	case len(d.allowlist.Entries) >= MaxSanctions:
		return ErrListFull
	}
	d.allowlist.Entries = append(slices.Clip(d.allowlist.Entries), in.Target)
	return nil
}

// Disallow takes a target off the allowlist.
type Disallow struct{ Target string }

func (in Disallow) decide(d *draft) error {
	if err := d.needs(Admin); err != nil {
		return err
	}
	i := slices.Index(d.allowlist.Entries, in.Target)
	if i < 0 {
		return ErrNotOnList
	}
	d.allowlist.Entries = less(d.allowlist.Entries, i)
	return nil
}

// ErrNotOnList refuses to take off the allowlist what is not on it.
var ErrNotOnList = &Refusal{Code: NotFound, Text: "it is not on the allowlist"}
