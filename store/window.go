package store

import (
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"filippo.io/age"

	"sshchat/sshchat/chat"
)

const (
	leastWindow = 200            // messages; in larger rooms as many as they have members
	windowLasts = 24 * time.Hour // at most
	chunkLines  = 200            // in one close record
	chunkBytes  = 256 << 10      // in one close record
)

// keyring is the one-time keys of a window. What is used is gone, also where the write then fails.
type keyring struct {
	msgs, closes []onceKey
}

// newKeyring derives keys for n messages and for as many closes as they can take.
func newKeyring(k *fileKey, n int) *keyring {
	const least = min(chunkLines, chunkBytes/maxLine) // lines in each close but the last
	return &keyring{msgs: k.once(n), closes: k.once((n + least - 1) / least)}
}

func take(keys *[]onceKey) *onceKey {
	k := &(*keys)[0]
	*keys = (*keys)[1:]
	return k
}

func (r *keyring) wipe() {
	for _, keys := range [][]onceKey{r.msgs, r.closes} {
		for i := range keys {
			keys[i].wipe()
		}
	}
	r.msgs, r.closes = nil, nil
}

// ready is a window before its first message: heads and one-time keys, made ahead and off the delivery path
// where that takes time. It keeps its file key until it begins, so that a change of readers costs one head.
type ready struct {
	room    chat.RoomName
	readers []chat.Name // whom it is made for; not changed after newReady
	size    int         // messages
	reads   func(chat.RoomName, chat.Name) []age.Recipient
	log     *slog.Logger

	built sync.Once // whoever needs it first makes it, the preparing goroutine or the committing one; the other waits

	// Written within built, and after it owned by the committing goroutine:

	key   *fileKey // nil once it has begun
	heads map[chat.Name]string
	keys  *keyring

	// Owned by the committing goroutine:

	changed map[chat.Name]bool // whose heads are to be made again, or to go
}

// build makes the heads and keys, once.
func (p *ready) build() {
	p.built.Do(func() {
		p.key = newFileKey()
		p.heads = make(map[chat.Name]string, len(p.readers))
		for _, name := range p.readers {
			p.wrap(name)
		}
		p.keys = newKeyring(p.key, p.size)
	})
}

func (p *ready) wrap(name chat.Name) {
	head, refused := p.key.head(p.reads(p.room, name))
	if len(refused) > 0 {
		p.log.Warn("history: a key cannot be sealed to and is left out", "room", p.room, "name", name, "err", errors.Join(refused...))
	}
	delete(p.heads, name)
	if head != "" {
		p.heads[name] = head
	}
}

// usable reports whether the window can still begin with its readers as they are now.
func (p *ready) usable() bool {
	p.build()
	return p.key != nil || len(p.changed) == 0 && len(p.keys.msgs) > 0
}

// begin makes the heads fit the readers as they are now and forgets the file key: from here on
// the server cannot open what it writes. It may be called again where the write failed.
func (p *ready) begin(readers map[chat.Name]bool) []namedHead {
	for name := range p.changed {
		if readers[name] {
			p.wrap(name)
		} else {
			delete(p.heads, name)
		}
	}
	clear(p.changed)
	if p.key != nil {
		p.key.wipe()
		p.key = nil
	}
	heads := make([]namedHead, 0, len(p.heads))
	for name, head := range p.heads {
		heads = append(heads, namedHead{name, head})
	}
	slices.SortFunc(heads, func(a, b namedHead) int { return a.name.Compare(b.name) })
	return heads
}

// drop forgets it all.
func (p *ready) drop() {
	p.built.Do(func() {}) // not made yet: then never
	if p.key != nil {
		p.key.wipe()
	}
	if p.keys != nil {
		p.keys.wipe()
	}
}

// window is one that has begun.
type window struct {
	opened time.Time
	size   int
	sum    sum // of its record
	keys   *keyring
	lines  [][]byte // what was said in it, to be stored again as one when it ends
	digest []sum    // of the lines' records
}

func (w *window) full() bool { return len(w.lines) >= w.size || len(w.keys.msgs) == 0 }

// chunks divides the window's lines into what each close holds.
func (w *window) chunks() [][][]byte {
	var chunks [][][]byte
	start, bytes := 0, 0
	for i, l := range w.lines {
		if i-start == chunkLines || bytes+len(l) > chunkBytes {
			chunks = append(chunks, w.lines[start:i])
			start, bytes = i, 0
		}
		bytes += len(l)
	}
	return append(chunks, w.lines[start:])
}
