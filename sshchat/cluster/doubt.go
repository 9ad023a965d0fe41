package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errDoubt is wrapped while the stream looks as if it had lost something, and may only look so: a server that does not know yet that
// another leads says of the stream what it was.
var errDoubt = errors.New("the stream does not show all that this node knows of")

// doubt is since when the stream has looked as if it had lost something.
type doubt struct {
	mu          sync.Mutex
	since, last time.Time // guarded by mu; zero: it does not
}

// unlooked is for how long nobody may have looked while a doubt lasts: after that it is another.
const unlooked = 5 * time.Second

// lasts returns why once that has been so for long enough, and errDoubt before.
func (d *doubt) lasts(limit time.Duration, why *BrokenError) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	if now.Sub(d.last) > unlooked {
		d.since = now
	}
	d.last = now
	if now.Sub(d.since) < limit {
		return fmt.Errorf("%w: %w", errDoubt, why.Err)
	}
	return why
}

func (d *doubt) ends() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = time.Time{}
}

// doubts are what the stream looks as if it had lost.
type doubts struct {
	end   doubt // its last messages, or all of it
	place doubt // the next message for this node
}

// known is how far the log is known to go, before the stream is asked: a stream that is asked after that has at least so much.
type known struct {
	seq   uint64 // the last message that this node has
	other string // the node that said that it had most
	most  uint64 // and how much
	lacks error  // ErrFurther if another node had what the folder lacks with that message
}

// knownAt is what is known when this node has the log up to that message.
func knownAt(n *Node, seq uint64) known {
	other, most := n.nodes.most()
	return known{seq, other, most, furthest(n)}
}

// examine asks for the stream when this node has the log up to that message. Errors: those of judge.
func examine(ctx context.Context, n *Node, seq uint64) (info, error) {
	k := knownAt(n, seq)
	i, err := n.stream.info(ctx)
	return i, judge(n, k, i, err)
}

// judge takes what the stream's leader says of it, and returns a BrokenError if it cannot be the stream that this node has followed. The
// error wraps errDoubt while that is not sure.
func judge(n *Node, k known, i info, err error) error {
	why := func(format string, args ...any) *BrokenError {
		return &BrokenError{k.seq + 1, fmt.Errorf(format+"; this node has the log up to message %d, with batch %d", append(args, k.seq, n.figures.batch.Load())...)}
	}
	switch {
	case errors.Is(err, errNoStream):
		return n.doubts.end.lasts(n.c.pace.doubt, why("%w", err))
	case err != nil:
		return err
	case i.another(n.at.Genesis):
		return why("the servers have another stream %s in its place, which was made for another chat, or anew for this one", streamName)
	case i.State.Last < k.seq:
		lost := why("the stream ends with message %d", i.State.Last)
		lost.Seq = i.State.Last + 1
		return n.doubts.end.lasts(n.c.pace.doubt, lost)
	case i.State.Last < k.most:
		lost := why("the stream ends with message %d, and node %s has the log up to message %d", i.State.Last, k.other, k.most)
		lost.Seq = i.State.Last + 1
		return n.doubts.end.lasts(n.c.pace.doubt, lost)
	case i.State.Last == k.seq && k.lacks != nil: // it would go on where it was cut off
		return n.doubts.end.lasts(n.c.pace.doubt, why("the stream ends with message %d, and %w", k.seq, k.lacks))
	}
	n.doubts.end.ends()
	return nil
}

// another reports whether the stream says that it is not that of the chat with this id. Streams of former versions do not say.
func (i *info) another(genesis string) bool {
	is := i.Config.Metadata[genesisKey]
	return is != "" && is != genesis
}

// inPlace returns a BrokenError if the stream, of which i was said just now, holds another message than the last one that is here. What it
// does not keep any more is not compared. Called with writing held, or while nothing else runs.
func inPlace(ctx context.Context, n *Node, i info) error {
	if n.at.Seq < i.State.First {
		return nil
	}
	found, same := false, false
	_, err := n.stream.get(ctx, n.at.Seq, 1, func(s stored) error {
		found, same = s.seq == n.at.Seq, sumOf(s.payload) == n.at.Sum
		return nil
	})
	switch {
	case err != nil || !found:
		return missing(n, n.at.Seq, err)
	case !same:
		return &BrokenError{n.at.Seq, fmt.Errorf("the stream holds another message than the one that is here, with which batch %d was the last", n.at.Batch)}
	}
	n.doubts.place.ends()
	return nil
}

// missing is the error if the servers do not return a message that is in the stream, or err instead: the one that was asked may be behind,
// or its disk damaged, and then another has it. If none has it for long enough, it is a BrokenError.
func missing(n *Node, seq uint64, err error) error {
	refused := (*statusError)(nil)
	switch {
	case err == nil:
		err = errors.New("the stream does not hold it")
	case !errors.As(err, &refused): // nothing was answered, or something else is wrong
		return err
	}
	return n.doubts.place.lasts(n.c.pace.doubt, &BrokenError{seq, fmt.Errorf("%w; this node has the log up to message %d, with batch %d", err, n.figures.seq.Load(), n.figures.batch.Load())})
}
