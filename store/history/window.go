package history

import (
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/store/agesplit"

	"filippo.io/age"
)

const (
	leastWindow = 200            // messages; in larger rooms as many as they have members
	busyFactor  = 4              // times as many, while they come fast
	busyWindow  = 4000           // but no more than that, or the members where they are more
	busyFor     = time.Minute    // that fast
	windowLasts = 24 * time.Hour // at most
	chunkLines  = 200            // in one close record
	chunkBytes  = 256 << 10      // in one close record
)

// keyring is the one-time keys of a window. What is used is gone, also where the write then fails.
type keyring struct {
	msgs, closes []agesplit.OnceKey
}

// newKeyring has room for the keys of n messages and of as many closes as they can take.
func newKeyring(n int) *keyring {
	const least = min(chunkLines, chunkBytes/maxLine) // lines in each close but the last
	return &keyring{msgs: make([]agesplit.OnceKey, n), closes: make([]agesplit.OnceKey, (n+least-1)/least)}
}

// some are the keys, some after others.
func (r *keyring) some() iter.Seq[[]agesplit.OnceKey] {
	const atOnce = 128
	return func(yield func([]agesplit.OnceKey) bool) {
		for _, keys := range [][]agesplit.OnceKey{r.msgs, r.closes} {
			for some := range slices.Chunk(keys, atOnce) {
				if !yield(some) {
					return
				}
			}
		}
	}
}

func take(keys *[]agesplit.OnceKey) *agesplit.OnceKey {
	k := &(*keys)[0]
	*keys = (*keys)[1:]
	return k
}

func (r *keyring) wipe() {
	for _, keys := range [][]agesplit.OnceKey{r.msgs, r.closes} {
		for i := range keys {
			keys[i].Wipe()
		}
	}
	r.msgs, r.closes = nil, nil
}

// window is one that has begun.
type window struct {
	opened time.Time
	size   windowSize
	sum    sum // of its record
	keys   *keyring
	to     map[chat.Name]keySet // what each head is for; not changed
	lines  [][]byte             // its messages, to be stored again as one when it ends
	digest []sum                // of the lines' records
}

// full reports whether the window takes no more. Its size is that of a room where people talk; where they talk so fast that
// it is reached within a minute, the window holds more, so that fewer heads are made. What it holds then was said within
// that minute.
func (w *window) full(now time.Time) bool {
	return len(w.lines) >= w.size.most || len(w.keys.msgs) == 0 || len(w.lines) >= w.size.usual && now.Sub(w.opened) >= busyFor
}

// windowSize is how many messages a window holds.
type windowSize struct {
	usual int
	most  int // where they come fast
}

// sizeOf is the default size in a room with that many readers.
func sizeOf(set, readers int) windowSize {
	if set > 0 {
		return windowSize{set, set}
	}
	usual := max(leastWindow, readers)
	return windowSize{usual, max(usual, min(busyFactor*readers, busyWindow))}
}

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

// keySet identifies a set of keys by a hash of each. It is nil if the keys are unknown.
type keySet []uint64

var keySeed = maphash.MakeSeed()

// keysOf are the keys of the recipients, if they say which they are.
func keysOf(to []age.Recipient) keySet {
	keys := make(keySet, len(to))
	for i, r := range to {
		named, ok := r.(fmt.Stringer)
		if !ok {
			return nil
		}
		keys[i] = maphash.String(keySeed, named.String())
	}
	return keys
}

// equal reports whether both are known, and the same keys.
func (k keySet) equal(other keySet) bool {
	if k == nil || other == nil {
		return false
	}
	hold := func(a, b keySet) bool {
		return !slices.ContainsFunc(b, func(key uint64) bool { return !slices.Contains(a, key) })
	}
	return hold(k, other) && hold(other, k)
}
