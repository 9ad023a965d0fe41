package cluster

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/wire"
	"sshchat/store/journal"
)

// Here implements chat.Leader.
func (n *Node) Here() bool { return n.leads.Load() }

// Append implements chat.Journal. Where this node does not lead it returns chat.ErrNotLeader.
func (n *Node) Append(b chat.Batch) error {
	if !n.leads.Load() {
		return n.notLeader()
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	switch {
	case !n.leads.Load():
		return n.notLeader()
	case b.N != n.at.Batch+1:
		return chat.ErrBehind
	}
	err := n.Journal.Append(b)
	if unstored := (*journal.Unstored)(nil); errors.As(err, &unstored) {
		if isPassing(unstored.Err) {
			n.log.Warn("cluster: this node cannot store what it has published; another is to lead", "err", unstored.Err)
			offer(n.life, n, n.entry(resign)) // if that fails the others wait for a while
			n.deposed()
			n.Follow()
			err = n.notLeader()
		}
		if putBack(n); n.at.Batch == b.N && !errors.Is(err, chat.ErrJournalDead) {
			err = nil // it is stored, and what follows on it is not
		}
	}
	noteWhole(n)
	return err
}

// putBack has the folder take again what was published and is not, or not all, stored in it. Called with writing held.
func putBack(n *Node) {
	n.at = n.whole
	n.figures.seq.Store(n.at.Seq)
	n.figures.batch.Store(n.at.Batch)
}

// isPassing reports whether it is the disk that refuses something, as if it is full, and may take it later.
func isPassing(err error) bool {
	errno := syscall.Errno(0)
	return errors.As(err, &errno) && !errors.Is(err, chat.ErrJournalDead)
}

func (n *Node) notLeader() error {
	if broken := n.broken.Load(); broken != nil {
		return fmt.Errorf("%w: %w", chat.ErrNotLeader, broken)
	}
	return chat.ErrNotLeader
}

// publish is Journal.Publish: it is called by Append, for a batch and then perhaps for a rotation.
func (n *Node) publish(s journal.Sealed) error {
	body, texts, err := wire.EncodeBatch(s)
	if err != nil {
		return err
	}
	n.whole = n.at
	next := n.at.Batch
	if s.Batch != nil {
		next++
	}
	if texts != nil {
		n.texts.send(n, next, texts)
	}
	parts := partsOf(body)
	if len(parts) > maxParts {
		return fmt.Errorf("a batch of %d bytes is too large for the cluster", len(body))
	}
	for i, part := range parts {
		e := n.entry(batch)
		e.N, e.Part, e.Parts, e.body = next, i+1, len(parts), part
		if err := n.put(e); err != nil {
			return err
		}
	}
	n.at.Batch = next
	n.figures.batch.Store(next)
	return nil
}

// put has the leader's next message stored, however long that takes: until it is known what became of one there is no other. The
// same bytes in the same place are stored once. The error wraps chat.ErrNotLeader: the message is not stored, unless the node
// ends. Called with writing held.
func (n *Node) put(e *entry) error {
	payload, err := n.sealer.encode(e, n.at.Seq+1)
	if err != nil {
		return err
	}
	began := time.Now()
	n.figures.putting.Store(&began)
	defer n.figures.putting.Store(nil)
	for failed := 0; ; failed++ {
		var err error
		// After a silence others may have led, and what they published may have been lost since: then the stream would take this.
		if silence, _ := n.watch.silence(); failed > 0 || silence > 2*n.c.pace.heartbeat {
			_, err = examine(n.life, n, n.at.Seq)
		}
		if broken := (*BrokenError)(nil); errors.As(err, &broken) {
			breaks(n, broken)
			return n.notLeader()
		}
		if !errors.Is(err, errDoubt) {
			err = n.place(n.life, payload)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errTaken), n.nc.IsClosed(), n.life.Err() != nil:
			n.deposed()
			return n.notLeader()
		}
		if failed == 0 {
			n.log.Warn("cluster: the stream does not take a message; trying again", "err", err)
		}
		time.Sleep(50 * time.Millisecond) // the servers elect a leader for seconds
	}
}

// place gives a message the next place in the stream. The error wraps errTaken if another message has it; else it is not known
// whether it is stored, and the same bytes may be placed once more. Called with writing held.
func (n *Node) place(ctx context.Context, payload []byte) error {
	asked := time.Now()
	err := n.stream.publish(ctx, n.at.Seq, payload)
	if errors.Is(err, errTaken) { // by this one, if its answer was lost
		asked = time.Time{} // others may have followed since
		same, unknown := n.stream.holds(ctx, n.at.Seq+1, payload)
		if err = unknown; unknown == nil && !same {
			err = errTaken
		}
	}
	if err == nil {
		n.advance(payload)
		n.watch.stores(asked, n.at.Batch)
	}
	return err
}

// offer is place for a message that is not placed again. Called with writing held.
func offer(ctx context.Context, n *Node, e *entry) error {
	payload, err := n.sealer.encode(e, n.at.Seq+1)
	if err != nil {
		return err
	}
	return n.place(ctx, payload)
}

// beat has the leader be heard, at once if a node is fenced until its nonce is repeated.
func (n *Node) beat() error {
	yields := n.nodes.yields(n)
	if silence, _ := n.watch.silence(); silence < n.c.pace.heartbeat && n.c.listed() && !yields && !n.nodes.asks() {
		return nil
	}
	if !n.writing.TryLock() {
		return nil // it is being heard just now, or tries to be
	}
	defer n.writing.Unlock()
	if !n.leads.Load() {
		return nil
	}
	said := heartbeat
	if !n.c.listed() || yields { // it leads until others can know that it does no longer
		said = resign
	}
	if err := n.put(n.entry(said)); err != nil && !errors.Is(err, chat.ErrNotLeader) {
		return err
	}
	noteWhole(n)
	if said == resign {
		n.nodes.hasYielded()
		n.deposed()
	}
	return nil
}

// campaign makes this node the leader, if it has all of the log and no other was faster.
func (n *Node) campaign(ctx context.Context) error {
	if !n.c.listed() {
		return nil
	}
	i, err := examine(ctx, n, n.position().Seq)
	if err != nil {
		return err
	}
	n.writing.Lock()
	defer n.writing.Unlock()
	if i.State.Last != n.at.Seq {
		return nil // first what is missing
	}
	if err := inPlace(ctx, n, i); err != nil {
		return err
	}
	e := n.entry(epoch)
	e.Epoch, e.Version, e.Format = n.at.Epoch+1, n.c.Version, writes(n, n.at.LogFormat)
	// Without an answer it may be stored all the same; then it comes out of the stream like that of any other.
	if err := offer(ctx, n, e); err != nil {
		return err
	}
	return n.turn(e)
}

// lead begins to lead. Called with writing held.
func (n *Node) lead(t term) {
	n.Lead()
	n.texts.lead(t)
	n.leads.Store(true)
	n.terms.set(t)
	n.log.Info("cluster: this node leads", "epoch", t.epoch, "batch", n.at.Batch)
}

// deposed ends leading.
func (n *Node) deposed() {
	if n.leads.Swap(false) {
		n.log.Warn("cluster: this node does not lead any more")
	}
	if t := n.terms.leader(); t.instance == n.instance {
		n.terms.set(term{epoch: t.epoch})
	}
}
