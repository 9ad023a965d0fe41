package chat

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// shownAs is a roster in words: "alice@ bob | carol | dave" are two online, of whom alice is a moderator, one away and one offline.
func shownAs(is *Roster) string {
	if is == nil {
		return "nobody"
	}
	var b strings.Builder
	for i, p := range is.People {
		if i == is.Online {
			b.WriteString("|")
		}
		if i == is.Online+is.Away {
			b.WriteString("|")
		}
		b.WriteString(p.Name.String())
		if p.Moderates {
			b.WriteString("@")
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

// A roster follows what happens to the people of a room, and who watches it is woken: once for what comes at the same time.
func TestRoster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol")
		defer stop()
		alice := name(t, "alice")
		woken := 0
		unwatch := h.WatchRoster(General, func() { woken++ })
		check := func(what, want string, wakes int) {
			t.Helper()
			rest(2 * rosterDelay)
			if got := shownAs(h.Roster(alice, General)); got != want || woken != wakes {
				t.Errorf("%s: %q, woken %d times; want %q and %d", what, got, woken, want, wakes)
			}
			woken = 0
		}
		check("nobody is online", "||alice bob carol", 0)
		h.SessionOpened(name(t, "carol"))
		h.SessionOpened(alice)
		h.SessionOpened(alice)
		check("two came", "alice carol ||bob", 1)
		before := h.Roster(alice, General)
		say(t, h, "alice", General, "x")
		check("something is said", "alice carol ||bob", 0)
		if h.Roster(alice, General) != before || h.Roster(name(t, "carol"), General) != before {
			t.Error("it is made again, and nothing has changed")
		}
		h.SetAway(name(t, "carol"), words("lunch"))
		check("away", "alice |carol |bob", 1)
		h.ClearAway(name(t, "carol"))
		check("back", "alice carol ||bob", 1)
		h.ProgramOpened(name(t, "bob"))
		check("a program", "alice bob carol", 1)
		h.ProgramClosed(name(t, "bob"))
		h.SessionClosed(alice)
		check("a program has ended, and one of two sessions", "alice carol ||bob", 1)
		join(t, h, "carol", "ci")
		check("another room", "alice carol ||bob", 0)
		if is := h.Roster(alice, room(t, "ci")); is != nil {
			t.Errorf("alice sees who is in a room that she is not in: %v", is)
		}
		if got := shownAs(h.Roster(name(t, "carol"), room(t, "ci"))); got != "carol@" {
			t.Errorf("who made a room: %q", got)
		}
		unwatch()
		h.SessionClosed(alice)
		check("nobody watches", "carol ||alice bob", 0)
	})
}

// Of a room with very many people a roster names as many as there are rows, those who are online first.
func TestRosterOfACrowd(t *testing.T) {
	var people []string
	for i := range 3 * rosterNames {
		people = append(people, fmt.Sprintf("p%04d", i))
	}
	h := start(t, &fakeJournal{}, people...)
	for _, p := range people[rosterNames+100:] {
		h.SessionOpened(name(t, p))
	}
	is := h.Roster(name(t, "p0000"), General)
	if is.Online != 2*rosterNames-100 || is.Offline != rosterNames+100 || len(is.People) != rosterNames || is.People[0].Name != name(t, people[rosterNames+100]) {
		t.Errorf("%d online, %d offline, %d named, the first is %v", is.Online, is.Offline, len(is.People), is.People[0])
	}
}

// A color that somebody chooses is that of their name in the rosters, and of what they say from then on.
func TestNameColor(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	before := say(t, h, "alice", General, "before")
	a, _ := h.View().ByName(alice)
	for i, color := range append([]string{"auto", "mauve", ""}, NameColors...) {
		want := NameColor(max(0, i-2))
		if err := h.Decide(t.Context(), TheServer, SetSetting{ID: a.ID, Name: ColorSetting, Value: color}, nil); err != nil {
			t.Fatal(err)
		}
		say(t, h, "alice", General, "after")
		said := h.Before(alice, General, 0, 99)
		if got := said[len(said)-1].Color; got != want {
			t.Errorf("%q: what is said has color %d, want %d", color, got, want)
		}
		if p := h.Roster(alice, General).People[0]; p.Name != alice || p.Color != want {
			t.Errorf("%q: the roster has %+v, want color %d", color, p, want)
		}
		if said[0].Seq != before.Seq || said[0].Color != 0 {
			t.Errorf("%q: what was said before has color %d", color, said[0].Color)
		}
	}
}
