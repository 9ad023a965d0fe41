package chat

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"sshchat/sshchat/text"
)

// Rules is how a room is run: what is decided about it but for its topic and its members.
type Rules struct {
	Private bool          // who is not in it does not learn that it is there
	Slow    time.Duration // the least between two messages of one member; 0: none. Its moderators are exempt
	Mods    []Name        // who moderates it, beside who made it
	Invited []Name        // who may join it while it is private
}

// MaxNamed is how many moderators, and how many of the invited, a room may have.
const MaxNamed = 200

// Rules are those of a room me may know of.
func (h *Hub) Rules(me Name, name RoomName) (by Name, rules Rules, err error) {
	r, err := h.room(me, name)
	if err != nil {
		return Name{}, Rules{}, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return r.by, r.rules.clone(), nil
}

func (r Rules) clone() Rules {
	r.Mods, r.Invited = slices.Clone(r.Mods), slices.Clone(r.Invited)
	return r
}

func (r Rules) equal(other Rules) bool {
	return r.Private == other.Private && r.Slow == other.Slow && slices.Equal(r.Mods, other.Mods) && slices.Equal(r.Invited, other.Invited)
}

// Moderates reports whether me made the room or is one of its moderators, and still in it.
func (h *Hub) Moderates(me Name, name RoomName) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[name]
	return r != nil && r.moderates(me)
}

// Standing reports whether name made the room, and whether it is one of its moderators, and is still in it.
func (h *Hub) Standing(name Name, room RoomName) (maker, mod bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[room]
	if r == nil {
		return false, false
	}
	return r.standing(name)
}

// Closing reports what decides whether me may close a room: whether they made it, and how many others are in it.
func (h *Hub) Closing(me Name, room RoomName) (maker bool, others int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	r := h.rooms[room]
	if r == nil || r.gone || me.IsZero() {
		return false, 0
	}
	others = len(r.members)
	if _, in := r.members[me]; in {
		others--
	}
	return r.by == me, others
}

// standing is called with the hub's mu held.
func (r *Room) standing(name Name) (maker, mod bool) {
	if _, in := r.members[name]; !in || name.IsZero() {
		return false, false
	}
	return r.by == name, slices.Contains(r.rules.Mods, name)
}

// moderates is called with the hub's mu held.
func (r *Room) moderates(me Name) bool {
	maker, mod := r.standing(me)
	return maker || mod
}

// SetRules has edit change the rules of a room; who may is for the caller to know. An error of edit changes nothing and
// is returned. Errors: ErrNoRoom; ErrGeneral where #general would be private; those of a check; the registry's.
func (h *Hub) SetRules(ctx context.Context, name RoomName, edit func(*Rules) error) error {
	h.decisions.Lock()
	defer h.decisions.Unlock()
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r == nil || name.IsDirect() {
		return noRoom(Name{}, name)
	}
	r.deciding.Lock()
	defer r.deciding.Unlock()
	if err := checked(ctx); err != nil {
		return err
	}
	return h.setRules(r, edit)
}

// setRules is called with decisions and the room's deciding held.
func (h *Hub) setRules(r *Room, edit func(*Rules) error) error {
	h.mu.RLock()
	name, rules, gone := r.Name, r.rules.clone(), r.gone
	h.mu.RUnlock()
	if gone {
		return noRoom(Name{}, name)
	}
	was := rules.clone()
	if err := edit(&rules); err != nil {
		return err
	}
	if rules.equal(was) {
		return nil
	}
	switch {
	case name == General && rules.Private:
		return ErrGeneral.With("#general is everybody's room: it is not private")
	case len(rules.Mods) > MaxNamed || len(rules.Invited) > MaxNamed:
		return ErrTooManyNamed.Because("no room has more than %d moderators, or invited people", MaxNamed)
	}
	if err := h.registry.SaveRules(name, rules); err != nil {
		return fmt.Errorf("set the rules of %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.rules.Slow != rules.Slow {
		r.said = nil
	}
	r.rules = rules
	return nil
}

// MakeRoom makes a room of nobody's, without members. To a private one by is invited.
// Errors: ErrTaken where it is there; those of a check; the registry's.
func (h *Hub) MakeRoom(ctx context.Context, by Name, name RoomName, private bool) error {
	h.decisions.Lock()
	defer h.decisions.Unlock()
	if err := checked(ctx); err != nil {
		return err
	}
	h.mu.RLock()
	there := h.rooms[name]
	h.mu.RUnlock()
	if there != nil && !there.gone || name.IsDirect() {
		return ErrTaken
	}
	if _, err := h.open(name, Name{}); err != nil {
		return err
	}
	if !private {
		return nil
	}
	rules := Rules{Private: true, Invited: []Name{by}}
	if err := h.registry.SaveRules(name, rules); err != nil {
		return fmt.Errorf("make %s private: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[name].rules = rules
	return nil
}

// open makes the room, or makes one that is gone anew. Called with decisions held.
func (h *Hub) open(name RoomName, by Name) (*Room, error) {
	if err := h.registry.SaveRoom(name, "", by); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil {
		return h.addRoom(RoomState{Name: name, By: by}), nil
	}
	r.gone, r.by, r.topic, r.rules, r.said = false, by, "", Rules{}, nil
	return r, nil
}

// RemoveRoom puts everybody out of a room and forgets what is decided about it. What was said in it stays sealed, its
// count goes on when somebody makes a room of that name, and nobody reads what was before that.
// Errors: ErrNoRoom, ErrGeneral, those of a check, the registry's.
func (h *Hub) RemoveRoom(ctx context.Context, name RoomName) error {
	if name == General {
		return ErrGeneral.With("#general is everybody's room and cannot be closed")
	}
	h.decisions.Lock()
	defer h.decisions.Unlock()
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r == nil || name.IsDirect() {
		return noRoom(Name{}, name)
	}
	r.deciding.Lock()
	defer r.deciding.Unlock()
	if err := checked(ctx); err != nil { // here no join is on its way any more: who closes an empty room closes nobody's
		return err
	}
	h.mu.RLock()
	members, gone := slices.Collect(maps.Keys(r.members)), r.gone
	h.mu.RUnlock()
	if gone {
		return noRoom(Name{}, name)
	}
	if err := h.registry.RemoveRoom(name); err != nil {
		return fmt.Errorf("remove %s: %w", name, err)
	}
	h.mu.Lock()
	r.gone, r.closed = true, time.Now() // joins on their way are refused from here on
	h.mu.Unlock()
	for _, member := range members {
		if err := h.submit(context.WithoutCancel(ctx), &request{event: Event{Room: name, Change: Leave, Name: member}}); err != nil {
			return err
		}
	}
	return nil
}

// Notify tells a room what by did; it is not stored, and not shown to who ignores by. It is the server's if by is zero.
func (h *Hub) Notify(by Name, name RoomName, format string, args ...any) {
	h.mu.RLock()
	r := h.rooms[name]
	h.mu.RUnlock()
	if r != nil {
		h.tell(r.Log, Message{Room: name, From: by, Kind: Notice, Text: text.Sprintf(format, args...)})
	}
}

// tooSoon refuses a message in a slow room and notes one that is not refused. Called with the hub's mu held.
func (r *Room) tooSoon(from Name, at time.Time) error {
	slow := r.rules.Slow
	if slow <= 0 || r.moderates(from) {
		return nil
	}
	if wait := slow - at.Sub(r.said[from]); wait > 0 && wait <= slow {
		return ErrSlow.With("not sent: %s is slow; you may speak in %v", r.Name.For(from), (wait + time.Second - 1).Truncate(time.Second))
	}
	if r.said == nil {
		r.said = make(map[Name]time.Time)
	}
	r.said[from] = at
	return nil
}
