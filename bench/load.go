package main

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// flow is what a server did with messages, and what it took.
type flow struct {
	messages int           // that were said
	sends    int           // that should have been seen: a message to each reader
	took     time.Duration // from the first to when the last was seen
	cpu      time.Duration // the server's
	seen     *histogram    // from send to seen
}

// perMillion is the processor time in seconds for a million messages seen.
func (f flow) perMillion() float64 {
	if f.seen.n.Load() == 0 {
		return 0
	}
	return f.cpu.Seconds() / float64(f.seen.n.Load()) * 1e6
}

// share is how many percent of what should have been seen was.
func (f flow) share() float64 { return 100 * float64(f.seen.n.Load()) / float64(max(f.sends, 1)) }

func (f flow) ms(p float64) float64 { return float64(f.seen.percentile(p)) / float64(time.Millisecond) }

// measureLoad measures one server's deliveries: at a steady rate, as fast as possible, and beside stalled readers.
func measureLoad(b *bench, t target) (err error) {
	b.say("load: %d sessions of %s", b.sessions, t.name)
	c, err := startCrowd(b.programs, t, b.cast)
	if err != nil {
		return err
	}
	defer func() { b.failed(t, c.end()) }()
	rate, err := c.come(b.workers)
	if err != nil {
		return err
	}
	b.table.set("come", t.name, rate)
	if err := c.addSenders(); err != nil {
		return err
	}
	if err := c.warmUp(); err != nil {
		return err
	}
	time.Sleep(settle)
	steady, err := b.profiled(c, "deliver", func() (flow, error) { return c.steady(b.deliveries, b.deliver) })
	if err != nil {
		return err
	}
	b.noteSteady(t.name, steady)
	stalled, err := c.stallers()
	if err != nil {
		return err
	}
	defer func() {
		for _, s := range stalled {
			s.close()
		}
	}()
	flood, err := b.profiled(c, "saturate", func() (flow, error) { return c.flood(b.saturate) })
	if err != nil {
		return err
	}
	b.noteFlood(t.name, flood)
	if err := c.checkStalled(stalled); err != nil {
		b.table.note("%s: %v: its figure beside stalled readers means nothing", t.name, err)
	}
	beside, err := c.steady(b.deliveries, b.deliver)
	if err != nil {
		return err
	}
	b.table.set("stalled", t.name, beside.ms(99))
	b.table.set("stalled-ratio", t.name, beside.ms(99)/steady.ms(99))
	return nil
}

// warmUp has each sender say something. The first message of a window has the product prepare the next, which takes as
// long for one message as for a thousand: at the steady rate it would count for a few. In a flood it comes as often as it
// does in life, and counts.
func (c *crowd) warmUp() error {
	return each(len(c.senders), len(c.senders), func(i int) error {
		_, err := c.senders[i].sayAll(1, 1, time.Now().Add(patience))
		return err
	})
}

func (b *bench) noteSteady(name string, f flow) {
	b.table.set("cpu", name, f.perMillion())
	b.table.set("p50", name, f.ms(50))
	b.table.set("p99", name, f.ms(99))
	b.table.set("seen", name, f.share())
}

func (b *bench) noteFlood(name string, f flow) {
	b.table.set("flood-messages", name, float64(f.messages)/f.took.Seconds())
	b.table.set("flood-rate", name, float64(f.seen.n.Load())/f.took.Seconds())
	b.table.set("flood-cpu", name, f.perMillion())
	b.table.set("flood-p99", name, f.ms(99))
	b.table.set("flood-seen", name, f.share())
}

// measure runs say, which returns how many messages were said, and waits until they are seen.
func (c *crowd) measure(say func() (int, error)) (f flow, err error) {
	f.seen = &histogram{}
	before, err := cpuTime(c.pid())
	if err != nil {
		return f, err
	}
	begin := time.Now()
	c.tally.Store(f.seen)
	defer c.tally.Store(nil)
	if f.messages, err = say(); err != nil {
		return f, err
	}
	f.sends = f.messages * len(c.readers)
	c.drain(f)
	f.took = time.Since(begin)
	after, err := cpuTime(c.pid())
	f.cpu = after - before
	if err == nil && f.seen.n.Load() == 0 {
		err = fmt.Errorf("%d messages were said and nobody saw one; the server says:\n%s", f.messages, c.last)
	}
	return f, err
}

// drain waits until everything is seen, or nothing more is.
func (c *crowd) drain(f flow) {
	const still = 500 * time.Millisecond
	last, since := int64(-1), time.Now()
	for time.Since(since) < still {
		n := f.seen.n.Load()
		if n >= int64(f.sends) {
			return
		}
		if n != last {
			last, since = n, time.Now()
		}
		time.Sleep(time.Millisecond)
	}
}

// steady makes the senders take turns, at a rate that gives the readers the wanted number of messages a second in all.
func (c *crowd) steady(deliveries int, d time.Duration) (flow, error) {
	every := time.Duration(float64(time.Second) * float64(len(c.readers)) / float64(deliveries))
	return c.measure(func() (n int, err error) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for end := time.Now().Add(d); time.Now().Before(end); n++ {
			<-tick.C
			if err := c.senders[n%len(c.senders)].say(); err != nil {
				return n, err
			}
		}
		return n, nil
	})
}

// onTheirWay is how many messages each sender has under way in a flood.
const onTheirWay = 16

// flood has each sender go on as soon as its messages come back: as fast as the server can, and not faster.
func (c *crowd) flood(d time.Duration) (flow, error) {
	return c.measure(func() (int, error) {
		const endless = 1 << (4*numberDigits - 1)
		var said atomic.Int64
		errs := make(chan error, len(c.senders))
		var speaking sync.WaitGroup
		for _, s := range c.senders {
			speaking.Go(func() {
				n, err := s.sayAll(endless, onTheirWay, time.Now().Add(d))
				said.Add(int64(n))
				errs <- err
			})
		}
		speaking.Wait()
		for range c.senders {
			if err := <-errs; err != nil {
				return int(said.Load()), err
			}
		}
		return int(said.Load()), nil
	})
}

// stallers come, and read nothing any more.
func (c *crowd) stallers() ([]*client, error) {
	var all []*client
	for _, who := range c.cast.stalled {
		s, err := c.enter(who)
		if err != nil {
			return all, err
		}
		all = append(all, s)
		if err := s.net.stall(); err != nil {
			return all, err
		}
	}
	return all, nil
}

// checkStalled makes sure that the server has written to each of them what it could not get rid of.
func (c *crowd) checkStalled(all []*client) error {
	port, err := c.port()
	if err != nil {
		return err
	}
	for i, s := range all {
		n, err := unsent(port, s.net.port())
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("the server still gets rid of what it writes to stalled reader %d", i)
		}
	}
	return nil
}
