// Package kept gathers what the server keeps about a person, as JSON, but for secrets. It knows nothing of commands, of files, or of
// who may ask.
package kept

import (
	"net/netip"
	"slices"
	"time"

	"sshchat/sshchat/chat"
)

// Account is an account as admins see it.
type Account struct {
	Name     chat.Name       `json:"name"`
	Role     chat.Role       `json:"role"`
	Created  time.Time       `json:"created"`
	Seen     string          `json:"seen,omitempty"`
	Disabled bool            `json:"disabled,omitempty"`
	Password bool            `json:"password"`
	Keys     []string        `json:"keys"`
	Reads    bool            `json:"reads"`
	Rooms    []chat.RoomName `json:"rooms,omitempty"`
}

// AccountOf returns an account as admins see it, without its rooms.
func AccountOf(a chat.Account) Account {
	keys := make([]string, len(a.Keys))
	for i, k := range a.Keys {
		keys[i] = k.Fingerprint
	}
	return Account{a.Name, a.Role, a.Created, a.Seen, a.Disabled, a.Password, keys, a.Reads(), nil}
}

// Person is somebody, and where that is found which is kept about them.
type Person struct {
	Account chat.Account
	Hub     *chat.Hub
	Sources []netip.Prefix // that they logged in from
	// Sealed counts the messages of a room that are sealed to them. It may wait.
	Sealed func(chat.RoomName) (uint64, error)
	// Banners is whether it is part of it who has banned or muted them, which only admins learn.
	Banners bool
}

// Each calls print with each thing that is kept, and its kind. Errors: those of Sealed.
func (p Person) Each(print func(kind string, what any)) error {
	p.account(print)
	p.decided(print)
	return p.rooms(print)
}

// account is what people keep themselves, and where they were.
func (p Person) account(print func(kind string, what any)) {
	a, codes := p.Account, 0
	if a.Factor != nil {
		codes = len(a.Factor.Codes)
	}
	print("account", struct {
		Account
		SecondFactor  bool `json:"second_factor"`
		RecoveryCodes int  `json:"recovery_codes,omitempty"`
	}{AccountOf(a), a.TOTP, codes})
	for _, k := range a.Keys {
		print("key", struct {
			Fingerprint string    `json:"fingerprint"`
			Label       string    `json:"label"`
			Added       time.Time `json:"added"`
			Only        chat.Only `json:"only,omitempty"`
		}{k.Fingerprint, k.Label, k.Added, k.Only})
	}
	if len(a.Settings) > 0 {
		print("settings", a.Settings)
	}
	for _, source := range p.Sources {
		print("source", source)
	}
}

// decided is what was decided about them, and their invites.
func (p Person) decided(print func(kind string, what any)) {
	now, a := p.Hub.View(), p.Account
	against := func(kind string, list []chat.Sanction) {
		for _, s := range list {
			if !p.Banners {
				s.By = chat.Name{}
			}
			if s.User == a.Name || a.HasKey(s.Key) {
				print(kind, s)
			}
		}
	}
	against("ban", now.AllBans())
	against("mute", now.AllMutes())
	for _, i := range now.AllInvites() {
		if i.By == a.Name {
			print("invite", i.Invite)
		}
	}
	for _, entry := range now.Allowlist().Entries {
		if entry == a.Name.String() {
			print("allowlist", entry)
		}
	}
}

// rooms are those that they are in or invited to, that hold messages sealed to them, or that have pins of theirs.
func (p Person) rooms(print func(kind string, what any)) error {
	name := p.Account.Name
	now, marks := p.Hub.View(), p.Hub.Marks(name)
	rooms := p.Hub.RoomsOf(name)
	for _, r := range now.Rooms() {
		if !slices.Contains(rooms, r.Name) {
			rooms = append(rooms, r.Name)
		}
	}
	for _, room := range rooms {
		sealed, err := p.Sealed(room)
		if err != nil {
			return err
		}
		r, _ := now.Room(room)
		read, in := marks[room]
		invited := slices.Contains(r.Invited, name)
		var pinned []uint64
		for _, pin := range now.Pins(room) {
			if pin.By == name {
				pinned = append(pinned, pin.Seq)
			}
		}
		if !in && sealed == 0 && len(pinned) == 0 && !invited {
			continue
		}
		creator, mod := now.RoomRole(name, room)
		print("room", struct {
			Room      string   `json:"room"`
			Member    bool     `json:"member"`
			Invited   bool     `json:"invited,omitempty"`
			Creator   bool     `json:"creator,omitempty"`
			Moderator bool     `json:"moderator,omitempty"`
			Read      uint64   `json:"read,omitempty"`   // Seq of the last message that is not unread
			Sealed    uint64   `json:"sealed"`           // messages that the person's keys or password open
			Pinned    []uint64 `json:"pinned,omitempty"` // messages that the person has pinned
		}{room.For(name), in, invited, creator, mod, read, sealed, pinned})
	}
	return nil
}
