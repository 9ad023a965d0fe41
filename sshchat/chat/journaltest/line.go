package journaltest

import (
	"context"
	"errors"
	"sync"
	"time"

	"sshchat/sshchat/chat"
)

// Line is what the requests of hubs take to the one that orders them: it may be gone for a while, it may be another from then on,
// and answers may get lost. It implements chat.Leader for hubs that never lead; those that may have an End each.
type Line struct {
	mu      sync.Mutex
	leader  chat.Leader             // guarded by mu; nil: it is gone
	changed chan struct{}           // guarded by mu; closed when there is another leader
	loses   bool                    // guarded by mu
	lost    map[chat.RequestID]bool // guarded by mu; whose answer was lost once
}

// NewLine is a line without a leader.
func NewLine() *Line {
	return &Line{changed: make(chan struct{}), lost: make(map[chat.RequestID]bool)}
}

// Lead has requests go to that hub from now on; nil: to nobody, and they wait.
func (l *Line) Lead(leader chat.Leader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leader = leader
	if leader != nil {
		close(l.changed)
		l.changed = make(chan struct{})
	}
}

// Lose has the first answer to each request get lost, or none.
func (l *Line) Lose(loses bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loses = loses
}

// End is the line's end at a hub that may lead. It implements chat.Leader.
type End struct {
	*Line
	Hub *chat.Hub // set before it runs
}

// Here implements chat.Leader.
func (e *End) Here() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leader == chat.Leader(e.Hub)
}

// Order implements chat.Leader.
func (e *End) Order(ctx context.Context, r chat.Request) error {
	if e.Here() {
		err := e.Hub.Order(ctx, r)
		if errors.Is(err, chat.ErrStopping) {
			return err // it is this hub that stops
		}
		return e.answer(r, err)
	}
	return e.Line.Order(ctx, r)
}

// Here implements chat.Leader: a hub without an End never leads.
func (l *Line) Here() bool { return false }

// Order implements chat.Leader.
func (l *Line) Order(ctx context.Context, r chat.Request) error {
	l.mu.Lock()
	leader, changed := l.leader, l.changed
	l.mu.Unlock()
	var err error = chat.ErrStopping
	if leader != nil {
		err = leader.Order(ctx, r)
	}
	if errors.Is(err, chat.ErrStopping) {
		select {
		case <-changed:
			return chat.ErrNoAnswer
		case <-time.After(time.Second): // who asks may not be there any more
			return chat.ErrNoAnswer
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return l.answer(r, err)
}

// answer is what arrives of an answer.
func (l *Line) answer(r chat.Request, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loses && !l.lost[r.ID] {
		l.lost[r.ID] = true
		return chat.ErrNoAnswer
	}
	return err
}
