package chat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is a hub whose room has so many members, me among them, who is in #general too.
func crowd(t *testing.T, me Name, members int) (h *Hub, large RoomName, stop func()) {
	t.Helper()
	large = room(t, "large")
	s := RoomState{Name: large, Members: []Member{{me, 1}}}
	for i := range members - 1 {
		s.Members = append(s.Members, Member{name(t, fmt.Sprintf("u%d", i)), 1})
	}
	h = hubOver(&fakeJournal{}, nil, []RoomState{s, {Name: General, Members: []Member{{me, 1}}}}, quiet)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	return h, large, func() { cancel(); <-ended }
}

// Changes are charged by the members of the rooms concerned, and paid by waiting; what is charged to one is not another's.
func TestChangesAreChargedByWhatTheyCost(t *testing.T) {
	for members, atOnce := range map[int]int{5: 101, 100: 6, 1000: 3, 10_000: 3} {
		t.Run(fmt.Sprint(members), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				me := name(t, "mallory")
				h, large, stop := crowd(t, me, members)
				defer stop()
				done := 0
				for ; done < 200 && h.MayChangeKeys(me) == nil; done++ {
					h.chargeKeys(me)
				}
				if done != atOnce {
					t.Errorf("%d changes of keys at once, and %d may be", done, atOnce)
				}
				if time.Duration(members)*headCharge <= cheapMove { // who comes and goes there is never refused
					return
				}
				err := h.MayChangeKeys(me)
				if !errors.Is(err, ErrTooOften) || !strings.Contains(err.Error(), "try again in ") {
					t.Errorf("then: %v", err)
				}
				if err := h.MayChangeKeys(name(t, "u1")); err != nil {
					t.Errorf("somebody else: %v", err)
				}
				if err := h.Revoke(t.Context(), me); err != nil {
					t.Errorf("a key is removed: %v", err)
				}
				if err := h.Part(t.Context(), me, large); err != nil {
					t.Errorf("they leave: %v", err)
				}
				if _, err := h.Join(t.Context(), me, large); !errors.Is(err, ErrTooOften) {
					t.Errorf("and come back: %v", err)
				}
				time.Sleep(time.Duration(members+1) * 3 * headCharge)
				if _, err := h.Join(t.Context(), me, large); err != nil {
					t.Errorf("after a while: %v", err)
				}
			})
		})
	}
}
