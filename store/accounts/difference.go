package accounts

import (
	"fmt"
	"sync/atomic"

	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

// What follows is how a difference between two States stands in changes.jsonl: what is put, as it would stand in users.json,
// and what is gone.

// EncodeDifference writes a difference as it stands in changes.jsonl: as a JSON object, a zero one as nothing.
func EncodeDifference(d chat.Difference) ([]byte, error) {
	if d.IsZero() {
		return nil, nil
	}
	p := &strictjson.Page{}
	o := object{page: p}
	writeEntries(&o, "users", d.Accounts, func(a *chat.Account) { writeAccount(p, *a) })
	if len(d.Rooms) > 0 {
		o.field("rooms")
		p.Text("[")
		strictjson.List(p, "", d.Rooms, func(r chat.RoomDifference) { writeRoomDifference(p, r) })
		p.Text("]")
	}
	if len(d.RoomsRemoved) > 0 {
		o.value("roomsGone", d.RoomsRemoved)
	}
	writeEntries(&o, "bans", d.Bans, func(s chat.Sanction) { p.Value(s) })
	writeEntries(&o, "mutes", d.Mutes, func(s chat.Sanction) { p.Value(s) })
	writeEntries(&o, "invites", d.Invites, func(i chat.StoredInvite) { writeInvite(p, i) })
	if d.Allowlist != nil {
		o.field("allowlist")
		writeAllowlist(p, *d.Allowlist)
	}
	if d.Registration != nil {
		o.value("registration", *d.Registration)
	}
	if d.Motd != nil {
		o.value("motd", d.Motd.String())
	}
	if d.HostKeys != nil {
		o.value("hostKeys", *d.HostKeys)
	}
	if d.Claims != nil {
		o.value("claims", *d.Claims)
	}
	writeEntries(&o, "pins", d.Pins, func(pin chat.Pin) { writePin(p, pin) })
	writeEntries(&o, "nodes", d.Nodes, func(n chat.Node) { p.Value(n) })
	writeEntries(&o, "reserved", d.Reserved, func(n chat.Name) { p.Value(n) })
	o.end()
	return p.Bytes()
}

// object is a JSON object being written.
type object struct {
	page  *strictjson.Page
	begun bool
}

func (o *object) field(name string) {
	if o.begun {
		o.page.Text(",")
	} else {
		o.page.Text("{")
	}
	o.begun = true
	o.page.Value(name)
	o.page.Text(":")
}

func (o *object) value(name string, v any) {
	o.field(name)
	o.page.Value(v)
}

func (o *object) end() {
	if !o.begun {
		o.page.Text("{")
	}
	o.page.Text("}")
}

func writeEntries[V any, K comparable](to *object, name string, e chat.Entries[V, K], write func(V)) {
	if e.IsZero() {
		return
	}
	to.field(name)
	o := object{page: to.page}
	if len(e.Put) > 0 {
		o.field("put")
		o.page.Text("[")
		strictjson.List(o.page, "", e.Put, write)
		o.page.Text("]")
	}
	if len(e.Removed) > 0 {
		o.value("gone", e.Removed)
	}
	if len(e.Order) > 0 {
		o.value("order", e.Order)
	}
	o.end()
}

func writeRoomDifference(p *strictjson.Page, r chat.RoomDifference) {
	o := object{page: p}
	o.value("name", r.Name)
	if s := r.Settings; s != nil {
		o.value("settings", settingsOf(s.Topic, s.Rules, s.By))
	}
	writeEntries(&o, "members", r.Members, func(m chat.Member) { p.Value(m) })
	o.end()
}

// DecodeDifference reads what EncodeDifference wrote. What is not known is refused, and so is an entity that users.json could
// not hold.
func DecodeDifference(b []byte) (d chat.Difference, err error) {
	if len(b) == 0 {
		return d, nil
	}
	doc, err := strictjson.Parse(b)
	if err != nil {
		return d, err
	}
	var bans, mutes []chat.Sanction
	err = doc.Fields(map[string]func(strictjson.Value) error{
		"users":     func(v strictjson.Value) error { return readEntries(v, readAccounts, &d.Accounts) },
		"rooms":     func(v strictjson.Value) error { return items(v, readRoomDifference, &d.Rooms) },
		"roomsGone": strictjson.To(&d.RoomsRemoved),
		"bans": func(v strictjson.Value) error {
			return readEntries(v, func(v strictjson.Value) ([]chat.Sanction, error) {
				err := readSanctions(&bans, false)(v)
				return bans, err
			}, &d.Bans)
		},
		"mutes": func(v strictjson.Value) error {
			return readEntries(v, func(v strictjson.Value) ([]chat.Sanction, error) {
				err := readSanctions(&mutes, true)(v)
				return mutes, err
			}, &d.Mutes)
		},
		"invites": func(v strictjson.Value) error { return readEntries(v, each(readInvite), &d.Invites) },
		"allowlist": func(v strictjson.Value) error {
			list, err := readAllowlist(v)
			d.Allowlist = &list
			return err
		},
		"registration": func(v strictjson.Value) error {
			to, err := readRegistration(v)
			d.Registration = &to
			return err
		},
		"motd": func(v strictjson.Value) error {
			to, err := readMotd(v)
			d.Motd = &to
			return err
		},
		"hostKeys": func(v strictjson.Value) error {
			to, err := readHostKeys(v)
			d.HostKeys = &to
			return err
		},
		"claims": func(v strictjson.Value) error {
			to, err := plain[uint64](v)
			d.Claims = &to
			return err
		},
		"pins":     func(v strictjson.Value) error { return readEntries(v, each(readPin), &d.Pins) },
		"nodes":    func(v strictjson.Value) error { return readEntries(v, each(readNode), &d.Nodes) },
		"reserved": func(v strictjson.Value) error { return readEntries(v, each(plain[chat.Name]), &d.Reserved) },
	})
	return d, err
}

// readEntries reads the change of a list.
func readEntries[V any, K comparable](v strictjson.Value, put func(strictjson.Value) ([]V, error), e *chat.Entries[V, K]) error {
	return v.Fields(map[string]func(strictjson.Value) error{
		"put":   func(v strictjson.Value) (err error) { e.Put, err = put(v); return err },
		"gone":  strictjson.To(&e.Removed),
		"order": strictjson.To(&e.Order),
	})
}

// each is a reader of a list, by that of its items.
func each[T any](read func(strictjson.Value) (T, error)) func(strictjson.Value) ([]T, error) {
	return func(v strictjson.Value) (list []T, err error) {
		err = items(v, read, &list)
		return list, err
	}
}

// plain reads a plain value.
func plain[T any](v strictjson.Value) (value T, err error) {
	err = v.Into(&value)
	return value, err
}

func readAccounts(v strictjson.Value) ([]*chat.Account, error) {
	r := newReader()
	err := v.Items(r.readAccount)
	list := make([]*chat.Account, len(r.parts.Accounts))
	for i := range list {
		list[i] = &r.parts.Accounts[i]
	}
	return list, err
}

func readRoomDifference(v strictjson.Value) (d chat.RoomDifference, err error) {
	err = v.Fields(map[string]func(strictjson.Value) error{
		"name": strictjson.To(&d.Name),
		"settings": func(v strictjson.Value) error {
			var m storedSettings
			if err := v.Fields(m.fields()); err != nil {
				return err
			}
			settings, err := m.checked()
			d.Settings = &settings
			return err
		},
		"members": func(v strictjson.Value) error { return readEntries(v, each(readMember), &d.Members) },
	})
	if err == nil {
		err = checkRoomName(d.Name)
	}
	return d, err
}

// step leads from one State to the next. Its difference is computed once, though the step is rehearsed, read and
// appended.
type step struct {
	before, after *chat.State
	diff          chat.Difference
	encoded       []byte // as it is in changes.jsonl; nil: it is not known yet
}

// steps remembers a step.
type steps struct {
	looked atomic.Pointer[step] // the last that was rehearsed or read, until it is durable; may be nil
}

// step returns the step from one State to the next: the last one used, if it is the same.
func (u *steps) step(before, after *chat.State) *step {
	if s := u.looked.Load(); s != nil && s.before == before && s.after == after {
		return s
	}
	s := &step{before: before, after: after, diff: after.Since(before)}
	u.looked.Store(s)
	return s
}

func (s *step) encode() ([]byte, error) {
	if s.encoded != nil {
		return s.encoded, nil
	}
	return EncodeDifference(s.diff)
}

// Differ reports whether the States differ in anything that is stored.
func (u *steps) Differ(before, after *chat.State) bool { return !u.Difference(before, after).IsZero() }

// Difference is what leads from one State to the other.
func (u *steps) Difference(before, after *chat.State) chat.Difference {
	if before == after {
		return chat.Difference{}
	}
	return u.step(before, after).diff
}

// Step returns the State before with a difference, which Append of that step then stores as it is.
func (u *steps) Step(before *chat.State, d chat.Difference) (*chat.State, error) {
	after, err := before.With(d)
	if err != nil {
		return nil, err
	}
	u.looked.Store(&step{before: before, after: after, diff: d})
	return after, nil
}

// Rehearse returns the State after as it will be when the step is read back from changes.jsonl. If it cannot be read back
// it returns an error, and the step must not be written.
func (u *steps) Rehearse(before, after *chat.State) (*chat.State, error) {
	s := &step{before: before, diff: after.Since(before)}
	var err error
	if s.encoded, err = EncodeDifference(s.diff); err == nil {
		s.after, err = withEncoded(before, s.encoded)
	}
	if err != nil {
		return nil, fmt.Errorf("internal error: a change that could not be read again: %w", err)
	}
	u.looked.Store(s)
	return s.after, nil
}

// withEncoded is s with a difference as it is written.
func withEncoded(s *chat.State, b []byte) (*chat.State, error) {
	d, err := DecodeDifference(b)
	if err != nil {
		return nil, err
	}
	return s.With(d)
}
