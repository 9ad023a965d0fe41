package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"sshchat/sshchat/text"
)

// What one batch holds at most. The load makes the batches: while one is written, the next gathers.
const (
	maxBatch      = 1024
	maxBatchBytes = 1 << 20
	housekeeping  = time.Minute // how often the journal is called when nothing happens
)

// sequencer brings all that is wanted into one order, messages and decisions alike: it checks each request at its place,
// appends what is allowed to the journal, batch by batch, and applies what comes out of it.
type sequencer struct {
	*notices
	journal       Journal
	log           *slog.Logger
	clock         func() Moment
	state         atomic.Pointer[State] // what has been decided; written only by Run
	requests      requests
	leader        Leader          // where requests are ordered; nil: here
	queue         chan *request   // read by Run alone; never closed
	awaitPrepared chan RoomName   // read by Run alone: the journal is ready for the messages that wait in a room
	asks          chan struct{}   // read by Run alone: somebody asks whether it answers
	stop          chan struct{}   // closed by Run when it ends: nothing is taken any more
	lost          context.Context // ends with LoseLog: nothing that comes from elsewhere is applied any more
	loseLog       func()          // ends lost
	running       context.Context // ends with Run, after stop is closed
	ended         func()          // ends running
	posted        atomic.Int64    // messages shown since the start
	setBack       atomic.Int64    // times that the clock was set back
	followers     []func(before, after View)
	counter       Counter                                   // of attempts; nil: they are counted elsewhere
	pace          func(ctx context.Context, who Name) error // waits for it; nil: everybody says what they like
	reseal        func(people map[Name]bool)                // seals new messages in their rooms to their present keys, in the background

	// Owned by Run:

	applied  uint64 // the last batch that was applied
	latest   Moment // of the last batch
	warnings warnings
	failures failures
	waiting  postponed
	idle     idleRooms

	adopted    uint64    // rooms whose memory is another node's
	restored   bool      // rooms hold what they held before a restart, and not all were looked at since
	restoredBy time.Time // when they are; zero: not set yet

	// Memory that one batch after another uses:

	drained []*request
	ordered map[RoomName]*orderedRoom
	said    map[RoomName][]Message
}

// Leader is where the hub's requests are ordered: at the hub that leads, which may be this one, and may change.
type Leader interface {
	// Order returns nil once the request is part of the log, or was before. Errors: its refusal; ErrNoAnswer if the
	// outcome is unknown, so that it has to be sent again; ErrStopping. While no hub leads it waits, and returns ErrNoLeader
	// now and then. Its ctx ends with the hub's Run.
	Order(ctx context.Context, r Request) error
	// Here reports whether this hub orders requests at the moment. It is cheap, and may be called from any goroutine.
	Here() bool
}

// ErrNoAnswer is wrapped by an error of Leader.Order when it is not known whether the request is part of the log.
var ErrNoAnswer = errors.New("no answer")

// ErrNoLeader is an ErrNoAnswer of Leader.Order: nobody was asked.
var ErrNoLeader = fmt.Errorf("%w: no hub leads", ErrNoAnswer)

// Here implements Leader: it reports whether requests are ordered here.
func (h *sequencer) Here() bool { return h.leader == nil || h.leader.Here() }

// View is the State as it stands now.
func (h *sequencer) View() View { return View{State: h.state.Load(), At: h.clock()} }

// Follow registers f, which is called after each step from one State to the next, after the rooms were updated and before
// any request is answered. Call it before Run. f must not wait for a request.
func (h *sequencer) Follow(f func(before, after View)) { h.followers = append(h.followers, f) }

// awaitEvent waits, in the requester's goroutine, until the journal is prepared for the event.
func (h *sequencer) awaitEvent(ctx context.Context, room RoomName, change Change) error {
	p, ok := h.journal.(Preparer)
	if !ok || !h.Here() {
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

// submit has a request ordered and waits until it is part of the log and applied here. Once it is queued it waits even
// beyond the end of ctx, so that users who are disconnected, as when the server stops, know what was sent and what was
// not.
func (h *sequencer) submit(ctx context.Context, req *request) error {
	h.requests.open(req)
	if h.leader != nil {
		return h.ask(ctx, req)
	}
	err := h.enqueue(ctx, req)
	if err != nil {
		h.requests.close(req)
		return err
	}
	return h.answered(req)
}

// enqueue hands the request to Run: at once if there is room, even if the caller is gone by now.
func (h *sequencer) enqueue(ctx context.Context, req *request) error {
	select {
	case h.queue <- req:
		return nil
	default:
	}
	select {
	case h.queue <- req:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.stop:
		return ErrStopping
	}
}

// resendAfter is the longest pause before a request is sent again.
const resendAfter = 100 * time.Millisecond

// ask has the leader order a request, and sends it again as long as it is not known what became of it, and ctx has not ended.
// An answer that is on its way is waited for even then.
func (h *sequencer) ask(ctx context.Context, req *request) error {
	asked := false // somebody was: it may be part of the log
	for pause := time.Duration(0); ; pause = min(2*pause+time.Millisecond, resendAfter) {
		err := h.leader.Order(h.running, req.Request)
		switch {
		case err == nil, h.running.Err() != nil && errors.Is(err, context.Canceled):
			return unlessAsked(h.answered(req), true) // or it is not answered, for Run has ended
		case !errors.Is(err, ErrNoAnswer):
			h.requests.close(req)
			if asked && h.lost.Err() != nil { // what became of it the first time this hub does not learn
				return ErrNotKnown
			}
			return unlessAsked(err, asked)
		}
		asked = asked || !errors.Is(err, ErrNoLeader)
		select {
		case <-req.done: // it is part of the log
			return req.err
		case <-ctx.Done():
			h.requests.close(req) // it is not sent again
			return ctx.Err()
		case <-h.stop:
			return unlessAsked(ErrStopping, asked)
		case <-time.After(pause):
		}
	}
}

// unlessAsked is the error of a request of this hub, which stops: if a leader was asked, it does not learn any more what became of it.
func unlessAsked(err error, asked bool) error {
	if asked && errors.Is(err, ErrStopping) {
		return ErrNotKnown.With("it is not known whether this was stored: this server is stopping. Look on another server before you try again")
	}
	return err
}

// errNoRequest refuses what no hub asks another for.
var errNoRequest = errors.New("internal error: another hub cannot ask for that")

// asks reports whether the event may be asked for by another hub: everything else follows from an intent.
func (e *Event) asks() bool {
	return (e.Change == Rekey) == (e.Stored == nil) && (e.Change == Rekey || e.Change == NoChange)
}

// order has a request that a Leader was asked for ordered here, and waits until it is part of the log and applied here.
func (h *sequencer) order(ctx context.Context, r Request) (*request, error) {
	if !r.IsOne() || r.Event != nil && !r.Event.asks() {
		return nil, errNoRequest
	}
	if room, change := r.delays(); change != NoChange && r.ID.Origin != h.requests.origin {
		if err := h.awaitEvent(ctx, room, change); err != nil {
			return nil, err
		}
	}
	if err := keepPace(ctx, h, &r); err != nil {
		return nil, err
	}
	req := &request{Request: r, others: true, done: make(chan struct{})}
	err := h.enqueue(ctx, req)
	if err == nil {
		err = h.answered(req)
	}
	if (errors.Is(err, ErrStopping) || errors.Is(err, ErrNotKnown)) && r.ID.Origin != h.requests.origin {
		err = fmt.Errorf("%w: %w", ErrNoAnswer, err) // the hub that asks neither stops nor has lost the log
	}
	return req, err
}

// delays is what a request does to a room's readers, if it waits in Order until that delays nobody. Messages wait in Run, so that they
// keep their order.
func (r *Request) delays() (room RoomName, change Change) {
	switch in := r.Intent.(type) {
	case JoinRoom:
		return in.Room, Join
	case LeaveRoom:
		return in.Room, Leave
	case nil:
		if r.Event != nil {
			return r.Event.Room, r.Event.Change
		}
	}
	return room, NoChange
}

// paceWait is how long a message waits here for its author's pace. Then it is sent again, if its author is still there.
const paceWait = time.Second

// keepPace waits until somebody may say something, on whichever hub. Errors: ErrNoAnswer, after paceWait.
func keepPace(ctx context.Context, h *sequencer, r *Request) error {
	if h.pace == nil || !r.says() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, paceWait)
	defer cancel()
	if err := h.pace(ctx, r.Who.Name); err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return nil
}

// says reports whether the request is something that a person says. A report is one thing said to several.
func (r *Request) says() bool {
	post, is := r.Intent.(Post)
	return is && post.Kind != Delete && !post.Report
}

// answered waits for the answer to a request that is on its way.
func (h *sequencer) answered(req *request) error {
	var err error
	select {
	case <-req.done:
		return req.err
	case <-h.stop:
		err = ErrStopping
	case <-h.lost.Done():
		err = ErrNotKnown
	}
	select {
	case <-req.done: // answered just before the end
		return req.err
	default:
		h.requests.close(req)
		return err
	}
}

// Run is the journal's goroutine: it orders what is asked for, appends it to the journal, applies what comes out of that
// and answers. It returns nil when ctx ends, after what was queued, and an error that wraps ErrJournalDead when the
// journal can store nothing more; after notifying the rooms.
func (h *sequencer) Run(ctx context.Context) error {
	defer h.ended()
	defer close(h.stop)
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var presence, departures <-chan time.Time
	for {
		var batch []*request
		select {
		case req := <-h.queue:
			batch = h.drain(req)
		case b := <-h.journal.Events():
			if err := h.apply(b); err != nil {
				return err
			}
			if len(h.waiting) > 0 && !h.Here() {
				h.sendBack(nil)
			}
			continue
		case room := <-h.awaitPrepared:
			if err := h.processWaiting(room); err != nil {
				return h.dying(err)
			}
			continue
		case <-h.asks:
			continue
		case <-tick.C:
			h.releaseIdle(time.Now())
		case <-h.presenceChanged:
			if presence == nil {
				presence = time.After(presenceDelay)
			}
			continue
		case <-presence:
			presence = nil
			departures = h.showPresence()
			continue
		case <-departures:
			departures = h.showPresence()
			continue
		case <-ctx.Done():
			return h.finish()
		}
		others := h.waiting.behind(batch)
		if len(others) == 0 && len(batch) > 0 {
			continue
		}
		if err := h.processBatch(others); err != nil {
			return h.dying(err)
		}
	}
}

// dying notifies everyone why Run ends.
func (h *sequencer) dying(err error) error {
	h.AnnounceHere(text.Sprintf("The server can no longer store messages and is stopping. Everything you see above is stored."))
	return err
}

// finish orders what had been queued when ctx ended.
func (h *sequencer) finish() error {
	for {
		select {
		case req := <-h.queue:
			if err := h.processBatch(h.waiting.behind(h.drain(req))); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// drain returns first and what else is waiting, up to a full batch.
func (h *sequencer) drain(first *request) []*request {
	clear(h.drained) // what it held is answered
	batch, bytes := append(h.drained[:0], first), first.size()
	for full := false; !full && len(batch) < maxBatch && bytes < maxBatchBytes; {
		select {
		case req := <-h.queue:
			batch = append(batch, req)
			bytes += req.size()
		default:
			full = true
		}
	}
	h.drained = batch
	return batch
}

// processBatch stores and applies a batch, and answers refused requests. Stored requests are answered when they are
// applied: in this order, so that nobody sees what a power cut could undo. The error wraps ErrJournalDead, or is that of
// a batch that cannot be applied.
func (h *sequencer) processBatch(batch []*request) error {
	for {
		if !h.Here() {
			h.sendBack(batch)
			return nil
		}
		o := h.makeBatch(batch)
		if len(o.staged) == 0 && len(batch) > 0 {
			return nil
		}
		err := h.journal.Append(o.batch)
		bad, unprepared := (*BadEvent)(nil), (*Unprepared)(nil)
		switch {
		case err == nil:
			h.failures.over(h.log)
			h.reseal(o.rekeys)
			if err := h.catchUp(o.batch.N); err != nil {
				return err
			}
			o.noteSpoke()
			o.answerOthers()
			h.warnUnreadable(o.batch.Events)
			batch = o.again
		case errors.Is(err, ErrBehind):
			if err := h.catchUp(o.batch.N); err != nil {
				return err
			}
			batch = append(o.staged, o.again...)
		case errors.Is(err, ErrNotLeader):
			h.sendBack(append(o.staged, o.again...))
			return nil
		case h.leader != nil && errors.Is(err, ErrJournalDead): // others may have it, and the next leader knows
			h.failures.note(time.Now(), h.log, err)
			h.sendBack(append(o.staged, o.again...))
			return err
		case errors.As(err, &bad):
			batch = append(o.without(bad), o.again...)
		case errors.As(err, &unprepared):
			batch = append(o.postpone(unprepared), o.again...)
		default:
			if err := h.batchFailed(o, err); err != nil {
				return err
			}
			batch = o.again
		}
		if len(batch) == 0 {
			return nil
		}
	}
}

// errMoved answers what is not ordered here, because another hub leads: it is to be sent again.
var errMoved = fmt.Errorf("%w: %w", ErrNoAnswer, ErrNotLeader)

// sendBack answers requests, and those that wait here, because another hub leads, or is to. Some may be part of the log, in a batch whose
// outcome this hub did not learn: the hub that leads knows, and so does each hub once it has applied that.
func (h *sequencer) sendBack(batch []*request) {
	for _, req := range batch {
		h.answer(req, errMoved)
	}
	for room, waiting := range h.waiting {
		delete(h.waiting, room)
		for _, req := range waiting {
			h.answer(req, errMoved)
		}
	}
}

// postponed are messages that the journal was not ready for, by room, in their order.
type postponed map[RoomName][]*request

// postpone keeps messages of a room back until the journal is prepared for them, behind those already waiting. They get
// no place in the order before that; others are ordered meanwhile.
func (h *sequencer) postpone(room RoomName, requests []*request, ready <-chan struct{}) {
	waits := len(h.waiting[room]) > 0
	h.waiting[room] = append(h.waiting[room], requests...)
	if waits {
		return
	}
	go func() { // until then, or until Run ends
		select {
		case <-ready:
		case <-h.stop:
			return
		}
		select {
		case h.awaitPrepared <- room:
		case <-h.stop:
		}
	}()
}

// behind returns the batch without the messages in rooms where others wait: they wait behind those.
func (w postponed) behind(batch []*request) []*request {
	if len(w) == 0 {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), func(req *request) bool {
		post, ok := req.Intent.(Post)
		if !ok || len(w[post.Room]) == 0 {
			return false
		}
		w[post.Room] = append(w[post.Room], req)
		return true
	})
}

// processWaiting orders the messages that have waited in the room.
func (h *sequencer) processWaiting(room RoomName) error {
	const atOnce = maxBatchBytes / text.MaxText // a batch of the longest messages
	waiting := h.waiting[room]
	delete(h.waiting, room)
	for batch := range slices.Chunk(waiting, atOnce) {
		if err := h.processBatch(h.waiting.behind(batch)); err != nil {
			return err
		}
	}
	return nil
}

// catchUp applies what comes out of the journal up to the n-th batch.
func (h *sequencer) catchUp(n uint64) error {
	for h.applied < n {
		if err := h.apply(<-h.journal.Events()); err != nil {
			return err
		}
	}
	return nil
}

// refuse answers a batch that was not stored, and returns the error if it is final. What was decided may be stored all the
// same, if the messages alone are not: then it holds.
func (h *sequencer) batchFailed(o *ordering, err error) error {
	h.failures.note(time.Now(), h.log, err)
	decided := errors.Is(err, ErrOnlyDecided)
	var holds []*request
	for i, req := range o.staged {
		switch {
		case o.batch.Answers[i].Event >= 0:
			h.answer(req, ErrNotStored) // the cause is for the log; the caller learns what it means
		case !decided:
			h.answer(req, ErrNotDecided)
		default:
			holds = append(holds, req)
		}
	}
	if o.staged = holds; decided {
		h.reseal(o.rekeys)
		if err := h.catchUp(o.batch.N); err != nil {
			return err
		}
		o.answerOthers()
	}
	if errors.Is(err, ErrJournalDead) {
		return err
	}
	return nil
}

// logFailure is the least time between two lines of the log about failures.
const logFailure = time.Minute

// failures are the batches that have failed in a row.
type failures struct {
	all    atomic.Int64 // since the start; anybody reads it
	now    atomic.Bool  // the last batch has failed; anybody reads it
	times  int
	told   bool      // these are in the log
	logged time.Time // when any were last logged
}

func (f *failures) note(at time.Time, log *slog.Logger, err error) {
	f.times++
	f.all.Add(1)
	f.now.Store(true)
	if at.Sub(f.logged) >= logFailure || errors.Is(err, ErrJournalDead) {
		f.logged, f.told = at, true
		log.Error("nothing can be stored; messages are refused", "batches", f.times, "err", err)
	}
}

func (f *failures) over(log *slog.Logger) {
	if f.told {
		log.Info("messages can be stored again", "refused batches", f.times)
	}
	f.times, f.told = 0, false
	f.now.Store(false)
}

// maxRepeat is how far the clock may step back for the last batch's time to be repeated. By more, its new time is taken.
const maxRepeat = 5 * time.Second

// moment is the time of the next batch.
func (h *sequencer) moment() Moment {
	at := h.clock()
	if back := h.latest.Wall.Sub(at.Wall); back > maxRepeat {
		h.setBack.Add(1)
		h.log.Warn("the clock was set back; messages use its time from now on", "by", back.Round(time.Second))
	} else if back > 0 {
		return h.latest
	}
	return at
}

// ClockSetBack is how often the clock was set back by more than messages hide, since the start.
func (h *sequencer) ClockSetBack() int64 { return h.setBack.Load() }

// Applied is the number of the last batch that is applied: at least that of each request that is answered. For a function that
// follows (Follow) it is that of the batch before.
func (h *sequencer) Applied() uint64 { return h.shown.Load() }

// Posted is how many messages were stored and shown since the start.
func (h *sequencer) Posted() int64 { return h.posted.Load() }
