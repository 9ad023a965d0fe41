package chat

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Request is something that somebody wants said or decided, as it is sent to the hub that orders it.
type Request struct {
	ID      RequestID
	Settled uint64 // requests of the same origin below this one are never sent again
	Who     Caller
	Intent  Intent
	Audit   *AuditEntry // the audit log's line, if it is done; nil: none
	Event   *Event      // in place of an intent: a Rekey, which follows from an earlier decision, or the journal's own
	Attempt *Attempt    // in place of an intent: what is to be counted
}

// IsOne reports whether the request wants one thing.
func (r *Request) IsOne() bool {
	switch {
	case r.Intent != nil:
		return r.Event == nil && r.Attempt == nil
	case r.Attempt != nil:
		return r.Event == nil && r.Audit == nil
	}
	return r.Event != nil && r.Audit == nil
}

// request is one on its way. Callers wait on done.
type request struct {
	Request
	others  bool     // it came through Order: another hub waits for the answer, or this one's own Leader
	message *Message // the message, if it is a Post; set before done is closed

	rekeyed []Name // people with new history keys, once it is decided; set before done is closed

	done chan struct{} // closed once, after err is set
	err  error
}

func newRequest(who Caller, in Intent) *request {
	return &request{Request: Request{Who: who, Intent: in}, done: make(chan struct{})}
}

// over reports whether it is answered.
func (r *request) over() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// size is what the request holds of a batch, in bytes.
func (r *request) size() int {
	if p, ok := r.Intent.(Post); ok {
		return len(p.Text.String()) + 128
	}
	return 128
}

// requests are those made at this hub, and not answered yet; and those of other hubs that are part of the log.
type requests struct {
	origin uint64 // random, so that no two hubs have the same

	mu      sync.Mutex
	n       uint64              // guarded by mu; of the last
	settled uint64              // guarded by mu; all before it are answered
	waiting map[uint64]*request // guarded by mu

	done map[uint64]*doneIDs // of other hubs, by origin; read and written by Run alone
}

func newRequests() requests {
	return requests{origin: rand.Uint64(), settled: 1, waiting: make(map[uint64]*request), done: make(map[uint64]*doneIDs)}
}

// open gives the request its ID, and has its answer find it.
func (q *requests) open(req *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	req.ID, req.Settled = RequestID{q.origin, q.n}, q.settled
	q.waiting[q.n] = req
}

// awaits reports whether the request of this hub with that ID is not answered.
func (q *requests) awaits(id RequestID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting[id.N] != nil
}

// close takes a request out that is answered, or never will be.
func (q *requests) close(req *request) {
	if req.ID.Origin != q.origin {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.drop(req.ID.N)
}

// take returns the request of this hub with that ID, if it is not answered, and takes it out: it is answered now.
func (q *requests) take(id RequestID) *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	req := q.waiting[id.N]
	q.drop(id.N)
	return req
}

// drop is called with mu held.
func (q *requests) drop(n uint64) {
	delete(q.waiting, n)
	for q.settled <= q.n && q.waiting[q.settled] == nil {
		q.settled++
	}
}

// noteDone notes that another hub's request is part of the log. Called by Run, or before it.
func (q *requests) noteDone(a Answer) {
	done := q.done[a.ID.Origin]
	if done == nil {
		done = &doneIDs{settled: a.Settled, ids: make(map[uint64]bool)}
		q.done[a.ID.Origin] = done
	}
	done.add(a.ID.N, a.Settled)
}

// isDone reports whether a request that came through Order is part of the log; or, if it is this hub's own, whether nobody waits
// for it any more. Called by Run.
func (q *requests) isDone(id RequestID) bool {
	if id.Origin == q.origin {
		return !q.awaits(id)
	}
	return q.done[id.Origin].has(id.N)
}

// doneIDs are the requests of one origin that are part of the log and may come again.
type doneIDs struct {
	settled uint64 // none below it comes again
	ids     map[uint64]bool
}

// has reports whether the request is part of the log.
func (d *doneIDs) has(n uint64) bool { return d != nil && (n < d.settled || d.ids[n]) }

// add notes that a request is part of the log.
func (d *doneIDs) add(n, settled uint64) {
	d.ids[n] = true
	for ; d.settled < settled; d.settled++ {
		delete(d.ids, d.settled)
	}
}

// ordering is a batch being built: each request is checked in order, after all that come before it in the batch. It
// changes nothing, so nothing has to be undone if the batch cannot be stored.
type ordering struct {
	h      *sequencer
	batch  Batch
	state  *State // with what was decided so far
	rooms  map[RoomName]*orderedRoom
	joined map[Name][]RoomName // rooms whose readers people are since this batch
	rekeys map[Name]bool       // people with new history keys; nil: nobody
	counts map[Name]Tally      // what is counted in the batch; nil: nothing
	staged []*request          // what the batch holds
	holds  map[RequestID]bool  // of staged, those that came through Order; nil: none
	again  []*request          // that came through Order twice: they are ordered after the batch
}

// orderedRoom is a room as it is after what was ordered so far.
type orderedRoom struct {
	seq     uint64
	spoke   map[Name]time.Time    // in this batch, if the room is slow
	deleted map[uint64]bool       // in this batch, so that the log does not have it yet
	reacted map[uint64]*Reactions // in this batch, with what the log has
}

// delete notes that a message is deleted.
func (r *orderedRoom) delete(seq uint64) {
	if r.deleted == nil {
		r.deleted = make(map[uint64]bool)
	}
	r.deleted[seq] = true
}

// makeBatch makes a batch of the requests, and answers those that are refused.
func (h *sequencer) makeBatch(requests []*request) *ordering {
	state, at := h.state.Load(), h.moment()
	clear(h.ordered)
	o := &ordering{
		h: h, state: state, rooms: h.ordered, staged: make([]*request, 0, len(requests)),
		batch: Batch{
			N: h.applied + 1, At: at, Before: state,
			Events: make([]Event, 0, len(requests)), Answers: make([]Answer, 0, len(requests)),
		},
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, req := range requests {
		switch {
		case !req.others && req.over(): // it was part of a batch in doubt, and answered as that was applied
		case req.others && h.requests.isDone(req.ID):
			h.answer(req, nil)
		case req.others && o.holds[req.ID]: // it was sent again while it waited here
			o.again = append(o.again, req)
		default:
			if err := o.take(req); err != nil {
				h.answer(req, err)
			}
		}
	}
	o.batch.After = o.state
	return o
}

// take gives a request its place, or refuses it.
func (o *ordering) take(req *request) error {
	message := -1
	switch in := req.Intent.(type) {
	case nil:
		if req.Attempt != nil {
			if err := o.count(*req.Attempt); err != nil {
				return err
			}
			break
		}
		if req.Event.Stored != nil {
			message = len(o.batch.Events)
		}
		o.add(*req.Event)
	case Post:
		if err := o.storeMessage(req, in); err != nil {
			return err
		}
		message = len(o.batch.Events) - 1
	default:
		if err := o.decide(req); err != nil {
			return err
		}
	}
	if req.Audit != nil {
		o.batch.Audit = append(o.batch.Audit, *req.Audit)
	}
	o.batch.Answers = append(o.batch.Answers, Answer{req.ID, req.Settled, message})
	o.staged = append(o.staged, req)
	if req.others {
		o.hold(req.ID)
	}
	return nil
}

// count counts an attempt, or refuses it. Times are whole milliseconds, so that they are the same once they were stored.
func (o *ordering) count(a Attempt) error {
	if o.h.counter == nil {
		return errNoRequest
	}
	before, counted := o.counts[a.Name]
	if !counted {
		before = o.h.counter.Tally(a.Name)
	}
	after, err := o.h.counter.Count(a, before, o.batch.At.counted())
	if err != nil {
		return err
	}
	if o.counts == nil {
		o.counts = make(map[Name]Tally)
	}
	o.counts[a.Name] = after
	o.batch.Counts = append(o.batch.Counts, Count{a.Name, after})
	return nil
}

func (o *ordering) hold(id RequestID) {
	if o.holds == nil {
		o.holds = make(map[RequestID]bool)
	}
	o.holds[id] = true
}

// hasCome notes that a room has somebody as a reader since this batch.
func (o *ordering) hasCome(name Name, room RoomName) {
	if o.joined == nil {
		o.joined = make(map[Name][]RoomName)
	}
	o.joined[name] = appendNew(o.joined[name], room)
}

// hasMore notes that somebody reads with more than before.
func (o *ordering) hasMore(name Name) {
	if o.rekeys == nil {
		o.rekeys = make(map[Name]bool)
	}
	o.rekeys[name] = true
}

// add puts an event at the end of the batch.
func (o *ordering) add(e Event) {
	e.State = o.state
	o.batch.Events = append(o.batch.Events, e)
}

// without answers the request whose event cannot be stored, and returns the others.
func (o *ordering) without(bad *BadEvent) (others []*request) {
	at := o.batch.At
	for i, req := range o.staged {
		if o.batch.Answers[i].Event != bad.Index {
			others = append(others, req)
			continue
		}
		if req.Event != nil { // the journal's own, which says why it refuses it
			o.h.answer(req, bad.Err)
			continue
		}
		o.h.log.Error("a message cannot be stored and was refused", "err", bad.Err, "at", at.Wall)
		o.h.answer(req, ErrNotStored)
	}
	if len(others) == len(o.staged) { // it belongs to no message, so its request is unknown
		for _, req := range others {
			o.h.answer(req, fmt.Errorf("internal error: %w", bad))
		}
		return nil
	}
	return others
}

// postpone has the message that the journal is not ready for ordered later, with those behind it in its room, and returns the
// others.
func (o *ordering) postpone(u *Unprepared) (others []*request) {
	var waiting []*request
	room := o.batch.Events[u.Index].Room
	for i, req := range o.staged {
		if at := o.batch.Answers[i].Event; at >= u.Index && o.batch.Events[at].Room == room {
			waiting = append(waiting, req)
		} else {
			others = append(others, req)
		}
	}
	if len(waiting) == 0 {
		return o.without(&BadEvent{u.Index, u})
	}
	o.h.postpone(room, waiting, u.Done)
	return others
}

// answerOthers answers the requests that came through Order and are part of the log now. The others are answered as they are
// applied.
func (o *ordering) answerOthers() {
	for _, req := range o.staged {
		if req.others {
			o.h.answer(req, nil)
		}
	}
}

// room is the room as it is after what was ordered so far.
func (o *ordering) room(name RoomName) *orderedRoom {
	r := o.rooms[name]
	if r == nil {
		r = &orderedRoom{}
		if known := o.h.rooms[name]; known != nil {
			r.seq = known.Log.Last()
		}
		o.rooms[name] = r
	}
	return r
}

// member returns the first Seq of the room that is somebody's to read; in is false if they are not in it.
func (o *ordering) member(name Name, room RoomName) (since uint64, in bool) {
	if a, b, direct := room.Pair(); direct {
		return 1, name == a || name == b
	}
	if is := o.state.rooms[room]; is != o.batch.Before.rooms[room] {
		if is == nil {
			return 0, false
		}
		if i := is.member(name); i >= 0 {
			return is.Members[i].Since, true
		}
		return 0, false
	}
	if r := o.h.rooms[room]; r != nil {
		since, in = r.members[name]
	}
	return since, in
}

// say gives a message its place and time, or says why it is not to be: its author may not speak or is not in the room, or
// what it amends is not there to be amended.
func (o *ordering) storeMessage(req *request, in Post) error {
	now := View{o.state, o.batch.At}
	me, err := now.Admit(req.Who)
	if err != nil {
		return err
	}
	if in.Kind != Delete && in.Kind != Unreact {
		if err := now.maySpeak(me.Name, in.Room); err != nil {
			return err
		}
	}
	if in.Report {
		if to := now.named(in.Room.Other(me.Name)); to == nil || !now.takesReports(to) {
			return ErrNoModerator
		}
	}
	since, member := o.member(me.Name, in.Room)
	if !member {
		return NotIn(me.Name, in.Room)
	}
	r := o.room(in.Room)
	if in.Of > 0 {
		if err := o.refers(req, me.Name, in, since); err != nil {
			return err
		}
	}
	switch {
	case in.Kind == Delete:
		if err := o.unpin(in.Room, in.Of); err != nil {
			return err
		}
		r.delete(in.Of)
	case in.Kind.Reacts(): // it says nothing
	default:
		if err := o.tooSoon(me.Name, in.Room); err != nil { // also an edit, which counts as a new message
			return err
		}
	}
	r.seq++
	if a, b, direct := in.Room.Pair(); direct && o.h.rooms[in.Room] == nil { // it comes to be with its first message
		o.hasCome(a, in.Room)
		o.hasCome(b, in.Room)
	}
	o.add(Event{Room: in.Room, Message: Message{
		Room: in.Room, Seq: r.seq, At: o.batch.At.Wall.UTC().Truncate(time.Millisecond), From: me.Name, Kind: in.Kind, Text: in.Text, Of: in.Of,
	}})
	return nil
}

// refers says why the message that an edit, a deletion, a reaction or a reply means cannot be meant by it.
func (o *ordering) refers(req *request, me Name, in Post, since uint64) error {
	old, kept, there := o.find(in.Room, in.Of)
	switch {
	case !there || in.Of < since || !kept && in.Kind != Say:
		return noMessage(me, in.Room)
	case in.Kind == Say:
		return nil
	case in.Kind.Reacts():
		return o.reacts(me, in, &old)
	case old.From == me:
		return nil
	case !in.AnyAuthor || in.Kind != Delete:
		return ErrNotYours
	}
	_, err := View{o.state, o.batch.At}.Check(req.Who, DeleteMessage{Room: in.Room, Author: old.From})
	return err
}

// find returns what was said as message seq of the room, if memory has it. there is whether it may be there: it was not deleted, or
// that was before what memory has.
func (o *ordering) find(room RoomName, seq uint64) (m Message, kept, there bool) {
	known := o.h.rooms[room]
	if known == nil || seq == 0 || seq > known.Log.Last() || o.room(room).deleted[seq] {
		return m, false, false
	}
	m, kept = known.Log.find(seq)
	return m, kept, !kept || m.Said()
}

// reacts returns why a reaction, or removing one, is refused. If it is not, it notes the change for the rest of the batch.
func (o *ordering) reacts(me Name, in Post, to *Message) error {
	r := o.room(in.Room)
	before, noted := r.reacted[in.Of]
	if !noted {
		before = to.Reactions
	}
	has := before.Has(me, in.Text)
	switch {
	case in.Kind == React && has:
		return ErrReacted.With("you have already reacted with %s to that message", in.Text)
	case in.Kind == Unreact && !has:
		return ErrNotReacted.With("you have not reacted with %s to that message", in.Text)
	case in.Kind == React && before.find(in.Text) < 0 && len(before.All()) >= MaxEmoji:
		return ErrTooManyEmoji
	}
	if r.reacted == nil {
		r.reacted = make(map[uint64]*Reactions)
	}
	r.reacted[in.Of] = before.After(&Message{From: me, Kind: in.Kind, Text: in.Text})
	return nil
}

// unpin takes a message that is deleted from the pins.
func (o *ordering) unpin(room RoomName, seq uint64) error {
	if !o.state.isPinned(room, seq) {
		return nil
	}
	after, err := View{o.state, o.batch.At}.Check(TheServer, UnpinMessage{room, seq})
	if err == nil {
		after, err = o.h.journal.Rehearse(o.state, after)
	}
	if err != nil {
		return fmt.Errorf("internal error: a deleted message cannot be unpinned: %w", err)
	}
	o.state = after
	return nil
}

// tooSoon enforces slow mode: it refuses somebody who posted too recently, and else notes the time.
func (o *ordering) tooSoon(from Name, room RoomName) error {
	is := o.state.rooms[room]
	if is == nil || is.Slow <= 0 {
		return nil
	}
	r, at := o.room(room), o.batch.At.Wall
	last := r.spoke[from]
	if known := o.h.rooms[room]; last.IsZero() && known != nil && known.state().Slow == is.Slow {
		last = known.said[from]
	}
	if err := is.tooSoon(from, last, at); err != nil {
		return err
	}
	if r.spoke == nil {
		r.spoke = make(map[Name]time.Time)
	}
	r.spoke[from] = at
	return nil
}

// noteSpoke records who posted in rooms with slow mode, once the batch is stored. Another hub that becomes the leader
// does not know it, and allows one message more.
func (o *ordering) noteSpoke() {
	for name, r := range o.rooms {
		if len(r.spoke) == 0 {
			continue
		}
		o.h.mu.Lock()
		if known := o.h.rooms[name]; known != nil {
			for from, at := range r.spoke {
				known.spoke(from, at)
			}
		}
		o.h.mu.Unlock()
	}
}

// decide makes the step of the State that an intent wants, or refuses it, and derives what follows for readers.
func (o *ordering) decide(req *request) error {
	before := o.state
	after, err := View{before, o.batch.At}.Check(req.Who, o.placed(req.Intent))
	if err != nil {
		return err
	}
	if after == before {
		o.noteEdit(req.Intent)
		return nil
	}
	if in, ok := req.Intent.(SetTopic); ok { // it is said to the room, so a slow room slows it
		if err := o.tooSoon(req.Who.Name, in.Room); err != nil {
			return err
		}
	}
	if after, err = o.h.journal.Rehearse(before, after); err != nil {
		return fmt.Errorf("internal error: a change cannot be read back: %w", err)
	}
	o.state = after
	o.noteEdit(req.Intent)
	for _, e := range roomEvents(before, after) {
		if e.Change == Join {
			o.hasCome(e.Name, e.Room)
		}
		o.add(e)
	}
	for name, change := range after.readersChanged(before) {
		if change == Rekey {
			o.hasMore(name)
			req.rekeyed = append(req.rekeyed, name)
			continue
		}
		for _, room := range o.readsIn(name) {
			o.add(Event{Room: room, Change: Revoke, Name: name})
		}
	}
	return nil
}

// noteEdit notes the file of an edit by hand that is not refused: a crash does not take it again.
func (o *ordering) noteEdit(in Intent) {
	if edit, ok := in.(EditByHand); ok {
		o.batch.Edit = edit.File
	}
}

// placed is an intent that depends on its place among the messages of a room.
func (o *ordering) placed(in Intent) Intent {
	switch in := in.(type) {
	case JoinRoom:
		in.Since = o.room(in.Room).seq + 1
		return in
	case CreateAccount:
		in.Since = o.room(General).seq + 1
		return in
	case Import:
		in.Since = o.room(General).seq + 1
		return in
	case PinMessage:
		_, _, there := o.find(in.Room, in.Seq)
		in.gone = !there
		return in
	}
	return in
}

// readsIn lists the rooms that may be sealed to somebody.
func (o *ordering) readsIn(name Name) []RoomName {
	rooms := o.joined[name]
	if p := o.h.people[name]; p != nil {
		for room := range p.rooms {
			rooms = appendNew(rooms, room)
		}
	}
	return rooms
}

// appendNew appends what the list does not hold. It does not write to the list.
func appendNew[T comparable](list []T, x T) []T {
	for _, y := range list {
		if x == y {
			return list
		}
	}
	return append(list[:len(list):len(list)], x)
}

// roomEvents are the changes of readers that follow from what was decided about rooms.
func roomEvents(before, after *State) (events []Event) {
	for name, was := range before.rooms {
		if after.rooms[name] == nil {
			for _, m := range was.Members {
				events = append(events, Event{Room: name, Change: Leave, Name: m.Name})
			}
		}
	}
	for name, is := range after.rooms {
		was := before.rooms[name]
		if was == is {
			continue
		}
		var members []Member
		if was != nil {
			members = was.Members
		}
		joined, left := diffMembers(members, is.Members)
		for _, n := range left {
			events = append(events, Event{Room: name, Change: Leave, Name: n})
		}
		for _, m := range joined {
			events = append(events, Event{Room: name, Change: Join, Name: m.Name, Since: m.Since})
		}
	}
	return events
}

// diffMembers compares lists of members. What they begin and end with in common costs next to nothing.
func diffMembers(before, after []Member) (joined []Member, left []Name) {
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
			joined = append(joined, m)
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
