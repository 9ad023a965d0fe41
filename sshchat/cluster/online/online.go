// Package online has each node of a chat know who is online on the others, and show the notices that were made there. None of that is in
// the log: it may be lost, it must not wait for a disk, and names are not for the NATS servers. It goes from node to node, sealed
// (package peer), and each node says all of it again to one that has not the same.
//
// It knows how messages between nodes get there, and nothing of what follows from them: that is package chat's.
package online

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sshchat/sshchat/chat"
	"sshchat/sshchat/cluster/peer"
)

// Kind is that of the calls between nodes.
const Kind = "online"

const (
	gather     = 50 * time.Millisecond // between two messages to a node, at least: what changes meanwhile is in the second
	hasToAgree = 5 * time.Second       // a node to which nothing is to be said is asked whether it has everything
	callTime   = 5 * time.Second
	tryAgain   = time.Second // after a call that failed
	maxPeople  = 5_000       // in a message: 1 MiB
	maxNotices = 1024        // that wait for a node; the oldest are lost
)

// Nodes are the other nodes of the chat, as cluster.Others is them.
type Nodes interface {
	Handle(kind string, f peer.Handler)
	Call(ctx context.Context, node, kind string, request []byte) ([]byte, error)
	Alive() []string
	// Watch has f be called when a node is heard for the first time, again, or after a restart (alive), and when it is heard no longer.
	Watch(f func(node string, alive bool))
}

// Exchange is what a node says and hears. It is its hub's chat.Others.
//
// Of the mutexes hearing is locked first, then the hub's, then mu.
type Exchange struct {
	hub      *chat.Hub
	nodes    Nodes
	log      *slog.Logger
	instance uint64 // random: which process of this node it is

	hearing sync.Mutex
	heard   map[string]*heard // guarded by hearing; by node

	mu      sync.Mutex
	links   map[string]*link // guarded by mu; to nodes that are alive
	numbers uint64           // guarded by mu; the last number that was given, of messages and of notices
	ctx     context.Context  // guarded by mu; of Run
	ended   bool             // guarded by mu; nothing is started any more
	senders sync.WaitGroup
}

// heard is what was heard of a node.
type heard struct {
	alive    bool
	instance uint64
	message  uint64 // the number of the last; 0: what is known of the node is not all
	notice   uint64 // the number of the last that was shown
}

// link is what is to be said to a node. Its fields are guarded by the exchange's mu.
type link struct {
	node    string
	stop    context.CancelFunc
	wake    chan struct{}      // holds a token when there is something to be said
	ready   chan struct{}      // holds a token when the node was heard that may not have been ready before
	all     bool               // who is online is to be said from the beginning
	changed map[chat.Name]bool // of whom it is to be said, otherwise
	notices []notice           // that the node may not have
	taken   uint64             // the number of the last message that it has
}

// New makes the hub tell the other nodes, and hear of them, while Run runs. The hub does not run yet.
func New(hub *chat.Hub, nodes Nodes, log *slog.Logger) *Exchange {
	e := &Exchange{hub: hub, nodes: nodes, log: log, instance: rand.Uint64(), heard: make(map[string]*heard), links: make(map[string]*link)}
	hub.Tell(e)
	return e
}

// Run exchanges who is online until ctx ends. It is called once.
func (e *Exchange) Run(ctx context.Context) {
	e.mu.Lock()
	e.ctx = ctx
	e.mu.Unlock()
	e.nodes.Handle(Kind, e.hear)
	e.nodes.Watch(func(node string, _ bool) { e.watch(node) })
	<-ctx.Done()
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.senders.Wait()
}

// watch notes that a node may have come, gone or started again.
func (e *Exchange) watch(node string) {
	e.hearing.Lock()
	defer e.hearing.Unlock()
	alive := slices.Contains(e.nodes.Alive(), node) // as it is now: of two calls the one that was made first may come last
	h := e.heard[node]
	if h == nil {
		h = &heard{}
		e.heard[node] = h
	}
	if !alive {
		e.hub.Elsewhere(node, true, nil)
	}
	h.alive, h.message = alive, 0 // if it has started again, its sessions ended with it: the next that it says is everything
	e.mu.Lock()
	defer e.mu.Unlock()
	l := e.links[node]
	switch {
	case e.ended:
	case !alive && l != nil:
		l.stop()
		delete(e.links, node)
	case alive && l != nil:
		l.all = true
		signal(l.wake)
	case alive:
		l = &link{node: node, wake: make(chan struct{}, 1), ready: make(chan struct{}, 1), all: true, changed: make(map[chat.Name]bool)}
		ctx, stop := context.WithCancel(e.ctx)
		l.stop = stop
		e.links[node] = l
		e.senders.Go(func() { e.tell(ctx, l) })
	}
}

// signal puts a token into the channel, unless it has one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Changed implements chat.Others.
func (e *Exchange) Changed(name chat.Name) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.links {
		l.changed[name] = true
		signal(l.wake)
	}
}

// Announce implements chat.Others.
func (e *Exchange) Announce(a chat.Announcement) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.numbers++
	n := noticeOf(e.numbers, a)
	for _, l := range e.links {
		if l.notices = append(l.notices, n); len(l.notices) > maxNotices {
			l.notices = slices.Clone(l.notices[1:])
		}
		signal(l.wake)
	}
}

// errAgain is what a node answers that does not have what came before.
var errAgain = errors.New("the node wants to know everyone who is online")

// tell says to a node what there is to be said, one message after another, until ctx ends.
func (e *Exchange) tell(ctx context.Context, l *link) {
	for {
		pause := gather
		err := e.say(ctx, l)
		if err != nil && !errors.Is(err, errAgain) {
			pause = tryAgain
			e.log.Debug("cluster: a node does not learn who is online; trying again", "node", l.node, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.ready:
		case <-time.After(pause):
		}
		if err != nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-time.After(hasToAgree):
		}
	}
}

// say says to a node what there is to be said now.
func (e *Exchange) say(ctx context.Context, l *link) error {
	e.mu.Lock()
	e.numbers++
	m := message{Instance: e.instance, Number: e.numbers, After: l.taken, All: l.all, Notices: slices.Clone(l.notices)}
	names := slices.Collect(maps.Keys(l.changed))
	l.all, l.changed = false, make(map[chat.Name]bool)
	e.mu.Unlock()
	m.People = e.people(l, m.All, names)
	request, err := m.encode()
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	reply, err := e.nodes.Call(call, l.node, Kind, request)
	if err == nil && string(reply) != taken {
		err = errAgain
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil { // perhaps it has it: then it takes no notice twice
		l.all = true
		return err
	}
	l.taken = m.Number
	if n := len(m.Notices); n > 0 {
		last := m.Notices[n-1].Number
		l.notices = slices.DeleteFunc(l.notices, func(n notice) bool { return n.Number <= last })
	}
	return nil
}

// people is everyone who is online here, or what is to be said of those who are named. What is too much for one message is left for the next.
func (e *Exchange) people(l *link, all bool, names []chat.Name) (people []person) {
	var here []chat.Attendance
	switch {
	case all:
		here = e.hub.Attendance(nil)
	case len(names) > 0:
		here = e.hub.Attendance(names)
	}
	for _, a := range here[:min(len(here), maxPeople)] {
		people = append(people, personOf(a))
	}
	if len(here) > maxPeople {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, a := range here[maxPeople:] {
			l.changed[a.Name] = true
		}
		signal(l.wake)
	}
	return people
}

// Replies to a message.
const (
	taken = "taken"
	again = "again" // it does not follow on what this node has: say everything
)

// hear takes a message of another node. Messages of a node come one after the other, and late ones again.
func (e *Exchange) hear(_ context.Context, from string, request []byte) (reply []byte, err error) {
	m, people, notices, err := decode(request)
	if err != nil {
		return nil, fmt.Errorf("who is online: %w", err)
	}
	e.hearing.Lock()
	defer e.hearing.Unlock()
	h := e.heard[from]
	known := h != nil && h.instance == m.Instance
	switch {
	case h == nil || !h.alive: // what is noted now would stay when the node has gone
		return []byte(again), nil
	case known && m.Number <= h.message:
		return []byte(taken), nil
	case !m.All && !(known && h.message > 0 && m.After == h.message):
		return []byte(again), nil
	}
	if !known {
		h.instance, h.notice = m.Instance, 0
		e.answers(from)
	}
	h.message = m.Number
	e.hub.Elsewhere(from, m.All, people)
	for i, n := range notices {
		if number := m.Notices[i].Number; number > h.notice {
			h.notice = number
			e.hub.ShowAnnouncement(n)
		}
	}
	return []byte(taken), nil
}

// answers has a node learn who is online that has just begun to hear.
func (e *Exchange) answers(node string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if l := e.links[node]; l != nil {
		signal(l.ready)
	}
}
