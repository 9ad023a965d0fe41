package chat

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"sshchat/sshchat/lists"
)

// Difference is what leads from one State to another: the entities that are new or other, whole, and those that are gone.
// What it refers to is shared and must not be changed. The zero Difference changes nothing.
type Difference struct {
	Accounts     Entries[*Account, string] // by ID
	Rooms        []RoomDifference          // of the rooms that are new or other, by name
	RoomsRemoved []RoomName                // they go before any room is put
	Bans, Mutes  Entries[Sanction, string] // by Target
	Invites      Entries[StoredInvite, string]
	Allowlist    *Allowlist          // nil: as before
	Reserved     Entries[Name, Name] // names of deleted accounts
	Pins         Entries[Pin, string]
	Nodes        Entries[Node, string] // by Name
	Registration *Registration         // nil: as before
	Motd         *Text                 // nil: as before
	HostKeys     *HostKeys             // nil: as before
	Claims       *uint64               // nil: as before
}

// RoomDifference is what is other about one room. The cost of a join does not grow with the room.
type RoomDifference struct {
	Name     RoomName
	Settings *RoomSettings // nil: as before
	Members  Entries[Member, Name]
}

// RoomSettings is what is decided about a room but for its members.
type RoomSettings struct {
	Topic string
	Rules Rules
	By    Name // zero: nobody's
}

// Entries is the difference between two lists, by the key of each entry. Removed entries are taken out, then each entry
// of Put replaces the one with its key, or is appended if there is none; then the list is sorted by Order. An entry that
// moves to the end is in both Removed and Put, and so are all that follow it in Put.
type Entries[V any, K comparable] struct {
	Put     []V
	Removed []K
	Order   []K // the keys of the whole list; nil: the order is as said
}

// IsZero reports whether it changes nothing.
func (e Entries[V, K]) IsZero() bool { return len(e.Put)+len(e.Removed)+len(e.Order) == 0 }

// IsZero reports whether it changes nothing.
func (d Difference) IsZero() bool {
	return d.Accounts.IsZero() && len(d.Rooms)+len(d.RoomsRemoved) == 0 && d.Bans.IsZero() && d.Mutes.IsZero() && d.Invites.IsZero() &&
		d.Allowlist == nil && d.Registration == nil && d.Motd == nil && d.HostKeys == nil && d.Claims == nil && d.Reserved.IsZero() && d.Pins.IsZero() && d.Nodes.IsZero()
}

// kind is what there is to know about the entries of one kind.
type kind[V any, K comparable] struct {
	what string // that the keys name
	key  func(V) K
	same func(a, b V) bool
}

var (
	accountKind = kind[*Account, string]{"account", func(a *Account) string { return a.ID },
		func(a, b *Account) bool { return a == b || a.ID == b.ID && a.same(b) }}
	memberKind  = kind[Member, Name]{"member", func(m Member) Name { return m.Name }, equal[Member]}
	banKind     = kind[Sanction, string]{"ban", Sanction.Target, equal[Sanction]}
	muteKind    = kind[Sanction, string]{"mute", Sanction.Target, equal[Sanction]}
	inviteKind  = kind[StoredInvite, string]{"invite", func(i StoredInvite) string { return i.ID }, equal[StoredInvite]}
	pinKind     = kind[Pin, string]{"pin", Pin.ID, equal[Pin]}
	nodeKind    = kind[Node, string]{"node", func(n Node) string { return n.Name }, equal[Node]}
	reserveKind = kind[Name, Name]{"reserved name", func(n Name) Name { return n }, equal[Name]}
)

func equal[V comparable](a, b V) bool { return a == b }

// Since is what leads from the State before to s: before.With(it) is s. What both share costs next to nothing.
func (s *State) Since(before *State) Difference {
	d := Difference{
		Accounts: accountKind.since(before.accounts, s.accounts, false),
		Bans:     banKind.since(before.bans.list, s.bans.list, before.bans.twice() || s.bans.twice()),
		Mutes:    muteKind.since(before.mutes.list, s.mutes.list, before.mutes.twice() || s.mutes.twice()),
	}
	if !shared(before.invites, s.invites) {
		d.Invites = inviteKind.since(before.invites, s.invites, inviteKind.twice(before.invites) || inviteKind.twice(s.invites))
	}
	if !shared(before.reserved, s.reserved) {
		d.Reserved = reserveKind.since(before.reserved, s.reserved, reserveKind.twice(before.reserved) || reserveKind.twice(s.reserved))
	}
	if !shared(before.pins, s.pins) {
		d.Pins = pinKind.since(before.pins, s.pins, pinKind.twice(before.pins) || pinKind.twice(s.pins))
	}
	d.Nodes = nodeKind.since(before.nodes, s.nodes, false)
	if a, b := before.allowlist, s.allowlist; a.On != b.On || !slices.Equal(a.Entries, b.Entries) {
		d.Allowlist = &b
	}
	if is := s.registration; is != before.registration {
		d.Registration = &is
	}
	if is := s.motd; is != before.motd {
		d.Motd = &is
	}
	if is := s.hostKeys; is != before.hostKeys {
		d.HostKeys = &is
	}
	if is := s.claims; is != before.claims {
		d.Claims = &is
	}
	d.Rooms, d.RoomsRemoved = s.roomsSince(before)
	return d
}

func (s *State) roomsSince(before *State) (rooms []RoomDifference, gone []RoomName) {
	if reflect.ValueOf(s.rooms).Pointer() == reflect.ValueOf(before.rooms).Pointer() {
		return nil, nil // one map, that nobody changes
	}
	known := 0
	for name, r := range s.rooms {
		old := before.rooms[name]
		if old != nil {
			known++
		}
		if old == r {
			continue
		}
		if d, changed := r.since(old); changed {
			rooms = append(rooms, d)
		}
	}
	if known < len(before.rooms) {
		for name := range before.rooms {
			if s.rooms[name] == nil {
				gone = append(gone, name)
			}
		}
	}
	lists.Sort(rooms, func(a, b RoomDifference) int { return compareRooms(a.Name, b.Name) })
	slices.SortFunc(gone, compareRooms)
	return rooms, gone
}

// since is what leads to r from the room as it was before, nil if it was not there.
func (r *RoomState) since(before *RoomState) (d RoomDifference, changed bool) {
	d.Name = r.Name
	was := before
	if was == nil {
		was = &RoomState{}
	}
	if before == nil || r.Topic != was.Topic || r.By != was.By || !r.Rules.equal(was.Rules) {
		d.Settings = &RoomSettings{r.Topic, r.Rules, r.By}
	}
	d.Members = memberKind.since(was.Members, r.Members, false)
	return d, d.Settings != nil || !d.Members.IsZero()
}

// shared reports whether both are the same memory, which nobody changes.
func shared[V any](a, b []V) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// twice reports whether a key is there twice, as a hand edit may leave it.
func (k kind[V, K]) twice(list []V) bool {
	seen := make(map[K]bool, len(list))
	for _, v := range list {
		seen[k.key(v)] = true
	}
	return len(seen) < len(list)
}

func (k kind[V, K]) keys(list []V) []K {
	keys := make([]K, len(list))
	for i, v := range list {
		keys[i] = k.key(v)
	}
	return keys
}

// since is the difference between the lists. twice: a key is in one of them twice, so every entry is put again.
func (k kind[V, K]) since(before, after []V, twice bool) (e Entries[V, K]) {
	switch {
	case shared(before, after):
		return e
	case twice && slices.EqualFunc(before, after, k.same):
		return e
	case twice:
		return Entries[V, K]{Put: after, Removed: append(k.keys(before), k.keys(after)...)}
	}
	// The entries that keep their place come first in after; the others follow.
	next := 0
	if n := min(len(before), len(after)); shared(before[:n], after[:n]) {
		next = n // one list goes on where the other ends
	}
	for _, was := range before[next:] {
		switch {
		case next < len(after) && k.same(was, after[next]):
			next++
		case next < len(after) && k.key(was) == k.key(after[next]):
			e.Put = append(e.Put, after[next])
			next++
		default:
			e.Removed = append(e.Removed, k.key(was))
		}
	}
	rest := after[next:]
	e.Put = append(e.Put, rest...)
	if len(e.Removed) == 0 || len(rest) == 0 {
		return e
	}
	others := except(k.keys(rest), e.Removed)
	switch moved := len(rest) - len(others); {
	case moved > len(after)/4:
		return k.reordered(before, after)
	case moved > 0:
		e.Removed = append(e.Removed, others...)
	}
	return e
}

// reordered is what leads from one list to the other if most of it has moved: the order is given.
func (k kind[V, K]) reordered(before, after []V) Entries[V, K] {
	keys, e := k.keys(before), Entries[V, K]{Order: k.keys(after)}
	was := make(map[K]int, len(keys))
	for i, key := range keys {
		was[key] = i
	}
	for i, key := range e.Order {
		if at, ok := was[key]; !ok || !k.same(before[at], after[i]) {
			e.Put = append(e.Put, after[i])
		}
		delete(was, key)
	}
	for _, key := range keys {
		if _, gone := was[key]; gone {
			e.Removed = append(e.Removed, key)
		}
	}
	return e
}

func set[K comparable](keys []K) map[K]bool {
	in := make(map[K]bool, len(keys))
	for _, k := range keys {
		in[k] = true
	}
	return in
}

// except is the keys, which are the caller's own, without those that are gone.
func except[K comparable](keys, gone []K) []K {
	in := set(gone)
	return slices.DeleteFunc(keys, func(key K) bool { return in[key] })
}

// places are where entries are in a list, by key.
type places[K comparable] struct {
	at    func(K) int // -1: nowhere
	twice bool        // a key may be there twice; at is one of its places
}

// apply is the list with e. The list itself stays as it is.
func (k kind[V, K]) apply(list []V, e Entries[V, K], places places[K]) ([]V, error) {
	if e.IsZero() {
		return list, nil
	}
	gone, put := set(e.Removed), make(map[K]bool, len(e.Put))
	out := append(make([]V, 0, len(list)+len(e.Put)), list...)
	var ends []V // that are put behind the rest
	moves := false
	for _, v := range e.Put {
		key := k.key(v)
		switch i := places.at(key); {
		case put[key] && !gone[key]:
			return nil, fmt.Errorf("%s %v is added twice", k.what, key)
		case moves && !gone[key]:
			return nil, fmt.Errorf("%s %v is placed after an entry that moves, but does not move", k.what, key) // twice would not be once
		case i >= 0 && !gone[key]:
			out[i] = v
		default:
			ends, moves = append(ends, v), gone[key]
		}
		put[key] = true
	}
	out = append(k.without(out, gone, places), ends...)
	if e.Order != nil {
		return k.ordered(out, e.Order)
	}
	return out, nil
}

// without takes what is gone out of the list, which is the caller's own.
func (k kind[V, K]) without(list []V, gone map[K]bool, places places[K]) []V {
	if places.twice {
		return slices.DeleteFunc(list, func(v V) bool { return gone[k.key(v)] })
	}
	var out []int
	for key := range gone {
		if i := places.at(key); i >= 0 {
			out = append(out, i)
		}
	}
	if len(out) == 0 {
		return list
	}
	slices.Sort(out)
	to := out[0]
	for n, i := range out {
		end := len(list)
		if n+1 < len(out) {
			end = out[n+1]
		}
		to += copy(list[to:], list[i+1:end])
	}
	return list[:to]
}

// ordered is the list in that order.
func (k kind[V, K]) ordered(list []V, order []K) ([]V, error) {
	from, err := arrange(k.what, k.keys(list), order)
	if err != nil {
		return nil, err
	}
	out := make([]V, len(from))
	for i, at := range from {
		out[i] = list[at]
	}
	return out, nil
}

// arrange returns where each key of the order is in a list with these keys. Both must have the same, each once.
func arrange[K comparable](what string, keys, order []K) (from []int, err error) {
	places := make(map[K]int, len(keys))
	for i, key := range keys {
		if _, twice := places[key]; twice {
			return nil, fmt.Errorf("%s %v is in the list twice and has no place in its order", what, key)
		}
		places[key] = i
	}
	for _, key := range order {
		at, ok := places[key]
		if !ok {
			return nil, fmt.Errorf("%s %v is in the order but not in the list, or is listed twice", what, key)
		}
		delete(places, key)
		from = append(from, at)
	}
	for key := range places {
		return nil, fmt.Errorf("%s %v is missing from the order of the list", what, key)
	}
	return from, nil
}

// find returns where keys are in the list, for n of them.
func (k kind[V, K]) find(list []V, n int) places[K] {
	if n <= 4 {
		return places[K]{at: func(key K) int { return slices.IndexFunc(list, func(v V) bool { return k.key(v) == key }) }}
	}
	all := make(map[K]int, len(list))
	for i, v := range slices.Backward(list) {
		all[k.key(v)] = i
	}
	return places[K]{func(key K) int {
		if i, ok := all[key]; ok {
			return i
		}
		return -1
	}, len(all) < len(list)}
}

// with is the list with e. A hand edit may leave two entries with one key.
func (k kind[V, K]) with(list []V, e Entries[V, K]) ([]V, error) {
	if e.IsZero() {
		return list, nil
	}
	places := k.find(list, len(e.Put))
	places.twice = true
	return k.apply(list, e, places)
}

// With is the State that the difference leads to; of a State that it has led to already, the same once more. s stays as it
// is, and shares what does not change. An error names the entity that cannot be put or taken out:
//   - an account without an ID or a name, or with the name of another;
//   - a room that is not there and comes without settings, a direct room;
//   - a member who has no account, or is there twice; an account that is gone, or has another name, with a member left;
//   - a node with the key of another, and more nodes than MaxNodes;
//   - an entry that is put twice, and a list whose order is not that of its entries.
//
// That an entity which is gone was not there is no error.
func (s *State) With(d Difference) (*State, error) {
	if d.IsZero() {
		return s, nil
	}
	to := &transaction{State: *s}
	err := to.putAccounts(d.Accounts)
	if err == nil {
		err = to.putRooms(d)
	}
	if err == nil {
		err = to.noStrangers(s, d)
	}
	if err != nil {
		return nil, err
	}
	if to.bans, err = s.bans.with(banKind, d.Bans); err != nil {
		return nil, err
	}
	if to.mutes, err = s.mutes.with(muteKind, d.Mutes); err != nil {
		return nil, err
	}
	if to.invites, err = inviteKind.with(s.invites, d.Invites); err != nil {
		return nil, err
	}
	if to.pins, err = pinKind.with(s.pins, d.Pins); err != nil {
		return nil, err
	}
	if to.nodes, err = nodeKind.with(s.nodes, d.Nodes); err != nil {
		return nil, err
	}
	if !d.Nodes.IsZero() {
		if err := CheckNodes(to.nodes); err != nil {
			return nil, err
		}
	}
	if to.reserved, err = reserveKind.with(s.reserved, d.Reserved); err != nil {
		return nil, err
	}
	if d.Allowlist != nil {
		to.allowlist = *d.Allowlist
	}
	if d.Registration != nil {
		to.registration = *d.Registration
	}
	if d.Motd != nil {
		to.motd = *d.Motd
	}
	if d.HostKeys != nil {
		to.hostKeys = *d.HostKeys
	}
	if d.Claims != nil {
		to.claims = *d.Claims
	}
	if !d.Reserved.IsZero() {
		to.countShapes()
	}
	return &to.State, nil
}

// Edited is s with what somebody changed by hand, which led from base to edited: what they touched is as they left it, and all
// else as it is in s. Of accounts that goes for each field and each key. What is gone since base stays gone, whatever they
// changed about it. An error names what cannot be put.
func (s *State) Edited(base, edited *State) (*State, error) {
	d := edited.Since(base)
	if s.Since(base).IsZero() {
		return s.With(d)
	}
	d.Accounts.Order, d.Bans.Order, d.Mutes.Order, d.Invites.Order, d.Reserved.Order, d.Pins.Order, d.Nodes.Order = nil, nil, nil, nil, nil, nil, nil
	d.Accounts.Put = slices.DeleteFunc(slices.Clone(d.Accounts.Put), func(a *Account) bool {
		_, was := base.byID[a.ID]
		_, is := s.byID[a.ID]
		return was && !is
	})
	for i, a := range d.Accounts.Put {
		was, known := base.ByID(a.ID)
		if is, ok := s.ByID(a.ID); ok && known {
			merged := is.edited(was, *a)
			d.Accounts.Put[i] = &merged
		}
	}
	to := &transaction{State: *s}
	is := make(map[Name]bool, len(s.accounts)) // the accounts that exist afterwards
	for _, a := range s.accounts {
		is[a.Name] = true
	}
	for _, id := range d.Accounts.Removed {
		if a, ok := s.ByID(id); ok {
			is[a.Name] = false
		}
	}
	for _, a := range d.Accounts.Put {
		if old, ok := s.ByID(a.ID); ok {
			is[old.Name] = false
		}
	}
	for _, a := range d.Accounts.Put {
		is[a.Name] = true
	}
	for _, a := range s.accounts {
		if !is[a.Name] {
			leaveRooms(to, a.Name) // also those that they came into since
		}
	}
	d.Rooms = roomsEdited(d.Rooms, base, s, is)
	d.Pins.Put = pinsEdited(d.Pins.Put, s, is)
	return to.With(d)
}

// edited is the account with what was changed by hand between two others.
func (a Account) edited(base, edit Account) Account {
	if edit.Name != base.Name {
		a.Name = edit.Name
	}
	if edit.Role != base.Role {
		a.Role = edit.Role
	}
	if edit.Disabled != base.Disabled {
		a.Disabled = edit.Disabled
	}
	if edit.Seen != base.Seen {
		a.Seen = edit.Seen
	}
	if !edit.Created.Equal(base.Created) {
		a.Created = edit.Created
	}
	if !maps.Equal(edit.Settings, base.Settings) {
		a.Settings = edit.Settings
	}
	if edit.Recipient != base.Recipient || !edit.Secret.Equal(base.Secret) {
		a = a.WithPassword(edit.Recipient, edit.Secret)
	}
	if !reflect.DeepEqual(edit.Factor, base.Factor) {
		a = a.WithFactor(edit.Factor)
	}
	keys := slices.DeleteFunc(slices.Clone(a.Keys), func(k Key) bool {
		return base.HasKey(k.Fingerprint) && !edit.HasKey(k.Fingerprint)
	})
	a.Keys = keys
	for _, k := range edit.Keys {
		was, is := base.key(k.Fingerprint), a.key(k.Fingerprint)
		switch {
		case was >= 0 && reflect.DeepEqual(base.Keys[was], k): // not touched
		case is >= 0:
			a.Keys[is] = k
		default:
			a.Keys = append(a.Keys, k)
		}
	}
	return a
}

// pinsEdited is what is left of pins that were edited, if those people have accounts.
func pinsEdited(edits []Pin, s *State, is map[Name]bool) (left []Pin) {
	for _, p := range edits {
		a, b, direct := p.Room.Pair()
		if direct && !(is[a] && is[b]) || !direct && p.Room != General && s.rooms[p.Room] == nil {
			continue
		}
		if !is[p.By] {
			p.By = Name{}
		}
		left = append(left, p)
	}
	return left
}

// roomsEdited is what is left to do of what was edited about rooms, if those people have accounts.
func roomsEdited(edits []RoomDifference, base, s *State, is map[Name]bool) (left []RoomDifference) {
	nobody := func(name Name) bool { return !is[name] }
	for _, rd := range edits {
		if base.rooms[rd.Name] != nil && s.rooms[rd.Name] == nil {
			continue
		}
		if settings := rd.Settings; settings != nil {
			own := *settings
			own.Rules.Mods = slices.DeleteFunc(slices.Clone(own.Rules.Mods), nobody)
			own.Rules.Invited = slices.DeleteFunc(slices.Clone(own.Rules.Invited), nobody)
			if nobody(own.By) {
				own.By = Name{}
			}
			rd.Settings = &own
		}
		rd.Members.Order = nil
		rd.Members.Put = slices.DeleteFunc(slices.Clone(rd.Members.Put), func(m Member) bool { return nobody(m.Name) })
		left = append(left, rd)
	}
	return left
}
