package chat

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// transaction is a State while an intent changes it: a copy, whose parts are copied when they are first changed.
type transaction struct {
	State
	who    Caller
	me     *Account // the caller's account; nil for the server and for somebody without one
	at     Moment
	copied struct{ accounts, names, rooms, joined bool }
}

func (tx *transaction) view() View { return View{&tx.State, tx.at} }

func (tx *transaction) ownNames() {
	if !tx.copied.names {
		tx.byID, tx.byName, tx.shapes = clone(tx.byID), clone(tx.byName), clone(tx.shapes)
		tx.copied.names = true
	}
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

func (tx *transaction) addAccount(a Account) {
	tx.ownNames()
	tx.byID[a.ID], tx.byName[a.Name] = len(tx.accounts), len(tx.accounts)
	tx.shapes[a.Name.Skeleton()]++
	tx.accounts = append(slices.Clip(tx.accounts), &a)
}

// putAccount puts a in the place of the account with its ID and name.
func (tx *transaction) putAccount(a Account) {
	if !tx.copied.accounts {
		tx.accounts, tx.copied.accounts = slices.Clone(tx.accounts), true
	}
	tx.accounts[tx.byID[a.ID]] = &a
}

// removeAccount takes the account out, with all that names it. Its name stays reserved.
func (tx *transaction) removeAccount(a Account) {
	tx.accounts = slices.DeleteFunc(slices.Clone(tx.accounts), func(o *Account) bool { return o.ID == a.ID })
	tx.byID, tx.byName = make(map[string]int, len(tx.accounts)), make(map[Name]int, len(tx.accounts))
	for i, o := range tx.accounts {
		tx.byID[o.ID], tx.byName[o.Name] = i, i
	}
	leaveRooms(tx, a.Name)
	of := func(s Sanction) bool { return s.User == a.Name }
	tx.bans = newSanctions(slices.DeleteFunc(slices.Clone(tx.bans.list), of))
	tx.mutes = newSanctions(slices.DeleteFunc(slices.Clone(tx.mutes.list), of))
	tx.reserved = append(slices.Clip(tx.reserved), a.Name)
}

// leaveRooms takes somebody out of all rooms, with all that they are there.
func leaveRooms(tx *transaction, name Name) {
	for _, r := range tx.rooms {
		if out, changed := r.without(name); changed {
			tx.putRoom(out)
			if r.member(name) >= 0 {
				tx.count(name, -1)
			}
		}
	}
	removePins(tx, func(p Pin) bool { return p.Room.IsDirect() && !p.Room.Other(name).IsZero() })
	if by := func(p Pin) bool { return p.By == name }; slices.ContainsFunc(tx.pins, by) {
		tx.pins = slices.Clone(tx.pins)
		for i := range tx.pins {
			if by(tx.pins[i]) {
				tx.pins[i].By = Name{}
			}
		}
	}
}

// removePins takes those pins out.
func removePins(tx *transaction, gone func(Pin) bool) {
	if slices.ContainsFunc(tx.pins, gone) {
		tx.pins = slices.DeleteFunc(slices.Clone(tx.pins), gone)
	}
}

// without is the room without somebody.
func (r *RoomState) without(name Name) (out RoomState, changed bool) {
	out = *r
	if i := r.member(name); i >= 0 {
		out.Members, changed = removeAt(r.Members, i), true
	}
	if r.By == name {
		out.By, changed = Name{}, true
	}
	out.Mods, out.Invited = removeName(r.Mods, name), removeName(r.Invited, name)
	return out, changed || len(out.Mods) < len(r.Mods) || len(out.Invited) < len(r.Invited)
}

// less is a copy of the list without its i-th element: what a State holds is never written to.
func removeAt[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

// removeName is a copy of the list without the name, or the list itself if it does not hold it.
func removeName(list []Name, name Name) []Name {
	if !slices.Contains(list, name) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(n Name) bool { return n == name })
}

func (tx *transaction) putRoom(r RoomState) {
	if !tx.copied.rooms {
		tx.rooms, tx.copied.rooms = clone(tx.rooms), true
	}
	tx.rooms[r.Name] = &r
}

func (tx *transaction) removeRoom(r *RoomState) {
	for _, m := range r.Members {
		tx.count(m.Name, -1)
	}
	removePins(tx, func(p Pin) bool { return p.Room == r.Name })
	if !tx.copied.rooms {
		tx.rooms, tx.copied.rooms = clone(tx.rooms), true
	}
	delete(tx.rooms, r.Name)
}

// count adds to how many rooms somebody is in.
func (tx *transaction) count(name Name, n int) {
	if !tx.copied.joined {
		tx.joined, tx.copied.joined = clone(tx.joined), true
	}
	if tx.joined[name] += n; tx.joined[name] <= 0 {
		delete(tx.joined, name)
	}
}

// setMember adds m to the room, or changes since when m belongs to it.
func (tx *transaction) setMember(r RoomState, m Member) {
	m.Since = max(m.Since, 1)
	if i := r.member(m.Name); i >= 0 {
		r.Members = slices.Clone(r.Members)
		r.Members[i] = m
	} else {
		r.Members = append(slices.Clip(r.Members), m)
		tx.count(m.Name, 1)
	}
	tx.putRoom(r)
}

// removeMember removes somebody from the room, also as its moderator: otherwise they would be one again after rejoining.
func (tx *transaction) removeMember(r RoomState, name Name) {
	if i := r.member(name); i >= 0 {
		r.Members, r.Mods = removeAt(r.Members, i), removeName(r.Mods, name)
		tx.count(name, -1)
		tx.putRoom(r)
	}
}

// general is #general, which is made by what is first decided about it.
func (tx *transaction) general() RoomState {
	if r := tx.rooms[General]; r != nil {
		return *r
	}
	return RoomState{Name: General}
}

// lastAdmin reports whether a is the only admin who can log in.
func (tx *transaction) lastAdmin(a Account) bool {
	if !tx.view().canLogIn(&a) {
		return false
	}
	return !slices.ContainsFunc(tx.accounts, func(o *Account) bool { return o.ID != a.ID && tx.view().canLogIn(o) })
}

// canLogIn reports whether the account is an admin that can log in with a password or an unrestricted key.
func (v View) canLogIn(a *Account) bool {
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
func (tx *transaction) putAccounts(e Entries[*Account, string]) error {
	before := tx.accounts
	list, err := accountKind.apply(before, e, places[string]{at: func(id string) int {
		if i, ok := tx.byID[id]; ok {
			return i
		}
		return -1
	}})
	if err != nil || e.IsZero() {
		return err
	}
	tx.accounts = list
	moved := len(e.Removed) > 0 || e.Order != nil
	for _, a := range e.Put {
		if a.ID == "" || a.Name.IsZero() {
			return fmt.Errorf("account %q %s has no ID or no name", a.ID, a.Name)
		}
		i, known := tx.byID[a.ID]
		moved = moved || known && before[i].Name != a.Name
	}
	if moved {
		return tx.countAccounts()
	}
	for i := len(before); i < len(list); i++ {
		a := list[i]
		if other := tx.named(a.Name); other != nil {
			return fmt.Errorf("account %s has the name of account %s, %s", a.ID, other.ID, a.Name)
		}
		tx.ownNames()
		tx.byID[a.ID], tx.byName[a.Name] = i, i
		tx.shapes[a.Name.Skeleton()]++
	}
	return nil
}

// countAccounts rebuilds the indexes of accounts.
func (tx *transaction) countAccounts() error {
	tx.byID, tx.byName = make(map[string]int, len(tx.accounts)), make(map[Name]int, len(tx.accounts))
	for i, a := range tx.accounts {
		if j, taken := tx.byName[a.Name]; taken {
			return fmt.Errorf("account %s has the name of account %s, %s", a.ID, tx.accounts[j].ID, a.Name)
		}
		if _, taken := tx.byID[a.ID]; taken {
			return fmt.Errorf("account %s is listed twice", a.ID)
		}
		tx.byID[a.ID], tx.byName[a.Name] = i, i
	}
	tx.countShapes()
	return nil
}

// countShapes recounts the skeletons of taken and reserved names.
func (tx *transaction) countShapes() {
	tx.shapes, tx.copied.names = make(map[string]int, len(tx.accounts)+len(tx.reserved)), true
	for _, a := range tx.accounts {
		tx.shapes[a.Name.Skeleton()]++
	}
	for _, name := range tx.reserved {
		tx.shapes[name.Skeleton()]++
	}
}

func (tx *transaction) putRooms(diff Difference) error {
	for _, name := range diff.RoomsRemoved {
		if r := tx.rooms[name]; r != nil {
			tx.removeRoom(r)
		}
	}
	put := make(map[RoomName]bool, len(diff.Rooms))
	for _, rd := range diff.Rooms {
		r := RoomState{Name: rd.Name}
		old := tx.rooms[rd.Name]
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
		if err := tx.putMembers(&r, rd.Members); err != nil {
			return fmt.Errorf("room %s: %w", rd.Name, err)
		}
		tx.putRoom(r)
	}
	return nil
}

// putMembers changes the members of r, which the caller owns.
func (tx *transaction) putMembers(r *RoomState, e Entries[Member, Name]) error {
	members, err := memberKind.apply(r.Members, e, memberKind.find(r.Members, len(e.Put)+len(e.Removed)))
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
	joined, left := diffMembers(r.Members, members)
	for _, m := range joined {
		tx.count(m.Name, 1)
	}
	for _, name := range left {
		tx.count(name, -1)
	}
	r.Members = members
	return nil
}

// noStrangers refuses members without an account: somebody who takes the name later would be in the room.
func (tx *transaction) noStrangers(before *State, diff Difference) error {
	refuse := func(name Name) error {
		if tx.joined[name] > 0 && tx.named(name) == nil {
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
	for _, id := range diff.Accounts.Removed {
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
