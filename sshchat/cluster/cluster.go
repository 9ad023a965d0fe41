// Package cluster makes several servers one chat. Each of them, a node, keeps a data folder of its own. All folders follow one
// stream of JetStream, the log: each message of it is a batch as package journal stores it, and every folder takes all of them in
// their order.
//
// One node leads: it orders what people say and decide on all nodes, and publishes it. The leader is the node whose epoch is the
// last in the stream, and each message is published with the number of the message that it follows on
// (Nats-Expected-Last-Sequence): the stream takes one message for each place, and that is all there is of election, fencing and
// order. No clock decides anything but how long people wait.
//
// The stream holds what message_history.json and users.json hold, encrypted under cluster.key: no text, and no key to one. The texts for other nodes'
// screens go beside it, from node to node, under keys that are in memory only and used once (package peer); a node shows a
// message once it has the record from the stream.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"
	"sshchat/store"
	"sshchat/store/accounts"
	"sshchat/store/journal"

	"github.com/nats-io/nats.go"
)

// Config is what a node is made of.
type Config struct {
	Servers []string      // NATS URLs
	NKey    string        // file of the seed that the servers know the nodes by; empty: none
	CA      string        // file of the authorities that may sign the servers' certificates; empty: the system's
	Node    string        // this node's name
	Data    string        // its data folder, which the caller holds
	Keep    time.Duration // how long the stream keeps what every node has; 0: a day. Only Init uses it
	Version string        // of the program

	Journal  *journal.Journal
	Accounts *accounts.Store
	Marks    MarkStore    // nil: only Open needs it
	Flush    func() error // stores what the journal keeps of attempts; nil: nothing
	Log      *slog.Logger

	pace   *pace // nil: the usual; tests are faster
	newest int   // format of the log, for tests; else logFormat
}

// pace is the times of the election and the fence. None of them decides what is stored: they are how long people wait.
type pace struct {
	save      time.Duration // between two times that cluster.json is written: after a crash the messages since then are read once more, and skipped
	heartbeat time.Duration // of a leader that has nothing to publish
	look      time.Duration // without a message: the next may be in the stream all the same
	campaign  time.Duration // without a message, and up to spread more
	spread    time.Duration
	alive     time.Duration // between two words of a node
	fence     time.Duration // which what is known here may be old
	greet     time.Duration // for other nodes to answer one that starts
	doubt     time.Duration // in which the stream looks as if it had lost something, until it counts as lost
	texts     time.Duration // in which nodes that may have texts which did not come here do not answer, until those are missing
}

// usual is right for networks within a town and disks of any kind: a server that syncs may be silent for a second.
var usual = pace{
	save:      5 * time.Second,
	heartbeat: time.Second, look: 400 * time.Millisecond, campaign: 2500 * time.Millisecond, spread: time.Second,
	alive: 500 * time.Millisecond, fence: 5 * time.Second, greet: 300 * time.Millisecond,
	doubt: 15 * time.Second, // a NATS server that is cut off from the others believes for 10 s that it leads
	texts: 30 * time.Second, // then the sessions of a node that is behind have ended
}

// Node is one server of the chat. It is the hub's journal and its leader.
type Node struct {
	*journal.Journal
	Others *Others

	c        Config
	nc       *nats.Conn
	stream   *stream
	sealer   *sealer
	peers    *peer.Peers
	log      *slog.Logger
	instance uint64                   // random: which process of that node this is
	hub      atomic.Pointer[chat.Hub] // nil until there is one
	terms    terms
	watch    watch
	texts    texts
	nodes    nodes
	requests requests
	figures  figures
	doubts   doubts
	tail     chan *nats.Msg
	answers  []chat.Answer // of recent batches, until the hub is made
	marks    *marks        // nil if Config.Marks is
	memory   *memory       // what rooms have in memory elsewhere, until the hub is made; nil: nothing

	writing sync.Mutex // held while a message is taken from the stream, or appended
	at      Position   // guarded by writing
	partial []*entry   // guarded by writing; parts of a batch that is not complete
	whole   Position   // guarded by writing; of a node that leads: the folder has all up to there, and perhaps not what it has published since

	life   context.Context // ends some time after Stop
	giveUp context.CancelFunc

	leads  atomic.Bool
	broken atomic.Pointer[BrokenError]
}

// ErrNotListed is wrapped by Open's error while this node's key is not among those of the chat.
var ErrNotListed = errors.New("this node is not part of the chat yet")

// ErrLeft is wrapped where the chat has left the cluster: no node follows the log any more.
var ErrLeft = errors.New("the chat has left this cluster")

// errLeftHere says that this node has left it, and that its folder still is a node's.
var errLeftHere = fmt.Errorf("%w, and goes on in this folder; run sshchat cluster leave once more to complete it", ErrLeft)

// ends reports whether a node follows the log no further, though nothing is wrong with it.
func ends(err error) bool { return errors.Is(err, ErrLeft) || errors.Is(err, ErrNewer) }

// BrokenError is why a node takes nothing more from the log: a message does not follow from what the node has.
type BrokenError struct {
	Seq uint64 // the message of the stream
	Err error
}

func (b *BrokenError) Error() string {
	if ends(b.Err) {
		return b.Err.Error()
	}
	return fmt.Sprintf("the log is broken: message %d of the stream does not follow from what this node has: %v; docs/cluster.md says how to go on", b.Seq, b.Err)
}

func (b *BrokenError) Unwrap() error { return b.Err }

// Open connects to the servers, takes from the stream what the folder does not have yet, and gets from another node what rooms have
// in memory. Nothing may be asked of the journal before. Errors: ErrNotListed, BrokenError, or what the servers say.
func Open(ctx context.Context, c Config) (*Node, error) {
	n, err := open(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := n.join(ctx); err != nil {
		n.nc.Close()
		return nil, err
	}
	return n, nil
}

// open connects, and takes what the folder does not have.
func open(ctx context.Context, c Config) (*Node, error) {
	n, err := connected(c)
	if err != nil {
		return nil, err
	}
	if _, err = n.nc.ChanSubscribe(tail, n.tail); err == nil {
		err = read(ctx, n)
	}
	if err != nil {
		n.nc.Close()
		return nil, err
	}
	n.watch.begin()
	return n, nil
}

// connected connects.
func connected(c Config) (*Node, error) {
	at, err := ReadPosition(c.Data)
	if err != nil {
		return nil, err
	}
	if err := c.refuses(at.LogFormat, ""); err != nil {
		return nil, err
	}
	key, err := readKey(c.Data)
	if err != nil {
		return nil, err
	}
	if c.pace == nil {
		c.pace = &usual
	}
	n := &Node{
		Journal: c.Journal, c: c, log: c.Log, instance: rand.Uint64(), at: at,
		tail: make(chan *nats.Msg, 64<<10), // more than the longest silence leaves
	}
	n.Others = &Others{n: n}
	n.figures.seq.Store(at.Seq)
	n.figures.batch.Store(at.Batch)
	n.watch.limit = c.pace.fence
	n.life, n.giveUp = context.WithCancel(context.Background())
	n.terms.set(term{epoch: at.Epoch})
	if n.sealer, err = newSealer(key, at.Genesis); err != nil {
		return nil, err
	}
	if n.nc, err = connect(&c); err != nil {
		return nil, err
	}
	n.stream = &stream{nc: n.nc}
	return n, nil
}

// electionTime is longer than NATS servers take to elect the one that leads the log, after another has ended.
const electionTime = 20 * time.Second

// read takes what the stream holds.
func read(ctx context.Context, n *Node) error {
	return askPatiently(ctx, n.log, func() error {
		if err := recall(ctx, n); err != nil {
			return err
		}
		return n.catchUp(ctx)
	})
}

// askPatiently asks the servers again while an answer may come later.
func askPatiently(ctx context.Context, log *slog.Logger, ask func() error) error {
	return patiently(ctx, log, 50*time.Millisecond, electionTime, func() (again bool, err error) {
		err = ask()
		return isLate(err), err
	})
}

// isLate reports whether it is an error of servers that can be reached and of which none leads, as when the stream was made just now, or of
// which it is in doubt whether they have lost something.
func isLate(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, errDoubt)
}

// askInfo is stream.info, asked patiently.
func askInfo(ctx context.Context, s *stream, log *slog.Logger) (i info, err error) {
	err = askPatiently(ctx, log, func() (err error) { i, err = s.info(ctx); return err })
	return i, err
}

// join makes itself known to the other nodes.
func (n *Node) join(ctx context.Context) error {
	key, err := peer.LoadOrCreate(n.c.path(store.NodeKeyFile))
	if err != nil {
		return err
	}
	all := members{n.c.Accounts}
	if err := all.have(n.c.Node, key.Public()); err != nil {
		return err
	}
	n.peers = peer.New(n.nc, n.at.Genesis, n.c.Node, key, all.publicKey, n.log)
	handle(n)
	if err := n.peers.Listen(); err != nil {
		return err
	}
	if err := n.texts.begin(n); err != nil {
		return err
	}
	if err := n.nodes.begin(n); err != nil {
		return err
	}
	n.Publish = n.publish
	if t := n.terms.leader(); t.node != "" && t.node != n.c.Node { // before anything else: it opens what is sent from then on
		n.texts.follow(n, t)
	}
	if err := fetchMemory(ctx, n); err != nil { // which waits for words of other nodes
		return err
	}
	return n.nodes.twin(n)
}

// HubConfig makes the node the journal and the leader of a hub.
func (n *Node) HubConfig(c *chat.Config) {
	c.Journal, c.Leader, c.Applied, c.Answers = n, n, n.at.Batch, n.answers
	if n.c.Marks != nil {
		n.marks = newMarks(n, n.c.Marks)
		c.Marks = n.marks
	}
}

// Attach gives the node its hub, which does not run yet, and the hub what rooms have in memory on other nodes.
func (n *Node) Attach(hub *chat.Hub) {
	n.answers = nil
	restoreMemory(n, hub)
	n.hub.Store(hub)
	if n.marks != nil {
		n.marks.begin(hub)
	}
}

// Run follows the log, and leads when nobody does, until ctx ends; then it resigns if it leads. The hub runs meanwhile, and longer.
// It returns a BrokenError if the log cannot be followed: then nothing can be said or decided here any more.
func (n *Node) Run(ctx context.Context) error {
	background, stop := context.WithCancel(context.Background())
	defer stop()
	go n.nodes.tell(background, n)
	err := n.follow(ctx)
	broken := (*BrokenError)(nil)
	if ends(err) {
		broken = &BrokenError{n.position().Seq, err}
	}
	if broken != nil || errors.As(err, &broken) {
		breaks(n, broken)
		n.log.Error("cluster: "+broken.Error()+"; nothing more can be said or decided here", "batch", n.position().Batch)
	}
	return err
}

// breaks has nothing be taken from the log any more.
func breaks(n *Node, why *BrokenError) {
	n.deposed()
	n.broken.Store(why)
	if hub := n.hub.Load(); hub != nil {
		hub.LoseLog()
	}
}

// Stop has what the stream does not take within d be given up: the node is about to be closed.
func (n *Node) Stop(d time.Duration) { time.AfterFunc(d, n.giveUp) }

// Close resigns, if this node leads, so that another may lead at once, and ends the connection. The hub has ended.
func (n *Node) Close() error {
	n.Stop(answerTime)
	if n.marks != nil {
		n.marks.end()
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	if n.leads.Load() {
		err := n.Resign()
		if unstored := (*journal.Unstored)(nil); errors.As(err, &unstored) {
			putBack(n)
		}
		if err == nil {
			err = n.put(n.entry(resign))
		}
		if err != nil {
			n.log.Warn("cluster: cannot resign; another node takes the lead within a few seconds", "err", err)
		}
	}
	n.leads.Store(false)
	n.terms.leader().end()
	n.Follow()
	n.peers.Close()
	n.nc.Close()
	if len(n.partial) > 0 { // the folder lacks what comes after the position that was saved
		return nil
	}
	return savePosition(n, n.at)
}

// advance notes that the next message of the stream is here. Called with writing held.
func (n *Node) advance(payload []byte) {
	n.at.Seq, n.at.Sum = n.at.Seq+1, sumOf(payload)
	n.figures.seq.Store(n.at.Seq)
	n.figures.batch.Store(n.at.Batch)
}

func (n *Node) position() Position {
	n.writing.Lock()
	defer n.writing.Unlock()
	return n.at
}

// entry is the next message of this node, with what they all have. Called with writing held.
func (n *Node) entry(k kind) *entry {
	return &entry{Kind: k, Epoch: n.at.Epoch, By: n.c.Node, Instance: n.instance, At: time.Now().UTC(), Prev: n.at.Sum, N: n.at.Batch, Nonces: n.nodes.repeat(&n.c)}
}
