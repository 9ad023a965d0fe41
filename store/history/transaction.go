package history

import (
	"bytes"
	"fmt"

	"sshchat/sshchat/chat"
)

// transaction is a batch in the making: the records to be written, and how the rooms stood before,
// to be put back where the write fails.
type transaction struct {
	h       *History
	records []*record
	n       uint64      // of the next line
	state   *chat.State // at the event at hand
	before  map[*roomChain]*savepoint
	ended   []*keyring // of windows that end with this batch
}

// savepoint is a room before the transaction.
type savepoint struct {
	roomChain
	changed bool // its readers have changed since; that is not undone
}

func newTransaction(h *History) *transaction {
	return &transaction{h: h, n: h.segment.n + 1, state: h.state.Load(), before: make(map[*roomChain]*savepoint)}
}

// touch notes how r stands before it is changed.
func (d *transaction) touch(r *roomChain) *savepoint {
	s := d.before[r]
	if s == nil {
		s = &savepoint{roomChain: *r}
		d.before[r] = s
	}
	return s
}

// take drafts one event.
func (d *transaction) take(e *chat.Event) error {
	if e.State != nil {
		d.state = e.State
	}
	r := d.h.room(e.Room)
	s := d.touch(r)
	switch e.Change {
	case chat.NoChange:
		return d.say(r, &e.Message)
	case chat.Join:
		r.readers[e.Name] = true
	case chat.Leave:
		delete(r.readers, e.Name)
	}
	s.changed = true
	if r.prepared != nil {
		r.prepared.changed[e.Name] = true
	}
	if r.open && !r.stale && d.serves(r, e) {
		return nil
	}
	r.stale = true
	d.end(r)
	return nil
}

// serves reports whether the room's open window is what it ought to be also after the keys of somebody have changed: its
// head for them is for just the keys that they have now. So it is if a key was added and its owner hung up, and it was
// removed again before anything was sealed to it. Then nobody's head needs to be made again: whoever asks for it in a loop
// would have each of them made, and waited for.
func (d *transaction) serves(r *roomChain, e *chat.Event) bool {
	if e.Change != chat.Revoke && e.Change != chat.Rekey || !r.readers[e.Name] {
		return false
	}
	// A Revoke may add as well: a first password is a new key, and replaces none.
	return r.at.to[e.Name].equal(keysOf(d.h.opt.Recipients(d.state, r.name, e.Name)))
}

// say seals a message.
func (d *transaction) say(r *roomChain, m *chat.Message) error {
	if !m.Kind.Stored() {
		return fmt.Errorf("a message of kind %q is not stored", m.Kind)
	}
	if m.Seq != r.seq+1 {
		return fmt.Errorf("it follows on message %d", r.seq)
	}
	if r.stale || r.open && r.at.full() {
		d.end(r)
	}
	if !r.open {
		d.begin(r)
	}
	line, err := Line{m.At, r.name, r.w, m.Seq, m.From, m.Kind, m.Of, m.Text.String()}.encode()
	if err != nil {
		return err
	}
	rec := &record{
		kind: msgRecord, room: r.name, w: r.w, seq: m.Seq, prev: r.tip,
		body: take(&r.at.keys.msgs).Seal(line), plain: line,
	}
	if m.Of > 0 {
		// What the close will hold. Where this write fails, the room gets its former lines back: they are not written to.
		if r.at.lines, err = amend(r.at.lines, m.Seq-uint64(len(r.at.lines)), m); err != nil {
			return err
		}
		rec.amends = m
	}
	d.add(r, rec)
	r.seq = m.Seq
	r.at.lines = append(r.at.lines, line)
	r.at.digest = append(r.at.digest, rec.sum)
	if r.at.full() {
		d.end(r)
	}
	return nil
}

// begin opens a window for the readers as they are now.
func (d *transaction) begin(r *roomChain) {
	p := r.prepared
	r.prepared = nil
	if p != nil && !p.usable() {
		p.drop()
		p = nil
	}
	if p == nil {
		p = d.h.newPrepared(r, d.state)
		p.build()
		close(p.paced) // nobody else will
	}
	s := d.before[r]
	s.prepared = p // the write may fail: then this window is still the next
	heads := p.begin(r.readers, d.state)
	r.w++
	rec := &record{kind: windowRecord, room: r.name, w: r.w, prev: r.tip, heads: heads}
	d.add(r, rec)
	r.open, r.stale = true, false
	r.at = window{opened: d.h.opt.Now(), size: p.size, sum: rec.sum, keys: p.keys, to: p.to}
	d.h.prepareNext(r, d.state)
}

// end closes the room's window, if one is open: its lines are stored once more, as few and large bodies.
func (d *transaction) end(r *roomChain) {
	if !r.open {
		return
	}
	w := &r.at
	r.open = false
	d.ended = append(d.ended, w.keys)
	chunks := w.chunks()
	if len(chunks) > len(w.keys.closes) {
		// Writes that failed have used them up. Nothing is lost: the single bodies stay.
		d.h.opt.Log.Warn("history: a window ends without being stored as one", "room", r.name, "window", r.w)
		return
	}
	from, done, prev := r.seq+1-uint64(len(w.lines)), 0, w.sum
	for _, lines := range chunks {
		rec := &record{
			kind: closeRecord, room: r.name, w: r.w, prev: prev,
			from: from + uint64(done), to: from + uint64(done+len(lines)) - 1,
			digest: w.digest[done : done+len(lines)],
			body:   take(&w.keys.closes).Seal(bytes.Join(lines, nil)),
		}
		d.add(r, rec)
		done += len(lines)
		prev = rec.sum
	}
}

// add puts a record at the end of the room's chain.
func (d *transaction) add(r *roomChain, rec *record) {
	d.put(rec)
	r.tip = rec.sum
}

// put numbers and encodes a record. The first of a batch tells what was durable before it.
func (d *transaction) put(rec *record) {
	rec.n = d.n
	if len(d.records) == 0 {
		rec.ok, rec.hasOK = d.h.segment.synced, true
	}
	rec.encode()
	d.n = rec.last() + 1
	d.records = append(d.records, rec)
}

// commit writes the transaction and, once it is durable, shows it to who reads the history.
func (d *transaction) commit() error {
	if len(d.records) == 0 {
		if d.h.segment.dead == nil {
			d.h.state.Store(d.state)
		}
		return d.h.segment.dead
	}
	if err := d.h.segment.append(d.records); err != nil {
		d.undo()
		return d.h.failed(err)
	}
	d.h.failing = failing{}
	d.h.state.Store(d.state)
	for _, k := range d.ended {
		k.wipe()
	}
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	for _, rec := range d.records {
		d.h.index.add(rec)
	}
	return nil
}

// undo puts the rooms back as they stood. Their readers and State stay as they are now, and so does what was spent:
// a one-time key may have touched the disk.
func (d *transaction) undo() {
	d.h.state.Store(d.state)
	for r, s := range d.before {
		if r.prepared != nil && r.prepared != s.prepared {
			r.prepared.drop()
		}
		readers := r.readers
		*r = s.roomChain
		r.readers = readers
		r.stale = r.stale || s.changed
		if s.changed && r.prepared != nil {
			// It may have begun before the change, and then it does not know of it.
			r.prepared.drop()
			r.prepared = nil
		}
	}
}
