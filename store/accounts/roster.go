package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

// roster is all that users.json holds. Once it is shown to readers it is never changed: a change is made to a clone,
// and what hangs on a roster by a pointer is shared between generations and replaced, never written to.
type roster struct {
	users  []*user             // in the order they came
	byID   map[string]int      // index in users
	byName map[chat.Name]int   // index in users
	shapes map[string]struct{} // skeletons of all names that are taken or reserved
	rooms  map[chat.RoomName]*room

	reserved []chat.Name // of deleted accounts: nobody gets them again

	// Replaced as a whole:

	bans, mutes []chat.Sanction
	invites     []invite
	allowlist   allowlist
}

// user is an account as stored.
type user struct {
	ID       string            `json:"id"` // 128 random bits in hex
	Name     chat.Name         `json:"name"`
	Role     chat.Role         `json:"role"`
	Created  time.Time         `json:"created"`            // UTC, in seconds
	Seen     string            `json:"seen,omitempty"`     // the day of the last session, UTC, 2006-01-02
	Disabled bool              `json:"disabled,omitempty"` // nobody logs in to it
	keys     []userKey         // replaced as a whole
	password *password         // nil: none is set
	totp     *totp             // nil: there is none; replaced as a whole
	settings map[string]string // replaced as a whole
}

// userKey is a public key as stored.
type userKey struct {
	Line  string    `json:"key"`
	Label string    `json:"label"`
	Added time.Time `json:"added"`
	Only  chat.Only `json:"only"` // what the key is restricted to; what is not known there allows nothing

	fingerprint string
	recipient   age.Recipient // nil where age cannot seal to it
}

// password is a password identity as stored.
type password struct {
	Recipient string   `json:"recipient"`         // of the newest identity: new history is sealed to it
	Sealed    string   `json:"sealed"`            // age passphrase file of all identities, newest first
	Retired   []string `json:"retired,omitempty"` // former sealed files, whose passwords an admin's reset replaced

	recipient *age.X25519Recipient
}

// room is a room as stored, without what is said in it. Direct rooms are not here: their names say all.
type room struct {
	Name    chat.RoomName `json:"name"`
	Topic   string        `json:"topic"`
	Private bool          `json:"private"`
	Slow    int64         `json:"slow,omitempty"` // seconds between two messages of one member
	By      chat.Name     `json:"by,omitzero"`
	Mods    []chat.Name   `json:"mods,omitempty"`    // replaced as a whole
	Invited []chat.Name   `json:"invited,omitempty"` // replaced as a whole
	members []chat.Member // replaced as a whole
}

func newRoster() *roster {
	return &roster{
		byID: make(map[string]int), byName: make(map[chat.Name]int), shapes: make(map[string]struct{}),
		rooms: make(map[chat.RoomName]*room),
	}
}

func (r *roster) clone() *roster {
	c := *r
	c.users, c.reserved = slices.Clone(r.users), slices.Clone(r.reserved)
	c.byID, c.byName = maps.Clone(r.byID), maps.Clone(r.byName)
	c.shapes, c.rooms = maps.Clone(r.shapes), maps.Clone(r.rooms)
	return &c
}

// named returns the user of that name, nil where there is none.
func (r *roster) named(name chat.Name) *user {
	if i, ok := r.byName[name]; ok {
		return r.users[i]
	}
	return nil
}

// identified returns the user with that id, nil where there is none.
func (r *roster) identified(id string) *user {
	if i, ok := r.byID[id]; ok {
		return r.users[i]
	}
	return nil
}

// taken reports whether the name, or one that looks like it, is somebody's, or was.
func (r *roster) taken(name chat.Name) bool {
	_, ok := r.shapes[name.Skeleton()]
	return ok
}

func (r *roster) add(u *user) {
	r.byID[u.ID], r.byName[u.Name] = len(r.users), len(r.users)
	r.shapes[u.Name.Skeleton()] = struct{}{}
	r.users = append(r.users, u)
}

// replace puts u in the place of the user with its id and name.
func (r *roster) replace(u *user) { r.users[r.byID[u.ID]] = u }

// remove takes the user out, with all that names them. The name stays reserved.
func (r *roster) remove(u *user) {
	r.users = slices.DeleteFunc(slices.Clone(r.users), func(other *user) bool { return other.ID == u.ID })
	r.byID, r.byName = make(map[string]int), make(map[chat.Name]int)
	for i, other := range r.users {
		r.byID[other.ID], r.byName[other.Name] = i, i
	}
	for name, old := range r.rooms {
		r.rooms[name] = old.without(u.Name)
	}
	of := func(s chat.Sanction) bool { return s.User == u.Name }
	r.bans = slices.DeleteFunc(slices.Clone(r.bans), of)
	r.mutes = slices.DeleteFunc(slices.Clone(r.mutes), of)
	r.reserved = append(r.reserved, u.Name)
}

// without is the room without somebody: itself where it does not name them.
func (m *room) without(name chat.Name) *room {
	is := func(n chat.Name) bool { return n == name }
	if m.index(name) < 0 && m.By != name && !slices.ContainsFunc(m.Mods, is) && !slices.ContainsFunc(m.Invited, is) {
		return m
	}
	changed := *m
	if m.By == name {
		changed.By = chat.Name{}
	}
	changed.members = slices.DeleteFunc(slices.Clone(m.members), func(member chat.Member) bool { return member.Name == name })
	changed.Mods = slices.DeleteFunc(slices.Clone(m.Mods), is)
	changed.Invited = slices.DeleteFunc(slices.Clone(m.Invited), is)
	return &changed
}

// admins counts those who may come in.
func (r *roster) admins() int {
	n := 0
	for _, u := range r.users {
		if u.Role == chat.Admin && !u.Disabled {
			n++
		}
	}
	return n
}

// setMember adds m to the room, or changes since when m belongs to it; #general is made by the first who enters it.
func (r *roster) setMember(name chat.RoomName, m chat.Member) error {
	old := r.rooms[name]
	switch {
	case old == nil && name == chat.General:
		old = &room{Name: name}
	case old == nil:
		return chat.ErrNoRoom
	}
	changed := *old
	changed.members = slices.Clone(old.members)
	if i := old.index(m.Name); i >= 0 {
		changed.members[i] = m
	} else {
		changed.members = append(changed.members, m)
	}
	r.rooms[name] = &changed
	return nil
}

// index is the place of name among the members, -1 where it is not.
func (r *room) index(name chat.Name) int {
	return slices.IndexFunc(r.members, func(m chat.Member) bool { return m.Name == name })
}

// account is the user as the chat knows it.
func (u *user) account() chat.Account {
	a := chat.Account{
		ID: u.ID, Name: u.Name, Role: u.Role, Created: u.Created, Seen: u.Seen, Disabled: u.Disabled,
		Keys: make([]chat.Key, len(u.keys)), Settings: maps.Clone(u.settings),
	}
	for i, k := range u.keys {
		a.Keys[i] = chat.Key{
			Line: k.Line, Fingerprint: k.fingerprint, Label: k.Label, Added: k.Added, Only: slices.Clone(k.Only), Reads: k.readsSomewhere(),
		}
	}
	if u.password != nil {
		a.TOTP = u.totp != nil
		a.Password, a.Generation = true, u.password.generation()
	}
	return a
}

// generation names the identity: another password is another identity.
func (p *password) generation() string {
	sum := sha256.Sum256([]byte(p.Recipient))
	return hex.EncodeToString(sum[:16])
}

// readsSomewhere reports whether history of any room is sealed to the key: age can, and it is not restricted to other things.
func (k userKey) readsSomewhere() bool {
	history := func(entry string) bool { return entry == "history" || strings.HasPrefix(entry, "history:") }
	return k.recipient != nil && (len(k.Only) == 0 || slices.ContainsFunc(k.Only, history))
}

// reads reports whether history of a room is sealed to the key. The room is as the key's owner writes it: #ci, @bob.
func (k userKey) reads(room string) bool {
	return k.recipient != nil && k.Only.Allows("history", []string{room})
}

// dormantFrom is when nothing is sealed any more for the user until they return, if they stay away for so long.
func (u *user) dormantFrom(after time.Duration) time.Time {
	last := u.Created
	if day, err := time.Parse(time.DateOnly, u.Seen); err == nil && day.After(last) {
		last = day
	}
	return last.Add(after)
}
