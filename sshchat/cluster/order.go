package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/wire"
)

// resendAfter is how long a node waits for the leader's answer before it sends a request again.
const resendAfter = 2 * time.Second

// Order implements chat.Leader: it has the leader order a request, wherever that is. Without a leader it waits for one for a
// while.
func (n *Node) Order(ctx context.Context, r chat.Request) error {
	if n.leads.Load() {
		return n.hub.Load().Order(ctx, r)
	}
	if err := Cause(n); err != nil {
		return err
	}
	t := n.terms.leader()
	if t.node == "" || t.node == n.c.Node {
		select {
		case <-t.lasts.Done():
		case <-ctx.Done():
		case <-time.After(resendAfter):
		}
		return chat.ErrNoLeader
	}
	err := send(ctx, n, t, r)
	if err != nil && !errors.Is(err, chat.ErrNoAnswer) {
		n.requests.close(r.ID)
	}
	return err
}

// send sends a request to the leader of a term. The error is the request's refusal, or wraps chat.ErrNoAnswer.
func send(ctx context.Context, n *Node, t term, r chat.Request) error {
	b, err := wire.EncodeRequest(r)
	if err != nil {
		return err
	}
	n.requests.open(r)
	call, cancel := context.WithTimeout(ctx, resendAfter)
	defer cancel()
	defer context.AfterFunc(t.lasts, cancel)()
	began := time.Now()
	answer, err := n.peers.Call(call, t.node, callOrder, b)
	switch {
	case err == nil:
		if len(answer) == 0 {
			return nil
		}
		err = wire.DecodeError(answer)
		if errors.Is(err, chat.ErrStopping) { // the leader's process, and not this one
			return fmt.Errorf("%w: %w", chat.ErrNoAnswer, err)
		}
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if wait := 50*time.Millisecond - time.Since(began); wait > 0 { // not again at once, if nobody is there
		time.Sleep(wait)
	}
	return fmt.Errorf("%w: %w", chat.ErrNoAnswer, err)
}

// ordered answers another node's request.
func (n *Node) ordered(ctx context.Context, _ string, request []byte) ([]byte, error) {
	r, err := wire.DecodeRequest(request)
	if err != nil {
		return nil, err
	}
	if !n.leads.Load() {
		return wire.EncodeError(chat.ErrNoAnswer), nil
	}
	if err := n.hub.Load().Order(ctx, r); err != nil {
		return wire.EncodeError(err), nil
	}
	return nil, nil
}

// requests are those of this node of which no batch has come yet, by their ID: this node has their texts.
type requests struct {
	mu  sync.Mutex
	all map[chat.RequestID]chat.Request // guarded by mu
}

func (r *requests) open(q chat.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make(map[chat.RequestID]chat.Request)
	}
	r.all[q.ID] = q
}

func (r *requests) close(id chat.RequestID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, id)
}

// answered takes out what is part of a batch that is applied here.
func (r *requests) answered(all []chat.Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range all {
		delete(r.all, a.ID)
	}
}

// find returns the request with that ID.
func (r *requests) find(id chat.RequestID) (chat.Request, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	q, ok := r.all[id]
	return q, ok
}
