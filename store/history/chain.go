package history

import (
	"errors"
	"fmt"
	"slices"

	"sshchat/sshchat/chat"
)

// chain follows the records of every room, in file order, and fails if one does not follow from those before it: this
// detects deleted, moved and inserted records.
type chain map[chat.RoomName]*link

// link is how far one room's chain has been followed.
type link struct {
	w      uint64 // the newest window
	seq    uint64 // the newest message
	tip    sum    // of the newest record
	n      uint64 // its number
	window sum    // of the newest window record
	msgs   []sum  // of the window's messages
	closed int    // how many of them its closes hold
	gone   bool   // its messages are not in the archive, only their closes

	windows map[uint64]sum // of all its window records so far
}

func (c chain) link(room chat.RoomName) *link {
	l := c[room]
	if l == nil {
		l = new(link)
		c[room] = l
	}
	return l
}

// follow advances the chain to r, or returns why r does not belong there.
func (c chain) follow(r *record) error {
	if r.kind == startRecord {
		return c.start(r.predecessor)
	}
	l := c.link(r.room)
	switch r.kind {
	case shareRecord:
		return l.followShare(r)
	case attachRecord:
		return l.followAttached(r)
	}
	var err error
	switch r.kind {
	case windowRecord:
		err = l.followWindow(r)
	case msgRecord:
		err = l.followMsg(r)
	case closeRecord:
		err = l.followClose(r)
	}
	if err != nil {
		return err
	}
	l.tip, l.n = r.sum, r.n
	return nil
}

func (l *link) followWindow(r *record) error {
	if r.w != l.w+1 {
		return fmt.Errorf("window %d of %s follows window %d", r.w, r.room, l.w)
	}
	if r.prev != l.tip {
		return errBroken
	}
	l.w, l.window, l.msgs, l.closed, l.gone = r.w, r.sum, nil, 0, false
	if l.windows == nil {
		l.windows = make(map[uint64]sum)
	}
	l.windows[r.w] = r.sum
	return nil
}

// followShare checks that a head is of the window that it names. It is not part of the chain: a gap in n shows a missing
// one.
func (l *link) followShare(r *record) error {
	if window, known := l.windows[r.w]; r.w > l.w || known && r.prev != window {
		return errBroken
	}
	return nil
}

// followAttached sees that the window is there that what is attached is sealed in. It is beside the chain too.
func (l *link) followAttached(r *record) error {
	if r.w > l.w {
		return errBroken
	}
	return nil
}

func (l *link) followMsg(r *record) error {
	if r.w != l.w || l.closed > 0 {
		return fmt.Errorf("message %d of %s is in no open window", r.seq, r.room)
	}
	if r.seq != l.seq+1 {
		return fmt.Errorf("message %d of %s follows message %d", r.seq, r.room, l.seq)
	}
	if r.prev != l.tip {
		return errBroken
	}
	l.seq = r.seq
	l.msgs = append(l.msgs, r.sum)
	return nil
}

func (l *link) followClose(r *record) error {
	if r.compacted && r.w == l.w && (l.gone || l.tip == l.window) {
		return l.followReplacement(r)
	}
	first := l.seq + 1 - uint64(len(l.msgs))
	if r.w != l.w || r.from != first+uint64(l.closed) || r.to > l.seq {
		return fmt.Errorf("the close of messages %d to %d of %s does not match its window", r.from, r.to, r.room)
	}
	prev := l.window
	if l.closed > 0 {
		prev = l.tip
	}
	if r.prev != prev || !slices.Equal(r.digest, l.msgs[r.from-first:r.to-first+1]) {
		return errBroken
	}
	l.closed += len(r.digest)
	return nil
}

// followReplacement follows a close whose messages an archive has left out: their digests stand for them.
func (l *link) followReplacement(r *record) error {
	if r.from != l.seq+1 {
		return fmt.Errorf("a close of messages %d to %d of %s follows message %d", r.from, r.to, r.room, l.seq)
	}
	if r.prev != l.tip {
		return errBroken
	}
	l.seq, l.gone = r.to, true
	l.closed += len(r.digest)
	return nil
}

// start takes the rooms up where the archive left them. Where it was followed too, they must stand there.
func (c chain) start(o *predecessor) error {
	if len(c) > 0 {
		if len(c) != len(o.rooms) {
			return fmt.Errorf("%d rooms continue, but the archive ended with %d", len(o.rooms), len(c))
		}
		for _, h := range o.rooms {
			if l := c[h.Room]; l == nil || l.head(h.Room) != h {
				return fmt.Errorf("%s does not continue where the archive ended", h.Room)
			}
		}
	}
	for _, h := range o.rooms {
		// Closed: the next of the room is a window.
		c[h.Room] = &link{w: h.W, seq: h.Seq, n: h.N, tip: h.Tip, closed: 1, windows: c.link(h.Room).windows}
	}
	return nil
}

func (l *link) head(room chat.RoomName) Head {
	return Head{Room: room, W: l.w, Seq: l.seq, N: l.n, Tip: l.tip}
}

var errBroken = errors.New("it does not follow from the record before it")

// savedLinks are rooms of a chain as they were, to go back to.
type savedLinks map[chat.RoomName]savedLink

type savedLink struct {
	at  *link // nil: the chain did not have the room
	was link
}

// save notes how the rooms that r is about stand, before it is followed.
func (s savedLinks) save(c chain, r *record) {
	if r.kind != startRecord {
		s.room(c, r.room)
		return
	}
	for room := range c {
		s.room(c, room)
	}
}

func (s savedLinks) room(c chain, room chat.RoomName) {
	if _, saved := s[room]; saved {
		return
	}
	l := savedLink{at: c[room]}
	if l.at != nil {
		l.was = *l.at
	}
	s[room] = l
}

// restore takes the chain back to what was saved.
func (s savedLinks) restore(c chain) {
	for room, l := range s {
		if l.at == nil {
			delete(c, room)
			continue
		}
		for w := l.was.w + 1; w <= l.at.w; w++ {
			delete(l.at.windows, w)
		}
		*l.at = l.was
		c[room] = l.at
	}
}
