// Package peer lets the nodes of a cluster call each other over NATS, sealed from node to node. It knows nothing of rooms, batches
// or JetStream: requests and replies are bytes, and which nodes there are is what its caller says.
//
// # What it protects
//
// Requests, replies and their kinds. Whoever runs the NATS servers, or can publish and subscribe there, sees the names of the
// nodes, the times, sizes and order of packets. Such an attacker can hold packets back, and by that or with forged notices
// make calls fail, or be sent again. They cannot read, change, repeat, reorder or reflect a packet, take a node's place, or carry
// a packet from one chat (genesis) or session into another: each is answered with an error or dropped.
//
// What was exchanged earlier, when all of a node's memory and files are taken later. A session begins with a handshake
// (Noise_KK_25519_ChaChaPoly_SHA256, https://noiseprotocol.org) with one-time keys that are erased when it is done. From then on
// each packet has its own key, made by a ratchet in one direction and erased when the packet is sealed or opened. A session is
// replaced by the next call after an hour, so a thief of a session's keys who loses access does not open later sessions.
//
// # What it does not protect
//
// Whoever has a node's key file (node.key) can be that node, until it is no longer listed: call others as that node, and answer in its
// place where the packets reach them. Packets that are sealed later in the same session open with keys taken from memory.
// Plain text of requests and replies is not erased; nor are copies of keys that the libraries make, except in a build
// with GOEXPERIMENT=runtimesecret. The handshake is X25519 alone: a quantum computer would open
// recorded traffic.
//
// # How often a request is done
//
// A node that is running does a call once at most, whatever is repeated. A caller that gets an error other than ErrNotListed before
// anything was sent cannot know whether the request was done, and one whose node restarted meanwhile may have had it done by
// both: requests carry ids, by which whoever does them knows those done already.
package peer

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Limits.
const (
	MaxRequest = 8 << 20  // bytes
	MaxReply   = 64 << 20 // bytes

	maxPart    = 512 << 10 // bytes of data in a packet, less where the servers' max_payload is less
	flowBytes  = 4 << 20   // of a reply that are on the way at once, so that no server has to hold more for a slow node
	maxRunning = 4096      // calls of one node that are being handled
	maxOpen    = 32 << 20  // bytes of one node's requests whose parts have not all come

	dialTime    = 5 * time.Second  // that a handshake may take
	dialAgain   = time.Second      // after which it is begun anew, as its packet may be lost
	renewAfter  = time.Hour        // a session is replaced
	defaultWait = time.Minute      // of a call whose context has no deadline
	maxWait     = time.Hour        // that a caller says it waits
	stalled     = 15 * time.Second // without a packet, after which a request or reply in parts is given up
)

// Errors of Call.
var (
	// ErrUnreachable is wrapped when the request has not been sent to the node, or nobody there listens.
	ErrUnreachable = errors.New("the node cannot be reached")
	// ErrNotListed is wrapped when this node does not list the other with a key, or the other says that it does not list this one.
	ErrNotListed = errors.New("the node is not listed, or has another key")
	// ErrUnknownKind is wrapped when the node has no handler for calls of this kind: it runs another version.
	ErrUnknownKind = errors.New("the node does not know calls of this kind")
	// ErrBusy is wrapped when the node handles too many calls of this one. The request was not done.
	ErrBusy = errors.New("the node is busy")
	// ErrReplyLost is wrapped when the request was done, and its reply was lost with the session in which it was sent.
	ErrReplyLost = errors.New("the reply was lost")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("calls between nodes have ended")

	errAgain = errors.New("the session was lost twice")
)

// Error is what the handler of the called node returned.
type Error struct {
	Node string
	Text string // at most 4 096 bytes, as the other node wrote it
}

func (e *Error) Error() string { return fmt.Sprintf("node %s: %s", e.Node, e.Text) }

// Handler answers a call of the node from. The request is the handler's to keep. Its context ends when the caller stops
// waiting, and with Close. It may be called from several goroutines at once, in any order.
type Handler func(ctx context.Context, from string, request []byte) (reply []byte, err error)

type handler struct {
	f      Handler
	secret bool // its replies are erased
}

// Peers is this node among the others. Its methods may be called from any goroutine.
type Peers struct {
	self
	nc    *nats.Conn
	known func(name string) (publicKey string, ok bool)
	log   *slog.Logger
	inbox string // prefix of the subjects on which the servers report that nobody listens

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // handlers, dials, the goroutine of handshakes
	hellos chan hello

	mu       sync.Mutex
	handlers map[string]handler
	subs     []*nats.Subscription
	closed   bool
	links    map[string]*link  // nodes that this one calls
	guests   map[string]*guest // nodes that call this one
	warned   map[string]time.Time
}

// hello is a handshake's first message that waits for its turn.
type hello struct {
	h       header
	message []byte
}

// New returns the node of this name in the chat with that genesis. Handlers are registered with Handle, then Listen is called.
//
// Known returns the public key of a node that is listed (Key.Public of that node). It is asked at each handshake and for each packet: a node is
// refused from the moment it is not listed any more, or listed with another key. It must be quick, and may be called from any
// goroutine. The connection stays the caller's, to be closed after Close.
func New(nc *nats.Conn, genesis, name string, key *Key, known func(name string) (publicKey string, ok bool), log *slog.Logger) *Peers {
	var random [8]byte
	rand.Read(random[:]) // never fails
	p := &Peers{
		self: self{genesis, name, key, binary.BigEndian.Uint64(random[:])},
		nc:   nc, known: known, log: log,
		inbox:    nc.NewInbox() + ".",
		hellos:   make(chan hello, 64),
		handlers: make(map[string]handler),
		links:    make(map[string]*link),
		guests:   make(map[string]*guest),
		warned:   make(map[string]time.Time),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Handle registers the handler for calls of a kind (1 to 255 bytes), before Listen or later.
func (p *Peers) Handle(kind string, f Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[kind] = handler{f, false}
}

// HandleSecret is Handle for replies that hold a key: what the handler returns is erased when it was sent, and must be its only
// copy. Whoever called erases what Call returned, of which there is no other copy either if it fits into one packet.
func (p *Peers) HandleSecret(kind string, f Handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handlers[kind] = handler{f, true}
}

// Listen begins to answer, and makes Call possible.
func (p *Peers) Listen() error {
	if !validName(p.name) {
		return fmt.Errorf("listen for other nodes: the name of a node has 1 to %d of a-z, 0-9 and -, and %q does not", maxName, p.name)
	}
	packets, err := p.nc.Subscribe(subject(p.name), p.receive)
	if err != nil {
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	nobody, err := p.nc.Subscribe(p.inbox+"*.*", p.nobody)
	if err == nil {
		// Beyond it packets are lost. It holds the replies to 64 calls at once that flowBytes lets be on the way.
		err = packets.SetPendingLimits(1<<17, 256<<20)
	}
	if err == nil {
		err = p.nc.FlushTimeout(dialTime) // a call made now is answered to a subscription that the servers know
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		err = errors.Join(err, ErrClosed)
	}
	if err != nil {
		packets.Unsubscribe()
		if nobody != nil {
			nobody.Unsubscribe()
		}
		return fmt.Errorf("listen for other nodes: %w", err)
	}
	p.subs = []*nats.Subscription{packets, nobody}
	p.wg.Go(p.shake)
	return nil
}

// Close ends all calls, made and answered, waits for the handlers and erases all keys of sessions. The node's own key stays.
func (p *Peers) Close() {
	p.mu.Lock()
	p.closed = true
	subs := p.subs
	p.subs = nil
	p.mu.Unlock()
	p.cancel()
	for _, s := range subs {
		s.Unsubscribe() // fails only if the connection is closed
	}
	p.wg.Wait()
	p.prune(func(string) (string, bool) { return "", false })
}

// Prune erases the sessions with nodes that are not listed any more, or with another key, and ends the calls to them. Without it
// that is done at the next packet, from or to such a node.
func (p *Peers) Prune() { p.prune(p.known) }

func (p *Peers) prune(known func(string) (string, bool)) {
	p.mu.Lock()
	links, guests := make([]*link, 0, len(p.links)), make([]*guest, 0, len(p.guests))
	for _, l := range p.links {
		links = append(links, l)
	}
	for _, g := range p.guests {
		guests = append(guests, g)
	}
	p.mu.Unlock()
	for _, l := range links {
		public, _ := known(l.node)
		l.keep(public, ErrNotListed)
	}
	for _, g := range guests {
		public, _ := known(g.node)
		g.keep(public)
	}
}

// subject is where a node listens.
func subject(node string) string { return "sshchat.node." + node }

// start runs f in a goroutine that Close waits for. It returns false after Close.
func (p *Peers) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.wg.Go(f)
	return true
}

// warn logs a warning, each at most once a minute: whoever can publish can cause them.
func (p *Peers) warn(message, node string, err error) {
	p.mu.Lock()
	due := time.Since(p.warned[message]) >= time.Minute
	if due {
		p.warned[message] = time.Now()
	}
	p.mu.Unlock()
	if due {
		p.log.Warn(message, "node", node, "err", err)
	}
}

// receive takes each packet, in the order in which they came. It runs in the one goroutine of its subscription.
func (p *Peers) receive(m *nats.Msg) {
	h, ad, sealed, err := parsePacket(m.Data)
	if err != nil || h.from == p.name { // the last is a packet of this node that was reflected, or forged
		return
	}
	switch h.kind {
	case typeHello:
		select {
		case p.hellos <- hello{h, sealed}:
		default: // it is sent again
		}
	case typeRequest, typeCredit:
		p.receiveCall(h, ad, sealed)
	case typeReply:
		if l := p.linkTo(h.from, false); l != nil {
			p.receiveReply(l, h, ad, sealed)
		}
	case typeWelcome, typeNoSession, typeRefused:
		if l := p.linkTo(h.from, false); l != nil {
			l.notice(h, sealed)
		}
	}
}

// nobody takes the servers' reports that nobody listens where a packet was sent.
func (p *Peers) nobody(m *nats.Msg) {
	if len(m.Data) > 0 || m.Header.Get("Status") != "503" {
		return
	}
	node, call, ok := strings.Cut(strings.TrimPrefix(m.Subject, p.inbox), ".")
	if l := p.linkTo(node, false); ok && l != nil {
		l.nobody(call)
	}
}

// tell sends a packet that is not sealed.
func (p *Peers) tell(node string, kind byte, session, position uint64, body []byte, reply string) error {
	b := header{kind, session, position, p.name}.append(make([]byte, 0, maxOverhead+len(body)))
	return p.publish(node, reply, append(b, body...))
}

// publish sends a packet. The servers report to reply, unless it is empty, that nobody listens. The packet is the caller's again.
func (p *Peers) publish(node, reply string, packet []byte) error {
	if reply == "" {
		return p.nc.Publish(subject(node), packet)
	}
	return p.nc.PublishRequest(subject(node), reply, packet)
}

// session is the keys between two nodes, in both directions, since one handshake.
type session struct {
	id     uint64
	public string // the other node's key, as it was listed
	made   time.Time

	sending sync.Mutex
	send    ratchet // guarded by sending
	buf     []byte  // guarded by sending; the packet being sent

	receive ratchet // guarded by the mutex of the link or guest
}

// post seals and sends a packet. The mutex makes the order of sealing that of sending: packets that overtake others are lost.
func (p *Peers) post(s *session, node string, kind byte, reply string, prefix func([]byte) []byte, data []byte) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	// With room for all of it nothing in clear is left behind: the packet is sealed in place.
	b := header{kind, s.id, s.send.n, p.name}.append(slices.Grow(s.buf[:0], maxOverhead+len(data)))
	n := len(b)
	b = append(prefix(b), data...)
	b, err := s.send.seal(b[:n], b[:n], b[n:])
	if err != nil {
		return err
	}
	s.buf = b[:0]
	return p.publish(node, reply, b)
}

// wipe erases the keys. The caller holds the mutex of the link or guest.
func (s *session) wipe() {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.send.wipe()
	s.receive.wipe()
}

// partSize is how much data a packet has.
func (p *Peers) partSize() int {
	return max(1, min(maxPart, int(p.nc.MaxPayload())-maxOverhead))
}
