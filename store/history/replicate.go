package history

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"
	"sshchat/store/durable"
)

// errFollowing refuses to draft in a history that takes another's records.
var errFollowing = errors.New("the history takes records from a leader, so it cannot create any")

// Replicate appends records that another history drafted, the lines as Draft.Records has them, and returns when that is
// durable. What it has already, by n, is compared and skipped. said are their messages, as far as they are known: from
// them the last lines of each room are kept in memory, as if they had been said here. From here on windows that are open
// here are forgotten: their messages stay single ones, as after a crash. A record with which the history goes on in a new
// file comes alone, and is taken if the archive that is made here is the same to the byte.
//
// Errors name the record that does not follow on what there is, or differs; then nothing has changed.
func (h *History) Replicate(lines [][]byte, said []chat.Message) error {
	h.committing.Lock()
	defer h.committing.Unlock()
	if h.closed {
		return errHistoryClosed
	}
	if h.segment.dead != nil {
		return h.segment.dead
	}
	follow(h)
	t := replication{h: h, links: make(savedLinks), said: make(map[messageName]*chat.Message, len(said))}
	for i := range said {
		t.said[messageName{said[i].Room, said[i].Seq}] = &said[i]
	}
	defer h.note()
	err := t.read(lines)
	if err == nil {
		err = t.store()
	}
	if err != nil {
		t.undo()
	}
	return err
}

// Lead makes a history that has taken records one that drafts: s names the rooms and their readers as they are after the
// last record that it took. It is called before the first Draft.
func (h *History) Lead(s *chat.State) {
	h.committing.Lock()
	defer h.committing.Unlock()
	follow(h)
	h.following = false
	h.state.Store(s)
	for _, room := range s.Rooms() {
		r := h.room(room.Name)
		for _, m := range room.Members {
			r.readers[m.Name] = true
		}
	}
	for _, r := range h.rooms {
		h.prepareNext(r, s)
		h.publishNext(r)
	}
}

// Follow makes a history that drafts one that takes records: windows that are open are forgotten, and closing it writes nothing.
func (h *History) Follow() {
	h.committing.Lock()
	defer h.committing.Unlock()
	follow(h)
}

// follow drops what only a leader has: open and prepared windows, and the readers of each room. Called with committing
// held.
func follow(h *History) {
	h.replicated = true
	if h.following {
		return
	}
	h.following = true
	for _, r := range h.rooms {
		if r.open {
			r.at.keys.wipe()
		}
		r.forgetPrepared()
		*r = roomChain{name: r.name, w: r.w, seq: r.seq, tip: r.tip, readers: pairOf(r.name)}
		h.publishNext(r)
	}
}

// messageName is a message by its place.
type messageName struct {
	room chat.RoomName
	seq  uint64
}

// replication is one Take.
type replication struct {
	h       *History
	said    map[messageName]*chat.Message
	links   savedLinks
	known   []*record // that the history has already
	records []*record // that it has not
	stored  int       // how many of those are durable
	next    *nextFile // they are one start record: the archive that it refers to
}

// read reads the records and sees that they follow on what there is.
func (t *replication) read(lines [][]byte) error {
	last, change := t.h.segment.n, t.h.change.Load()
	for i := 0; i < len(lines); {
		r, err := leadingRecord(lines[i:])
		if err != nil {
			return fmt.Errorf("line %d of the received records: %w", i+1, err)
		}
		i += len(r.lines)
		switch {
		case r.last() <= t.h.segment.n && len(t.records) == 0:
			t.known = append(t.known, r)
			continue
		case r.n != last+1:
			return fmt.Errorf("record %d does not follow record %d, the last one", r.n, last)
		case len(t.records)+len(t.known) == 0 && !r.hasOK: // a crash may have left a part of a batch
			return fmt.Errorf("record %d does not begin a batch", r.n)
		case r.hasChange && r.change < change:
			return fmt.Errorf("record %d: %s", r.n, fallsBack(r.change, change))
		case r.hasOK && r.ok >= r.n:
			return fmt.Errorf("record %d says that record %d was durable before it", r.n, r.ok)
		}
		if err := t.add(r); err != nil {
			return fmt.Errorf("record %d: %w", r.n, err)
		}
		last, change = r.last(), max(change, r.change)
	}
	return t.compare()
}

// add sees that the record follows.
func (t *replication) add(r *record) error {
	if r.kind == startRecord && len(t.records) > 0 || t.next != nil {
		return errors.New("a start record must come alone")
	}
	t.links.save(t.h.chain, r)
	if err := t.h.chain.follow(r); err != nil {
		return err
	}
	t.records = append(t.records, r)
	switch r.kind {
	case startRecord:
		return t.archive(r)
	case msgRecord:
		return t.remember(r)
	}
	return nil
}

// remember gives the record its message, if that is known.
func (t *replication) remember(r *record) error {
	m := t.said[messageName{r.room, r.seq}]
	if m == nil {
		return nil
	}
	line, err := sealedLine(r.room, r.w, m)
	if err != nil {
		return err
	}
	if len(line)+agesplit.BodyOverhead != len(r.body) {
		return errors.New("the message does not match what is sealed")
	}
	r.plain = line
	if m.Of > 0 {
		r.amends = m
	}
	return nil
}

// archive makes the archive that the start record refers to.
func (t *replication) archive(r *record) (err error) {
	if want := t.h.archived + 1; r.predecessor.archive != want {
		return fmt.Errorf("it continues archive %d, but the next here is %d", r.predecessor.archive, want)
	}
	var o *predecessor
	if t.next, o, err = t.h.writeArchive(r.predecessor.at); err != nil {
		return err
	}
	own := &record{n: r.n, kind: startRecord, ok: r.ok, hasOK: true, change: r.change, hasChange: r.hasChange, predecessor: o}
	own.encode()
	if own.sum != r.sum {
		return fmt.Errorf("%w: the archive differs from the leader's: it has %d bytes and the SHA-256 %x, the leader's %d and %x",
			ErrDamaged, o.size, o.sum[:], r.predecessor.size, r.predecessor.sum[:])
	}
	return nil
}

// comparison reads the records that a history has, from one batch that comes again to the next: after a crash those are many.
type comparison struct {
	file durable.File // of the segment that is read
	scan *scanner
	next uint64 // the line that comes next, or one before it
}

// compare sees that the records that are known are those that there are. Those of archives are not looked up.
func (t *replication) compare() error {
	if len(t.known) == 0 {
		return nil
	}
	want := make(map[uint64][]byte)
	for _, r := range t.known {
		for i, line := range r.lines {
			want[r.n+uint64(i)] = line
		}
	}
	c := t.h.comparison
	t.h.comparison = nil // unless all goes well
	if c == nil || c.file != t.h.segment.file || c.next > t.known[0].n {
		s, err := scanSegment(io.NewSectionReader(t.h.segment.file, 0, t.h.segment.size))
		if err != nil {
			return err
		}
		c = &comparison{file: t.h.segment.file, scan: s}
	}
	for len(want) > 0 {
		line, _, err := c.scan.line()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		b, err := parseLineHeader(line)
		if err != nil {
			return err
		}
		if other, ok := want[b.n]; ok && !bytes.Equal(other, line) {
			return fmt.Errorf("record %d differs from the existing one", b.n)
		}
		delete(want, b.n)
		c.next = b.n + 1
	}
	t.h.comparison = c
	return nil
}

// store appends the records. Each batch is durable before the next, which declares it durable.
func (t *replication) store() error {
	if len(t.records) > 0 {
		t.h.comparison = nil // nothing comes again from here on
	}
	if t.next != nil {
		if err := t.h.startAnew(t.next, t.records[0]); err != nil {
			return err
		}
		t.stored = 1
		t.h.change.Store(t.records[0].change)
		t.h.expire()
		return nil
	}
	for t.stored < len(t.records) {
		end := t.stored + 1
		for end < len(t.records) && !t.records[end].hasOK {
			end++
		}
		if err := t.batch(t.records[t.stored:end]); err != nil {
			return err
		}
		t.stored = end
	}
	return nil
}

// batch appends a batch.
func (t *replication) batch(records []*record) error {
	h := t.h
	if err := h.segment.append(records); err != nil {
		return h.failed(err)
	}
	h.failing = failing{}
	h.change.Store(max(h.change.Load(), records[0].change))
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, rec := range records {
		h.index.add(rec)
		if x := h.index[rec.room]; x != nil {
			r := h.room(rec.room)
			r.w, r.seq, r.tip = x.head.W, x.head.Seq, x.head.Tip
		}
	}
	return nil
}

// undo resets the chain to the end of the file.
func (t *replication) undo() {
	if t.next != nil {
		t.next.forget(t.h.opt.Log)
	}
	t.links.restore(t.h.chain)
	for _, r := range t.records[:t.stored] {
		if err := t.h.chain.follow(r); err != nil {
			panic("internal error: a record that followed before: " + err.Error())
		}
	}
}
