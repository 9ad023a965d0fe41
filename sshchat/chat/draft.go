package chat

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// draft is a State while an intent changes it: a copy, whose parts are copied when they are first changed.
type draft struct {
	State
	who    Caller
	me     *Account // who asks; nil for the server and for somebody without an account
	at     Moment
	copied struct{ accounts, names, rooms, joined bool }
}

func (d *draft) view() View { return View{&d.State, d.at} }

func (d *draft) ownNames() {
	if !d.copied.names {
		d.byID, d.byName, d.shapes = clone(d.byID), clone(d.byName), clone(d.shapes)
		d.copied.names = true
	}
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

func (d *draft) addAccount(a Account) {
	d.ownNames()
	d.byID[a.ID], d.byName[a.Name] = len(d.accounts), len(d.accounts)
	d.shapes[a.Name.Skeleton()]++
	d.accounts = append(slices.Clip(d.accounts), &a)
}

// putAccount puts a in the place of the account with its ID and name.
func (d *draft) putAccount(a Account) {
	if !d.copied.accounts {
		d.accounts, d.copied.accounts = slices.Clone(d.accounts), true
	}
	d.accounts[d.byID[a.ID]] = &a
}

// removeAccount takes the account out, with all that names it. Its name stays reserved.
func (d *draft) removeAccount(a Account) {
	d.accounts = slices.DeleteFunc(slices.Clone(d.accounts), func(o *Account) bool { return o.ID == a.ID })
	d.byID, d.byName = make(map[string]int, len(d.accounts)), make(map[Name]int, len(d.accounts))
	for i, o := range d.accounts {
		d.byID[o.ID], d.byName[o.Name] = i, i
	}
	leaveRooms(d, a.Name)
	of := func(s Sanction) bool { return s.User == a.Name }
	d.bans = newSanctions(slices.DeleteFunc(slices.Clone(d.bans.list), of))
	d.mutes = newSanctions(slices.DeleteFunc(slices.Clone(d.mutes.list), of))
	d.reserved = append(slices.Clip(d.reserved), a.Name)
}

// leaveRooms takes somebody out of all rooms, with all that they are there.
func leaveRooms(d *draft, name Name) {
	for _, r := range d.rooms {
		if out, changed := r.without(name); changed {
			d.putRoom(out)
			if r.member(name) >= 0 {
				d.count(name, -1)
			}
		}
	}
}

// without is the room without somebody.
func (r *RoomState) without(name Name) (out RoomState, changed bool) {
	out = *r
	if i := r.member(name); i >= 0 {
		out.Members, changed = less(r.Members, i), true
	}
	if r.By == name {
		out.By, changed = Name{}, true
	}
	out.Mods, out.Invited = lessName(r.Mods, name), lessName(r.Invited, name)
	return out, changed || len(out.Mods) < len(r.Mods) || len(out.Invited) < len(r.Invited)
}

// less is a copy of the list without its i-th element: what a State holds is never written to.
func less[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// lessName is a copy of the list without the name, or the list itself if it does not hold it.
func lessName(list []Name, name Name) []Name {
	if !slices.Contains(list, name) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(n Name) bool { return n == name })
}

func (d *draft) putRoom(r RoomState) {
	if !d.copied.rooms {
		d.rooms, d.copied.rooms = clone(d.rooms), true
	}
	d.rooms[r.Name] = &r
}

func (d *draft) removeRoom(r *RoomState) {
	for _, m := range r.Members {
		d.count(m.Name, -1)
	}
	if !d.copied.rooms {
		d.rooms, d.copied.rooms = clone(d.rooms), true
	}
	delete(d.rooms, r.Name)
}

// count adds to how many rooms somebody is in.
func (d *draft) count(name Name, n int) {
	if !d.copied.joined {
		d.joined, d.copied.joined = clone(d.joined), true
	}
	if d.joined[name] += n; d.joined[name] <= 0 {
		delete(d.joined, name)
	}
}

// setMember adds m to the room, or changes since when m belongs to it.
func (d *draft) setMember(r RoomState, m Member) {
	m.Since = max(m.Since, 1)
	if i := r.member(m.Name); i >= 0 {
		r.Members = slices.Clone(r.Members)
		r.Members[i] = m
	} else {
		r.Members = append(slices.Clip(r.Members), m)
		d.count(m.Name, 1)
	}
	d.putRoom(r)
}

// removeMember puts somebody out of the room. A moderator of it is none any more: put out and back again they would be one.
func (d *draft) removeMember(r RoomState, name Name) {
	if i := r.member(name); i >= 0 {
		r.Members, r.Mods = less(r.Members, i), lessName(r.Mods, name)
		d.count(name, -1)
		d.putRoom(r)
	}
}

// general is #general, which is made by what is first decided about it.
func (d *draft) general() RoomState {
	if r := d.rooms[General]; r != nil {
		return *r
	}
	return RoomState{Name: General}
}

// lastAdmin reports whether a is the only admin who may come in.
func (d *draft) lastAdmin(a Account) bool {
	if !d.view().comesIn(&a) {
		return false
	}
	return !slices.ContainsFunc(d.accounts, func(o *Account) bool { return o.ID != a.ID && d.view().comesIn(o) })
}

// comesIn reports whether the account is an admin's who may come in, by a password, or by a key for everything.
func (v View) comesIn(a *Account) bool {
	_, banned := v.Banned(a.Name, netip.Addr{}, "")
	if a.Role != Admin || a.Disabled || banned {
		return false
	}
	return a.Password || slices.ContainsFunc(a.Keys, func(k Key) bool {
		_, banned := v.Banned(Name{}, netip.Addr{}, k.Fingerprint)
		return k.LogsIn() && len(k.Only) == 0 && !banned
	})
}

// The rest is how a difference is put into a draft (State.With).

// putAccounts leaves the rooms alone.
func (d *draft) putAccounts(e Entries[*Account, string]) error {
	before := d.accounts
	list, err := accountKind.apply(before, e, places[string]{at: func(id string) int {
		if i, ok := d.byID[id]; ok {
			return i
		}
		return -1
	}})
	if err != nil || e.IsZero() {
		return err
	}
	d.accounts = list
	moved := len(e.Gone) > 0 || e.Order != nil
	for _, a := range e.Put {
		if a.ID == "" || a.Name.IsZero() {
			return fmt.Errorf("account %q %s has no ID or no name", a.ID, a.Name)
		}
		i, known := d.byID[a.ID]
		moved = moved || known && before[i].Name != a.Name
	}
	if moved {
		return d.countAccounts()
	}
	for i := len(before); i < len(list); i++ {
		a := list[i]
		if other := d.named(a.Name); other != nil {
			return fmt.Errorf("account %s has the name of account %s, %s", a.ID, other.ID, a.Name)
		}
		d.ownNames()
		d.byID[a.ID], d.byName[a.Name] = i, i
		d.shapes[a.Name.Skeleton()]++
	}
	return nil
}

// countAccounts makes anew what the accounts are found by.
func (d *draft) countAccounts() error {
	d.byID, d.byName = make(map[string]int, len(d.accounts)), make(map[Name]int, len(d.accounts))
	for i, a := range d.accounts {
		if j, taken := d.byName[a.Name]; taken {
			return fmt.Errorf("account %s has the name of account %s, %s", a.ID, d.accounts[j].ID, a.Name)
		}
		if _, taken := d.byID[a.ID]; taken {
			return fmt.Errorf("account %s is listed twice", a.ID)
		}
		d.byID[a.ID], d.byName[a.Name] = i, i
	}
	d.countShapes()
	return nil
}

// countShapes counts anew the skeletons of the names that are taken or reserved.
func (d *draft) countShapes() {
	d.shapes, d.copied.names = make(map[string]int, len(d.accounts)+len(d.reserved)), true
	for _, a := range d.accounts {
		d.shapes[a.Name.Skeleton()]++
	}
	for _, name := range d.reserved {
		d.shapes[name.Skeleton()]++
	}
}

func (d *draft) putRooms(diff Difference) error {
	for _, name := range diff.RoomsGone {
		if r := d.rooms[name]; r != nil {
			d.removeRoom(r)
		}
	}
	put := make(map[RoomName]bool, len(diff.Rooms))
	for _, rd := range diff.Rooms {
		r := RoomState{Name: rd.Name}
		old := d.rooms[rd.Name]
		switch {
		case rd.Name.IsZero() || rd.Name.IsDirect():
			return fmt.Errorf("room %s cannot have settings", rd.Name)
		case put[rd.Name]:
			return fmt.Errorf("room %s is added twice", rd.Name)
		case old == nil && rd.Settings == nil:
			return fmt.Errorf("room %s does not exist, and has no settings here", rd.Name)
		case old != nil:
			r = *old
		}
		put[rd.Name] = true
		if s := rd.Settings; s != nil {
			r.Topic, r.Rules, r.By = s.Topic, s.Rules, s.By
		}
		if err := d.putMembers(&r, rd.Members); err != nil {
			return fmt.Errorf("room %s: %w", rd.Name, err)
		}
		d.putRoom(r)
	}
	return nil
}

// putMembers changes who is in r, which is the caller's own.
func (d *draft) putMembers(r *RoomState, e Entries[Member, Name]) error {
	members, err := memberKind.apply(r.Members, e, memberKind.find(r.Members, len(e.Put)+len(e.Gone)))
	if err != nil || e.IsZero() {
		return err
	}
	put := make(map[Name]bool, len(e.Put))
	for _, m := range e.Put {
		switch {
		case put[m.Name]:
			return fmt.Errorf("member %s is added twice", m.Name)
		case m.Since == 0:
			return fmt.Errorf("member %s: since must be 1 or more", m.Name)
		}
		put[m.Name] = true
	}
	joined, left := differ(r.Members, members)
	for _, m := range joined {
		d.count(m.Name, 1)
	}
	for _, name := range left {
		d.count(name, -1)
	}
	r.Members = members
	return nil
}

// noStrangers refuses members without an account: somebody who takes the name later would be in the room.
func (d *draft) noStrangers(before *State, diff Difference) error {
	refuse := func(name Name) error {
		if d.joined[name] > 0 && d.named(name) == nil {
			return fmt.Errorf("%s has no account but is a member of a room", name)
		}
		return nil
	}
	for _, rd := range diff.Rooms {
		for _, m := range rd.Members.Put {
			if err := refuse(m.Name); err != nil {
				return err
			}
		}
	}
	for _, id := range diff.Accounts.Gone {
		if i, ok := before.byID[id]; ok {
			if err := refuse(before.accounts[i].Name); err != nil {
				return err
			}
		}
	}
	for _, a := range diff.Accounts.Put { // they may have had another name
		if i, ok := before.byID[a.ID]; ok {
			if err := refuse(before.accounts[i].Name); err != nil {
				return err
			}
		}
	}
	return nil
}
