package cluster

import (
	"context"
	"sync"
)

// term is who leads.
type term struct {
	epoch    uint64
	node     string // empty: nobody
	instance uint64
	format   int // of the log
	resigned bool
	lasts    context.Context // ends with the term
	end      context.CancelFunc
}

// same reports whether nothing has changed.
func (t term) same(u term) bool {
	return t.epoch == u.epoch && t.node == u.node && t.instance == u.instance && t.resigned == u.resigned
}

// termAfter is who leads after a message. Most say nothing of that.
func termAfter(e *entry) (t term, says bool) {
	switch e.Kind {
	case epoch:
		return term{epoch: e.Epoch, node: e.By, instance: e.Instance}, true
	case resign, genesis: // nobody leads: there is nobody to wait for
		return term{epoch: e.Epoch, resigned: true}, true
	}
	return term{}, false
}

// terms are who leads, one after the other.
type terms struct {
	mu  sync.Mutex
	now term // guarded by mu
}

// leader returns who leads.
func (t *terms) leader() term {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now
}

// set takes over who leads.
func (t *terms) set(next term) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now.lasts != nil {
		if next.same(t.now) {
			return
		}
		t.now.end()
	}
	next.lasts, next.end = context.WithCancel(context.Background())
	t.now = next
}
