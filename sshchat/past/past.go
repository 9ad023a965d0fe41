// Package past is what a session has unlocked of a room's sealed history: pages of it, opened when they are asked for. It knows
// nothing of keys, files or terminals.
//
// The session's goroutine takes what is open, and never waits: Before, After, Amend, Sweep and Wipe are its. What reads the disk,
// Load and Backward, is for a job, in a goroutine of its own.
package past

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/lists"
	"sshchat/sshchat/text"
)

const (
	// pageLines is how many messages a page has.
	pageLines = 256
	// MaxBytes is what is open at a time, of pages and of later changes of messages, as a chat.Log counts them. The page that
	// was not looked at for the longest time is closed for another.
	MaxBytes = 2 << 20
	// ahead is how near the top of a page somebody may come before the next is wanted.
	ahead = 64
	// rate is what an entry takes besides its text, in bytes.
	rate = 128
)

// Source opens sealed messages of one room.
type Source interface {
	// First is the first message that it may open; 0 for none.
	First() uint64
	// Read opens the messages from the one Seq to the other, the newest last, as they were sealed. last is the newest message
	// that is stored, if that is less than to, and read how many bytes were read.
	Read(from, to uint64) (said []chat.Message, last uint64, read int, err error)
	// Wipe forgets the keys.
	Wipe()
}

// Past is the unlocked past of a room.
type Past struct {
	room   chat.RoomName
	source Source
	from   uint64 // the first message that may be shown
	top    uint64 // the last message that was not in memory when it was unlocked

	mu      sync.Mutex
	pages   map[uint64]*page    // guarded by mu; by number
	closed  []*page             // guarded by mu; to be cleared by Sweep
	bytes   int                 // guarded by mu; of pages and changes
	uses    uint64              // guarded by mu; counts them
	changes map[uint64][]change // guarded by mu; by the message that is meant: what messages on other pages made of it
	scanned uint64              // guarded by mu; pages from this one on were looked through for changes
	want    uint64              // guarded by mu; the number of a page that was asked for, plus one; 0 for none
	wiped   bool                // guarded by mu

	color func(chat.Name) chat.NameColor // guarded by mu; nil: names have the colors that follow from them
}

// page is some messages, and their texts in memory of their own.
type page struct {
	number uint64
	last   uint64 // the last message that was stored when it was opened
	said   []chat.Message
	text   []byte
	bytes  int
	used   uint64
}

// change is a later edit, deletion or reaction. Its text is in memory of its own, if it was sealed.
type change struct {
	by   chat.Message
	text []byte
}

// New is the past of a room up to the message top, which source opens and of which the messages from since on are to be
// shown. Nothing of it is open yet.
func New(room chat.RoomName, source Source, since, top uint64) *Past {
	p := &Past{room: room, source: source, from: max(source.First(), since, 1), top: top, pages: make(map[uint64]*page), changes: make(map[uint64][]change)}
	if source.First() == 0 {
		p.from = math.MaxUint64
	}
	p.scanned = numberOf(top) + 1
	return p
}

// Colors sets the colors of names on pages that are opened from now on.
func (p *Past) Colors(color func(chat.Name) chat.NameColor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.color = color
}

// Room is the room.
func (p *Past) Room() chat.RoomName { return p.room }

// Count is how many messages before the Seq before it may open.
func (p *Past) Count(before uint64) int {
	if before <= p.from {
		return 0
	}
	return int(before - p.from)
}

// numberOf is the number of the page with a message.
func numberOf(seq uint64) uint64 { return (max(seq, 1) - 1) / pageLines }

func (g *page) first() uint64 { return g.number*pageLines + 1 }
func (g *page) end() uint64   { return (g.number + 1) * pageLines }

// at is where the first message from the place seq on is.
func (g *page) at(seq uint64) int {
	i, _ := slices.BinarySearchFunc(g.said, seq, func(m chat.Message, seq uint64) int { return cmp.Compare(m.DisplaySeq, seq) })
	return i
}

// open is the page with the message, if it is open and as long as it is now; else it is wanted. Called with mu held.
func (p *Past) open(seq uint64) *page {
	g := p.pages[numberOf(seq)]
	if g == nil || g.last < seq && g.last < g.end() {
		p.want = numberOf(seq) + 1
		return nil
	}
	p.uses++
	g.used = p.uses
	return g
}

// Before returns up to n messages before the Seq before, the newest last, as far as they are open. What more there is, is
// wanted. The messages are good until the next Sweep or Wipe.
func (p *Past) Before(before uint64, n int) []chat.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	var said []chat.Message
	for !p.wiped && before > p.from && len(said) < n {
		g := p.open(before - 1)
		if g == nil {
			break
		}
		part := g.said[:g.at(before)]
		rest := max(0, len(part)-(n-len(said)))
		before = g.first()
		if rest < ahead && before > p.from {
			if g := p.pages[numberOf(before-1)]; g == nil {
				p.want = numberOf(before-1) + 1
			}
		}
		if part = part[rest:]; len(said) == 0 {
			said = part
		} else {
			said = append(slices.Clone(part), said...)
		}
	}
	return said
}

// After returns up to n messages after the Seq after and before the Seq until, the oldest first, as far as they are open. whole
// reports whether these are all.
func (p *Past) After(after, until uint64, n int) (said []chat.Message, whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := max(after+1, p.from)
	for !p.wiped && next < until && len(said) < n {
		g := p.open(next)
		if g == nil {
			break
		}
		part := g.said[g.at(next):g.at(until)]
		if rest := n - len(said); len(part) > rest {
			return append(said, part[:rest]...), false
		}
		said = append(said, part...)
		next = g.end() + 1
	}
	return said, next >= until
}

// Opening reports whether the first of its messages is not open.
func (p *Past) Opening() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pages[numberOf(p.from)] == nil
}

// Wants reports whether a page was asked for that is not open. It is asked once for each.
func (p *Past) Wants() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.wiped && p.want > 0
}

// Load opens the page that was asked for last, and returns how many bytes it has read. Pages above it that nobody has
// looked at are looked through for changes of its messages.
func (p *Past) Load() (read int, err error) {
	p.mu.Lock()
	number := p.want
	p.want = 0
	p.mu.Unlock()
	if number == 0 {
		return 0, nil
	}
	return p.load(number - 1)
}

func (p *Past) load(number uint64) (read int, err error) {
	for {
		p.mu.Lock()
		next := number
		if p.scanned > 0 && number < p.scanned-1 {
			next = p.scanned - 1
		}
		p.mu.Unlock()
		n, err := p.loadOne(next)
		read += n
		if err != nil || next == number {
			return read, err
		}
	}
}

// errChanges ends a past in which too much was changed later.
var errChanges = &chat.Refusal{Code: chat.Failed, Text: "too many older lines were edited or deleted later; to read further, use history --tar"}

// errLocked is what a page is refused with that comes after Wipe.
var errLocked = &chat.Refusal{Code: chat.Failed, Text: "the older lines are locked again"}

func (p *Past) loadOne(number uint64) (read int, err error) {
	g := &page{number: number}
	from := max(g.first(), p.from)
	said, last, read, err := p.source.Read(from, g.end())
	if err != nil {
		return read, err
	}
	defer clear(said)
	g.last = last
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wiped {
		return read, errLocked
	}
	for i := range said {
		if m := &said[i]; m.Subject() != m.Seq && m.Of < g.first() {
			p.note(said[i], true)
		}
	}
	p.scanned = min(p.scanned, number)
	if p.changed() > MaxBytes/2 {
		return read, errChanges
	}
	g.said = p.settled(said)
	g.fill(from)
	for i := range g.said {
		if p.color != nil {
			g.said[i].Color = p.color(g.said[i].From)
		}
	}
	if old := p.pages[number]; old != nil {
		p.close(old)
	}
	p.uses++
	g.used = p.uses
	p.pages[number] = g
	p.bytes += g.bytes
	for p.bytes > MaxBytes && len(p.pages) > 1 {
		p.close(p.oldest(g))
	}
	return read, nil
}

// settled are the messages of a page as changes leave them, those on the page and later ones. If a message was deleted, the
// texts of its edits are gone too, whichever page it is on. Called with mu held.
func (p *Past) settled(said []chat.Message) []chat.Message {
	all := slices.Clone(said)
	added := make(map[uint64]bool)
	for i := range said {
		subject := said[i].Subject()
		if changes := p.changes[subject]; len(changes) > 0 && !added[subject] {
			added[subject] = true
			for _, c := range changes {
				all = append(all, c.by)
			}
		}
	}
	chat.Settle(all)
	return all[:len(said):len(said)]
}

// fill makes the page's texts stand in its own memory, gives the messages their places, and says where some are missing, from
// the message from on.
func (g *page) fill(from uint64) {
	size := 0
	for i := range g.said {
		size += len(g.said[i].Text.String())
	}
	g.text = make([]byte, 0, size)
	said := make([]chat.Message, 0, len(g.said))
	missing := func(until uint64) {
		if until <= from {
			return
		}
		words, err := text.ParseLine(text.Are(int(until-from), "line")+" not shown here: your password does not open "+them(until-from), 200)
		if err == nil {
			said = append(said, chat.Message{Kind: chat.Notice, Text: words, DisplaySeq: from})
		}
	}
	for _, m := range g.said {
		missing(m.Seq)
		from = m.Seq + 1
		if !m.Kind.Reacts() { // what they say is with the message they mean
			m.Text, g.text = m.Text.Keep(g.text)
		}
		m.DisplaySeq = m.Seq
		if len(said) > 0 && said[len(said)-1].Seq == 0 { // a missing part has the time of what follows it
			said[len(said)-1].At, said[len(said)-1].Room = m.At, m.Room
		}
		said = append(said, m)
	}
	if last := min(g.last, g.end()); len(g.said) > 0 {
		missing(last + 1)
		if m := &said[len(said)-1]; m.Seq == 0 {
			m.At, m.Room = g.said[len(g.said)-1].At, g.said[len(g.said)-1].Room
		}
	}
	g.said = said
	g.bytes = size + rate*len(said)
}

func them(n uint64) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

// note notes a change of a message, of its edits and deletions the latest, in the order in which they were made. keep: its text
// is to be kept here. Called with mu held.
func (p *Past) note(m chat.Message, keep bool) {
	changes := p.changes[m.Of]
	for _, c := range changes {
		if c.by.Seq == m.Seq || m.Kind.Amends() && c.by.Kind.Amends() && c.by.Seq > m.Seq {
			return
		}
	}
	kept := make([]change, 0, len(changes)+1)
	for _, c := range changes {
		if m.Kind.Amends() && c.by.Kind.Amends() {
			p.bytes -= rate + len(c.text)
			clear(c.text)
		} else {
			kept = append(kept, c)
		}
	}
	c := change{by: m}
	if keep && m.Kind.Amends() {
		c.by.Text, c.text = m.Text.Keep(make([]byte, 0, len(m.Text.String())))
	}
	kept = append(kept, c)
	lists.Sort(kept, func(a, b change) int { return cmp.Compare(a.by.Seq, b.by.Seq) })
	p.changes[m.Of] = kept
	p.bytes += rate + len(c.text)
}

// changed is how many bytes the changes take. Called with mu held.
func (p *Past) changed() int {
	n := p.bytes
	for _, g := range p.pages {
		n -= g.bytes
	}
	return n
}

// Amend takes a message that was said meanwhile, or is in memory, and may change one of the past.
func (p *Past) Amend(m *chat.Message) {
	if m.Subject() == m.Seq || m.Of > p.top || m.Of < p.from {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wiped {
		return
	}
	p.note(*m, false)
	for _, g := range p.pages { // the message may be on one, and edits of it on others
		g.said = p.settled(g.said)
	}
}

// oldest is the page that was not used for the longest time, besides one. Called with mu held.
func (p *Past) oldest(besides *page) (oldest *page) {
	for _, g := range p.pages {
		if g != besides && (oldest == nil || g.used < oldest.used) {
			oldest = g
		}
	}
	return oldest
}

// close closes a page. Its text is still there until Sweep. Called with mu held.
func (p *Past) close(g *page) {
	delete(p.pages, g.number)
	p.bytes -= g.bytes
	p.closed = append(p.closed, g)
}

// Sweep clears the texts of pages that were closed. Nobody may have any of their messages now.
func (p *Past) Sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.closed {
		g.wipe()
	}
	p.closed = nil
}

func (g *page) wipe() {
	clear(g.text)
	clear(g.said)
}

// Wipe forgets the keys, and clears all texts. Nothing is open any more. Nobody may have any of its messages now.
func (p *Past) Wipe() {
	p.source.Wipe()
	p.Sweep()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.pages {
		g.wipe()
	}
	for _, changes := range p.changes {
		for _, c := range changes {
			clear(c.text)
		}
	}
	p.pages, p.changes, p.bytes, p.want, p.wiped = nil, nil, 0, 0, true
}

// Backward visits copies of the messages before the Seq before, the newest first, until visit returns false. load is called
// with what opens a page, and may put it off; its error ends the visit.
func (p *Past) Backward(before uint64, load func(open func() (read int, err error)) error, visit func(chat.Message) bool) error {
	for before = min(before, p.top+1); before > p.from; before = numberOf(before-1)*pageLines + 1 {
		said, err := p.copyOf(before, load)
		if err != nil {
			return err
		}
		for _, m := range slices.Backward(said) {
			if !visit(m) {
				return nil
			}
		}
	}
	return nil
}

// copyOf returns copies of what the page with the message before the Seq before has before that.
func (p *Past) copyOf(before uint64, load func(open func() (read int, err error)) error) ([]chat.Message, error) {
	for range 2 {
		p.mu.Lock()
		if p.wiped {
			p.mu.Unlock()
			return nil, errLocked
		}
		want := p.want
		g := p.open(before - 1)
		p.want = want // nobody waits for it on the screen
		if g != nil {
			said := slices.Clone(g.said[:g.at(before)])
			for i := range said {
				said[i].Text = said[i].Text.Clone()
			}
			p.mu.Unlock()
			return said, nil
		}
		p.mu.Unlock()
		if err := load(func() (int, error) { return p.load(numberOf(before - 1)) }); err != nil {
			return nil, err
		}
	}
	return nil, errLocked
}
