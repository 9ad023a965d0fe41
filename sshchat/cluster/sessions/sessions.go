// Package sessions lists and ends the sessions of all nodes of a cluster, and waits until a decision holds on each of them. It knows
// nothing of the log: a node answers for what it has applied, and one that does not answer is named.
package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"sshchat/sshchat/cluster/peer"
	"sshchat/sshchat/command"
	"sshchat/sshchat/lists"
	"sshchat/sshchat/text"
)

// Local is what this server does with its own sessions.
type Local interface {
	Sessions() []command.LiveSession
	Figures() []command.Figure
	End(account, why string) int
	Settle(ctx context.Context, after, upTo uint64) (ended int, err error)
}

// Nodes are the other nodes.
type Nodes interface {
	Handle(kind string, f peer.Handler)
	Listed() []string
	// Silence is how long nothing was heard of a node.
	Silence(node string) time.Duration
	Call(ctx context.Context, node, kind string, request []byte) ([]byte, error)
}

// The kinds of calls.
const (
	callList   = "sessions"
	callSettle = "sessions.settle"
	callEnd    = "sessions.end"
)

const (
	// settleTime is how long Settle waits for a node. It is longer than the 5 s after which a node that does not follow the log lets nobody
	// in and decides nothing: by then each node has applied the decision or is fenced.
	settleTime = 5500 * time.Millisecond
	askAgain   = time.Second // in which Settle asks once more: a request may be lost with a connection, or be slow on its way
	retry      = 50 * time.Millisecond
	askTime    = 2 * time.Second // for lists, and to end sessions

	maxWhy    = 1024 // bytes of what an ended session is told
	maxClient = 64   // bytes of what a client calls itself
	maxWord   = 128  // bytes of a fingerprint, or another word
)

// Everywhere is the sessions of all nodes. It implements command.Live.
type Everywhere struct {
	local Local
	nodes Nodes  // nil: there is no cluster
	name  string // of this node
}

var _ command.Live = (*Everywhere)(nil)

// Alone is the sessions of a server that is not part of a cluster.
func Alone(local Local) *Everywhere { return &Everywhere{local: local} }

// New is those of all nodes, of which this one has that name. It answers the others from now on.
func New(local Local, nodes Nodes, name string) *Everywhere {
	e := &Everywhere{local, nodes, name}
	nodes.Handle(callList, e.giveList)
	nodes.Handle(callSettle, e.giveSettled)
	nodes.Handle(callEnd, e.giveEnded)
	return e
}

// Figures implements command.Live.
func (e *Everywhere) Figures() []command.Figure { return e.local.Figures() }

// Sessions implements command.Live.
func (e *Everywhere) Sessions(ctx context.Context) (list []command.LiveSession, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	list = e.here()
	var mu sync.Mutex
	silent = e.each(func(node string) error {
		reply, err := e.nodes.Call(ctx, node, callList, nil)
		if err != nil {
			return err
		}
		theirs, err := parseList(node, reply)
		mu.Lock()
		defer mu.Unlock()
		list = append(list, theirs...)
		return err
	})
	lists.Sort(list, func(a, b command.LiveSession) int {
		if d := a.Since.Compare(b.Since); d != 0 {
			return d
		}
		return a.Name.Compare(b.Name)
	})
	return list, silent
}

// here lists the sessions of this server.
func (e *Everywhere) here() []command.LiveSession {
	list := e.local.Sessions()
	for i := range list {
		list[i].Node = e.name
	}
	return list
}

// Settle implements command.Live. A node that was not heard for settleTime, and cannot be reached, is not waited for.
func (e *Everywhere) Settle(ctx context.Context, after, upTo uint64) (ended int, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	request, err := json.Marshal(settleRequest{after, upTo})
	if err != nil {
		panic("internal error: encode a request: " + err.Error()) // it is two numbers
	}
	var mu sync.Mutex
	count := func(n int) {
		mu.Lock()
		defer mu.Unlock()
		ended += n
	}
	var own sync.WaitGroup
	own.Go(func() {
		if n, err := e.local.Settle(ctx, after, upTo); err == nil {
			count(n)
		}
	})
	silent = e.each(func(node string) error {
		n, err := e.settle(ctx, node, request)
		count(n)
		return err
	})
	own.Wait()
	return ended, silent
}

// settle asks a node until it answers.
func (e *Everywhere) settle(ctx context.Context, node string, request []byte) (ended int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		reply []byte
		err   error
	}
	answers := make(chan answer)
	ask := func() { // ends with ctx
		reply, err := e.nodes.Call(ctx, node, callSettle, request)
		select {
		case answers <- answer{reply, err}:
		case <-ctx.Done():
		}
	}
	again := time.NewTimer(0)
	defer again.Stop()
	for err = error(peer.ErrUnreachable); ; {
		select {
		case <-again.C:
			go ask()
			again.Reset(askAgain)
		case a := <-answers:
			switch err = a.err; {
			case err == nil:
				return parseEnded(a.reply)
			case errors.Is(err, peer.ErrNotListed), errors.Is(err, peer.ErrUnreachable) && e.nodes.Silence(node) > settleTime:
				return 0, err
			}
			again.Reset(retry)
		case <-ctx.Done():
			return 0, err
		}
	}
}

// End implements command.Live.
func (e *Everywhere) End(ctx context.Context, account, why string) (n int, silent []string) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	request, err := json.Marshal(endRequest{account, why})
	if err != nil {
		panic("internal error: encode a request: " + err.Error()) // it is two strings
	}
	n = e.local.End(account, why)
	var mu sync.Mutex
	silent = e.each(func(node string) error {
		reply, err := e.nodes.Call(ctx, node, callEnd, request)
		if err != nil {
			return err
		}
		ended, err := parseEnded(reply)
		mu.Lock()
		defer mu.Unlock()
		n += ended
		return err
	})
	return n, silent
}

// each calls ask for all other nodes at once, and returns those for which it fails, in their order. One that is no longer listed is none of
// them: nobody answers it, and it knows.
func (e *Everywhere) each(ask func(node string) error) (silent []string) {
	if e.nodes == nil {
		return nil
	}
	nodes := e.nodes.Listed()
	errs := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, node := range nodes {
		all.Go(func() { errs[i] = ask(node) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil && !errors.Is(err, peer.ErrNotListed) {
			silent = append(silent, nodes[i])
		}
	}
	return silent
}

// What follows is how nodes ask each other.

// settleRequest asks for Settle.
type settleRequest struct {
	After uint64 `json:"after"`
	UpTo  uint64 `json:"upto"`
}

// endRequest asks for End.
type endRequest struct {
	Account string `json:"account"`
	Why     string `json:"why"`
}

// endedReply is how many sessions were ended.
type endedReply struct {
	Ended int `json:"ended"`
}

// session is a session as nodes send it.
type session struct {
	Account string     `json:"account"`
	Name    string     `json:"name"`
	Addr    netip.Addr `json:"addr"` // invalid: of a Unix socket
	Since   time.Time  `json:"since"`
	Key     string     `json:"key"`
	UI      string     `json:"ui"`
	Client  string     `json:"client"`
}

func (e *Everywhere) giveList(context.Context, string, []byte) ([]byte, error) {
	var list []session
	for _, s := range e.local.Sessions() {
		list = append(list, session{s.Account, s.Name.String(), s.Addr, s.Since, s.Key, s.UI, s.Client})
	}
	return json.Marshal(list)
}

func (e *Everywhere) giveSettled(ctx context.Context, _ string, request []byte) ([]byte, error) {
	var r settleRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	n, err := e.local.Settle(ctx, r.After, r.UpTo)
	if err != nil {
		return nil, err
	}
	return json.Marshal(endedReply{n})
}

func (e *Everywhere) giveEnded(_ context.Context, _ string, request []byte) ([]byte, error) {
	var r endRequest
	if err := json.Unmarshal(request, &r); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if r.Account == "" {
		return nil, errors.New("no account is named")
	}
	return json.Marshal(endedReply{e.local.End(r.Account, text.Clean(r.Why, maxWhy))})
}

// parseList reads what a node says of its sessions. What is shown of them is clean.
func parseList(node string, reply []byte) (list []command.LiveSession, err error) {
	var theirs []session
	if err := json.Unmarshal(reply, &theirs); err != nil {
		return nil, fmt.Errorf("read the sessions of node %s: %w", node, err)
	}
	for _, s := range theirs {
		name, err := text.ParseName(s.Name)
		if err != nil {
			return nil, fmt.Errorf("read the sessions of node %s: %w", node, err)
		}
		list = append(list, command.LiveSession{
			Node: node, Account: text.Clean(s.Account, maxWord), Name: name, Addr: s.Addr.WithZone(""), Since: s.Since,
			Key: text.Clean(s.Key, maxWord), UI: text.Clean(s.UI, maxWord), Client: text.Clean(s.Client, maxClient),
		})
	}
	return list, nil
}

func parseEnded(reply []byte) (int, error) {
	var r endedReply
	err := json.Unmarshal(reply, &r)
	if err == nil && (r.Ended < 0 || r.Ended > 1<<20) {
		err = fmt.Errorf("a node says that it has ended %d sessions", r.Ended)
	}
	if err != nil {
		return 0, err
	}
	return r.Ended, nil
}
