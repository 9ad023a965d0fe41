package chat

import (
	"fmt"
	"testing"

	"sshchat/sshchat/text"
)

// The metrics ask for the number of rooms at each scrape: none is copied for it.
func TestCountRooms(t *testing.T) {
	rooms := []RoomState{{Name: General}}
	for i := range 20 {
		rooms = append(rooms, RoomState{Name: room(t, fmt.Sprintf("r%d", i)), Rules: Rules{Private: i%2 > 0}})
	}
	h := hubOver(&fakeJournal{}, nil, rooms, quiet)
	h.addRoom(room(t, "gone"), nil, 3)
	h.addDirect(text.Direct(name(t, "alice"), name(t, "bob")))
	if got, want := h.CountRooms(), len(h.AllRooms()); got != want || got != 21 {
		t.Errorf("%d rooms are counted, %d listed", got, want)
	}
	if n := testing.AllocsPerRun(10, func() { h.CountRooms() }); n > 0 {
		t.Errorf("counting takes %v allocations", n)
	}
}
