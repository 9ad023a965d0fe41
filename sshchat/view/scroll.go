package view

import "sshchat/sshchat/chat"

// maxScroll is how many rows one frame scrolls at most: a key that is held down comes no more than a few times in one,
// and a client that sends thousands must not have all that memory holds rendered for each frame.
const maxScroll = 1000

// page is how many rows a key scrolls that scrolls a screen.
func (f *Full) page() int { return max(1, f.height-1) }

// scrollBy has the next frame show the messages rows further up, or down. Keys come in any number, frames do not.
func (f *Full) scrollBy(rows int) {
	f.pending = min(max(f.pending+rows, -maxScroll), maxScroll)
}

// scroll does what keys have asked for since the last frame, in an area of so many rows.
func (f *Full) scroll(area int) {
	f.height = area
	f.stay()
	rows := f.pending
	f.pending = 0
	if _, cleared := f.cleared[f.room]; cleared && rows > 0 { // up from an empty screen is where it was
		delete(f.cleared, f.room)
		rows = 0
	}
	if rows > 0 {
		f.scrollUp(rows, area)
	} else if rows < 0 {
		f.scrollDown(-rows)
	}
}

// stay looks whether memory still has the message the area ends with. If not, the area ends with what is oldest.
func (f *Full) stay() {
	if f.from.order == 0 || len(f.options.Past(f.room, f.from.order+1, 1)) > 0 {
		return
	}
	ms := f.all()
	if len(ms) == 0 {
		f.from = place{}
		return
	}
	f.settle(ms[min(f.height, len(ms))-1].Order, 0)
}

// scrollUp moves n rows towards the past, and stops where the first row in memory is at the top.
func (f *Full) scrollUp(n, height int) {
	var sizes []int
	var orders []uint64
	total := 0
	reached := f.walk(f.from.order, 0, func(g group) bool {
		sizes, orders = append(sizes, len(g.rows)), append(orders, g.order)
		total += len(g.rows)
		return total < f.from.skip+n+height
	})
	if reached {
		total += len(f.top(height))
	}
	skip := min(f.from.skip+n, max(0, total-height))
	for i, size := range sizes {
		// What stands above the first message has no order to hold on to: it is reached by skipping that message.
		if last := i == len(sizes)-1; skip < size || last || orders[i+1] == 0 {
			f.settle(orders[i], skip)
			return
		}
		skip -= size
	}
}

// scrollDown moves n rows towards the end.
func (f *Full) scrollDown(n int) {
	if f.from.skip >= n {
		f.settle(f.from.order, f.from.skip-n)
		return
	}
	n -= f.from.skip
	ms := f.all()
	i, _ := f.find(ms, f.from.order)
	for i++; i < len(ms) && f.from.order > 0; i++ {
		var below uint64
		if i+1 < len(ms) {
			below = ms[i+1].Order
		}
		var above *chat.Message
		if i > 0 {
			above = &ms[i-1]
		}
		size := len(f.groupRows(&ms[i], above)) + len(f.notes.between(f.paint, f.room, ms[i].Order, below, f.width()))
		if size >= n {
			f.settle(ms[i].Order, size-n)
			return
		}
		n -= size
	}
	f.from = place{}
}

// toEnd has the area end with the room's end, whatever comes.
func (f *Full) toEnd() { f.from, f.pending = place{}, 0 }

// settle has the area end there; at the very end it follows what comes.
func (f *Full) settle(order uint64, skip int) {
	f.from = place{order, skip}
	if skip == 0 && (order == 0 || f.orderAfter(order) == 0) {
		f.from = place{}
	}
}
