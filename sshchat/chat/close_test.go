package chat

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a hub within a bubble of synctest.
func inBubble(t *testing.T, j Journal, rooms []RoomState, do func(t *testing.T, h *Hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := hubOver(j, nil, rooms, quiet)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		defer func() { stop(); <-ended }()
		do(t, h)
	})
}

// Rooms that were closed do not make place for others at once: each leaves something behind.
func TestRoomsClosedInALoop(t *testing.T) {
	inBubble(t, &fakeJournal{}, []RoomState{{Name: General}}, func(t *testing.T, h *Hub) {
		mallory, numbered := name(t, "mallory"), func(i int) RoomName { return room(t, fmt.Sprintf("r%d", i)) }
		for i := range MaxCreated {
			_, err := h.Join(t.Context(), mallory, numbered(i))
			if err = errors.Join(err, h.RemoveRoom(t.Context(), numbered(i))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Join(t.Context(), mallory, numbered(MaxCreated)); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(closedCounts)
		if _, err := h.Join(t.Context(), mallory, numbered(MaxCreated)); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// Somebody joins a room while its maker, who saw nobody in it, closes it: it is not closed over them.
func TestRoomIsEmptyAtThePlace(t *testing.T) {
	h := start(t, &fakeJournal{})
	alice, bob, dev := name(t, "alice"), name(t, "bob"), room(t, "dev")
	join(t, h, "alice", "dev")
	if _, err := h.View().Check(h.caller(alice), CloseRoom{dev}); err != nil {
		t.Fatal(err)
	}
	join(t, h, "bob", "dev")
	if err := h.Decide(t.Context(), h.caller(alice), CloseRoom{dev}, nil); err == nil || !h.In(bob, dev) {
		t.Errorf("closed: %v, in it: %v", err, h.In(bob, dev))
	}
	part(t, h, "bob", "dev")
	if err := h.Decide(t.Context(), h.caller(alice), CloseRoom{dev}, nil); err != nil {
		t.Errorf("the control: %v", err)
	}
}

// A room that is made again is not shown who has left the one before: its people never saw them there. Control: those who leave the new one.
func TestRoomMadeAgainHasNobodyLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := synctestHub(t, "alice", "bob", "carol")
		defer stop()
		for _, who := range []string{"alice", "bob", "carol"} {
			h.SessionOpened(name(t, who))
			join(t, h, who, "ci")
		}
		rest(2 * presenceDelay)
		part(t, h, "carol", "ci") // is due within a minute
		if err := h.RemoveRoom(t.Context(), room(t, "ci")); err != nil {
			t.Fatal(err)
		}
		join(t, h, "bob", "ci")
		rest(2 * presenceDelay)
		r := h.Reader(name(t, "bob"), From{})
		rest(2 * reconnectTime)
		expect(t, r)
		join(t, h, "alice", "ci")
		rest(2 * presenceDelay)
		part(t, h, "alice", "ci")
		rest(2 * reconnectTime)
		expect(t, r, "ci:alice joined", "ci:alice left")
	})
}
