package view

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/view/output"
	"sshchat/sshchat/view/theme"
)

// encoded is a message as it goes to clients: the bytes that add it below the last one. It is made once for all sessions
// that show it alike, and never changed.
type encoded struct {
	encodedKey
	bytes output.Encoded // of a full screen: each row begins with a new line, which may move those above it up
	sums  []uint64       // of a full screen: the hash of each row
	day   day            // of a full screen
}

// encodedKey is all that the bytes depend on. A message that was edited or deleted has none: its DisplaySeq does not identify it.
type encodedKey struct {
	order   uint64 // the message's DisplaySeq: unique across rooms
	width   int
	variant variant
	format
}

// format is how messages are shown, as far as sessions may have it in common.
type format struct {
	kind        Kind
	zone, clock string // the clock is a layout of the time
	styles      *theme.Styles
	links       bool // the terminal knows links (OSC 8)
	keepSigns   bool // markup is shown with its signs
	aligned     bool // names stand in a column where there is room for it
	lines       bool // the terminal has lines to draw with
}

// variant is how a message relates to the person who sees it.
type variant uint8

const (
	variantMention   variant = 1 << iota // it mentions the person; on plain terminals, by name
	variantElsewhere                     // it is not of the room that is shown without a name
	variantFirst                         // it is of a direct room, and the person is the first of the two
	variantSecond                        // or the second
	variantContinued                     // the same person said what stands above it
	variantSameTime                      // and in the same minute
	variantSelected                      // it is selected
	variantHighlight                     // on plain terminals: it has a word of the person's, and does not name them
)

// roomVariant is how the room of m is named to me, if the room here needs no name.
func roomVariant(m *chat.Message, me chat.Name, here chat.RoomName) variant {
	if m.Room == here {
		return 0
	}
	v := variantElsewhere
	if first, second, direct := m.Room.Pair(); direct {
		if first == me {
			v |= variantFirst
		}
		if second == me {
			v |= variantSecond
		}
	}
	return v
}

// mayShare reports whether m looks the same to all sessions with the same key. Personal notices are not shared.
func mayShare(m *chat.Message) bool {
	return m.DisplaySeq > 0 && !m.Room.IsZero() && !m.Edited && !m.Deleted && m.Of == 0 && m.Reactions == nil
}

// The bounds of encodedMessages, which so hold at most 4 MiB. Messages are sent to all their readers within a moment: in the
// busiest rooms that is a hundred of them at once, for each width and format.
const (
	encodedBits = 11   // places, as a power of two
	maxEncoded  = 2048 // bytes of a message; a longer one is not kept
)

// encodedMessages holds encoded messages for all sessions of a server. Each has one slot, which keeps the latest. Its
// methods may be called from any goroutine, and never wait.
type encodedMessages [1 << encodedBits]atomic.Pointer[encoded]

// slot is the place of a key. hash is that of its format.
func (k *encodedKey) slot(hash uint64) int {
	h := k.order + hash + uint64(k.width)<<32 + uint64(k.variant)<<48
	const golden = 0x9e3779b97f4a7c15 // spreads numbers that follow each other (Knuth, 6.4)
	return int(h * golden >> (64 - encodedBits))
}

func (s *encodedMessages) find(k *encodedKey, hash uint64) *encoded {
	if e := s[k.slot(hash)].Load(); e != nil && e.encodedKey == *k {
		return e
	}
	return nil
}

func (s *encodedMessages) keep(e *encoded, hash uint64) {
	if e.bytes.Len()+8*len(e.sums) <= maxEncoded {
		s[e.slot(hash)].Store(e)
	}
}

func (f format) hash() uint64 { return maphash.Comparable(seed, f) }

// day is the day of a message in somebody's zone: consecutive days need not have consecutive numbers.
type day int32

func dayOf(at time.Time, zone *time.Location) day {
	at = at.In(zone)
	return day(at.Year()*366 + at.YearDay())
}
