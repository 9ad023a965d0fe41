package main

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// crowd is a server with users: readers, who show messages, and senders, who post them.
type crowd struct {
	*process
	target  target
	cast    *cast
	readers []*client
	senders []*sender
	tally   atomic.Pointer[histogram] // where readers count what they see; nil for nowhere
	screen  atomic.Bool               // a reader was sent an escape sequence
	waiting sync.WaitGroup            // goroutines that read; each ends with its client
}

// cast is the accounts of all users. All servers have the same.
type cast struct{ readers, senders, workers, stalled []account }

func newCast(o options) (*cast, error) {
	c := &cast{}
	for _, part := range []struct {
		role string
		n    int
		to   *[]account
	}{{"reader", o.sessions, &c.readers}, {"sender", o.senders, &c.senders}, {"worker", o.workers, &c.workers}, {"stalled", o.stalled, &c.stalled}} {
		var err error
		if *part.to, err = newAccounts(part.role, part.n); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cast) all() []account {
	var all []account
	for _, part := range [][]account{c.readers, c.senders, c.workers, c.stalled} {
		all = append(all, part...)
	}
	return all
}

func startCrowd(p *programs, t target, people *cast) (*crowd, error) {
	server, err := p.start(t, people.all())
	if err != nil {
		return nil, err
	}
	return &crowd{process: server, target: t, cast: people}, nil
}

// end sends everybody home and stops the server.
func (c *crowd) end() error {
	c.leave()
	for _, s := range c.senders {
		s.close()
	}
	err := c.process.stop()
	c.waiting.Wait()
	return err
}

// leave sends the readers home.
func (c *crowd) leave() {
	for _, r := range c.readers {
		r.close()
	}
	c.readers = nil
}

// come opens a session for each reader, a few at a time, and returns how many came in a second.
func (c *crowd) come(workers int) (float64, error) {
	begin := time.Now()
	clients := make([]*client, len(c.cast.readers))
	err := each(workers, len(clients), func(i int) (err error) {
		clients[i], err = c.enter(c.cast.readers[i])
		return err
	})
	for _, r := range clients {
		if r != nil {
			c.readers = append(c.readers, r)
			c.waiting.Go(func() { c.watch(r) })
		}
	}
	return float64(len(clients)) / time.Since(begin).Seconds(), err
}

// each calls do for 0 to n-1, with that many workers, and returns the first error of each.
func each(workers, n int, do func(i int) error) error {
	var next atomic.Int64
	errs := make([]error, workers)
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = do(i)
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// enter opens a session and waits until it shows something, if it does.
func (c *crowd) enter(who account) (*client, error) {
	r, err := dial(c.addr, who, c.target.shape)
	if err != nil || c.target.silent {
		return r, err
	}
	if err := r.begun(); err != nil {
		r.close()
		return nil, fmt.Errorf("%s is shown nothing: %w", who.name, err)
	}
	return r, nil
}

// watch notes how long each message took to this reader. A message that is shown again is not counted again.
func (c *crowd) watch(r *client) {
	seen := make([]int, len(c.cast.senders))
	r.read(func(m mark) {
		if m.sender >= len(seen) || m.number <= seen[m.sender] {
			return
		}
		seen[m.sender] = m.number
		if h := c.tally.Load(); h != nil {
			h.add(time.Since(clock) - m.sent)
		}
	}, &c.screen)
}

// addSenders opens the senders' sessions. They have no terminal: a line is a message.
func (c *crowd) addSenders() error {
	for i, who := range c.cast.senders {
		r, err := dial(c.addr, who, shape{})
		if err != nil {
			return err
		}
		s := &sender{client: r, id: i, heard: make(chan struct{}, 1), echoes: c.target.echoes}
		c.senders = append(c.senders, s)
		c.waiting.Go(s.listen)
	}
	return nil
}
