package view

import "sshchat/sshchat/chat"

// scrollUp moves n rows towards the past, and stops where the first row in memory is at the top.
func (f *Full) scrollUp(n int) {
	box, _, _ := f.box()
	height := f.area(len(box))
	var sizes []int
	var orders []uint64
	total := 0
	reached := f.walk(f.from.order, func(g group) bool {
		sizes, orders = append(sizes, len(g.rows)), append(orders, g.order)
		total += len(g.rows)
		return total < f.from.skip+n+height
	})
	if reached {
		total += len(f.top(height))
	}
	skip := min(f.from.skip+n, max(0, total-height))
	for i, size := range sizes {
		if skip < size || i == len(sizes)-1 {
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

// settle has the area end there; at the very end it follows what comes.
func (f *Full) settle(order uint64, skip int) {
	f.from = place{order, skip}
	if skip == 0 && (order == 0 || f.orderAfter(order) == 0) {
		f.from = place{}
	}
}
