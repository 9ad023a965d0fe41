package chat

import "time"

// Whoever changes their keys, or joins or leaves a room, has everybody's next window sealed anew in the rooms concerned: a
// head for each member is made and stored, and others wait for that. So a person is charged for it by what it costs, and
// may not do what can wait while they owe too much. What cannot wait, as the removal of a key, is done and charged.
const (
	headCharge    = 50 * time.Millisecond // for each member of each room concerned
	changesAtOnce = 3                     // of one's keys in all of one's rooms, from owing nothing
	freeDebt      = time.Minute           // who owes no more is never refused: in small rooms that is many changes
)

// ErrTooOften refuses a change of somebody who has made many.
var ErrTooOften = &Refusal{Code: Failed, Text: "you have changed your keys or rooms often, and in large rooms each change delays everyone"}

// debt is what a person owes; it is paid by waiting. The zero debt is none.
type debt struct {
	paid time.Time // when it is paid; past: it is
}

func (d *debt) left(now time.Time) time.Duration { return max(0, d.paid.Sub(now)) }

func (d *debt) charge(now time.Time, cost time.Duration) {
	d.paid = now.Add(d.left(now) + cost)
}

// refuse refuses a change that costs so much, while too much is owed.
func (d *debt) refuse(now time.Time, cost time.Duration) error {
	wait := d.left(now) - max((changesAtOnce-1)*cost, freeDebt)
	if wait <= 0 {
		return nil
	}
	return ErrTooOften.With("%s; try again in %s", ErrTooOften.Text, max(wait, time.Second).Round(time.Second))
}

// cost is that of a change of me's keys, in all rooms of theirs. Called with mu held.
func (h *decider) cost(p *person) (cost time.Duration) {
	for name := range p.rooms {
		if r := h.rooms[name]; r != nil {
			cost += r.cost()
		}
	}
	return cost
}

// cost is that of a change in the room. Called with the hub's mu held.
func (r *Room) cost() time.Duration { return time.Duration(len(r.members)) * headCharge }

// MayChangeKeys refuses me a change of keys that can wait, while what they owe for such changes is too much.
// Errors: ErrTooOften.
func (h *decider) MayChangeKeys(me Name) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	return p.debt.refuse(time.Now(), h.cost(p))
}

// chargeKeys charges me for a change of keys.
func (h *decider) chargeKeys(me Name) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.person(me)
	p.debt.charge(time.Now(), h.cost(p))
}

// cheapMove is what a join may cost that is never refused.
const cheapMove = time.Second

// mayMove refuses me to join the room, while what they owe is too much.
func (h *decider) mayMove(me Name, name RoomName) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	if r == nil || name == General || r.cost() <= cheapMove {
		return nil
	}
	p := h.person(me)
	return p.debt.refuse(time.Now(), max(r.cost(), h.cost(p)))
}

// chargeMove charges me for joining or leaving the room; #general is joined once.
func (h *decider) chargeMove(me Name, name RoomName) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.rooms[name]; r != nil && name != General {
		h.person(me).debt.charge(time.Now(), r.cost())
	}
}

// closedCounts is how long a room that was closed is one of those that its maker made: its number goes on, so something of
// it stays.
const closedCounts = time.Hour

// mayMake refuses me to make another room so soon after closing others.
func (h *decider) mayMake(me Name, name RoomName) error {
	made := 0
	h.mu.RLock()
	defer h.mu.RUnlock()
	if r := h.rooms[name]; r != nil && !r.gone {
		return nil
	}
	for _, r := range h.rooms {
		if r.by == me && (!r.gone || time.Since(r.closed) < closedCounts) {
			made++
		}
	}
	if made >= MaxMade {
		return ErrTooMany.Because("nobody makes more than %d, and one that was closed counts for an hour", MaxMade)
	}
	return nil
}
