package history

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// A window is made ahead where the room has so many readers or more. Below, making it takes about as long as
// one sync, and a file key the less lies about.
const preparedReaders = 8

// readerPace is how long a room's window lasts, at least, for each of its readers, before a join, a leave or a new key
// ends it: each window stores a head for each of them. Bans and removed keys do not wait.
const readerPace = time.Millisecond

// In a room of so many readers or more two windows are made ahead: making one takes long, and a ban or a removed key that
// follows another at once is to find one as well.
const spareReaders = 500

// preparedWindow is a window before its first message: heads and one-time keys, made ahead and off the delivery path
// where that takes time. It keeps its file key until it begins, so that a change of readers costs one head.
type preparedWindow struct {
	room    chat.RoomName
	readers []chat.Name // whom it is made for; not changed after newPrepared
	size    int         // messages
	state   *chat.State // the readers' keys as of when it was ordered; who has changed since is in changed
	reads   func(*chat.State, chat.RoomName, chat.Name) []age.Recipient
	log     *slog.Logger

	built   sync.Once     // whoever needs it first makes it, the preparing goroutine or the committing one; the other waits
	made    chan struct{} // closed when it is made, or never will be
	dropped atomic.Bool   // nobody will use it: no more heads are made
	paced   chan struct{} // closed when it is made and the window before it has lasted
	waits   atomic.Int32  // how many of these two are yet to be

	// Written within built, and after it owned by the committing goroutine:

	key   *agesplit.FileKey // nil once it has begun
	heads map[chat.Name]string
	to    map[chat.Name]keySet // what each head is for
	keys  *keyring

	// Owned by the committing goroutine:

	changed map[chat.Name]bool // whose heads are to be made again, or to go
	begun   bool
}

// build makes the heads and keys, once.
func (p *preparedWindow) build() {
	p.built.Do(func() {
		defer close(p.made)
		p.key = agesplit.NewFileKey()
		p.heads = make(map[chat.Name]string, len(p.readers))
		p.to = make(map[chat.Name]keySet, len(p.readers))
		for _, name := range p.readers {
			if p.dropped.Load() {
				return
			}
			p.wrap(name, p.state)
		}
		p.keys = newKeyring(p.key, p.size)
	})
}

func (p *preparedWindow) wrap(name chat.Name, s *chat.State) {
	to := p.reads(s, p.room, name)
	head, refused := p.key.Head(to)
	p.to[name] = keysOf(to)
	if len(refused) > 0 {
		p.log.Warn("history: a key cannot be sealed to and is left out", "room", p.room, "name", name, "err", errors.Join(refused...))
	}
	delete(p.heads, name)
	if head != "" {
		p.heads[name] = head
	}
}

// usable reports whether the window can still begin with its readers as they are now.
func (p *preparedWindow) usable() bool {
	p.build()
	return p.key != nil || len(p.changed) == 0 && len(p.keys.msgs) > 0
}

// begin makes the heads fit the readers as they are in s and forgets the file key: from here on
// the server cannot open what it writes. It may be called again where the write failed.
func (p *preparedWindow) begin(readers map[chat.Name]bool, s *chat.State) []namedHead {
	for name := range p.changed {
		if readers[name] {
			p.wrap(name, s)
		} else {
			delete(p.heads, name)
			delete(p.to, name)
		}
	}
	clear(p.changed)
	p.begun = true
	if p.key != nil {
		p.key.Wipe()
		p.key = nil
	}
	heads := make([]namedHead, 0, len(p.heads))
	for name, head := range p.heads {
		heads = append(heads, namedHead{name, head})
	}
	slices.SortFunc(heads, func(a, b namedHead) int { return a.name.Compare(b.name) })
	return heads
}

// drop forgets it all. It waits for one head at most.
func (p *preparedWindow) drop() {
	p.dropped.Store(true)
	p.built.Do(func() { close(p.made) }) // not made yet: then never
	if p.key != nil {
		p.key.Wipe()
	}
	if p.keys != nil {
		p.keys.wipe()
	}
}

// newPrepared returns the room's next window, not yet made, for its readers as they are in s.
func (h *History) newPrepared(r *roomChain, s *chat.State) *preparedWindow {
	size := h.opt.Window
	if size <= 0 {
		size = max(leastWindow, len(r.readers))
	}
	p := &preparedWindow{
		room: r.name, readers: slices.Collect(maps.Keys(r.readers)), size: size,
		state: s, reads: h.opt.Recipients, log: h.opt.Log, changed: make(map[chat.Name]bool),
		made: make(chan struct{}), paced: make(chan struct{}),
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

// prepareNext has the room's next window made ahead where that is worth it, and in a large room the one after it.
func (h *History) prepareNext(r *roomChain, s *chat.State) {
	if len(r.readers) < preparedReaders {
		return
	}
	order := func(queue chan<- *preparedWindow) *preparedWindow {
		p := h.newPrepared(r, s)
		select {
		case queue <- p:
			return p
		default: // behind with others: this one is made when it is needed
			return nil
		}
	}
	if r.prepared == nil {
		if r.prepared = order(h.prepare); r.prepared == nil {
			return
		}
		h.pace(r.prepared)
	}
	if r.spare == nil && len(r.readers) >= spareReaders {
		r.spare = order(h.spares)
	}
}

// pace has the window that comes next wait until the one that just began has lasted.
func (h *History) pace(p *preparedWindow) {
	h.opt.at(time.Now().Add(readerPace*time.Duration(len(p.readers))), p.waited)
}

// prepareAll makes windows ahead until Close; those that come next before those after them.
func (h *History) prepareAll() {
	defer close(h.done)
	for {
		var p *preparedWindow
		select {
		case p = <-h.prepare:
		default:
			select {
			case p = <-h.prepare:
			case p = <-h.spares:
			case <-h.quit:
				return
			}
		}
		p.build()
		p.waited()
	}
}

// nextEvent is what a room's next event will meet.
type nextEvent struct {
	prepared *preparedWindow // the next window, made ahead
	begins   bool            // the next message begins it
}

// publishNext notes what the next event of the room will meet. Called with committing held, or before h is shared.
func (h *History) publishNext(r *roomChain) {
	if r.prepared == nil {
		h.upcoming.Delete(r.name)
		return
	}
	h.upcoming.Store(r.name, nextEvent{r.prepared, !r.open || r.stale || r.at.full()})
}

// publishNext notes it for all rooms that the draft has touched.
func (d *Draft) publishNext() {
	for r := range d.before {
		d.h.publishNext(r)
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
