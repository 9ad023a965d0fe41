package chat

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// inBubble runs a hub within a bubble of synctest.
func inBubble(t *testing.T, j Journal, rooms []RoomState, do func(t *testing.T, h *Hub)) {
	synctest.Test(t, func(t *testing.T) {
		h := NewHub(j, &ledger{}, nil, rooms, quiet)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx) }()
		defer func() { stop(); <-ended }()
		do(t, h)
	})
}

// Rooms that were closed do not make place for others at once: each leaves something behind.
func TestRoomsClosedInALoop(t *testing.T) {
	inBubble(t, &tape{}, []RoomState{{Name: General}}, func(t *testing.T, h *Hub) {
		mallory, numbered := name(t, "mallory"), func(i int) RoomName { return room(t, fmt.Sprintf("r%d", i)) }
		for i := range MaxMade {
			_, err := h.Join(t.Context(), mallory, numbered(i))
			if err = errors.Join(err, h.RemoveRoom(t.Context(), numbered(i))); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := h.Join(t.Context(), mallory, numbered(MaxMade)); !errors.Is(err, ErrTooMany) {
			t.Errorf("one more: %v", err)
		}
		time.Sleep(closedCounts)
		if _, err := h.Join(t.Context(), mallory, numbered(MaxMade)); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// Somebody joins a room while its maker, who saw nobody in it, closes it: it is not closed over them.
func TestRoomIsEmptyAtThePlace(t *testing.T) {
	alice, bob, dev := name(t, "alice"), name(t, "bob"), room(t, "dev")
	stores, stored := make(chan struct{}, 9), make(chan struct{})
	j := &tape{looking: func([]Event) { stores <- struct{}{}; <-stored }}
	h := NewHub(j, &ledger{}, nil, []RoomState{{Name: dev, By: alice, Members: []Member{{alice, 1}}}}, quiet)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	defer func() { stop(); <-ended }()
	mayClose := func() error {
		if maker, others := h.Closing(alice, dev); !RankMember.MayClose(maker, others) {
			return errNotYou
		}
		return nil
	}
	if err := mayClose(); err != nil {
		t.Fatal(err)
	}
	joined, closed := make(chan error, 1), make(chan error, 1)
	go func() { _, err := h.Join(t.Context(), bob, dev); joined <- err }()
	<-stores
	go func() { closed <- h.RemoveRoom(WithCheck(t.Context(), mayClose), dev) }()
	for h.decisions.TryLock() { // until it has begun
		h.decisions.Unlock()
		runtime.Gosched()
	}
	for range 100 { // a check that does not wait for the join is made here
		runtime.Gosched()
	}
	close(stored)
	if err := <-joined; err != nil {
		t.Error(err)
	}
	if err := <-closed; !errors.Is(err, errNotYou) || !h.In(bob, dev) {
		t.Errorf("closed: %v, in it: %v", err, h.In(bob, dev))
	}
}
