package chat

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Decisions keeps the State: it is the seam between the chat and what stores what was decided.
type Decisions interface {
	// View is the State that survives a power cut, as it stands now.
	View() View
	// Decide checks an intent at its place in the order, and returns a State that has it once that survives a power cut.
	// If Check refuses, or nothing can be stored, nothing is changed.
	Decide(who Caller, in Intent) (*State, error)
	// Follow has f called after each step from one durable State to the next, in order, and before those who asked for
	// it are answered. It is called once, before anything is decided.
	Follow(f func(before, after View))
}

// decider has intents decided, and derives what follows from the State.
type decider struct {
	*sequencer
	decisions Decisions
	followed  *request               // guarded by mu; the latest event that follows from a decision; nil: there was none
	rekeying  map[Name]chan struct{} // guarded by mu; each closed by rekey when it is done
	followers []func(before, after View)
}

// View is the State as it stands now.
func (h *decider) View() View { return h.decisions.View() }

// Decide has something decided, and returns when it holds everywhere: in the State, which has survived a power cut then, in
// the rooms, in the window of history that is open, and in all sessions. What delays others in large rooms waits its turn
// first, and is charged to who asks.
//
// Errors: the Refusals of Check; ErrTooOften, ErrSlow; ErrStopping; those of Decisions; ctx's if it ended before anything was
// decided. If it ends later Decide returns at once, and what follows goes on.
func (h *decider) Decide(ctx context.Context, who Caller, in Intent) error {
	if _, err := h.View().Check(who, in); err != nil { // known without the wait; asked again at its place
		return err
	}
	if err := h.mayPay(who, in); err != nil {
		return err
	}
	in, err := h.ready(ctx, who, in)
	if err != nil {
		return err
	}
	before := h.View().State
	after, err := h.decisions.Decide(who, in)
	if err != nil {
		return err
	}
	h.pay(who, in)
	if in, ok := in.(SetTopic); ok {
		h.tellTopic(who.Name, in)
	}
	return h.settle(ctx, before, after)
}

func (h *decider) tellTopic(by Name, in SetTopic) {
	if in.Topic == "" {
		h.Notify(by, in.Room, "%s cleared the topic", by)
		return
	}
	h.Notify(by, in.Room, "%s set the topic: %s", by, in.Topic)
}

// ready waits until an intent that can wait delays nobody, and says in it from which message on somebody joins.
func (h *decider) ready(ctx context.Context, who Caller, in Intent) (Intent, error) {
	switch in := in.(type) {
	case JoinRoom:
		if h.In(who.Name, in.Room) {
			return in, nil
		}
		_, in.There = h.View().Room(in.Room)
		in.There = in.There || in.Room == General
		err := h.await(ctx, in.Room, Join)
		in.Since = h.next(in.Room)
		return in, err
	case CreateAccount:
		in.Since = h.next(General)
	case LeaveRoom:
		return in, h.await(ctx, in.Room, Leave)
	case SetTopic: // it is said to the room, so a slow room slows it
		return in, h.mayTell(who.Name, in.Room)
	}
	return in, nil
}

// next is the Seq that the room's next message has at the earliest.
func (h *decider) next(room RoomName) uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if r := h.rooms[room]; r != nil {
		return r.Log.Last() + 1
	}
	return 1
}

// settle waits until everyone who follows has what led from one State to the other.
func (h *decider) settle(ctx context.Context, before, after *State) error {
	h.mu.RLock()
	last := h.followed
	h.mu.RUnlock()
	if last != nil {
		if err := h.answered(last); err != nil {
			return err
		}
	}
	h.mu.RLock()
	rekeying := len(h.rekeying) > 0
	h.mu.RUnlock()
	if !rekeying { // as nearly always: nothing is compared for it
		return nil
	}
	for name := range after.readersChanged(before) {
		if err := h.wait(ctx, name); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil // also for a caller who is gone: it is decided, and goes on
}

// wait waits until what is said in name's rooms is sealed to their present keys.
func (h *decider) wait(ctx context.Context, name Name) error {
	h.mu.RLock()
	rekeyed := h.rekeying[name]
	h.mu.RUnlock()
	if rekeyed == nil {
		return nil
	}
	select {
	case <-rekeyed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
}

// Follow has f called after each step from one State to the next, when the rooms have followed. It is to be called before
// Run.
func (h *decider) Follow(f func(before, after View)) { h.followers = append(h.followers, f) }

// follow derives what a step from one State to the next means: for rooms, for the readers of what is said in them, and for
// sessions. Nobody is told of a decision otherwise.
func (h *decider) follow(before, after View) {
	h.mu.Lock()
	events := h.followRooms(before.State, after.State)
	h.mu.Unlock()
	rekeys := make(map[Name]bool)
	for name, change := range after.readersChanged(before.State) {
		if change == Rekey {
			rekeys[name] = true
			continue
		}
		for _, room := range h.RoomsOf(name) {
			events = append(events, Event{Room: room, Change: Revoke, Name: name})
		}
	}
	for _, e := range events {
		req := newRequest(e)
		select {
		case h.queue <- req:
			h.mu.Lock()
			h.followed = req
			h.mu.Unlock()
		case <-h.stop:
			return
		}
	}
	if len(rekeys) > 0 {
		h.rekey(rekeys)
	}
	for _, name := range after.changedSince(before.State) {
		h.changed(name)
	}
	for _, f := range h.followers {
		f(before, after)
	}
}

// followRooms takes over what is decided about rooms, and returns who joins and leaves. Called with mu held.
func (h *decider) followRooms(before, after *State) (events []Event) {
	for name, was := range before.rooms {
		if after.rooms[name] == nil {
			for _, m := range was.Members {
				events = append(events, Event{Room: name, Change: Leave, Name: m.Name})
			}
			h.rooms[name].close()
		}
	}
	for name, is := range after.rooms {
		was := before.rooms[name]
		if was == is {
			continue
		}
		r := h.rooms[name]
		if r == nil {
			r = h.addRoom(RoomState{Name: name})
		}
		var members []Member
		if was != nil {
			members = was.Members
		}
		r.decided(is)
		joined, left := differ(members, is.Members)
		for _, n := range left {
			events = append(events, Event{Room: name, Change: Leave, Name: n})
		}
		for _, n := range joined {
			events = append(events, Event{Room: name, Change: Join, Name: n})
		}
	}
	return events
}

// differ compares lists of members. What they begin and end with in common costs next to nothing.
func differ(before, after []Member) (joined, left []Name) {
	for len(before) > 0 && len(after) > 0 && before[0].Name == after[0].Name {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1].Name == after[len(after)-1].Name {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	was := make(map[Name]bool, len(before))
	for _, m := range before {
		was[m.Name] = true
	}
	for _, m := range after {
		if !was[m.Name] {
			joined = append(joined, m.Name)
		}
		delete(was, m.Name)
	}
	for _, m := range before {
		if was[m.Name] {
			left = append(left, m.Name)
		}
	}
	return joined, left
}

// rekey has what is said in the people's rooms sealed to their present keys, room by room as each gets ready. It is done
// in the background, since nobody is harmed meanwhile: they read what they read before.
func (h *decider) rekey(people map[Name]bool) {
	done := make(chan struct{})
	h.mu.Lock()
	for name := range people {
		h.rekeying[name] = done
	}
	h.mu.Unlock()
	go func() { // ends with its work, or with Run
		defer h.rekeyed(people, done)
		for name := range people {
			for _, room := range h.RoomsOf(name) {
				ctx := context.Background()
				if h.await(ctx, room, Rekey) != nil || errors.Is(h.submit(ctx, newRequest(Event{Room: room, Change: Rekey, Name: name})), ErrStopping) {
					return
				}
			}
		}
	}()
}

func (h *decider) rekeyed(people map[Name]bool, done chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range people {
		if h.rekeying[name] == done {
			delete(h.rekeying, name)
		}
	}
	close(done)
}

// Reseal has what is said in name's rooms sealed to them again, to whom nothing was sealed for they were away for long. It
// returns when that is so, or ctx has ended; then it goes on.
func (h *decider) Reseal(ctx context.Context, name Name) error {
	h.rekey(map[Name]bool{name: true})
	return h.wait(ctx, name)
}

// changedSince lists people whose account is another than before, or new.
func (s *State) changedSince(before *State) []Name {
	var names []Name
	for i, a := range s.accounts {
		if i < len(before.accounts) && before.accounts[i] == a {
			continue
		}
		if j, ok := before.byID[a.ID]; ok && (before.accounts[j] == a || before.accounts[j].same(a)) {
			continue
		}
		names = append(names, a.Name)
	}
	return names
}

// readersChanged is what has to follow for people who read otherwise than before: Rekey or Revoke. They are known by their
// names, as the members of rooms are: a hand edit may give a name another ID, or swap two. Who is gone reads nothing any
// more, also of what two people said, where no membership ends. Bans that have ended count until Expire lets go of them.
func (s *State) readersChanged(before *State) map[Name]Change {
	changed := make(map[Name]Change)
	was, is := View{State: before}, View{State: s}
	compare := func(a *Account) {
		if old := before.named(a.Name); old != nil {
			if change := is.Reading(*a).Change(was.Reading(*old)); change != NoChange {
				changed[a.Name] = change
			}
		}
	}
	for i, a := range before.accounts {
		if (i >= len(s.accounts) || s.accounts[i] != a) && s.named(a.Name) == nil {
			changed[a.Name] = Revoke
		}
	}
	if !shared(s.bans.list, before.bans.list) && !slices.Equal(s.bans.list, before.bans.list) {
		for _, a := range s.accounts {
			compare(a)
		}
		return changed
	}
	for _, name := range s.changedSince(before) {
		compare(s.named(name))
	}
	return changed
}

// mayPay refuses what delays others in large rooms to somebody who did so often. What cannot wait is not refused.
func (h *decider) mayPay(who Caller, in Intent) error {
	switch in := in.(type) {
	case AddKeys:
		if who.Login.Account == in.ID {
			return h.MayChangeKeys(who.Name)
		}
	case SetPassword:
		return h.MayChangeKeys(who.Name)
	case JoinRoom:
		return cmp.Or(h.mayMake(who.Name, in.Room), h.mayMove(who.Name, in.Room))
	}
	return nil
}

// pay charges what was done to who asked for it.
func (h *decider) pay(who Caller, in Intent) {
	switch in := in.(type) {
	case AddKeys:
		if who.Login.Account == in.ID {
			h.chargeKeys(who.Name)
		}
	case RemoveKey:
		if who.Login.Account == in.ID {
			h.chargeKeys(who.Name)
		}
	case SetPassword:
		h.chargeKeys(who.Name)
	case JoinRoom:
		h.chargeMove(who.Name, in.Room)
	case LeaveRoom:
		h.chargeMove(who.Name, in.Room)
	}
}
