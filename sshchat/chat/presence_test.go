package chat

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sshchat/sshchat/text"
)

// synctestHub is start for a bubble: it must end before the bubble does.
func synctestHub(t *testing.T, people ...string) (h *Hub, stop func()) {
	t.Helper()
	general := RoomState{Name: General}
	for _, p := range people {
		general.Members = append(general.Members, Member{name(t, p), 1})
	}
	h = hubOver(&fakeJournal{}, nil, []RoomState{general}, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	return h, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// rest lets a moment of the bubble's time pass.
func rest(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestPresenceIsToldInOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol", "dave")
		defer stop()
		h.SessionOpened(name(t, "alice"))
		h.SessionOpened(name(t, "carol"))
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		h.SessionOpened(name(t, "bob"))
		h.SessionOpened(name(t, "bob")) // a second session is no news
		h.SessionClosed(name(t, "carol"))
		h.SessionOpened(name(t, "dave")) // came and went
		h.SessionClosed(name(t, "dave"))
		rest(presenceDelay - time.Millisecond)
		expect(t, r)
		rest(time.Second)
		expect(t, r, "general:bob joined")
		rest(reconnectTime - 2*presenceDelay) // carol may still come back
		expect(t, r)
		rest(2 * presenceDelay)
		expect(t, r, "general:carol left")
		rest(time.Hour)
		expect(t, r)
		if !h.Online(name(t, "bob")) || h.Online(name(t, "carol")) {
			t.Error("who is here")
		}
	})
}

// Who is back within a minute has not left, as far as the room is shown; who comes back later has.
func TestAReconnectIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol")
		defer stop()
		for _, who := range []string{"alice", "bob", "carol"} {
			h.SessionOpened(name(t, who))
		}
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		for range 10 {
			h.SessionClosed(name(t, "bob"))
			rest(reconnectTime - 2*presenceDelay)
			if h.Online(name(t, "bob")) {
				t.Error("bob is online while his connection is down")
			}
			h.SessionOpened(name(t, "bob"))
			rest(time.Second)
		}
		expect(t, r)
		h.SessionClosed(name(t, "bob")) // control: they are gone for longer
		rest(presenceDelay / 2)
		h.SessionClosed(name(t, "carol"))
		rest(2 * reconnectTime)
		expect(t, r, "general:bob and carol left")
		h.SessionOpened(name(t, "bob"))
		rest(2 * presenceDelay)
		expect(t, r, "general:bob joined")
	})
}

func TestAThousandComingsAreOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		people := []string{"alice"}
		for i := range 1000 {
			people = append(people, fmt.Sprintf("p%04d", i))
		}
		h, stop := synctestHub(t, people...)
		defer stop()
		r := h.Reader(name(t, "alice"), From{})
		for _, p := range people {
			h.SessionOpened(name(t, p))
		}
		rest(2 * presenceDelay)
		expect(t, r, "general:alice, p0000, p0001, p0002, p0003 and 996 others joined")
	})
}

func TestNobodyIsToldInAnEmptyRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice")
		defer stop()
		h.SessionOpened(name(t, "alice"))
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "alice"), From{})
		h.SessionClosed(name(t, "alice"))
		rest(2 * presenceDelay)
		expect(t, r)
	})
}

func TestCountsOfWhoIsHere(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice", "bob")
	pair := text.Direct(name(t, "alice"), name(t, "bob"))
	h.SessionOpened(name(t, "alice"))
	h.SessionOpened(name(t, "alice"))
	join(t, h, "alice", "ci")
	join(t, h, "bob", "ci")
	say(t, h, "bob", pair, "x")
	here := func(r RoomName) int {
		info, err := h.Room(name(t, "alice"), r)
		if err != nil {
			t.Fatal(err)
		}
		return info.Online
	}
	check := func(want int) {
		t.Helper()
		for _, r := range []RoomName{General, room(t, "ci"), pair} {
			if n := here(r); n != want {
				t.Errorf("%d here in %s, want %d", n, r, want)
			}
		}
	}
	check(1)
	h.SessionOpened(name(t, "bob"))
	check(2)
	h.SessionClosed(name(t, "alice"))
	check(2)
	h.SessionClosed(name(t, "alice"))
	check(1)
	h.SessionClosed(name(t, "bob"))
	check(0)
}

// A room nobody is in keeps what the next one may be shown, and no more.
func TestAnEmptyRoomLetsGo(t *testing.T) {
	h := start(t, &fakeJournal{}, "alice")
	h.SessionOpened(name(t, "alice"))
	for range IdleLog + 10 {
		say(t, h, "alice", General, "x")
	}
	h.SessionClosed(name(t, "alice"))
	if n := len(h.rooms[General].Log.Tail(LogLines)); n != IdleLog {
		t.Errorf("%d messages kept", n)
	}
}
