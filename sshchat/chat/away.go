package chat

import "time"

// absence is what somebody said on leaving the keyboard. It is in memory only.
type absence struct {
	why   Text // may be empty
	since time.Time
}

// SetAway notes that me, whose sessions stay open, is not there to read, until Back or the end of the last of them.
// Where none is open it does nothing. All of me's sessions hear of it, as Changed.
func (h *Hub) SetAway(me Name, why Text) { h.setAway(me, &absence{why, now()}) }

// Back ends what SetAway began. It reports whether me was away.
func (h *Hub) Back(me Name) bool { return h.setAway(me, nil) }

// setAway reports whether me was away before.
func (h *Hub) setAway(me Name, a *absence) (was bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.people[me]
	if p == nil || p.sessions == 0 || p.away == nil && a == nil {
		return false
	}
	was = p.away != nil
	p.away = a
	h.tell(p.log, Message{Kind: Changed})
	return was
}

// Away tells whether name said to be away, why, and since when.
func (h *Hub) Away(name Name) (why Text, since time.Time, away bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.people[name]; p != nil && p.away != nil {
		return p.away.why, p.away.since, true
	}
	return Text{}, time.Time{}, false
}
