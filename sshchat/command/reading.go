package command

import (
	"context"
	"io"
	"sync"

	"sshchat/sshchat/chat"
)

// This file is what reading the stored history costs. It goes through files, as large as they are, for whoever asks: so it is
// charged by its size, as search is, and few do it at once on the whole server. What a client takes its time for holds no
// place.

const (
	readCost  = 1 << 20  // bytes of history that count as one more command
	readChunk = 64 << 10 // bytes that are gathered before the client gets them
)

// Readers are the places for reading what is stored. One person has at most one of them at a time, in all their commands
// together: who asks in many gets no more than who asks in one.
type Readers struct {
	places chan struct{}

	mu     sync.Mutex
	people map[chat.Name]*ownPlace // guarded by mu; those who have a place or wait for one
}

// ownPlace is the one that a person has.
type ownPlace struct {
	taken chan struct{}
	users int // who hold or want it; guarded by the Readers' mu
}

// NewReaders makes so many places.
func NewReaders(n int) *Readers {
	return &Readers{places: make(chan struct{}, max(1, n)), people: make(map[chat.Name]*ownPlace)}
}

// enter waits for a place for one of name's commands. leave gives it up.
func (r *Readers) enter(ctx context.Context, name chat.Name) error {
	r.mu.Lock()
	own := r.people[name]
	if own == nil {
		own = &ownPlace{taken: make(chan struct{}, 1)}
		r.people[name] = own
	}
	own.users++
	r.mu.Unlock()
	select {
	case own.taken <- struct{}{}:
	case <-ctx.Done():
		r.forget(name)
		return ctx.Err()
	}
	select {
	case r.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-own.taken
		r.forget(name)
		return ctx.Err()
	}
}

func (r *Readers) leave(name chat.Name) {
	<-r.places
	r.mu.Lock()
	own := r.people[name]
	r.mu.Unlock()
	<-own.taken
	r.forget(name)
}

// forget drops what is kept of a person of whom no command holds or wants a place.
func (r *Readers) forget(name chat.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if own := r.people[name]; own != nil {
		if own.users--; own.users == 0 {
			delete(r.people, name)
		}
	}
}

// reading is one use of a place: an output that gives the place up while the client takes what was read.
type reading struct {
	ctx    context.Context
	call   *Call
	chunk  []byte
	unpaid int   // bytes that were passed on and not paid for
	err    error // why no more is passed on; the place is held only while it is nil
}

// readOut has what is stored read into the call's output, in the call's turn and at its cost.
func readOut(ctx context.Context, c *Call, what func(out io.Writer) error) error {
	if c.Readers == nil {
		return what(c.Out)
	}
	if err := c.Readers.enter(ctx, c.Account.Name); err != nil {
		return err
	}
	r := &reading{ctx: ctx, call: c}
	err := what(r)
	if r.err != nil {
		return r.err
	}
	c.Readers.leave(c.Account.Name)
	if err == nil {
		_, err = c.Out.Write(r.chunk)
	}
	return err
}

// lookUp reads what is stored without printing it, in the call's turn.
func lookUp(ctx context.Context, c *Call, what func() error) error {
	if c.Readers == nil {
		return what()
	}
	if err := c.Readers.enter(ctx, c.Account.Name); err != nil {
		return err
	}
	defer c.Readers.leave(c.Account.Name)
	return what()
}

func (r *reading) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	r.chunk = append(r.chunk, p...)
	if len(r.chunk) < readChunk {
		return len(p), nil
	}
	if r.err = r.pass(); r.err != nil {
		return 0, r.err
	}
	return len(p), nil
}

// pass gives the client what was read, has it paid for, and waits for a place to go on.
func (r *reading) pass() error {
	r.call.Readers.leave(r.call.Account.Name)
	if _, err := r.call.Out.Write(r.chunk); err != nil {
		return err
	}
	for r.unpaid += len(r.chunk); r.unpaid >= readCost; r.unpaid -= readCost {
		if err := r.call.Caller.Pace(r.ctx, Work, r.call.Command.Name); err != nil {
			return err
		}
	}
	r.chunk = r.chunk[:0]
	return r.call.Readers.enter(r.ctx, r.call.Account.Name)
}
