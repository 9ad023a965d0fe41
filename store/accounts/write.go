package accounts

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"

	"sshchat/sshchat/chat"
	"sshchat/store/durable"
	"sshchat/store/strictjson"
)

// encode writes the roster for users.json: one line for each user, key, password, room and member,
// so that a person finds them, and a comparison of two generations shows what changed.
func (r *roster) encode() ([]byte, error) {
	p := &strictjson.Page{}
	p.Text(`{"format":`)
	p.Value(fileFormat)
	p.Text(",\n \"users\":[")
	strictjson.List(p, "\n  ", r.users, func(u *user) { writeUser(p, u) })
	p.Text("],\n \"rooms\":[")
	strictjson.List(p, "\n  ", r.sortedRooms(), func(m *room) { writeRoom(p, m) })
	p.Text("],\n \"bans\":[")
	strictjson.List(p, "\n  ", r.bans, func(s chat.Sanction) { p.Value(s) })
	p.Text("],\n \"mutes\":[")
	strictjson.List(p, "\n  ", r.mutes, func(s chat.Sanction) { p.Value(s) })
	p.Text("],\n \"invites\":[")
	strictjson.List(p, "\n  ", r.invites, func(i invite) { p.Value(i) })
	p.Text("],\n \"allowlist\":")
	p.Value(allowlist{r.allowlist.On, append([]string{}, r.allowlist.Entries...)})
	p.Text(",\n \"reserved\":[")
	strictjson.List(p, "\n  ", r.reserved, func(name chat.Name) { p.Value(name) })
	p.Text("]}\n")
	return p.Bytes()
}

// sortedRooms lists #general first, then the rest by name.
func (r *roster) sortedRooms() []*room {
	place := func(m *room) string {
		if m.Name == chat.General {
			return ""
		}
		return m.Name.String()
	}
	return slices.SortedFunc(maps.Values(r.rooms), func(a, b *room) int { return cmp.Compare(place(a), place(b)) })
}

func writeUser(p *strictjson.Page, u *user) {
	p.Open(u)
	p.Text(",\n   \"keys\":[")
	strictjson.List(p, "\n    ", u.keys, func(k userKey) { p.Value(k) })
	p.Text("]")
	if u.password != nil {
		p.Text(",\n   \"password\":")
		p.Value(u.password)
	}
	if u.totp != nil {
		p.Text(",\n   \"totp\":")
		p.Value(u.totp)
	}
	if len(u.settings) > 0 {
		p.Text(",\n   \"settings\":")
		p.Value(u.settings)
	}
	p.Text("}")
}

func writeRoom(p *strictjson.Page, m *room) {
	p.Open(m)
	p.Text(",\"members\":[")
	strictjson.List(p, "\n    ", m.members, func(m chat.Member) { p.Value(m) })
	p.Text("]}")
}

// Snapshot is users.json as it is on the disk.
func (u *Store) Snapshot() (durable.Snapshot, error) {
	b, err := u.durable.Load().encode()
	return durable.InMemory(filepath.Base(u.path), b), err
}
