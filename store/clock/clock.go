// Package clock decides how far a wall clock is trusted. It knows nothing of what ends at a time.
//
// Clocks are wrong: a machine without a battery starts in the past and is put right later, a virtual machine wakes up,
// somebody sets the wrong year. A server that acts on such a clock deletes archives, forgets bans and seals nothing to
// people who were here yesterday, and none of it comes back when the clock is right. So irreversible actions use Trusted.
package clock

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// MaxStep is the longest step that is trusted at once. A server that was off for as long is no surprise.
	MaxStep = 14 * 24 * time.Hour
	// Settle is how long a clock must keep to a longer step, while this process runs, until that is trusted.
	Settle = 24 * time.Hour
)

// Options are the settings of a Clock. The zero value is what a server runs with.
type Options struct {
	Now     func() time.Time     // the wall clock; nil: time.Now
	Elapsed func() time.Duration // how long the process runs, whatever the wall clock does; nil: as Now says
	Log     *slog.Logger         // nil: nothing is logged
}

// Clock is a wall clock with a brake. Its methods may be called from any goroutine.
type Clock struct {
	opt  Options
	file *file // nil: the trusted time ends with the process

	mu      sync.Mutex
	last    time.Time     // guarded by mu; of the latest look, with a monotonic reading if it has one
	ran     time.Duration // guarded by mu; how long the process ran until then
	highest time.Time     // guarded by mu; the latest time that was trusted, and what has elapsed since
	off     direction     // guarded by mu; where the clock stands
	kept    time.Duration // guarded by mu; for how long it has been off
}

// direction is on which side of the trusted time a clock is, by more than MaxStep.
type direction int

const (
	right direction = iota
	ahead
	behind
)

// side is the side of a clock that differs by that much from the trusted time.
func side(step time.Duration) direction {
	switch {
	case step > MaxStep:
		return ahead
	case step < -MaxStep:
		return behind
	}
	return right
}

// New makes a clock that trusts the present time.
func New(opt Options) *Clock {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Clock{opt: opt, last: opt.Now()}
	if opt.Elapsed != nil {
		c.ran = opt.Elapsed()
	}
	c.highest = wall(c.last)
	return c
}

// wall is the time that a clock shows, without the monotonic reading.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

// Reading is one reading of the clock.
type Reading struct {
	// Wall is the wall clock's time, trusted or not: for what can be undone.
	Wall time.Time
	// Trusted is the time by which something may be ended permanently. It is Wall, unless the clock stepped
	// ahead by more than MaxStep: then it continues from the trusted time before, until the clock has kept to the step
	// for Settle. A clock that is behind ends nothing, so it is trusted.
	Trusted time.Time
	// Latest is the latest time that was trusted, and what has elapsed since if the clock fell back.
	Latest time.Time
	// Stamp is the time to write down for something that ends some time after it. It is Wall, unless the clock is behind
	// by more than MaxStep: then what is written down would be over as soon as the clock is right.
	Stamp time.Time
	// Ran is how long the process has run, whatever the clock showed.
	Ran time.Duration
}

// Read looks at the clock.
func (c *Clock) Read() Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.opt.Now()
	elapsed := now.Sub(c.last) // the monotonic clock's, if there is one
	if c.opt.Elapsed != nil {
		elapsed = c.opt.Elapsed() - c.ran
	}
	elapsed = max(elapsed, 0)
	c.last, c.ran, c.highest = now, c.ran+elapsed, c.highest.Add(elapsed)
	wallTime := wall(now)
	c.judge(wallTime, elapsed)
	r := Reading{Wall: wallTime, Trusted: wallTime, Latest: c.highest, Stamp: wallTime, Ran: c.ran}
	switch c.off {
	case ahead:
		r.Trusted = c.highest
	case behind:
		r.Stamp = c.highest
	}
	return r
}

// Known gives a clock without a stored time the newest time found in other files. Call it before anything else. A zero
// time is ignored.
func (c *Clock) Known(newest time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !newest.IsZero() && (c.file == nil || !c.file.found) {
		c.highest = wall(newest)
	}
}

// judge compares the wall clock with the trusted time. Called with mu held.
func (c *Clock) judge(wallTime time.Time, elapsed time.Duration) {
	was, step := c.off, wallTime.Sub(c.highest)
	if c.off = side(step); c.off == right {
		c.kept = 0
		if step > 0 {
			c.highest = wallTime
		}
		return
	}
	if c.off != was {
		c.kept = 0
		c.opt.Log.Warn("the clock is more than two weeks away from the latest known time; bans, invites and archives are kept "+
			"until it has stayed so for a day", "clock", wallTime, "known", c.highest)
		return
	}
	if c.kept += elapsed; c.kept >= Settle {
		c.opt.Log.Info("the clock has been steady for a day and is trusted again", "clock", wallTime, "known", c.highest)
		c.off, c.kept, c.highest = right, 0, wallTime
	}
}
