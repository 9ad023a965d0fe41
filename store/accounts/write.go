package accounts

import (
	"sshchat/sshchat/chat"
	"sshchat/store/strictjson"
)

// encode writes the State for users.json, with the number of the last change that is in it: one line for each user, key, password, room and member,
// so that a person finds them, and a comparison of two generations shows what changed.
func encode(s *chat.State, upto uint64) ([]byte, error) {
	parts := s.Parts()
	p := &strictjson.Page{}
	p.Grow(1<<10 + 512*len(parts.Accounts) + 256*len(parts.Rooms) + 128*len(parts.Bans)) // about what it takes
	p.Text(`{"format":`)
	p.Value(fileFormat)
	p.Text(`,"upto":`)
	p.Value(upto)
	p.Text(",\n \"users\":[")
	strictjson.List(p, "\n  ", parts.Accounts, func(a chat.Account) { writeAccount(p, a) })
	p.Text("],\n \"rooms\":[")
	strictjson.List(p, "\n  ", parts.Rooms, func(r chat.RoomState) { writeRoom(p, r) })
	p.Text("],\n \"bans\":[")
	strictjson.List(p, "\n  ", parts.Bans, func(s chat.Sanction) { p.Value(s) })
	p.Text("],\n \"mutes\":[")
	strictjson.List(p, "\n  ", parts.Mutes, func(s chat.Sanction) { p.Value(s) })
	p.Text("],\n \"invites\":[")
	strictjson.List(p, "\n  ", parts.Invites, func(i chat.StoredInvite) { writeInvite(p, i) })
	p.Text("],\n \"allowlist\":")
	writeAllowlist(p, parts.Allowlist)
	if parts.Registration != "" {
		p.Text(",\n \"registration\":")
		p.Value(parts.Registration)
	}
	if !parts.Motd.IsEmpty() {
		p.Text(",\n \"motd\":")
		p.Value(parts.Motd.String())
	}
	if parts.HostKeys != (chat.HostKeys{}) {
		p.Text(",\n \"hostKeys\":")
		p.Value(parts.HostKeys)
	}
	if parts.Claims > 0 {
		p.Text(",\n \"claims\":")
		p.Value(parts.Claims)
	}
	p.Text(",\n \"reserved\":[")
	strictjson.List(p, "\n  ", parts.Reserved, func(name chat.Name) { p.Value(name) })
	if len(parts.Pins) > 0 {
		p.Text("],\n \"pins\":[")
		strictjson.List(p, "\n  ", parts.Pins, func(pin chat.Pin) { writePin(p, pin) })
	}
	if len(parts.Nodes) > 0 {
		p.Text("],\n \"nodes\":[")
		strictjson.List(p, "\n  ", parts.Nodes, func(n chat.Node) { p.Value(n) })
	}
	p.Text("]}\n")
	return p.Bytes()
}

// Lists that are empty are written as such: null would be refused.

func writeAccount(p *strictjson.Page, a chat.Account) {
	p.Open(storedAccount{a.ID, a.Name, a.Role, a.Created, a.Seen, a.Disabled})
	p.Text(",\n   \"keys\":[")
	strictjson.List(p, "\n    ", a.Keys, func(k chat.Key) {
		p.Value(storedKey{k.Line, k.Label, k.Added, append(chat.Only{}, k.Only...)})
	})
	p.Text("]")
	if a.Password {
		p.Text(",\n   \"password\":")
		p.Text(a.Secret.Sealed())
	}
	if f := a.Factor; f != nil {
		p.Text(",\n   \"totp\":")
		p.Value(storedFactor{f.Secret.Sealed(), append([]string{}, f.Codes...), f.Used})
	}
	if len(a.Settings) > 0 {
		p.Text(",\n   \"settings\":")
		p.Value(a.Settings)
	}
	p.Text("}")
}

func writeRoom(p *strictjson.Page, r chat.RoomState) {
	p.Open(storedRoom{r.Name, settingsOf(r.Topic, r.Rules, r.By)})
	p.Text(",\"members\":[")
	strictjson.List(p, "\n    ", r.Members, func(m chat.Member) { p.Value(m) })
	p.Text("]}")
}

func writeInvite(p *strictjson.Page, i chat.StoredInvite) {
	p.Value(storedInvite{i.ID, i.Hash, i.Uses, i.By, i.At, i.Until})
}

func writePin(p *strictjson.Page, pin chat.Pin) {
	p.Value(storedPin{pin.Room, pin.Seq, pin.By, pin.At})
}

func writeAllowlist(p *strictjson.Page, a chat.Allowlist) {
	p.Value(storedAllowlist{a.On, append([]string{}, a.Entries...)})
}
