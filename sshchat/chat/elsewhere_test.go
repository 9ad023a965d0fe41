package chat

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// at is how somebody is online on another node, on a terminal.
func at(t *testing.T, who string) Attendance {
	return Attendance{Name: name(t, who), Online: true, Terminal: true}
}

// gone is that they are there no longer.
func gone(t *testing.T, who string) Attendance { return Attendance{Name: name(t, who)} }

// Somebody with sessions on two nodes joins once, and leaves with the last of these; a node that is gone takes its people along, and
// who comes back on another within a minute has not left.
func TestPresenceOverNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol", "dave")
		defer stop()
		bob := name(t, "bob")
		h.SessionOpened(name(t, "alice"))
		h.Elsewhere("n2", true, []Attendance{at(t, "dave")})
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		online := func(want int, when string) {
			t.Helper()
			if info, err := h.Room(name(t, "alice"), General); err != nil || info.Online != want {
				t.Errorf("%s: %d online, not %d; %v", when, info.Online, want, err)
			}
		}
		h.Elsewhere("n2", false, []Attendance{at(t, "bob")})
		h.Elsewhere("n3", true, []Attendance{at(t, "bob")})
		h.Elsewhere("n3", false, []Attendance{at(t, "bob")})
		rest(2 * presenceDelay)
		expect(t, r) // n3 was not heard of before
		h.Elsewhere("n3", false, []Attendance{gone(t, "bob"), at(t, "carol")})
		rest(2 * presenceDelay)
		expect(t, r, "general:carol joined")
		online(4, "alice, bob, carol and dave")
		h.SessionOpened(bob)
		h.Elsewhere("n2", false, []Attendance{gone(t, "bob")})
		h.SessionOpened(bob)
		h.SessionClosed(bob)
		rest(2 * reconnectTime)
		expect(t, r)
		online(4, "bob has moved")
		h.Elsewhere("n3", true, nil)
		rest(reconnectTime - 2*presenceDelay)
		online(3, "n3 is gone")
		h.Elsewhere("n2", false, []Attendance{at(t, "carol")})
		rest(2 * reconnectTime)
		expect(t, r)
		h.SessionClosed(bob)
		h.Elsewhere("n2", true, nil)
		rest(2 * reconnectTime)
		expect(t, r, "general:bob, carol and dave left") // control: they do not come back
		h.Elsewhere("n2", true, []Attendance{at(t, "dave")})
		rest(2 * presenceDelay)
		expect(t, r, "general:dave joined") // n2 was heard of before
		if h.Online(bob) || !h.Online(name(t, "dave")) {
			t.Error("who is online")
		}
	})
}

// Who was online when this node started is not shown to have joined, though they have a session here as well by now.
func TestWhoWasOnlineBeforeTheNodeHasNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol")
		defer stop()
		r := h.Reader(name(t, "alice"), From{})
		h.SessionOpened(name(t, "bob"))
		h.SessionOpened(name(t, "carol"))
		h.Elsewhere("n2", true, []Attendance{at(t, "bob"), {Name: name(t, "carol"), Online: true}, at(t, "alice")})
		rest(2 * presenceDelay)
		expect(t, r, "general:carol joined") // on n2 she had a program only
	})
}

// What somebody says of their absence on one node counts on all, the last of it on any node; a node that has heard less learns it.
func TestAwayOverNodes(t *testing.T) {
	a, b := start(t, &fakeJournal{}, "alice", "bob"), start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	tell := func(h *Hub, from string, by *Hub) { h.Elsewhere(from, true, by.Attendance(nil)) }
	both := func() { tell(a, "b", b); tell(b, "a", a); tell(a, "b", b) }
	away := func(want string, when string) {
		t.Helper()
		for i, h := range []*Hub{a, b} {
			if why, since, is := h.Away(alice); is != (want != "") || why.String() != want || is == since.IsZero() {
				t.Errorf("%s: on node %d away is %v (%q)", when, i, is, why)
			}
			people, _ := h.Members(alice, General)
			if people[0].Away != (want != "") || h.Roster(alice, General).Away != map[bool]int{true: 1}[want != ""] {
				t.Errorf("%s: on node %d the lists have it differently: %v", when, i, people)
			}
		}
	}
	a.SessionOpened(alice)
	both()
	b.SetAway(alice, words("lunch")) // as by a command: she has no session there
	both()
	away("lunch", "set where she has no session")
	r := a.Reader(alice, From{})
	b.SetAway(alice, words("tea"))
	both()
	away("tea", "set again")
	if got := kinds(r.Next(9)); !slices.Equal(got, []Kind{Changed}) {
		t.Errorf("her session hears %v", got)
	}
	b.SessionOpened(alice)
	both()
	a.SessionClosed(alice)
	both()
	away("tea", "one of two sessions is closed")
	if !a.ClearAway(alice) || a.ClearAway(alice) {
		t.Error("back does not report whether it changed anything")
	}
	both()
	away("", "back on a node where she has no session")
	b.SetAway(alice, words("gone"))
	both()
	b.SessionClosed(alice)
	away2 := b.Attendance(nil)
	a.SessionOpened(alice) // before a has heard of that
	both()
	a.SessionClosed(alice)
	both()
	if a.Online(alice) || b.Online(alice) {
		t.Fatal("she is online")
	}
	b.SessionOpened(alice)
	a.Elsewhere("b", true, away2) // old news
	both()
	away("", "who comes back is back")
}

// Notices of another node are shown once the batch is applied that they follow, and those of a removal in place of the departure.
func TestAnnouncementsOfOtherNodes(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice, bob := name(t, "alice"), name(t, "bob")
	h.SessionOpened(alice)
	r := h.Reader(alice, From{})
	seen := func() string {
		var lines []string
		for _, m := range r.Next(99) {
			if m.Kind == Notice {
				lines = append(lines, m.Room.String()+":"+m.Text.String())
			}
		}
		return strings.Join(lines, " | ")
	}
	applied := h.Applied()
	h.ShowAnnouncement(Announcement{Text: words("later"), Room: General, By: bob, After: applied + 1})
	h.ShowAnnouncement(Announcement{Text: words("now"), Room: General, By: bob, After: applied})
	h.ShowAnnouncement(Announcement{Text: words("to bob"), To: bob})
	h.ShowAnnouncement(Announcement{Text: words("to alice"), To: alice})
	h.ShowAnnouncement(Announcement{Text: words("to all")})
	h.ShowAnnouncement(Announcement{Text: words("nowhere"), Room: room(t, "nowhere")})
	if got, want := seen(), "general:now | :to alice | :to all"; got != want {
		t.Errorf("shown: %q, not %q", got, want)
	}
	say(t, h, "bob", General, "x")
	if got := seen(); got != "general:later" {
		t.Errorf("after the batch: %q", got)
	}
	for i := range 2 * maxNotices { // of a node that is far ahead
		h.ShowAnnouncement(Announcement{Text: words("ahead"), Room: General, After: applied + 100 + uint64(i)})
	}
	if n := len(h.early.list); n != maxNotices {
		t.Errorf("%d notices wait", n)
	}
}

// others notes what a hub says.
type others struct {
	changed []Name
	told    []Announcement
}

func (o *others) Changed(name Name)       { o.changed = append(o.changed, name) }
func (o *others) Announce(a Announcement) { o.told = append(o.told, a) }

// A hub says to the others what they cannot know: who comes and goes here, and notices, but no notice of this node alone.
func TestOthersAreTold(t *testing.T) {
	h := hubOver(&fakeJournal{}, nil, nil, quiet)
	var o others
	h.Tell(&o)
	alice := name(t, "alice")
	h.SessionOpened(alice)
	h.SessionOpened(alice)
	h.SessionClosed(alice)
	h.ProgramOpened(alice)
	h.SessionClosed(alice)
	h.Elsewhere("n2", true, []Attendance{at(t, "bob")})
	if len(o.changed) != 2 { // she comes, and has a program only
		t.Errorf("changed: %v", o.changed)
	}
	if got := h.Attendance(nil); len(got) != 1 || got[0] != (Attendance{Name: alice, Online: true}) {
		t.Errorf("online here: %v", got)
	}
	h.Announce(words("all"))
	h.AnnounceHere(words("here"))
	h.NotifyUser(alice, "to %s", alice)
	h.NotifyRoom(alice, General, "of a room")
	h.NotifyRemoval(alice, name(t, "bob"), General, "of bob")
	var told []string
	for _, a := range o.told {
		told = append(told, a.Text.String())
	}
	if got := strings.Join(told, " | "); got != "all | to alice | of a room | of bob" {
		t.Errorf("told: %s", got)
	}
}

// A room that was in use on other nodes keeps what it holds for people who reconnect here, and lets go of it later.
func TestADesertedRoomLetsGo(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	h.Elsewhere("n2", true, []Attendance{at(t, "alice")})
	for range IdleLog + 10 {
		say(t, h, "alice", General, "x")
	}
	h.Elsewhere("n2", true, nil)
	kept := func() int { return h.Kept(name(t, "alice"), General) }
	h.trimDeserted(time.Now().Add(restoredIdle / 2))
	if n := kept(); n != IdleLog+10 {
		t.Errorf("%d messages are kept", n)
	}
	h.trimDeserted(time.Now().Add(2 * restoredIdle))
	if n := kept(); n > IdleLog {
		t.Errorf("%d messages are kept in the end", n)
	}
}
