package main

import (
	"sync/atomic"
	"time"
)

// measureLogins counts how many people log in by key and get a session in a second, one after another for each worker:
// alone on the server, and beside the readers.
func measureLogins(b *bench, t target) error {
	b.say("logins: %s", t.name)
	c, err := startCrowd(b.programs, t, b.cast)
	if err != nil {
		return err
	}
	defer func() { b.failed(t, c.end()) }()
	time.Sleep(settle) // the product prepares a window of history when it starts
	alone, err := b.profiledLogins(c, "login")
	if err != nil {
		return err
	}
	b.table.set("logins", t.name, alone.rate)
	b.table.set("login-cpu", t.name, alone.cpu)
	if _, err := c.come(b.workers); err != nil {
		return err
	}
	time.Sleep(settle)
	beside, err := b.profiledLogins(c, "login-beside")
	if err != nil {
		return err
	}
	b.table.set("logins-beside", t.name, beside.rate)
	b.table.set("login-cpu-beside", t.name, beside.cpu)
	return nil
}

// pace is the rate of logins: how many a second, and the server's processor time in milliseconds for each.
type pace struct{ rate, cpu float64 }

// logins has each worker log in again and again.
func (c *crowd) logins(d time.Duration) (pace, error) {
	before, err := cpuTime(c.pid())
	if err != nil {
		return pace{}, err
	}
	var done atomic.Int64
	begin := time.Now()
	workers := c.cast.workers
	err = each(len(workers), len(workers), func(i int) error {
		for time.Since(begin) < d {
			r, err := c.enter(workers[i])
			if err != nil {
				return err
			}
			r.close()
			done.Add(1)
		}
		return nil
	})
	took := time.Since(begin)
	if err != nil {
		return pace{}, err
	}
	after, err := cpuTime(c.pid())
	n := float64(done.Load())
	return pace{n / took.Seconds(), (after - before).Seconds() * 1000 / n}, err
}
