package cluster

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"
	"sshchat/sshchat/cluster/wire"
	"sshchat/store/journal"

	"github.com/nats-io/nats.go"
)

// Texts go to all nodes at once, sealed under the leader's chain, and wait there for their record.
const (
	textSubject = "sshchat.text"
	mostEarly   = 64 << 20               // bytes of texts whose record has not come
	keptTexts   = 2 * time.Minute        // for nodes that ask for them, who may have been cut off
	mostKept    = 64 << 20               // bytes of them
	awaitTexts  = 250 * time.Millisecond // after the record
	askForTexts = time.Second            // each node
	packetHead  = 3 * 8

	askAhead      = 256       // batches
	askAheadBytes = 256 << 10 // of texts in an answer
)

// texts are the texts of messages on their way to other nodes' screens.
type texts struct {
	mu      sync.Mutex
	epoch   uint64            // guarded by mu
	chain   *peer.Chain       // guarded by mu; of the leader, if that is this node
	reader  *peer.Receiver    // guarded by mu; of its packets; nil: the leader has not given it yet
	early   map[uint64]packet // guarded by mu; by batch
	bytes   int               // guarded by mu; of early
	newest  packetName        // guarded by mu; of all that have come
	recent  []recent          // guarded by mu; oldest first
	kept    int               // guarded by mu; bytes of recent
	arrived chan struct{}     // guarded by mu; closed when something has come
	waited  time.Duration     // for nodes that do not answer, since all have answered; only of the goroutine that follows
	given   time.Time         // when they were given up last; only of that goroutine
}

// packet is the sealed texts of a batch.
type packet struct {
	epoch, n uint64 // the leader's epoch; its place in the chain
	sealed   []byte
}

// packetName is which texts a packet has.
type packetName struct{ epoch, batch uint64 }

// headOf is what a packet begins with, before its place in the chain: it is bound to it.
func headOf(epoch, batch uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, epoch), batch)
}

// recent is the texts of a batch that this node has applied.
type recent struct {
	batch uint64
	texts []byte
	at    time.Time
}

func (t *texts) begin(n *Node) error {
	t.early, t.arrived = make(map[uint64]packet), make(chan struct{})
	s, err := n.nc.Subscribe(textSubject, t.receive)
	if err == nil {
		err = s.SetPendingLimits(-1, mostEarly)
	}
	return err
}

// lead begins a new chain.
func (t *texts) lead(of term) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end()
	t.epoch, t.chain = of.epoch, peer.NewChain()
}

// end wipes the keys of the term before. Called with mu held.
func (t *texts) end() {
	if t.chain != nil {
		t.chain.Wipe()
	}
	if t.reader != nil {
		t.reader.Wipe()
	}
	t.chain, t.reader = nil, nil
}

// follow asks the leader of a term for the key of its chain, in the background, until it has it or the term ends.
func (t *texts) follow(n *Node, of term) {
	t.mu.Lock()
	t.end()
	t.epoch = of.epoch
	for batch, p := range t.early {
		if p.epoch < of.epoch {
			t.drop(batch)
		}
	}
	t.mu.Unlock()
	go func() {
		for of.lasts.Err() == nil {
			call, cancel := context.WithTimeout(of.lasts, answerTime) // a packet may be lost, and each batch waits for the key
			b, err := n.peers.Call(call, of.node, callChain, nil)
			cancel()
			if err == nil {
				err = t.join(of.epoch, b)
			}
			if err == nil {
				return
			}
			n.log.Debug("cluster: the leader does not give the key of its texts; trying again", "leader", of.node, "err", err)
			select {
			case <-of.lasts.Done():
			case <-time.After(20 * time.Millisecond): // it may be about to lead
			}
		}
	}()
}

// join takes what a leader gives to a node: its epoch, the first of its packets that the key opens, and the key.
func (t *texts) join(of uint64, b []byte) error {
	defer clear(b)
	if len(b) < 2*8 {
		return errors.New("no key")
	}
	epoch := binary.BigEndian.Uint64(b)
	reader, err := peer.NewReceiver(binary.BigEndian.Uint64(b[8:]), b[2*8:])
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if epoch != of || t.epoch != of {
		reader.Wipe()
		return errors.New("another epoch")
	}
	t.reader = reader
	t.wake()
	return nil
}

// giveChain answers a node that asks for the chain.
func (t *texts) giveChain(context.Context, string, []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.chain == nil {
		return nil, errors.New("this node does not lead")
	}
	at, key := t.chain.Key()
	defer clear(key)
	b := make([]byte, 0, 2*8+len(key)) // the key's only copy, which is erased once it is sent
	return append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, t.epoch), at), key...), nil
}

// send sends the texts of a batch to all nodes.
func (t *texts) send(n *Node, batch uint64, plain []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.chain == nil {
		return
	}
	head := headOf(t.epoch, batch)
	i, sealed := t.chain.Seal(head, plain)
	n.nc.Publish(textSubject, append(binary.BigEndian.AppendUint64(head, i), sealed...)) // who misses it asks
	t.remember(batch, plain)
}

// remember keeps the texts of a batch for a while. Called with mu held.
func (t *texts) remember(batch uint64, plain []byte) {
	now := time.Now()
	old := 0
	for old < len(t.recent) && (now.Sub(t.recent[old].at) > keptTexts || t.kept+len(plain) > mostKept) {
		t.kept -= len(t.recent[old].texts)
		clear(t.recent[old].texts)
		old++
	}
	t.recent = append(t.recent[old:], recent{batch, plain, now})
	t.kept += len(plain)
}

// had is a copy of the texts of a batch that came lately; nil: they did not.
func (t *texts) had(batch uint64) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range slices.Backward(t.recent) {
		if r.batch == batch {
			return slices.Clone(r.texts)
		}
	}
	return nil
}

// ahead are copies of the texts of up to count batches after one, as far as they came lately and fit into an answer.
func (t *texts) ahead(batch, count uint64) map[uint64][]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	all, bytes := make(map[uint64][]byte), 0
	for _, r := range t.recent {
		if r.batch <= batch || r.batch-batch > count {
			continue
		}
		if bytes += len(r.texts); bytes > askAheadBytes {
			break
		}
		all[r.batch] = slices.Clone(r.texts)
	}
	return all
}

// keepAhead keeps texts that came before their batches. Whose they are is seen when they are used.
func (t *texts) keepAhead(batch uint64, texts map[uint64][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := batch + 1; b <= batch+askAhead; b++ {
		if plain, has := texts[b]; has {
			t.remember(b, plain)
		}
	}
}

// receive takes a packet of the leader.
func (t *texts) receive(m *nats.Msg) {
	if len(m.Data) < packetHead {
		return
	}
	p := packet{epoch: binary.BigEndian.Uint64(m.Data), n: binary.BigEndian.Uint64(m.Data[16:]), sealed: m.Data[packetHead:]}
	batch := binary.BigEndian.Uint64(m.Data[8:])
	t.mu.Lock()
	defer t.mu.Unlock()
	if name := (packetName{p.epoch, batch}); name.epoch > t.newest.epoch || name.epoch == t.newest.epoch && batch > t.newest.batch {
		t.newest = name
	}
	if t.chain != nil || p.epoch < t.epoch || t.bytes+len(p.sealed) > mostEarly || len(t.early[batch].sealed) > 0 && t.early[batch].epoch >= p.epoch {
		return
	}
	t.drop(batch)
	t.early[batch] = p
	t.bytes += len(p.sealed)
	t.wake()
}

// drop is called with mu held.
func (t *texts) drop(batch uint64) {
	t.bytes -= len(t.early[batch].sealed)
	delete(t.early, batch)
}

// wake is called with mu held.
func (t *texts) wake() {
	close(t.arrived)
	t.arrived = make(chan struct{})
}

// open opens the texts of a batch, if they have come. more is closed when it is worth trying again; nil: never. Packets come in order: if that
// of a later batch has come, or one of a later leader, this one is lost.
func (t *texts) open(epoch, batch uint64) (plain []byte, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, has := t.early[batch]
	if !has && (t.newest.epoch > epoch || t.newest.epoch == epoch && t.newest.batch > batch) {
		return nil, nil
	}
	if !has || t.reader == nil || p.epoch != epoch || epoch != t.epoch {
		return nil, t.arrived
	}
	plain, err := t.reader.Open(headOf(epoch, batch), p.n, p.sealed)
	t.drop(batch)
	if err != nil {
		return nil, nil
	}
	t.remember(batch, plain)
	return plain, nil
}

// applied drops packets of batches that are over.
func (t *texts) applied(batch uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for b := range t.early {
		if b <= batch {
			t.drop(b)
		}
	}
}

// add gives the messages of a batch their texts: from the leader's packet, or from any node that has them. What nobody has
// is missing here.
func (t *texts) add(ctx context.Context, n *Node, e *entry, s *journal.Sealed) {
	defer t.applied(e.N)
	if !slices.ContainsFunc(s.Batch.Events, func(e chat.Event) bool { return e.Message.Seq > 0 }) {
		return
	}
	patience := awaitTexts
	if t.givenUp() && t.keyless() {
		patience = 0
	}
	wait := time.NewTimer(patience)
	defer wait.Stop()
	for waiting := true; waiting; {
		added, more := t.addHere(e, s)
		if added {
			return
		}
		if more == nil { // it is lost, or was sent before this node had the key
			break
		}
		select {
		case <-more:
		case <-wait.C:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	t.ask(ctx, n, e, s)
}

// givenUp reports whether nodes that were asked a moment ago gave no answer: they are not asked again yet.
func (t *texts) givenUp() bool { return time.Since(t.given) < askForTexts }

// keyless reports whether the key of the leader's texts is not here.
func (t *texts) keyless() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.reader == nil
}

// addHere gives a batch its texts if this node has them: they have come in a packet, were asked for ahead, or were here when the batch could
// not be stored. more is that of open.
func (t *texts) addHere(e *entry, s *journal.Sealed) (added bool, more <-chan struct{}) {
	plain, more := t.open(e.Epoch, e.N)
	if plain == nil {
		plain = t.had(e.N)
	}
	return plain != nil && wire.AddTexts(s, plain) == nil, more
}

// textsWanted asks for the texts of a batch.
type textsWanted struct {
	Batch    uint64           `json:"batch"`
	Requests []chat.RequestID `json:"requests"`
	Ahead    uint64           `json:"ahead,omitempty"` // the texts of so many batches after it are wanted, too: one that was cut off misses many
}

// textsHad is what a node has of that: all of them, or requests of its own.
type textsHad struct {
	Texts    []byte            `json:"texts,omitempty"`
	Requests [][]byte          `json:"requests,omitempty"`
	Ahead    map[uint64][]byte `json:"ahead,omitempty"` // texts of later batches, by batch
}

// search is for the texts of a batch that have not come.
type search struct {
	t      *texts
	n      *Node
	e      *entry
	s      *journal.Sealed
	wanted textsWanted
	known  map[chat.RequestID]chat.Request // found so far
}

// ask asks the other nodes for the texts of a batch. While one does not answer, as it or this one is cut off, all are asked again: meanwhile
// this node is behind, as after any silence.
func (t *texts) ask(ctx context.Context, n *Node, e *entry, s *journal.Sealed) {
	f := search{t, n, e, s, textsWanted{Batch: e.N, Ahead: askAhead}, make(map[chat.RequestID]chat.Request)}
	for _, a := range s.Batch.Answers {
		f.wanted.Requests = append(f.wanted.Requests, a.ID)
		if r, ok := n.requests.find(a.ID); ok {
			f.known[a.ID] = r
		}
	}
	for began := time.Now(); !t.givenUp(); {
		whole, silent := f.once(ctx)
		if !silent {
			t.waited = 0
		}
		if whole {
			return
		}
		if took := time.Since(began); !silent || ctx.Err() != nil || t.waited+took > n.c.pace.texts {
			if t.waited += took; silent && t.waited > n.c.pace.texts {
				t.given = time.Now()
			}
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	missing := wire.MissTexts(s, func(id chat.RequestID) (chat.Post, chat.Name, bool) {
		r, ok := f.known[id]
		post, is := r.Intent.(chat.Post)
		return post, r.Who.Name, ok && is
	})
	if missing > 0 {
		n.figures.gaps.Add(int64(missing))
		n.log.Warn("cluster: no node has the texts of messages that are stored; they are shown as missed", "messages", missing, "batch", e.N)
	}
}

// once asks each node once. whole: the batch has all its texts. silent: a node that may have more has not answered.
func (f *search) once(ctx context.Context) (whole, silent bool) {
	if late, _ := f.t.addHere(f.e, f.s); late {
		return true, false
	}
	b, err := json.Marshal(f.wanted)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	// Those that were not heard lately, too: who was cut off and is back has not been heard yet. One that has ended does not answer, and
	// the servers say so at once.
	asked := f.n.nodes.alive(f.e.By)
	lately := len(asked)
	for _, node := range append([]string{f.e.By}, f.n.Others.Listed()...) {
		if node != f.n.c.Node && !slices.Contains(asked, node) {
			asked = append(asked, node)
		}
	}
	for i, node := range asked {
		if len(f.known) == len(f.wanted.Requests) {
			return false, false
		}
		call, cancel := context.WithTimeout(ctx, askForTexts)
		answer, err := f.n.peers.Call(call, node, callTexts, b)
		cancel()
		var had textsHad
		if err == nil {
			err = json.Unmarshal(answer, &had)
		}
		f.n.log.Debug("cluster: texts that did not come were asked for", "batch", f.e.N, "of", node, "all", len(had.Texts) > 0, "requests", len(had.Requests), "err", err)
		silent = silent || isSilent(err, i < lately)
		f.t.keepAhead(f.e.N, had.Ahead)
		if len(had.Texts) > 0 && wire.AddTexts(f.s, had.Texts) == nil {
			f.t.mu.Lock()
			f.t.remember(f.e.N, had.Texts) // others may have missed them, too
			f.t.mu.Unlock()
			return true, false
		}
		for _, b := range had.Requests {
			if r, err := wire.DecodeRequest(b); err == nil {
				f.known[r.ID] = r
			}
		}
	}
	return false, silent
}

// isSilent reports whether a node that was called, with that error, may answer later: it or this node is cut off. heard: it was lately, so if
// nobody listens under its name it may be about to connect to another server.
func isSilent(err error, heard bool) bool {
	var remote *peer.Error
	switch {
	case err == nil, errors.As(err, &remote), errors.Is(err, peer.ErrUnknownKind), errors.Is(err, peer.ErrNotListed):
		return false
	case errors.Is(err, peer.ErrUnreachable):
		return heard
	}
	return true
}

// give answers a node that misses texts.
func (t *texts) give(own *requests, request []byte) ([]byte, error) {
	var wanted textsWanted
	if err := json.Unmarshal(request, &wanted); err != nil {
		return nil, err
	}
	had := textsHad{Texts: t.had(wanted.Batch), Ahead: t.ahead(wanted.Batch, min(wanted.Ahead, askAhead))}
	for _, id := range wanted.Requests {
		if r, ok := own.find(id); ok && had.Texts == nil {
			b, err := wire.EncodeRequest(r)
			if err != nil {
				return nil, err
			}
			had.Requests = append(had.Requests, b)
		}
	}
	return json.Marshal(had)
}
