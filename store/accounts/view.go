package accounts

import (
	"net/netip"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/store/clock"
)

// View is who is admitted, as it stands at one moment.
type View struct {
	r     *roster
	clock *clock.Clock
}

// view is what is durable now.
func (u *Store) view() View { return View{u.durable.Load(), u.clock} }

// ByName returns the account of that name.
func (v View) ByName(name chat.Name) (chat.Account, bool) {
	if who := v.r.named(name); who != nil {
		return who.account(), true
	}
	return chat.Account{}, false
}

// ByID returns the account with that id.
func (v View) ByID(id string) (chat.Account, bool) {
	if who := v.r.identified(id); who != nil {
		return who.account(), true
	}
	return chat.Account{}, false
}

// Banned returns the ban that keeps out that person, that address or that key, each of which may be zero.
func (v View) Banned(name chat.Name, addr netip.Addr, key string) (chat.Sanction, bool) {
	return v.hit(v.r.bans, name, addr, key)
}

// Muted returns the mute of that person.
func (v View) Muted(name chat.Name) (chat.Sanction, bool) {
	return v.hit(v.r.mutes, name, netip.Addr{}, "")
}

func (v View) hit(list []chat.Sanction, name chat.Name, addr netip.Addr, key string) (chat.Sanction, bool) {
	if len(list) == 0 {
		return chat.Sanction{}, false
	}
	now := v.clock.Read()
	i := slices.IndexFunc(list, func(s chat.Sanction) bool { return s.Hits(name, addr, key) && !over(s, now) })
	if i < 0 {
		return chat.Sanction{}, false
	}
	return list[i], true
}

// Allowed reports whether the list lets them in: that account, from that address, with that key.
func (v View) Allowed(a chat.Account, addr netip.Addr, key string) bool {
	list := v.r.allowlist
	if !list.On || a.Role.AtLeast(chat.Mod) {
		return true
	}
	return slices.ContainsFunc(list.Entries, func(entry string) bool {
		target, err := chat.ParseTarget(entry)
		return err == nil && target.Hits(a.Name, addr, key)
	})
}

// ByName returns the account of that name.
func (u *Store) ByName(name chat.Name) (chat.Account, bool) { return u.view().ByName(name) }

// ByID returns the account with that id.
func (u *Store) ByID(id string) (chat.Account, bool) { return u.view().ByID(id) }

// Banned returns the ban that keeps out that person, that address or that key, each of which may be zero.
func (u *Store) Banned(name chat.Name, addr netip.Addr, key string) (chat.Sanction, bool) {
	return u.view().Banned(name, addr, key)
}

// Allowed reports whether the list lets them in: that account, from that address, with that key.
func (u *Store) Allowed(a chat.Account, addr netip.Addr, key string) bool {
	return u.view().Allowed(a, addr, key)
}

// Muted returns the mute of that person.
func (u *Store) Muted(name chat.Name) (chat.Sanction, bool) { return u.view().Muted(name) }

// Under returns the same accounts; but each change that is made by it asks check at its place, about what holds there with
// all changes before it, and is not made if check refuses. check must change nothing.
func (u *Store) Under(check func(View) error) *Store { return &Store{u.book, check} }
