package chat

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/text"
)

// callerOf is somebody of the world, by key or else by password with a second factor.
func (w *world) callerOf(n Name) Caller {
	a := w.named(n)
	return Caller{Name: n, Login: Login{Account: a.ID, Key: a.Keys[0].Fingerprint}, Key: a.Keys[0].Fingerprint, Verified: true}
}

// must has the world go on as who decides.
func (w *world) must(t *testing.T, who Name, in Intent) {
	t.Helper()
	next, err := View{w.State, w.at}.Check(w.callerOf(who), in)
	if err != nil {
		t.Fatalf("%s %T: %v", who, in, err)
	}
	w.State = next
}

// A moderator of a room who is put out of it, or leaves, comes back as a member: else nobody could end it meanwhile.
func TestModeratorsOfARoomAreNoneWhenTheyComeBack(t *testing.T) {
	for what, out := range map[string]func(w *world, creator, mod Name){
		"kicked": func(w *world, creator, mod Name) { w.must(t, creator, KickFromRoom{Name: mod, Room: w.rooms[1]}) },
		"parted": func(w *world, _, mod Name) { w.must(t, mod, LeaveRoom{w.rooms[1]}) },
	} {
		w := newWorld(t)
		creator, mod, dev := w.names[4], w.names[5], w.rooms[1]
		if _, is := w.RoomRole(mod, dev); !is {
			t.Fatal("no moderator to begin with")
		}
		out(w, creator, mod)
		w.must(t, mod, JoinRoom{Room: dev})
		if _, is := w.RoomRole(mod, dev); is {
			t.Errorf("%s and back: a moderator again", what)
		}
		if _, err := (View{w.State, w.at}).Check(w.callerOf(mod), SetSlow{dev, time.Minute}); err == nil {
			t.Errorf("%s and back: runs the room", what)
		}
	}
}

// A file edited by hand may hold two sanctions of one target. A moderator lifts or replaces neither if one is an admin's.
func TestAdminsSanctionBesideAModerators(t *testing.T) {
	w := newWorld(t)
	admin, mod, other, user := w.names[0], w.names[2], w.names[3], w.names[6]
	p := w.Parts()
	p.Bans = []Sanction{{User: user, By: other, At: w.at.Wall}, {User: user, By: admin, At: w.at.Wall}}
	p.Mutes = p.Bans
	w.State = NewState(p)
	now := View{w.State, w.at}
	for _, in := range []Intent{
		Unban{user.String()}, Unmute{user},
		Ban{Sanction: Sanction{User: user, Until: w.at.Wall.Add(time.Second)}}, Mute{Sanction{User: user, Until: w.at.Wall.Add(time.Second)}},
	} {
		if _, err := now.Check(w.callerOf(mod), in); err == nil {
			t.Errorf("a moderator may %T", in)
		}
		if _, err := now.Check(w.callerOf(admin), in); err != nil {
			t.Errorf("an admin may not %T: %v", in, err)
		}
	}
	w.must(t, admin, Unban{user.String()})
	if left := w.AllBans(); len(left) > 0 {
		t.Errorf("of two bans is left %+v", left)
	}
}

// No hand edit keeps out the last admin who may come in.
func TestLastAdminIsNotBannedByHand(t *testing.T) {
	w := newWorld(t)
	now := View{w.State, w.at}
	edited := func(until time.Duration, admins ...Name) error {
		p := w.Parts()
		for _, n := range admins {
			p.Bans = append(p.Bans, Sanction{User: n, At: w.at.Wall, Until: w.at.Wall.Add(until)})
		}
		_, err := now.Check(TheServer, EditByHand{Base: w.State, Edited: NewState(p)})
		return err
	}
	if err := edited(time.Hour, w.names[0]); err != nil {
		t.Errorf("one of two: %v", err)
	}
	if err := edited(time.Hour, w.names[0], w.names[1]); !errors.Is(err, ErrLastAdmin) {
		t.Errorf("both: %v", err)
	}
	if err := edited(-time.Hour, w.names[0], w.names[1]); err != nil {
		t.Errorf("both, and the bans have ended: %v", err)
	}
}

// Who reads is known by name, as members are: whatever ID a hand edit gives it.
func TestReadersChangeByName(t *testing.T) {
	w := newWorld(t)
	a, b := w.names[5], w.names[6]
	edited := func(change func(accounts []Account)) map[Name]Change {
		p := w.Parts()
		change(p.Accounts)
		return NewState(p).readersChanged(w.State)
	}
	if got := edited(func([]Account) {}); len(got) > 0 {
		t.Errorf("nothing: %v", got)
	}
	if got := edited(func(all []Account) { all[5].ID, all[5].Keys = "another", all[6].Keys }); got[a] != Revoke || len(got) != 1 {
		t.Errorf("another ID and key: %v", got)
	}
	if got := edited(func(all []Account) { all[5].Name, all[6].Name = b, a }); got[a] != Revoke || got[b] != Revoke {
		t.Errorf("names swapped: %v", got)
	}
	next, err := View{w.State, w.at}.Check(TheServer, DeleteAccount{ID: w.named(a).ID})
	if err != nil {
		t.Fatal(err)
	}
	if got := next.readersChanged(w.State); got[a] != Revoke || len(got) != 1 {
		t.Errorf("deleted: %v", got)
	}
}

// What two people said is sealed to neither's keys any more when their account is gone.
func TestDeletedReadNothingOfTwo(t *testing.T) {
	tape := &fakeJournal{}
	h := start(t, tape, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	two := text.Direct(alice, bob)
	if _, err := h.Post(t.Context(), h.caller(alice), two, Say, words("hi")); err != nil {
		t.Fatal(err)
	}
	if err := h.Decide(t.Context(), TheServer, DeleteAccount{ID: h.caller(bob).Login.Account}, nil); err != nil {
		t.Fatal(err)
	}
	gone := func(e Event) bool { return e.Room == two && e.Change == Revoke && e.Name == bob }
	if !slices.ContainsFunc(tape.stored(), gone) {
		t.Errorf("no window ends: %+v", tape.stored())
	}
}

// Who is not in a room does not learn who spoke in it, or whether it is there: neither do moderators of the server.
func TestAuthorsAreForMembers(t *testing.T) {
	w := newWorld(t)
	mod, admin, ops := w.names[2], w.names[0], w.rooms[2]
	for _, author := range []Name{admin, w.names[6]} {
		_, err := View{w.State, w.at}.Check(w.callerOf(mod), DeleteMessage{ops, author})
		_, none := View{w.State, w.at}.Check(w.callerOf(mod), DeleteMessage{room(t, "nothing"), author})
		if !errors.Is(err, ErrNotYours) || !errors.Is(none, ErrNotYours) {
			t.Errorf("a message of %s: %v; and where there is no room: %v", author, err, none)
		}
	}
	h := start(t, &fakeJournal{}, "alice", "bob", "carl")
	lab := room(t, "lab")
	join(t, h, "alice", "lab")
	m, err := h.Post(t.Context(), h.caller(name(t, "alice")), lab, Say, words("before"))
	if err != nil {
		t.Fatal(err)
	}
	join(t, h, "bob", "lab")
	for who, knows := range map[string]bool{"alice": true, "bob": false, "carl": false} {
		if _, ok := h.Author(name(t, who), lab, m.Seq); ok != knows {
			t.Errorf("%s learns whose it is: %v", who, ok)
		}
	}
}

// A key that is banned, or for other things, is no way for the last admin to come in.
func TestLastAdminKeepsAKeyThatLetsThemIn(t *testing.T) {
	w := newWorld(t)
	last := w.names[0]
	second := Key{Line: "ssh-ed25519 second", Fingerprint: "SHA256:second"}
	for what, c := range map[string]struct {
		second func(p *Parts)
		want   error
	}{
		"free":       {func(*Parts) {}, nil},
		"restricted": {func(p *Parts) { p.Accounts[0].Keys[1].Only = Only{"say:#ci"} }, ErrLastLogin},
		"banned":     {func(p *Parts) { p.Bans = []Sanction{{Key: second.Fingerprint, At: w.at.Wall}} }, ErrLastLogin},
		"of one of two admins": {func(p *Parts) {
			p.Accounts[0].Keys[1].Only, p.Accounts[1].Role = Only{"say:#ci"}, Admin
		}, nil},
	} {
		p := w.Parts()
		p.Accounts[0] = p.Accounts[0].WithPassword("", Opaque{})
		p.Accounts[0].Keys = append(slices.Clone(p.Accounts[0].Keys), second)
		p.Accounts[1].Role = User
		c.second(&p)
		now := View{NewState(p), w.at}
		_, err := now.Check(w.callerOf(last), RemoveKey{w.named(last).ID, w.named(last).Keys[0].Fingerprint})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Only admins decide which nodes there are; names and keys are well-formed and used once, and the last node stays.
func TestNodesOfTheCluster(t *testing.T) {
	w := newWorld(t)
	admin, mod := w.names[0], w.names[2]
	check := func(who Caller, in Intent) error {
		_, err := View{w.State, w.at}.Check(who, in)
		return err
	}
	if w.Nodes() != nil {
		t.Errorf("a new server is a cluster of %+v", w.Nodes())
	}
	w.must(t, admin, AddNode{nodeOf(0, 0)})
	weak := w.callerOf(admin)
	weak.Verified = false
	named := func(name string) Node { return Node{Name: name, Key: nodeOf(1, 1).Key} }
	keyed := func(key string) Node { return Node{Name: "node1", Key: key} }
	good := nodeOf(1, 1).Key
	for what, c := range map[string]struct {
		who  Caller
		in   Intent
		want *Refusal
	}{
		"a moderator":           {w.callerOf(mod), AddNode{nodeOf(1, 1)}, nil},
		"a moderator, removing": {w.callerOf(mod), RemoveNode{"node0"}, nil},
		"an admin by a guess":   {weak, AddNode{nodeOf(1, 1)}, nil},
		"the name":              {w.callerOf(admin), AddNode{nodeOf(0, 1)}, ErrNode},
		"the key":               {w.callerOf(admin), AddNode{nodeOf(1, 0)}, ErrNode},
		"no name":               {TheServer, AddNode{named("")}, ErrNodeName},
		"a subject":             {TheServer, AddNode{named("a.b")}, ErrNodeName},
		"a wildcard":            {TheServer, AddNode{named(">")}, ErrNodeName},
		"upper case":            {TheServer, AddNode{named("Node1")}, ErrNodeName},
		"a line more":           {TheServer, AddNode{named("node1\n")}, ErrNodeName},
		"a flag":                {TheServer, AddNode{named("-node1")}, ErrNodeName},
		"a long name":           {TheServer, AddNode{named(strings.Repeat("n", 33))}, ErrNodeName},
		"no key":                {TheServer, AddNode{keyed("")}, ErrNodeKey},
		"31 bytes":              {TheServer, AddNode{keyed(base64.StdEncoding.EncodeToString(make([]byte, 31)))}, ErrNodeKey},
		"33 bytes":              {TheServer, AddNode{keyed(base64.StdEncoding.EncodeToString(make([]byte, 33)))}, ErrNodeKey},
		"without padding":       {TheServer, AddNode{keyed(strings.TrimRight(good, "="))}, ErrNodeKey},
		"another last letter":   {TheServer, AddNode{keyed(good[:42] + "F=")}, ErrNodeKey},
		"two lines":             {TheServer, AddNode{keyed(good[:20] + "\n" + good[20:])}, ErrNodeKey},
		"nobody":                {w.callerOf(admin), RemoveNode{"node1"}, ErrNoNode},
		"no name, removing":     {w.callerOf(admin), RemoveNode{""}, ErrNodeName},
		"another name":          {w.callerOf(admin), RemoveNode{"node\u202e1"}, ErrNodeName},
		"the last":              {w.callerOf(admin), RemoveNode{"node0"}, ErrLastNode},
	} {
		err := check(c.who, c.in)
		if r, refused := Refused(err); !refused || c.want != nil && !errors.Is(err, c.want) || c.want == nil && r.Code != Denied {
			t.Errorf("%s: %v, not %v", what, err, c.want)
		}
	}
	if err := errors.Join(check(TheServer, RemoveNode{"node0"}), check(TheServer, AddNode{named(strings.Repeat("n", 32))})); err != nil {
		t.Error(err)
	}
	for i := 1; i < MaxNodes; i++ {
		w.must(t, admin, AddNode{nodeOf(i, i)})
	}
	if err := check(TheServer, AddNode{nodeOf(MaxNodes, MaxNodes)}); !errors.Is(err, ErrTooManyNodes) {
		t.Errorf("one too many: %v", err)
	}
	w.must(t, admin, RemoveNode{"node0"})
	if n, ok := w.Node("node1"); !ok || n.Key != good || !n.Added.Equal(w.at.second()) || len(w.Nodes()) != MaxNodes-1 {
		t.Errorf("%+v of %d", n, len(w.Nodes()))
	}
}
