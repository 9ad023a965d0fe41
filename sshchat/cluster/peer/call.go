package peer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// link is a node that this one calls.
type link struct {
	node string

	mu       sync.Mutex
	session  *session         // guarded by mu; nil before the first call, and after it was lost
	previous *session         // guarded by mu; opens replies that were sealed before the other side saw the session
	dial     *dial            // guarded by mu; the handshake under way
	last     uint64           // guarded by mu; number of the last call
	calls    map[uint64]*call // guarded by mu; those that wait
}

// dial is a handshake under way. Whoever needs the session waits for done.
type dial struct {
	id      uint64      // guarded by the link's mu; of the attempt under way
	answers chan answer // of one place: what came for the attempt
	done    chan struct{}
	err     error // when done
}

// answer is what came for a handshake: the second message, or an error.
type answer struct {
	welcome []byte
	err     error
}

// call is one Call that waits.
type call struct {
	number  uint64
	session *session // guarded by the link's mu; where it was sent
	reply   assembly // guarded by the link's mu
	done    chan result
	again   chan struct{} // of one place: it must be sent in another session
}

type result struct {
	reply []byte
	err   error
}

// Call sends a request to a node and returns the reply of its handler for that kind. It waits at most until ctx ends, or
// a minute if that has no deadline; the handler is told how long. Calls are sent in the order in which they get here, as far as
// their callers have one.
//
// Errors: an *Error if the handler returned one; ErrNotListed, ErrUnknownKind, ErrBusy; ErrUnreachable, at once when nobody listens
// under that name; ErrReplyLost, or ctx's error when no reply came in time, and then the request may have been done.
func (p *Peers) Call(ctx context.Context, node, kind string, request []byte) ([]byte, error) {
	reply, err := p.call(ctx, node, kind, request)
	var remote *Error
	if err != nil && !errors.As(err, &remote) {
		err = fmt.Errorf("call %s (%s): %w", node, kind, err)
	}
	return reply, err
}

func (p *Peers) call(ctx context.Context, node, kind string, request []byte) ([]byte, error) {
	switch {
	case node == p.name:
		return nil, errors.New("a node cannot call itself")
	case len(kind) < 1 || len(kind) > 255:
		return nil, errors.New("a kind has 1 to 255 bytes")
	case len(request) > MaxRequest:
		return nil, fmt.Errorf("a request has at most %d bytes, this one has %d", MaxRequest, len(request))
	}
	if _, has := ctx.Deadline(); !has {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultWait)
		defer cancel()
	}
	if _, listed := p.known(node); !listed || !validName(node) {
		return nil, ErrNotListed
	}
	l := p.linkTo(node, true)
	c := l.begin()
	defer l.leave(c)
	for range 3 { // sent, and twice again: one session may end for its age, one with the other node
		s, err := p.sessionWith(ctx, l, c)
		if err != nil {
			return nil, err
		}
		if err := p.sendRequest(ctx, l, s, c, kind, request); err != nil {
			return nil, err
		}
		select {
		case r := <-c.done:
			return r.reply, r.err
		case <-c.again:
		case <-ctx.Done():
			return nil, fmt.Errorf("no reply: %w", context.Cause(ctx))
		case <-p.ctx.Done():
			return nil, ErrClosed
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrUnreachable, errAgain)
}

// linkTo returns the link to a node, nil if there is none and it should not be made.
func (p *Peers) linkTo(node string, create bool) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.links[node]
	if l == nil && create {
		l = &link{node: node, calls: make(map[uint64]*call)}
		p.links[node] = l
	}
	return l
}

func (l *link) begin() *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	c := &call{number: l.last, done: make(chan result, 1), again: make(chan struct{}, 1)}
	l.calls[c.number] = c
	return c
}

func (l *link) leave(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, c.number)
}

// finish ends a call. The caller holds l.mu.
func (l *link) finish(c *call, reply []byte, err error) {
	if l.calls[c.number] == c {
		delete(l.calls, c.number)
		c.done <- result{reply, err}
	}
}

// sessionWith returns the session for c, after a handshake if there is none.
func (p *Peers) sessionWith(ctx context.Context, l *link, c *call) (*session, error) {
	for {
		public, listed := p.known(l.node)
		if !listed {
			return nil, ErrNotListed
		}
		l.mu.Lock()
		if s := l.session; s != nil && s.public == public && time.Since(s.made) < renewAfter {
			c.session = s
			l.mu.Unlock()
			return s, nil
		}
		d := l.dial
		if d == nil {
			d = &dial{answers: make(chan answer, 1), done: make(chan struct{})}
			l.dial = d
			if !p.start(func() { p.dial(l, d, public) }) {
				l.dial = nil
				l.mu.Unlock()
				return nil, ErrClosed
			}
		}
		l.mu.Unlock()
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ErrUnreachable, context.Cause(ctx))
		}
	}
}

// dial makes a session and gives it to the link.
func (p *Peers) dial(l *link, d *dial, public string) {
	s, err := p.handshake(l, d, public)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dial, d.err = nil, err
	if err == nil {
		if l.previous != nil {
			l.previous.wipe()
		}
		l.previous, l.session = l.session, s
		if l.previous != nil && l.previous.public != public {
			l.previous.wipe()
			l.previous = nil
		}
	}
	close(d.done)
}

// handshake tries for dialTime, once a second, as a packet may be lost.
func (p *Peers) handshake(l *link, d *dial, public string) (*session, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTime)
	defer cancel()
	for {
		s, err := p.attempt(ctx, l, d, public)
		switch {
		case s != nil || err != nil:
			return s, err
		case p.ctx.Err() != nil:
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: no answer within %v", ErrUnreachable, dialTime)
		}
	}
}

// attempt is one handshake. It returns neither a session nor an error when nothing, or nothing genuine, came within a second.
func (p *Peers) attempt(ctx context.Context, l *link, d *dial, public string) (*session, error) {
	var random [8]byte
	rand.Read(random[:]) // never fails
	s := &session{id: binary.BigEndian.Uint64(random[:]), public: public}
	hs, message, err := p.hello(l.node, public)
	if err != nil {
		return nil, err
	}
	defer forget(hs)
	l.mu.Lock()
	d.id = s.id
	select {
	case <-d.answers: // to the attempt before
	default:
	}
	l.mu.Unlock()
	if err := p.tell(l.node, typeHello, s.id, 0, message, p.inbox+l.node+".0"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	again := time.NewTimer(dialAgain)
	defer again.Stop()
	for {
		select {
		case a := <-d.answers:
			if a.err != nil {
				return nil, a.err
			}
			if err := finish(hs, a.welcome, s); err == nil {
				return s, nil
			} // forged: the genuine one may follow
			p.warn("a handshake was answered by something that is not the node", l.node, err)
		case <-again.C:
			return nil, nil
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// sendRequest sends all parts of a request.
func (p *Peers) sendRequest(ctx context.Context, l *link, s *session, c *call, kind string, request []byte) error {
	wait := defaultWait
	if deadline, has := ctx.Deadline(); has {
		wait = min(max(time.Until(deadline), 0), maxWait)
	}
	reply := p.inbox + l.node + "." + strconv.FormatUint(c.number, 10)
	size := p.partSize()
	for at, rest := (part{call: c.number, wait: wait, kind: kind, total: len(request)}), request; ; at.index++ {
		n := min(size, len(rest))
		err := p.post(s, l.node, typeRequest, reply, at.appendRequest, rest[:n])
		if errors.Is(err, errWiped) { // it was lost meanwhile
			l.mu.Lock()
			l.lose(s)
			l.mu.Unlock()
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil
		}
	}
}

// drop erases a session. The caller holds l.mu.
func (l *link) drop(s *session) {
	if l.session == s {
		l.session = nil
	}
	if l.previous == s {
		l.previous = nil
	}
	s.wipe()
}

// lose ends a session that the other node does not have any more. All calls that were sent in it are sent again. The caller
// holds l.mu.
func (l *link) lose(s *session) {
	l.drop(s)
	for _, c := range l.calls {
		if c.session == s {
			c.session = nil
			select {
			case c.again <- struct{}{}:
			default:
			}
		}
	}
}

// end erases a session and ends the calls that were sent in it with err. The caller holds l.mu.
func (l *link) end(s *session, err error) {
	l.drop(s)
	for _, c := range l.calls {
		if c.session == s {
			l.finish(c, nil, err)
		}
	}
}

// keep ends the sessions that were made with another key.
func (l *link) keep(public string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range []*session{l.session, l.previous} {
		if s != nil && s.public != public {
			l.end(s, err)
		}
	}
}

// notice takes a packet that is not sealed.
func (l *link) notice(h header, body []byte) {
	refused := fmt.Errorf("the other node says: %w", ErrNotListed)
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.dial; d != nil && d.id == h.session {
		switch h.kind {
		case typeWelcome:
			d.answer(answer{welcome: body})
		case typeRefused:
			d.answer(answer{err: refused})
		}
	}
	for _, s := range []*session{l.session, l.previous} {
		if s == nil || s.id != h.session {
			continue
		}
		switch h.kind {
		case typeNoSession:
			l.lose(s)
		case typeRefused:
			l.end(s, refused)
		}
	}
}

// answer passes on what came, unless there is an answer already.
func (d *dial) answer(a answer) {
	select {
	case d.answers <- a:
	default:
	}
}

// nobody ends the call, or for call 0 the handshake, for which the servers report that nobody listens.
func (l *link) nobody(number string) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return
	}
	none := fmt.Errorf("%w: nobody listens under its name", ErrUnreachable)
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == 0 && l.dial != nil {
		l.dial.answer(answer{err: none})
	}
	if c := l.calls[n]; c != nil {
		l.finish(c, nil, none)
	}
}

// receiveReply takes a sealed packet of a node that was called.
func (p *Peers) receiveReply(l *link, h header, ad, sealed []byte) {
	public, listed := p.known(l.node)
	credit, s := p.takeReply(l, h, ad, sealed, public, listed)
	if credit.parts > 0 {
		prefix := func(b []byte) []byte { return appendCredit(b, credit.call, credit.parts) }
		if err := p.post(s, l.node, typeCredit, "", prefix, nil); err != nil {
			p.log.Debug("could not acknowledge a part of a reply", "node", l.node, "err", err)
		}
	}
}

// credit says how many parts of a call's reply have arrived; with none there is nothing to say.
type credit struct {
	call  uint64
	parts int
}

func (p *Peers) takeReply(l *link, h header, ad, sealed []byte, public string, listed bool) (credit, *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.session
	if s == nil || s.id != h.session {
		if s = l.previous; s == nil || s.id != h.session {
			return credit{}, nil
		}
	}
	if !listed || s.public != public {
		return credit{}, nil // the next call drops the session
	}
	plain, err := s.receive.open(h.position, ad, sealed)
	if errors.Is(err, errTooFar) {
		l.lose(s)
	}
	if err != nil {
		p.log.Debug("dropped a reply", "node", l.node, "err", err)
		return credit{}, nil
	}
	if s == l.session && l.previous != nil { // the other side has seen it: nothing more comes in the one before
		l.previous.wipe()
		l.previous = nil
	}
	at, err := parseReply(plain)
	c := l.calls[at.call]
	if err != nil || c == nil {
		return credit{}, nil
	}
	if at.index == 0 && at.status == statusDuplicate {
		return credit{}, nil // the reply to the first is on its way
	}
	if at.index == 0 && at.status == statusAnswered { // all that was sent before this has come
		l.finish(c, nil, ErrReplyLost)
		return credit{}, nil
	}
	if at.index == 0 {
		c.reply = assembly{} // it was sent again to a node that restarted amid its reply
	}
	whole, err := c.reply.add(at)
	switch {
	case err != nil:
		l.finish(c, nil, fmt.Errorf("read the reply: %w", err))
	case whole:
		reply, err := c.reply.result(l.node)
		l.finish(c, reply, err)
	case c.reply.due():
		return credit{c.number, int(c.reply.next)}, s
	}
	return credit{}, nil
}

// result is what a whole reply means.
func (a *assembly) result(node string) ([]byte, error) {
	switch a.first.status {
	case statusOK:
		return a.data, nil
	case statusError:
		return nil, &Error{node, string(a.data)}
	case statusKind:
		return nil, ErrUnknownKind
	case statusBusy:
		return nil, ErrBusy
	case statusLost:
		return nil, fmt.Errorf("the other node read the request: %w", errLost)
	case statusReply:
		return nil, fmt.Errorf("the reply is longer than %d bytes", MaxReply)
	}
	return nil, fmt.Errorf("the reply has the unknown status %d", a.first.status)
}
