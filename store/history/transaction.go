package history

import (
	"bytes"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
)

// Draft is a batch that has its records and is not stored: what a leader publishes. From Draft to Store or Drop nothing
// else is written to the history, nor copied from it; so one of the two must be called, soon.
type Transaction struct {
	// Rotate is when the history so far was put away, if it goes on in a new file once this is stored; else zero.
	Rotate time.Time

	h       *History
	records []*record
	n       uint64      // of the next line
	change  uint64      // of State, that the batch stands on
	state   *chat.State // at the present event
	event   int         // the present event; -1: none
	before  map[*roomChain]*savepoint
	links   savedLinks
	ended   []*keyring // of windows that end with this batch
	next    *nextFile  // what Rotate is about; nil without it
	over    bool       // it was stored or dropped
}

// scratch is memory that one draft after another uses for its messages: what it holds is gone once a draft is over.
type scratch struct {
	lines   []byte   // of the records, one after the other
	bodies  []byte   // the same
	read    []byte   // a body that is read back
	records []record // a new array takes the place of one that is full: records do not move
	before  map[*roomChain]*savepoint
	links   savedLinks
}

// What a scratch keeps from one draft to the next, at most.
const (
	scratchBytes   = 1 << 20 // of each kind
	scratchRecords = 256
	scratchRooms   = 64
)

// record makes a record.
func (s *scratch) record() *record {
	if len(s.records) == cap(s.records) {
		s.records = make([]record, 0, min(max(8, 2*cap(s.records)), scratchRecords))
	}
	s.records = append(s.records, record{})
	return &s.records[len(s.records)-1]
}

// seal seals a message.
func (s *scratch) seal(key *agesplit.OnceKey, plain []byte) []byte {
	begin := len(s.bodies)
	s.bodies = key.AppendSeal(s.bodies, plain)
	return s.bodies[begin:len(s.bodies):len(s.bodies)]
}

// rooms are maps for a draft, with nothing in them.
func (s *scratch) rooms() (map[*roomChain]*savepoint, savedLinks) {
	if s.before == nil {
		s.before, s.links = make(map[*roomChain]*savepoint), make(savedLinks)
	}
	return s.before, s.links
}

// reset releases what the transaction used.
func (s *scratch) reset() {
	for _, b := range []*[]byte{&s.lines, &s.bodies, &s.read} {
		if *b = (*b)[:0]; cap(*b) > scratchBytes {
			*b = nil
		}
	}
	clear(s.records)
	s.records = s.records[:0]
	if len(s.before) > scratchRooms || len(s.links) > scratchRooms {
		s.before, s.links = nil, nil
	}
	clear(s.before)
	clear(s.links)
}

// savepoint is a room before the draft.
type savepoint struct {
	roomChain
	was     map[chat.Name]bool // whether those whose reading has changed were readers
	changed bool               // its readers or their keys have changed since
	begun   []*preparedWindow  // since
}

// NewTransaction seals a batch to the readers of its rooms and gives its records their positions, and ends windows that
// are over. change is the number of the last change of State that the batch depends on; 0 if unknown. The caller stores
// the transaction or rolls it back; until then every other call that writes waits. Errors: *chat.BadEvent, and errors
// that keep the history from being written at all; then nothing has changed.
func (h *History) NewTransaction(events []chat.Event, change uint64) (*Transaction, error) {
	return h.startTransaction(func() (*Transaction, error) {
		tx := newTransaction(h)
		tx.change = max(tx.change, change)
		h.endOld(tx)
		for i := range events {
			tx.event = i
			if err := tx.take(&events[i]); err != nil {
				return tx, &chat.BadEvent{Index: i, Err: err}
			}
		}
		return tx, nil
	})
}

// NewEndTransaction drafts the end of all windows, as at an orderly stop.
func (h *History) NewEndTransaction() (*Transaction, error) {
	return h.startTransaction(func() (*Transaction, error) { return endTransaction(h), nil })
}

func endTransaction(h *History) *Transaction {
	tx := newTransaction(h)
	for _, r := range h.rooms {
		if r.open {
			tx.touch(r)
			tx.end(r)
		}
	}
	return tx
}

// startTransaction has a draft made. If it returns one, committing is held until that is over.
func (h *History) startTransaction(make func() (*Transaction, error)) (*Transaction, error) {
	h.committing.Lock()
	var tx *Transaction
	err := h.writable()
	if err == nil {
		tx, err = make()
	}
	if err == nil && tx != nil {
		err = tx.readBack()
	}
	if err == nil && tx != nil {
		return tx, nil
	}
	if tx != nil {
		tx.Rollback() // unlocks committing
	} else {
		h.committing.Unlock()
	}
	return nil, err
}

// writable is why nothing can be drafted now. Called with committing held.
func (h *History) writable() error {
	switch {
	case h.closed:
		return errHistoryClosed
	case h.following:
		return errFollowing
	}
	return h.segment.dead
}

func newTransaction(h *History) *Transaction {
	before, links := h.scratch.rooms()
	return &Transaction{h: h, n: h.segment.n + 1, change: h.change.Load(), state: h.state.Load(), event: -1, before: before, links: links}
}

// Records are the lines that storing it appends to the file: records, each followed by the lines it is continued on. They are
// copies, which may be kept.
func (tx *Transaction) Records() (lines [][]byte) {
	for _, r := range tx.records {
		for _, line := range r.lines {
			lines = append(lines, bytes.Clone(line))
		}
	}
	return lines
}

// Follows is the number of the last line before the draft.
func (tx *Transaction) Follows() uint64 { return tx.h.segment.n }

// Store writes the records to the history's own file, and returns when that is durable. After an error none of them is
// there, and the batch is as if it had not been, except that its changes of readers hold; one that wraps
// chat.ErrJournalDead is final.
func (tx *Transaction) Store() error {
	if tx.over {
		panic("internal error: a draft is over")
	}
	defer tx.release()
	return tx.commit()
}

// Rollback forgets the draft as if it had not been, its changes of readers too. After Store it does nothing.
func (tx *Transaction) Rollback() {
	if tx.over {
		return
	}
	defer tx.release()
	tx.undo(false)
}

// release ends the draft.
func (tx *Transaction) release() {
	tx.over = true
	tx.prepareChanged()
	for r, s := range tx.before {
		if len(s.begun) > 0 {
			tx.h.prepareNext(r, tx.h.state.Load())
		}
	}
	tx.publishNext()
	tx.before, tx.links, tx.records = nil, nil, nil
	tx.h.scratch.reset()
	tx.h.note()
	tx.h.committing.Unlock()
}

// touch notes how r stands before it is changed.
func (tx *Transaction) touch(r *roomChain) *savepoint {
	s := tx.before[r]
	if s == nil {
		s = &savepoint{roomChain: *r}
		tx.before[r] = s
	}
	return s
}

// take drafts one event.
func (tx *Transaction) take(e *chat.Event) error {
	if e.State != nil {
		tx.state = e.State
	}
	if e.Stored != nil {
		return tx.takeStored(e.Stored)
	}
	r := tx.h.room(e.Room)
	s := tx.touch(r)
	if e.Change == chat.NoChange {
		if err := tx.say(r, &e.Message); err != nil {
			return fmt.Errorf("seal message %d of %s: %w", e.Message.Seq, e.Room, err)
		}
		return nil
	}
	s.note(r, e.Name)
	switch e.Change {
	case chat.Join:
		r.readers[e.Name] = true
	case chat.Leave:
		delete(r.readers, e.Name)
	}
	for _, p := range r.ahead {
		p.change(e.Name)
	}
	if r.open && !r.stale && tx.serves(r, e) {
		return nil
	}
	r.stale = true
	tx.end(r)
	return nil
}

// note notes whether name read r before it changes.
func (s *savepoint) note(r *roomChain, name chat.Name) {
	s.changed = true
	if s.was == nil {
		s.was = make(map[chat.Name]bool)
	}
	if _, known := s.was[name]; !known {
		s.was[name] = r.readers[name]
	}
}

// serves reports whether the room's open window is still right after a change of somebody's keys: its head for them is
// for exactly their present keys. That is so if a key was added and removed again before anything was sealed to it. Then
// no window has to be made: otherwise somebody could make others wait by doing that in a loop.
func (tx *Transaction) serves(r *roomChain, e *chat.Event) bool {
	if e.Change != chat.Revoke && e.Change != chat.Rekey || !r.readers[e.Name] {
		return false
	}
	// A Revoke may add as well: a first password is a new key, and replaces none.
	return r.at.to[e.Name].equal(keysOf(tx.h.opt.Recipients(tx.state, r.name, e.Name)))
}

// say seals a message.
func (tx *Transaction) say(r *roomChain, m *chat.Message) error {
	if !m.Kind.Stored() {
		return fmt.Errorf("a message of kind %q is not stored", m.Kind)
	}
	if m.Seq != r.seq+1 {
		return fmt.Errorf("it follows message %d", r.seq)
	}
	if r.stale || r.open && r.at.full(tx.h.opt.Now()) {
		tx.end(r)
	}
	if !r.open {
		if err := tx.beginWindow(r); err != nil {
			return err
		}
	}
	line, err := sealedLine(r.name, r.w, m)
	if err != nil {
		return err
	}
	rec := tx.h.scratch.record()
	rec.kind, rec.room, rec.w, rec.seq, rec.prev, rec.plain = msgRecord, r.name, r.w, m.Seq, r.tip, line
	rec.body = tx.h.scratch.seal(take(&r.at.keys.msgs), line)
	if m.Kind.Amends() {
		// What the close will hold. Where this write fails, the room gets its former lines back: they are not written to.
		if r.at.lines, err = amend(r.at.lines, m.Seq-uint64(len(r.at.lines)), m); err != nil {
			return err
		}
		rec.amends = m
	}
	tx.add(r, rec)
	r.seq = m.Seq
	r.at.lines = append(r.at.lines, line)
	r.at.digest = append(r.at.digest, rec.sum)
	if r.at.full(tx.h.opt.Now()) {
		tx.end(r)
	}
	return nil
}

// begin opens a window for the readers as they are now.
func (tx *Transaction) beginWindow(r *roomChain) error {
	p := r.nextAhead(tx.h)
	if p != nil && p.spent() {
		p.drop()
		p = nil
	}
	if p == nil {
		p = tx.h.newPrepared(r, tx.state)
		p.waited() // no window before it is to last
	}
	p.build()
	s := tx.before[r]
	s.begun = append(s.begun, p) // the write may fail: then this window may still be the next
	if err := p.start(r.readers, tx.state); err != nil {
		return err
	}
	r.w++
	rec := &record{kind: windowRecord, room: r.name, w: r.w, prev: r.tip, packed: &p.packed}
	tx.add(r, rec)
	r.open, r.stale = true, false
	r.at = window{opened: tx.h.opt.Now(), size: p.size, sum: rec.sum, keys: p.keys, to: p.to}
	return nil
}

// end closes the room's window, if one is open: its lines are stored once more, as few and large bodies.
func (tx *Transaction) end(r *roomChain) {
	if !r.open {
		return
	}
	w := &r.at
	r.open = false
	tx.ended = append(tx.ended, w.keys)
	chunks := w.chunks()
	if len(chunks) > len(w.keys.closes) {
		// Writes that failed have used them up. Nothing is lost: the single bodies stay.
		tx.h.opt.Log.Warn("history: a window ends without being stored as one", "room", r.name, "window", r.w)
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
		tx.add(r, rec)
		done += len(lines)
		prev = rec.sum
	}
}

// add puts a record at the end of the room's chain.
func (tx *Transaction) add(r *roomChain, rec *record) {
	tx.put(rec)
	r.tip = rec.sum
}

// put numbers and encodes a record. The first of a batch says what was durable before it.
func (tx *Transaction) put(rec *record) {
	rec.n, rec.event = tx.n, tx.event
	if len(tx.records) == 0 {
		rec.ok, rec.hasOK = tx.h.segment.synced, true
		rec.change, rec.hasChange = tx.change, true
	}
	tx.h.scratch.lines = rec.encodeTo(tx.h.scratch.lines)
	tx.n = rec.last() + 1
	tx.records = append(tx.records, rec)
}

// readBack reads what was drafted as a replica will, so that nothing is published that replicas refuse.
func (tx *Transaction) readBack() error {
	for _, r := range tx.records {
		err := r.readsAs(&tx.h.scratch.read)
		if err == nil {
			tx.links.save(tx.h.chain, r)
			err = tx.h.chain.follow(r)
		}
		if err == nil {
			continue
		}
		err = fmt.Errorf("internal error: record %d, as drafted: %w", r.n, err)
		if r.event >= 0 {
			return &chat.BadEvent{Index: r.event, Err: err}
		}
		return err
	}
	return nil
}

// commit writes the transaction and, once it is durable, makes it visible to readers of the history.
func (tx *Transaction) commit() error {
	if err := tx.write(); err != nil {
		tx.undo(true)
		return err
	}
	for _, k := range tx.ended {
		k.wipe()
	}
	tx.h.state.Store(tx.state)
	if len(tx.records) > 0 {
		tx.h.change.Store(tx.change)
	}
	if tx.next != nil {
		tx.h.expire()
	}
	return nil
}

func (tx *Transaction) write() error {
	if len(tx.records) == 0 {
		return tx.h.segment.dead
	}
	if tx.next != nil {
		return tx.h.startAnew(tx.next, tx.records[0])
	}
	if err := tx.h.segment.append(tx.records); err != nil {
		return tx.h.failed(err)
	}
	tx.h.failing = failing{}
	tx.h.mu.Lock()
	defer tx.h.mu.Unlock()
	for _, rec := range tx.records {
		tx.h.index.add(rec)
	}
	return nil
}

// undo puts the rooms back as they stood. What was spent stays so: a one-time key may have touched the disk. With
// changesHold their readers and State stay as they are now: what changed them was decided all the same.
func (tx *Transaction) undo(changesHold bool) {
	tx.links.restore(tx.h.chain)
	if changesHold {
		tx.h.state.Store(tx.state)
	}
	if tx.next != nil {
		tx.next.forget(tx.h.opt.Log)
	}
	for r, s := range tx.before {
		s.keepPrepared(r)
		readers := r.readers
		*r = s.roomChain
		r.readers = readers
		r.stale = r.stale || s.changed && changesHold
		if changesHold {
			continue
		}
		for name, was := range s.was {
			if was {
				r.readers[name] = true
			} else {
				delete(r.readers, name)
			}
		}
	}
}

// keepPrepared has s keep the windows made ahead that are still good, of those there were and those that r has now, and
// drops the others.
func (s *savepoint) keepPrepared(r *roomChain) {
	all := slices.Concat(s.ahead, s.begun, r.ahead)
	kept := slices.Clone(s.ahead)
	if len(s.begun) > 0 && !slices.Contains(kept, s.begun[0]) {
		kept = append(s.begun[:1:1], kept...) // it was made in a hurry
	}
	kept = slices.DeleteFunc(kept, func(p *preparedWindow) bool {
		return p.dropped.Load() || p.begun && s.changed // it may have begun before the change, and then it does not know of it
	})
	kept = kept[:min(len(kept), 1+spareWindows)]
	for _, p := range all {
		if !slices.Contains(kept, p) {
			p.drop()
		}
	}
	s.ahead = kept
}

// nextFile is an archive that was written and is not referred to yet, with the new offsets of its records.
type nextFile struct {
	archive *archive
	moved   map[int64]int64
	begun   time.Time
	told    bool // the file that goes on from it has its name, or may have
}

// forget removes the archive: the old file has all of it.
func (f *nextFile) forget(log *slog.Logger) {
	if f.told {
		return
	}
	if err := f.archive.disk.Remove(f.archive.path); err != nil {
		log.Warn("history: left an archive that nothing refers to", "archive", filepath.Base(f.archive.path), "err", err)
	}
}
