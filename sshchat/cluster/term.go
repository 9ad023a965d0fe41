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
