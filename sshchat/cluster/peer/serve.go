package peer

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// maxPending is how many sessions of a node wait for their first packet. More than one is there when handshakes were repeated,
// or recorded ones are sent again, which leads nowhere but takes a place.
const maxPending = 4

// guest is a node that calls this one.
type guest struct {
	node string

	mu       sync.Mutex
	current  *session             // guarded by mu; that of the last packet
	pending  []entering           // guarded by mu; those without a packet yet, oldest first
	instance uint64               // guarded by mu; the process of the current session
	seen     seen                 // guarded by mu; the calls of that process
	requests map[uint64]*assembly // guarded by mu; those whose parts have not all come
	open     int                  // guarded by mu; bytes of them
	running  map[running]bool     // guarded by mu; calls whose handler or reply is under way
	replies  map[uint64]*flow     // guarded by mu; those in parts, on their way
}

// entering is a session that becomes the current one with its first packet. Before that nothing shows that the other side has
// its keys: the first message of the handshake may be a recorded one.
type entering struct {
	*session
	instance uint64
}

// running names a call of a process.
type running struct{ instance, call uint64 }

// flow is how many parts of a reply have arrived.
type flow struct {
	parts int           // guarded by the guest's mu
	wake  chan struct{} // of one place
}

// shake answers handshakes, one after another, so that a flood of them takes one core at most and delays no sealed packet.
func (p *Peers) shake() {
	for {
		select {
		case <-p.ctx.Done():
			return
		case h := <-p.hellos:
			p.answerHello(h.h, h.message)
		}
	}
}

func (p *Peers) answerHello(h header, message []byte) {
	public, listed := p.known(h.from)
	if !listed {
		p.refuse(h, "refused a node that is not listed", nil)
		return
	}
	g := p.guestOf(h.from, true)
	if g.has(h.session) {
		return // sent twice
	}
	s := &session{id: h.session, public: public}
	welcome, instance, err := p.welcome(h.from, message, s)
	if err != nil {
		p.refuse(h, "refused a node that has another key than the one listed, or belongs to another chat", err)
		return
	}
	g.enter(entering{s, instance})
	if err := p.tell(h.from, typeWelcome, h.session, 0, welcome, ""); err != nil {
		p.log.Debug("could not answer a handshake", "node", h.from, "err", err)
	}
}

// refuse says that this node does not take packets of that one.
func (p *Peers) refuse(h header, message string, err error) {
	p.warn(message, h.from, err)
	if err := p.tell(h.from, typeRefused, h.session, h.position, nil, ""); err != nil {
		p.log.Debug("could not refuse a packet", "node", h.from, "err", err)
	}
}

// guestOf returns the state of a node that calls, nil if there is none and it should not be made.
func (p *Peers) guestOf(node string, create bool) *guest {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.guests[node]
	if g == nil && create {
		g = &guest{node: node, requests: make(map[uint64]*assembly), running: make(map[running]bool), replies: make(map[uint64]*flow)}
		p.guests[node] = g
	}
	return g
}

func (g *guest) has(id uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, _ := g.find(id)
	return s != nil
}

// find returns a session, and its process if it is pending. The caller holds g.mu.
func (g *guest) find(id uint64) (s *session, pending *entering) {
	if g.current != nil && g.current.id == id {
		return g.current, nil
	}
	for i := range g.pending {
		if g.pending[i].id == id {
			return g.pending[i].session, &g.pending[i]
		}
	}
	return nil, nil
}

func (g *guest) enter(e entering) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) == maxPending {
		g.pending[0].wipe()
		g.pending = append(g.pending[:0], g.pending[1:]...)
	}
	g.pending = append(g.pending, e)
}

// promote makes a pending session the current one, since a packet of it was opened. The caller holds g.mu.
func (g *guest) promote(e entering) {
	if g.current != nil {
		g.current.wipe()
	}
	for _, other := range g.pending {
		if other.session != e.session {
			other.wipe()
		}
	}
	g.current, g.pending = e.session, nil
	if e.instance != g.instance { // the node restarted: nobody waits for what it asked before
		g.instance, g.seen = e.instance, seen{}
		clear(g.requests)
		g.open = 0
	}
}

// keep erases the sessions that were made with another key.
func (g *guest) keep(public string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil && g.current.public != public {
		g.current.wipe()
		g.current = nil
	}
	kept := g.pending[:0]
	for _, e := range g.pending {
		if e.public == public {
			kept = append(kept, e)
		} else {
			e.wipe()
		}
	}
	g.pending = kept
}

// receiveCall takes a sealed packet of a node that calls.
func (p *Peers) receiveCall(h header, ad, sealed []byte) {
	public, listed := p.known(h.from)
	g := p.guestOf(h.from, false)
	if !listed {
		if g != nil {
			g.keep("")
		}
		p.refuse(h, "refused a node that is not listed", nil)
		return
	}
	if g != nil {
		g.keep(public)
	}
	var opened bool
	var do func()
	if g != nil {
		opened, do = p.openCall(g, h, ad, sealed)
	}
	if !opened && h.kind == typeRequest {
		if err := p.tell(h.from, typeNoSession, h.session, h.position, nil, ""); err != nil {
			p.log.Debug("could not answer a packet", "node", h.from, "err", err)
		}
	}
	if do != nil {
		do()
	}
}

// openCall opens a packet. It returns false if the other node needs a new session, and what is to be done without the guest's mutex.
func (p *Peers) openCall(g *guest, h header, ad, sealed []byte) (opened bool, do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, pending := g.find(h.session)
	if s == nil {
		return false, nil
	}
	plain, err := s.receive.open(h.position, ad, sealed)
	switch {
	case err == errTooFar:
		return false, nil
	case err != nil:
		p.log.Debug("dropped a packet", "node", g.node, "err", err)
		return true, nil // repeated or forged: the session is as good as before
	}
	if pending != nil {
		g.promote(*pending)
	}
	if h.kind == typeCredit {
		if call, parts, err := parseCredit(plain); err == nil {
			g.credit(call, parts)
		}
		return true, nil
	}
	at, err := parseRequest(plain)
	if err != nil {
		p.log.Debug("dropped a packet", "node", g.node, "err", err)
		return true, nil
	}
	return true, p.takePart(g, at)
}

// takePart takes a part of a request, and returns what is to be done: call the handler, or answer that it is not called. The
// caller holds g.mu.
func (p *Peers) takePart(g *guest, at part) (do func()) {
	instance := g.instance
	deny := func(status byte) func() {
		return func() { p.reply(p.ctx, g, instance, at.call, status, nil) }
	}
	a := g.requests[at.call]
	if at.index == 0 {
		if a != nil { // it is sent again, from the start
			g.forget(at.call)
		} else if !g.seen.take(at.call) {
			if g.running[running{instance, at.call}] {
				return deny(statusDuplicate)
			}
			return deny(statusAnswered)
		}
		a = &assembly{begun: time.Now()}
	}
	if a == nil {
		return nil // its first part was answered already
	}
	whole, err := a.add(at)
	switch {
	case err != nil:
		g.forget(at.call)
		return deny(statusLost)
	case !whole && at.index == 0:
		if g.sweep(); g.open+at.total > maxOpen {
			return deny(statusBusy)
		}
		g.requests[at.call] = a
		g.open += at.total
		return nil
	case !whole:
		return nil
	}
	g.forget(at.call)
	p.mu.Lock()
	f := p.handlers[a.first.kind]
	p.mu.Unlock()
	switch {
	case f.f == nil:
		return deny(statusKind)
	case len(g.running) == maxRunning:
		return deny(statusBusy)
	}
	this := running{instance, at.call}
	g.running[this] = true
	return func() {
		if !p.start(func() { p.serve(g, instance, f, a) }) {
			g.done(this)
		}
	}
}

// forget drops a request whose parts have not all come. The caller holds g.mu.
func (g *guest) forget(call uint64) {
	if a := g.requests[call]; a != nil {
		g.open -= a.first.total
		delete(g.requests, call)
	}
}

// sweep drops the requests that have stalled: a part was lost. The caller holds g.mu.
func (g *guest) sweep() {
	for call, a := range g.requests {
		if time.Since(a.begun) > stalled {
			g.forget(call)
		}
	}
}

// done notes that a call's reply was sent, or never will be.
func (g *guest) done(this running) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, this)
}

// serve calls a handler and sends its reply.
func (p *Peers) serve(g *guest, instance uint64, f handler, a *assembly) {
	defer g.done(running{instance, a.first.call})
	ctx, cancel := context.WithTimeout(p.ctx, min(a.first.wait, maxWait))
	defer cancel()
	reply, err := p.handle(ctx, f.f, g.node, a)
	if f.secret {
		defer clear(reply)
	}
	switch {
	case err != nil && ctx.Err() != nil: // the caller's time is over as well: it has that error without a reply
	case err != nil:
		text := err.Error()
		p.reply(ctx, g, instance, a.first.call, statusError, []byte(text[:min(len(text), 4096)]))
	case len(reply) > MaxReply:
		p.reply(ctx, g, instance, a.first.call, statusReply, nil)
	default:
		p.reply(ctx, g, instance, a.first.call, statusOK, reply)
	}
}

// handle calls a handler. If it panics, the caller gets an error: otherwise it would send the same to the next node, and end
// them all.
func (p *Peers) handle(ctx context.Context, f Handler, from string, a *assembly) (reply []byte, err error) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("a call panicked", "node", from, "kind", a.first.kind, "panic", r, "stack", string(debug.Stack()))
			reply, err = nil, errors.New("internal error")
		}
	}()
	return f(ctx, from, a.data)
}

// reply sends a reply in the current session with the node, if that is still the process that called.
func (p *Peers) reply(ctx context.Context, g *guest, instance, call uint64, status byte, data []byte) {
	size := p.partSize()
	at := part{call: call, status: status, total: len(data)}
	var arrived *flow
	if len(data) > size {
		arrived = g.begin(call)
		defer g.finish(call, arrived)
	}
	for {
		n := min(size, len(data))
		if !p.replyPart(g, instance, at, data[:n]) {
			return
		}
		at.index++
		if data = data[n:]; len(data) == 0 {
			return
		}
		if !g.await(ctx, arrived, int(at.index)+1-flowParts(size)) {
			p.log.Debug("gave up a reply: the other node takes no more of it", "node", g.node)
			return
		}
	}
}

// replyPart sends one part, and reports whether the others are worth sending.
func (p *Peers) replyPart(g *guest, instance uint64, at part, data []byte) bool {
	public, listed := p.known(g.node)
	g.mu.Lock()
	s := g.current
	if s == nil || g.instance != instance || !listed || s.public != public {
		g.mu.Unlock()
		return false
	}
	g.mu.Unlock()
	err := p.post(s, g.node, typeReply, "", at.appendReply, data)
	if err == errWiped { // replaced since
		return p.replyPart(g, instance, at, data)
	}
	if err != nil {
		p.log.Debug("could not send a reply", "node", g.node, "err", err)
	}
	return err == nil
}

// flowParts is how many parts of that size are on the way at once.
func flowParts(size int) int { return max(1, flowBytes/max(1, size)) }

func (g *guest) begin(call uint64) *flow {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := &flow{wake: make(chan struct{}, 1)}
	g.replies[call] = f
	return f
}

func (g *guest) finish(call uint64, f *flow) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.replies[call] == f { // a process that restarted counts its calls anew
		delete(g.replies, call)
	}
}

// credit notes how many parts of a reply have arrived. The caller holds g.mu.
func (g *guest) credit(call uint64, parts int) {
	if f := g.replies[call]; f != nil && parts > f.parts {
		f.parts = parts
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// await waits until so many parts have arrived.
func (g *guest) await(ctx context.Context, f *flow, parts int) bool {
	patience := time.NewTimer(stalled)
	defer patience.Stop()
	for {
		g.mu.Lock()
		enough := f.parts >= parts
		g.mu.Unlock()
		if enough {
			return true
		}
		select {
		case <-f.wake:
			patience.Reset(stalled)
		case <-patience.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
