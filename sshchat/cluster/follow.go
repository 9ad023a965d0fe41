package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/wire"
)

// Answers are kept for requests that are sent again: for ten minutes, which is longer than any node waits for one.
const (
	recalled     = 10 * time.Minute
	mostRecalled = 4096 // messages of the stream
)

// recall reads the answers of recent batches that the folder has: others may send their requests again.
func recall(ctx context.Context, n *Node) error {
	i, err := examine(ctx, n, n.at.Seq)
	if err != nil {
		return err
	}
	if n.at.Seq+1 < i.State.First {
		return fmt.Errorf("this folder has the log up to message %d, but the stream begins with message %d: too old. Make it anew from a backup of another node", n.at.Seq, i.State.First)
	}
	if err := inPlace(ctx, n, i); err != nil {
		return err
	}
	n.answers = nil
	r := recollection{n: n, next: max(i.State.First, n.at.Seq-min(n.at.Seq, mostRecalled)+1), since: time.Now().Add(-recalled)}
	for r.next <= n.at.Seq {
		from := r.next
		got, err := n.stream.get(ctx, from, getAtOnce, r.take)
		if refused := (*statusError)(nil); err == nil && got == 0 || errors.As(err, &refused) {
			err = missing(n, from, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// recollection is the reading of messages that the folder has. They follow on each other as they did when they came: a message that was
// put in the place of one is noticed, before a request is done again whose answer it has.
type recollection struct {
	n     *Node
	next  uint64
	prev  string // sum of the message before; empty: not known
	parts []*entry
	since time.Time
}

func (r *recollection) take(s stored) error {
	n := r.n
	if s.seq > n.at.Seq {
		r.next = s.seq
		return nil
	}
	if s.seq != r.next && r.prev != "" { // the first may have been too old a moment later
		return missing(n, r.next, nil)
	}
	e, err := n.sealer.decode(s.payload, s.seq)
	if err == nil && r.prev != "" && e.Prev != r.prev {
		err = fmt.Errorf("it was published after another message %d than the stream holds", s.seq-1)
	}
	r.next, r.prev = s.seq+1, sumOf(s.payload)
	switch {
	case errors.Is(err, errForeign):
		return nil
	case err != nil:
		return &BrokenError{s.seq, err}
	}
	if t, says := termAfter(e); says {
		n.terms.set(t)
	}
	if s.at.Before(r.since) {
		return nil
	}
	if r.parts = collect(r.parts, e); !complete(r.parts) {
		return nil
	}
	sealed, err := wire.DecodeBatch(whole(r.parts))
	if err != nil {
		return &BrokenError{s.seq, err}
	}
	if sealed.Batch != nil {
		n.answers = append(n.answers, sealed.Batch.Answers...)
	}
	r.parts = nil
	return nil
}

// catchUp takes what the stream holds now, up to its last message.
func (n *Node) catchUp(ctx context.Context) error {
	for {
		at := n.position().Seq
		i, err := examine(ctx, n, at)
		if err != nil {
			return err
		}
		if at >= i.State.Last {
			return nil
		}
		got, err := n.fetch(ctx, i.State.Last)
		if err == nil && got == 0 && n.position().Seq == at {
			err = missing(n, at+1, nil)
		}
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// follow takes what comes, looks for what may have been lost, and campaigns when there is nobody who leads.
func (n *Node) follow(ctx context.Context) error {
	tick := time.NewTicker(n.c.pace.look / 2)
	defer tick.Stop()
	patience := n.c.pace.campaign + rand.N(n.c.pace.spread)
	complained := ""
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m := <-n.tail:
			s, bad := storedOf(m)
			if bad != nil {
				continue
			}
			err = n.next(ctx, s)
		case <-tick.C:
			if err = n.quiet(ctx, patience); err == nil {
				saveSometimes(n)
			}
		}
		if err == nil && n.terms.leader().resigned && !n.leads.Load() && n.nodes.skew().Abs() <= maxSkew {
			err = n.campaign(ctx)
		}
		if broken := (*BrokenError)(nil); errors.As(err, &broken) || ends(err) {
			return err
		}
		if said := complaint(err); said != complained && (said != "" || err == nil) {
			if complained = said; said != "" {
				n.log.Warn("cluster: "+said, "err", err)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.log.Debug("cluster: the stream cannot be read; trying again", "err", err)
		}
	}
}

// errUnstored is wrapped while the disk refuses what came out of the stream.
var errUnstored = errors.New("it cannot be stored in the data folder")

// complaint is what the log says once of an error that may last; empty: nothing.
func complaint(err error) string {
	switch {
	case errors.Is(err, errDoubt):
		return "the log may have lost something; looking again"
	case errors.Is(err, errUnstored):
		return "this node does not store what the others have; trying again"
	}
	return ""
}

// quiet is called now and then.
func (n *Node) quiet(ctx context.Context, patience time.Duration) error {
	if broken := n.broken.Load(); broken != nil {
		return broken
	}
	if n.leads.Load() {
		return n.beat()
	}
	silence, missed := n.watch.silence()
	if silence < n.c.pace.look && !missed {
		return nil
	}
	if _, err := n.fetch(ctx, 0); err != nil {
		_, gone := examine(ctx, n, n.position().Seq)
		return errors.Join(err, gone)
	}
	if missed {
		return n.refresh(ctx)
	}
	if n.nodes.skew().Abs() > maxSkew { // times that it gives would be wrong: others come first
		patience += n.c.pace.campaign
	}
	if silence, _ := n.watch.silence(); silence > patience {
		return n.campaign(ctx)
	}
	return nil
}

// next takes a message that was republished, and what may be missing before it.
func (n *Node) next(ctx context.Context, s stored) error {
	at := n.position().Seq
	switch {
	case s.seq <= at:
		return nil
	case s.seq > at+1:
		_, err := n.fetch(ctx, s.seq)
		return err
	}
	return n.take(ctx, s)
}

// fetch takes messages from the stream itself, up to one of that number, or as many as there are.
func (n *Node) fetch(ctx context.Context, upto uint64) (got int, err error) {
	for {
		at := n.position().Seq
		if upto > 0 && at >= upto {
			return got, nil
		}
		get := n.stream.get
		if upto == 0 { // that the nearest server has no more is what is usual
			get = n.stream.getNear
		}
		more, err := get(ctx, at+1, getAtOnce, func(s stored) error {
			if s.seq != at+1 {
				return missing(n, at+1, nil)
			}
			at++
			return n.take(ctx, s)
		})
		got += more
		if refused := (*statusError)(nil); errors.As(err, &refused) {
			err = missing(n, at+1, err)
		}
		if err != nil || more == 0 {
			return got, err
		}
	}
}

// take takes the next message of the stream. If it completes a batch, that is stored here and comes out of Events.
func (n *Node) take(ctx context.Context, s stored) error {
	b, err := n.receive(ctx, s)
	if errors.Is(err, errForeign) {
		n.log.Warn("cluster: skipping a message of the stream that does not belong to this chat; somebody else has the nkey of a node", "message", s.seq)
		return nil
	}
	if err != nil {
		return err
	}
	n.doubts.place.ends()
	if b != nil && n.hub.Load() != nil {
		n.Deliver(b) // without the lock: the hub may be waiting for it
	}
	return nil
}

// receive stores the message's batch, if there is one.
func (n *Node) receive(ctx context.Context, s stored) (*chat.Batch, error) {
	n.writing.Lock()
	defer n.writing.Unlock()
	if s.seq <= n.at.Seq {
		return nil, nil
	}
	e, err := n.sealer.decode(s.payload, s.seq)
	if errors.Is(err, errForeign) { // the next is published after it: if it took the place of one, that shows
		i, unknown := n.stream.info(ctx)
		if unknown == nil {
			unknown = inPlace(ctx, n, i) // all of the stream may be another's
		}
		if unknown != nil {
			return nil, unknown
		}
		n.advance(s.payload)
		noteWhole(n)
		return nil, err
	}
	if err != nil {
		return nil, &BrokenError{s.seq, err}
	}
	if e.Prev != n.at.Sum {
		return nil, &BrokenError{s.seq, fmt.Errorf("it was published after another message %d than the one that is here", n.at.Seq)}
	}
	if err := n.c.refuses(e.Format, e.Version); err != nil {
		return nil, err // the position stays before it: an upgraded node continues here
	}
	var b *chat.Batch
	parts := collect(n.partial, e)
	if complete(parts) {
		b, err = n.replicate(ctx, parts)
		n.figures.unstored.Store(isPassing(err))
		if isPassing(err) {
			return nil, fmt.Errorf("%w: %w", errUnstored, err) // and taken again
		}
		if err != nil {
			return nil, &BrokenError{s.seq, err}
		}
		parts = nil
	}
	n.partial = parts
	n.advance(s.payload)
	n.watch.takes(e, n.c.Node, n.at.Batch)
	err = n.turn(e)
	noteWhole(n)
	return b, err
}

// replicate stores the whole batch of which these are the parts in the folder.
func (n *Node) replicate(ctx context.Context, parts []*entry) (*chat.Batch, error) {
	last := parts[len(parts)-1]
	sealed, err := wire.DecodeBatch(whole(parts))
	if err != nil {
		return nil, err
	}
	if sealed.Batch != nil && n.hub.Load() != nil {
		n.texts.add(ctx, n, last, &sealed)
	} else if sealed.Batch != nil {
		wire.MissTexts(&sealed, nobody) // rooms get what they have in memory from another node
	}
	b, err := n.Replicate(sealed)
	if err != nil {
		return nil, err
	}
	if sealed.Batch != nil {
		if n.hub.Load() == nil {
			n.answers = append(n.answers, sealed.Batch.Answers...)
		}
		n.at.Batch = last.N
		n.requests.answered(sealed.Batch.Answers)
	}
	return b, nil
}

func nobody(chat.RequestID) (chat.Post, chat.Name, bool) { return chat.Post{}, chat.Name{}, false }

// turn takes over who leads with a message. Called with writing held.
func (n *Node) turn(e *entry) error {
	switch e.Kind {
	case epoch:
		n.at.Epoch, n.at.LogFormat, n.partial = e.Epoch, max(e.Format, n.at.LogFormat), nil
		t, _ := termAfter(e)
		t.format = max(n.at.LogFormat, 1)
		if t.instance == n.instance && n.hub.Load() != nil {
			n.lead(t)
			return nil
		}
		n.deposed()
		n.terms.set(t)
		if n.peers != nil {
			n.log.Info("cluster: another node leads", "node", e.By, "epoch", e.Epoch)
			n.texts.follow(n, n.terms.leader())
		}
	case resign:
		n.deposed()
		t, _ := termAfter(e)
		n.terms.set(t)
	case left:
		if e.By == n.c.Node {
			return errLeftHere
		}
		return fmt.Errorf("%w: it goes on in the folder of node %s", ErrLeft, e.By)
	}
	return nil
}

// collect adds a message to the parts of a batch. Parts of a leader that was deposed before the last are void.
func collect(parts []*entry, e *entry) []*entry {
	switch {
	case e.Kind == epoch:
		return nil
	case e.Kind != batch:
		return parts
	case e.Part == 1:
		return append(parts[:0:0], e)
	case len(parts) == e.Part-1:
		return append(parts, e)
	}
	return nil // of one whose beginning is unknown
}

func complete(parts []*entry) bool {
	return len(parts) > 0 && parts[len(parts)-1].Part == parts[len(parts)-1].Parts
}

// whole is the batch of which these are all parts.
func whole(parts []*entry) []byte {
	if len(parts) == 1 {
		return parts[0].body
	}
	var b []byte
	for _, e := range parts {
		b = append(b, e.body...)
	}
	return b
}
