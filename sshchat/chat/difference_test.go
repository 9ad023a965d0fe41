package chat

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sshchat/sshchat/text"

	"pgregory.net/rapid"
)

// drawState draws a State of few people and rooms, as a file edited by hand may hold: in any order, with any names, and with
// bans, invites and reserved names that are there twice.
func drawState(t *rapid.T, label string) *State {
	some := func(what string, n int) []int {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		all = rapid.Permutation(all).Draw(t, label+" order of "+what)
		return all[:rapid.IntRange(0, n).Draw(t, label+" number of "+what)]
	}
	flip := func(what string) bool { return rapid.Bool().Draw(t, label+" "+what) }
	named := func(i int) Name { return must(text.ParseName(fmt.Sprintf("user%d", i))) }
	var p Parts
	names := some("names", 6)
	for i, id := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, label+" IDs")[:len(names)] {
		a := accountOf(named(names[i]))
		a.ID, a.Disabled = fmt.Sprint("id", id), flip("disabled")
		if flip("password") {
			a = a.WithPassword("age1of"+a.ID, NewOpaque("sealed")).WithFactor(&Factor{Used: 3})
		}
		p.Accounts = append(p.Accounts, a)
	}
	for _, r := range some("rooms", 4) {
		room := RoomState{Name: must(text.ParseRoomName(fmt.Sprintf("room%d", r)))}
		if flip("settings") {
			room.Topic, room.By, room.Rules = "topic", named(r), Rules{Private: flip("private"), Mods: []Name{named(r)}}
		}
		for _, i := range some("members", len(names)) {
			room.Members = append(room.Members, Member{named(names[i]), rapid.Uint64Range(1, 2).Draw(t, label+" since")})
		}
		p.Rooms = append(p.Rooms, room)
	}
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	sanction := rapid.Custom(func(t *rapid.T) Sanction {
		s := Sanction{By: named(1), At: at, Until: at.Add(time.Duration(rapid.IntRange(1, 2).Draw(t, "until")) * time.Hour)}
		switch i := rapid.IntRange(0, 3).Draw(t, "target"); rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			s.User = named(i)
		case 1:
			s.Net = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 32)
		case 2:
			s.Key = "SHA256:" + strings.Repeat(fmt.Sprint(i), 43)
		}
		return s
	})
	invite := rapid.Custom(func(t *rapid.T) StoredInvite {
		return StoredInvite{Invite{ID: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "invite")), Uses: rapid.IntRange(1, 2).Draw(t, "uses")}, "hash"}
	})
	list := func(what string) []Sanction {
		if flip("twice in " + what) {
			return rapid.SliceOfN(sanction, 0, 8).Draw(t, label+" "+what)
		}
		return rapid.SliceOfNDistinct(sanction, 0, 8, Sanction.Target).Draw(t, label+" "+what)
	}
	p.Bans, p.Mutes, p.Invites = list("bans"), list("mutes"), rapid.SliceOfN(invite, 0, 4).Draw(t, label+" invites")
	p.Pins = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Pin {
		return Pin{Room: General, Seq: rapid.Uint64Range(1, 4).Draw(t, "pinned"), By: named(rapid.IntRange(0, 3).Draw(t, "by"))}
	}), 0, 4).Draw(t, label+" pins")
	for i, n := range some("nodes", 4) {
		node := nodeOf(n, []int{0, 1, 2, 3}[(i+len(names))%4]) // keys go from one to another
		node.Added = at.Add(time.Duration(rapid.IntRange(0, 1).Draw(t, label+" added")) * time.Hour)
		p.Nodes = append(p.Nodes, node)
	}
	for range rapid.IntRange(0, 3).Draw(t, label+" reserved") {
		p.Reserved = append(p.Reserved, named(rapid.IntRange(4, 8).Draw(t, label+" reserved name")))
	}
	p.Allowlist = Allowlist{flip("allowlist"), rapid.SliceOfN(rapid.SampledFrom([]string{"user1", "user2"}), 0, 2).Draw(t, label+" entries")}
	if flip("motd") {
		p.Motd = must(text.ParseText(fmt.Sprintf("see %d\nand more", len(names))))
	}
	if flip("hostKeys") {
		p.HostKeys = HostKeys{Current: hostKey(len(names)), Next: hostKey(9), At: at.Add(time.Duration(len(names)) * time.Hour)}
	}
	p.Claims = rapid.Uint64Range(0, 2).Draw(t, label+" claims")
	p.Registration = rapid.SampledFrom([]Registration{"", Open, InviteOnly, Closed}).Draw(t, label+" registration")
	return NewState(p)
}

// hostKey is a fingerprint.
func hostKey(n int) string { return "SHA256:" + strings.Repeat("x", 42) + fmt.Sprint(n) }

func must[V any](v V, err error) V {
	if err != nil {
		panic(err)
	}
	return v
}

// later is the State after some things that people wanted.
func later(t *rapid.T, w *world) *State {
	now := &world{State: w.State, at: w.at, names: w.names, rooms: w.rooms}
	for range rapid.IntRange(0, 8).Draw(t, "steps") {
		who := now.caller(t)
		in, _ := now.intent(t)
		if rapid.Bool().Draw(t, "by the server") {
			who = Caller{Server: true}
		}
		if after, err := (View{now.State, now.at}).Check(who, in); err == nil {
			now.State = after
		}
	}
	return now.State
}

// image is all of a State, with the secrets, and without what makes no difference: an empty list and none.
func image(s *State) any {
	p := s.Parts()
	p.Reserved, p.Bans, p.Mutes, p.Invites = filled(p.Reserved), filled(p.Bans), filled(p.Mutes), filled(p.Invites)
	p.Pins, p.Nodes = filled(p.Pins), filled(p.Nodes)
	p.Allowlist.Entries = filled(p.Allowlist.Entries)
	for i, r := range p.Rooms {
		r.Members, r.Mods, r.Invited = filled(r.Members), filled(r.Mods), filled(r.Invited)
		p.Rooms[i] = r
	}
	return []any{p, clone(s.byID), clone(s.byName), clone(s.shapes), clone(s.joined)}
}

func filled[V any](list []V) []V {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

// found is what is found of each ban and mute, which is that of a list that is indexed anew.
func found(t *rapid.T, s *State) {
	for _, list := range []sanctions{s.bans, s.mutes} {
		again := newSanctions(list.list)
		for _, one := range list.list {
			got, ok := list.hit(Moment{}, one.User, one.Net.Addr(), one.Key)
			want, wanted := again.hit(Moment{}, one.User, one.Net.Addr(), one.Key)
			if got != want || ok != wanted {
				t.Fatalf("of %s is found %v %v, and not %v %v", one.Target(), got, ok, want, wanted)
			}
		}
	}
}

// leads fails unless before.With(after.Since(before)) is after, once and twice, and before stays as it was.
func leads(t *rapid.T, before, after *State) {
	was, list := image(before), slices.Clone(before.accounts)
	d := after.Since(before)
	if same := reflect.DeepEqual(was, image(after)); d.IsZero() != same {
		t.Fatalf("the States are the same: %v, and the difference is %+v", same, d)
	}
	got, err := before.With(d)
	if err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	for i, a := range got.accounts {
		if j, ok := before.byID[a.ID]; ok && before.accounts[j].same(a) && before.accounts[j] != a && after.accounts[i] != a {
			t.Fatalf("account %s is copied, though it is as it was", a.ID)
		}
	}
	again, err := got.With(d)
	if err != nil {
		t.Fatalf("again %+v: %v", d, err)
	}
	for _, s := range []*State{got, again} {
		if want := image(after); !reflect.DeepEqual(image(s), want) {
			t.Fatalf("%+v leads to\n%+v, not to\n%+v", d, image(s), want)
		}
		found(t, s)
	}
	if !reflect.DeepEqual(image(before), was) || !slices.Equal(before.accounts, list) {
		t.Fatalf("%+v changed what it was applied to", d)
	}
}

// From any State the difference leads to any other, however far apart they are.
func TestDifferenceLeadsFromOneStateToAnother(t *testing.T) {
	t.Parallel()
	t.Run("edited by hand", rapid.MakeCheck(func(t *rapid.T) { leads(t, drawState(t, "a"), drawState(t, "b")) }))
	t.Run("decided", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			w := newWorld(t)
			a := later(rt, w)
			leads(rt, a, later(rt, &world{State: a, at: w.at, names: w.names, rooms: w.rooms}))
			leads(rt, a, later(rt, w))
			leads(rt, &State{}, a)
			leads(rt, a, &State{})
		})
	})
}

// A difference that comes to a State for which it was not made is refused, or leads to one that is well-formed; twice is
// once.
func TestDifferenceOfOtherStates(t *testing.T) {
	t.Parallel()
	applied := 0
	rapid.Check(t, func(t *rapid.T) {
		d := drawState(t, "b").Since(drawState(t, "a"))
		if rapid.Bool().Draw(t, "cut") { // as nobody makes it
			d.Bans.Put = rapid.Permutation(d.Bans.Put).Draw(t, "put")
			d.Accounts.Removed = nil
		}
		before := drawState(t, "c")
		once, err := before.With(d)
		if err != nil {
			return
		}
		applied++
		twice, err := once.With(d)
		if err != nil || !reflect.DeepEqual(image(twice), image(once)) {
			t.Fatalf("%+v twice: %v\n%+v, and once\n%+v", d, err, image(twice), image(once))
		}
		if anew := NewState(once.Parts()); !reflect.DeepEqual(image(anew), image(once)) {
			t.Fatalf("%+v leads to\n%+v, and made of the same parts is\n%+v", d, image(once), image(anew))
		}
		found(t, once)
	})
	if applied == 0 {
		t.Error("all were refused")
	}
}

func TestDifferenceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.names
	fresh := accountOf(name(t, "fresh"))
	taken := fresh
	taken.Name = n[0]
	renamed := *w.accounts[0]
	renamed.Name = fresh.Name
	settings := &RoomSettings{}
	join := func(r string, m ...Member) Difference {
		return Difference{Rooms: []RoomDifference{{Name: room(t, r), Members: Entries[Member, Name]{Put: m}}}}
	}
	accounts := func(a ...*Account) Difference { return Difference{Accounts: Entries[*Account, string]{Put: a}} }
	nodes := func(n ...Node) Difference { return Difference{Nodes: Entries[Node, string]{Put: n}} }
	many := make([]Node, MaxNodes+1)
	for i := range many {
		many[i] = nodeOf(i, i)
	}
	bans := func(e Entries[Sanction, string]) Difference { return Difference{Bans: e} }
	for _, c := range []struct {
		d    Difference
		want string
	}{
		{join("nowhere", Member{n[0], 1}), "room nowhere does not exist"},
		{join("dev", Member{fresh.Name, 1}), "fresh has no account"},
		{join("dev", Member{n[0], 1}, Member{n[0], 2}), "room dev: member admin0 is added twice"},
		{join("dev", Member{n[0], 0}), "member admin0: since"},
		{Difference{Rooms: []RoomDifference{{Name: w.rooms[1]}, {Name: w.rooms[1]}}}, "room dev is added twice"},
		{Difference{Rooms: []RoomDifference{{Name: text.Direct(n[0], n[1]), Settings: settings}}}, "cannot have settings"},
		{Difference{Rooms: []RoomDifference{{Settings: settings}}}, "cannot have settings"},
		{Difference{Accounts: Entries[*Account, string]{Removed: []string{"id of admin0"}}}, "admin0 has no account"},
		{accounts(&renamed), "admin0 has no account"},
		{accounts(&taken), "id of fresh has the name of account id of admin0"},
		{accounts(&fresh, &fresh), "id of fresh is added twice"},
		{accounts(&Account{Name: fresh.Name}), "no ID"},
		{accounts(&Account{ID: "x"}), "no name"},
		{Difference{Accounts: Entries[*Account, string]{Order: []string{"id of admin0"}}}, "missing from the order"},
		{Difference{Accounts: Entries[*Account, string]{Order: []string{"x"}}}, "account x"},
		{bans(Entries[Sanction, string]{Put: []Sanction{{User: n[0]}, {User: n[0]}}}), "ban admin0 is added twice"},
		{bans(Entries[Sanction, string]{Put: []Sanction{{User: n[0]}, {User: n[1]}}, Removed: []string{n[0].String()}}), "ban admin1 is placed after an entry that moves"},
		{nodes(nodeOf(0, 0), nodeOf(0, 1)), "node node0 is added twice"},
		{nodes(nodeOf(0, 0), nodeOf(1, 0)), "the key of node node1 is that of node node0"},
		{nodes(many...), "at most 32 nodes"},
	} {
		if got, err := w.With(c.d); err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
			t.Errorf("%+v: %v, which should name %q", c.d, err, c.want)
		}
	}
	gone := Difference{RoomsRemoved: []RoomName{room(t, "nowhere")}, Accounts: Entries[*Account, string]{Removed: []string{"x"}},
		Bans: Entries[Sanction, string]{Removed: []string{"x"}}, Reserved: Entries[Name, Name]{Removed: []Name{n[0]}}}
	if got, err := w.With(gone); err != nil || !reflect.DeepEqual(image(got), image(w.State)) {
		t.Errorf("what is gone already: %v", err)
	}
}

// big is a server of 10 000 people who are all in #general, 2 000 rooms and 10 000 bans and mutes.
func big(t testing.TB) *world {
	w := &world{at: moment(), rooms: []RoomName{General}}
	var p Parts
	const people, rooms = 10_000, 2_000
	everyone := make([]Member, people)
	for i := range people {
		n := name(t, fmt.Sprintf("user%d", i))
		a := accountOf(n)
		w.names, everyone[i] = append(w.names, n), Member{n, 1}
		p.Accounts = append(p.Accounts, a)
		addr := netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		p.Bans = append(p.Bans, Sanction{Net: netip.PrefixFrom(addr, 32), At: w.at.Wall})
		p.Mutes = append(p.Mutes, Sanction{User: n, At: w.at.Wall})
	}
	p.Bans, p.Mutes = p.Bans[1:], p.Mutes[1:] // there may be one more
	p.Rooms = append(p.Rooms, RoomState{Name: General, Members: everyone[1:]})
	for i := range rooms {
		w.rooms = append(w.rooms, room(t, fmt.Sprintf("room%d", i)))
		p.Rooms = append(p.Rooms, RoomState{Name: w.rooms[i+1], Members: []Member{everyone[i]}})
	}
	w.State = NewState(p)
	return w
}

// bigChange is something that happens on a big server, and how many entities change by it.
type bigChange struct {
	name     string
	entities int
	change   func(*transaction)
}

func (w *world) changes(t testing.TB) []bigChange {
	seven := w.accounts[7]
	ban := w.bans.list[7]
	ban.Until = w.at.Wall.Add(time.Hour)
	without := func(list sanctions) sanctions { return newSanctions(removeAt(list.list, 7)) }
	return []bigChange{
		{"topic", 1, func(tx *transaction) {
			r := *tx.rooms[w.rooms[1]]
			r.Topic = "topic"
			tx.putRoom(r)
		}},
		{"setting", 1, func(tx *transaction) {
			a := *seven
			a.Settings = map[string]string{"zone": "UTC"}
			tx.putAccount(a)
		}},
		{"mute", 1, func(tx *transaction) {
			tx.mutes, _ = tx.mutes.with(muteKind, Entries[Sanction, string]{Put: []Sanction{{User: w.names[0]}}})
		}},
		{"ban", 1, func(tx *transaction) {
			tx.bans = newSanctions(append(slices.Clip(tx.bans.list), Sanction{User: w.names[0]}))
		}},
		{"longer ban", 2, func(tx *transaction) { tx.bans = newSanctions(append(without(tx.bans).list, ban)) }},
		{"unban", 1, func(tx *transaction) { tx.bans = without(tx.bans) }},
		{"join", 2, func(tx *transaction) { tx.setMember(*tx.rooms[General], Member{w.names[0], 3}) }},
		{"leave", 2, func(tx *transaction) { tx.removeMember(*tx.rooms[General], w.names[7]) }},
		{"account", 1, func(tx *transaction) { tx.addAccount(accountOf(name(t, "fresh"))) }},
		{"deletion", 7, func(tx *transaction) { tx.removeAccount(*seven) }}, // with the rooms they are in, and a mute
	}
}

// entities counts what a difference holds.
func (d Difference) entities() int {
	n := len(d.Rooms) + len(d.RoomsRemoved)
	for _, r := range d.Rooms {
		n += len(r.Members.Put) + len(r.Members.Removed) + len(r.Members.Order)
	}
	for _, e := range []Entries[Sanction, string]{d.Bans, d.Mutes} {
		n += len(e.Put) + len(e.Removed) + len(e.Order)
	}
	n += len(d.Accounts.Put) + len(d.Accounts.Removed) + len(d.Accounts.Order)
	n += len(d.Invites.Put) + len(d.Invites.Removed) + len(d.Invites.Order)
	return n + len(d.Reserved.Put) + len(d.Reserved.Removed) + len(d.Reserved.Order)
}

// What is stored of a change does not grow with the server.
func TestDifferenceIsSmall(t *testing.T) {
	t.Parallel()
	w := big(t)
	for _, c := range w.changes(t) {
		tx := &transaction{State: *w.State}
		c.change(tx)
		diff := tx.State.Since(w.State)
		if n := diff.entities(); n != c.entities {
			t.Errorf("%s: %d entities, not %d", c.name, n, c.entities)
		}
		if got, err := w.With(diff); err != nil || !reflect.DeepEqual(image(got), image(&tx.State)) {
			t.Errorf("%s: it leads elsewhere; %v", c.name, err)
		}
	}
}

// What a change leaves alone is not copied, and few bans are not indexed anew.
func TestWithSharesWhatStays(t *testing.T) {
	t.Parallel()
	w := big(t)
	s := w.State
	same := func(what string, a, b any) {
		t.Helper()
		if reflect.ValueOf(a).Pointer() != reflect.ValueOf(b).Pointer() {
			t.Errorf("%s is copied", what)
		}
	}
	for i := range 3 * maxLoose {
		n := name(t, fmt.Sprintf("more%d", i))
		got, err := s.With(Difference{Bans: Entries[Sanction, string]{Put: []Sanction{{User: n}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, hit := got.bans.hit(Moment{}, n, netip.Addr{}, ""); !hit {
			t.Fatalf("%s is not banned", n)
		}
		if i < maxLoose {
			same("the index", got.bans.nets, w.bans.nets)
		} else if len(got.bans.list)-got.bans.indexed > maxLoose {
			t.Fatalf("%d bans are not indexed", len(got.bans.list)-got.bans.indexed)
		}
		if i > 0 {
			same("the list of bans", got.bans.list, s.bans.list)
		}
		same("the list of accounts", got.accounts, s.accounts)
		same("who is found by a name", got.byName, s.byName)
		same("the list of mutes", got.mutes.list, s.mutes.list)
		same("the map of rooms", got.rooms, s.rooms)
		same("who is in how many rooms", got.joined, s.joined)
		s = got
	}
	if same, err := s.With(Difference{}); err != nil || same != s {
		t.Errorf("nothing leads to another State, %v", err)
	}
}

func BenchmarkDifference(b *testing.B) {
	w := big(b)
	for _, c := range w.changes(b) {
		tx := &transaction{State: *w.State}
		c.change(tx)
		diff := tx.State.Since(w.State)
		b.Run("since/"+strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				tx.State.Since(w.State)
			}
		})
		b.Run("with/"+strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			for b.Loop() {
				if _, err := w.With(diff); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Of two lists that go on from one, neither has what the other has, in either order.
func TestListsThatGoOnFromOne(t *testing.T) {
	t.Parallel()
	ban := func(s *State, who string) *State {
		t.Helper()
		got, err := s.With(Difference{Bans: Entries[Sanction, string]{Put: []Sanction{{User: name(t, who)}}}})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	names := func(s *State) (all []string) {
		for _, b := range append(s.AllBans(), Sanction{User: name(t, "not-banned")}) {
			all = append(all, b.User.String())
		}
		return all[:len(all)-1]
	}
	one := ban(&State{}, "alice")
	two, other := ban(one, "bob"), ban(one, "carol")
	three, fourth := ban(two, "dave"), ban(two, "erin")
	for want, s := range map[string]*State{"[alice]": one, "[alice bob]": two, "[alice carol]": other, "[alice bob dave]": three, "[alice bob erin]": fourth} {
		if got := fmt.Sprint(names(s)); got != want {
			t.Errorf("%s, not %s", got, want)
		}
		for _, b := range s.AllBans() {
			if _, hit := s.bans.hit(Moment{}, b.User, netip.Addr{}, ""); !hit {
				t.Errorf("in %s %s is not found", want, b.User)
			}
		}
	}
	if d := fourth.Since(three); len(d.Bans.Put) != 1 || len(d.Bans.Removed) != 1 {
		t.Errorf("%+v", d.Bans)
	}
}

// Mutes one after another, each a step from the State before it, as a server makes them.
func BenchmarkMutes(b *testing.B) {
	w := big(b)
	s, n := w.State, 0
	var more []Name
	for i := range 5_000 {
		more = append(more, name(b, fmt.Sprintf("more%d", i)))
	}
	for b.Loop() {
		if n++; n == len(more) {
			s, n = w.State, 1
		}
		after, err := s.With(Difference{Mutes: Entries[Sanction, string]{Put: []Sanction{{User: more[n]}}}})
		if err != nil {
			b.Fatal(err)
		}
		if after.Since(s).IsZero() {
			b.Fatal("nothing has changed")
		}
		s = after
	}
}
