package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"sshchat/sshchat/text"
)

// What one commit holds at most. The load makes the batches: while one is written, the next gathers.
const (
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
	housekeeping  = time.Minute // how often the journal is called when nothing happens
)

// request is one event on its way through the journal. The one who submits it waits on done.
type request struct {
	event    Event
	anothers bool         // of a Delete: what it means may be somebody else's
	check    func() error // asked at its place, of a message; nil: nobody
	done     chan error   // holds one; sent exactly once by Run
}

// Post says something in a room and returns it as stored, with its Seq. When Post returns nil the message
// survives a power cut and is in the room's log. A direct room comes to be with its first message.
//
// Errors: ErrNotIn, ErrStopping, ErrNotStored (nobody has seen it), or ctx's, and then it was not said.
func (h *Hub) Post(ctx context.Context, from Name, room RoomName, kind Kind, text Text) (Message, error) {
	if kind != Say && kind != Me { // it would fail the whole batch
		return Message{}, fmt.Errorf("internal error: a message of kind %q is not posted", kind)
	}
	if room.IsDirect() {
		h.makeDirect(from, room)
	}
	req := &request{event: Event{Room: room, Message: Message{Room: room, From: from, Kind: kind, Text: text}}}
	if err := h.say(ctx, req); err != nil {
		return Message{}, err
	}
	return req.event.Message, nil
}

// Amend replaces (Edit) or takes back (Delete) what from said in the room as message of, and returns the edit or
// deletion: a stored message itself. When it returns nil the log holds the message as it is now. What earlier sessions
// and files hold is not changed.
//
// Errors: ErrNoMessage, ErrNotYours, text.ErrEmpty where an edit leaves nothing, and those of Post.
func (h *Hub) Amend(ctx context.Context, from Name, room RoomName, kind Kind, of uint64, new Text) (Message, error) {
	switch {
	case kind == Delete:
		new = Text{}
	case kind != Edit:
		return Message{}, fmt.Errorf("internal error: a message of kind %q amends nothing", kind)
	case new.IsEmpty():
		return Message{}, text.ErrEmpty
	}
	return h.amend(ctx, &request{event: Event{Room: room, Message: Message{Room: room, From: from, Kind: kind, Of: of, Text: new}}})
}

// Remove is Amend's Delete by somebody who may delete the messages of others; the caller has seen to that. by must be
// in the room.
func (h *Hub) Remove(ctx context.Context, by Name, room RoomName, of uint64) (Message, error) {
	return h.amend(ctx, &request{anothers: true, event: Event{Room: room, Message: Message{Room: room, From: by, Kind: Delete, Of: of}}})
}

func (h *Hub) amend(ctx context.Context, req *request) (Message, error) {
	if req.event.Message.Of == 0 {
		return Message{}, noMessage(req.event.Message.From, req.event.Room)
	}
	if err := h.say(ctx, req); err != nil {
		return Message{}, err
	}
	return req.event.Message, nil
}

// Author is who said message of of the room; ok is false if it is not in memory.
func (h *Hub) Author(room RoomName, of uint64) (name Name, ok bool) {
	h.mu.RLock()
	r := h.rooms[room]
	h.mu.RUnlock()
	if r == nil {
		return Name{}, false
	}
	m, kept := r.Log.find(of)
	return m.From, kept
}

// Last is the newest message that me said in the room, has not deleted, and that is in memory: what /edit means.
func (h *Hub) Last(me Name, room RoomName) (Message, bool) {
	for _, m := range slices.Backward(h.Before(me, room, 0, LogLines)) {
		if m.From == me && m.said() {
			return m, true
		}
	}
	return Message{}, false
}

func (h *Hub) makeDirect(from Name, room RoomName) {
	if room.Other(from).IsZero() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rooms[room] != nil {
		return
	}
	r := h.addRoom(RoomState{Name: room})
	for name := range r.members {
		if h.people[name].sessions > 0 {
			r.here++
		}
	}
}

// say has a message committed.
func (h *Hub) say(ctx context.Context, req *request) error {
	if err := h.await(ctx, req.event.Room, NoChange); err != nil {
		return err
	}
	req.check = func() error { return checked(ctx) }
	return h.submit(ctx, req)
}

// await waits, in who wants the event, until the journal is prepared for it.
func (h *Hub) await(ctx context.Context, room RoomName, change Change) error {
	p, ok := h.journal.(Preparer)
	if !ok {
		return nil
	}
	prepared := p.Prepared(room, change)
	if prepared == nil {
		return nil
	}
	select {
	case <-prepared:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
}

// submit queues the request and waits until it is committed: once it is queued also beyond the end of ctx, so that
// whoever is cut off, as by a server that stops, knows what was said and what was not.
func (h *Hub) submit(ctx context.Context, req *request) error {
	req.done = make(chan error, 1)
	select {
	case h.queue <- req:
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
	select {
	case err := <-req.done:
		return err
	case <-h.stop:
		select {
		case err := <-req.done: // answered just before the end
			return err
		default:
			return ErrStopping
		}
	}
}

// Run is the journal's goroutine: it commits what is posted, appends it to the logs and answers the posters.
// It returns nil when ctx ends, after committing what was queued, and an error that wraps ErrJournalDead
// when the journal can store nothing more; then the rooms have been told.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.stop)
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var presence <-chan time.Time
	for {
		var batch []*request
		select {
		case req := <-h.queue:
			batch = h.drain(req)
		case <-tick.C:
			h.releaseIdle(time.Now())
		case <-h.stirred:
			if presence == nil {
				presence = time.After(presenceDelay)
			}
			continue
		case <-presence:
			presence = nil
			h.tellPresence()
			continue
		case <-ctx.Done():
			return h.finish()
		}
		if err := h.commit(batch); errors.Is(err, ErrJournalDead) {
			h.Announce(text.Sprintf("The server can store nothing more and is stopping. What you see above is stored."))
			return err
		}
	}
}

// finish commits what had been queued when the server was told to stop.
func (h *Hub) finish() error {
	for {
		select {
		case req := <-h.queue:
			if err := h.commit(h.drain(req)); errors.Is(err, ErrJournalDead) {
				return err
			}
		default:
			return nil
		}
	}
}

// drain returns first and what else is waiting, up to a full batch.
func (h *Hub) drain(first *request) []*request {
	batch, bytes := []*request{first}, first.event.Message.size()
	for len(batch) < maxBatch && bytes < maxBatchBytes {
		select {
		case req := <-h.queue:
			batch = append(batch, req)
			bytes += req.event.Message.size()
		default:
			return batch
		}
	}
	return batch
}

// commit stores a batch, shows it and answers each poster: in this order, so that nobody sees
// what a power cut could take back.
func (h *Hub) commit(batch []*request) error {
	staged := h.stage(admissible(batch))
	if len(staged) == 0 && len(batch) > 0 {
		return nil
	}
	events := slices.Clone(h.owed)
	for _, req := range staged {
		events = append(events, req.event)
	}
	if showFirst {
		h.show(events)
	}
	if err := h.journal.Commit(events); err != nil {
		h.failures.note(time.Now(), h.log, err)
		h.refuse(staged, events)
		return err
	}
	h.failures.over(h.log)
	h.owed = nil
	if !showFirst {
		h.show(events)
	}
	for _, req := range staged {
		req.done <- nil
	}
	h.warnUnreadable(events)
	return nil
}

// logFailure is how often the log is told of failures, at most.
const logFailure = time.Minute

// failures are the commits that have failed in a row.
type failures struct {
	times  int
	told   bool      // the log knows of these
	logged time.Time // when it was last told of any
}

func (f *failures) note(at time.Time, log *slog.Logger, err error) {
	f.times++
	if at.Sub(f.logged) >= logFailure || errors.Is(err, ErrJournalDead) {
		f.logged, f.told = at, true
		log.Error("nothing can be stored, and messages are refused", "batches", f.times, "err", err)
	}
}

func (f *failures) over(log *slog.Logger) {
	if f.told {
		log.Info("messages are stored again", "refused batches", f.times)
	}
	f.times, f.told = 0, false
}

// refuse answers a batch that was not stored. Its messages are as if they had not been said. Its changes hold all the
// same, as the registry has them: the journal gets them again ahead of any message, so that it never seals
// to somebody who has left.
func (h *Hub) refuse(staged []*request, events []Event) {
	h.unstage(staged)
	h.owed = slices.DeleteFunc(events, func(e Event) bool { return e.Change == NoChange })
	for _, req := range staged {
		if req.event.Change == NoChange {
			req.done <- ErrNotStored // the cause is for the log; the poster learns what it means
		} else {
			req.done <- nil
		}
	}
}

// admissible answers the messages that a check refuses by now, and returns the rest.
func admissible(batch []*request) []*request {
	return slices.DeleteFunc(batch, func(req *request) bool {
		if req.check == nil {
			return false
		}
		err := req.check()
		if err != nil {
			req.done <- err
		}
		return err != nil
	})
}

// stage gives each event its place: messages a time and a Seq, changes of readers their effect, in order.
// Who may not speak is answered here; what remains is returned.
func (h *Hub) stage(batch []*request) []*request {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := now()
	staged := batch[:0:0]
	deleted := make(map[inRoom]bool) // by this batch, so that the log does not tell yet
	for _, req := range batch {
		e := &req.event
		r := h.rooms[e.Room]
		if r == nil || r.gone && e.Change == Join {
			req.done <- NotIn(e.Message.From, e.Room)
			continue
		}
		switch e.Change {
		case NoChange:
			if err := r.refuse(req, at, deleted); err != nil {
				req.done <- err
				continue
			}
			r.seq++
			e.Message.Seq, e.Message.At = r.seq, at
		case Join:
			h.enter(r, e.Name)
		case Leave:
			h.leave(r, e.Name)
		}
		staged = append(staged, req)
	}
	return staged
}

// inRoom is a message by its place.
type inRoom struct {
	room RoomName
	seq  uint64
}

// refuse tells why a message is not to be: its author is not in the room, or what it amends is not there to be amended.
// Called with the hub's mu held.
func (r *Room) refuse(req *request, at time.Time, deleted map[inRoom]bool) error {
	m := &req.event.Message
	since, in := r.members[m.From]
	if !in {
		return NotIn(m.From, r.Name)
	}
	if m.Of == 0 {
		return r.tooSoon(m.From, at)
	}
	if err := r.misses(req, since, deleted); err != nil {
		return err
	}
	if m.Kind == Edit { // it is said anew
		return r.tooSoon(m.From, at)
	}
	deleted[inRoom{r.Name, m.Of}] = true
	return nil
}

// misses tells why the message that an edit or a deletion means cannot be amended. Called with the hub's mu held.
func (r *Room) misses(req *request, since uint64, deleted map[inRoom]bool) error {
	m := &req.event.Message
	meant := inRoom{r.Name, m.Of}
	old, kept := r.Log.find(m.Of)
	switch {
	case !kept || !old.said() || m.Of < since || deleted[meant]:
		return noMessage(m.From, r.Name)
	case old.From != m.From && !req.anothers:
		return ErrNotYours
	}
	return nil
}

// unstage takes back what stage gave out: Seqs, and the first lines of those who joined among them.
// Who joined stays joined, as the registry has it.
func (h *Hub) unstage(staged []*request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, req := range staged {
		r := h.rooms[req.event.Room]
		r.seq = r.Log.Last()
		for name, since := range r.members {
			r.members[name] = min(since, r.seq+1)
		}
	}
}

// show appends what was committed to the logs: each room's log once, so that a batch wakes a reader once.
func (h *Hub) show(events []Event) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	h.orderMu.Lock()
	defer h.orderMu.Unlock()
	byRoom := make(map[RoomName][]Message)
	for _, e := range events {
		if e.Change == NoChange {
			h.order++
			h.posted.Add(1)
			e.Message.Order = h.order
			byRoom[e.Room] = append(byRoom[e.Room], e.Message)
		}
	}
	for name, messages := range byRoom {
		h.rooms[name].Log.Append(messages...)
		if a, b, direct := name.Pair(); direct {
			knock := Message{Room: name, Kind: Knock, Seq: messages[0].Seq}
			h.people[a].log.Append(knock)
			h.people[b].log.Append(knock)
		}
	}
}

// enter is called with mu held.
func (h *Hub) enter(r *Room, name Name) {
	p := h.person(name)
	r.members[name] = r.seq + 1
	if p.sessions > 0 {
		r.here++
	}
	p.rooms[r.Name] = h.tell(p.log, Message{Room: r.Name, Kind: Joined})
	h.stir(r, name, true)
}

// leave is called with mu held.
func (h *Hub) leave(r *Room, name Name) {
	if _, in := r.members[name]; !in {
		return
	}
	p := h.person(name)
	delete(r.members, name)
	delete(p.rooms, r.Name)
	if p.sessions > 0 {
		r.here--
	}
	h.tell(p.log, Message{Room: r.Name, Kind: Parted})
	h.stir(r, name, false)
}

// Announce tells everybody who is there something that is not stored.
func (h *Hub) Announce(text Text) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, p := range h.people {
		if p.sessions > 0 {
			h.tell(p.log, Message{Kind: Notice, Text: text})
		}
	}
}

// Tell tells one person something that is not stored.
func (h *Hub) Tell(name Name, format string, args ...any) {
	h.mu.RLock()
	p := h.people[name]
	h.mu.RUnlock()
	if p != nil {
		h.tell(p.log, Message{Kind: Notice, Text: text.Sprintf(format, args...)})
	}
}
