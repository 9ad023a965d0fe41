package history

import (
	"testing"
	"time"

	"sshchat/store/clock"
)

// A clock that is ahead deletes no archive, while the server runs or at a start; nor does one delete what was put away while
// it was behind. The control is the clock that has kept to its step for a day.
func TestWrongClockDeletesNoArchive(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	alice := ageReader(t, "alice")
	p := newPlace(t, alice)
	p.opt.KeepFor = 30 * day
	ran := time.Duration(0)
	machine := clock.Options{Now: p.opt.Now, Elapsed: func() time.Duration { return ran }}
	run := func(d time.Duration) { p.now, ran = p.now.Add(d), ran+d }
	restart := func() {
		t.Helper()
		var known time.Time
		if p.h != nil {
			known = p.opt.Clock.Read().Latest
			if err := p.h.Close(); err != nil {
				t.Fatal(err)
			}
		}
		p.opt.Clock = clock.New(machine)
		p.opt.Clock.Known(known)
		p.open()
	}
	want := func(when string, n int) {
		t.Helper()
		run(2 * time.Minute) // it is looked for once a minute
		p.sayMany(alice, 1)
		if len(p.h.archives) != n {
			t.Errorf("%s: %d archives, want %d", when, len(p.h.archives), n)
		}
	}
	restart()
	p.sayMany(alice, 3)
	p.now = p.now.Add(-20 * 365 * day) // at a start without a battery
	restart()
	p.rotate()
	p.now = p.now.Add(20 * 365 * day)
	want("behind, then right", 1)
	p.sayMany(alice, 3)
	p.now = p.now.Add(365 * day)
	want("a year ahead", 1)
	p.rotate()
	want("a year ahead, and rotated", 2)
	restart()
	want("a year ahead at a start", 2)
	run(day)
	want("a year ahead for a day", 1) // the second was put away in that year
}
