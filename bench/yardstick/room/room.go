// Package room is the chat of the yardsticks: every line goes to everyone. It knows nothing of SSH.
package room

import "sync"

// ringLines is how many lines a member may be behind; after that the oldest are lost.
const ringLines = 128

// Room hands each line to every member.
type Room struct {
	mu      sync.RWMutex
	members map[*Member]struct{} // guarded by mu
}

// New returns an empty room.
func New() *Room { return &Room{members: make(map[*Member]struct{})} }

// Enter makes a member, who is told what is said from now on. Each Enter needs one Leave.
func (r *Room) Enter() *Member {
	m := &Member{wake: make(chan struct{}, 1)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[m] = struct{}{}
	return m
}

// Leave ends the membership, and the member's Next.
func (r *Room) Leave(m *Member) {
	r.mu.Lock()
	delete(r.members, m)
	r.mu.Unlock()
	m.mu.Lock()
	m.left = true
	m.mu.Unlock()
	m.nudge()
}

// Say hands a line to every member and never waits for one. The line must not be changed afterwards.
func (r *Room) Say(line []byte) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for m := range r.members {
		m.push(line)
	}
}

// Member is one session's ring of lines. One goroutine calls Next; any may push.
type Member struct {
	wake chan struct{} // holds a token while there may be something for Next; never closed

	mu   sync.Mutex
	ring [ringLines][]byte // guarded by mu
	at   int               // guarded by mu; place of the oldest line
	n    int               // guarded by mu
	left bool              // guarded by mu
}

func (m *Member) push(line []byte) {
	m.mu.Lock()
	m.ring[(m.at+m.n)%ringLines] = line
	if m.n < ringLines {
		m.n++
	} else {
		m.at = (m.at + 1) % ringLines
	}
	m.mu.Unlock()
	m.nudge()
}

func (m *Member) nudge() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Next waits for lines and appends all there are to buf; ok is false after Leave.
func (m *Member) Next(buf []byte) (_ []byte, ok bool) {
	for {
		buf, ok = m.take(buf)
		if len(buf) > 0 || !ok {
			return buf, ok
		}
		<-m.wake
	}
}

func (m *Member) take(buf []byte) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; m.n > 0; m.n-- {
		buf = append(buf, m.ring[m.at]...)
		m.ring[m.at] = nil
		m.at = (m.at + 1) % ringLines
	}
	return buf, !m.left
}
