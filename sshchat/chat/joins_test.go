package chat

import (
	"testing"
	"testing/synctest"
)

// What somebody says or does in a room stands below the line that they have joined, with whom others who have joined are named.
func TestAJoinIsShownBeforeWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol")
		defer stop()
		h.SessionOpened(name(t, "alice"))
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		h.SessionOpened(name(t, "bob"))
		h.SessionOpened(name(t, "carol"))
		say(t, h, "alice", General, "old") // control: hers was shown
		expect(t, r, "general:old")
		say(t, h, "bob", General, "hi")
		say(t, h, "bob", General, "again")
		expect(t, r, "general:bob and carol joined", "general:hi", "general:again")
		rest(2 * presenceDelay)
		expect(t, r)

		join(t, h, "alice", "ci")
		join(t, h, "bob", "ci")
		rest(0)
		expect(t, r, "ci:joined")
		h.NotifyRoom(name(t, "bob"), room(t, "ci"), "bob did it")
		expect(t, r, "ci:alice and bob joined", "ci:bob did it")
	})
}

// A removal is one line.
func TestARemovalIsOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob")
		defer stop()
		for _, who := range []string{"alice", "bob"} {
			h.SessionOpened(name(t, who))
			join(t, h, who, "ci")
		}
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		part(t, h, "bob", "ci") // control: by themselves
		rest(2 * reconnectTime)
		expect(t, r, "ci:bob left")
		join(t, h, "bob", "ci")
		rest(2 * presenceDelay)
		expect(t, r, "ci:bob joined")
		part(t, h, "bob", "ci")
		h.NotifyRemoval(name(t, "alice"), name(t, "bob"), room(t, "ci"), "alice removed bob.")
		rest(2 * reconnectTime)
		expect(t, r, "ci:alice removed bob.")
		join(t, h, "bob", "ci")
		rest(2 * presenceDelay)
		expect(t, r, "ci:bob joined")
	})
}

// A program's user is online, and shown neither to join nor to leave; with a terminal they are.
func TestProgramsComeAndGoUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob")
		defer stop()
		h.SessionOpened(name(t, "alice"))
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		for range 3 {
			h.ProgramOpened(name(t, "bob"))
			rest(2 * presenceDelay)
			if !h.Online(name(t, "bob")) {
				t.Error("bob is not online")
			}
			h.ProgramClosed(name(t, "bob"))
			rest(2 * reconnectTime)
		}
		expect(t, r)
		h.ProgramOpened(name(t, "bob"))
		h.SessionOpened(name(t, "bob"))
		rest(2 * presenceDelay)
		expect(t, r, "general:bob joined")
		h.SessionClosed(name(t, "bob"))
		rest(2 * reconnectTime)
		expect(t, r, "general:bob left")
		if !h.Online(name(t, "bob")) {
			t.Error("bob is not online with a program")
		}
		h.ProgramClosed(name(t, "bob"))
		if info, err := h.Room(name(t, "alice"), General); err != nil || info.Online != 1 {
			t.Errorf("%d are online (%v)", info.Online, err)
		}
	})
}
