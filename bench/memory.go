package main

import (
	"fmt"
	"time"
)

const (
	// history is how many messages have been said before the readers come.
	history = 200
	// settle is how long a crowd is left idle before it is measured, so that presence changes are shown and drawn.
	settle = 4 * time.Second
)

// standing is what a server takes at one moment. Sizes are bytes.
type standing struct {
	runtimeStats
	resident float64
	cpu      time.Duration
}

// stand measures a process. Memory is read before asking the runtime, which collects garbage.
func (p *process) stand() (s standing, err error) {
	if s.resident, err = resident(p.pid()); err != nil {
		return s, err
	}
	if s.cpu, err = cpuTime(p.pid()); err != nil {
		return s, err
	}
	s.runtimeStats, err = p.look()
	return s, err
}

// measureMemory fills every server with idle readers, waits for a while, and measures what each server takes.
func measureMemory(b *bench, ts []target) error {
	var crowds []*crowd
	var empty []standing
	defer func() {
		for _, c := range crowds {
			b.failed(c.target, c.end())
		}
	}()
	for _, t := range ts {
		b.say("memory: %d sessions of %s", b.sessions, t.name)
		c, err := startCrowd(b.programs, t, b.cast)
		if err != nil {
			return err
		}
		crowds = append(crowds, c)
		before, err := c.stand()
		if err != nil {
			return err
		}
		empty = append(empty, before)
		if err := c.populate(b.options); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	time.Sleep(settle)
	b.say("memory: nobody does anything for %v", b.idle)
	var used []time.Duration
	err := b.profiling(crowds[0], "idle", func() (err error) { used, err = idle(crowds, b.idle); return err })
	if err != nil {
		return err
	}
	for i, c := range crowds {
		now, err := c.stand()
		if err != nil {
			return err
		}
		b.noteMemory(c, empty[i], now, 100*used[i].Seconds()/b.idle.Seconds())
	}
	return nil
}

// populate has something said, and then the readers come.
func (c *crowd) populate(o options) error {
	if c.target.program == product {
		if err := c.addSenders(); err != nil {
			return err
		}
		end := time.Now().Add(patience)
		for _, s := range c.senders {
			if _, err := s.sayAll(1+history/len(c.senders), 4, end); err != nil {
				return err
			}
			s.close()
		}
		c.senders = nil
	}
	_, err := c.come(o.workers)
	return err
}

// idle returns the processor time that each server takes while nothing happens.
func idle(crowds []*crowd, d time.Duration) ([]time.Duration, error) {
	used := make([]time.Duration, len(crowds))
	for i, c := range crowds {
		cpu, err := cpuTime(c.pid())
		if err != nil {
			return nil, err
		}
		used[i] = -cpu
	}
	time.Sleep(d)
	for i, c := range crowds {
		cpu, err := cpuTime(c.pid())
		if err != nil {
			return nil, err
		}
		used[i] += cpu
	}
	return used, nil
}

// noteMemory writes down what a session takes more than none, and the idle server's share of a core, in percent.
func (b *bench) noteMemory(c *crowd, empty, full standing, idle float64) {
	n := float64(b.sessions)
	name := c.target.name
	if name == large.name {
		b.table.set("rss-large", subject, (full.resident-empty.resident)/n/1024)
		b.table.set("heap-large", subject, (full.Heap-empty.Heap)/n/1024)
		return
	}
	b.table.set("idle", name, idle)
	b.table.set("rss", name, (full.resident-empty.resident)/n/1024)
	b.table.set("rss-all", name, full.resident/(1<<20))
	b.table.set("heap", name, (full.Heap-empty.Heap)/n/1024)
	b.table.set("stacks", name, (full.Stacks-empty.Stacks)/n/1024)
	b.table.set("goroutines", name, (full.Goroutines-empty.Goroutines)/n)
	if name == subject && !c.screen.Load() {
		b.table.note("no full screen was drawn: the column %q shows what a terminal gets instead", subject)
	}
}
