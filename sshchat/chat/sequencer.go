package chat

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

// What one commit holds at most. The load makes the batches: while one is written, the next gathers.
const (
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
	housekeeping  = time.Minute // how often the journal is called when nothing happens
)

// sequencer brings what happens into one order: it commits events to the journal, batch by batch, and then shows them.
type sequencer struct {
	*presence
	journal  Journal
	log      *slog.Logger
	queue    chan *request        // read by Run alone; never closed
	stop     chan struct{}        // closed by Run when it ends: nothing is taken any more
	posted   atomic.Int64         // messages shown since the start
	owed     []Event              // changes the journal has not taken yet, which come before any other; owned by Run
	warnings map[warned]time.Time // when each was last given; owned by Run
	failures failures             // owned by Run
	idle     idleRooms            // owned by Run
}

// request is one event on its way through the journal. Whoever wants to know waits on done.
type request struct {
	event    Event
	anothers bool         // of a Delete: what it means may be somebody else's
	check    func() error // asked at its place, of a message; nil: nobody

	done chan struct{} // closed by Run, after err is set
	err  error
}

func newRequest(e Event) *request { return &request{event: e, done: make(chan struct{})} }

// answer is called by Run, once.
func (r *request) answer(err error) {
	r.err = err
	close(r.done)
}

// say has a message committed.
func (h *sequencer) say(ctx context.Context, req *request) error {
	if err := h.await(ctx, req.event.Room, NoChange); err != nil {
		return err
	}
	req.check = func() error { return checked(ctx) }
	return h.submit(ctx, req)
}

// await waits, in who wants the event, until the journal is prepared for it.
func (h *sequencer) await(ctx context.Context, room RoomName, change Change) error {
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
func (h *sequencer) submit(ctx context.Context, req *request) error {
	select {
	case h.queue <- req:
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
	return h.answered(req)
}

// answered waits for the answer to a request that is queued.
func (h *sequencer) answered(req *request) error {
	select {
	case <-req.done:
		return req.err
	case <-h.stop:
		select {
		case <-req.done: // answered just before the end
			return req.err
		default:
			return ErrStopping
		}
	}
}

// Run is the journal's goroutine: it commits what is posted, appends it to the logs and answers the posters.
// It returns nil when ctx ends, after committing what was queued, and an error that wraps ErrJournalDead
// when the journal can store nothing more; then the rooms have been told.
func (h *sequencer) Run(ctx context.Context) error {
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
func (h *sequencer) finish() error {
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
func (h *sequencer) drain(first *request) []*request {
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
func (h *sequencer) commit(batch []*request) error {
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
		req.answer(nil)
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
func (h *sequencer) refuse(staged []*request, events []Event) {
	h.unstage(staged)
	h.owed = slices.DeleteFunc(events, func(e Event) bool { return e.Change == NoChange })
	for _, req := range staged {
		if req.event.Change == NoChange {
			req.answer(ErrNotStored) // the cause is for the log; the poster learns what it means
		} else {
			req.answer(nil)
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
			req.answer(err)
		}
		return err != nil
	})
}

// stage gives each event its place: messages a time and a Seq, changes of readers their effect, in order.
// Who may not speak is answered here; what remains is returned.
func (h *sequencer) stage(batch []*request) []*request {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := now()
	staged := batch[:0:0]
	deleted := make(map[inRoom]bool) // by this batch, so that the log does not tell yet
	for _, req := range batch {
		e := &req.event
		r := h.rooms[e.Room]
		if r == nil {
			req.answer(NotIn(e.Message.From, e.Room))
			continue
		}
		switch e.Change {
		case NoChange:
			if err := r.refuse(req, at, deleted); err != nil {
				req.answer(err)
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
func (h *sequencer) unstage(staged []*request) {
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
func (h *sequencer) show(events []Event) {
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

// Posted is how many messages were stored and shown since the start.
func (h *sequencer) Posted() int64 { return h.posted.Load() }
