package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"sshchat/sshchat/chat"
)

// encode writes the roster for users.json: one line for each user, key, password, room and member,
// so that a person finds them, and a comparison of two generations shows what changed.
func (r *roster) encode() ([]byte, error) {
	p := &page{}
	p.text(`{"format":`)
	p.value(usersFormat)
	p.text(",\n \"users\":[")
	list(p, "\n  ", r.users, func(u *user) { p.user(u) })
	p.text("],\n \"rooms\":[")
	list(p, "\n  ", r.sortedRooms(), func(m *room) { p.room(m) })
	p.text("],\n \"bans\":[")
	list(p, "\n  ", r.bans, func(s chat.Sanction) { p.value(s) })
	p.text("],\n \"mutes\":[")
	list(p, "\n  ", r.mutes, func(s chat.Sanction) { p.value(s) })
	p.text("],\n \"invites\":[")
	list(p, "\n  ", r.invites, func(i invite) { p.value(i) })
	p.text("],\n \"allowlist\":")
	p.value(allowlist{r.allowlist.On, append([]string{}, r.allowlist.Entries...)})
	p.text(",\n \"reserved\":[")
	list(p, "\n  ", r.reserved, func(name chat.Name) { p.value(name) })
	p.text("]}\n")
	return p.buf.Bytes(), p.err
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

// page is JSON being written. The first error stays.
type page struct {
	buf bytes.Buffer
	err error
}

func (p *page) text(s string) { p.buf.WriteString(s) }

// value writes v on the line that is begun. HTML is not escaped: a person reads this.
func (p *page) value(v any) {
	enc := json.NewEncoder(&p.buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		p.err = cmp.Or(p.err, err)
		return
	}
	p.buf.Truncate(p.buf.Len() - 1) // the newline
}

// open writes v, an object, without its closing brace.
func (p *page) open(v any) {
	p.value(v)
	if p.err == nil {
		p.buf.Truncate(p.buf.Len() - 1)
	}
}

// list writes items with a comma between them, each after before.
func list[T any](p *page, before string, items []T, write func(T)) {
	for i, item := range items {
		if i > 0 {
			p.text(",")
		}
		p.text(before)
		write(item)
	}
}

func (p *page) user(u *user) {
	p.open(u)
	p.text(",\n   \"keys\":[")
	list(p, "\n    ", u.keys, func(k userKey) { p.value(k) })
	p.text("]")
	if u.password != nil {
		p.text(",\n   \"password\":")
		p.value(u.password)
	}
	if u.totp != nil {
		p.text(",\n   \"totp\":")
		p.value(u.totp)
	}
	if len(u.settings) > 0 {
		p.text(",\n   \"settings\":")
		p.value(u.settings)
	}
	p.text("}")
}

func (p *page) room(m *room) {
	p.open(m)
	p.text(",\"members\":[")
	list(p, "\n    ", m.members, func(m chat.Member) { p.value(m) })
	p.text("]}")
}
