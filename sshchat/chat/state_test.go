package chat

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/text"

	"pgregory.net/rapid"
)

// world is a State with people of all ranks, and what can be drawn to happen in it.
type world struct {
	*State
	at    Moment
	names []Name
	rooms []RoomName
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{at: moment()}
	var p Parts
	for i, role := range []Role{Admin, Admin, Mod, Mod, User, User, User} {
		n := name(t, fmt.Sprintf("%s%d", role, i))
		a := accountOf(n)
		a.Role = role
		p.Accounts = append(p.Accounts, a.WithPassword("age1of"+n.String(), NewOpaque("sealed")))
		w.names = append(w.names, n)
	}
	everyone := make([]Member, len(w.names))
	for i, n := range w.names {
		everyone[i] = Member{n, 1}
	}
	w.rooms = []RoomName{General, room(t, "dev"), room(t, "ops")}
	p.Rooms = []RoomState{
		{Name: General, Members: everyone},
		{Name: w.rooms[1], By: w.names[4], Rules: Rules{Mods: []Name{w.names[5]}}, Members: slices.Clone(everyone[2:6])},
		{Name: w.rooms[2], By: w.names[0], Rules: Rules{Private: true, Invited: []Name{w.names[6]}}, Members: slices.Clone(everyone[:2])},
	}
	w.State = NewState(p)
	return w
}

// caller draws who asks: somebody with an account, by key or by a password alone, or a stranger.
func (w *world) caller(t *rapid.T) Caller {
	addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 3).Draw(t, "address"))})
	i := rapid.IntRange(0, len(w.names)).Draw(t, "caller")
	if i == len(w.names) {
		n, _ := text.ParseName("stranger")
		return Caller{Name: n, Addr: addr, Key: "SHA256:strange"}
	}
	a, ok := w.ByName(w.names[i])
	if !ok {
		return Caller{Name: w.names[i], Addr: addr, Key: "SHA256:strange"}
	}
	if len(a.Keys) == 0 || rapid.Bool().Draw(t, "by password") {
		return Caller{Name: a.Name, Addr: addr, Login: Login{Account: a.ID, Generation: a.Generation, Second: a.TOTP}, Verified: a.TOTP}
	}
	k := a.Keys[0]
	return Caller{Name: a.Name, Addr: addr, Login: Login{Account: a.ID, Key: k.Fingerprint, Only: k.Only}, Key: k.Fingerprint, Verified: true}
}

// intent draws what somebody wants, each kind that there is, and what it is about: a person or a room.
func (w *world) intent(t *rapid.T) (in Intent, about []string) {
	n := rapid.SampledFrom(w.names).Draw(t, "person")
	r := rapid.SampledFrom(w.rooms).Draw(t, "room")
	on := rapid.Bool().Draw(t, "on")
	a, ok := w.ByName(n)
	if !ok {
		a.ID = "gone"
	}
	fresh, _ := text.ParseName(fmt.Sprintf("fresh%d", rapid.IntRange(0, 9).Draw(t, "fresh")))
	target := rapid.SampledFrom([]Sanction{
		{User: n}, {Key: "SHA256:" + n.String()}, {Net: netip.MustParsePrefix("192.0.2.1/32")}, {Net: netip.MustParsePrefix("192.0.0.0/16")},
	}).Draw(t, "target")
	target.By = rapid.SampledFrom(w.names).Draw(t, "by") // which is not to be believed
	if on {
		target.Until = w.at.Wall.Add(time.Hour)
	}
	user := Sanction{User: n, By: target.By, Until: target.Until}
	role := rapid.SampledFrom([]Role{User, Mod, Admin}).Draw(t, "role")
	node := nodeOf(rapid.IntRange(0, 3).Draw(t, "node"), rapid.IntRange(0, 3).Draw(t, "key"))
	another := Key{Line: "ssh-ed25519 more", Fingerprint: "SHA256:more", Reads: true}
	in = rapid.SampledFrom([]Intent{
		CreateAccount{Account: withRole(accountOf(fresh), role), Since: 1, Setting: Open}, Import{People: []Account{accountOf(fresh), {Name: n, Keys: []Key{another}}}, Since: 1}, SetRegistration{rapid.SampledFrom([]Registration{"", Open, Closed}).Draw(t, "registration")}, ClaimAdmin{a.ID}, SetRole{a.ID, role}, Disable{a.ID, on},
		DeleteAccount{a.ID, on}, AddKeys{a.ID, []Key{another}}, RemoveKey{a.ID, "SHA256:" + n.String()}, SetSetting{a.ID, "zone", fmt.Sprint(on)},
		SetPassword{a.ID, a.Secret, "age1other", NewOpaque("other")}, ResetPassword{a.ID, a.Secret, "age1reset", NewOpaque("reset")},
		SetFactor{a.ID, a.Secret, &Factor{Secret: NewOpaque("t")}}, SetFactor{a.ID, a.Secret, nil}, SpendCode{a.ID, 5, ""}, Visit{a.ID, "2026-11-02"},
		Ban{Sanction: target, Seen: map[string][]netip.Prefix{"id of admin0": {netip.MustParsePrefix("192.0.2.1/32")}}}, Unban{target.Target()},
		Mute{user}, Unmute{n}, Expire{}, CreateInvite{StoredInvite{Invite: Invite{ID: "i", Uses: 1}, Hash: "h"}}, RevokeInvite{"i"},
		SetAllowlist{on}, Allow{n.String()}, Disallow{n.String()}, JoinRoom{Room: r, Since: 2}, LeaveRoom{r}, KickFromRoom{Name: n, Room: r}, Speak{r},
		SetTopic{r, "topic"}, SetPrivate{r, on}, SetSlow{r, time.Second}, SetModerator{n, r, on}, InviteToRoom{n, r}, CreateRoom{r, on}, CloseRoom{r},
		MayPin{r}, PinMessage{r, 2, on}, UnpinMessage{r, 2}, ResetAdmin{a.ID, []Key{another}, on}, AddNode{node}, RemoveNode{node.Name}, BurnClaim{0}, SetHostKeys{To: HostKeys{Current: hostKey(1)}}, SetHostKeys{HostKeys{Current: hostKey(1)}, HostKeys{Current: hostKey(2)}}, SetMotd{must(text.ParseText("see " + r.For(n)))},
	}).Draw(t, "intent")
	about = []string{"account " + n.String(), "room " + r.String(), "account " + fresh.String()}
	if _, is := in.(SetRegistration); is {
		about = append(about, "registration")
	}
	return in, about
}

// nodeOf is a node with one of several names and keys.
func nodeOf(name, key int) Node {
	return Node{Name: fmt.Sprintf("node%d", name), Key: base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(key + 1)}, 32))}
}

func withRole(a Account, role Role) Account {
	a.Role = role
	return a
}

// rank is the caller's, as far as their login is worth it.
func (w *world) rank(who Caller, room RoomName) Rank {
	a, _ := w.ByID(who.Login.Account)
	if !who.Verified {
		a.Role = User
	}
	creator, mod := w.RoomRole(a.Name, room)
	return RankOf(a.Role, creator, mod)
}

// canLogIn lists the admins who are neither disabled nor banned by name.
func (w *world) comesIn() (admins []Name) {
	for a := range w.Accounts() {
		if _, banned := (View{w.State, w.at}).Banned(a.Name, netip.Addr{}, ""); a.Role == Admin && !a.Disabled && !banned {
			admins = append(admins, a.Name)
		}
	}
	return admins
}

// acted lists the people on whom a step acted against their will: not by adding to what they have or may do in a room.
func (w *world) acted(after *State, room RoomName) (on []Account) {
	for a := range w.Accounts() {
		is, ok := after.ByID(a.ID)
		listed := func(list []Sanction) (n int) {
			for _, s := range list {
				if hitsAccount(s, a) {
					n++
				}
			}
			return n
		}
		harmed := !ok || is.Role != a.Role || is.Disabled != a.Disabled || len(is.Keys) < len(a.Keys) || is.Generation != a.Generation ||
			listed(after.AllBans()) != listed(w.AllBans()) || listed(after.AllMutes()) != listed(w.AllMutes())
		was, _ := w.Room(room)
		now, _ := after.Room(room)
		harmed = harmed || was.member(a.Name) >= 0 && now.member(a.Name) < 0 || slices.Contains(was.Mods, a.Name) && !slices.Contains(now.Mods, a.Name)
		if harmed {
			on = append(on, a)
		}
	}
	return on
}

// Whatever people want, in whatever order: a server that has an admin who comes in keeps one, nobody acts on somebody of a
// higher rank, and a State that was shown to somebody stays as it was.
func TestNothingThatIsDecidedBreaksTheRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			who := w.caller(rt)
			in, _ := w.intent(rt)
			before := fmt.Sprintf("%+v", w.Parts())
			after, err := View{w.State, w.at}.Check(who, in)
			if now := fmt.Sprintf("%+v", w.Parts()); now != before {
				rt.Fatalf("%T changed the State it was checked on:\n%s\n%s", in, before, now)
			}
			if err != nil {
				if _, meant := Refused(err); !meant {
					rt.Fatalf("%T: %v is no refusal", in, err)
				}
				continue
			}
			w.holds(rt, who, in, after)
			w.State = after
		}
	})
}

func (w *world) holds(t *rapid.T, who Caller, in Intent, after *State) {
	for _, s := range slices.Concat(after.AllBans(), after.AllMutes()) {
		if old := slices.Concat(w.AllBans(), w.AllMutes()); !slices.Contains(old, s) && s.By != who.Name {
			t.Fatalf("%+v by %s is written down as by %s", in, who.Name, s.By)
		}
	}
	if len(w.comesIn()) > 0 && len((&world{State: after, at: w.at}).comesIn()) == 0 {
		t.Fatalf("%+v by %s leaves no admin", in, who.Name)
	}
	if after.Motd() != w.Motd() && w.rank(who, General) < RankAdmin {
		t.Fatalf("%s sets the message of the day", who.Name)
	}
	if after.HostKeys() != w.HostKeys() && !who.Server {
		t.Fatalf("%s decides the host keys", who.Name)
	}
	if after.Claims() < w.Claims() {
		t.Fatalf("%+v by %s has a code serve again", in, who.Name)
	}
	if !slices.Equal(after.Nodes(), w.Nodes()) {
		if err := CheckNodes(after.Nodes()); err != nil || len(after.Nodes()) == 0 || w.rank(who, General) < RankAdmin {
			t.Fatalf("%+v by %s leads to the nodes %+v: %v", in, who.Name, after.Nodes(), err)
		}
	}
	for _, r := range w.rooms {
		for _, other := range w.acted(after, r) {
			creator, mod := w.RoomRole(other.Name, r)
			_, closed := in.(CloseRoom)
			if other.Name == who.Name || closed || w.rank(who, r).Outranks(RankOf(other.Role, creator, mod)) {
				continue
			}
			t.Fatalf("%T %+v by %s (%d) acts on %s", in, in, who.Name, w.rank(who, r), other.Name)
		}
	}
	if again := NewState(after.Parts()); !reflect.DeepEqual(again.joined, after.joined) || !maps.Equal(again.shapes, after.shapes) || !maps.Equal(again.byName, after.byName) {
		t.Fatalf("%T: what is counted is not what there is: %v, %v", in, after.joined, again.joined)
	}
}

// touched are the entities that a step changed.
func (w *world) touched(after *State) map[string]bool {
	all := make(map[string]bool)
	note := func(kind string, before, after any) {
		if !reflect.DeepEqual(before, after) {
			all[kind] = true
		}
	}
	for _, n := range append(after.names(), w.State.names()...) {
		a, _ := w.ByName(n)
		b, _ := after.ByName(n)
		note("account "+n.String(), a, b)
	}
	for _, r := range w.rooms {
		a, _ := w.Room(r)
		b, _ := after.Room(r)
		note("room "+r.String(), a, b)
		note("room "+r.String(), w.Pins(r), after.Pins(r))
	}
	note("bans", w.AllBans(), after.AllBans())
	note("mutes", w.AllMutes(), after.AllMutes())
	note("invites", w.AllInvites(), after.AllInvites())
	note("allowlist", w.Allowlist(), after.Allowlist())
	note("nodes", w.Nodes(), after.Nodes())
	note("motd", w.Motd(), after.Motd())
	note("host keys", w.HostKeys(), after.HostKeys())
	note("claims", w.Claims(), after.Claims())
	note("registration", w.Registration(), after.Registration())
	return all
}

func (s *State) names() (names []Name) {
	for a := range s.Accounts() {
		names = append(names, a.Name)
	}
	return names
}

// Two intents that change different things, neither of them who asks for the other or whom it is about, do the same in
// either order.
func TestIndependentIntentsInAnyOrder(t *testing.T) {
	compared := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		for range 20 {
			if w.compare(rt) {
				compared++
			}
		}
	})
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// compare draws two intents, and compares one order with the other if they are independent.
func (w *world) compare(rt *rapid.T) (compared bool) {
	v := View{w.State, w.at}
	who1, who2 := w.caller(rt), w.caller(rt)
	in1, about1 := w.intent(rt)
	in2, about2 := w.intent(rt)
	s1, err1 := v.Check(who1, in1)
	s2, err2 := v.Check(who2, in2)
	if err1 != nil || err2 != nil || dependsOnRoles(in1) || dependsOnRoles(in2) {
		return false
	}
	t1, t2 := w.touched(s1), w.touched(s2)
	admission := []string{"bans", "allowlist"} // decide who may ask
	for _, what := range slices.Concat(admission, about2, slices.Collect(maps.Keys(t2)), []string{"account " + who2.Name.String()}) {
		if t1[what] {
			return false
		}
	}
	for _, what := range slices.Concat(admission, about1, []string{"account " + who1.Name.String()}) {
		if t2[what] {
			return false
		}
	}
	s12, err12 := View{s1, w.at}.Check(who2, in2)
	s21, err21 := View{s2, w.at}.Check(who1, in1)
	if err12 != nil || err21 != nil {
		rt.Fatalf("%T then %T: %v; the other way round: %v", in1, in2, err12, err21)
	}
	if d := (&world{State: s12, rooms: w.rooms}).touched(s21); len(d) > 0 {
		rt.Fatalf("%T and %T: the order matters for %v", in1, in2, d)
	}
	return true
}

// dependsOnRoles reports whether the intent is about who ranks above whom, or who the admins are, on the whole server.
func dependsOnRoles(in Intent) bool {
	switch in.(type) {
	case SetRole, Disable, DeleteAccount, ClaimAdmin, CreateAccount, Import, Ban, Mute, KickFromRoom, SetModerator:
		return true
	}
	return false
}

// Bans are found by what they hit as a look at each of them would.
func TestSanctionsAreFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.Addr {
			if rapid.Bool().Draw(t, "IPv4") {
				return netip.AddrFrom4([4]byte{192, 0, byte(rapid.IntRange(0, 2).Draw(t, "c")), byte(rapid.IntRange(0, 3).Draw(t, "d"))})
			}
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(rapid.IntRange(0, 3).Draw(t, "last"))})
		})
		at := moment()
		names := []Name{name(t, "alice"), name(t, "bob"), name(t, "carol")}
		one := rapid.Custom(func(t *rapid.T) Sanction {
			s := Sanction{At: at.Wall.Add(-2 * time.Hour)}
			if rapid.Bool().Draw(t, "timed") {
				s.Until = at.Wall.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "until")) * time.Minute)
			}
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				s.User = rapid.SampledFrom(names).Draw(t, "user")
			case 1:
				s.Key = rapid.SampledFrom([]string{"SHA256:a", "SHA256:b"}).Draw(t, "key")
			case 2:
				a := addr.Draw(t, "net")
				s.Net = netip.PrefixFrom(a, rapid.IntRange(8, a.BitLen()).Draw(t, "bits")).Masked()
			}
			return s
		})
		list := rapid.SliceOfN(one, 0, 12).Draw(rt, "list")
		found := newSanctions(list)
		n, key := rapid.SampledFrom(append(names, Name{})).Draw(rt, "name"), rapid.SampledFrom([]string{"", "SHA256:a"}).Draw(rt, "proven")
		from := rapid.OneOf(addr, rapid.Just(netip.Addr{})).Draw(rt, "from")
		want := slices.ContainsFunc(list, func(s Sanction) bool { return s.Matches(n, from, key) && !at.Over(s) })
		got, hit := found.hit(at, n, from, key)
		if hit != want || hit && (!got.Matches(n, from, key) || at.Over(got)) {
			rt.Fatalf("%v %v %v: found %v %+v, want %v in %+v", n, from, key, hit, got, want, list)
		}
	})
}

// A secret is nobody's to see, however it is printed.
func TestSecretsAreNotPrinted(t *testing.T) {
	a := accountOf(name(t, "alice")).WithPassword("age1x", NewOpaque("hunter2")).WithFactor(&Factor{Secret: NewOpaque("hunter2")})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		said := fmt.Sprintf(verb, a.Secret) + fmt.Sprintf(verb, *a.Factor) + fmt.Sprintf(verb, a)
		if strings.Contains(said, "hunter2") || strings.Contains(said, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("%s prints %s", verb, said)
		}
	}
	if _, err := a.Secret.MarshalJSON(); err == nil {
		t.Error("it is encoded")
	}
}

// The metrics ask for the number of accounts at each scrape: none is copied for it.
func TestCountingAccountsCopiesNothing(t *testing.T) {
	w := newWorld(t)
	if w.Len() != len(w.names) {
		t.Errorf("%d accounts are counted of %d", w.Len(), len(w.names))
	}
	if n := testing.AllocsPerRun(10, func() { w.Len() }); n > 0 {
		t.Errorf("counting takes %v allocations", n)
	}
}

// hitsAccount reports whether the sanction is of the person, or of a key of theirs.
func hitsAccount(s Sanction, a Account) bool {
	return !s.User.IsZero() && s.User == a.Name || a.key(s.Key) >= 0
}
