package chat

import "fmt"

// apply takes over a batch that came out of the journal, and answers. It reads no clock and asks for nothing: hubs
// that apply the same batches have the same rooms.
func (h *sequencer) apply(b Batch) error {
	if b.N != h.applied+1 {
		return fmt.Errorf("batch %d does not follow batch %d, so nothing more is applied", b.N, h.applied)
	}
	h.applied, h.latest = b.N, b.At
	if before := h.state.Load(); b.After != before {
		h.decided(before, b)
	}
	if len(b.Counts) > 0 && h.counter != nil {
		h.counter.Take(b.Counts, b.At.counted())
	}
	h.show(b.Events)
	h.shown.Store(b.N)
	h.showWaiting()
	for _, a := range b.Answers {
		h.complete(a, b.Events)
	}
	return nil
}

// decided takes over what was decided: rooms first, then the followers.
func (h *sequencer) decided(before *State, b Batch) {
	h.mu.Lock()
	h.state.Store(b.After)
	for name := range before.rooms {
		if b.After.rooms[name] == nil {
			h.rooms[name].decided(nil, b.At.Wall)
		}
	}
	for name, is := range b.After.rooms {
		if before.rooms[name] == is {
			continue
		}
		r := h.rooms[name]
		if r == nil {
			r = h.addRoom(name, nil, 0)
		}
		r.decided(is, b.At.Wall)
		r.roster.changed()
	}
	h.mu.Unlock()
	for _, name := range b.After.changedSince(before) {
		h.changed(name)
	}
	for _, f := range h.followers {
		f(View{before, b.At}, View{b.After, b.At})
	}
}

// show appends messages to the logs, once per room if possible, so that a batch wakes a reader once. It applies joins and
// parts in between, in order.
func (h *sequencer) show(events []Event) {
	changes := h.changesRooms(events)
	lock, unlock := h.mu.RLock, h.mu.RUnlock
	if changes {
		lock, unlock = h.mu.Lock, h.mu.Unlock
	}
	lock()
	defer unlock()
	said := h.said
	for i := range events {
		e := &events[i]
		switch e.Change {
		case NoChange:
			if e.Stored != nil {
				continue // it is for the journal
			}
			if r := h.rooms[e.Room]; changes && r != nil && r.joinPending(e.Message.From) {
				h.appendTo(e.Room, said)
				h.showJoin(r, e.Message.From)
			}
			said[e.Room] = append(said[e.Room], e.Message)
		case Join:
			h.appendTo(e.Room, said)
			h.addMember(h.rooms[e.Room], e.Name, e.Since)
		case Leave:
			h.appendTo(e.Room, said)
			h.removeMember(h.rooms[e.Room], e.Name)
		}
	}
	for room := range said {
		h.appendTo(room, said)
	}
	const kept = 64 // rooms
	if len(said) > kept {
		clear(said)
	}
}

// changesRooms reports whether the events have people come and go, or make direct rooms, or are from people whom their room has
// not been shown to have joined.
func (h *sequencer) changesRooms(events []Event) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for i := range events {
		e := &events[i]
		if e.Stored != nil {
			continue
		}
		r := h.rooms[e.Room]
		if r == nil || e.Change == Join || e.Change == Leave || r.joinPending(e.Message.From) {
			return true
		}
	}
	return false
}

// appendTo appends a room's messages to its log. Called with mu held: for writing, if the room is a direct one that does
// not exist yet.
func (h *sequencer) appendTo(room RoomName, said map[RoomName][]Message) {
	messages := said[room]
	if len(messages) == 0 {
		return
	}
	r := h.rooms[room]
	if r == nil {
		r = h.addDirect(room)
	}
	state := h.state.Load()
	h.displayMu.Lock()
	defer h.displayMu.Unlock()
	for i := range messages {
		messages[i].Color = state.Color(messages[i].From)
		h.displaySeq++
		messages[i].DisplaySeq = h.displaySeq
	}
	h.posted.Add(int64(len(messages)))
	r.Log.Append(messages...)
	if a, b, direct := room.Pair(); direct {
		notice := Message{Room: room, Kind: DirectNotice, Seq: messages[0].Seq}
		h.people[a].log.Append(notice)
		h.people[b].log.Append(notice)
	}
	clear(messages) // the log has copies
	said[room] = messages[:0]
}

// settle answers a request that is part of the log, if it was made here, and else notes that it is.
func (h *sequencer) complete(a Answer, events []Event) {
	if a.ID.Origin != h.requests.origin {
		h.requests.noteDone(a)
		return
	}
	if req := h.requests.take(a.ID); req != nil {
		if a.Event >= 0 {
			req.message = &events[a.Event].Message
		}
		close(req.done)
	}
}

// answer is called by Run, once for each request. What came through Order is closed by ask, which may send it again.
func (h *sequencer) answer(req *request, err error) {
	if !req.others {
		h.requests.close(req)
	}
	req.err = err
	close(req.done)
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
