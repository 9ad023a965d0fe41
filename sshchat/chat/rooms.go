package chat

import (
	"context"
	"slices"
)

// RoomView is a room as admins see it; a copy.
type RoomView struct {
	RoomInfo
	Rules
	By Name // who made it; zero where nobody in particular did
}

// AllRooms lists every room but direct ones, private ones too.
func (h *Hub) AllRooms() []RoomView {
	h.mu.RLock()
	defer h.mu.RUnlock()
	var views []RoomView
	for name, r := range h.rooms {
		if !name.IsDirect() && !r.gone {
			views = append(views, RoomView{r.info(Name{}), r.rules.clone(), r.by})
		}
	}
	slices.SortFunc(views, func(a, b RoomView) int { return compareRooms(a.Name, b.Name) })
	return views
}

// CountRooms is how many rooms AllRooms lists. It copies none.
func (h *Hub) CountRooms() int {
	h.mu.RLock()
	defer h.mu.RUnlock()
	n := 0
	for name, r := range h.rooms {
		if !name.IsDirect() && !r.gone {
			n++
		}
	}
	return n
}

// Forget takes somebody whose account is gone out of every room, and out of what was decided about them.
// The registry knows already.
func (h *Hub) Forget(ctx context.Context, name Name) error {
	for _, room := range h.RoomsOf(name) {
		if room.IsDirect() {
			continue
		}
		if err := h.submit(context.WithoutCancel(ctx), &request{event: Event{Room: room, Change: Leave, Name: name}}); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	is := func(n Name) bool { return n == name }
	for _, r := range h.rooms {
		if r.by == name {
			r.by = Name{}
		}
		r.rules = r.rules.clone()
		r.rules.Mods = slices.DeleteFunc(r.rules.Mods, is)
		r.rules.Invited = slices.DeleteFunc(r.rules.Invited, is)
	}
	return nil
}
