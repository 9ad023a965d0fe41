package view

import "sshchat/sshchat/chat"

// This file is how a scrollback moves through its room.

// maxScroll is how many rows one frame scrolls at most: a key that is held down arrives a few times per frame, and
// a client that sends thousands must not cause everything in memory to be rendered for each frame.
const maxScroll = 1000

// page is how many rows Page Up scrolls.
func (s *scrollback) page() int { return max(1, s.height-1) }

// wheel is how many rows a notch of the mouse wheel scrolls.
const wheel = 3

// handleKey scrolls, and reports whether the key is for that.
func (s *scrollback) handleKey(name string) bool {
	switch name {
	case "pgup":
		s.scrollBy(s.page())
	case "pgdown":
		s.scrollBy(-s.page())
	case "shift+up":
		s.scrollBy(1)
	case "shift+down":
		s.scrollBy(-1)
	case "wheelup":
		s.scrollBy(wheel)
	case "wheeldown":
		s.scrollBy(-wheel)
	case "esc":
		s.toEnd()
	default:
		return false
	}
	return true
}

// scrollBy scrolls up by so many rows, or down if negative, in the next frame. The rate of frames is limited, that of keys is not.
func (s *scrollback) scrollBy(rows int) {
	s.pending = min(max(s.pending+rows, -maxScroll), maxScroll)
}

// scroll applies the scrolling since the last frame, in an area of so many rows.
func (s *scrollback) scroll(area int) {
	s.height = area
	s.keepInMemory()
	rows := s.pending
	s.pending = 0
	if _, cleared := s.cleared[s.room.Name]; cleared && rows > 0 { // scrolling up first shows the cleared messages
		delete(s.cleared, s.room.Name)
		rows = 0
	}
	if rows > 0 {
		s.scrollUp(rows, area)
	} else if rows < 0 {
		s.scrollDown(-rows)
	}
}

// keepInMemory moves the position to the oldest messages if the one it names is not in memory any more.
func (s *scrollback) keepInMemory() {
	if s.position.order == 0 || len(s.options.Past.Before(s.room.Name, s.position.order+1, 1)) > 0 {
		return
	}
	ms := s.all()
	if len(ms) == 0 {
		s.position = position{}
		return
	}
	s.setPosition(ms[min(s.height, len(ms))-1].DisplaySeq, 0)
}

// scrollUp moves n rows towards the past, and stops where the first row in memory is at the top.
func (s *scrollback) scrollUp(n, height int) {
	var sizes []int
	var orders []uint64
	total := 0
	reached := s.walk(s.position.order, 0, func(g group) bool {
		sizes, orders = append(sizes, len(g.rows)), append(orders, g.order)
		total += len(g.rows)
		return total < s.position.skip+n+height
	})
	if reached {
		total += len(s.top(maxTop))
	}
	skip := min(s.position.skip+n, max(0, total-height))
	for i, size := range sizes {
		// What stands above the first message has no DisplaySeq of its own: it is reached by skipping that message.
		if last := i == len(sizes)-1; skip < size || last || orders[i+1] == 0 {
			s.setPosition(orders[i], skip)
			return
		}
		skip -= size
	}
}

// scrollDown moves n rows towards the end.
func (s *scrollback) scrollDown(n int) {
	if s.position.skip >= n {
		s.setPosition(s.position.order, s.position.skip-n)
		return
	}
	n -= s.position.skip
	last := s.position.order
	var above *chat.Message
	if ms := s.options.Past.Before(s.room.Name, last+1, 1); len(ms) > 0 {
		above = &ms[0]
	}
	for s.position.order > 0 {
		ms, more := s.options.Past.After(s.room.Name, last, walkChunk)
		if more && len(ms) == 0 {
			s.setPosition(last, 0)
			return
		}
		if len(ms) == 0 {
			break
		}
		for i := range ms {
			last = ms[i].DisplaySeq
			var below uint64
			if i+1 < len(ms) {
				below = ms[i+1].DisplaySeq
			} else {
				below = s.orderAfter(last)
			}
			size := len(s.groupRows(&ms[i], above)) + len(s.notes.between(s.renderer, s.room.Name, last, below, s.width))
			if size >= n {
				s.setPosition(last, size-n)
				return
			}
			n -= size
			above = &ms[i]
		}
	}
	s.position = position{}
}

// toEnd follows the end of the room.
func (s *scrollback) toEnd() { s.position, s.pending = position{}, 0 }

// setPosition sets where the area ends; at the very end it follows the room.
func (s *scrollback) setPosition(order uint64, skip int) {
	s.position = position{order, skip}
	if skip == 0 && (order == 0 || s.orderAfter(order) == 0) {
		s.position = position{}
	}
}
