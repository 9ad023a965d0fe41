package chat

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"sshchat/sshchat/wake"
)

// What a log keeps for its readers. A reader that falls further behind skips ahead and learns how many messages it
// missed.
const (
	LogLines = 4096    // messages
	LogBytes = 1 << 20 // bytes of text, with a flat rate for each message
	IdleLog  = 200     // messages kept while nobody is online, for the next session
	ownLines = 256     // entries of a person's own log: a session that lost some reads the present state instead
)

// Log is a room's messages in the one order everybody sees. It is append-only and keeps a bounded tail in memory. Readers
// hold cursors and pull, so that a reader who stalls costs the others nothing; those that listen are woken.
//
// Positions count every entry since the log was made, also those no longer kept; they are not Seqs.
type Log struct {
	mu      sync.Mutex
	entries []Message     // guarded by mu; readers share the array, so its elements are never written to: see amend
	first   uint64        // guarded by mu; position of entries[0]
	last    uint64        // guarded by mu; Seq of the newest stored message, kept or not
	dropped uint64        // guarded by mu; Seq of the newest stored message that is no longer kept
	missing uint64        // guarded by mu; position after the newest entry that is Missing, which nobody is shown; 0: there is none
	bytes   int           // guarded by mu; size of entries
	lines   int           // kept at most; never changed
	end     atomic.Uint64 // position after the newest entry; written with mu held

	listening sync.Mutex
	listeners []*Cursor // guarded by listening; each knows its place in it
}

// NewLog returns an empty log of a room whose newest stored message is last.
func NewLog(last uint64) *Log { return &Log{last: last, dropped: last, lines: LogLines} }

// newOwnLog returns an empty log for entries that only one person sees.
func newOwnLog() *Log { return &Log{lines: ownLines} }

// Append adds messages in order and wakes the readers that listen. It never blocks on a reader.
func (l *Log) Append(messages ...Message) {
	l.mu.Lock()
	l.entries = append(l.entries, messages...)
	amends := false
	for i := range messages {
		l.bytes += messages[i].size()
		l.last = max(l.last, messages[i].Seq)
		if messages[i].Kind == Missing {
			l.missing = l.first + uint64(len(l.entries)-len(messages)+i+1)
		}
		amends = amends || messages[i].Of > 0 && messages[i].Kind != Say
	}
	if amends {
		l.amend(messages)
	}
	l.end.Store(l.first + uint64(len(l.entries)))
	l.evict(l.lines, LogBytes)
	l.mu.Unlock()
	l.listening.Lock()
	for _, c := range l.listeners {
		c.waker.Wake(c.reason)
	}
	l.listening.Unlock()
}

// amend puts in the place of what was edited, deleted or reacted to what became of it; with a message that is deleted go the
// texts of its edits and its reactions. Readers have parts of the array in their hands, so all of it is copied, once for a
// batch: 0.2 ms for a full log. A map of what was changed, asked for each entry, would cost the delivery of every message
// something.
func (l *Log) amend(batch []Message) {
	by, reacts := make(map[uint64]*Message), make(map[uint64][]*Message)
	for i := range batch {
		switch m := &batch[i]; {
		case m.Kind.Reacts():
			reacts[m.Of] = append(reacts[m.Of], m)
		case m.Kind.Amends() && (by[m.Of] == nil || by[m.Of].Kind == Edit):
			by[m.Of] = m
		}
	}
	const spare = 64 // so that the next Append does not copy it once more
	l.entries = append(make([]Message, 0, len(l.entries)+spare), l.entries...)
	for i := range l.entries {
		e := &l.entries[i]
		before := e.size()
		if e.Said() {
			for _, m := range reacts[e.Seq] {
				e.Reactions = e.Reactions.After(m)
			}
		}
		e.amend(by[e.Subject()])
		l.bytes += e.size() - before
	}
}

// find returns the stored message with that Seq while it is in memory.
func (l *Log) find(seq uint64) (Message, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq == 0 || seq > l.last || seq <= l.dropped {
		return Message{}, false
	}
	// So many stored messages come after it; what is not stored stands between them.
	for i := len(l.entries) - 1 - int(l.last-seq); i >= 0; i-- {
		if l.entries[i].Seq == seq {
			return l.entries[i], l.entries[i].Kind != Missing
		}
	}
	return Message{}, false
}

// Trim forgets all but the last entries that a newcomer may be shown.
func (l *Log) Trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.evict(IdleLog, LogBytes)
	l.entries = append([]Message(nil), l.entries...) // release the large array
}

// evict drops entries from the front until at most lines and bytes are left; one entry always stays.
// The array is shared with readers, so nothing is overwritten: append moves to a new one in time.
func (l *Log) evict(lines, bytes int) {
	drop := 0
	for left := len(l.entries); left > 1 && (left > lines || l.bytes > bytes); left-- {
		l.bytes -= l.entries[drop].size()
		l.dropped = max(l.dropped, l.entries[drop].Seq)
		drop++
	}
	l.entries = l.entries[drop:]
	l.first += uint64(drop)
}

// Tail returns up to n of the last entries, oldest first. The caller must not change them.
func (l *Log) Tail(n int) []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known(max(0, len(l.entries)-n), len(l.entries))
}

// known are the entries from one up to another, without those that are Missing. Called with mu held.
func (l *Log) known(from, to int) []Message {
	entries := l.entries[from:to:to]
	if l.missing <= l.first+uint64(from) {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), func(m Message) bool { return m.Kind == Missing })
}

// before returns up to n of the last entries whose order is below the given one, or of all where that is 0,
// oldest first. The caller must not change them.
func (l *Log) before(displaySeq uint64, n int) []Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	end := len(l.entries)
	if displaySeq > 0 {
		end, _ = slices.BinarySearchFunc(l.entries, displaySeq, func(m Message, displaySeq uint64) int { return cmp.Compare(m.DisplaySeq, displaySeq) })
	}
	return l.known(max(0, end-n), end)
}

// after returns what came after the message seq: the Seq of the newest, how many the log no longer keeps, and the
// entries it does keep. The caller must not change them.
func (l *Log) after(seq uint64) (last uint64, lost int, entries []Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost = int(max(l.dropped, seq) - seq)
	end := len(l.entries)
	// No more stored messages than these come after it; what is not stored stands between them.
	at := max(0, end-int(min(uint64(end), l.last-min(l.last, seq))))
	for at > 0 && (l.entries[at-1].Seq == 0 || l.entries[at-1].Seq > seq) {
		at--
	}
	entries = l.known(at, end)
	return l.last, lost + end - at - len(entries), entries
}

// Cursor returns a cursor at the log's end.
func (l *Log) Cursor() *Cursor { return l.CursorBack(0) }

// CursorBack returns a cursor n entries before the log's end, or at the first that is kept.
func (l *Log) CursorBack(n int) *Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := max(0, len(l.entries)-n)
	c := &Cursor{log: l, next: l.first + uint64(at), seq: l.dropped}
	for i := at - 1; i >= 0; i-- {
		if seq := l.entries[i].Seq; seq > 0 {
			c.seq = seq
			break
		}
	}
	return c
}

// CursorAfter returns a cursor whose next stored message is the one after seq.
// What the log no longer keeps of them is the first Next's gap.
func (l *Log) CursorAfter(seq uint64) *Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := len(l.entries)
	for at > 0 && (l.entries[at-1].Seq == 0 || l.entries[at-1].Seq > seq) {
		at--
	}
	return &Cursor{log: l, next: l.first + uint64(at), seq: min(seq, l.last)}
}

// Last is the Seq of the newest stored message.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// Cursor is one reader's place in a log. It belongs to one goroutine.
type Cursor struct {
	log  *Log
	next uint64 // position of the next entry to read
	seq  uint64 // Seq of the last stored message passed

	waker  *wake.Waker // nil: it does not listen
	reason wake.Reason
	at     int // guarded by the log's listening; its place among the listeners
}

// Kept is how many stored messages are still in memory.
func (l *Log) Kept() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.last - l.dropped)
}

// Gap is a run of stored messages that a reader was too late for, or whose text did not arrive; the zero Gap is none.
type Gap struct {
	From, To uint64 // Seqs, both included
}

// Count is how many messages are in the gap.
func (g Gap) Count() int {
	if g.To == 0 {
		return 0
	}
	return int(g.To - g.From + 1)
}

// Next returns up to max entries the reader has not seen and moves past them. Messages that were dropped before
// the reader came for them, and those that are Missing, are the gap; they precede the returned entries, which end before the next
// gap. The caller must not change the entries.
func (c *Cursor) Next(max int) (entries []Message, gap Gap) {
	l := c.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.seq < l.dropped {
		gap = Gap{c.seq + 1, l.dropped}
		c.seq = l.dropped
	}
	if c.next < l.first {
		c.next = l.first
	}
	from := int(c.next - l.first)
	to := min(len(l.entries), from+max)
	if c.next < l.missing {
		from, to = c.skipMissing(from, to, &gap)
	}
	c.next = l.first + uint64(to)
	for i := to - 1; i >= from; i-- {
		if seq := l.entries[i].Seq; seq > 0 {
			c.seq = seq
			break
		}
	}
	return l.entries[from:to:to], gap
}

// skipMissing adds to the gap the Missing messages from which the entries begin, and ends them before the next one. Called with the
// log's mu held.
func (c *Cursor) skipMissing(from, to int, gap *Gap) (first, end int) {
	for ; from < to && c.log.entries[from].Kind == Missing; from++ {
		c.seq = c.log.entries[from].Seq
		if gap.To == 0 {
			gap.From = c.seq
		}
		gap.To = c.seq
	}
	for end = from; end < to && c.log.entries[end].Kind != Missing; end++ {
	}
	return from, end
}

// late reports whether entries were dropped before the reader came for them.
func (c *Cursor) late() bool {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.next < c.log.first
}

// skipDropped makes the next call of Next report no gap: the reader learns of dropped entries in another way.
func (c *Cursor) skipDropped() {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.seq = max(c.seq, c.log.dropped)
}

// Seq is that of the last stored message the cursor has passed.
func (c *Cursor) Seq() uint64 { return c.seq }

// Behind reports whether the log holds something past the cursor.
func (c *Cursor) Behind() bool { return c.next < c.log.end.Load() }

// Listen has each Append wake w for that reason, until Unlisten. What the log holds already wakes nobody: see Behind.
func (c *Cursor) Listen(w *wake.Waker, r wake.Reason) {
	l := c.log
	l.listening.Lock()
	defer l.listening.Unlock()
	c.waker, c.reason, c.at = w, r, len(l.listeners)
	l.listeners = append(l.listeners, c)
}

// Unlisten ends what Listen began. It must not be forgotten: the log refers to the cursor until then.
func (c *Cursor) Unlisten() {
	if c.waker == nil {
		return
	}
	l := c.log
	l.listening.Lock()
	defer l.listening.Unlock()
	last := len(l.listeners) - 1
	l.listeners[c.at] = l.listeners[last]
	l.listeners[c.at].at = c.at
	l.listeners[last] = nil
	l.listeners = l.listeners[:last]
	c.waker = nil
}
