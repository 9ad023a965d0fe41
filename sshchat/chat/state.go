package chat

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// State is all that was decided: accounts, rooms and who is in them, bans, mutes, invites, the allowlist. It is one
// immutable value: a change makes another State (Check), which shares what did not change. Nothing obtained from one may
// be changed. The zero State is that of a new server.
type State struct {
	accounts []*Account     // in the order they came
	byID     map[string]int // index in accounts
	byName   map[Name]int   // index in accounts
	shapes   map[string]int // how many names that are taken or reserved have the skeleton
	rooms    map[RoomName]*RoomState
	joined   map[Name]int // how many rooms each is in; direct rooms are not kept here
	reserved []Name       // of deleted accounts: nobody gets them again

	bans, mutes sanctions
	invites     []StoredInvite
	allowlist   Allowlist
	pins        []Pin  // in the order they were pinned
	nodes       []Node // of the cluster, in the order they were added; none if it is no cluster

	registration Registration // empty: as the setting says
	motd         Text         // the message of the day; empty: none
	hostKeys     HostKeys     // of a cluster; zero: nothing is decided
	claims       uint64       // codes to become the first admin that serve no more, of a cluster
}

// StoredInvite is an invite as it is stored: reading it does not give the code.
type StoredInvite struct {
	Invite
	Hash string // SHA-256 of the code, in hexadecimal
}

// Allowlist is who may log in while it is on, written as ParseTarget takes them. Moderators and admins always may.
type Allowlist struct {
	On      bool
	Entries []string
}

// Accounts lists the accounts in the order they came.
func (s *State) Accounts() iter.Seq[Account] {
	return func(yield func(Account) bool) {
		for _, a := range s.accounts {
			if !yield(*a) {
				return
			}
		}
	}
}

// Len is how many accounts there are.
func (s *State) Len() int { return len(s.accounts) }

// ByName returns the account of that name.
func (s *State) ByName(name Name) (Account, bool) {
	if a := s.named(name); a != nil {
		return *a, true
	}
	return Account{}, false
}

// ByID returns the account with that ID.
func (s *State) ByID(id string) (Account, bool) {
	if i, ok := s.byID[id]; ok {
		return *s.accounts[i], true
	}
	return Account{}, false
}

func (s *State) named(name Name) *Account {
	if i, ok := s.byName[name]; ok {
		return s.accounts[i]
	}
	return nil
}

// Color is the color of somebody's name.
func (s *State) Color(name Name) NameColor {
	if a := s.named(name); a != nil {
		return a.Color()
	}
	return 0
}

// Taken reports whether the name, or one that looks like it, is somebody's, or was.
func (s *State) Taken(name Name) bool { return s.shapes[name.Skeleton()] > 0 }

// Reserved lists the names of deleted accounts.
func (s *State) Reserved() []Name { return s.reserved }

// HasAdmin reports whether the server has an admin who is not disabled.
func (s *State) HasAdmin() bool {
	return slices.ContainsFunc(s.accounts, func(a *Account) bool { return a.Role == Admin && !a.Disabled })
}

// Room returns what is decided about a room.
func (s *State) Room(name RoomName) (RoomState, bool) {
	if r := s.rooms[name]; r != nil {
		return *r, true
	}
	return RoomState{}, false
}

// Rooms lists the rooms but for direct ones, #general first, then by name. Last is 0: it is the journal's to know.
func (s *State) Rooms() []RoomState {
	rooms := make([]RoomState, 0, len(s.rooms))
	for _, name := range slices.SortedFunc(maps.Keys(s.rooms), compareRooms) {
		rooms = append(rooms, *s.rooms[name])
	}
	return rooms
}

// Members lists the room's members in the order they joined; of a direct room, those of the two who exist.
func (s *State) Members(name RoomName) []Name {
	var names []Name
	if a, b, direct := name.Pair(); direct {
		for _, n := range []Name{a, b} {
			if s.named(n) != nil {
				names = append(names, n)
			}
		}
		return names
	}
	if r := s.rooms[name]; r != nil {
		for _, m := range r.Members {
			names = append(names, m.Name)
		}
	}
	return names
}

// RoomRole reports whether name made the room, and whether it is one of its moderators, and is still in it.
func (s *State) RoomRole(name Name, room RoomName) (creator, mod bool) {
	r := s.rooms[room]
	if r == nil || name.IsZero() || r.member(name) < 0 {
		return false, false
	}
	return r.By == name, slices.Contains(r.Mods, name)
}

// member is the place of name among the members, -1 if it is not one.
func (r *RoomState) member(name Name) int {
	return slices.IndexFunc(r.Members, func(m Member) bool { return m.Name == name })
}

// Allowlist returns who may log in while it is on.
func (s *State) Allowlist() Allowlist { return s.allowlist }

// Registration is what was decided about who may register; empty if nothing was, and the setting decides.
func (s *State) Registration() Registration { return s.registration }

// Motd is the message of the day, which is shown at each login; empty if there is none.
func (s *State) Motd() Text { return s.motd }

// HostKeys is which host keys all nodes of a cluster serve; zero if that was not decided.
func (s *State) HostKeys() HostKeys { return s.hostKeys }

// Claims counts the codes to become the first admin of a cluster that serve no more.
func (s *State) Claims() uint64 { return s.claims }

// AllBans lists the bans, those that have ended too; the oldest first.
func (s *State) AllBans() []Sanction { return slices.Clip(s.bans.list) }

// AllMutes lists the mutes, those that have ended too; the oldest first.
func (s *State) AllMutes() []Sanction { return slices.Clip(s.mutes.list) }

// AllInvites lists the invites, those that have ended too; the oldest first.
func (s *State) AllInvites() []StoredInvite { return s.invites }

// Nodes lists the nodes of the cluster in the order they were added; none if the server is not part of a cluster.
func (s *State) Nodes() []Node { return slices.Clip(s.nodes) }

// View is a State as it stands at a moment.
type View struct {
	*State
	At Moment
}

// Banned returns the ban on that person, address or key, each of which may be zero.
func (v View) Banned(name Name, addr netip.Addr, key string) (Sanction, bool) {
	return v.bans.hit(v.At, name, addr, key)
}

// Muted returns the mute of that person.
func (v View) Muted(name Name) (Sanction, bool) { return v.mutes.hit(v.At, name, netip.Addr{}, "") }

// Bans lists the bans that hold, the oldest first.
func (v View) Bans() []Sanction { return v.bans.holding(v.At) }

// Mutes lists the mutes that hold, the oldest first.
func (v View) Mutes() []Sanction { return v.mutes.holding(v.At) }

// Allowed reports whether the allowlist, if it is on, lets them in: that account, from that address, with that key.
func (v View) Allowed(a Account, addr netip.Addr, key string) bool {
	if !v.allowlist.On || a.Role.AtLeast(Mod) {
		return true
	}
	return slices.ContainsFunc(v.allowlist.Entries, func(entry string) bool {
		target, err := ParseTarget(entry)
		return err == nil && target.Matches(a.Name, addr, key)
	})
}

// Invites lists the invites that can be used.
func (v View) Invites() []Invite {
	var list []Invite
	for _, i := range v.invites {
		if i.valid(v.At) {
			list = append(list, i.Invite)
		}
	}
	return list
}

// Invited reports whether the hash is that of the code of an invite that can be used.
func (v View) Invited(hash string) bool {
	return slices.ContainsFunc(v.invites, func(i StoredInvite) bool { return i.Hash == hash && i.valid(v.At) })
}

// valid reports whether it can be used: it has not ended by either clock.
func (i StoredInvite) valid(at Moment) bool {
	return i.Uses > 0 && (i.Until.IsZero() || at.Wall.Before(i.Until) && at.Latest.Before(i.Until))
}

// kept reports whether it can be used, or could if the clock is wrong.
func (i StoredInvite) kept(at Moment) bool {
	return i.Uses > 0 && (i.Until.IsZero() || !at.Ended(i.At, i.Until))
}

// HistoryKeys are the keys and the password that open history for somebody, as far as changes matter.
type HistoryKeys struct {
	Keys      []Key  // to which messages may be sealed
	Recipient string // of the password; empty: none
}

// HistoryKeys returns the account's keys: none if it is disabled or banned, and no banned key.
func (v View) HistoryKeys(a Account) HistoryKeys {
	if _, banned := v.Banned(a.Name, netip.Addr{}, ""); banned || a.Disabled {
		return HistoryKeys{}
	}
	r := HistoryKeys{Recipient: a.Recipient}
	for _, k := range a.Keys {
		if _, banned := v.Banned(Name{}, netip.Addr{}, k.Fingerprint); k.Reads && !banned {
			r.Keys = append(r.Keys, k)
		}
	}
	return r
}

// Change is what has to follow if these replaced the keys before: NoChange; Rekey, if all of those still read; else
// Revoke.
func (r HistoryKeys) Change(before HistoryKeys) Change {
	lost := before.Recipient != "" && before.Recipient != r.Recipient
	for _, k := range before.Keys {
		lost = lost || !slices.ContainsFunc(r.Keys, k.SameUse)
	}
	switch {
	case lost:
		return Revoke
	case r.Recipient != before.Recipient || len(r.Keys) != len(before.Keys):
		return Rekey
	}
	return NoChange
}

// NextEnd is when the next ban that holds ends by itself; zero if none does.
func (v View) NextEnd() time.Time {
	var first time.Time
	for _, s := range v.bans.list {
		if !s.Until.IsZero() && !v.At.Over(s) && (first.IsZero() || s.Until.Before(first)) {
			first = s.Until
		}
	}
	return first
}

// Parts is a State in parts, as it is read from a file or made by a test.
type Parts struct {
	Accounts    []Account
	Rooms       []RoomState
	Reserved    []Name
	Bans, Mutes []Sanction
	Invites     []StoredInvite
	Allowlist   Allowlist
	Pins        []Pin
	Nodes       []Node

	Registration Registration
	Motd         Text
	HostKeys     HostKeys
	Claims       uint64
}

// NewState makes a State of parts that are well-formed: no name, ID, room or node is there twice.
func NewState(p Parts) *State {
	s := &State{
		byID: make(map[string]int, len(p.Accounts)), byName: make(map[Name]int, len(p.Accounts)), shapes: make(map[string]int),
		rooms: make(map[RoomName]*RoomState, len(p.Rooms)), joined: make(map[Name]int), reserved: p.Reserved,
		bans: newSanctions(p.Bans), mutes: newSanctions(p.Mutes), invites: p.Invites, allowlist: p.Allowlist, pins: p.Pins, nodes: p.Nodes, registration: p.Registration, motd: p.Motd,
		hostKeys: p.HostKeys, claims: p.Claims,
	}
	for i := range p.Accounts {
		a := &p.Accounts[i]
		s.byID[a.ID], s.byName[a.Name] = i, i
		s.shapes[a.Name.Skeleton()]++
		s.accounts = append(s.accounts, a)
	}
	for _, name := range p.Reserved {
		s.shapes[name.Skeleton()]++
	}
	for i := range p.Rooms {
		s.rooms[p.Rooms[i].Name] = &p.Rooms[i]
		for _, m := range p.Rooms[i].Members {
			s.joined[m.Name]++
		}
	}
	return s
}

// Parts returns the State in parts, rooms sorted as Rooms does.
func (s *State) Parts() Parts {
	accounts := slices.AppendSeq(make([]Account, 0, len(s.accounts)), s.Accounts())
	return Parts{accounts, s.Rooms(), s.reserved, s.AllBans(), s.AllMutes(), s.invites, s.allowlist, s.pins, s.nodes, s.registration, s.motd, s.hostKeys, s.claims}
}

// Moment is one reading of a clock that may be wrong (see package clock). All of it is in UTC.
type Moment struct {
	Wall    time.Time // the wall clock's time: for what can be undone
	Trusted time.Time // the time by which something may be ended permanently
	Latest  time.Time // the latest time that was trusted
	Stamp   time.Time // to write down, for something that ends some time after it
}

// Ended reports whether something that began at one time and lasts until another has ended permanently. If it began while
// the clock was not trusted, it is judged by that clock.
func (m Moment) Ended(began, until time.Time) bool {
	return !m.Wall.Before(until) && (!m.Trusted.Before(until) || began.After(m.Trusted))
}

// Over reports whether the sanction has ended.
func (m Moment) Over(s Sanction) bool { return !s.Until.IsZero() && m.Ended(s.At, s.Until) }

// second is the time as decisions are stored.
func (m Moment) second() time.Time { return m.Stamp.Truncate(time.Second) }

// counted is the time at which attempts are counted.
func (m Moment) counted() time.Time { return m.Wall.UTC().Truncate(time.Millisecond) }

// lasting is the end of something that is to last until a time of the wall clock, as it is stored. Zero: it has none.
func (m Moment) lasting(until time.Time) time.Time {
	if until.IsZero() {
		return until
	}
	return until.UTC().Add(m.Stamp.Sub(m.Wall))
}
