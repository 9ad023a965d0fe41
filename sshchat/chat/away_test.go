package chat

import "testing"

func TestAway(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	alice := name(t, "alice")
	away := func(want bool, when string) {
		t.Helper()
		if why, since, is := h.Away(alice); is != want || is && (why.String() != "lunch" || since.IsZero()) {
			t.Errorf("%s: away %v (%q, %v)", when, is, why, since)
		}
		people, err := h.Members(alice, General)
		if err != nil || people[0].Name != alice || people[0].Away != want {
			t.Errorf("%s: members are %v, %v", when, people, err)
		}
	}
	h.SetAway(alice, words("lunch"))
	away(false, "while no session is open")
	h.SessionOpened(alice)
	h.SessionOpened(alice)
	r := h.Reader(alice, From{})
	h.SetAway(alice, words("lunch"))
	away(true, "after SetAway")
	if got := kinds(r.Next(9)); len(got) != 1 || got[0] != Changed {
		t.Errorf("the other session hears %v", got)
	}
	h.SessionClosed(alice)
	away(true, "in the session that is left")
	if !h.ClearAway(alice) || h.ClearAway(alice) {
		t.Error("Back does not tell whether it changed anything")
	}
	away(false, "after Back")
	h.SetAway(alice, words("lunch"))
	h.SessionClosed(alice)
	away(false, "after the last session has ended")
	h.SessionOpened(alice)
	away(false, "in a new session")
	if _, _, is := h.Away(name(t, "nobody")); is {
		t.Error("who was never here is away")
	}
}
