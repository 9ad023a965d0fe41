package view

import (
	"cmp"
	"slices"

	"sshchat/sshchat/chat"
)

// head is the next entry of a span.
type head struct {
	order    uint64
	span, at int
}

func (h head) compare(o head) int {
	return cmp.Or(cmp.Compare(h.order, o.order), cmp.Compare(h.span, o.span))
}

// inOrder visits what spans show, in the order in which the server has shown it to everybody: gaps, each before what
// follows it, and entries. Nothing of it is copied.
func inOrder(spans []chat.Span, gap func(*chat.Span), entry func(*chat.Message)) {
	var few [16]head // more are made by who is in more rooms that are busy at once
	heads := few[:0] // a heap
	for i := range spans {
		h := head{span: i}
		if s := &spans[i]; len(s.Entries) > 0 {
			h.order = s.Entries[0].Order
		}
		heads = append(heads, h)
	}
	slices.SortFunc(heads, head.compare)
	for len(heads) > 0 {
		h := &heads[0]
		s := &spans[h.span]
		if h.at == 0 && s.Gap.Count() > 0 {
			gap(s)
		}
		if h.at < len(s.Entries) {
			if m := &s.Entries[h.at]; s.Shows(m) {
				entry(m)
			}
			h.at++
		}
		if h.at < len(s.Entries) {
			h.order = s.Entries[h.at].Order
		} else {
			heads[0] = heads[len(heads)-1]
			heads = heads[:len(heads)-1]
		}
		sink(heads)
	}
}

// sink takes the first of a heap to its place.
func sink(heads []head) {
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heads); child++ {
			if heads[child].compare(heads[least]) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		heads[i], heads[least] = heads[least], heads[i]
		i = least
	}
}
