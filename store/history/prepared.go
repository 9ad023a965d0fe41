package history

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// The next window is prepared in advance in rooms with at least this many readers. In smaller ones, making it takes about
// as long as one sync, and one file key fewer is in memory.
const preparedReaders = 8

// readerPace is how long a room's window lasts, at least, for each of its readers, before a join, a leave or a new key
// ends it: each window stores a head for each of them. Bans and removed keys do not wait.
const readerPace = time.Millisecond

// In rooms with at least this many readers, spareWindows more are prepared besides the next: making one takes long, and
// several bans or key removals in quick succession each need one.
const (
	spareReaders = 500
	spareWindows = 2
)

// A file that grows is rewritten while all rooms wait. If there is a large room, the file gets space for this many of its
// windows at once, with heads of this many bytes.
const (
	windowsFree = 8
	usualHead   = 210
)

// changedAtOnce is how many heads are made while all rooms wait, when a window begins whose readers have just changed. More
// are made ahead.
const changedAtOnce = 4

// preparedWindow is a window before its first message: heads and one-time keys, made in advance and off the delivery path
// if that takes time. It keeps its file key until it starts, so that a change of readers costs one head. Until then
// nobody has that key: heads are given out only with the window's record. So a removed reader has never had it.
type preparedWindow struct {
	room    chat.RoomName
	readers []chat.Name // its readers; not changed after newPrepared
	size    windowSize
	state   *chat.State // the readers' keys when it was queued; later changes are in changed
	reads   func(*chat.State, chat.RoomName, chat.Name) []age.Recipient
	log     *slog.Logger

	made    chan struct{} // closed when it is made, or never will be
	dropped atomic.Bool   // nobody will use it: no more heads are made
	paced   chan struct{} // closed when it is made and the window before it has lasted
	waits   atomic.Int32  // how many of these two are yet to be

	using sync.RWMutex      // read-locked while using key, for one head or a few one-time keys; locked to wipe it
	key   *agesplit.FileKey // nil once it has begun or was dropped

	mu      sync.Mutex              // guards what follows, up to the next blank line
	over    bool                    // made is closed
	taken   int                     // of readers: their heads are made, or being made
	left    int                     // of readers: their heads are not made
	heads   []madeHead              // of readers; each is written by the goroutine that makes it. nil once they are packed
	again   []headAgain             // heads of changed readers that are not made yet
	making  int                     // of those: being made
	fresh   map[chat.Name]madeAgain // of those: made
	settled chan struct{}           // closed when all of those are made; nil: nobody waits

	// Written before made is closed, and after it owned by the committing goroutine:

	packed headLines
	to     map[chat.Name]keySet // what each head is for
	keys   *keyring

	// Owned by the committing goroutine:

	changed map[chat.Name]*changedHead // whose heads are to be made again, or to go
	begun   bool
	pacing  bool // paced waits for the window before it
}

// madeHead is a head, empty for a reader without keys, and the keys it is for.
type madeHead struct {
	head string
	to   keySet
}

// changedHead is how often somebody has changed since the window was ordered, and for which of these a head was ordered.
type changedHead struct{ times, ordered int }

// headAgain is a head to be made again for a reader whose keys have changed, with the number of changes.
type headAgain struct {
	name  chat.Name
	times int
	state *chat.State
}

// madeAgain is one that was made.
type madeAgain struct {
	madeHead
	times int
}

// headTask is what one goroutine makes in a row: a range of readers, or one changed reader.
type headTask struct {
	from, to int
	again    *headAgain
}

// take is the next task; false if there is none.
func (p *preparedWindow) take() (headTask, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.dropped.Load():
	case p.taken < max(len(p.readers), 1): // without readers there is nothing to make: finish it
		t := headTask{from: p.taken, to: min(p.taken+headsAtOnce, len(p.readers))}
		p.taken = max(t.to, 1)
		return t, true
	case len(p.again) > 0:
		t := headTask{again: &p.again[0]}
		p.again = p.again[1:]
		p.making++
		return t, true
	}
	return headTask{}, false
}

// do does a task.
func (p *preparedWindow) do(t headTask) {
	if t.again != nil {
		p.remake(t.again)
		return
	}
	for i := t.from; i < t.to; i++ {
		if p.dropped.Load() {
			return
		}
		p.heads[i] = p.wrap(p.readers[i], p.state)
		runtime.Gosched()
	}
	p.mu.Lock()
	p.left -= t.to - t.from
	last := p.left == 0
	p.mu.Unlock()
	if last {
		p.finish()
	}
}

// remake makes the head of a changed reader.
func (p *preparedWindow) remake(a *headAgain) {
	made := p.wrap(a.name, a.state)
	runtime.Gosched()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fresh == nil {
		p.fresh = make(map[chat.Name]madeAgain)
	}
	p.fresh[a.name] = madeAgain{made, a.times}
	if p.making--; p.making == 0 && len(p.again) == 0 {
		p.releaseWaiting()
	}
}

// releaseWaiting wakes goroutines that wait for the heads of changed readers. Called with mu held.
func (p *preparedWindow) releaseWaiting() {
	if p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
}

// wrap makes one head; none if the window has begun, or was dropped.
func (p *preparedWindow) wrap(name chat.Name, s *chat.State) madeHead {
	to := p.reads(s, p.room, name)
	p.using.RLock()
	defer p.using.RUnlock()
	if p.key == nil {
		return madeHead{}
	}
	head, refused := p.key.Head(to)
	if len(refused) > 0 {
		p.log.Warn("history: a key cannot be used for sealing and is left out", "room", p.room, "name", name, "err", errors.Join(refused...))
	}
	return madeHead{head, keysOf(to)}
}

// finish packs the heads, which are all made, and derives the one-time keys.
func (p *preparedWindow) finish() {
	heads := make([]namedHead, 0, len(p.readers))
	to := make(map[chat.Name]keySet, len(p.readers))
	for i, name := range p.readers {
		to[name] = p.heads[i].to
		if head := p.heads[i].head; head != "" {
			heads = append(heads, namedHead{name, head})
		}
	}
	packed, err := packHeads(p.room, heads)
	if err != nil {
		panic("internal error: heads of " + p.room.String() + ": " + err.Error())
	}
	keys := p.deriveKeys()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropped.Load() {
		keys.wipe()
		return
	}
	p.packed, p.to, p.keys, p.heads = packed, to, keys, nil
	p.end()
}

// deriveKeys derives the one-time keys, a few at a time.
func (p *preparedWindow) deriveKeys() *keyring {
	keys := newKeyring(p.size.most)
	for some := range keys.some() {
		p.using.RLock()
		if p.key != nil {
			p.key.Derive(some)
		}
		p.using.RUnlock()
		runtime.Gosched()
	}
	return keys
}

// end says that the window is made, or never will be. Called with mu held.
func (p *preparedWindow) end() {
	if !p.over {
		p.over = true
		close(p.made)
		p.waited()
	}
}

// build returns when the window is made. Who calls it makes what is not being made yet.
func (p *preparedWindow) build() {
	for {
		select {
		case <-p.made:
			return
		default:
		}
		t, ok := p.take()
		if !ok {
			<-p.made
			return
		}
		p.do(t)
	}
}

// change notes that the head of name has to be made again, or removed.
func (p *preparedWindow) change(name chat.Name) {
	if p.changed[name] == nil {
		p.changed[name] = new(changedHead)
	}
	p.changed[name].times++
}

// remakeAhead queues the heads of those names that read and have changed, with their keys in s. It reports whether there
// are any.
func (p *preparedWindow) remakeAhead(names iter.Seq[chat.Name], readers map[chat.Name]bool, s *chat.State) (any bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begun || p.dropped.Load() {
		return false
	}
	for name := range names {
		if c := p.changed[name]; c != nil && readers[name] && c.ordered < c.times {
			c.ordered, any = c.times, true
			p.again = append(p.again, headAgain{name, c.times, s})
		}
	}
	return any
}

// awaitHeads is closed when the window can begin and make no more than a few heads; nil: it can now.
func (p *preparedWindow) awaitHeads(readers map[chat.Name]bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		return p.made
	}
	missing := 0
	for name, c := range p.changed {
		if readers[name] && p.fresh[name].times < c.times {
			missing++
		}
	}
	if missing <= changedAtOnce || p.making+len(p.again) == 0 {
		return nil
	}
	if p.settled == nil {
		p.settled = make(chan struct{})
	}
	return p.settled
}

// spent reports whether the window can not begin with its readers as they are now: it has begun, in vain.
func (p *preparedWindow) spent() bool {
	return p.dropped.Load() || p.begun && (len(p.changed) > 0 || len(p.keys.msgs) == 0)
}

// start makes the heads fit the readers as they are in s and forgets the file key: from here on
// the server cannot open what it writes. It may be called again where the write failed.
func (p *preparedWindow) start(readers map[chat.Name]bool, s *chat.State) error {
	p.mu.Lock()
	fresh := p.fresh
	p.fresh, p.again = nil, nil
	p.begun = true
	p.releaseWaiting()
	p.mu.Unlock()
	var heads []namedHead
	for name, c := range p.changed {
		delete(p.to, name)
		if !readers[name] {
			continue
		}
		made, ok := fresh[name]
		if !ok || made.times != c.times {
			made.madeHead = p.wrap(name, s)
		}
		p.to[name] = made.to
		if made.head != "" {
			heads = append(heads, namedHead{name, made.head})
		}
	}
	p.forgetKey()
	if len(p.changed) == 0 {
		return nil
	}
	packed, err := p.packed.with(p.room, p.changed, heads)
	if err != nil {
		return fmt.Errorf("internal error: heads of %s: %w", p.room, err)
	}
	p.packed = packed
	clear(p.changed)
	return nil
}

// forgetKey wipes the file key. It waits for one head of each goroutine at most.
func (p *preparedWindow) forgetKey() {
	p.using.Lock()
	defer p.using.Unlock()
	if p.key != nil {
		p.key.Wipe()
		p.key = nil
	}
}

// drop forgets it all. It waits for one head of each goroutine at most.
func (p *preparedWindow) drop() {
	p.dropped.Store(true)
	p.forgetKey()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys != nil {
		p.keys.wipe()
	}
	p.releaseWaiting()
	p.end()
}

// newPrepared returns the room's next window, not yet made, for its readers as they are in s.
func (h *History) newPrepared(r *roomChain, s *chat.State) *preparedWindow {
	p := &preparedWindow{
		room: r.name, readers: slices.Collect(maps.Keys(r.readers)), size: sizeOf(h.opt.Window, len(r.readers)),
		state: s, reads: h.opt.Recipients, log: h.opt.Log, changed: make(map[chat.Name]*changedHead), key: agesplit.NewFileKey(),
		left: len(r.readers), heads: make([]madeHead, len(r.readers)), made: make(chan struct{}), paced: make(chan struct{}),
	}
	p.waits.Store(2)
	return p
}

// waited notes that the window is made, or that the one before it has lasted.
func (p *preparedWindow) waited() {
	if p.waits.Add(-1) == 0 {
		close(p.paced)
	}
}

// prepareNext has the room's next window made ahead where that is worth it, and in a large room those after it.
func (h *History) prepareNext(r *roomChain, s *chat.State) {
	most := 1
	switch {
	case len(r.readers) < preparedReaders:
		return
	case len(r.readers) >= spareReaders:
		most += spareWindows
	}
	if most > 1 {
		h.segment.spare = max(h.segment.spare, int64(len(r.readers))*usualHead*windowsFree)
	}
	for len(r.ahead) < most {
		p := h.newPrepared(r, s)
		spare := len(r.ahead) > 0
		r.ahead = append(slices.Clip(r.ahead), p) // others may have the array
		if !spare {
			h.pace(p)
		}
		h.workers.enqueue(p, spare)
	}
}

// nextAhead takes the next of the prepared windows; nil if there is none.
func (r *roomChain) nextAhead(h *History) *preparedWindow {
	if len(r.ahead) == 0 {
		return nil
	}
	p := r.ahead[0]
	if r.ahead = r.ahead[1:]; len(r.ahead) > 0 {
		h.pace(r.ahead[0])
		h.workers.enqueue(r.ahead[0], false) // it is no spare any more
	}
	return p
}

// pace has the window that comes next wait until the one that just began has lasted.
func (h *History) pace(p *preparedWindow) {
	if p.pacing { // it comes next again: a write has failed
		return
	}
	p.pacing = true
	h.opt.at(time.Now().Add(readerPace*time.Duration(len(p.readers))), p.waited)
}

// prepareChanged has the heads made, in the windows made ahead, of those whose keys the draft has changed.
func (tx *Transaction) prepareChanged() {
	for r, s := range tx.before {
		if !s.changed {
			continue
		}
		for i, p := range r.ahead {
			if p.remakeAhead(maps.Keys(s.was), r.readers, tx.h.state.Load()) {
				tx.h.workers.enqueue(p, i > 0)
			}
		}
	}
}

// nextEvent is what a room's next event will meet.
type nextEvent struct {
	prepared *preparedWindow // the next window, made ahead
	begins   bool            // the next message begins it
}

// publishNext notes what the next event of the room will meet. Called with committing held, or before h is shared.
func (h *History) publishNext(r *roomChain) {
	if len(r.ahead) == 0 {
		h.upcoming.Delete(r.name)
		return
	}
	h.upcoming.Store(r.name, nextEvent{r.ahead[0], !r.open || r.stale || r.at.full(h.opt.Now())})
}

// publishNext notes it for all rooms that the draft has touched.
func (tx *Transaction) publishNext() {
	for r := range tx.before {
		tx.h.publishNext(r)
	}
}

// Prepared implements chat.Preparer: a window's heads are made ahead in rooms of many readers.
func (h *History) Prepared(room chat.RoomName, change chat.Change) <-chan struct{} {
	v, found := h.upcoming.Load(room)
	if !found {
		return nil
	}
	o := v.(nextEvent)
	switch {
	case change == chat.Revoke || change == chat.NoChange && !o.begins:
		return nil
	case change == chat.NoChange:
		return o.prepared.made
	}
	return o.prepared.paced
}

// Unprepared returns which of the events is the first that would have all rooms wait, for heads that are not made yet, and
// until when; nil if none would. What is drafted all the same has them made first.
func (h *History) Unprepared(events []chat.Event) *chat.Unprepared {
	h.committing.Lock()
	defer h.committing.Unlock()
	if h.writable() != nil || !mayBegin(h, events) {
		return nil
	}
	rooms := make(map[*roomChain]*roomNeeds)
	for i := range events {
		r := h.rooms[events[i].Room]
		if r == nil || len(r.readers) < preparedReaders || events[i].Stored != nil {
			continue
		}
		n := rooms[r]
		if n == nil {
			n = &roomNeeds{left: r.left(h.opt.Now())}
			rooms[r] = n
		}
		if events[i].Change != chat.NoChange {
			n.left = 0
			continue
		}
		if ready := n.message(h, r); ready != nil {
			return &chat.Unprepared{Index: i, Done: ready}
		}
	}
	return nil
}

// roomNeeds is what the messages of a batch need in a room.
type roomNeeds struct {
	left    int // messages that the window takes
	windows int // that begin
}

// message has one more message in the room. It returns when that can be drafted, nil if it can be now.
func (n *roomNeeds) message(h *History, r *roomChain) <-chan struct{} {
	if n.left > 0 {
		n.left--
		return nil
	}
	for n.windows < len(r.ahead) && r.ahead[n.windows].spent() { // a write has failed, and its readers have changed since
		r.ahead[n.windows].drop()
		r.ahead = slices.Concat(r.ahead[:n.windows], r.ahead[n.windows+1:])
	}
	if len(r.ahead) == 0 {
		h.prepareNext(r, h.state.Load())
		h.publishNext(r)
	}
	if n.windows == len(r.ahead) { // more are ordered when these have begun
		return r.ahead[n.windows-1].made
	}
	p := r.ahead[n.windows]
	if ready := p.awaitHeads(r.readers); ready != nil {
		return ready
	}
	n.windows++
	n.left = p.size.usual - 1
	return nil
}

// left is how many messages the room's window takes for sure.
func (r *roomChain) left(now time.Time) int {
	if !r.open || r.stale {
		return 0
	}
	most := r.at.size.most
	if now.Sub(r.at.opened) >= busyFor {
		most = r.at.size.usual
	}
	return max(0, min(most-len(r.at.lines), len(r.at.keys.msgs)))
}

// mayBegin reports whether any of the events may begin a window of a room of many readers. Mostly none does, and it is known
// at once.
func mayBegin(h *History, events []chat.Event) bool {
	for i := range events {
		r := h.rooms[events[i].Room]
		if r != nil && len(r.readers) >= preparedReaders && (events[i].Change != chat.NoChange || r.left(h.opt.Now()) < len(events)) {
			return true
		}
	}
	return false
}
