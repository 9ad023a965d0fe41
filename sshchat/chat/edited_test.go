package chat

import (
	"errors"
	"slices"
	"testing"
)

// What was edited by hand is put into what has become of it since: nothing that somebody decided meanwhile is undone but where
// both changed the same.
func TestEditByHandBesideDecisions(t *testing.T) {
	w := newWorld(t)
	base := w.State
	edited := func(change func(p *Parts)) *State {
		p := base.Parts()
		p.Accounts = slices.Clone(p.Accounts)
		for i := range p.Accounts {
			p.Accounts[i].Keys = slices.Clone(p.Accounts[i].Keys)
		}
		change(&p)
		return NewState(p)
	}
	admin, a, b := w.names[0], w.names[6], w.names[5]
	at := func(p *Parts, name Name) *Account {
		i := slices.IndexFunc(p.Accounts, func(o Account) bool { return o.Name == name })
		return &p.Accounts[i]
	}
	id := base.named(a).ID
	decide := func(in Intent) {
		t.Helper()
		s, err := View{w.State, w.at}.Check(TheServer, in)
		if err != nil {
			t.Fatal(err)
		}
		w.State = s
	}
	merged := func(change func(p *Parts)) *State {
		t.Helper()
		s, err := w.State.Edited(base, edited(change))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	key := base.named(a).Keys[0]
	if s := merged(func(p *Parts) { at(p, a).Keys = nil }); len(s.named(a).Keys) != 0 || !s.Since(edited(func(p *Parts) { at(p, a).Keys = nil })).IsZero() {
		t.Error("nothing was decided since, and it is not what was edited")
	}
	decide(SetSetting{ID: id, Name: "bell", Value: "all"})
	decide(AddKeys{ID: id, Keys: []Key{{Line: "ssh-ed25519 later", Fingerprint: "SHA256:later"}}})
	decide(SetRole{ID: base.named(b).ID, Role: Mod})
	s := merged(func(p *Parts) { at(p, a).Keys, at(p, a).Disabled = nil, true })
	if m := s.named(a); m.key(key.Fingerprint) >= 0 || m.key("SHA256:later") < 0 || m.Settings["bell"] != "all" || !m.Disabled || s.named(b).Role != Mod {
		t.Errorf("%+v, and %s", m, s.named(b).Role)
	}
	decide(RemoveKey{ID: id, Fingerprint: key.Fingerprint})
	if m := merged(func(p *Parts) { at(p, a).Disabled = true }).named(a); m.key(key.Fingerprint) >= 0 {
		t.Error("a key that was removed meanwhile is back")
	}
	// Who is edited out leaves also what they came into meanwhile.
	dev := w.rooms[1]
	tx := &transaction{State: *w.State}
	tx.setMember(*tx.rooms[dev], Member{Name: a, Since: 1})
	w.State = &tx.State
	out := func(p *Parts) {
		p.Accounts = slices.DeleteFunc(p.Accounts, func(o Account) bool { return o.Name == a })
		p.Rooms = slices.Clone(p.Rooms)
		for i, r := range p.Rooms {
			p.Rooms[i], _ = r.without(a)
		}
	}
	if s := merged(out); s.named(a) != nil || s.rooms[dev].member(a) >= 0 || s.joined[a] != 0 {
		t.Error("somebody without an account is in a room")
	}
	// Who was deleted meanwhile stays so, and so does a room.
	decide(DeleteAccount{ID: id})
	decide(CloseRoom{Room: dev})
	s = merged(func(p *Parts) {
		at(p, a).Role = Mod
		p.Rooms = slices.Clone(p.Rooms)
		for i, r := range p.Rooms {
			if r.Name == dev {
				p.Rooms[i].Topic, p.Rooms[i].Members = "edited", append(slices.Clone(r.Members), Member{Name: a, Since: 1})
			}
		}
	})
	if s.named(a) != nil || s.rooms[dev] != nil || s.named(admin) == nil {
		t.Error("what was deleted is back")
	}
	// A name that somebody took meanwhile is an error.
	decide(CreateAccount{Since: 1, Account: Account{ID: "new", Name: name(t, "taken"), Role: User, Keys: []Key{key}}})
	if _, err := w.State.Edited(base, edited(func(p *Parts) {
		p.Accounts = append(p.Accounts, Account{ID: "other", Name: name(t, "taken"), Role: User})
	})); err == nil {
		t.Error("two of one name")
	}
}

// Nodes that were edited by hand are merged with those that were added and removed meanwhile, and the last one stays.
func TestNodesByHandBesideDecisions(t *testing.T) {
	w := newWorld(t)
	decide := func(in Intent) error {
		s, err := View{w.State, w.at}.Check(TheServer, in)
		if err == nil {
			w.State = s
		}
		return err
	}
	for i := range 3 {
		if err := decide(AddNode{nodeOf(i, i)}); err != nil {
			t.Fatal(err)
		}
	}
	base := w.State
	edited := func(nodes ...Node) EditByHand {
		p := base.Parts()
		p.Nodes = nodes
		return EditByHand{Base: base, Edited: NewState(p)}
	}
	if err := decide(edited()); !errors.Is(err, ErrLastNode) {
		t.Errorf("a hand edit without nodes: %v", err)
	}
	if err := errors.Join(decide(RemoveNode{"node1"}), decide(AddNode{nodeOf(3, 3)})); err != nil {
		t.Fatal(err)
	}
	other := nodeOf(2, 9)
	other.Added = w.at.second()
	if err := decide(edited(base.Nodes()[1], other)); err != nil { // without node0, and node2 has another key
		t.Fatal(err)
	}
	var names []string
	for _, n := range w.Nodes() {
		names = append(names, n.Name)
	}
	if got, _ := w.Node("node2"); !slices.Equal(names, []string{"node2", "node3"}) || got != other {
		t.Errorf("%v, %+v", names, got)
	}
	if err := decide(edited(append(slices.Clip(base.Nodes()), nodeOf(5, 3))...)); err == nil {
		t.Error("two nodes with one key")
	}
}
