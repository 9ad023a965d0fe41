package main

import (
	"fmt"
	"time"
)

// growthSteps are the sizes of crowds, as multiples, that a server delivers to at the same rate of deliveries.
var growthSteps = []struct {
	key   string
	times float64
}{{"growth-tenth", 0.1}, {"growth-one", 1}, {"growth-four", 4}}

// measureGrowth has one server deliver to a small, a usual and a large crowd. What a delivery costs the server may not
// depend on how many others there are: the last is set against the cheapest before it.
func measureGrowth(b *bench, t target) error {
	cheapest := 0.0
	for i, step := range growthSteps {
		o := b.options
		o.sessions = max(1, int(step.times*float64(b.sessions)))
		people, err := newCast(o)
		if err != nil {
			return err
		}
		b.say("growth: %d sessions of %s", o.sessions, t.name)
		cost, err := b.costOfDelivery(t, people)
		if err != nil {
			return fmt.Errorf("%d sessions: %w", o.sessions, err)
		}
		b.table.set(step.key, t.name, cost)
		if last := i == len(growthSteps)-1; last {
			b.table.set("growth", t.name, cost/cheapest)
		} else if i == 0 || cost < cheapest {
			cheapest = cost
		}
	}
	return nil
}

// costOfDelivery is the processor time of a server for a delivery at the steady rate, in microseconds.
func (b *bench) costOfDelivery(t target, people *cast) (cost float64, err error) {
	c, err := startCrowd(b.programs, t, people)
	if err != nil {
		return 0, err
	}
	defer func() { b.failed(t, c.end()) }()
	if _, err := c.come(b.workers); err != nil {
		return 0, err
	}
	return b.costIn(c)
}

// costIn is the same for a crowd that has come.
func (b *bench) costIn(c *crowd) (float64, error) {
	if err := c.addSenders(); err != nil {
		return 0, err
	}
	if err := c.warmUp(); err != nil {
		return 0, err
	}
	time.Sleep(settle)
	f, err := c.steady(b.deliveries, b.deliver)
	return f.perMillion(), err
}
